//! A survey without a database: rows of the join that a data-release pipeline starts from, and answers to what a graph
//! builder asks further.

use armillary_dimensions::{
    Column, ColumnType, DimensionGroup, ElementIndex, FieldRole, FieldType, Key, Universe, Value,
};
use armillary_graph::{
    GraphError, Header, PipelineGraph, QuantumGraph,
    builder::{BuildRequest, Builder},
    fetch::{DataIdQuery, Fetch, FoundCalibration, FoundDataset, FoundRecord, FoundRows},
};
use armillary_registry::query::DatasetSearch;
use serde_json::json;
use std::{collections::HashMap, sync::Arc};

const DETECTORS: i64 = 100;
const PATCHES_PER_SIDE: i64 = 9;
const BANDS: [&str; 5] = ["g", "r", "i", "z", "y"];

/// Rows of the join of exposures, visits, detectors and patches.
#[derive(Clone, Debug)]
pub struct Survey {
    universe: Arc<Universe>,
    columns: Vec<(ElementIndex, Column)>,
}

/// A step of a linear congruential generator.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

impl Survey {
    /// A survey whose graph has about `quanta` quanta.
    #[must_use]
    pub fn new(quanta: usize, seed: u64) -> Self {
        let universe = Universe::default_universe();
        // Each visit gives a quantum per detector to two tasks, and about one per two detectors to the warps.
        let visits = (quanta / 250).max(1);
        let mut state = seed;
        let mut values: Vec<[Key; 11]> = Vec::new();
        for visit in 0..i64::try_from(visits).unwrap_or(i64::MAX) {
            let band = BANDS[usize::try_from(random(&mut state)).unwrap_or(0) % BANDS.len()];
            let tract = visit / 40;
            let corner = i64::try_from(random(&mut state) % 4).unwrap_or(0);
            for detector in 0..DETECTORS {
                // A detector touches four neighbouring patches.
                let (x, y) = ((detector % 10) / 2 + corner, (detector / 10) / 2 + corner);
                for patch in [y * PATCHES_PER_SIDE + x, y * PATCHES_PER_SIDE + (x + 1) % PATCHES_PER_SIDE] {
                    let patch = patch % (PATCHES_PER_SIDE * PATCHES_PER_SIDE);
                    values.push([
                        Key::from(band),
                        Key::from("Cam"),
                        Key::from("map"),
                        Key::Int(20_250_101 + visit / 30),
                        Key::Int(detector),
                        Key::from(format!("group{visit}").as_str()),
                        Key::from(format!("Cam-{band}").as_str()),
                        Key::Int(tract),
                        Key::Int(visit),
                        Key::Int(patch),
                        Key::Int(visit),
                    ]);
                }
            }
        }
        let names = [
            "band",
            "instrument",
            "skymap",
            "day_obs",
            "detector",
            "group",
            "physical_filter",
            "tract",
            "exposure",
            "patch",
            "visit",
        ];
        let column = |position: usize| {
            let kind = if matches!(values[0][position], Key::Int(_)) { ColumnType::Int } else { ColumnType::Str };
            let mut column = Column::new(kind);
            for row in &values {
                column.push(&Value::from(row[position].clone()));
            }
            column
        };
        let index = |name: &str| universe.find(name).map_or(ElementIndex(0), |element| element.index);
        let columns = names.iter().enumerate().map(|(position, name)| (index(name), column(position))).collect();
        Self { universe, columns }
    }

    /// Number of rows of the join.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }

    /// The whole way from the rows to a graph.
    pub fn build(self: &Arc<Self>, pipeline: &PipelineGraph) -> Result<QuantumGraph, GraphError> {
        let request = BuildRequest {
            input_collections: vec!["inputs".to_owned()],
            output_run: "u/bench/run".to_owned(),
            ..BuildRequest::default()
        };
        let mut builder = Builder::start(pipeline.clone(), request, self.clone())?;
        builder.find()?;
        for label in builder.labels() {
            builder.settle(&label)?;
        }
        builder.finish(Header::default())
    }

