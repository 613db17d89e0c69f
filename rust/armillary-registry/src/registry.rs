//! One open repository database.

use crate::{
    attributes::{self, Attributes},
    catalog::Catalog,
    durability::Durability,
    error::RegistryError,
    expand::KeptRecords,
    intents::Intents,
    schema,
    store::{Connection, Kept, Place, Store},
    summaries::{self, Noted, SearchedSummaries, Summaries},
};
use armillary_dimensions::{ElementKind, Universe};
use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// One open repository database; safe to use from many threads.
///
/// ```
/// # use armillary_dimensions::{ElementKind, Universe};
/// # use armillary_registry::Registry;
/// let folder = std::env::temp_dir().join(format!("armillary-doc-{}", std::process::id()));
/// # std::fs::remove_dir_all(&folder).ok();
/// std::fs::create_dir_all(&folder)?;
/// let path = folder.join("gen3.sqlite3");
/// Registry::create(&path, &Universe::default_universe())?;
/// let registry = Registry::open(&path, false)?;
/// assert_eq!(registry.catalog()?.collections().len(), 0);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Registry {
    store: Store,
    intents: Intents,
    universe: Arc<Universe>,
    ingest_date_is_text: bool,
    catalog: Memory<Catalog>,
    summaries: Memory<Summaries>,
    searched_summaries: Memory<SearchedSummaries>,
    /// Whether there were many summaries when this was first asked.
    many_summaries: OnceLock<bool>,
    /// What we noted in the summaries of a server and need not note again, unless the server refuses.
    pub(crate) noted: Mutex<HashSet<Noted>>,
    pub(crate) records: Memory<KeptRecords>,
}

impl Registry {
    /// Makes a repository database in a file at `path`; one without tables may exist there.
    pub fn create(path: &Path, universe: &Arc<Universe>) -> Result<(), RegistryError> {
        Self::create_at(&Place::File(path.to_owned()), universe)
    }

    /// Makes a repository database at a place, where no tables may be.
    pub fn create_at(place: &Place, universe: &Arc<Universe>) -> Result<(), RegistryError> {
        let store = Store::create(place)?;
        store.write("creating a repository", |connection| {
            if !connection.table_names()?.is_empty() {
                return Err(RegistryError::AlreadyExists { path: store.shown() });
            }
            for table in schema::static_tables(universe, store.dialect()) {
                for statement in table.statements(store.dialect()) {
                    connection.execute_batch(&statement)?;
                }
            }
            attributes::write(connection, universe)
        })
    }

    /// Opens a repository database in a file.
    pub fn open(path: &Path, writeable: bool) -> Result<Self, RegistryError> {
        Self::open_at(&Place::File(path.to_owned()), writeable)
    }

    /// Opens a repository database at a place, every write of which is durable.
    pub fn open_at(place: &Place, writeable: bool) -> Result<Self, RegistryError> {
        Self::open_with(place, writeable, Durability::Full)
    }

    /// Opens a repository database at a place; says what a power cut may undo.
    pub fn open_with(place: &Place, writeable: bool, durability: Durability) -> Result<Self, RegistryError> {
        let store = Store::open(place, writeable, durability)?;
        let Attributes { universe, ingest_date_is_text } = attributes::read(&store)?;
        store.watch(&kept_tables(&universe));
        let registry = Self {
            intents: Intents::new(store.place(), durability),
            store,
            universe,
            ingest_date_is_text,
            catalog: Memory::default(),
            summaries: Memory::default(),
            searched_summaries: Memory::default(),
            many_summaries: OnceLock::new(),
            noted: Mutex::default(),
            records: Memory::default(),
        };
        if writeable {
            registry.prepare_datastore(crate::datastore::FILE_RECORDS)?;
        }
        Ok(registry)
    }

    /// The universe of the repository.
    #[must_use]
    pub fn universe(&self) -> &Arc<Universe> {
        &self.universe
    }

    /// SQL access.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn intents(&self) -> &Intents {
        &self.intents
    }

    /// Closes every connection; later calls refuse.
    pub fn close(&self) {
        self.store.close();
        self.intents.close();
    }

    /// Whether `dataset.ingest_date` is text in UTC (`YYYY-MM-DD HH:MM:SS.ffffff`), not nanoseconds TAI.
    #[must_use]
    pub fn ingest_date_is_text(&self) -> bool {
        self.ingest_date_is_text
    }

    /// Collections and dataset types as they are now; read again only when something changed.
    pub fn catalog(&self) -> Result<Arc<Catalog>, RegistryError> {
        self.catalog.get(&self.store, Kept::Catalog, |connection| Catalog::load(connection, &self.universe))
    }

    /// Refuses a name that no collection has. One that others removed a moment ago may pass: no database is asked about
    /// collections that were there before, and what is written into them then fails.
    pub fn check_collection(&self, name: &str) -> Result<(), RegistryError> {
        if self.catalog.last().is_some_and(|catalog| catalog.collection(name).is_some()) {
            return Ok(());
        }
        self.catalog()?.require_collection(name).map(|_| ())
    }

    /// The catalog as the open transaction sees it.
    pub(crate) fn catalog_in(&self, connection: &Connection) -> Result<Arc<Catalog>, RegistryError> {
        self.catalog
            .get_in(&self.store, connection, Kept::Catalog, |connection| Catalog::load(connection, &self.universe))
    }

    /// The catalog as it was last read, unless we have changed it since. What others have changed shows when rows are
    /// refused that refer to it.
    pub(crate) fn recent_catalog(&self) -> Option<Arc<Catalog>> {
        self.catalog.recent(&self.store, Kept::Catalog)
    }

    /// The catalog in which to look up a dataset type that is written to, or that a query will look up again: on a
    /// server, which must be asked whether others changed it, the recent one if it has that type. What is written to a
    /// type that is gone fails.
    pub fn recent_catalog_with(&self, dataset_type: &str) -> Result<Arc<Catalog>, RegistryError> {
        if let Place::Server(_) = self.store.place()
            && let Some(catalog) = self.recent_catalog()
            && catalog.dataset_type(dataset_type).is_some()
        {
            return Ok(catalog);
        }
        self.catalog()
    }

    /// What each collection may hold; read again only when something changed.
    pub fn summaries(&self) -> Result<Arc<Summaries>, RegistryError> {
        self.summaries.get(&self.store, Kept::Summaries, |connection| Summaries::load(connection, &self.universe))
    }

    #[cfg(test)]
    pub(crate) fn has_read_all_summaries(&self) -> bool {
        let slots = self.summaries.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.committed.is_some() || slots.private.is_some()
    }

    /// Parts of the summaries that were read since something changed.
    pub(crate) fn searched_summaries(&self) -> Result<Arc<SearchedSummaries>, RegistryError> {
        self.searched_summaries.get(&self.store, Kept::Searches, |_| Ok(SearchedSummaries::default()))
    }

    /// Whether it would take long to read all summaries; a repository that grows meanwhile is no reason to ask again.
    pub(crate) fn has_many_summaries(&self) -> Result<bool, RegistryError> {
        if let Some(many) = self.many_summaries.get() {
            return Ok(*many);
        }
        let many = self.store.read(summaries::are_many)?;
        Ok(*self.many_summaries.get_or_init(|| many))
    }
}

