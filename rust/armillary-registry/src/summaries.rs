//! Which dataset types and governor values are in which collections: what makes datasets visible, and searches short.

use crate::{
    decode::row_key,
    error::RegistryError,
    store::{Connection, DatabaseError, params},
};
use armillary_dimensions::{ElementIndex, ElementKind, Key, Universe};
use std::collections::{BTreeMap, BTreeSet, HashMap};

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
        let mut summaries = Self::default();
        let mut select =
            connection.prepare_cached("SELECT collection_id, dataset_type_id FROM collection_summary_dataset_type")?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            summaries.by_collection.entry(row.get(0)?).or_default().dataset_types.insert(row.get(1)?);
        }
        for governor in universe.elements().iter().filter(|element| element.kind == ElementKind::Governor) {
            let name = &governor.name;
            let sql = format!("SELECT collection_id, \"{name}\" FROM \"collection_summary_{name}\"");
            let mut select = connection.prepare_cached(&sql)?;
            let mut rows = select.query(())?;
            while let Some(row) = rows.next()? {
                let summary = summaries.by_collection.entry(row.get(0)?).or_default();
                summary.governors.entry(governor.index).or_default().insert(row_key(row, 1)?);
            }
        }
        Ok(summaries)
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