    /// Values of implied dimensions by those that imply them, as the rows have them.
    fn full(&self, group: DimensionGroup, required: &[Key]) -> Vec<Key> {
        let info = self.universe.info(group);
        let mut values = required.to_vec();
        for dimension in &info.implied {
            let name = &self.universe.get(*dimension).name;
            let filter = required.iter().find_map(|key| match key {
                Key::Str(text) => text.strip_prefix("Cam-").map(Key::from),
                Key::Int(_) => None,
            });
            values.push(if name == "band" { filter.unwrap_or(Key::from("g")) } else { Key::from("unknown") });
        }
        values
    }
}

/// An id that follows from what it identifies.
fn id_of(name: &str, key: &[Key]) -> [u8; 16] {
    let mut hash = 0xCBF2_9CE4_8422_2325_u128;
    for byte in name.bytes().chain(key.iter().flat_map(|key| format!("/{key}").into_bytes())) {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013B);
    }
    hash.to_be_bytes()
}

impl Fetch for Survey {
    fn data_ids(&self, query: DataIdQuery) -> Result<FoundRows, GraphError> {
        let columns = self.columns.iter().filter(|(dimension, _)| query.group.contains(*dimension)).cloned().collect();
        Ok(FoundRows { columns, reasons: Vec::new() })
    }

    fn dimensions(&self, query: &DataIdQuery) -> Result<DimensionGroup, GraphError> {
        Ok(query.group.union(query.joined)) // the survey has no conditions, which might name more
    }

    fn nearest_registered(&self, _dataset_type: &str) -> Result<Option<String>, GraphError> {
        Ok(None)
    }

    fn is_registered(&self, _dataset_type: &str) -> Result<bool, GraphError> {
        Ok(true)
    }

    fn has_collection(&self, _name: &str) -> Result<bool, GraphError> {
        Ok(false)
    }

    fn flatten(&self, names: &[String]) -> Result<Vec<String>, GraphError> {
        Ok(names.to_vec())
    }

    fn datasets(
        &self,
        search: &DatasetSearch,
        _dimensions: &[ElementIndex],
        ids: &[Box<[Key]>],
    ) -> Result<Vec<FoundDataset>, GraphError> {
        let run: Arc<str> = "inputs".into();
        let found =
            |key: &[Key]| FoundDataset { values: key.to_vec(), id: id_of(&search.dataset_type, key), run: run.clone() };
        Ok(ids.iter().map(|key| found(key)).collect())
    }

    fn calibrations(
        &self,
        search: &DatasetSearch,
        dimensions: &[ElementIndex],
        ids: &[Box<[Key]>],
    ) -> Result<Vec<FoundCalibration>, GraphError> {
        let names = dimensions.iter().map(|dimension| self.universe.get(*dimension).name.as_str());
        let group = self.universe.group(names)?;
        let run: Arc<str> = "inputs".into();
        let timespan = armillary_dimensions::Timespan::ALL;
        Ok(ids
            .iter()
            .map(|key| FoundCalibration {
                dataset: FoundDataset {
                    values: self.full(group, key),
                    id: id_of(&search.dataset_type, key),
                    run: run.clone(),
                },
                rank: 0,
                timespan,
            })
            .collect())
    }

    fn records(&self, element: ElementIndex, ids: &[Box<[Key]>]) -> Result<Vec<FoundRecord>, GraphError> {
        let fields = &self.universe.get(element).fields;
        let rest: Vec<Value> = fields
            .iter()
            .filter(|field| !matches!(field.role, FieldRole::Required(_)))
            .map(|field| match field.kind {
                FieldType::Timespan => Value::Timespan(armillary_dimensions::Timespan::new(10, 20)),
                FieldType::Int => Value::Int(0),
                FieldType::String { .. } => Value::Str("text".into()),
                FieldType::Float | FieldType::Bool | FieldType::Hash { .. } | FieldType::Region => Value::Null,
            })
            .collect();
        let values = |key: &[Key]| key.iter().cloned().map(Value::from).chain(rest.iter().cloned()).collect();
        Ok(ids.iter().map(|key| (key.clone(), values(key))).collect())
    }
}

