//! What is small and asked for all the time: collections, chains, dataset types, dimension groups.

use crate::{error::RegistryError, store::Connection};
use armillary_dimensions::{DimensionGroup, Universe, nearest};
use indexmap::IndexMap;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

const COLLECTIONS: &str = "SELECT collection_id, name, type, doc FROM collection ORDER BY collection_id";
const CHAINS: &str = "SELECT parent, child FROM collection_chain ORDER BY parent, position";
const GROUPS: &str = "SELECT dimension_graph_id, dimension_name FROM dimension_graph_definition";
const DATASET_TYPES: &str = "SELECT id, name, storage_class, dimensions_key, tag_association_table, \
                             calibration_association_table FROM dataset_type ORDER BY id";
const DATASET_TYPE: &str = "SELECT id, name, storage_class, dimensions_key, tag_association_table, \
                            calibration_association_table FROM dataset_type WHERE name = ? ORDER BY id";

/// The kinds of collections, numbered as in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CollectionKind {
    /// Datasets are made in it and stay.
    Run = 1,
    /// Datasets of any run, one per type and data ID.
    Tagged = 2,
    /// Other collections, searched in order.
    Chained = 3,
    /// Datasets with times of validity.
    Calibration = 4,
}

impl CollectionKind {
    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Run),
            2 => Some(Self::Tagged),
            3 => Some(Self::Chained),
            4 => Some(Self::Calibration),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> i64 {
        self as i64
    }

    /// Its name with an article, for messages.
    #[must_use]
    pub fn described(self) -> &'static str {
        match self {
            Self::Run => "a RUN",
            Self::Tagged => "a TAGGED collection",
            Self::Chained => "a CHAINED collection",
            Self::Calibration => "a CALIBRATION collection",
        }
    }
}

/// One collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionRecord {
    /// Its key in the database.
    pub id: i64,
    /// Its name.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: CollectionKind,
    /// What someone said about it.
    pub doc: Option<String>,
    /// Keys of the children of a chain, in search order.
    pub children: Vec<i64>,
}

/// One dataset type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetTypeRecord {
    /// Its key in the database.
    pub id: i64,
    /// Its name.
    pub name: Arc<str>,
    /// Name of its storage class.
    pub storage_class: Arc<str>,
    /// Its dimensions.
    pub group: DimensionGroup,
    /// The number of its dimensions in the database.
    pub dimensions_key: i64,
    /// The table of its datasets in RUN and TAGGED collections.
    pub tags_table: Arc<str>,
    /// The table of its datasets in CALIBRATION collections; none if it is not a calibration.
    pub calibs_table: Option<Arc<str>>,
}

/// Collections, chains, dataset types and dimension groups at one moment.
#[derive(Debug, Default)]
pub struct Catalog {
    collections: IndexMap<i64, CollectionRecord>,
    collection_names: HashMap<Arc<str>, i64>,
    dataset_types: IndexMap<i64, DatasetTypeRecord>,
    dataset_type_names: HashMap<Arc<str>, i64>,
    group_keys: HashMap<DimensionGroup, i64>,
}

impl Catalog {
    /// Reads the whole catalog.
    pub(crate) fn load(connection: &Connection, universe: &Universe) -> Result<Self, RegistryError> {
        let questions = [COLLECTIONS, CHAINS, GROUPS, DATASET_TYPES].map(str::to_owned);
        let _ahead = connection.ask_ahead(&questions)?;
        let mut catalog = Self::default();
        catalog.load_collections(connection)?;
        catalog.load_chains(connection)?;
        catalog.load_dataset_types(connection, universe, None)?;
        Ok(catalog)
    }

    /// Reads the dimension groups and one dataset type: making many dataset types must not read all for each.
    pub(crate) fn load_dataset_type(
        connection: &Connection,
        universe: &Universe,
        name: &str,
    ) -> Result<Self, RegistryError> {
        let mut catalog = Self::default();
        catalog.load_dataset_types(connection, universe, Some(name))?;
        Ok(catalog)
    }

    fn load_collections(&mut self, connection: &Connection) -> Result<(), RegistryError> {
        let mut select = connection.prepare_cached(COLLECTIONS)?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            let (id, name, number): (i64, Arc<str>, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let doc: Option<String> = row.get(3)?;
            let kind = CollectionKind::from_number(number).ok_or_else(|| RegistryError::Corrupt {
                what: format!("`collection.type` of `{name}`"),
                reason: format!("{number} is no kind of collection"),
            })?;
            self.collection_names.insert(name.clone(), id);
            let doc = doc.filter(|doc| !doc.is_empty());
            self.collections.insert(id, CollectionRecord { id, name, kind, doc, children: Vec::new() });
        }
        Ok(())
    }

