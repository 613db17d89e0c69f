//! Connections to one repository database: who reads, who writes, and when a change is kept.

mod client_certificate;
mod connection;
mod encryption;
mod gathered;
mod holder;
mod indexes;
mod kept_journal;
mod many_rows;
mod many_values;
mod place;
mod postgres;
mod postgres_errors;
mod postgres_statement;
mod postgres_values;
mod reading;
mod session;
mod sqlite;
mod transaction;
mod unchecked;
mod values;
mod versions;

use crate::{
    dialect::{Dialect, Postgres, Sqlite},
    durability::Durability,
    error::RegistryError,
};
use std::{
    collections::HashMap,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

pub use place::{Place, PostgresPlace};
use transaction::{Level, StateCopy, TransactionState, make_real};
pub(crate) use versions::Versions;

pub(crate) use connection::{Connection, DatabaseError, DatabaseResult, ErrorKind, Row, Statement};
pub(crate) use unchecked::Unchecked;
pub(crate) use values::{Bind, Parameter, ValueRef, params};

/// How often something is tried again when its connection turns out to be gone.
const RECONNECTIONS: u32 = 8;
/// How often a change is tried again that others were in the way of.
const CONFLICTS: u32 = 12;
/// Characters of a statement that an error repeats at most.
const LONGEST_SHOWN: usize = 2000;
/// Bytes of the longest statement that is kept compiled: such a text hardly comes again, and takes a lot of memory.
const LONGEST_KEPT: usize = 1 << 16;
/// How many idle reading connections are kept.
const IDLE_READERS: usize = 8;

/// The SQL access to one repository database.
///
/// Reads use connections of their own and never take the write lock. Writes go through one connection, one transaction
/// at a time; a thread that has a transaction open reads through it, so that it sees what it wrote.
pub struct Store {
    place: Place,
    writeable: bool,
    durability: Durability,
    process: u32,
    readers: Mutex<Vec<Connection>>,
    /// Connections with which a thread reads one state of the database for a while.
    together: Mutex<HashMap<ThreadId, Connection>>,
    versions: Versions,
    /// For each thread that is at a question, the numbers that what is kept in memory had when each was first asked.
    questions: Mutex<HashMap<ThreadId, versions::Numbers>>,
    /// Of a repository that is only read: notices changes, which needs one fixed connection.
    watcher: Mutex<Option<Connection>>,
    writer: Mutex<Option<Connection>>,
    /// On a server: what it writes is kept whatever becomes of the writer's transaction.
    aside: Mutex<Option<Connection>>,
    transaction: Mutex<TransactionState>,
    released: Condvar,
    changes: [Changes; Kept::COUNT],
}

/// What is kept in memory and must be read again when it changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kept {
    /// Collections and dataset types.
    Catalog,
    /// Which dataset types and governors are in which collections.
    Summaries,
    /// Records of cached dimension elements.
    Records,
    /// Parts of many summaries, each read for one search: to read one again costs less than to see whether any changed.
    Searches,
}

impl Kept {
    /// How many kinds there are.
    pub(crate) const COUNT: usize = 4;
}

/// Our own changes of one kept thing; those of others show in [`Store::data_version`].
#[derive(Default)]
struct Changes {
    /// Counts the changes, and again the ends of transactions that made some.
    generation: AtomicU64,
    /// Whether the open transaction made some.
    open: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the database at a place, made if it is a file and there is none.
    pub(crate) fn create(place: &Place) -> Result<Self, RegistryError> {
        match place {
            Place::File(path) => sqlite::create(path)?,
            Place::Server(place) => postgres::prepare_namespace(place)?,
        }
        Self::open(place, true, Durability::Full)
    }

