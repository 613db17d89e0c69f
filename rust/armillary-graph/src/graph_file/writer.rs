//! Writing of graph files.

use super::{
    addresses::{Address, AddressTable, Integers},
    json_out as out,
};
use crate::{
    DatasetIndex, GraphError, Id, QuantumGraph, QuantumIndex,
    quantum_graph::{InitQuantum, StoredFile},
};
use armillary_dimensions::ElementIndex;
use std::{
    collections::HashMap,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// Level of zstd. With a dictionary from all over the graph, 1 is as small as 10 with one from its beginning.
    pub level: i32,
    /// Size in bytes of the dictionary that small blocks share; 0 for none.
    pub dictionary_size: usize,
    /// Number of blocks the dictionary is learned from; smaller graphs get none.
    pub dictionary_samples: usize,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { level: 1, dictionary_size: 32_768, dictionary_samples: 128 }
    }
}

/// Learning takes 20 ms whatever the graph; below this number of quanta it takes longer than it saves.
const WORTH_LEARNING: usize = 4096;

/// The class of the records of a file datastore, as the file format names it.
const STORED_FILE_CLASS: &str = "lsst.daf.butler.datastore.stored_file_info.StoredFileInfo";
/// The table of those records.
const STORED_FILE_TABLE: &str = "file_datastore_records";
/// What stands for "the whole dataset" in a record.
const NO_COMPONENT: &str = "__NULL_STRING__";

/// Writes a graph. The file appears under its name only when it is complete.
pub fn write(graph: &QuantumGraph, path: &Path, options: WriteOptions) -> Result<(), GraphError> {
    check(graph)?;
    let integers = Integers::new(graph.header.int_size)?;
    let quanta: Vec<QuantumIndex> = graph.quanta().collect();
    let rendered = Rendered::new(graph);
    let dictionary = dictionary(&rendered, &quanta, options);
    let mut file = Output::create(path, options.level, dictionary.as_deref())?;
    // A graph that was read from an older file is written as a new one.
    let header = crate::Header { version: crate::Header::VERSION, ..graph.header.clone() };
    file.json("header", &to_json(&header)?)?;
    if let Some(dictionary) = &dictionary {
        file.member("compression_dict", dictionary)?;
    }
    file.json("pipeline_graph", graph.pipeline.to_json()?.as_bytes())?;
    file.json("thin_graph", &rendered.thin()?)?;
    file.json("dimension_data", &dimension_data(graph))?;
    let mut init = Vec::new();
    out::list(&mut init, &graph.init, |text, quantum| rendered.init_quantum(text, quantum));
    file.json("init_quanta", &init)?;
    let rows = file.blocks("quantum_datasets.mb", &rendered, &quanta, integers)?;
    file.member("quanta.addr", &AddressTable::serialize(rows, integers))?;
    file.finish()
}

/// A graph that was read in part must not replace the whole.
fn check(graph: &QuantumGraph) -> Result<(), GraphError> {
    for task in &graph.tasks {
        let said = graph.header.n_task_quanta.get(&task.label).copied().unwrap_or(0);
        if said != task.len() {
            return Err(GraphError::Incomplete { label: task.label.clone(), said, found: task.len() });
        }
    }
    Ok(())
}

fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>, GraphError> {
    serde_json::to_vec(value).map_err(|error| GraphError::InvalidFile { reason: error.to_string() })
}

/// What small blocks have in common: learned from blocks all over a large graph, some blocks as they are for a small one.
fn dictionary(rendered: &Rendered<'_>, quanta: &[QuantumIndex], options: WriteOptions) -> Option<Vec<u8>> {
    let WriteOptions { dictionary_size: size, dictionary_samples: count, .. } = options;
    if size == 0 || count == 0 || quanta.len() < count {
        return None;
    }
    // Quanta come task by task, so that equal steps meet every task by its share.
    let sample = |i: usize| {
        let mut text = Vec::new();
        rendered.quantum(&mut text, quanta[i * quanta.len() / count]);
        text
    };
    if quanta.len() < WORTH_LEARNING {
        let mut bytes = Vec::with_capacity(2 * size);
        // From the whole range in few steps, until it is full.
        let step = (count / 24).max(1);
        for i in (0..count).step_by(step) {
            bytes.extend(sample(i));
            if bytes.len() >= size {
                break;
            }
        }
        bytes.truncate(size);
        return Some(bytes);
    }
    let samples: Vec<Vec<u8>> = (0..count).map(sample).collect();
    // Samples too alike to learn from: the file does without.
    zstd::dict::from_samples(&samples, size).ok().filter(|bytes| !bytes.is_empty())
}

