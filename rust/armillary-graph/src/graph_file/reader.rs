//! Reading of graph files, whole or in part.

use super::{
    addresses::{Address, AddressTable, Integers, invalid},
    archive::{Archive, Span, Unpacker, has_checksum},
    model::{DatasetModel, DatastoreModel, Pairs, QuantumModel, Scalar, Text, ThinId, ThinModel},
};
use crate::{
    DatasetIndex, GraphError, Header, Id, PipelineGraph, QuantumGraph, QuantumIndex,
    keys::KeyRef,
    quantum_graph::{DatasetInterner, InitQuantum, StoredFile},
};
use armillary_dimensions::{Element, FieldType, Timespan, Value};
use hashbrown::HashSet;
use std::{collections::HashMap, path::Path, sync::Arc};

const NO_COMPONENT: &str = "__NULL_STRING__";

/// An open graph file. Opening reads the header and the pipeline, and imports or runs nothing of them.
///
/// What is read adds up: [`GraphReader::read`] with other ids reads only those that are not there yet.
pub struct GraphReader {
    archive: Archive,
    header: Header,
    pipeline: PipelineGraph,
    graph: Option<Arc<QuantumGraph>>,
    assembler: Assembler,
    table: Option<AddressTable>,
}

/// Quanta and what comes before what, without datasets.
#[derive(Clone, Debug)]
pub struct ThinGraph {
    /// Quanta only.
    pub graph: QuantumGraph,
    /// Pairs of quanta of which the second reads what the first writes.
    pub edges: Vec<(QuantumIndex, QuantumIndex)>,
}

/// The name of the table of quantum blocks and of their addresses.
const BLOCKS: &str = "quantum_datasets.mb";
const ADDRESSES: &str = "quanta.addr";

impl GraphReader {
    /// Opens a predicted quantum graph.
    pub fn open(path: &Path) -> Result<Self, GraphError> {
        let mut archive = Archive::open(path)?;
        let header: Header = parse("header", &archive.json("header.json.zst")?)?;
        if header.graph_type != "predicted" {
            return Err(GraphError::WrongGraphType { found: header.graph_type });
        }
        if header.version > Header::VERSION {
            return Err(GraphError::NewerFile { version: header.version, known: Header::VERSION });
        }
        let text = archive.json("pipeline_graph.json.zst")?;
        let text = String::from_utf8(text).map_err(|_| invalid("the pipeline is not UTF-8"))?;
        let pipeline = PipelineGraph::from_json(&text)?;
        Ok(Self { archive, header, pipeline, graph: None, assembler: Assembler::default(), table: None })
    }

