//! The pieces of a graph file, put together.

use super::{
    addresses::invalid,
    model::{DatasetModel, DatastoreModel, Pairs, QuantumModel, Scalar, Text},
    records::record,
    scan::plain_id,
};
use crate::{
    DatasetIndex, GraphError, Header, Id, PipelineGraph, QuantumGraph,
    keys::KeyRef,
    quantum_graph::{DatasetInterner, InitQuantum, StoredFile},
};
use armillary_dimensions::FieldType;
use hashbrown::HashSet;
use std::{collections::HashMap, sync::Arc};

const NO_COMPONENT: &str = "__NULL_STRING__";

/// Parses a document.
pub(super) fn parse<'a, T: serde::Deserialize<'a>>(what: &str, text: &'a [u8]) -> Result<T, GraphError> {
    serde_json::from_slice(text).map_err(|error| invalid(format!("{what}: {error}")))
}

/// An id in any spelling that is one.
pub(super) fn parse_id(text: &Text<'_>) -> Result<Id, GraphError> {
    plain_id(text.0.as_bytes()).map_or_else(
        || {
            uuid::Uuid::try_parse(&text.0)
                .map(uuid::Uuid::into_bytes)
                .map_err(|_| invalid(format!("`{}` is not an id", text.0)))
        },
        Ok,
    )
}

/// The position of a task in the pipeline.
pub(super) fn task_index(graph: &QuantumGraph, label: &str) -> Result<usize, GraphError> {
    graph
        .pipeline
        .tasks()
        .get_index_of(label)
        .ok_or_else(|| invalid(format!("quanta of task `{label}`, which is not in the pipeline")))
}

/// The row of a data ID given as a list of values; required ones first, then implied ones.
pub(super) fn row(graph: &mut QuantumGraph, table: usize, values: &[Scalar<'_>]) -> Result<u32, GraphError> {
    let info = graph.ids.get(table).info().clone();
    let wanted = info.required.len() + info.implied.len();
    if values.len() != wanted {
        let names: Vec<&str> = graph.universe.names(info.group).collect();
        return Err(invalid(format!("a data ID of {} values for dimensions {}", values.len(), names.join(", "))));
    }
    let mut codes = [0; MOST_DIMENSIONS];
    if wanted > codes.len() {
        return Err(invalid(format!("a data ID of {wanted} dimensions")));
    }
    for ((dimension, value), code) in info.keys().zip(values).zip(&mut codes) {
        let element = graph.universe.get(dimension);
        let is_int = element.own_key().is_some_and(|field| field.kind == FieldType::Int);
        let key = match value {
            Scalar::Int(value) if is_int => KeyRef::Int(*value),
            Scalar::Text(value) if !is_int => KeyRef::Str(value),
            Scalar::Int(_) | Scalar::Text(_) => {
                return Err(invalid(format!("a value of dimension `{}` of the wrong type", element.name)));
            }
        };
        *code = graph.ids.keys.code_of(dimension, key);
    }
    let known = graph.ids.row(table, &codes[..wanted]);
    if graph.ids.get(table).codes(known) != &codes[..wanted] {
        return Err(invalid(format!(
            "two data IDs {} with other implied values",
            graph.ids.get(table).data_id(&graph.universe, &graph.ids.keys, known)
        )));
    }
    Ok(known)
}

/// More dimensions than any universe gives one data ID.
const MOST_DIMENSIONS: usize = 64;

/// Puts the pieces of a file together.
#[derive(Default)]
pub(super) struct Assembler {
    pub(super) datasets: DatasetInterner,
    names: HashSet<Arc<str>>,
    pub(super) quanta: HashSet<Id>,
}

impl Assembler {
    pub(super) fn reserve(&mut self, datasets: usize, quanta: usize) {
        self.datasets.reserve(datasets);
        self.quanta.reserve(quanta);
    }

    /// Notes a quantum; `false` if it is known.
    pub(super) fn add_quantum(&mut self, id: Id) -> bool {
        self.quanta.insert(id)
    }

    pub(super) fn quantum(&mut self, graph: &mut QuantumGraph, model: &QuantumModel<'_>) -> Result<Id, GraphError> {
        let task = task_index(graph, &model.task_label.0)?;
        let id = parse_id(&model.quantum_id)?;
        if !self.quanta.insert(id) {
            return Err(invalid(format!("quantum {} occurs twice", model.quantum_id.0)));
        }
        let table = graph.tasks[task].table;
        let row = row(graph, table, &model.data_coordinate)?;
        let mut lists: Vec<Vec<DatasetIndex>> = vec![Vec::new(); graph.tasks[task].connections.len()];
        for (pairs, is_output) in [(&model.inputs, false), (&model.outputs, true)] {
            for (connection, datasets) in &pairs.0 {
                let known = graph.tasks[task]
                    .connections
                    .iter()
                    .position(|known| known.is_output == is_output && known.name == connection.0);
                let known = known.ok_or_else(|| {
                    let label = &model.task_label.0;
                    invalid(format!("connection `{}`, which task `{label}` does not have", connection.0))
                })?;
                lists[known] = datasets.iter().map(|each| self.dataset(graph, each)).collect::<Result<_, _>>()?;
            }
        }
        graph.tasks[task].push(id, row, lists.iter().map(Vec::as_slice));
        self.stored(graph, &model.datastore_records)?;
        Ok(id)
    }

    pub(super) fn init_quantum(
        &mut self,
        graph: &mut QuantumGraph,
        model: &QuantumModel<'_>,
    ) -> Result<(), GraphError> {
        let mut one_each = |graph: &mut QuantumGraph, pairs: &Pairs<'_, Vec<DatasetModel<'_>>>| {
            let mut list = Vec::with_capacity(pairs.0.len());
            for (connection, datasets) in &pairs.0 {
                for each in datasets {
                    list.push((connection.0.clone().into_owned(), self.dataset(graph, each)?));
                }
            }
            Ok::<_, GraphError>(list)
        };
        let label = model.task_label.0.clone().into_owned();
        if !label.is_empty() {
            task_index(graph, &label)?;
        }
        let (inputs, outputs) = (one_each(graph, &model.inputs)?, one_each(graph, &model.outputs)?);
        graph.init.push(InitQuantum { id: parse_id(&model.quantum_id)?, label, inputs, outputs });
        self.stored(graph, &model.datastore_records)
    }

    fn dataset(&mut self, graph: &mut QuantumGraph, model: &DatasetModel<'_>) -> Result<DatasetIndex, GraphError> {
        let name = &model.dataset_type_name.0;
        let of_type = self.datasets.dataset_type(graph, name)?;
        let table = graph.datasets.types[of_type as usize].table;
        let row = row(graph, table, &model.data_coordinate)?;
        self.datasets.dataset(graph, parse_id(&model.dataset_id)?, of_type, row, &model.run.0)
    }

    /// One copy of each of the few names that repeat in all records.
    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        self.names.insert(name.clone());
        name
    }

    pub(super) fn stored(
        &mut self,
        graph: &mut QuantumGraph,
        models: &HashMap<String, DatastoreModel>,
    ) -> Result<(), GraphError> {
        for (datastore, model) in models {
            let datastore = self.name(datastore);
            for (id, tables) in model.records.values().flatten() {
                let id = parse_id(&Text(id.as_str().into()))?;
                let Some(index) = self.datasets.find(&id) else { continue };
                if graph.stored.get(&index).is_some_and(|files| files.iter().any(|file| file.datastore == datastore)) {
                    continue;
                }
                for file in tables.values().flatten() {
                    let component = file.component.as_deref().filter(|component| *component != NO_COMPONENT);
                    let stored = StoredFile {
                        datastore: datastore.clone(),
                        formatter: self.name(&file.formatter),
                        path: file.path.clone(),
                        storage_class: self.name(&file.storage_class),
                        component: component.map(|component| self.name(component)),
                        checksum: file.checksum.clone(),
                        file_size: file.file_size,
                    };
                    graph.stored.entry(index).or_default().push(stored);
                }
            }
        }
        Ok(())
    }
}

