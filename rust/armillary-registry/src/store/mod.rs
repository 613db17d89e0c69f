//! Connections to one repository database: who reads, who writes, and when a change is kept.

mod connection;
mod sqlite;

use crate::{
    decode::{bind_values, decode_rows},
    dialect::{Dialect, Sqlite},
    error::RegistryError,
};
use armillary_dimensions::{Column, ColumnType, Value};
use std::{
    path::{Path, PathBuf},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
};

pub(crate) use connection::{Bind, Connection, DatabaseError, ErrorKind, Parameter, Row, Statement, ValueRef, params};

/// How many idle reading connections are kept.
const IDLE_READERS: usize = 8;

/// The SQL access to one repository database.
///
/// Reads use connections of their own and never take the write lock. Writes go through one connection, one transaction
/// at a time; a thread that has a transaction open reads through it, so that it sees what it wrote.
pub struct Store {
    path: PathBuf,
    writeable: bool,
    process: u32,
    readers: Mutex<Vec<Connection>>,
    /// Of a repository that is only read: notices changes, which needs one fixed connection.
    watcher: Mutex<Option<Connection>>,
    writer: Mutex<Option<Connection>>,
    transaction: Mutex<TransactionState>,
    released: Condvar,
    changes: [Changes; 3],
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
}

/// Our own changes of one kept thing; those of others show in [`Store::data_version`].
#[derive(Default)]
struct Changes {
    /// Counts the changes, and again the ends of transactions that made some.
    generation: AtomicU64,
    /// Whether the open transaction made some.
    open: AtomicBool,
}

/// Who owns the transaction, how many levels were begun, and how many of them the database knows.
///
/// A level reaches the database with its first write, so that a transaction that only reads takes no lock.
#[derive(Clone, Copy, Default)]
struct TransactionState {
    owner: Option<ThreadId>,
    depth: usize,
    real: usize,
    /// A level could not be kept by the database; every level above must be given up, too.
    broken: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the database file at `path`, made if there is none.
    pub(crate) fn create(path: &Path) -> Result<Self, RegistryError> {
        sqlite::create(path)?;
        Self::open(path, true)
    }