    /// What the file says of itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &PipelineGraph {
        &self.pipeline
    }

    fn empty(&self) -> Result<QuantumGraph, GraphError> {
        QuantumGraph::new(self.pipeline.clone(), self.header.clone())
    }

    /// Quanta and edges only.
    pub fn read_thin(&mut self) -> Result<ThinGraph, GraphError> {
        let text = self.archive.json("thin_graph.json.zst")?;
        let model: ThinModel<'_> = parse("thin_graph", &text)?;
        let mut graph = self.empty()?;
        if self.header.version == 0 {
            self.need_table()?;
        }
        let table = self.table.as_ref();
        let id_of = |id: &ThinId<'_>| match id {
            ThinId::Id(id) => parse_id(id),
            // Before ids the files had the numbers of rows of the address table.
            ThinId::Row(row) => {
                let found = table.and_then(|table| table.id_of(*row));
                found.ok_or_else(|| invalid(format!("there is no quantum number {row}")))
            }
        };
        let mut by_id: hashbrown::HashMap<Id, QuantumIndex> = hashbrown::HashMap::new();
        for (label, quanta) in &model.quanta.0 {
            let task = task_index(&graph, &label.0)?;
            let no_datasets = vec![&[][..]; graph.tasks[task].connections.len()];
            for quantum in quanta {
                let table = graph.tasks[task].table;
                let row = row(&mut graph, table, &quantum.data_coordinate)?;
                let id = id_of(&quantum.quantum_id)?;
                let position = crate::keys::small(graph.tasks[task].len());
                let index = QuantumIndex { task: crate::keys::small(task), position };
                if by_id.insert(id, index).is_some() {
                    return Err(invalid(format!("quantum id {} occurs twice", crate::id_text(&id))));
                }
                graph.tasks[task].push(id, row, no_datasets.iter().copied());
            }
        }
        check_counts(&graph)?;
        let find = |id: &ThinId<'_>| {
            let id = id_of(id)?;
            let known = by_id.get(&id).copied();
            known.ok_or_else(|| {
                invalid(format!("an edge of quantum {}, which is not in the graph", crate::id_text(&id)))
            })
        };
        let mut edges = model
            .edges
            .iter()
            .map(|(from, to)| Ok((find(from)?, find(to)?)))
            .collect::<Result<Vec<_>, GraphError>>()?;
        // By reader, each pair once, as `QuantumGraph::quantum_edges` gives them.
        edges.sort_unstable_by_key(|(from, to)| (*to, *from));
        edges.dedup();
        Ok(ThinGraph { graph, edges })
    }

    /// Reads everything, or everything about some quanta, told by their ids; what was read before stays.
    pub fn read(&mut self, ids: Option<&[Id]>) -> Result<Arc<QuantumGraph>, GraphError> {
        self.read_init()?;
        let Some(mut shared) = self.graph.take() else { return Err(invalid("nothing was read")) };
        let mut assembler = std::mem::take(&mut self.assembler);
        let graph = Arc::make_mut(&mut shared);
        let outcome = match ids {
            Some(ids) => self.read_some(ids, graph, &mut assembler),
            None => self.read_all(graph, &mut assembler),
        };
        // After a failure half of a quantum may be there: better to begin again than to go on with that.
        outcome?;
        self.assembler = assembler;
        self.graph = Some(shared.clone());
        Ok(shared)
    }

    /// What the making of the tasks needs, and the dimension records.
    pub fn read_init(&mut self) -> Result<Arc<QuantumGraph>, GraphError> {
        if let Some(graph) = &self.graph {
            return Ok(graph.clone());
        }
        let mut graph = self.empty()?;
        let mut assembler = Assembler::default();
        let text = self.archive.json("init_quanta.json.zst")?;
        let models: Vec<QuantumModel<'_>> = parse("init_quanta", &text)?;
        for model in models {
            assembler.init_quantum(&mut graph, &model)?;
        }
        let text = self.archive.json("dimension_data.json.zst")?;
        read_records(&mut graph, &text)?;
        let graph = Arc::new(graph);
        self.assembler = assembler;
        self.graph = Some(graph.clone());
        Ok(graph)
    }

    /// Reads the table of addresses, unless it is there.
    fn need_table(&mut self) -> Result<(), GraphError> {
        if self.table.is_none() {
            let bytes = self.archive.member(ADDRESSES)?;
            self.table = Some(AddressTable::parse(&bytes, self.header.int_size)?);
        }
        Ok(())
    }

    fn address(&self, id: &Id) -> Option<Address> {
        self.table.as_ref()?.find(id)
    }

    fn read_some(&mut self, ids: &[Id], graph: &mut QuantumGraph, assembler: &mut Assembler) -> Result<(), GraphError> {
        self.need_table()?;
        let integers = Integers::new(self.header.int_size)?;
        let unknown: Vec<Id> = ids.iter().filter(|id| self.address(id).is_none()).copied().collect();
        if !unknown.is_empty() {
            return Err(GraphError::NoSuchQuantum { ids: unknown });
        }
        let span = self.archive.span(BLOCKS)?.filter(|span| self.blocks_guard_themselves(*span, ids));
        // The whole member is read where blocks cannot be found in it, or only the whole has a checksum.
        let whole = if span.is_none() { self.archive.member(BLOCKS)? } else { Vec::new() };
        let mut unpacker = Unpacker::new(self.archive.dictionary())?;
        for id in ids {
            if assembler.quanta.contains(id) {
                continue;
            }
            let Some(address) = self.address(id) else { continue };
            let bytes = match span {
                Some(span) => self.archive.read_span(span, address.offset, address.size)?,
                None => slice(&whole, address.offset, address.size)?.to_vec(),
            };
            let length = integers.read(&bytes).ok_or_else(|| invalid("a block too short for its length"))?;
            if length != (bytes.len() - integers.size) as u64 {
                return Err(invalid("the address table and the length of a block disagree"));
            }
            if span.is_some() && !has_checksum(&bytes[integers.size..]) {
                return Err(invalid("some blocks have checksums and some have none"));
            }
            let text = unpacker.unpack(&bytes[integers.size..])?;
            let model: QuantumModel<'_> = parse("a quantum", &text)?;
            let found = assembler.quantum(graph, &model)?;
            if found != *id {
                return Err(invalid(format!("the block of quantum {} describes another one", crate::id_text(id))));
            }
        }
        Ok(())
    }

    /// Whether the first block that is wanted has a checksum of its own; the maker of a file gives all blocks one or none.
    fn blocks_guard_themselves(&self, span: Span, ids: &[Id]) -> bool {
        const LONGEST_HEADER: u64 = 5;
        let Some(address) = ids.first().and_then(|id| self.address(id)) else { return true };
        let start = address.offset.saturating_add(self.header.int_size as u64);
        self.archive.read_span(span, start, LONGEST_HEADER).is_ok_and(|frame| has_checksum(&frame))
    }

    fn read_all(&mut self, graph: &mut QuantumGraph, assembler: &mut Assembler) -> Result<(), GraphError> {
        self.need_table()?;
        let rows = self.table.as_ref().map_or(0, AddressTable::len);
        let integers = Integers::new(self.header.int_size)?;
        let bytes = self.archive.member(BLOCKS)?;
        let mut unpacker = Unpacker::new(self.archive.dictionary())?;
        let mut rest = &bytes[..];
        let mut count = 0;
        let before = assembler.quanta.clone();
        // No more than blocks of no length at all could say; a header may claim anything.
        assembler.reserve(self.header.n_datasets.min(bytes.len() / 16), rows);
        while !rest.is_empty() {
            let length = integers.read(rest).ok_or_else(|| invalid("the blocks end inside of a length"))?;
            let body = slice(rest, integers.size as u64, length)?;
            rest = &rest[integers.size + body.len()..];
            let model: QuantumModel<'_> = parse("a quantum", unpacker.unpack_again(body)?)?;
            if before.is_empty() || !before.contains(&parse_id(&model.quantum_id)?) {
                assembler.quantum(graph, &model)?;
            }
            count += 1;
        }
        if count != rows {
            return Err(invalid(format!("{count} quanta where the address table has {rows}")));
        }
        check_counts(graph)
    }
}

