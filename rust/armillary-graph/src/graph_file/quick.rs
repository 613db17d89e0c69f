//! The quick way through the blocks of a graph: straight from text to columns, for the spelling that writers use.
//!
//! Every doubt gives `None`; the full parser then reads the same text again, and either finds nothing wrong or says what
//! is. What was added to the graph before the doubt arose does no harm: the full parser adds the same, or refuses all.

use super::{
    assembler::{Assembler, row},
    json_out as out,
    model::DatastoreModel,
    scan::Scanner,
};
use crate::{DatasetIndex, Id, QuantumGraph, QuantumIndex, Row, keys::small};
use hashbrown::DefaultHashBuilder;
use std::{collections::HashMap, hash::BuildHasher};

/// Reads blocks of quanta one after the other.
pub(super) struct QuickReader {
    tasks: Vec<TaskTexts>,
    last: usize,
    rows: RowCache,
    lists: Vec<Vec<DatasetIndex>>,
    seen: Vec<bool>,
}

/// How the block of a quantum of one task is spelled.
struct TaskTexts {
    /// From the id to the values of the data ID.
    head: Vec<u8>,
    table: usize,
    connections: Vec<ConnectionTexts>,
}

/// How the datasets of one connection are spelled.
struct ConnectionTexts {
    is_output: bool,
    /// The name, with the bracket of the list.
    key: Vec<u8>,
    /// Its dataset type.
    name: String,
    /// From the id of a dataset to the values of its data ID.
    middle: Vec<u8>,
    /// Number of the dataset type and of the table of its data IDs, once one was read.
    of_type: Option<(u32, usize)>,
    /// What follows the data ID of the dataset that was read last, and the number of its run.
    run: (Vec<u8>, u32),
}

fn spelled(before: &str, text: &str, after: &str) -> Vec<u8> {
    let mut bytes = before.as_bytes().to_vec();
    out::text(&mut bytes, text);
    bytes.extend_from_slice(after.as_bytes());
    bytes
}

impl QuickReader {
    pub(super) fn new(graph: &QuantumGraph) -> Self {
        let tasks = graph.tasks.iter().zip(graph.pipeline.tasks().values()).map(|(quanta, task)| {
            let connection = |connection: &crate::GraphConnection| {
                let edge = task.edges().map(|(_, edge)| edge).find(|edge| edge.connection == connection.name);
                let name = edge.map(|edge| edge.parent().to_owned()).unwrap_or_default();
                ConnectionTexts {
                    is_output: connection.is_output,
                    key: spelled("", &connection.name, ":["),
                    middle: spelled(",\"dataset_type_name\":", &name, ",\"data_coordinate\":["),
                    name,
                    of_type: None,
                    run: (Vec::new(), 0),
                }
            };
            TaskTexts {
                head: spelled(",\"task_label\":", &quanta.label, ",\"data_coordinate\":["),
                table: quanta.table,
                connections: quanta.connections.iter().map(connection).collect(),
            }
        });
        let most = graph.tasks.iter().map(|task| task.connections.len()).max().unwrap_or(0);
        Self {
            tasks: tasks.collect(),
            last: 0,
            rows: RowCache::new(),
            lists: vec![Vec::new(); most],
            seen: vec![false; most],
        }
    }