/// The tables of each kind that is kept in memory; none where a change of anything counts.
fn kept_tables(universe: &Universe) -> [Vec<String>; Kept::COUNT] {
    let mut tables = [const { Vec::new() }; Kept::COUNT];
    let catalog = ["collection", "collection_chain", "dataset_type", "dimension_graph_definition"];
    tables[Kept::Catalog as usize].extend(catalog.map(str::to_owned));
    tables[Kept::Summaries as usize].push("collection_summary_dataset_type".to_owned());
    for element in universe.elements() {
        if element.kind == ElementKind::Governor {
            tables[Kept::Summaries as usize].push(format!("collection_summary_{}", element.name));
        }
        if element.is_cached && element.has_table() {
            tables[Kept::Records as usize].push(element.name.clone());
        }
    }
    tables
}

/// Something read from the database and kept until it changes there.
pub(crate) struct Memory<T> {
    slots: Mutex<Slots<T>>,
}

struct Slots<T> {
    /// What is committed, with the change numbers under which it was read.
    committed: Option<(i64, u64, Arc<T>)>,
    /// What the open transaction sees after changing it, with the number of our changes.
    private: Option<(u64, Arc<T>)>,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self { slots: Mutex::new(Slots { committed: None, private: None }) }
    }
}

impl<T> Memory<T> {
    pub(crate) fn get(
        &self,
        store: &Store,
        kept: Kept,
        mut load: impl FnMut(&Connection) -> Result<T, RegistryError>,
    ) -> Result<Arc<T>, RegistryError> {
        if store.in_own_transaction() {
            return store.read(|connection| self.get_in(store, connection, kept, &mut load));
        }
        let version = store.data_version(kept)?;
        let (generation, _) = store.generation(kept);
        if let Some(value) = self.committed(version, generation) {
            return Ok(value);
        }
        // The numbers were read first: a change that comes between makes the next call read again.
        let value = Arc::new(store.read(&mut load)?);
        self.keep(version, generation, &value);
        Ok(value)
    }

    /// As [`Memory::get`] for code that already holds the writing connection.
    pub(crate) fn get_in(
        &self,
        store: &Store,
        connection: &Connection,
        kept: Kept,
        load: impl FnOnce(&Connection) -> Result<T, RegistryError>,
    ) -> Result<Arc<T>, RegistryError> {
        let (generation, uncommitted) = store.generation(kept);
        if !uncommitted {
            let version = connection.data_version(store.versions(), kept)?;
            if let Some(value) = self.committed(version, generation) {
                return Ok(value);
            }
            let value = Arc::new(load(connection)?);
            self.keep(version, generation, &value);
            return Ok(value);
        }
        if let Some((at, value)) = &self.slots.lock().unwrap_or_else(PoisonError::into_inner).private
            && *at == generation
        {
            return Ok(value.clone());
        }
        let value = Arc::new(load(connection)?);
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).private = Some((generation, value.clone()));
        Ok(value)
    }

    /// What was committed when it was last read.
    pub(crate) fn last(&self) -> Option<Arc<T>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.committed.as_ref().map(|(_, _, value)| value.clone())
    }

    /// What was last read, unless we have changed it since.
    pub(crate) fn recent(&self, store: &Store, kept: Kept) -> Option<Arc<T>> {
        let (generation, uncommitted) = store.generation(kept);
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if uncommitted {
            let private = slots.private.as_ref().filter(|(at, _)| *at == generation && store.in_own_transaction());
            return private.map(|(_, value)| value.clone());
        }
        slots.committed.as_ref().filter(|(_, at, _)| *at == generation).map(|(_, _, value)| value.clone())
    }

    fn committed(&self, version: i64, generation: u64) -> Option<Arc<T>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots
            .committed
            .as_ref()
            .filter(|(at_version, at_generation, _)| (*at_version, *at_generation) == (version, generation))
            .map(|(_, _, value)| value.clone())
    }

    fn keep(&self, version: i64, generation: u64, value: &Arc<T>) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.committed = Some((version, generation, value.clone()));
    }
}
