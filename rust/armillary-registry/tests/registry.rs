//! A small repository is filled, searched and emptied.

mod common;

use armillary_dimensions::{DataCoordinate, Key, Timespan, Universe, Value};
use armillary_registry::{
    ChainEdit, CollectionFilter, CollectionKind, Dataset, FILE_RECORDS, FileRecord, IdMode, InsertMode, Registry,
    RegistryError, Synced,
};
use common::TemporaryFolder;
use std::{collections::BTreeMap, sync::Arc};

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

/// A polygon of four corners a degree wide.
fn region(ra: f64, dec: f64) -> Value {
    let area = format!("POLYGON {ra} {dec} {} {dec} {} {} {ra} {}", ra + 1.0, ra + 1.0, dec + 1.0, dec + 1.0);
    Value::Bytes(armillary_sphere::Region::from_ivoa_pos(&area).expect("a region").encode().into())
}

/// A row of an element with these fields set and the others unknown.
fn row(universe: &Universe, element: &str, fields: &[(&str, Value)]) -> Vec<Value> {
    let element = universe.element(element).expect("an element");
    for (name, _) in fields {
        assert!(element.field(name).is_some(), "`{}` has no `{name}`", element.name);
    }
    let value = |name: &str| fields.iter().find(|(field, _)| *field == name).map_or(Value::Null, |(_, v)| v.clone());
    element.fields.iter().map(|field| value(&field.name)).collect()
}

struct Small {
    _folder: TemporaryFolder,
    registry: Registry,
}

impl Small {
    fn new() -> Self {
        let folder = TemporaryFolder::new();
        Registry::create(&folder.database(), &Universe::default_universe()).expect("made");
        let registry = Registry::open(&folder.database(), true).expect("opened");
        Self { _folder: folder, registry }
    }

    fn filled() -> Self {
        let small = Self::new();
        let cam = || ("instrument", text("Cam"));
        small.insert("instrument", &[&[("name", text("Cam"))]]);
        small.insert("physical_filter", &[&[cam(), ("name", text("Cam-G")), ("band", text("g"))]]);
        small.insert("day_obs", &[&[cam(), ("id", Value::Int(20_250_101))]]);
        for detector in 1..=3 {
            small.insert("detector", &[&[cam(), ("id", Value::Int(detector))]]);
        }
        for visit in 11..=12 {
            small.insert("visit", &[&Self::visit(visit, 10.0)]);
        }
        small
    }