fn slice(bytes: &[u8], offset: u64, size: u64) -> Result<&[u8], GraphError> {
    let range = usize::try_from(offset).ok().zip(usize::try_from(size).ok()).and_then(|(start, size)| {
        let end = start.checked_add(size)?;
        bytes.get(start..end)
    });
    range.ok_or_else(|| invalid(format!("a block of {size} bytes at {offset} lies outside of its member")))
}

fn parse<'a, T: serde::Deserialize<'a>>(what: &str, text: &'a [u8]) -> Result<T, GraphError> {
    serde_json::from_slice(text).map_err(|error| invalid(format!("{what}: {error}")))
}

/// A graph that is read as a whole must have as many quanta as the header says, if it says it.
fn check_counts(graph: &QuantumGraph) -> Result<(), GraphError> {
    let header = &graph.header;
    if header.n_quanta != 0 && header.n_quanta != graph.len() {
        return Err(invalid(format!("the header says {} quanta and there are {}", header.n_quanta, graph.len())));
    }
    for task in graph.tasks.iter().filter(|_| header.n_quanta != 0) {
        if let Some(said) = header.n_task_quanta.get(&task.label).filter(|said| **said != task.len()) {
            let (label, found) = (&task.label, task.len());
            return Err(invalid(format!("the header says {said} quanta of task `{label}` and there are {found}")));
        }
    }
    Ok(())
}