    /// Opens the database at a place, which must exist.
    pub fn open(place: &Place, writeable: bool, durability: Durability) -> Result<Self, RegistryError> {
        let store = Self {
            place: place.clone(),
            writeable,
            durability,
            process: std::process::id(),
            readers: Mutex::default(),
            together: Mutex::default(),
            versions: Versions::default(),
            questions: Mutex::default(),
            watcher: Mutex::default(),
            writer: Mutex::default(),
            aside: Mutex::default(),
            transaction: Mutex::default(),
            released: Condvar::new(),
            changes: Default::default(),
        };
        // The first statement notices a file that is not a database, and rolls back what a dead process left half-done.
        let connection = if writeable { store.connect(true)? } else { store.reader()? };
        connection
            .table_names()
            .map_err(|error| RegistryError::NotARepository { path: place.shown(), reason: error.to_string() })?;
        if writeable {
            connection.keep_journal(durability)?;
            *lock(&store.writer) = Some(connection);
        } else {
            lock(&store.readers).push(connection);
        }
        Ok(store)
    }

    /// Where the database is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where the database is, for messages.
    pub(crate) fn shown(&self) -> String {
        self.place.shown()
    }

    /// Whether writes are allowed.
    #[must_use]
    pub fn writeable(&self) -> bool {
        self.writeable
    }

    /// The dialect of the database.
    #[must_use]
    pub fn dialect(&self) -> &dyn Dialect {
        match self.place {
            Place::File(_) => &Sqlite,
            Place::Server(_) => &Postgres,
        }
    }

    /// What numbers the states of the tables kept in memory.
    pub(crate) fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Names the tables of each kind that is kept in memory.
    pub(crate) fn watch(&self, tables: &[Vec<String>; Kept::COUNT]) {
        self.versions.watch(tables);
    }

    /// Makes a new connection.
    pub(crate) fn connect(&self, writeable: bool) -> Result<Connection, RegistryError> {
        match &self.place {
            Place::File(path) => Ok(Connection::Sqlite(sqlite::connect(path, writeable, self.durability)?)),
            Place::Server(place) => {
                let connection = postgres::PostgresConnection::connect(place, writeable, self.durability)?;
                Ok(Connection::Postgres(Box::new(connection)))
            }
        }
    }

    /// A connection that only reads.
    fn reader(&self) -> Result<Connection, RegistryError> {
        if let Some(connection) = lock(&self.readers).pop() {
            return Ok(connection);
        }
        // A writeable repository is opened for writing even to read: only then can a dead process's journal be undone.
        if let Place::Server(_) = self.place {
            return self.connect(false);
        }
        let connection = self.connect(self.writeable)?;
        connection.execute_batch("PRAGMA query_only=ON")?;
        Ok(connection)
    }

    /// A forked child must not touch its parent's connections, not even to close them.
    fn refuse_inherited(&self) -> Result<(), RegistryError> {
        if self.process == std::process::id() {
            return Ok(());
        }
        Err(RegistryError::BadArgument {
            reason: "this repository was opened before the process was forked; open it again in the child".to_owned(),
        })
    }

    /// Whether the calling thread has a transaction that the database knows of.
    pub(crate) fn in_own_transaction(&self) -> bool {
        let state = lock(&self.transaction);
        state.real > 0 && state.owner == Some(thread::current().id())
    }

    /// Whether the calling thread has begun a transaction.
    pub(crate) fn in_transaction(&self) -> bool {
        let state = lock(&self.transaction);
        state.depth > 0 && state.owner == Some(thread::current().id())
    }

    /// How many levels of a transaction the calling thread has open.
    pub(crate) fn depth(&self) -> usize {
        let state = lock(&self.transaction);
        if state.owner == Some(thread::current().id()) { state.depth } else { 0 }
    }

    /// Refuses for a repository that is only read, and in a forked child.
    pub(crate) fn may_write(&self, doing: &str) -> Result<(), RegistryError> {
        if !self.writeable {
            return Err(RegistryError::ReadOnly { doing: doing.to_owned() });
        }
        self.refuse_inherited()
    }

    /// Runs something that writes, in a transaction or as one step of the one that is open.
    ///
    /// It may run again from the start when others were in the way, and nothing of it was kept.
    pub(crate) fn write<T>(
        &self,
        doing: &str,
        write: impl FnMut(&Connection) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.write_checked(doing, write, |_| Ok(false))
    }

