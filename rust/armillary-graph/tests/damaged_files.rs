//! Damaged graph files give an error, or what the file held before: never a crash, never another graph.
//!
//! `MUTATIONS=100000 cargo test --release -p armillary-graph --test damaged_files` for a long run.

use armillary_graph::{
    GraphError, QuantumGraph,
    graph_file::{GraphReader, WriteOptions, write},
    id_text,
};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// Damaged copies of each file, shared among all files; enough for seconds.
const MUTATIONS: usize = 3000;

fn fixture(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("ARMILLARY_SHARED").map_or(beside, PathBuf::from);
    let path = shared.join("graph-fixtures").join(name);
    assert!(path.exists() || std::env::var_os("CI").is_none(), "`{}` is missing", path.display());
    path.exists().then_some(path)
}

/// Everything that a graph says, as text.
fn told(graph: &QuantumGraph) -> String {
    let mut text = format!("{:?}\n", graph.header);
    let dataset = |index| {
        let at = armillary_graph::DatasetIndex::get(index);
        let run = &graph.datasets.runs[graph.datasets.run[at] as usize];
        format!("{}@{}={}", graph.describe_dataset(index), run, id_text(&graph.datasets.id[at]))
    };
    for quantum in graph.quanta() {
        let _ = write!(text, "{} {}", id_text(graph.quantum_id(quantum)), graph.describe_quantum(quantum));
        for (connection, list) in graph.tasks[quantum.task as usize].lists(quantum.position as usize) {
            let _ = write!(
                text,
                " {}: {:?}",
                connection.name,
                list.iter().map(|index| dataset(*index)).collect::<Vec<_>>()
            );
        }
        text.push('\n');
    }
    for init in &graph.init {
        let named = |list: &[(String, armillary_graph::DatasetIndex)]| {
            list.iter().map(|(name, index)| format!("{name}={}", dataset(*index))).collect::<Vec<_>>()
        };
        let _ =
            writeln!(text, "{} {} {:?} {:?}", id_text(&init.id), init.label, named(&init.inputs), named(&init.outputs));
    }
    let _ = writeln!(text, "{:?}", graph.records);
    let mut stored: Vec<_> = graph.stored.iter().map(|(index, files)| (dataset(*index), files)).collect();
    stored.sort_by(|a, b| a.0.cmp(&b.0));
    let _ = writeln!(text, "{stored:?}\n{}", graph.pipeline.to_json().unwrap());
    text
}

/// What each way to read a file gives.
fn readings(path: &Path, id: &armillary_graph::Id) -> [Result<String, GraphError>; 3] {
    let thin = GraphReader::open(path).and_then(|mut reader| {
        let thin = reader.read_thin()?;
        Ok(format!("{}{:?}", told(&thin.graph), thin.edges))
    });
    let one = GraphReader::open(path).and_then(|mut reader| Ok(told(&*reader.read(Some(&[*id]))?)));
    let all = GraphReader::open(path).and_then(|mut reader| Ok(told(&*reader.read(None)?)));
    [thin, one, all]
}

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    let end = (at + 1 + random.below(40)).min(bytes.len());
    match random.below(8) {
        0..=2 => bytes[at] ^= 1 << random.below(8),
        3 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
        4 => bytes.truncate(at),
        5 => drop(bytes.drain(at..end)),
        6 => bytes[at..end].fill(0),
        _ => {
            let again = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            drop(bytes.splice(to..to, again));
        }
    }
}

#[test]
fn damaged_files_give_errors_or_what_they_held() {
    let total = std::env::var("MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(MUTATIONS);
    let folder = std::env::temp_dir().join(format!("armillary-damaged-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let Some(ab) = fixture("peer/ab.qg") else { return };
    let (Some(records), Some(hand)) = (fixture("peer/drp_small_records.qg"), fixture("hand/out/hand.qg")) else {
        return;
    };
    // Ours: with a checksum in each block, and one with a dictionary.
    let own = folder.join("own.qg");
    let graph = GraphReader::open(&records).unwrap().read(None).unwrap();
    write(&graph, &own, WriteOptions { dictionary_samples: 20, ..WriteOptions::default() }).unwrap();
    let files = [ab, records, hand, own];
    let (damaged, mut random, mut refused) = (folder.join("damaged.qg"), Random(20_261_126), 0);
    for file in &files {
        let original = std::fs::read(file).unwrap();
        let id = *GraphReader::open(file).unwrap().read(None).unwrap().by_id().keys().min().unwrap();
        let whole = readings(file, &id).map(Result::unwrap);
        for step in 0..total / files.len() {
            let mut bytes = original.clone();
            damage(&mut bytes, &mut random);
            std::fs::write(&damaged, &bytes).unwrap();
            for (way, (reading, honest)) in readings(&damaged, &id).into_iter().zip(&whole).enumerate() {
                match reading {
                    Ok(told) => assert!(told == *honest, "{} way {way} step {step}: another graph", file.display()),
                    Err(error) => {
                        refused += 1;
                        assert!(!error.to_string().is_empty());
                    }
                }
            }
        }
    }
    assert!(refused > total, "hardly anything was damaged: {refused} of {total}");
    std::fs::remove_dir_all(&folder).unwrap();
}