    /// Adds the quantum of a block, which must not be there yet.
    pub(super) fn quantum(&mut self, graph: &mut QuantumGraph, assembler: &mut Assembler, text: &[u8]) -> Option<Id> {
        let mut scan = Scanner::new(text);
        scan.expect(b"{\"quantum_id\":")?;
        let id = scan.id()?;
        if !self.tasks.get(self.last).is_some_and(|task| scan.skip(&task.head)) {
            self.last = self.tasks.iter().position(|task| scan.skip(&task.head))?;
        }
        let task = &mut self.tasks[self.last];
        let row = self.rows.row(graph, task.table, &mut scan)?;
        self.seen.fill(false);
        self.lists.iter_mut().for_each(Vec::clear);
        for (name, is_output) in [(&b",\"inputs\":{"[..], false), (b"},\"outputs\":{", true)] {
            scan.expect(name)?;
            let mut next = 0;
            let mut is_first = true;
            while !scan.rest().starts_with(b"}") {
                if !is_first {
                    scan.expect(b",")?;
                }
                is_first = false;
                let count = task.connections.len();
                let mut order = (0..count).map(|i| (next + i) % count);
                let known = order
                    .find(|at| task.connections[*at].is_output == is_output && scan.skip(&task.connections[*at].key))?;
                // A name that comes twice is for the full parser to judge.
                if std::mem::replace(&mut self.seen[known], true) {
                    return None;
                }
                task.connections[known].datasets(
                    graph,
                    assembler,
                    &mut self.rows,
                    &mut scan,
                    &mut self.lists[known],
                )?;
                next = known + 1;
            }
        }
        scan.expect(b"},\"datastore_records\":")?;
        if scan.rest() != b"{}}" {
            let records = scan.rest().strip_suffix(b"}")?;
            let records: HashMap<String, DatastoreModel> = serde_json::from_slice(records).ok()?;
            assembler.stored(graph, &records).ok()?;
        }
        if !assembler.add_quantum(id) {
            return None;
        }
        let quanta = &mut graph.tasks[self.last];
        let count = quanta.connections.len();
        quanta.push(id, row, self.lists[..count].iter().map(Vec::as_slice));
        Some(id)
    }
}

impl ConnectionTexts {
    /// The datasets of a list up to its closing bracket, which is passed too.
    fn datasets(
        &mut self,
        graph: &mut QuantumGraph,
        assembler: &mut Assembler,
        rows: &mut RowCache,
        scan: &mut Scanner<'_>,
        list: &mut Vec<DatasetIndex>,
    ) -> Option<()> {
        if scan.skip(b"]") {
            return Some(());
        }
        loop {
            scan.expect(b"{\"dataset_id\":")?;
            let id = scan.id()?;
            scan.expect(&self.middle)?;
            let (of_type, table) = if let Some(known) = self.of_type {
                known
            } else {
                let of_type = assembler.datasets.dataset_type(graph, &self.name).ok()?;
                *self.of_type.insert((of_type, graph.datasets.types[of_type as usize].table))
            };
            let row = rows.row(graph, table, scan)?;
            if self.run.0.is_empty() || !scan.skip(&self.run.0) {
                scan.expect(b",\"run\":")?;
                let run = scan.text()?;
                scan.expect(b"}")?;
                self.run = (spelled(",\"run\":", run, "}"), graph.datasets.run_number(run));
            }
            list.push(assembler.datasets.dataset_in(graph, id, of_type, row, self.run.1).ok()?);
            if scan.skip(b"]") {
                return Some(());
            }
            scan.expect(b",")?;
        }
    }
}

/// Rows of data IDs by their text: many datasets of neighbouring quanta share theirs.
///
/// Only whole texts that were parsed are kept, so that an equal text means the same, wherever its brackets are.
struct RowCache {
    slots: Vec<Slot>,
    hasher: DefaultHashBuilder,
}

/// Longer texts are parsed each time.
const LONGEST: usize = 94;
/// As many as fit the second-level cache of a core.
const SLOTS: usize = 8192;

#[derive(Clone, Copy)]
struct Slot {
    table: u32,
    row: Row,
    length: u8,
    text: [u8; LONGEST],
}

impl RowCache {
    fn new() -> Self {
        let empty = Slot { table: u32::MAX, row: 0, length: 0, text: [0; LONGEST] };
        Self { slots: vec![empty; SLOTS], hasher: DefaultHashBuilder::default() }
    }

    #[allow(clippy::cast_possible_truncation, reason = "the low bits of a hash are as good as all")]
    fn place(&self, table: u32, text: &[u8]) -> usize {
        self.hasher.hash_one((table, text)) as usize % SLOTS
    }