    /// As [`Store::write`]; when the database does not confirm the commit, `happened` looks whether it was made.
    pub(crate) fn write_checked<T>(
        &self,
        doing: &str,
        mut write: impl FnMut(&Connection) -> Result<T, RegistryError>,
        mut happened: impl FnMut(&Connection) -> Result<bool, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.may_write(doing)?;
        let mut tries = 0;
        loop {
            self.begin()?;
            let whole = !self.in_own_transaction();
            let level = Level { store: self, open: true };
            let mut passing = false;
            let outcome = self.with_writer(|connection, state| {
                let outcome = make_real(connection, state, doing).and_then(|()| write(connection));
                passing = outcome.is_err() && connection.failed_in_passing();
                outcome.map_err(|error| self.with_holder(error, doing, connection))
            });
            match outcome {
                Ok(value) => match level.keep(&mut happened) {
                    Ok(()) => return Ok(value),
                    Err(error @ RegistryError::CommitUnknown { .. }) => return Err(error),
                    // The server says that nothing was kept.
                    Err(error) if !(whole && self.writer_is_lost() && tries < CONFLICTS) => return Err(error),
                    Err(_) => {}
                },
                Err(error) => {
                    level.undo()?;
                    if !(passing && whole && tries < CONFLICTS) {
                        return Err(error);
                    }
                }
            }
            tries += 1;
            self.forget_lost_levels();
            wait_before(tries);
        }
    }

    /// On a server, runs one statement that is kept at once, whatever becomes of the transaction that is open.
    pub(crate) fn write_aside<T>(
        &self,
        mut write: impl FnMut(&Connection) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        if let Some(level) = self.begin_if_idle() {
            // Nobody has a transaction open, and none is begun here: the writer keeps each statement at once.
            let written =
                again_if_lost(|| self.with_writer(|connection, _| Ok((write(connection), connection.is_lost()))));
            return level.keep(|_| Ok(false)).and(written);
        }
        let mut aside = lock(&self.aside);
        again_if_lost(|| {
            let connection = aside.take().map_or_else(|| self.connect(true), Ok)?;
            let (result, lost) = (write(&connection), connection.is_lost());
            if !lost {
                *aside = Some(connection);
            }
            Ok((result, lost))
        })
    }

    /// Says who holds the lock that was waited for in vain, if that can be known.
    fn with_holder(&self, error: RegistryError, doing: &str, waiting: &Connection) -> RegistryError {
        let RegistryError::Busy { holder: None, .. } = error else { return error };
        let holder = match (&self.place, waiting) {
            (Place::File(path), _) => holder::of_file(path),
            (Place::Server(place), Connection::Postgres(waiting)) => holder::on_server(place, &waiting.transaction()),
            (Place::Server(_), Connection::Sqlite(_)) => None,
        };
        RegistryError::Busy { doing: doing.to_owned(), holder }
    }

    fn writer_is_lost(&self) -> bool {
        lock(&self.writer).as_ref().is_some_and(Connection::is_lost)
    }

    /// After a lost connection: what was begun is begun anew with the next write.
    fn forget_lost_levels(&self) {
        if self.writer_is_lost() {
            let mut state = lock(&self.transaction);
            state.real = 0;
            state.broken = false;
        }
    }

    fn with_writer<T>(
        &self,
        run: impl FnOnce(&Connection, &mut TransactionState) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut writer = lock(&self.writer);
        // Only the owner changes the state while it owns the transaction, so a copy is safe to work on.
        let mut state = StateCopy { state: *lock(&self.transaction), home: &self.transaction };
        if writer.as_ref().is_some_and(Connection::is_lost) && state.state.real == 0 {
            *writer = Some(self.connect(true)?);
        }
        run(writer.as_ref().ok_or_else(closed)?, &mut state.state)
    }