/// JSON text of what repeats in all blocks, written once.
struct Rendered<'g> {
    graph: &'g QuantumGraph,
    /// For each table the columns of its data IDs.
    tables: Vec<Vec<Arc<Texts>>>,
    /// For each dataset type what stands between the id and the values of its data ID.
    types: Vec<Vec<u8>>,
    /// For each run what follows the data ID.
    runs: Vec<Vec<u8>>,
    /// For each task what stands between the id and the values of its data ID.
    labels: Vec<Vec<u8>>,
    /// For each task its connections: name, with the colon.
    connections: Vec<Vec<Vec<u8>>>,
}

/// Many short texts.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn get(&self, at: u32) -> &[u8] {
        let at = at as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at]]
    }
}

fn quoted(before: &str, text: &str, after: &str) -> Vec<u8> {
    let mut bytes = before.as_bytes().to_vec();
    out::text(&mut bytes, text);
    bytes.extend_from_slice(after.as_bytes());
    bytes
}

impl<'g> Rendered<'g> {
    fn new(graph: &'g QuantumGraph) -> Self {
        let mut values: HashMap<ElementIndex, Arc<Texts>> = HashMap::new();
        let mut column = |dimension: ElementIndex| {
            let made = values.entry(dimension).or_insert_with(|| {
                let mut texts = Texts::default();
                for key in graph.ids.keys.keys(dimension) {
                    out::key(&mut texts.bytes, key);
                    texts.ends.push(texts.bytes.len());
                }
                Arc::new(texts)
            });
            made.clone()
        };
        let tables = (0..graph.ids.len()).map(|table| graph.ids.get(table).info().keys().map(&mut column).collect());
        let tables = tables.collect();
        let type_text = |name: &str| quoted(",\"dataset_type_name\":", name, ",\"data_coordinate\":");
        let name = |connection: &crate::GraphConnection| quoted("", &connection.name, ":");
        Self {
            graph,
            tables,
            types: graph.datasets.types.iter().map(|of_type| type_text(&of_type.name)).collect(),
            runs: graph.datasets.runs.iter().map(|run| quoted(",\"run\":", run, "}")).collect(),
            labels: graph
                .tasks
                .iter()
                .map(|task| quoted(",\"task_label\":", &task.label, ",\"data_coordinate\":"))
                .collect(),
            connections: graph.tasks.iter().map(|task| task.connections.iter().map(name).collect()).collect(),
        }
    }

    fn coordinate(&self, text: &mut Vec<u8>, table: usize, row: u32) {
        text.push(b'[');
        for (i, (column, code)) in self.tables[table].iter().zip(self.graph.ids.get(table).codes(row)).enumerate() {
            if i > 0 {
                text.push(b',');
            }
            text.extend_from_slice(column.get(*code));
        }
        text.push(b']');
    }

    fn dataset(&self, text: &mut Vec<u8>, index: DatasetIndex) {
        let datasets = &self.graph.datasets;
        let of_type = datasets.type_of[index.get()] as usize;
        text.extend_from_slice(b"{\"dataset_id\":");
        out::id(text, &datasets.id[index.get()], true);
        text.extend_from_slice(&self.types[of_type]);
        self.coordinate(text, datasets.types[of_type].table, datasets.row[index.get()]);
        text.extend_from_slice(&self.runs[datasets.run[index.get()] as usize]);
    }

    fn quantum(&self, text: &mut Vec<u8>, quantum: QuantumIndex) {
        let at = quantum.task as usize;
        let (task, position) = (&self.graph.tasks[at], quantum.position as usize);
        text.extend_from_slice(b"{\"quantum_id\":");
        out::id(text, &task.id[position], true);
        text.extend_from_slice(&self.labels[at]);
        self.coordinate(text, task.table, task.row[position]);
        for (name, is_output) in [(&b",\"inputs\":{"[..], false), (b"},\"outputs\":{", true)] {
            text.extend_from_slice(name);
            let lists = task.lists(position).zip(&self.connections[at]);
            let lists = lists.filter(|((connection, _), _)| connection.is_output == is_output);
            for (i, ((_, list), name)) in lists.enumerate() {
                if i > 0 {
                    text.push(b',');
                }
                text.extend_from_slice(name);
                out::list(text, list, |text, index| self.dataset(text, *index));
            }
        }
        text.extend_from_slice(b"},\"datastore_records\":");
        if self.graph.stored.is_empty() {
            text.extend_from_slice(b"{}");
        } else {
            let mut inputs: Vec<DatasetIndex> = task.inputs(position).collect();
            inputs.sort_unstable();
            inputs.dedup();
            datastore_records(text, self.graph, &inputs);
        }
        text.push(b'}');
    }