    fn visit(id: i64, ra: f64) -> [(&'static str, Value); 5] {
        [
            ("instrument", text("Cam")),
            ("id", Value::Int(id)),
            ("physical_filter", text("Cam-G")),
            ("day_obs", Value::Int(20_250_101)),
            ("region", region(ra, -5.0)),
        ]
    }

    fn rows(&self, element: &str, rows: &[&[(&str, Value)]]) -> Vec<Vec<Value>> {
        rows.iter().map(|fields| row(self.registry.universe(), element, fields)).collect()
    }

    fn insert(&self, element: &str, rows: &[&[(&str, Value)]]) {
        self.registry.insert_records(element, &self.rows(element, rows), InsertMode::Plain).expect("inserted");
    }

    fn data_id(&self, values: &[(&str, Key)]) -> DataCoordinate {
        let universe = self.registry.universe();
        let group = universe.group(values.iter().map(|(name, _)| *name)).expect("dimensions");
        let mut value = |name: &str| values.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        DataCoordinate::standardize(universe, group, &mut value).expect("a data ID")
    }

    fn visit_detector(&self, visit: i64, detector: i64) -> DataCoordinate {
        self.data_id(&[("instrument", "Cam".into()), ("visit", visit.into()), ("detector", detector.into())])
    }

    fn detector(&self, detector: i64) -> DataCoordinate {
        self.data_id(&[("instrument", "Cam".into()), ("detector", detector.into())])
    }

    fn register(&self, name: &str, dimensions: &[&str], calibration: bool) {
        let group = self.registry.universe().group(dimensions.iter().copied()).expect("dimensions");
        assert!(
            self.registry.register_dataset_type(name, group, "StructuredDataDict", calibration).expect("registered")
        );
    }

    fn collection(&self, name: &str, kind: CollectionKind) {
        assert!(self.registry.register_collection(name, kind, None).expect("registered"));
    }

    fn datasets(&self, dataset_type: &str, run: &str, data_ids: &[DataCoordinate]) -> Vec<Dataset> {
        let ids = self.registry.insert_datasets(dataset_type, run, data_ids, IdMode::Unique).expect("entered");
        let one = |(id, data_id): ([u8; 16], &DataCoordinate)| Dataset {
            id,
            dataset_type: dataset_type.into(),
            run: run.into(),
            data_id: data_id.clone(),
        };
        ids.into_iter().zip(data_ids).map(one).collect()
    }

    fn count(&self, table: &str) -> i64 {
        self.registry.row_counts().expect("counted")[table]
    }

    fn find(&self, dataset_type: &str, data_id: &DataCoordinate, collections: &[&str]) -> Option<Arc<str>> {
        let collections: Vec<String> = collections.iter().map(|name| (*name).to_owned()).collect();
        let found = self.registry.find_dataset(dataset_type, data_id, &collections, None).expect("searched");
        found.map(|dataset| dataset.run)
    }
}

#[test]
fn regions_get_overlap_rows_and_replacing_moves_them() {
    let small = Small::filled();
    let first = small.count("visit_skypix_overlap");
    assert!(first > 10, "{first}");
    assert_eq!(small.count("visit_skypix_overlap_summary"), 1);
    let moved = small.rows("visit", &[&Small::visit(12, 200.0)]);
    small.registry.insert_records("visit", &moved, InsertMode::SkipExisting).unwrap();
    assert_eq!(small.count("visit_skypix_overlap"), first, "a skipped record keeps its overlaps");
    small.registry.insert_records("visit", &moved, InsertMode::Replace).unwrap();
    let region = match &moved[0][moved[0].len() - 2] {
        Value::Bytes(bytes) => armillary_sphere::Region::decode(bytes).unwrap(),
        other => panic!("{other:?} is no region"),
    };
    let pixels: u64 = armillary_sphere::htm::envelope(&region, 7).unwrap().iter().map(|r| r.end - r.start).sum();
    assert_eq!(small.count("visit_skypix_overlap"), first / 2 + pixels.cast_signed());
}

#[test]
fn refused_records_leave_nothing_and_say_why() {
    let small = Small::filled();
    let mut orphan = Small::visit(20, 10.0);
    orphan[2].1 = text("Cam-X");
    let rows = small.rows("visit", &[&Small::visit(19, 10.0), &orphan]);
    let refused = small.registry.insert_records("visit", &rows, InsertMode::Plain).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`visit` {instrument: 'Cam', id: 20} names `physical_filter` 'Cam-X', which has no record; \
         insert that record first"
    );
    assert_eq!(small.count("visit"), 2);
    let again =
        small.registry.insert_records("visit", &small.rows("visit", &[&Small::visit(11, 10.0)]), InsertMode::Plain);
    assert!(matches!(again, Err(RegistryError::RecordConflict { .. })), "{again:?}");
    let band = small.registry.insert_records("band", &[vec![text("z")]], InsertMode::Plain);
    assert!(matches!(band, Err(RegistryError::NoTable { .. })), "{band:?}");
    let long = small.rows("instrument", &[&[("name", text(&"x".repeat(33)))]]);
    let refused = small.registry.insert_records("instrument", &long, InsertMode::Plain);
    assert!(matches!(refused, Err(RegistryError::BadRecord { .. })), "{refused:?}");
    let garbage = small.rows(
        "visit",
        &[&[
            ("instrument", text("Cam")),
            ("id", Value::Int(30)),
            ("physical_filter", text("Cam-G")),
            ("day_obs", Value::Int(20_250_101)),
            ("region", Value::Bytes(b"nonsense".as_slice().into())),
        ]],
    );
    let refused = small.registry.insert_records("visit", &garbage, InsertMode::Plain);
    assert!(matches!(refused, Err(RegistryError::BadRecord { .. })), "{refused:?}");
}