/// The JSON documents of a graph that comes from a file of another format.
#[derive(Clone, Copy, Debug)]
pub struct Documents<'a> {
    /// What the graph says of itself.
    pub header: &'a str,
    /// The pipeline, with the universe of its dimensions.
    pub pipeline: &'a str,
    /// A list of quanta that stand for the making of tasks.
    pub init: &'a str,
    /// For each element a list of records, each an object of fields.
    pub records: &'a str,
    /// One document for each quantum.
    pub quanta: &'a [String],
}

/// Puts a graph together, with the same checks as for a file.
pub fn assemble(documents: Documents<'_>) -> Result<QuantumGraph, GraphError> {
    let header: Header = parse("header", documents.header.as_bytes())?;
    let mut graph = QuantumGraph::new(PipelineGraph::from_json(documents.pipeline)?, header)?;
    let mut assembler = Assembler::default();
    let init: Vec<QuantumModel<'_>> = parse("init_quanta", documents.init.as_bytes())?;
    for model in &init {
        assembler.init_quantum(&mut graph, model)?;
    }
    let records: indexmap::IndexMap<String, Vec<serde_json::Map<String, serde_json::Value>>> =
        parse("dimension_data", documents.records.as_bytes())?;
    for (name, rows) in records {
        let element = graph.universe.element(&name)?.clone();
        let values = |mut row: serde_json::Map<String, serde_json::Value>| {
            let fields = element.fields.iter().map(|field| row.remove(&field.name).unwrap_or_default()).collect();
            record(&element, fields)
        };
        let rows = rows.into_iter().map(values).collect::<Result<Vec<_>, _>>()?;
        graph.records.insert(element.index, rows);
    }
    for text in documents.quanta {
        let model: QuantumModel<'_> = parse("a quantum", text.as_bytes())?;
        assembler.quantum(&mut graph, &model)?;
    }
    graph.count();
    Ok(graph)
}