    /// Opens the database file at `path`, which must exist.
    pub fn open(path: &Path, writeable: bool) -> Result<Self, RegistryError> {
        let store = Self {
            path: path.to_owned(),
            writeable,
            process: std::process::id(),
            readers: Mutex::default(),
            watcher: Mutex::default(),
            writer: Mutex::default(),
            transaction: Mutex::default(),
            released: Condvar::new(),
            changes: Default::default(),
        };
        // The first statement notices a file that is not a database, and rolls back what a dead process left half-done.
        let connection = if writeable { store.connect(true)? } else { store.reader()? };
        connection.table_names().map_err(|error| RegistryError::NotARepository {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        if writeable {
            connection.keep_journal()?;
            *lock(&store.writer) = Some(connection);
        } else {
            lock(&store.readers).push(connection);
        }
        Ok(store)
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the database is, for messages.
    pub(crate) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether writes are allowed.
    #[must_use]
    pub fn writeable(&self) -> bool {
        self.writeable
    }

    /// The dialect of the database.
    #[must_use]
    pub fn dialect(&self) -> &dyn Dialect {
        &Sqlite
    }

    fn connect(&self, writeable: bool) -> Result<Connection, RegistryError> {
        Ok(Connection::Sqlite(sqlite::connect(&self.path, writeable)?))
    }

    /// A connection that only reads.
    fn reader(&self) -> Result<Connection, RegistryError> {
        if let Some(connection) = lock(&self.readers).pop() {
            return Ok(connection);
        }
        // A writeable repository is opened for writing even to read: only then can a dead process's journal be undone.
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

    /// Runs something that only reads.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.refuse_inherited()?;
        if self.writeable && self.in_own_transaction() {
            let writer = lock(&self.writer);
            return read(writer.as_ref().ok_or_else(closed)?);
        }
        let connection = self.reader()?;
        let result = read(&connection);
        let mut readers = lock(&self.readers);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        result
    }

    /// As [`Store::read`], for several statements that must see one state of the database.
    pub(crate) fn read_together<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.read(|connection| {
            if !connection.is_autocommit() {
                return read(connection);
            }
            connection.execute_batch("BEGIN")?;
            let result = read(connection);
            connection.execute_batch("ROLLBACK")?;
            result
        })
    }

    /// Runs one SELECT with bound values and decodes every row straight into columns of the given types.
    ///
    /// Integers, doubles, booleans and text as they are; bytes from base64 text; ids from 32 hexadecimal digits;
    /// a timespan takes two result columns, its begin and its end. A bound timespan takes two parameters, too.
    pub fn select(&self, sql: &str, values: &[Value], types: &[ColumnType]) -> Result<Vec<Column>, RegistryError> {
        self.read(|connection| select(connection, sql, values, types))
    }

    /// Runs something that writes, in a transaction or as one step of the one that is open.
    pub(crate) fn write<T>(
        &self,
        doing: &str,
        write: impl FnOnce(&Connection) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.write_checked(doing, write, |_| Ok(false))
    }

    /// As [`Store::write`]; when the database does not confirm the commit, `happened` looks whether it was made.
    pub(crate) fn write_checked<T>(
        &self,
        doing: &str,
        write: impl FnOnce(&Connection) -> Result<T, RegistryError>,
        happened: impl FnOnce(&Connection) -> Result<bool, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.may_write(doing)?;
        self.begin()?;
        let level = Level { store: self, open: true };
        let outcome = self.with_writer(|connection, state| {
            make_real(connection, state, doing)?;
            write(connection)
        });
        match outcome {
            Ok(value) => level.keep(happened).map(|()| value),
            Err(error) => {
                level.undo()?;
                Err(error)
            }
        }
    }

    fn with_writer<T>(
        &self,
        run: impl FnOnce(&Connection, &mut TransactionState) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let writer = lock(&self.writer);
        let connection = writer.as_ref().ok_or_else(closed)?;
        // Only the owner changes the state while it owns the transaction, so a copy is safe to work on.
        let mut state = StateCopy { state: *lock(&self.transaction), home: &self.transaction };
        run(connection, &mut state.state)
    }

    /// Begins a level of the calling thread's transaction; waits for another thread's transaction to end.
    pub fn begin(&self) -> Result<(), RegistryError> {
        self.refuse_inherited()?;
        let me = thread::current().id();
        let mut state = lock(&self.transaction);
        while state.owner.is_some_and(|owner| owner != me) {
            state = self.released.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.owner = Some(me);
        state.depth += 1;
        Ok(())
    }

    /// Keeps the innermost level: for the outermost one, on disk.
    pub fn commit(&self) -> Result<(), RegistryError> {
        self.end(true, |_| Ok(false))
    }

    /// Undoes the innermost level.
    pub fn rollback(&self) -> Result<(), RegistryError> {
        self.end(false, |_| Ok(false))
    }

    fn end(
        &self,
        keep: bool,
        happened: impl FnOnce(&Connection) -> Result<bool, RegistryError>,
    ) -> Result<(), RegistryError> {
        if !self.in_transaction() {
            return Err(RegistryError::NoTransaction);
        }
        let real = self.in_own_transaction();
        let result = if real { self.end_real(keep, happened) } else { Ok(()) };
        let mut state = lock(&self.transaction);
        if real && (state.depth == 1 || !keep || result.is_err()) {
            self.forget_kept(state.depth == 1);
        }
        state.depth -= 1;
        state.real = state.real.min(state.depth);
        if state.depth == 0 {
            *state = TransactionState::default();
            self.released.notify_one();
        }
        result
    }

    fn end_real(
        &self,
        keep: bool,
        happened: impl FnOnce(&Connection) -> Result<bool, RegistryError>,
    ) -> Result<(), RegistryError> {
        self.with_writer(|connection, state| {
            if state.real < state.depth {
                return Ok(()); // this level never reached the database
            }
            let outermost = state.depth == 1;
            if keep && !state.broken {
                let sql = if outermost { "COMMIT".to_owned() } else { format!("RELEASE level_{}", state.depth) };
                return match connection.execute_batch(&sql) {
                    Ok(()) => Ok(()),
                    Err(error) if outermost => commit_failed(connection, &error, happened),
                    Err(error) => {
                        state.broken = true;
                        Err(error.into())
                    }
                };
            }
            let broken = state.broken;
            undo(connection, state, outermost)?;
            if keep && broken { Err(given_up()) } else { Ok(()) }
        })
    }

    /// A number that changes when someone else changed the database.
    pub(crate) fn data_version(&self) -> Result<i64, RegistryError> {
        self.refuse_inherited()?;
        if self.writeable {
            // The writer's own commits do not count, which spares re-reading after each of them.
            return Ok(lock(&self.writer).as_ref().ok_or_else(closed)?.data_version()?);
        }
        let mut watcher = lock(&self.watcher);
        let connection = match watcher.take() {
            Some(connection) => connection,
            None => self.reader()?,
        };
        Ok(watcher.insert(connection).data_version()?)
    }

    /// Notes that the open transaction changed something that is kept in memory.
    pub(crate) fn changed(&self, kept: Kept) {
        let changes = &self.changes[kept as usize];
        changes.open.store(true, Ordering::Release);
        changes.generation.fetch_add(1, Ordering::AcqRel);
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
        let (watcher, writer) = (lock(&self.watcher).take(), lock(&self.writer).take());
        if self.process != std::process::id() {
            // Closing in a forked child would undo the transaction its parent has open.
            std::mem::forget((readers, watcher, writer));
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

fn closed() -> RegistryError {
    RegistryError::BadArgument { reason: "the repository is closed".to_owned() }
}

/// The owner's copy of the state; it goes back even when a panic comes by.
struct StateCopy<'a> {
    state: TransactionState,
    home: &'a Mutex<TransactionState>,
}

impl Drop for StateCopy<'_> {
    fn drop(&mut self) {
        *lock(self.home) = self.state;
    }
}

/// A level of a transaction that is undone unless it is kept, also when a panic comes by.
struct Level<'a> {
    store: &'a Store,
    open: bool,
}

impl Level<'_> {
    fn keep(mut self, happened: impl FnOnce(&Connection) -> Result<bool, RegistryError>) -> Result<(), RegistryError> {
        self.open = false;
        self.store.end(true, happened)
    }

    fn undo(mut self) -> Result<(), RegistryError> {
        self.open = false;
        self.store.end(false, |_| Ok(false))
    }
}

impl Drop for Level<'_> {
    fn drop(&mut self) {
        if self.open {
            // Only a panic leads here; it is told, and this must not hide it.
            self.store.end(false, |_| Ok(false)).ok();
        }
    }
}

/// Begins in the database what was begun only here.
fn make_real(connection: &Connection, state: &mut TransactionState, doing: &str) -> Result<(), RegistryError> {
    if state.broken {
        return Err(given_up());
    }
    while state.real < state.depth {
        let sql =
            if state.real == 0 { "BEGIN IMMEDIATE".to_owned() } else { format!("SAVEPOINT level_{}", state.real + 1) };
        connection.execute_batch(&sql).map_err(|error| RegistryError::database(doing, &error))?;
        state.real += 1;
    }
    Ok(())
}

fn given_up() -> RegistryError {
    RegistryError::Database {
        doing: "going on with a transaction".to_owned(),
        reason: "an earlier step failed and the database undid all of it".to_owned(),
    }
}

fn undo(connection: &Connection, state: &mut TransactionState, outermost: bool) -> Result<(), RegistryError> {
    if connection.is_autocommit() {
        // The database gave up the whole transaction by itself, as it does when the disk is full.
        state.broken = !outermost;
        return Ok(());
    }
    if outermost {
        return Ok(connection.execute_batch("ROLLBACK")?);
    }
    let level = state.depth;
    Ok(connection.execute_batch(&format!("ROLLBACK TO level_{level}; RELEASE level_{level}"))?)
}

/// COMMIT failed: find out what is true, leave no transaction open, and say so.
fn commit_failed(
    connection: &Connection,
    error: &DatabaseError,
    happened: impl FnOnce(&Connection) -> Result<bool, RegistryError>,
) -> Result<(), RegistryError> {
    if !connection.is_autocommit() {
        // Still open, so nothing was kept; giving it up makes that final.
        connection.execute_batch("ROLLBACK")?;
        return Err(RegistryError::database("committing", error));
    }
    match happened(connection) {
        Ok(true) => Ok(()),
        Ok(false) => Err(RegistryError::database("committing", error)),
        Err(_) => Err(RegistryError::CommitUnknown { reason: error.to_string() }),
    }
}

/// Runs one SELECT on a connection; see [`Store::select`].
pub(crate) fn select(
    connection: &Connection,
    sql: &str,
    values: &[Value],
    types: &[ColumnType],
) -> Result<Vec<Column>, RegistryError> {
    let mut statement = connection
        .prepare_cached(sql)
        .map_err(|error| RegistryError::Database { doing: format!("preparing `{sql}`"), reason: error.to_string() })?;
    bind_values(&mut statement, values)?;
    decode_rows(&mut statement, types)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of one table whose file cannot grow.
    fn full(name: &str) -> (PathBuf, Store) {
        let folder = std::env::temp_dir().join(format!("armillary-store-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("gen3.sqlite3");
        sqlite::create(&path).expect("a file");
        let connection = sqlite::connect(&path, true).expect("a database");
        connection.execute_batch("DROP TABLE IF EXISTS t; CREATE TABLE t (x TEXT NOT NULL)").expect("a table");
        drop(connection);
        let store = Store::open(&path, true).expect("a store");
        store.with_writer(|connection, _| Ok(connection.execute_batch("PRAGMA max_page_count=8")?)).expect("a limit");
        (folder, store)
    }

    fn insert(store: &Store, bytes: usize) -> Result<(), RegistryError> {
        store.write("inserting", |connection| {
            connection.prepare_cached("INSERT INTO t VALUES (?)")?.execute(["x".repeat(bytes)])?;
            Ok(())
        })
    }

    fn rows(store: &Store) -> i64 {
        store
            .read(|connection| Ok(connection.query_row("SELECT count(*) FROM t", (), |row| row.get(0))?))
            .expect("a count")
    }

    #[test]
    fn a_full_disk_keeps_nothing_of_the_step_and_the_store_goes_on() {
        let (folder, store) = full("step");
        insert(&store, 10).expect("room for a little");
        assert!(matches!(insert(&store, 100_000), Err(RegistryError::Database { .. })));
        insert(&store, 10).expect("still usable");
        assert_eq!(rows(&store), 2);
        std::fs::remove_dir_all(folder).ok();
    }

    #[test]
    fn a_transaction_that_the_database_gave_up_is_not_kept_in_part() {
        let (folder, store) = full("whole");
        store.begin().expect("begun");
        insert(&store, 10).expect("room for a little");
        insert(&store, 100_000).expect_err("no room");
        // Whether the database undid all or only the step, what follows must not be kept without what came before.
        let later = insert(&store, 10);
        let kept = store.commit();
        let expected = if later.is_ok() && kept.is_ok() { 2 } else { 0 };
        assert_eq!(rows(&store), expected);
        insert(&store, 10).expect("usable after the transaction");
        assert_eq!(rows(&store), expected + 1);
        std::fs::remove_dir_all(folder).ok();
    }

    #[test]
    fn a_panic_in_a_step_ends_its_transaction() {
        let (folder, store) = full("panic");
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            store.write("panicking", |connection| -> Result<(), RegistryError> {
                connection.execute_batch("INSERT INTO t VALUES ('x')")?;
                panic!("on purpose");
            })
        }));
        assert!(outcome.is_err());
        assert_eq!(rows(&store), 0);
        insert(&store, 10).expect("usable after the panic");
        assert_eq!(rows(&store), 1);
        std::fs::remove_dir_all(folder).ok();
    }

    #[test]
    fn what_happened_is_asked_when_a_commit_is_not_confirmed() {
        let (folder, store) = full("commit");
        store.with_writer(|connection, _| {
            connection.execute_batch("CREATE TABLE p (x INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)")?;
            Ok(())
        }).expect("tables");
        // A deferred constraint makes COMMIT itself fail.
        let refused = store.write("inserting", |connection| {
            connection.execute_batch("INSERT INTO c VALUES (7)")?;
            Ok(())
        });
        assert!(matches!(refused, Err(RegistryError::Database { .. })), "{refused:?}");
        let count =
            store.read(|connection| Ok(connection.query_row("SELECT count(*) FROM c", (), |row| row.get::<i64>(0))?));
        assert_eq!(count, Ok(0));
        insert(&store, 10).expect("usable after the refusal");
        std::fs::remove_dir_all(folder).ok();
    }
}
