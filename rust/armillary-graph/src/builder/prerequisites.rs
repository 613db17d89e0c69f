//! Prerequisites: calibrations by time of validity, reference catalogs by region, everything else by data ID.

use super::{Builder, Part, element_key};
use crate::{
    DataIds, Edge, GraphError, Task,
    fetch::{DataIdQuery, Fetch, FoundCalibration, FoundDataset},
    ids::id_text,
    keys::{Row, small},
    pixels::{PixelSet, Pixelization},
    skeleton::JoinRows,
};
use armillary_dimensions::{DimensionGroup, ElementIndex, ElementKind, FieldRole, Key, Timespan, Universe, Value};
use armillary_registry::query::{DatasetSearch, Upload};
use armillary_sphere::Region;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

/// More pixels than this are not asked for one by one.
const MANY_PIXELS: usize = 200_000;

/// What is being looked up for one connection.
struct LookUp<'a> {
    part: usize,
    label: &'a str,
    task: &'a Task,
    edge: &'a Edge,
    group: DimensionGroup,
}

/// Quanta by the values they share with a dataset type.
struct Keys {
    dimensions: Vec<ElementIndex>,
    quanta: hashbrown::HashMap<Box<[Key]>, Vec<Row>>,
}

/// The time of each quantum.
type Spans = hashbrown::HashMap<Row, Timespan>;

/// For each quantum the datasets from outside of the join.
type Lists = Vec<(Row, Vec<u32>)>;

impl Builder {
    /// Looks up the prerequisites of all quanta that run, but for those that a function of the user looks up.
    pub(super) fn find_prerequisites(&mut self, part: usize) -> Result<(), GraphError> {
        let tasks: Vec<Task> = self.parts[part].pipeline.tasks().values().cloned().collect();
        for task in &tasks {
            let mut spans = None;
            for (connection, edge) in task.prerequisite_inputs.iter().enumerate().filter(|(_, edge)| !edge.lookup) {
                let node = self.pipeline.resolved(edge.parent())?.clone();
                if !self.fetch.is_registered(edge.parent())? {
                    continue;
                }
                let look_up = LookUp { part, label: &task.label, task, edge, group: node.dimensions };
                let pixelization = Pixelization::of_group(&self.universe, node.dimensions);
                let lists = match pixelization {
                    _ if node.is_calibration => {
                        // The same for all calibrations of a task.
                        if spans.is_none() {
                            spans = Some(self.timespans(&look_up)?);
                        }
                        self.find_calibrations(&look_up, spans.as_ref().and_then(Option::as_ref))?
                    }
                    Some(pixelization) => self.find_by_region(&look_up, pixelization)?,
                    None => self.find_by_data_id(&look_up)?,
                };
                let state = &mut self.parts[part].tasks[task.label.as_str()];
                for (row, list) in lists {
                    state.prerequisites[connection][row as usize] = list;
                }
            }
        }
        Ok(())
    }

    /// The quanta that run, with the data IDs of the task.
    fn quanta(&self, look_up: &LookUp<'_>) -> (&Part, &DataIds, Vec<Row>) {
        let part = &self.parts[look_up.part];
        let state = &part.tasks[look_up.label];
        let rows = (0..small(state.alive.len())).filter(|row| state.alive[*row as usize]).collect();
        (part, part.skeleton.ids(state.group), rows)
    }

    fn keys(&self, look_up: &LookUp<'_>) -> Keys {
        let (part, ids, rows) = self.quanta(look_up);
        let required = &self.universe.info(look_up.group).required;
        let dimensions: Vec<ElementIndex> =
            required.iter().copied().filter(|dimension| ids.position(*dimension).is_some()).collect();
        let positions: Vec<usize> = dimensions.iter().filter_map(|dimension| ids.position(*dimension)).collect();
        let mut by_code: hashbrown::HashMap<Vec<u32>, Vec<Row>> = hashbrown::HashMap::new();
        let mut key: Vec<u32> = Vec::with_capacity(positions.len());
        for row in rows {
            let codes = ids.codes(row);
            key.clear();
            key.extend(positions.iter().map(|position| codes[*position]));
            match by_code.get_mut(&key) {
                Some(rows) => rows.push(row),
                None => drop(by_code.insert(key.clone(), vec![row])),
            }
        }
        let decode = |codes: Vec<u32>| {
            dimensions
                .iter()
                .zip(codes)
                .map(|(dimension, code)| part.skeleton.keys.key(*dimension, code).clone())
                .collect()
        };
        let quanta = by_code.into_iter().map(|(codes, rows)| (decode(codes), rows)).collect();
        Keys { dimensions, quanta }
    }