    /// Begins a question of the calling thread: until it ends a server is asked only once whether others changed what is
    /// kept in memory. The question must not change anything.
    pub(crate) fn question(&self) -> Question<'_> {
        let me = thread::current().id();
        let outermost = match self.place {
            Place::File(_) => false, // to ask costs next to nothing there
            Place::Server(_) => {
                let mut questions = lock(&self.questions);
                let outermost = !questions.contains_key(&me);
                questions.entry(me).or_default();
                outermost
            }
        };
        Question(outermost.then_some((self, me)))
    }

    /// A number that changes when someone else changed what is kept; for a file, when someone else changed anything.
    pub(crate) fn data_version(&self, kept: Kept) -> Result<i64, RegistryError> {
        self.refuse_inherited()?;
        if let Place::Server(_) = self.place {
            return self.server_version(kept);
        }
        if self.writeable {
            // The writer's own commits do not count, which spares re-reading after each of them.
            return Ok(lock(&self.writer).as_ref().ok_or_else(closed)?.data_version(&self.versions, kept)?);
        }
        let mut watcher = lock(&self.watcher);
        let connection = match watcher.take() {
            Some(connection) => connection,
            None => self.reader()?,
        };
        Ok(watcher.insert(connection).data_version(&self.versions, kept)?)
    }

    fn server_version(&self, kept: Kept) -> Result<i64, RegistryError> {
        let me = thread::current().id();
        let known = lock(&self.questions).get(&me).copied();
        if let Some(Some(number)) = known.map(|numbers| numbers[kept as usize]) {
            return Ok(number);
        }
        let found = self.read(|connection| Ok(connection.data_versions(&self.versions, kept, known.is_some())?))?;
        if let Some(numbers) = lock(&self.questions).get_mut(&me) {
            numbers.iter_mut().zip(found).for_each(|(number, found)| *number = number.or(found));
        }
        Ok(found[kept as usize].unwrap_or_default())
    }

    /// Notes that the open transaction changed something that is kept in memory.
    pub(crate) fn changed(&self, kept: Kept) {
        let changes = &self.changes[kept as usize];
        changes.open.store(true, Ordering::Release);
        changes.generation.fetch_add(1, Ordering::AcqRel);
        if let Kept::Summaries = kept {
            self.changed(Kept::Searches);
        }
    }

    /// A number that changes with each of our changes of something kept, and whether some are not committed.
    pub(crate) fn generation(&self, kept: Kept) -> (u64, bool) {
        let changes = &self.changes[kept as usize];
        (changes.generation.load(Ordering::Acquire), changes.open.load(Ordering::Acquire))
    }

    fn forget_kept(&self, outermost: bool) {
        for changes in &self.changes {
            if changes.open.load(Ordering::Acquire) {
                changes.generation.fetch_add(1, Ordering::AcqRel);
                changes.open.store(!outermost, Ordering::Release);
            }
        }
    }

    /// Closes every connection; later calls open or refuse.
    pub fn close(&self) {
        let readers = std::mem::take(&mut *lock(&self.readers));
        let together = std::mem::take(&mut *lock(&self.together));
        let (watcher, writer) = (lock(&self.watcher).take(), lock(&self.writer).take());
        let aside = lock(&self.aside).take();
        if self.process != std::process::id() {
            // Closing in a forked child would undo the transaction its parent has open.
            std::mem::forget((readers, together, watcher, writer, aside));
            return;
        }
        if let Some(connection) = writer {
            connection.remove_journal();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

/// Runs something that says whether its connection was lost; then again, over another one.
fn again_if_lost<T>(
    mut run: impl FnMut() -> Result<(Result<T, RegistryError>, bool), RegistryError>,
) -> Result<T, RegistryError> {
    let mut tries = 0;
    loop {
        let (result, lost) = run()?;
        tries += 1;
        if !lost || result.is_ok() || tries > RECONNECTIONS {
            return result;
        }
        wait_before(tries);
    }
}

/// Pauses before a change is tried again, longer each time and unevenly.
fn wait_before(tries: u32) {
    let noise = u64::from(std::process::id()).wrapping_mul(2_654_435_761).wrapping_add(u64::from(tries)) % 16;
    thread::sleep(Duration::from_millis((4 << tries.min(6)) + noise));
}

/// A question of a thread; it ends also when a panic comes by. None within another one.
#[must_use]
pub(crate) struct Question<'a>(Option<(&'a Store, ThreadId)>);

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if let Some((store, thread)) = self.0 {
            lock(&store.questions).remove(&thread);
        }
    }
}

fn closed() -> RegistryError {
    RegistryError::BadArgument { reason: "the repository is closed".to_owned() }
}

#[cfg(test)]
mod tests;