    /// The row of the data ID whose values come next; its opening bracket was passed.
    fn row(&mut self, graph: &mut QuantumGraph, table: usize, scan: &mut Scanner<'_>) -> Option<Row> {
        let number = small(table);
        let text = scan.up_to_bracket()?;
        let place = self.place(number, text);
        let slot = &self.slots[place];
        if slot.table == number && &slot.text[..slot.length as usize] == text {
            scan.advance(text.len());
            return Some(slot.row);
        }
        let before = scan.rest();
        let mut values = Vec::new();
        scan.values(&mut values)?;
        let row = row(graph, table, &values).ok()?;
        let whole = &before[..before.len() - scan.rest().len()];
        if whole.len() == text.len() && whole.len() <= LONGEST {
            let slot = &mut self.slots[place];
            (slot.table, slot.row, slot.length) = (number, row, u8::try_from(whole.len()).ok()?);
            slot.text[..whole.len()].copy_from_slice(whole);
        }
        Some(row)
    }
}

/// Quanta and edges of a graph that has none yet.
pub(super) fn thin(graph: &mut QuantumGraph, text: &[u8]) -> Option<Vec<(QuantumIndex, QuantumIndex)>> {
    let mut scan = Scanner::new(text);
    let mut by_id: hashbrown::HashMap<Id, QuantumIndex> =
        hashbrown::HashMap::with_capacity(graph.header.n_quanta.min(text.len() / 64));
    let mut rows = RowCache::new();
    scan.expect(b"{\"quanta\":{")?;
    let mut is_first = true;
    while !scan.skip(b"}") {
        if !is_first {
            scan.expect(b",")?;
        }
        is_first = false;
        let task = graph.pipeline.tasks().get_index_of(scan.text()?)?;
        // A label that comes twice is for the full parser to judge.
        if !graph.tasks[task].is_empty() {
            return None;
        }
        scan.expect(b":[")?;
        thin_quanta(graph, task, &mut scan, &mut rows, &mut by_id)?;
    }
    scan.expect(b",\"edges\":[")?;
    let mut edges = Vec::new();
    if !scan.skip(b"]}") {
        // Edges come by reader, so that the second quantum is often that of the edge before.
        let mut last: Option<(Id, QuantumIndex)> = None;
        loop {
            scan.expect(b"[")?;
            let from = scan.id()?;
            scan.expect(b",")?;
            let to = scan.id()?;
            scan.expect(b"]")?;
            let known = match last {
                Some((id, known)) if id == to => known,
                _ => last.insert((to, *by_id.get(&to)?)).1,
            };
            edges.push((*by_id.get(&from)?, known));
            if scan.skip(b"]}") {
                break;
            }
            scan.expect(b",")?;
        }
    }
    scan.rest().is_empty().then_some(edges)
}

fn thin_quanta(
    graph: &mut QuantumGraph,
    task: usize,
    scan: &mut Scanner<'_>,
    rows: &mut RowCache,
    by_id: &mut hashbrown::HashMap<Id, QuantumIndex>,
) -> Option<()> {
    if scan.skip(b"]") {
        return Some(());
    }
    let (table, count) = (graph.tasks[task].table, graph.tasks[task].connections.len());
    loop {
        scan.expect(b"{\"quantum_id\":")?;
        let id = scan.id()?;
        scan.expect(b",\"data_coordinate\":[")?;
        let row = rows.row(graph, table, scan)?;
        scan.expect(b"}")?;
        let index = QuantumIndex { task: small(task), position: small(graph.tasks[task].len()) };
        if by_id.insert(id, index).is_some() {
            return None;
        }
        graph.tasks[task].push(id, row, std::iter::repeat_n(&[][..], count));
        if scan.skip(b"]") {
            return Some(());
        }
        scan.expect(b",")?;
    }
}
