//! Which dataset types and governor values are in which collections: what makes datasets visible, and searches short.

use crate::{
    catalog::DatasetTypeRecord,
    decode::{bind_values, row_key},
    error::RegistryError,
    query::Sql,
    registry::Registry,
    store::{Connection, DatabaseError, params},
};
use armillary_dimensions::{ElementIndex, ElementKind, Key, Universe, Value};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

/// Where more rows than this say which dataset types are in which collections, a search reads only those about itself.
pub(crate) const FEW: i64 = 2000;
/// For how many searches of each dataset type the answer is kept.
const KEPT_SEARCHES: usize = 16;

/// A collection, a dataset type and governor values that were noted together.
pub(crate) type Noted = (i64, i64, BTreeSet<(ElementIndex, Key)>);

/// What a collection may hold. It never leaves something out, but may name what has been removed since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Keys of dataset types.
    pub dataset_types: BTreeSet<i64>,
    /// Values of each governor.
    pub governors: BTreeMap<ElementIndex, BTreeSet<Key>>,
}

/// The summaries of all collections that are no chains, by the key of the collection.
#[derive(Debug, Default)]
pub struct Summaries {
    by_collection: HashMap<i64, Summary>,
    empty: Summary,
}

impl Summaries {
    pub(crate) fn load(connection: &Connection, universe: &Universe) -> Result<Self, RegistryError> {
        const TYPES: &str = "SELECT collection_id, dataset_type_id FROM collection_summary_dataset_type";
        let governors = || universe.elements().iter().filter(|element| element.kind == ElementKind::Governor);
        let of_governor = |name: &str| format!("SELECT collection_id, \"{name}\" FROM \"collection_summary_{name}\"");
        let mut questions = vec![TYPES.to_owned()];
        questions.extend(governors().map(|governor| of_governor(&governor.name)));
        let _ahead = connection.ask_ahead(&questions)?;
        let mut summaries = Self::default();
        let mut select = connection.prepare_cached(TYPES)?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            summaries.by_collection.entry(row.get(0)?).or_default().dataset_types.insert(row.get(1)?);
        }
        for governor in governors() {
            let mut select = connection.prepare_cached(&of_governor(&governor.name))?;
            let mut rows = select.query(())?;
            while let Some(row) = rows.next()? {
                let summary = summaries.by_collection.entry(row.get(0)?).or_default();
                summary.governors.entry(governor.index).or_default().insert(row_key(row, 1)?);
            }
        }
        Ok(summaries)
    }

    /// Reads what is known of one dataset type in some collections, and of governors in those that may hold it.
    fn load_part(
        registry: &Registry,
        connection: &Connection,
        dataset_type: i64,
        governors: &[ElementIndex],
        collections: &[i64],
    ) -> Result<Self, RegistryError> {
        let mut part = Self::default();
        let mut sql = Sql::text("SELECT collection_id FROM collection_summary_dataset_type WHERE dataset_type_id = ");
        sql.bind(Value::Int(dataset_type));
        sql.push(" AND collection_id");
        push_ids(&mut sql, registry, collections.iter().copied());
        let mut select = connection.prepare_for(&sql.text, &sql.values)?;
        bind_values(&mut select, &sql.values)?;
        let mut rows = select.raw_query();
        while let Some(row) = rows.next()? {
            part.by_collection.entry(row.get(0)?).or_default().dataset_types.insert(dataset_type);
        }
        for governor in governors {
            if part.by_collection.is_empty() {
                break;
            }
            let name = &registry.universe().get(*governor).name;
            let mut sql = Sql::text(format!(
                "SELECT collection_id, \"{name}\" FROM \"collection_summary_{name}\" WHERE collection_id"
            ));
            push_ids(&mut sql, registry, part.by_collection.keys().copied());
            let mut select = connection.prepare_for(&sql.text, &sql.values)?;
            bind_values(&mut select, &sql.values)?;
            let mut rows = select.raw_query();
            while let Some(row) = rows.next()? {
                let summary = part.by_collection.entry(row.get(0)?).or_default();
                summary.governors.entry(*governor).or_default().insert(row_key(row, 1)?);
            }
        }
        Ok(part)
    }

    /// What a collection may hold.
    #[must_use]
    pub fn get(&self, collection: i64) -> &Summary {
        self.by_collection.get(&collection).unwrap_or(&self.empty)
    }

    /// Whether a collection may hold datasets of a type.
    #[must_use]
    pub fn may_hold(&self, collection: i64, dataset_type: i64) -> bool {
        self.get(collection).dataset_types.contains(&dataset_type)
    }

    /// Keys of the collections that may hold datasets of a type.
    pub fn collections_with(&self, dataset_type: i64) -> impl Iterator<Item = i64> {
        self.by_collection
            .iter()
            .filter(move |(_, summary)| summary.dataset_types.contains(&dataset_type))
            .map(|(collection, _)| *collection)
    }
}

