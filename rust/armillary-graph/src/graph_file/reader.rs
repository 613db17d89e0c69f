//! Reading of graph files, whole or in part.

use super::{
    addresses::{Address, AddressTable, Integers, invalid},
    archive::{Archive, Span, Unpacker, has_checksum},
    assembler::{Assembler, parse, parse_id, row, task_index},
    model::{QuantumModel, ThinId, ThinModel},
    quick::{self, QuickReader},
    records::read_records,
};
use crate::{GraphError, Header, Id, PipelineGraph, QuantumGraph, QuantumIndex};
use std::{path::Path, sync::Arc};

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

type Edges = Vec<(QuantumIndex, QuantumIndex)>;

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
        let (graph, mut edges) = match self.thin_quickly(&text)? {
            Some(found) => found,
            None => self.thin_fully(&text)?,
        };
        // By reader, each pair once, as `QuantumGraph::quantum_edges` gives them.
        edges.sort_unstable_by_key(|(from, to)| (*to, *from));
        edges.dedup();
        Ok(ThinGraph { graph, edges })
    }

    fn thin_quickly(&self, text: &[u8]) -> Result<Option<(QuantumGraph, Edges)>, GraphError> {
        // The oldest files name quanta by numbers.
        if self.header.version == 0 {
            return Ok(None);
        }
        let mut graph = self.empty()?;
        let Some(edges) = quick::thin(&mut graph, text) else { return Ok(None) };
        check_counts(&graph)?;
        Ok(Some((graph, edges)))
    }

    fn thin_fully(&mut self, text: &[u8]) -> Result<(QuantumGraph, Edges), GraphError> {
        let model: ThinModel<'_> = parse("thin_graph", text)?;
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
        let edges = model
            .edges
            .iter()
            .map(|(from, to)| Ok((find(from)?, find(to)?)))
            .collect::<Result<Vec<_>, GraphError>>()?;
        Ok((graph, edges))
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
        let mut quick = QuickReader::new(graph);
        // No more than blocks of no length at all could say; a header may claim anything.
        assembler.reserve(self.header.n_datasets.min(bytes.len() / 16), rows);
        while !rest.is_empty() {
            let length = integers.read(rest).ok_or_else(|| invalid("the blocks end inside of a length"))?;
            let body = slice(rest, integers.size as u64, length)?;
            rest = &rest[integers.size + body.len()..];
            count += 1;
            let text = unpacker.unpack_again(body)?;
            if before.is_empty() && quick.quantum(graph, assembler, text).is_some() {
                continue;
            }
            let model: QuantumModel<'_> = parse("a quantum", text)?;
            if before.is_empty() || !before.contains(&parse_id(&model.quantum_id)?) {
                assembler.quantum(graph, &model)?;
            }
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