    fn load_chains(&mut self, connection: &Connection) -> Result<(), RegistryError> {
        let mut select = connection.prepare_cached(CHAINS)?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            if let Some(parent) = self.collections.get_mut(&row.get::<i64>(0)?) {
                parent.children.push(row.get(1)?);
            }
        }
        Ok(())
    }

    fn load_dataset_types(
        &mut self,
        connection: &Connection,
        universe: &Universe,
        only: Option<&str>,
    ) -> Result<(), RegistryError> {
        let groups = load_groups(connection, universe)?;
        let mut select = connection.prepare_cached(if only.is_some() { DATASET_TYPE } else { DATASET_TYPES })?;
        let mut rows = select.query(only.as_slice())?;
        while let Some(row) = rows.next()? {
            let (id, name): (i64, Arc<str>) = (row.get(0)?, row.get(1)?);
            let dimensions_key = row.get(3)?;
            let group = *groups.get(&dimensions_key).ok_or_else(|| RegistryError::Corrupt {
                what: format!("`dataset_type.dimensions_key` of `{name}`"),
                reason: format!("no dimensions have the number {dimensions_key}"),
            })?;
            self.dataset_type_names.insert(name.clone(), id);
            let record = DatasetTypeRecord {
                id,
                name,
                storage_class: row.get(2)?,
                group,
                dimensions_key,
                tags_table: row.get(4)?,
                calibs_table: row.get(5)?,
            };
            self.dataset_types.insert(id, record);
        }
        self.group_keys = groups.into_iter().map(|(key, group)| (group, key)).collect();
        Ok(())
    }

    /// The collection called `name`.
    #[must_use]
    pub fn collection(&self, name: &str) -> Option<&CollectionRecord> {
        self.collections.get(self.collection_names.get(name)?)
    }

    /// The collection called `name`, or an error with the nearest name.
    pub fn require_collection(&self, name: &str) -> Result<&CollectionRecord, RegistryError> {
        self.collection(name).ok_or_else(|| RegistryError::NoSuchCollection {
            name: name.to_owned(),
            nearest: nearest(name, self.collections.values().map(|collection| &*collection.name)),
        })
    }

    /// The collection with this key.
    #[must_use]
    pub fn collection_by_id(&self, id: i64) -> Option<&CollectionRecord> {
        self.collections.get(&id)
    }

    /// All collections in the order of their keys.
    #[must_use]
    pub fn collections(&self) -> impl ExactSizeIterator<Item = &CollectionRecord> {
        self.collections.values()
    }

    /// The collections that are no chains behind these names, in search order, each once.
    pub fn flatten<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<i64>, RegistryError> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for name in names {
            self.flatten_one(self.require_collection(name.as_ref())?, &mut seen, &mut found, false);
        }
        Ok(found)
    }

    /// As [`Catalog::flatten`], with the chains themselves before their children.
    pub fn flatten_with_chains<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<i64>, RegistryError> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for name in names {
            self.flatten_one(self.require_collection(name.as_ref())?, &mut seen, &mut found, true);
        }
        Ok(found)
    }

    fn flatten_one(&self, from: &CollectionRecord, seen: &mut HashSet<i64>, found: &mut Vec<i64>, chains: bool) {
        // A stack of its own: the depth of chains is the repository's, not ours.
        let mut waiting = vec![from];
        while let Some(collection) = waiting.pop() {
            if !seen.insert(collection.id) {
                continue;
            }
            if chains || collection.kind != CollectionKind::Chained {
                found.push(collection.id);
            }
            waiting.extend(collection.children.iter().rev().filter_map(|child| self.collections.get(child)));
        }
    }

    /// The chains that have this collection as a child.
    pub fn parents(&self, id: i64) -> impl Iterator<Item = &CollectionRecord> {
        self.collections.values().filter(move |collection| collection.children.contains(&id))
    }

    /// The dataset type called `name`.
    #[must_use]
    pub fn dataset_type(&self, name: &str) -> Option<&DatasetTypeRecord> {
        self.dataset_types.get(self.dataset_type_names.get(name)?)
    }

    /// The dataset type called `name`, or an error with the nearest name.
    pub fn require_dataset_type(&self, name: &str) -> Result<&DatasetTypeRecord, RegistryError> {
        self.dataset_type(name).ok_or_else(|| RegistryError::NoSuchDatasetType {
            name: name.to_owned(),
            nearest: nearest(name, self.dataset_types.values().map(|dataset_type| &*dataset_type.name)),
        })
    }

    /// The dataset type with this key.
    #[must_use]
    pub fn dataset_type_by_id(&self, id: i64) -> Option<&DatasetTypeRecord> {
        self.dataset_types.get(&id)
    }

    /// All dataset types in the order of their keys.
    #[must_use]
    pub fn dataset_types(&self) -> impl ExactSizeIterator<Item = &DatasetTypeRecord> {
        self.dataset_types.values()
    }

    /// The number of a dimension group, if the repository has given it one.
    #[must_use]
    pub fn group_key(&self, group: DimensionGroup) -> Option<i64> {
        self.group_keys.get(&group).copied()
    }
}

fn load_groups(connection: &Connection, universe: &Universe) -> Result<HashMap<i64, DimensionGroup>, RegistryError> {
    let mut names: HashMap<i64, Vec<String>> = HashMap::new();
    let mut select = connection.prepare_cached(GROUPS)?;
    let mut rows = select.query(())?;
    while let Some(row) = rows.next()? {
        names.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    // The empty group has the number 0 and no rows.
    let mut groups = HashMap::from([(0, DimensionGroup::EMPTY)]);
    for (key, names) in names {
        groups.insert(key, universe.group(names.iter().map(String::as_str))?);
    }
    Ok(groups)
}