    fn search(&self, edge: &Edge) -> DatasetSearch {
        let collections = self.request.input_collections.clone();
        DatasetSearch { dataset_type: edge.parent().to_owned(), collections }
    }

    /// The values of a dataset that quanta are told apart by.
    fn shared_key(&self, group: DimensionGroup, dimensions: &[ElementIndex], dataset: &FoundDataset) -> Box<[Key]> {
        let info = self.universe.info(group);
        let value =
            |dimension| info.keys().zip(&dataset.values).find(|(key, _)| *key == dimension).map(|(_, value)| value);
        dimensions.iter().filter_map(|dimension| value(*dimension).cloned()).collect()
    }

    fn find_by_data_id(&mut self, look_up: &LookUp<'_>) -> Result<Lists, GraphError> {
        if self.needs_spatial_join(look_up) {
            return self.find_by_overlap(look_up);
        }
        let keys = self.keys(look_up);
        let mut wanted: Vec<Box<[Key]>> = keys.quanta.keys().cloned().collect();
        wanted.sort_unstable();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = self.fetch.datasets(&self.search(look_up.edge), &keys.dimensions, &wanted)?;
        // Sorted by data ID, as all lists of datasets are.
        found.sort_by(|a, b| a.values.cmp(&b.values));
        let mut by_key: hashbrown::HashMap<Box<[Key]>, Vec<u32>> = hashbrown::HashMap::new();
        for dataset in &found {
            let key = self.shared_key(look_up.group, &keys.dimensions, dataset);
            if keys.quanta.contains_key(&key) {
                let index = self.external(look_up.edge.parent(), dataset);
                by_key.entry(key).or_default().push(index);
            }
        }
        let mut lists = Lists::new();
        for (key, list) in &by_key {
            lists.extend(keys.quanta[key].iter().map(|row| (*row, list.clone())));
        }
        Ok(lists)
    }

    /// Whether regions of different families, such as those of visits and of patches, must overlap.
    fn needs_spatial_join(&self, look_up: &LookUp<'_>) -> bool {
        let task = self.parts[look_up.part].tasks[look_up.label].group;
        let family = |index: &ElementIndex| self.universe.get(*index).spatial.clone();
        let families = |group| self.universe.info(group).spatial.iter().filter_map(family).collect::<HashSet<_>>();
        let (ours, theirs) = (families(task), families(look_up.group));
        !ours.is_empty() && !theirs.is_empty() && ours.is_disjoint(&theirs)
    }

    /// Datasets whose region overlaps that of the quantum, where both have one of their own sort.
    fn find_by_overlap(&mut self, look_up: &LookUp<'_>) -> Result<Lists, GraphError> {
        let (part, ids, rows) = self.quanta(look_up);
        let task = part.tasks[look_up.label].group;
        if rows.is_empty() {
            return Ok(Lists::new());
        }
        let required = ids.info().required.clone();
        let value =
            |row: Row| -> Box<[Key]> { ids.values(&part.skeleton.keys, row).take(required.len()).cloned().collect() };
        let rows: hashbrown::HashMap<Box<[Key]>, Row> = rows.into_iter().map(|row| (value(row), row)).collect();
        let mut wanted: Vec<Box<[Key]>> = rows.keys().cloned().collect();
        wanted.sort_unstable();
        let both = self.universe.conform(task.union(look_up.group));
        let search = self.search(look_up.edge);
        let upload = Upload {
            dimensions: required.clone(),
            rows: wanted.iter().map(|key| key.iter().cloned().map(Value::from).collect()).collect(),
        };
        let searches = vec![search.clone()];
        let query = DataIdQuery { group: both, searches, tables: vec![upload], ..DataIdQuery::default() };
        let pairs = self.fetch.data_ids(query)?;
        let joined = JoinRows::new(&pairs.columns);
        let theirs = self.universe.info(look_up.group);
        let tuple = |dimensions: &[ElementIndex], row: usize| -> Option<Box<[Key]>> {
            let one =
                |dimension: &ElementIndex| Some(joined.keys.key(*dimension, joined.column(*dimension)?[row]).clone());
            dimensions.iter().map(one).collect()
        };
        let mut quanta_of: hashbrown::HashMap<Box<[Key]>, Vec<Row>> = hashbrown::HashMap::new();
        for row in 0..joined.len() {
            let (Some(quantum), Some(dataset)) = (tuple(&required, row), tuple(&theirs.required, row)) else {
                continue;
            };
            if let Some(quantum) = rows.get(&quantum) {
                quanta_of.entry(dataset).or_default().push(*quantum);
            }
        }
        let mut asked: Vec<Box<[Key]>> = quanta_of.keys().cloned().collect();
        asked.sort_unstable();
        if asked.is_empty() {
            return Ok(Lists::new());
        }
        let mut found = self.fetch.datasets(&search, &theirs.required, &asked)?;
        found.sort_by(|a, b| a.values.cmp(&b.values));
        let mut lists: BTreeMap<Row, Vec<u32>> = BTreeMap::new();
        for dataset in &found {
            let Some(quanta) = quanta_of.get(&dataset.values[..theirs.required.len()]) else { continue };
            let index = self.external(look_up.edge.parent(), dataset);
            for row in quanta {
                lists.entry(*row).or_default().push(index);
            }
        }
        Ok(lists.into_iter().collect())
    }

