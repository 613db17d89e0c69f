//! From the state of the builder to a quantum graph.

use super::{
    Builder, Part, Slot, WantedKeys,
    adjust::{Member, Supply, connections},
    element_key,
};
use crate::{
    DatasetIndex, GraphError, Header, PipelineGraph, QuantumGraph, Task,
    fetch::FoundDataset,
    ids::id_text,
    keys::{Row, small},
    quantum_graph::{DatasetInterner, InitQuantum, PACKAGES},
};
use armillary_dimensions::{DimensionGroup, ElementIndex, ElementKind, Key, Universe};
use armillary_registry::query::DatasetSearch;
use std::collections::{HashMap, HashSet};

/// Not mapped yet.
const UNKNOWN: u32 = u32::MAX;

/// From the numbers of one part to those of the graph.
struct Mapping<'p> {
    part: &'p Part,
    codes: HashMap<ElementIndex, Vec<u32>>,
    rows: HashMap<DimensionGroup, Vec<Row>>,
    /// For each dataset type of the part, in name order, its number in the graph and those of its datasets.
    datasets: Vec<(u32, Vec<u32>)>,
}

impl<'p> Mapping<'p> {
    fn new(part: &'p Part) -> Self {
        let datasets = part.types.values().map(|of_type| (UNKNOWN, vec![UNKNOWN; of_type.slots.len()])).collect();
        Self { part, codes: HashMap::new(), rows: HashMap::new(), datasets }
    }

    fn row(&mut self, graph: &mut QuantumGraph, group: DimensionGroup, row: Row) -> Row {
        let skeleton = &self.part.skeleton;
        let ids = skeleton.ids(group);
        let rows = self.rows.entry(group).or_insert_with(|| vec![UNKNOWN; ids.len()]);
        if rows[row as usize] != UNKNOWN {
            return rows[row as usize];
        }
        let mut codes = Vec::with_capacity(ids.codes(row).len());
        for (dimension, code) in ids.info().keys().zip(ids.codes(row)) {
            let known = self.codes.entry(dimension).or_insert_with(|| vec![UNKNOWN; skeleton.keys.len(dimension)]);
            if known[*code as usize] == UNKNOWN {
                known[*code as usize] = graph.ids.keys.code(dimension, skeleton.keys.key(dimension, *code).clone());
            }
            codes.push(known[*code as usize]);
        }
        let table = graph.ids.table(&graph.universe.clone(), group);
        rows[row as usize] = graph.ids.row(table, &codes);
        rows[row as usize]
    }
}

impl Builder {
    /// The graph of everything that is left to run.
    pub fn finish(mut self, header: Header) -> Result<QuantumGraph, GraphError> {
        self.prune_unanchored()?;
        let mut graph = QuantumGraph::new(self.pipeline.clone(), header)?;
        let mut interner = DatasetInterner::default();
        let parts = std::mem::take(&mut self.parts);
        let mut mappings: Vec<Mapping<'_>> = parts.iter().map(Mapping::new).collect();
        let tasks: Vec<Task> = self.pipeline.tasks().values().cloned().collect();
        for (index, task) in tasks.iter().enumerate() {
            let mapping = &mut mappings[self.part_of[index]];
            self.add_quanta(&mut graph, &mut interner, mapping, index, task)?;
        }
        graph.producers()?;
        self.add_init(&mut graph, &mut interner, &parts)?;
        self.add_records(&mut graph, &parts)?;
        graph.count();
        if graph.header.provenance_dataset_id.is_empty() {
            graph.header.provenance_dataset_id = id_text(&self.ids.next_id());
        }
        Ok(graph)
    }