#[test]
fn synchronising_compares_before_it_changes() {
    let small = Small::filled();
    let same = &small.rows("visit", &[&Small::visit(11, 10.0)])[0];
    let moved = &small.rows("visit", &[&Small::visit(11, 11.0)])[0];
    assert_eq!(small.registry.sync_record("visit", same, false).unwrap(), Synced::Unchanged);
    assert!(matches!(small.registry.sync_record("visit", moved, false), Err(RegistryError::RecordConflict { .. })));
    let Synced::Updated(old) = small.registry.sync_record("visit", moved, true).unwrap() else { panic!("not updated") };
    assert_eq!(old, [("region".to_owned(), region(10.0, -5.0))]);
    let new = &small.rows("visit", &[&Small::visit(99, 11.0)])[0];
    assert_eq!(small.registry.sync_record("visit", new, false).unwrap(), Synced::Inserted);
}

#[test]
fn data_ids_expand_to_values_and_records() {
    let small = Small::filled();
    let expanded = small.registry.expand_data_id(&small.visit_detector(11, 2)).unwrap();
    assert_eq!(
        expanded.data_id.to_string(),
        "{instrument: 'Cam', detector: 2, visit: 11, band: 'g', day_obs: 20250101, physical_filter: 'Cam-G'}"
    );
    let visit = small.registry.universe().element("visit").unwrap().index;
    assert!(expanded.records.get(visit).flatten().and_then(armillary_dimensions::Record::region).is_some());
    let joined = small.registry.universe().element("visit_detector_region").unwrap().index;
    assert_eq!(expanded.records.get(joined), Some(None), "a missing region of a detector is no error");
    let missing = small.registry.expand_data_id(&small.visit_detector(11, 9)).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "data ID {instrument: 'Cam', detector: 9, visit: 11} has no `detector` record; records exist for 1, 2, 3"
    );
    // New records of a kept element are seen at once.
    small.insert("detector", &[&[("instrument", text("Cam")), ("id", Value::Int(9))]]);
    assert!(small.registry.expand_data_id(&small.visit_detector(11, 9)).is_ok());
}

#[test]
fn the_first_collection_with_the_dataset_wins() {
    let small = Small::filled();
    small.register("cal", &["visit", "detector"], false);
    for run in ["a", "b"] {
        small.collection(run, CollectionKind::Run);
    }
    small.collection("chain", CollectionKind::Chained);
    let id = small.visit_detector(11, 1);
    small.datasets("cal", "a", std::slice::from_ref(&id));
    small.datasets("cal", "b", &[id.clone(), small.visit_detector(12, 1)]);
    assert_eq!(small.find("cal", &id, &["b", "a"]).as_deref(), Some("b"));
    small.registry.edit_chain("chain", &["a".into(), "b".into()], ChainEdit::Redefine).unwrap();
    assert_eq!(small.find("cal", &id, &["chain"]).as_deref(), Some("a"));
    assert_eq!(small.find("cal", &small.visit_detector(12, 1), &["chain"]).as_deref(), Some("b"));
    assert_eq!(small.find("cal", &small.visit_detector(12, 2), &["chain"]), None);
    let unknown = small.registry.find_dataset("call", &id, &["a".into()], None).unwrap_err();
    assert_eq!(unknown.to_string(), "no dataset type is called `call`; did you mean `cal`?");
    let twice = small.registry.insert_datasets("cal", "a", &[small.visit_detector(12, 3), id], IdMode::Unique);
    assert!(matches!(twice, Err(RegistryError::DatasetConflict { .. })), "{twice:?}");
    assert_eq!(small.count("dataset"), 3, "all or nothing");
    let nowhere =
        small.registry.insert_datasets("cal", "a", &[small.visit_detector(77, 1)], IdMode::Unique).unwrap_err();
    assert_eq!(
        nowhere.to_string(),
        "data ID {instrument: 'Cam', detector: 1, visit: 77} names `visit` 77, which has no record; \
         insert that record first"
    );
}