fn parse_id(text: &Text<'_>) -> Result<Id, GraphError> {
    fast_id(text.0.as_bytes()).map_or_else(
        || {
            uuid::Uuid::try_parse(&text.0)
                .map(uuid::Uuid::into_bytes)
                .map_err(|_| invalid(format!("`{}` is not an id", text.0)))
        },
        Ok,
    )
}

/// An id in the usual spelling: 32 digits in five groups.
fn fast_id(text: &[u8]) -> Option<Id> {
    if text.len() != 36 || [8, 13, 18, 23].iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let mut id = [0; 16];
    let mut at = 0;
    for (i, byte) in id.iter_mut().enumerate() {
        at += usize::from(matches!(i, 4 | 6 | 8 | 10));
        *byte = digit(text[at])? << 4 | digit(text[at + 1])?;
        at += 2;
    }
    Some(id)
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn task_index(graph: &QuantumGraph, label: &str) -> Result<usize, GraphError> {
    graph
        .pipeline
        .tasks()
        .get_index_of(label)
        .ok_or_else(|| invalid(format!("quanta of task `{label}`, which is not in the pipeline")))
}

/// The row of a data ID given as a list of values; required ones first, then implied ones.
fn row(graph: &mut QuantumGraph, table: usize, values: &[Scalar<'_>]) -> Result<u32, GraphError> {
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
struct Assembler {
    datasets: DatasetInterner,
    names: HashSet<Arc<str>>,
    quanta: HashSet<Id>,
}

impl Assembler {
    fn reserve(&mut self, datasets: usize, quanta: usize) {
        self.datasets.reserve(datasets);
        self.quanta.reserve(quanta);
    }

    fn quantum(&mut self, graph: &mut QuantumGraph, model: &QuantumModel<'_>) -> Result<Id, GraphError> {
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

    fn init_quantum(&mut self, graph: &mut QuantumGraph, model: &QuantumModel<'_>) -> Result<(), GraphError> {
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

    fn stored(&mut self, graph: &mut QuantumGraph, models: &HashMap<String, DatastoreModel>) -> Result<(), GraphError> {
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

fn read_records(graph: &mut QuantumGraph, text: &[u8]) -> Result<(), GraphError> {
    let model: indexmap::IndexMap<String, Vec<Vec<serde_json::Value>>> = parse("dimension_data", text)?;
    for (name, rows) in model {
        let element = graph.universe.element(&name)?.clone();
        let rows = rows.into_iter().map(|row| record(&element, row)).collect::<Result<Vec<_>, _>>()?;
        graph.records.insert(element.index, rows);
    }
    Ok(())
}

fn record(element: &Element, row: Vec<serde_json::Value>) -> Result<Arc<[Value]>, GraphError> {
    if row.len() != element.fields.len() {
        return Err(invalid(format!(
            "a record of `{}` has {} values where {} are wanted",
            element.name,
            row.len(),
            element.fields.len()
        )));
    }
    let bad = |field: &str| invalid(format!("a value of `{}.{field}` of the wrong type", element.name));
    element
        .fields
        .iter()
        .zip(row)
        .map(|(field, value)| value_of(field.kind, value).ok_or_else(|| bad(&field.name)))
        .collect()
}

fn value_of(kind: FieldType, value: serde_json::Value) -> Option<Value> {
    use serde_json::Value as Json;
    if value.is_null() {
        return Some(Value::Null);
    }
    Some(match kind {
        FieldType::Int => Value::Int(value.as_i64()?),
        FieldType::Float => Value::Float(value.as_f64()?),
        FieldType::Bool => Value::Bool(value.as_bool()?),
        FieldType::String { .. } => Value::Str(value.as_str()?.into()),
        FieldType::Hash { .. } | FieldType::Region => Value::Bytes(from_hex(value.as_str()?)?.into()),
        FieldType::Timespan => {
            let Json::Array(bounds) = value else { return None };
            let [begin, end] = bounds.as_slice() else { return None };
            Value::Timespan(Timespan::new(begin.as_i64()?, end.as_i64()?))
        }
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    bytes.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