    fn find_calibrations(&mut self, look_up: &LookUp<'_>, spans: Option<&Spans>) -> Result<Lists, GraphError> {
        let keys = self.keys(look_up);
        let mut wanted: Vec<Box<[Key]>> = keys.quanta.keys().cloned().collect();
        wanted.sort_unstable();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = self.fetch.calibrations(&self.search(look_up.edge), &keys.dimensions, &wanted)?;
        found.sort_by(|a, b| a.dataset.values.cmp(&b.dataset.values));
        let mut by_key: hashbrown::HashMap<Box<[Key]>, Vec<(FoundCalibration, u32)>> = hashbrown::HashMap::new();
        for calibration in found {
            let key = self.shared_key(look_up.group, &keys.dimensions, &calibration.dataset);
            if keys.quanta.contains_key(&key) {
                let index = self.external(look_up.edge.parent(), &calibration.dataset);
                by_key.entry(key).or_default().push((calibration, index));
            }
        }
        let mut lists = Lists::new();
        for (key, candidates) in &by_key {
            for row in &keys.quanta[key] {
                let span = spans.map(|spans| spans.get(row).copied().unwrap_or(Timespan::EMPTY));
                let fits = |found: &FoundCalibration| span.is_none_or(|span| found.timespan.overlaps(span));
                lists.push((*row, self.first_of_each(look_up, *row, candidates, fits)?));
            }
        }
        Ok(lists)
    }

    /// For each data ID the one calibration of the first collection that has any; candidates come by data ID.
    fn first_of_each(
        &self,
        look_up: &LookUp<'_>,
        row: Row,
        candidates: &[(FoundCalibration, u32)],
        fits: impl Fn(&FoundCalibration) -> bool,
    ) -> Result<Vec<u32>, GraphError> {
        let mut chosen = Vec::with_capacity(1);
        for same in candidates.chunk_by(|a, b| a.0.dataset.values == b.0.dataset.values) {
            let fitting = || same.iter().filter(|(found, _)| fits(found));
            let Some(rank) = fitting().map(|(found, _)| found.rank).min() else { continue };
            let mut best = fitting().filter(|(found, _)| found.rank == rank);
            let Some((first, index)) = best.next() else { continue };
            if best.any(|(other, _)| other.dataset.id != first.dataset.id) {
                let rivals = fitting().filter(|(found, _)| found.rank == rank).map(|(found, _)| found);
                return Err(self.ambiguous(look_up, row, rank, rivals)?);
            }
            chosen.push(*index);
        }
        Ok(chosen)
    }