#[test]
fn chains_keep_positions_and_refuse_cycles() {
    let small = Small::new();
    for name in ["a", "b", "c"] {
        small.collection(name, CollectionKind::Run);
    }
    for name in ["x", "y"] {
        small.collection(name, CollectionKind::Chained);
    }
    let edit = |children: &[&str], edit| {
        let children: Vec<String> = children.iter().map(|name| (*name).to_owned()).collect();
        small.registry.edit_chain("x", &children, edit)
    };
    let listed = || {
        let filter =
            CollectionFilter { patterns: Some(vec!["x".into()]), flatten_chains: true, ..CollectionFilter::default() };
        small.registry.query_collections(&filter).unwrap().join(" ")
    };
    edit(&["b"], ChainEdit::Redefine).unwrap();
    edit(&["c", "a"], ChainEdit::Prepend).unwrap();
    assert_eq!(listed(), "c a b");
    edit(&["c"], ChainEdit::Extend).unwrap();
    assert_eq!(listed(), "a b c");
    edit(&["b"], ChainEdit::Remove).unwrap();
    assert_eq!(listed(), "a c");
    edit(&["y"], ChainEdit::Extend).unwrap();
    let cycle = small.registry.edit_chain("y", &["x".into()], ChainEdit::Extend);
    assert!(matches!(cycle, Err(RegistryError::CollectionCycle { .. })), "{cycle:?}");
    let used = small.registry.remove_collection("a").unwrap_err();
    assert_eq!(used.to_string(), "collection `a` is still a child of `x`; remove it from there first");
    assert!(small.registry.check_not_chained(&["a".into()]).is_err());
    assert!(small.registry.check_not_chained(&["a".into(), "x".into()]).is_ok());
    small.registry.remove_collection("x").unwrap();
    small.registry.remove_collection("a").unwrap();
    for bad in ["", "a\nb", "../up", &"x".repeat(201)] {
        let refused = small.registry.register_collection(bad, CollectionKind::Run, None);
        assert!(matches!(refused, Err(RegistryError::BadName { .. })), "{bad:?}");
    }
}

#[test]
fn validity_ranges_never_overlap_and_can_be_cut() {
    let small = Small::filled();
    small.register("bias", &["detector"], true);
    small.register("plain", &["detector"], false);
    small.collection("run", CollectionKind::Run);
    small.collection("calib", CollectionKind::Calibration);
    let datasets = small.datasets("bias", "run", &[small.detector(1), small.detector(2)]);
    small.registry.certify("calib", &datasets, Timespan::new(100, 200)).unwrap();
    let twice = small.registry.certify("calib", &datasets[..1], Timespan::new(199, 300));
    assert!(matches!(twice, Err(RegistryError::CertificationConflict { .. })), "{twice:?}");
    let find = |time| {
        let at = Some(Timespan::instant(time));
        small.registry.find_dataset("bias", &small.detector(1), &["calib".into()], at).unwrap().is_some()
    };
    assert!(find(100) && find(199) && !find(200) && !find(99));
    small.registry.decertify("calib", "bias", Timespan::new(120, 140), Some(&[small.detector(1)])).unwrap();
    assert!(find(119) && !find(120) && !find(139) && find(140));
    assert_eq!(small.count("dataset_calibs_00000001"), 3);
    let all = [CollectionKind::Run, CollectionKind::Calibration];
    let members = small.registry.dataset_associations("bias", &["calib".into(), "run".into()], &all).unwrap();
    assert_eq!(members.len(), 5);
    let plain = small.datasets("plain", "run", &[small.detector(1)]);
    let refused = small.registry.certify("calib", &plain, Timespan::ALL);
    assert!(matches!(refused, Err(RegistryError::NotACalibration { .. })), "{refused:?}");
}