fn push_ids(sql: &mut Sql, registry: &Registry, ids: impl Iterator<Item = i64>) {
    let ids: Vec<Value> = ids.map(Value::Int).collect();
    sql.in_list(registry.store().dialect(), &ids);
}

/// A search: a dataset type, and whether governors matter.
type Asked = (i64, bool);

/// Parts of the summaries that were read for searches, each for a search of some collections.
#[derive(Debug, Default)]
pub(crate) struct SearchedSummaries {
    #[expect(clippy::type_complexity, reason = "two steps of one look-up")]
    parts: Mutex<HashMap<Asked, Vec<(Box<[i64]>, Arc<Summaries>)>>>,
}

impl SearchedSummaries {
    fn find(&self, asked: Asked, collections: &[i64]) -> Option<Arc<Summaries>> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.get(&asked)?.iter().find(|(known, _)| **known == *collections).map(|(_, part)| part.clone())
    }

    fn keep(&self, asked: Asked, collections: &[i64], part: &Arc<Summaries>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = parts.entry(asked).or_default();
        if kept.len() >= KEPT_SEARCHES {
            kept.remove(0);
        }
        kept.push((collections.into(), part.clone()));
    }
}

impl Registry {
    /// What a search must know: which of these collections may hold datasets of a type and, if `governed`, of which
    /// governors. Of anything else it may say nothing.
    ///
    /// Summaries have a row for each dataset type of each collection, and all are out of date when anybody commits. So where
    /// they are many, only those are read that the search is about.
    pub(crate) fn summaries_for(
        &self,
        record: &DatasetTypeRecord,
        collections: &[i64],
        governed: bool,
    ) -> Result<Arc<Summaries>, RegistryError> {
        if !self.has_many_summaries()? {
            return self.summaries();
        }
        let kept = self.searched_summaries()?;
        let asked = (record.id, governed);
        if let Some(part) = kept.find(asked, collections) {
            return Ok(part);
        }
        let governors: &[ElementIndex] = if governed { &self.universe().info(record.group).governors } else { &[] };
        let part = self
            .store()
            .read(|connection| Summaries::load_part(self, connection, record.id, governors, collections))?;
        let part = Arc::new(part);
        kept.keep(asked, collections, &part);
        Ok(part)
    }
}

/// Whether there are more than a few summaries; stops counting there.
pub(crate) fn are_many(connection: &Connection) -> Result<bool, RegistryError> {
    let sql = format!(
        "SELECT count(*) FROM (SELECT dataset_type_id FROM collection_summary_dataset_type LIMIT {}) AS few",
        FEW + 1
    );
    Ok(connection.query_row(&sql, (), |row| row.get::<i64>(0))? > FEW)
}

/// Notes that datasets of a type with these governor values enter a collection; says whether that was new.
pub(crate) fn note(
    connection: &Connection,
    universe: &Universe,
    collection: i64,
    dataset_type: i64,
    governors: &BTreeSet<(ElementIndex, Key)>,
) -> Result<bool, RegistryError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO collection_summary_dataset_type (collection_id, dataset_type_id) VALUES (?, ?) \
         ON CONFLICT DO NOTHING",
    )?;
    let mut rows = insert.execute([collection, dataset_type])?;
    for (governor, value) in governors {
        let name = &universe.get(*governor).name;
        let sql = format!(
            "INSERT INTO \"collection_summary_{name}\" (collection_id, \"{name}\") VALUES (?, ?) ON CONFLICT DO NOTHING"
        );
        let mut insert = connection.prepare_cached(&sql)?;
        rows += insert.execute(params![collection, value]).map_err(|error| missing_governor(&error, name, value))?;
    }
    Ok(rows > 0)
}

fn missing_governor(error: &DatabaseError, name: &str, value: &Key) -> RegistryError {
    if error.kind.is_constraint() {
        return RegistryError::MissingRecord {
            what: "the data ID".to_owned(),
            element: name.to_owned(),
            key: value.to_string(),
        };
    }
    RegistryError::database("noting what a collection holds", error)
}