    fn add_quanta(
        &mut self,
        graph: &mut QuantumGraph,
        interner: &mut DatasetInterner,
        mapping: &mut Mapping<'_>,
        index: usize,
        task: &Task,
    ) -> Result<(), GraphError> {
        let part = mapping.part;
        let state = &part.tasks[task.label.as_str()];
        let (edges, _) = connections(task);
        let names: Vec<&str> = edges.iter().map(|edge| edge.parent()).collect();
        let positions: Vec<Option<usize>> =
            names.iter().map(|name| part.types.keys().position(|known| known == name)).collect();
        let supplies = part.supplies(task);
        let mut lists: Vec<Vec<DatasetIndex>> = vec![Vec::new(); edges.len()];
        for row in (0..small(state.alive.len())).filter(|row| state.alive[*row as usize]) {
            let changed = state.overrides.contains_key(&row) || !state.extras.is_empty();
            for (connection, list) in lists.iter_mut().enumerate() {
                list.clear();
                let mut add = |graph: &mut QuantumGraph, member: Member| -> Result<(), GraphError> {
                    list.push(match (member, positions[connection]) {
                        (Member::Join(met, slot), Some(position)) => {
                            self.joined(graph, interner, mapping, (names[connection], position), met, slot)?
                        }
                        (Member::External(index, slot), _) => self.outside(graph, interner, index, slot)?,
                        (Member::Join(..), None) => unreachable!("the join holds the types of its members"),
                    });
                    Ok(())
                };
                match &supplies[connection] {
                    Supply::Join { of_type, meetings } if !changed => {
                        for met in meetings.of(row) {
                            if let Some(slot) = of_type.slots[*met as usize] {
                                add(graph, Member::Join(*met, slot))?;
                            }
                        }
                    }
                    Supply::Join { .. } | Supply::External(_) => {
                        for member in self.members(part, task, connection, row) {
                            add(graph, member)?;
                        }
                    }
                }
            }
            let graph_row = mapping.row(graph, state.group, row);
            let id = self.ids.next_id();
            graph.tasks[index].push(id, graph_row, lists.iter().map(Vec::as_slice));
        }
        Ok(())
    }

    /// A dataset of the join, by the name and position of its type.
    fn joined(
        &self,
        graph: &mut QuantumGraph,
        interner: &mut DatasetInterner,
        mapping: &mut Mapping<'_>,
        (name, position): (&str, usize),
        row: Row,
        slot: Slot,
    ) -> Result<DatasetIndex, GraphError> {
        let known = mapping.datasets[position].1[row as usize];
        if known != UNKNOWN {
            return Ok(DatasetIndex(known));
        }
        if mapping.datasets[position].0 == UNKNOWN {
            mapping.datasets[position].0 = interner.dataset_type(graph, name)?;
        }
        let type_index = mapping.datasets[position].0;
        let group = mapping.part.types[name].group;
        let graph_row = mapping.row(graph, group, row);
        let run = self.runs[slot.run as usize].clone();
        let index = interner.dataset(graph, slot.id, type_index, graph_row, &run)?;
        mapping.datasets[position].1[row as usize] = index.0;
        Ok(index)
    }

    /// A dataset from outside of the join.
    fn outside(
        &self,
        graph: &mut QuantumGraph,
        interner: &mut DatasetInterner,
        index: u32,
        slot: Slot,
    ) -> Result<DatasetIndex, GraphError> {
        if let Some(known) = interner.find(&slot.id) {
            return Ok(known);
        }
        let external = &self.externals[index as usize];
        let run = self.runs[slot.run as usize].clone();
        let type_index = interner.dataset_type(graph, &external.dataset_type)?;
        let table = graph.datasets.types[type_index as usize].table;
        let row = graph.ids.row_of(table, external.values.iter().cloned());
        interner.dataset(graph, slot.id, type_index, row, &run)
    }

    /// The dataset without dimensions of one type, if it exists in some collections.
    fn single(&self, name: &str, collections: &[String]) -> Result<Option<FoundDataset>, GraphError> {
        let search = DatasetSearch { dataset_type: name.to_owned(), collections: collections.to_vec() };
        Ok(self.fetch.datasets(&search, &[], &[Box::new([])])?.into_iter().next())
    }