#[test]
fn tags_point_at_one_dataset_per_data_id() {
    let small = Small::filled();
    small.register("bias", &["detector"], false);
    for run in ["a", "b"] {
        small.collection(run, CollectionKind::Run);
    }
    small.collection("best", CollectionKind::Tagged);
    let (a, b) = (small.datasets("bias", "a", &[small.detector(1)]), small.datasets("bias", "b", &[small.detector(1)]));
    small.registry.associate("best", &a).unwrap();
    small.registry.associate("best", &a).unwrap();
    assert!(matches!(small.registry.associate("best", &b), Err(RegistryError::DatasetConflict { .. })));
    small.registry.disassociate("best", &a).unwrap();
    small.registry.associate("best", &b).unwrap();
    assert_eq!(small.find("bias", &small.detector(1), &["best"]).as_deref(), Some("b"));
    small.registry.remove_datasets(&[b[0].id]).unwrap();
    assert_eq!(small.find("bias", &small.detector(1), &["best"]), None);
    assert!(matches!(small.registry.associate("best", &b), Err(RegistryError::NoSuchDataset { .. })));
}

#[test]
fn imports_pass_over_what_is_there_and_refuse_contradictions() {
    let small = Small::filled();
    small.register("bias", &["detector"], false);
    small.register("flat", &["detector"], false);
    small.collection("a", CollectionKind::Run);
    let known = small.datasets("bias", "a", &[small.detector(1)]).remove(0);
    small.registry.import_datasets(std::slice::from_ref(&known)).unwrap();
    assert_eq!(small.count("dataset"), 1);
    let other_type = Dataset { dataset_type: "flat".into(), ..known.clone() };
    let other_data_id = Dataset { data_id: small.detector(2), ..known.clone() };
    let other_id = Dataset { id: [7; 16], ..known.clone() };
    for wrong in [other_type, other_data_id, other_id] {
        let new = Dataset { id: [9; 16], data_id: small.detector(3), ..known.clone() };
        let refused = small.registry.import_datasets(&[new, wrong.clone()]);
        assert!(matches!(refused, Err(RegistryError::DatasetConflict { .. })), "{wrong:?}: {refused:?}");
        assert_eq!(small.count("dataset"), 1);
    }
    let found = small.registry.get_datasets(&[known.id, [1; 16]]).unwrap();
    assert_eq!(found, [Some(known), None]);
}

fn file(dataset: &Dataset, path: &str) -> FileRecord {
    FileRecord {
        dataset_id: dataset.id,
        path: path.to_owned(),
        formatter: "lsst.daf.butler.formatters.yaml.YamlFormatter".to_owned(),
        storage_class: "StructuredDataDict".to_owned(),
        component: None,
        checksum: None,
        file_size: 5,
    }
}