    /// Says which calibrations compete.
    fn ambiguous<'c>(
        &self,
        look_up: &LookUp<'_>,
        row: Row,
        rank: usize,
        rivals: impl Iterator<Item = &'c FoundCalibration>,
    ) -> Result<GraphError, GraphError> {
        let collections = self.fetch.flatten(&self.request.input_collections)?;
        let (part, ids, _) = self.quanta(look_up);
        let candidates = rivals.map(|found| {
            let (id, run) = (id_text(&found.dataset.id), &found.dataset.run);
            format!("{id} of run `{run}`, valid {}", found.timespan)
        });
        Ok(GraphError::AmbiguousCalibration {
            dataset_type: look_up.edge.parent().to_owned(),
            collection: collections.get(rank).cloned().unwrap_or_default(),
            task: look_up.label.to_owned(),
            data_id: ids.data_id(&self.universe, &part.skeleton.keys, row).to_string(),
            candidates: candidates.collect(),
        })
    }

    /// The time of each quantum, widened by the connections that the task names; none if the task knows no time.
    fn timespans(&mut self, look_up: &LookUp<'_>) -> Result<Option<Spans>, GraphError> {
        let task = self.parts[look_up.part].tasks[look_up.label].group;
        let Some(element) = self.universe.info(task).temporal.first().copied() else { return Ok(None) };
        let widen = |span: Timespan, other: Timespan| {
            if span.is_empty() {
                other
            } else if other.is_empty() {
                span
            } else {
                Timespan::new(span.begin().min(other.begin()), span.end().max(other.end()))
            }
        };
        let mut spans = Spans::new();
        for (row, value) in self.field_of_quanta(look_up, task, element, FieldRole::Timespan, None)? {
            if let Value::Timespan(span) = value {
                spans.insert(row, span);
            }
        }
        for name in &look_up.task.hooks.temporal_bounds {
            let Some((edge, group)) = self.bounds_edge(look_up, name)? else { continue };
            let Some(element) = self.universe.info(group).temporal.first().copied() else { continue };
            for (row, value) in self.field_of_quanta(look_up, group, element, FieldRole::Timespan, Some(&edge))? {
                if let Value::Timespan(span) = value {
                    let whole = spans.entry(row).or_insert(Timespan::EMPTY);
                    *whole = widen(*whole, span);
                }
            }
        }
        Ok(Some(spans))
    }

    /// A connection of the task that the join holds, and its dimensions.
    fn bounds_edge(&self, look_up: &LookUp<'_>, name: &str) -> Result<Option<(Edge, DimensionGroup)>, GraphError> {
        let edge = super::part::join_edges(look_up.task).find(|edge| edge.connection == name);
        edge.map(|edge| Ok((edge.clone(), self.pipeline.resolved(edge.parent())?.dimensions))).transpose()
    }

    /// A field of the records that belong to each quantum, directly or through one of its connections.
    fn field_of_quanta(
        &mut self,
        look_up: &LookUp<'_>,
        group: DimensionGroup,
        element: ElementIndex,
        role: FieldRole,
        through: Option<&Edge>,
    ) -> Result<Vec<(Row, Value)>, GraphError> {
        let universe = self.universe.clone();
        let element = universe.get(element);
        let (part, _, rows) = self.quanta(look_up);
        let task = &part.tasks[look_up.label];
        let ids = part.skeleton.ids(group);
        let mut keys: Vec<(Row, Box<[Key]>)> = Vec::with_capacity(rows.len());
        for row in rows {
            let own = [row];
            let met: &[Row] = if through.is_some() { part.meet(task, group, row) } else { &own };
            keys.extend(
                met.iter().filter_map(|met| Some((row, element_key(&part.skeleton.keys, element, ids, *met)?))),
            );
        }
        self.need_records(element.index, keys.iter().map(|(_, key)| key.clone()).collect())?;
        let Some(position) = element.fields.iter().position(|field| field.role == role) else { return Ok(Vec::new()) };
        let records = &self.records[&element.index];
        Ok(keys.into_iter().filter_map(|(row, key)| Some((row, records.get(&key)?[position].clone()))).collect())
    }

    fn find_by_region(&mut self, look_up: &LookUp<'_>, pixels: Pixelization) -> Result<Lists, GraphError> {
        if self.universe.info(look_up.group).required.len() > 1 {
            return self.find_by_region_and_data_id(look_up, pixels);
        }
        let sets = self.pixel_sets(look_up, pixels)?;
        let mut wanted: HashSet<u64> = HashSet::new();
        let few = sets.as_ref().is_some_and(|sets| {
            sets.values().all(|set| {
                set.len() <= MANY_PIXELS as u64 && {
                    wanted.extend(set.iter());
                    wanted.len() <= MANY_PIXELS
                }
            })
        });
        let key = |pixel: &u64| -> Box<[Key]> { Box::new([Key::Int(i64::try_from(*pixel).unwrap_or(i64::MAX))]) };
        let mut wanted: Vec<Box<[Key]>> = wanted.iter().map(key).collect();
        wanted.sort_unstable();
        let dimensions = if few { vec![pixels.dimension] } else { Vec::new() };
        let mut found = self.fetch.datasets(&self.search(look_up.edge), &dimensions, &wanted)?;
        found.sort_by(|a, b| a.values.cmp(&b.values));
        let indices: Vec<u32> = found.iter().map(|dataset| self.external(look_up.edge.parent(), dataset)).collect();
        let pixel = |dataset: &FoundDataset| match dataset.values.first() {
            Some(Key::Int(pixel)) => u64::try_from(*pixel).unwrap_or(0),
            _ => 0,
        };
        let found: Vec<u64> = found.iter().map(pixel).collect();
        // A task without region gets all there is.
        let Some(sets) = sets else {
            let (_, _, rows) = self.quanta(look_up);
            return Ok(rows.into_iter().map(|row| (row, indices.clone())).collect());
        };
        Ok(sets
            .into_iter()
            .map(|(row, set)| {
                let mut list = Vec::new();
                for range in set.ranges() {
                    let start = found.partition_point(|pixel| *pixel < range.start);
                    let end = found.partition_point(|pixel| *pixel < range.end);
                    list.extend_from_slice(&indices[start..end]);
                }
                (row, list)
            })
            .collect())
    }

    /// Datasets with pixels and other dimensions: those that agree with the data ID, then those whose pixel is touched.
    fn find_by_region_and_data_id(&mut self, look_up: &LookUp<'_>, pixels: Pixelization) -> Result<Lists, GraphError> {
        let sets = self.pixel_sets(look_up, pixels)?;
        let keys = self.keys(look_up);
        let mut wanted: Vec<Box<[Key]>> = keys.quanta.keys().cloned().collect();
        wanted.sort_unstable();
        if wanted.is_empty() {
            return Ok(Lists::new());
        }
        let mut found = self.fetch.datasets(&self.search(look_up.edge), &keys.dimensions, &wanted)?;
        found.sort_by(|a, b| a.values.cmp(&b.values));
        let at = self.universe.info(look_up.group).keys().position(|key| key == pixels.dimension).unwrap_or(0);
        let mut lists: BTreeMap<Row, Vec<u32>> = BTreeMap::new();
        for dataset in &found {
            let Some(Key::Int(pixel)) = dataset.values.get(at) else { continue };
            let pixel = u64::try_from(*pixel).unwrap_or(u64::MAX);
            let key = self.shared_key(look_up.group, &keys.dimensions, dataset);
            let Some(quanta) = keys.quanta.get(&key) else { continue };
            // A task without region gets all there is.
            let touches =
                |row: &Row| sets.as_ref().is_none_or(|sets| sets.get(row).is_some_and(|set| set.contains(pixel)));
            for row in quanta.iter().copied().filter(touches).collect::<Vec<_>>() {
                let index = self.external(look_up.edge.parent(), dataset);
                lists.entry(row).or_default().push(index);
            }
        }
        Ok(lists.into_iter().collect())
    }

    /// The pixels of each quantum's region; none if the task has no region.
    fn pixel_sets(
        &mut self,
        look_up: &LookUp<'_>,
        pixels: Pixelization,
    ) -> Result<Option<BTreeMap<Row, PixelSet>>, GraphError> {
        let task = self.parts[look_up.part].tasks[look_up.label].group;
        let mut sets: BTreeMap<Row, PixelSet> = BTreeMap::new();
        let mut is_spatial = false;
        for element in self.universe.info(task).spatial.clone() {
            is_spatial = true;
            for (row, set) in self.pixels_of(look_up, task, element, pixels, None)? {
                sets.entry(row).and_modify(|known| *known = known.intersection(&set)).or_insert(set);
            }
        }
        for name in &look_up.task.hooks.spatial_bounds {
            let Some((edge, group)) = self.bounds_edge(look_up, name)? else { continue };
            for element in self.universe.info(group).spatial.clone() {
                is_spatial = true;
                for (row, set) in self.pixels_of(look_up, group, element, pixels, Some(&edge))? {
                    sets.entry(row).and_modify(|known| *known = known.union(&set)).or_insert(set);
                }
            }
        }
        Ok(is_spatial.then_some(sets))
    }

    fn pixels_of(
        &mut self,
        look_up: &LookUp<'_>,
        group: DimensionGroup,
        element: ElementIndex,
        pixels: Pixelization,
        through: Option<&Edge>,
    ) -> Result<Vec<(Row, PixelSet)>, GraphError> {
        let universe = self.universe.clone();
        if let Some(own) = Pixelization::of(&universe, element) {
            let (part, ids, rows) = self.quanta(look_up);
            let Some(position) = ids.position(element) else { return Ok(Vec::new()) };
            let pixel = |row: Row| match part.skeleton.keys.key(element, ids.codes(row)[position]) {
                Key::Int(pixel) => u64::try_from(*pixel).unwrap_or(0),
                Key::Str(_) => 0,
            };
            return rows.into_iter().map(|row| Ok((row, own.convert(pixel(row), pixels)?))).collect();
        }
        // Many quanta share a region, such as all visits of one patch.
        let mut known: hashbrown::HashMap<Arc<[u8]>, PixelSet> = hashbrown::HashMap::new();
        let mut sets = Vec::new();
        for (row, value) in self.field_of_quanta(look_up, group, element, FieldRole::Region, through)? {
            let Value::Bytes(region) = value else { continue };
            let set = if let Some(set) = known.get(&region) {
                set.clone()
            } else {
                let set = pixels.envelope(&decode(&region)?)?;
                known.insert(region, set.clone());
                set
            };
            sets.push((row, set));
        }
        Ok(sets)
    }
}