    /// The making of the run and of every task that has quanta.
    fn add_init(
        &mut self,
        graph: &mut QuantumGraph,
        interner: &mut DatasetInterner,
        parts: &[Part],
    ) -> Result<(), GraphError> {
        let output_run = self.request.output_run.clone();
        let has_run = self.fetch.has_collection(&output_run)?;
        let in_run = if has_run { vec![output_run.clone()] } else { Vec::new() };
        let mut made: HashMap<String, DatasetIndex> = HashMap::new();
        let output = |this: &mut Self, graph: &mut QuantumGraph, interner: &mut DatasetInterner, name: &str| {
            let existing = if in_run.is_empty() { None } else { this.single(name, &in_run)? };
            let id = existing.map_or_else(|| this.ids.next_id(), |found| found.id);
            let type_index = interner.dataset_type(graph, name)?;
            let row = graph.ids.row(graph.datasets.types[type_index as usize].table, &[]);
            interner.dataset(graph, id, type_index, row, &output_run)
        };
        if !graph.is_empty() {
            let packages = output(self, graph, interner, PACKAGES)?;
            let (id, outputs) = (self.ids.next_id(), vec![(PACKAGES.to_owned(), packages)]);
            graph.init.push(InitQuantum { id, label: String::new(), inputs: Vec::new(), outputs });
        }
        for (index, task) in self.pipeline.clone().tasks().values().enumerate() {
            if graph.tasks[index].is_empty() {
                let state = &parts[self.part_of[index]].tasks[task.label.as_str()];
                if !state.reused_from.is_empty() {
                    self.earlier_init(graph, interner, task, &state.reused_from, &mut made)?;
                } else if state.count.skipped > 0 {
                    let done_in = self.request.skip_existing_in.clone();
                    self.earlier_init(graph, interner, task, &done_in, &mut made)?;
                }
                continue;
            }
            let mut inputs = Vec::with_capacity(task.init_inputs.len());
            for edge in &task.init_inputs {
                let dataset = match made.get(edge.parent()) {
                    Some(dataset) => *dataset,
                    None => self.init_input(graph, interner, task, edge)?,
                };
                inputs.push((edge.connection.clone(), dataset));
            }
            let mut outputs = Vec::with_capacity(task.init_outputs.len() + 1);
            for edge in task.init_outputs.iter().chain([&task.config_output]) {
                let dataset = output(self, graph, interner, edge.parent())?;
                made.insert(edge.parent().to_owned(), dataset);
                outputs.push((edge.connection.clone(), dataset));
            }
            graph.init.push(InitQuantum { id: self.ids.next_id(), label: task.label.clone(), inputs, outputs });
        }
        Ok(())
    }

    fn existing_init(
        graph: &mut QuantumGraph,
        interner: &mut DatasetInterner,
        name: &str,
        found: &FoundDataset,
    ) -> Result<DatasetIndex, GraphError> {
        let type_index = interner.dataset_type(graph, name)?;
        let row = graph.ids.row(graph.datasets.types[type_index as usize].table, &[]);
        interner.dataset(graph, found.id, type_index, row, &found.run)
    }

    fn init_input(
        &self,
        graph: &mut QuantumGraph,
        interner: &mut DatasetInterner,
        task: &Task,
        edge: &crate::Edge,
    ) -> Result<DatasetIndex, GraphError> {
        let found = self.single(edge.parent(), &self.request.input_collections)?;
        let found = found.ok_or_else(|| GraphError::MissingInitInput {
            dataset_type: edge.parent().to_owned(),
            task: task.label.clone(),
            collections: self.request.input_collections.clone(),
        })?;
        Self::existing_init(graph, interner, edge.parent(), &found)
    }

    /// A task of which every quantum is done has made its init-outputs where the quanta are.
    fn earlier_init(
        &self,
        graph: &mut QuantumGraph,
        interner: &mut DatasetInterner,
        task: &Task,
        done_in: &[String],
        made: &mut HashMap<String, DatasetIndex>,
    ) -> Result<(), GraphError> {
        for edge in &task.init_outputs {
            // Only what other tasks read has to be there.
            let mut readers = self.pipeline.consumers_of(edge.parent());
            if !readers.any(|reader| graph.tasks.iter().any(|task| task.label == reader.task.label && !task.is_empty()))
            {
                continue;
            }
            let found = self.single(edge.parent(), done_in)?;
            let found = found.ok_or_else(|| GraphError::MissingInitInput {
                dataset_type: edge.parent().to_owned(),
                task: task.label.clone(),
                collections: done_in.to_vec(),
            })?;
            made.insert(edge.parent().to_owned(), Self::existing_init(graph, interner, edge.parent(), &found)?);
        }
        Ok(())
    }