    fn init_quantum(&self, text: &mut Vec<u8>, quantum: &InitQuantum) {
        text.extend_from_slice(b"{\"quantum_id\":");
        out::id(text, &quantum.id, true);
        text.extend_from_slice(b",\"task_label\":");
        out::text(text, &quantum.label);
        text.extend_from_slice(b",\"data_coordinate\":[]");
        for (name, list) in [("inputs", &quantum.inputs), ("outputs", &quantum.outputs)] {
            text.extend_from_slice(format!(",\"{name}\":").as_bytes());
            out::object(text, list.iter().map(|(connection, index)| (connection.as_str(), index)), |text, index| {
                out::list(text, [index], |text, index| self.dataset(text, *index));
            });
        }
        text.extend_from_slice(b",\"datastore_records\":");
        let inputs: Vec<DatasetIndex> = quantum.inputs.iter().map(|(_, index)| *index).collect();
        datastore_records(text, self.graph, &inputs);
        text.push(b'}');
    }

    fn thin(&self) -> Result<Vec<u8>, GraphError> {
        let graph = self.graph;
        let mut text = b"{\"quanta\":".to_vec();
        out::object(&mut text, graph.tasks.iter().map(|task| (task.label.as_str(), task)), |text, task| {
            out::list(text, task.id.iter().zip(&task.row), |text, (id, row)| {
                text.extend_from_slice(b"{\"quantum_id\":");
                out::id(text, id, true);
                text.extend_from_slice(b",\"data_coordinate\":");
                self.coordinate(text, task.table, *row);
                text.push(b'}');
            });
        });
        text.extend_from_slice(b",\"edges\":");
        out::list(&mut text, graph.quantum_edges()?, |text, (from, to)| {
            out::list(text, [from, to], |text, quantum| out::id(text, graph.quantum_id(quantum), true));
        });
        text.push(b'}');
        Ok(text)
    }
}

fn dimension_data(graph: &QuantumGraph) -> Vec<u8> {
    let mut text = Vec::new();
    let elements = graph.records.iter().map(|(element, rows)| (graph.universe.get(*element).name.as_str(), rows));
    out::object(&mut text, elements, |text, rows| {
        out::list(text, rows, |text, row| out::list(text, row.iter(), out::value));
    });
    text
}

type FilesByDataset<'a> = Vec<(DatasetIndex, Vec<&'a StoredFile>)>;

/// What the datastores know of some datasets, by datastore.
fn datastore_records(text: &mut Vec<u8>, graph: &QuantumGraph, inputs: &[DatasetIndex]) {
    let mut by_datastore: Vec<(&str, FilesByDataset<'_>)> = Vec::new();
    for index in inputs {
        for file in graph.stored.get(index).into_iter().flatten() {
            let at = by_datastore.iter().position(|(name, _)| *name == &*file.datastore).unwrap_or_else(|| {
                by_datastore.push((&file.datastore, Vec::new()));
                by_datastore.len() - 1
            });
            match by_datastore[at].1.last_mut() {
                Some((last, files)) if last == index => files.push(file),
                _ => by_datastore[at].1.push((*index, vec![file])),
            }
        }
    }
    out::object(text, by_datastore, |text, datasets| {
        text.extend_from_slice(b"{\"dataset_ids\":");
        out::list(text, &datasets, |text, (index, _)| out::id(text, &graph.datasets.id[index.get()], true));
        text.extend_from_slice(format!(",\"records\":{{\"{STORED_FILE_CLASS}\":{{").as_bytes());
        for (i, (index, files)) in datasets.iter().enumerate() {
            if i > 0 {
                text.push(b',');
            }
            out::id(text, &graph.datasets.id[index.get()], false);
            text.extend_from_slice(format!(":{{\"{STORED_FILE_TABLE}\":").as_bytes());
            out::list(text, files, |text, file| stored_file(text, file));
            text.push(b'}');
        }
        text.extend_from_slice(b"}}}");
    });
}

fn stored_file(text: &mut Vec<u8>, file: &StoredFile) {
    let component = file.component.as_deref().unwrap_or(NO_COMPONENT);
    let fields: [(&str, &str); 4] = [
        ("formatter", &file.formatter),
        ("path", &file.path),
        ("storage_class", &file.storage_class),
        ("component", component),
    ];
    text.push(b'{');
    for (name, value) in fields {
        out::text(text, name);
        text.push(b':');
        out::text(text, value);
        text.push(b',');
    }
    text.extend_from_slice(b"\"checksum\":");
    match &file.checksum {
        Some(checksum) => out::text(text, checksum),
        None => text.extend_from_slice(b"null"),
    }
    text.extend_from_slice(b",\"file_size\":");
    out::integer(text, file.file_size);
    text.push(b'}');
}

/// A file that is being written, under a name of its own.
struct Output<'a> {
    path: PathBuf,
    temporary: PathBuf,
    zip: Option<ZipWriter<BufWriter<File>>>,
    level: i32,
    dictionary: Option<&'a [u8]>,
}