#[test]
fn written_files_become_datasets_in_one_step_and_leave_in_one() {
    let small = Small::filled();
    let store = "FileDatastore@<butlerRoot>";
    small.register("bias", &["detector"], false);
    small.collection("a", CollectionKind::Run);
    let dataset = Dataset { id: [3; 16], dataset_type: "bias".into(), run: "a".into(), data_id: small.detector(1) };
    let other = Dataset { id: [4; 16], data_id: small.detector(2), ..dataset.clone() };
    let both = [dataset.clone(), other.clone()];
    let intent = small.registry.begin_write(store, &["a/1.yaml".into()]).unwrap();
    assert_eq!(small.registry.announced_files().unwrap().len(), 1);
    assert!(small.registry.begin_recovery(&tables()).unwrap().is_empty(), "we are still running");
    small.registry.end_recovery(&[]).unwrap();
    let records = [file(&dataset, "a/1.yaml"), file(&other, "a/1.yaml")];
    small.registry.finish_write(Some(intent), store, FILE_RECORDS, &both, &records, true).unwrap();
    assert!(small.registry.announced_files().unwrap().is_empty());
    let found = small.registry.find_records("bias", &small.detector(1), &["a".into()], None, FILE_RECORDS);
    let found = found.unwrap().expect("found");
    assert_eq!((found.dataset, found.files), (dataset.clone(), vec![records[0].clone()]));
    assert_eq!(small.registry.locations(&[dataset.id, [9; 16]]).unwrap(), [vec![store.to_owned()], vec![]]);
    let refused = small.registry.remove_datasets(&[dataset.id]);
    assert!(matches!(refused, Err(RegistryError::DatasetsHaveFiles { .. })), "{refused:?}");
    let refused = small.registry.remove_collection("a");
    assert!(matches!(refused, Err(RegistryError::CollectionHasFiles { datasets: 2, .. })), "{refused:?}");
    let unnamed = |paths: &[&str]| {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        small.registry.unnamed_files(FILE_RECORDS, &paths).unwrap()
    };
    small.registry.unstore(store, FILE_RECORDS, &[dataset.id], true).unwrap();
    assert!(unnamed(&["a/1.yaml"]).is_empty(), "the other dataset lives in the same file");
    small.registry.unstore(store, FILE_RECORDS, &[other.id], true).unwrap();
    assert_eq!(unnamed(&["a/1.yaml"]), ["a/1.yaml"]);
    for table in ["dataset", "dataset_tags_00000001", "dataset_location", "dataset_location_trash", FILE_RECORDS] {
        assert_eq!(small.count(table), 0, "{table}");
    }
}

fn tables() -> BTreeMap<String, String> {
    ["store", "FileDatastore@<butlerRoot>"].map(|name| (name.to_owned(), FILE_RECORDS.to_owned())).into()
}

/// What a killed process leaves: its file of announcements, which nobody holds any more.
fn kill(small: &Small, announce: impl FnOnce(&Registry)) {
    let other = Registry::open_at(small.registry.store().place(), true).unwrap();
    announce(&other);
}

#[test]
fn files_of_a_dead_writer_are_found() {
    let small = Small::filled();
    kill(&small, |other| {
        other.begin_write("store", &["a/1.yaml".into(), "a/2.yaml".into()]).unwrap();
        let done = other.begin_write("store", &["a/3.yaml".into()]).unwrap();
        other.abandon_write(done).unwrap();
    });
    // A live writer that has announced the same file wants it kept.
    let own = small.registry.begin_write("store", &["a/2.yaml".into()]).unwrap();
    let stale = small.registry.begin_recovery(&tables()).unwrap();
    assert_eq!((stale.len(), stale[0].orphans.as_slice()), (1, ["a/1.yaml".to_owned()].as_slice()));
    small.registry.end_recovery(&[]).unwrap();
    assert_eq!(small.registry.begin_recovery(&tables()).unwrap(), stale, "not undone, so it stays");
    small.registry.end_recovery(&[stale[0].id]).unwrap();
    small.registry.abandon_write(own).unwrap();
    assert!(small.registry.begin_recovery(&tables()).unwrap().is_empty());
    assert!(small.registry.announced_files().unwrap().is_empty());
}

#[test]
fn announcements_outlive_a_transaction_until_it_is_committed() {
    let small = Small::filled();
    let registry = &small.registry;
    let announced = || registry.announced_files().unwrap().into_iter().map(|file| file.path).collect::<Vec<_>>();
    registry.begin().unwrap();
    for path in ["a", "b"] {
        registry.begin().unwrap();
        let intent = registry.begin_write("store", &[path.into()]).unwrap();
        registry.finish_write(Some(intent), "store", FILE_RECORDS, &[], &[], true).unwrap();
        if path == "a" { registry.commit().unwrap() } else { registry.rollback().unwrap() }
    }
    assert_eq!(announced(), ["a", "b"], "neither is certain yet");
    registry.commit().unwrap();
    assert_eq!(announced(), ["b"], "undone, and its file may still be there");
}