    /// Records of every element of all data IDs, those of prerequisites not counted.
    fn add_records(&mut self, graph: &mut QuantumGraph, parts: &[Part]) -> Result<(), GraphError> {
        let universe = self.universe.clone();
        let mut all = wanted_records(graph, &self.pipeline);
        let known: HashSet<ElementIndex> = all.iter().map(|(element, _)| *element).collect();
        all.extend(joined_records(&universe, parts).into_iter().filter(|(element, _)| !known.contains(element)));
        for (element, wanted) in all {
            let mut order: Vec<Box<[Key]>> = wanted.iter().cloned().collect();
            order.sort_unstable();
            self.need_records(element, wanted)?;
            let known = self.records.get(&element);
            let rows: Vec<_> = order.iter().filter_map(|key| known?.get(key).cloned()).collect();
            let is_dimension = universe.get(element).is_dimension();
            if is_dimension && rows.len() < order.len() {
                let lost = order.iter().find(|key| known.is_none_or(|known| !known.contains_key(*key)));
                let values = lost.into_iter().flat_map(|key| key.iter().map(ToString::to_string)).collect::<Vec<_>>();
                let name = &universe.get(element).name;
                return Err(GraphError::Build {
                    reason: format!("the repository has no record of `{name}` {}", values.join(", ")),
                });
            }
            graph.records.insert(element, rows);
        }
        Ok(())
    }
}

/// Required values of those joins that the initial query went through, such as `visit_definition`.
fn joined_records(universe: &Universe, parts: &[Part]) -> HashMap<ElementIndex, WantedKeys> {
    let mut wanted: HashMap<ElementIndex, WantedKeys> = HashMap::new();
    for join in parts.iter().flat_map(|part| &part.joins) {
        for element in &universe.info(join.group).elements {
            let element = universe.get(*element);
            if element.is_dimension() || !element.always_join {
                continue;
            }
            let ids = join.rows.project(&universe.info(universe.element_group(element))).ids;
            let keys = (0..small(ids.len())).filter_map(|row| element_key(&join.rows.keys, element, &ids, row));
            wanted.entry(element.index).or_default().extend(keys);
        }
    }
    wanted
}

/// Codes of the required values of one element; zeros fill what is left.
type ElementCodes = [u32; 8];

/// For every element the required values of all data IDs that have it.
fn wanted_records(graph: &QuantumGraph, pipeline: &PipelineGraph) -> Vec<(ElementIndex, WantedKeys)> {
    let universe = &graph.universe;
    // Rows in use, by table.
    let mut used: Vec<Vec<bool>> = (0..graph.ids.len()).map(|table| vec![false; graph.ids.get(table).len()]).collect();
    for task in &graph.tasks {
        for row in &task.row {
            used[task.table][*row as usize] = true;
        }
    }
    let counts: Vec<bool> = graph
        .datasets
        .types
        .iter()
        .map(|of_type| {
            let node = pipeline.dataset_type(&of_type.name);
            !node.is_ok_and(|node| node.is_some_and(|node| node.is_prerequisite))
        })
        .collect();
    for (of_type, row) in graph.datasets.type_of.iter().zip(&graph.datasets.row) {
        if counts[*of_type as usize] {
            used[graph.datasets.types[*of_type as usize].table][*row as usize] = true;
        }
    }
    let mut wanted: HashMap<ElementIndex, hashbrown::HashSet<ElementCodes>> = HashMap::new();
    for (table, used) in used.iter().enumerate() {
        let ids = graph.ids.get(table);
        for element in &ids.info().elements {
            let element = universe.get(*element);
            if matches!(element.kind, ElementKind::SkyPix { .. }) {
                continue;
            }
            let positions: Option<Vec<usize>> =
                element.required.iter().map(|dimension| ids.position(dimension)).collect();
            let Some(positions) = positions else { continue };
            assert!(positions.len() <= ElementCodes::default().len(), "no element needs so many dimensions");
            let into = wanted.entry(element.index).or_default();
            for row in (0..small(ids.len())).filter(|row| used[*row as usize]) {
                let codes = ids.codes(row);
                let mut key = ElementCodes::default();
                for (code, position) in key.iter_mut().zip(&positions) {
                    *code = codes[*position];
                }
                into.insert(key);
            }
        }
    }
    let mut wanted: Vec<_> = wanted.into_iter().collect();
    wanted.sort_by_key(|(element, _)| *element);
    wanted
        .into_iter()
        .map(|(element, rows)| {
            let dimensions: Vec<ElementIndex> = universe.get(element).required.iter().collect();
            let decode = |codes: ElementCodes| {
                dimensions
                    .iter()
                    .zip(codes)
                    .map(|(dimension, code)| graph.ids.keys.key(*dimension, code).clone())
                    .collect()
            };
            (element, rows.into_iter().map(decode).collect())
        })
        .collect()
}