/// Deletes the names of dataset types that a collection no longer holds.
pub(crate) fn refresh(
    connection: &Connection,
    collection: i64,
    candidates: &[(i64, String, Option<String>)],
) -> Result<usize, RegistryError> {
    let mut deleted = 0;
    for (dataset_type, tags, calibs) in candidates {
        let mut held = false;
        for table in std::iter::once(tags).chain(calibs) {
            let sql =
                format!("SELECT EXISTS (SELECT 1 FROM \"{table}\" WHERE collection_id = ? AND dataset_type_id = ?)");
            let mut select = connection.prepare_cached(&sql)?;
            held |= select.query_row([collection, *dataset_type], |row| row.get::<bool>(0))?;
        }
        if !held {
            let mut delete = connection.prepare_cached(
                "DELETE FROM collection_summary_dataset_type WHERE collection_id = ? AND dataset_type_id = ?",
            )?;
            deleted += delete.execute([collection, *dataset_type])?;
        }
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        CollectionKind,
        query::{DatasetSearch, QueryRequest, ResultKind},
    };
    use armillary_dimensions::DataCoordinate;

    const MANY: i64 = 70;

    /// As many runs and dataset types, of which each run holds all by its summary; datasets there are none.
    fn crowd(name: &str) -> (std::path::PathBuf, Registry) {
        let folder = std::env::temp_dir().join(format!("armillary-summaries-{name}-{}", std::process::id()));
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("gen3.sqlite3");
        Registry::create(&path, &Universe::default_universe()).expect("made");
        let registry = Registry::open(&path, true).expect("opened");
        let group = registry.universe().group(["detector"]).expect("dimensions");
        registry.register_dataset_type("metric", group, "StructuredDataDict", false).expect("registered");
        registry.register_collection("run", CollectionKind::Run, None).expect("registered");
        let numbers = format!("WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})");
        let fill = format!(
            "INSERT INTO dataset_type (id, name, storage_class, dimensions_key, tag_association_table) {numbers} \
             SELECT i, 'metric' || i, storage_class, dimensions_key, tag_association_table FROM n, dataset_type; \
             INSERT INTO collection (collection_id, name, type) {numbers} SELECT i, 'run' || i, 1 FROM n; \
             INSERT INTO instrument (name, visit_max, exposure_max, detector_max) VALUES ('Cam', 9, 9, 9); \
             INSERT INTO collection_summary_dataset_type (collection_id, dataset_type_id) \
             SELECT c.collection_id, t.id FROM collection c, dataset_type t WHERE c.collection_id <> t.id; \
             INSERT INTO collection_summary_instrument (collection_id, instrument) \
             SELECT collection_id, 'Cam' FROM collection WHERE collection_id > 1"
        );
        registry.store().write("filling", |connection| Ok(connection.execute_batch(&fill)?)).expect("filled");
        drop(registry);
        let registry = Registry::open(&path, true).expect("opened again");
        (folder, registry)
    }

    #[test]
    fn a_part_says_of_a_search_what_all_summaries_say() {
        let (folder, registry) = crowd("part");
        assert!(registry.has_many_summaries().expect("counted"));
        let (catalog, all) = (registry.catalog().expect("a catalog"), registry.summaries().expect("all"));
        let few: Vec<i64> = vec![3, 1, 60];
        let many: Vec<i64> = catalog.collections().map(|collection| collection.id).collect();
        for (name, collections) in [("metric", &few), ("metric3", &few), ("metric2", &many), ("metric60", &many)] {
            let record = catalog.require_dataset_type(name).expect("a dataset type");
            let part = registry.summaries_for(record, collections, true).expect("a part");
            for id in collections {
                assert_eq!(part.may_hold(*id, record.id), all.may_hold(*id, record.id), "`{name}` in {id}");
                if part.may_hold(*id, record.id) {
                    assert_eq!(part.get(*id).governors, all.get(*id).governors, "`{name}` in {id}");
                }
            }
            let again = registry.summaries_for(record, collections, true).expect("the same part");
            assert!(Arc::ptr_eq(&part, &again), "it is kept");
        }
        std::fs::remove_dir_all(folder).ok();
    }

    #[test]
    fn a_search_reads_no_summaries_of_others() {
        let (folder, registry) = crowd("search");
        let group = registry.universe().group(["detector"]).expect("dimensions");
        let data_id = DataCoordinate::standardize(registry.universe(), group, &mut |name: &str| {
            Some(if name == "detector" { Key::Int(1) } else { Key::Str("Cam".into()) })
        });
        let runs: Vec<String> = (2..40).map(|number| format!("run{number}")).collect();
        let found = registry.find_dataset("metric3", &data_id.expect("a data ID"), &runs, None).expect("asked");
        assert!(found.is_none());
        let search = DatasetSearch { dataset_type: "metric3".into(), collections: runs };
        let request =
            QueryRequest::new(ResultKind::Datasets { search, find_first: true }).filtered("instrument = 'Cam'");
        assert_eq!(registry.query_count(&request).expect("counted"), 0);
        assert!(!registry.has_read_all_summaries());
        std::fs::remove_dir_all(folder).ok();
    }

    #[test]
    fn what_is_noted_is_known_at_once_and_no_longer_when_undone() {
        let (folder, registry) = crowd("noted");
        let catalog = registry.catalog().expect("a catalog");
        let record = catalog.require_dataset_type("metric").expect("a dataset type");
        let holds = || registry.summaries_for(record, &[1], true).expect("a part").may_hold(1, record.id);
        let note = || {
            let no_data_ids = std::iter::empty::<&DataCoordinate>();
            let noted = |connection: &Connection| registry.note_summary(connection, 1, record.id, no_data_ids.clone());
            registry.store().write("noting", noted).expect("noted");
        };
        assert!(!holds());
        registry.store().begin().expect("begun");
        note();
        assert!(holds(), "in the transaction");
        registry.store().rollback().expect("undone");
        assert!(!holds(), "after it was undone");
        note();
        assert!(holds(), "after it was kept");
        std::fs::remove_dir_all(folder).ok();
    }
}