fn decode(region: &[u8]) -> Result<Region, GraphError> {
    Region::decode(region).map_err(|error| GraphError::Build { reason: format!("a region cannot be read: {error}") })
}

/// Adds the pixels of pixelisations that the query does not know, from the regions of its rows.
pub(super) fn add_pixels(
    universe: &Universe,
    rows: &mut JoinRows,
    missing: DimensionGroup,
    fetch: &dyn Fetch,
) -> Result<(), GraphError> {
    for dimension in missing.iter() {
        let Some(pixels) = Pixelization::of(universe, dimension) else { continue };
        let common = universe.common_skypix().index;
        let common_pixels = Pixelization::of(universe, common);
        let per_row: Vec<Vec<i64>> = if let (Some(column), Some(common_pixels)) = (rows.column(common), common_pixels)
            && common_pixels.same_system(pixels)
        {
            let sets: Vec<Vec<i64>> = rows
                .keys
                .keys(common)
                .map(|key| match key {
                    Key::Int(pixel) => Ok(common_pixels.convert(u64::try_from(*pixel).unwrap_or(0), pixels)?.signed()),
                    Key::Str(_) => Ok(Vec::new()),
                })
                .collect::<Result<_, GraphError>>()?;
            column.iter().map(|code| sets[*code as usize].clone()).collect()
        } else {
            pixels_of_rows(universe, rows, pixels, fetch)?
        };
        rows.extend(dimension, &per_row);
    }
    Ok(())
}