impl<'a> Output<'a> {
    fn create(path: &Path, level: i32, dictionary: Option<&'a [u8]>) -> Result<Self, GraphError> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let temporary = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let file = File::create(&temporary).map_err(|error| GraphError::io(path, error))?;
        let zip = Some(ZipWriter::new(BufWriter::new(file)));
        Ok(Self { path: path.to_owned(), temporary, zip, level, dictionary })
    }

    fn packer(level: i32, dictionary: Option<&[u8]>) -> Result<zstd::bulk::Compressor<'static>, GraphError> {
        let packer = match dictionary {
            Some(bytes) => zstd::bulk::Compressor::with_dictionary(level, bytes),
            None => zstd::bulk::Compressor::new(level),
        };
        let failed = |error| GraphError::InvalidFile { reason: format!("zstd: {error}") };
        let mut packer = packer.map_err(failed)?;
        // A block that is read alone has no other guard against flipped bits.
        packer.include_checksum(true).map_err(failed)?;
        Ok(packer)
    }

    fn failed(&self, error: impl Into<std::io::Error>) -> GraphError {
        GraphError::io(&self.path, error.into())
    }

    fn begin(&mut self, name: &str) -> Result<(), GraphError> {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
        let started = self.zip.as_mut().map_or(Ok(()), |zip| zip.start_file(name, options));
        started.map_err(|error| self.failed(error))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), GraphError> {
        let written = self.zip.as_mut().map_or(Ok(()), |zip| zip.write_all(bytes));
        written.map_err(|error| self.failed(error))
    }

    fn member(&mut self, name: &str, bytes: &[u8]) -> Result<(), GraphError> {
        self.begin(name)?;
        self.put(bytes)
    }

    fn json(&mut self, name: &str, text: &[u8]) -> Result<(), GraphError> {
        let packed = Self::packer(self.level, self.dictionary)?.compress(text).map_err(|error| self.failed(error))?;
        self.member(&format!("{name}.json.zst"), &packed)
    }

    /// One block per quantum, packed by as many threads as there are cores.
    fn blocks(
        &mut self,
        name: &str,
        rendered: &Rendered<'_>,
        quanta: &[QuantumIndex],
        integers: Integers,
    ) -> Result<Vec<(Id, Address)>, GraphError> {
        self.begin(name)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut rows = Vec::with_capacity(quanta.len());
        let mut offset = 0;
        // In portions, so that memory does not grow with the graph.
        for portion in quanta.chunks(4096 * threads) {
            let per_thread = portion.len().div_ceil(threads);
            let (level, dictionary) = (self.level, self.dictionary);
            let packed: Vec<Result<Vec<Vec<u8>>, GraphError>> = std::thread::scope(|scope| {
                let work = |part: &'_ [QuantumIndex]| -> Result<Vec<Vec<u8>>, GraphError> {
                    let mut packer = Self::packer(level, dictionary)?;
                    let mut text = Vec::new();
                    part.iter()
                        .map(|quantum| {
                            text.clear();
                            rendered.quantum(&mut text, *quantum);
                            let block = packer.compress(&text);
                            block.map_err(|error| GraphError::InvalidFile { reason: format!("zstd: {error}") })
                        })
                        .collect()
                };
                let handles: Vec<_> = portion.chunks(per_thread).map(|part| scope.spawn(move || work(part))).collect();
                let died = || Err(GraphError::InvalidFile { reason: "a packing thread died".to_owned() });
                handles.into_iter().map(|handle| handle.join().unwrap_or_else(|_| died())).collect()
            });
            let mut ids = portion.iter().map(|quantum| *rendered.graph.quantum_id(*quantum));
            for blocks in packed {
                for (block, id) in blocks?.into_iter().zip(&mut ids) {
                    let mut length = Vec::with_capacity(8);
                    integers.write(&mut length, block.len() as u64);
                    self.put(&length)?;
                    self.put(&block)?;
                    let size = (integers.size + block.len()) as u64;
                    rows.push((id, Address { offset, size }));
                    offset += size;
                }
            }
        }
        Ok(rows)
    }

    fn finish(mut self) -> Result<(), GraphError> {
        let Some(zip) = self.zip.take() else { return Ok(()) };
        let done = || -> std::io::Result<()> {
            let file = zip.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.sync_all()?;
            std::fs::rename(&self.temporary, &self.path)
        };
        done().map_err(|error| self.failed(error))
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        // After success there is nothing left under this name.
        let _ = std::fs::remove_file(&self.temporary);
    }
}