#[test]
fn rows_of_announcements_that_are_left_from_earlier_are_recovered() {
    let small = Small::filled();
    let connection = rusqlite::Connection::open(small.registry.store().place().shown()).unwrap();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    connection
        .execute_batch(&format!(
            "CREATE TABLE armillary_intent (id INTEGER PRIMARY KEY, datastore_name, path, pid, host, process_start, created);
             INSERT INTO armillary_intent VALUES (5, 'store', 'a/1.yaml', {}, '{}', '1', 0);",
            std::process::id(),
            host.trim()
        ))
        .unwrap();
    let stale = small.registry.begin_recovery(&tables()).unwrap();
    assert_eq!(stale[0].orphans, ["a/1.yaml"]);
    small.registry.end_recovery(&[stale[0].id]).unwrap();
    assert_eq!(small.count("armillary_intent"), 0);
}

#[test]
fn transactions_nest_and_undo() {
    let small = Small::new();
    let store = small.registry.store();
    let exists = |name: &str| small.registry.catalog().unwrap().collection(name).is_some();
    store.begin().unwrap();
    small.collection("kept", CollectionKind::Run);
    store.begin().unwrap();
    small.collection("undone", CollectionKind::Run);
    assert!(exists("kept") && exists("undone"));
    store.rollback().unwrap();
    assert!(exists("kept") && !exists("undone"));
    // Another connection sees nothing yet.
    let other = Registry::open_at(store.place(), false).unwrap();
    assert!(other.catalog().unwrap().collection("kept").is_none());
    store.commit().unwrap();
    assert!(other.catalog().unwrap().collection("kept").is_some(), "a change by others is noticed");
    assert!(exists("kept") && !exists("undone"));
    assert!(matches!(store.commit(), Err(RegistryError::NoTransaction)));
    let refused = other.register_collection("new", CollectionKind::Run, None);
    assert!(matches!(refused, Err(RegistryError::ReadOnly { .. })), "{refused:?}");
}

#[test]
fn a_transaction_undone_takes_new_tables_along() {
    let small = Small::filled();
    small.registry.store().begin().unwrap();
    small.register("bias", &["detector"], true);
    small.registry.store().rollback().unwrap();
    assert!(small.registry.catalog().unwrap().dataset_type("bias").is_none());
    small.register("bias", &["detector"], true);
    let detector = small.registry.universe().group(["detector"]).unwrap();
    assert!(!small.registry.register_dataset_type("bias", detector, "StructuredDataDict", true).unwrap());
    let other = small.registry.register_dataset_type("bias", detector, "int", true).unwrap_err();
    assert_eq!(
        other.to_string(),
        "dataset type `bias` is registered as {instrument, detector}, StructuredDataDict, a calibration, \
         which differs from the given {instrument, detector}, int, a calibration"
    );
    for bad in ["a.b", "1a", "a b", "instrument", ""] {
        let refused = small.registry.register_dataset_type(bad, detector, "int", false);
        assert!(matches!(refused, Err(RegistryError::BadName { .. })), "{bad:?}");
    }
}

#[test]
fn writers_on_many_threads_lose_nothing() {
    let small = Small::filled();
    small.register("bias", &["detector"], false);
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let small = &small;
            scope.spawn(move || {
                for number in 0..10 {
                    let run = format!("run/{thread}/{number}");
                    small.collection(&run, CollectionKind::Run);
                    small.datasets("bias", &run, &[small.detector(1)]);
                    assert_eq!(small.find("bias", &small.detector(1), &[&run]).as_deref(), Some(run.as_str()));
                }
            });
        }
    });
    assert_eq!(small.count("dataset"), 60);
}