fn pixels_of_rows(
    universe: &Universe,
    rows: &JoinRows,
    pixels: Pixelization,
    fetch: &dyn Fetch,
) -> Result<Vec<Vec<i64>>, GraphError> {
    let spatial = |element: &&armillary_dimensions::Element| {
        let is_skypix = matches!(element.kind, ElementKind::SkyPix { .. });
        let known = element.required.iter().all(|dimension| rows.column(dimension).is_some());
        element.spatial.is_some() && !is_skypix && known
    };
    // The finest region is the one with most dimensions.
    let Some(element) = universe.elements().iter().filter(spatial).max_by_key(|element| element.required.len()) else {
        let name = &universe.get(pixels.dimension).name;
        return Err(GraphError::Build {
            reason: format!("nothing in the graph has a region that `{name}` could cover"),
        });
    };
    let group = universe.element_group(element);
    let projection = rows.project(&universe.info(group));
    let mut key_of = Vec::with_capacity(projection.ids.len());
    for row in 0..small(projection.ids.len()) {
        let codes = projection.ids.codes(row);
        let key: Box<[Key]> = element
            .required
            .iter()
            .filter_map(|dimension| Some(rows.keys.key(dimension, codes[projection.ids.position(dimension)?]).clone()))
            .collect();
        key_of.push(key);
    }
    let records: HashMap<Box<[Key]>, Arc<[Value]>> = fetch.records(element.index, &key_of)?.into_iter().collect();
    let field = element.fields.iter().position(|field| field.role == FieldRole::Region);
    let mut sets = Vec::with_capacity(key_of.len());
    for key in &key_of {
        let region = field.and_then(|field| records.get(key).map(|values| &values[field]));
        sets.push(match region {
            Some(Value::Bytes(bytes)) => pixels.envelope(&decode(bytes)?)?.signed(),
            _ => Vec::new(),
        });
    }
    Ok(projection.row_of().iter().map(|row| sets[*row as usize].clone()).collect())
}