/// A pipeline shaped like a data release: per detector, per visit and patch, per patch and band, per tract.
pub fn pipeline() -> Result<PipelineGraph, GraphError> {
    let dimensions = HashMap::from([
        ("exposure", vec!["instrument", "exposure", "detector"]),
        ("detector", vec!["instrument", "visit", "detector"]),
        ("visit", vec!["instrument", "visit"]),
        ("warp", vec!["instrument", "visit", "skymap", "tract", "patch"]),
        ("band", vec!["skymap", "tract", "patch", "band"]),
        ("patch", vec!["skymap", "tract", "patch"]),
        ("tract", vec!["skymap", "tract"]),
        ("calibration", vec!["instrument", "detector"]),
        ("flat", vec!["instrument", "detector", "physical_filter"]),
    ]);
    let edge = |name: &str, of: &str, is_calibration: bool| {
        json!({
            "connection": name, "dataset_type": name, "storage_class": "StructuredDataDict",
            "dimensions": dimensions[of], "is_calibration": is_calibration, "multiple": true,
        })
    };
    let task =
        |label: &str, of: &str, prerequisites: &[(&str, &str)], inputs: &[(&str, &str)], outputs: &[(&str, &str)]| {
            let edges = |list: &[(&str, &str)], calibration: bool| {
                list.iter().map(|(name, of)| edge(name, of, calibration)).collect::<Vec<_>>()
            };
            let automatic = |name: &str, storage_class: &str, dimensions: &[&str]| {
                json!({
                    "connection": format!("_{name}"), "dataset_type": format!("{label}_{name}"),
                    "storage_class": storage_class, "dimensions": dimensions,
                })
            };
            json!({
                "label": label, "task_class": "bench.Task", "dimensions": dimensions[of],
                "config_output": automatic("config", "Config", &[]),
                "metadata_output": automatic("metadata", "TaskMetadata", &dimensions[of]),
                "log_output": automatic("log", "ButlerLogRecords", &dimensions[of]),
                "prerequisite_inputs": edges(prerequisites, true),
                "inputs": edges(inputs, false), "outputs": edges(outputs, false),
            })
        };
    let calibrations = [("bias", "calibration"), ("dark", "calibration"), ("flat", "flat")];
    let tasks = json!([
        task("isr", "exposure", &calibrations, &[("raw", "exposure")], &[("post_isr", "exposure")]),
        task("calibrate", "detector", &[], &[("post_isr", "exposure")], &[("calexp", "detector"), ("src", "detector")]),
        task("consolidate", "visit", &[], &[("src", "detector")], &[("table", "visit")]),
        task("warp", "warp", &[], &[("calexp", "detector")], &[("warps", "warp")]),
        task("coadd", "band", &[], &[("warps", "warp")], &[("coadds", "band")]),
        task("measure", "band", &[], &[("coadds", "band"), ("table", "visit")], &[("measurements", "band")]),
        task("objects", "patch", &[], &[("measurements", "band")], &[("object_table", "patch")]),
        task("tracts", "tract", &[], &[("object_table", "patch")], &[("tract_table", "tract")]),
    ]);
    let tasks: Vec<armillary_graph::Task> =
        serde_json::from_value(tasks).map_err(|error| GraphError::UnreadablePipeline { reason: error.to_string() })?;
    let mut graph = PipelineGraph::new(None, "bench");
    graph.add_tasks(tasks)?;
    graph.resolve(&Universe::default_universe(), &HashMap::new())?;
    Ok(graph)
}
