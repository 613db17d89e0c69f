//! Announcements of files that are about to be written, so that they can be removed if the writer dies.
//!
//! Where a file holds the database, announcements are in files beside it (see [`journal`]): one sync instead of a
//! commit, and they outlive a transaction that is undone. Where a server holds it, they are rows of a table.

mod attribute;
mod journal;
mod owner;
mod table;
mod writing;

use crate::{
    datastore::unnamed,
    durability::Durability,
    error::RegistryError,
    new_file::Ordered,
    registry::Registry,
    schema::intent_table,
    store::{Connection, Place},
};
use journal::{Journal, Readings};
use owner::Liveness;
use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
pub use writing::WriteError;

/// What is known of a writer that announced files and never finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleIntent {
    /// The number of the intent, for [`Registry::end_recovery`].
    pub id: i64,
    /// The datastore that was writing.
    pub datastore_name: String,
    /// The files it announced that no record and no other writer names: safe to unlink.
    pub orphans: Vec<String>,
}

/// A file that some writer announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnouncedFile {
    /// The datastore it belongs to.
    pub datastore_name: String,
    /// Its path.
    pub path: String,
    /// Whether its writer is known to be gone.
    pub stale: bool,
}

/// The announcements of one open repository.
pub(crate) struct Intents {
    folder: PathBuf,
    process: u32,
    durability: Durability,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: i64,
    own: Option<Own>,
    /// Announcements whose files were entered in a transaction that is still open, with its level.
    pending: Vec<(usize, i64)>,
    recovery: Option<Recovery>,
}

/// This process's file, and the folder, for its lock.
struct Own {
    guard: File,
    journal: Journal,
}

/// A recovery that was begun: nobody announces anything until it ends.
struct Recovery {
    /// Its lock is held as long as it is open.
    _guard: Option<File>,
    /// On a server, the table's lock is held by a transaction of this connection.
    locking: Option<Connection>,
    /// Files of dead writers, with the numbers given to what they announced.
    files: Vec<(PathBuf, Vec<i64>)>,
    /// Rows of dead writers, with the number given to each.
    rows: Vec<(i64, i64)>,
}

impl Intents {
    pub(crate) fn new(place: &Place, durability: Durability) -> Self {
        let folder = match place {
            Place::File(path) => journal::folder(path),
            Place::Server(_) => PathBuf::new(), // no such folder: there announcements are rows
        };
        Self { folder, process: std::process::id(), durability, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces. What stays together with the files on `ordered`, their file system, need not be synced by itself.
    fn announce(&self, datastore: &str, paths: &[String], ordered: Option<Ordered>) -> Result<i64, RegistryError> {
        let mut state = self.state();
        let number = state.last + 1;
        state.last = number;
        let unsynced = self
            .announce_in(&mut state, number, datastore, paths, ordered)
            .map_err(|error| journal::failed(&self.folder, &error))?;
        drop(state); // others may announce while the disk works
        let Some(file) = unsynced else { return Ok(number) };
        file.sync_data().map_err(|error| {
            self.take_back(number);
            journal::failed(&self.folder, &error)
        })?;
        Ok(number)
    }

    /// The file that has to be synced for the announcement to stay, if one has to be.
    fn announce_in(
        &self,
        state: &mut State,
        number: i64,
        datastore: &str,
        paths: &[String],
        ordered: Option<Ordered>,
    ) -> io::Result<Option<Arc<File>>> {
        let synced = self.durability.syncs_announcements();
        if state.own.as_ref().is_some_and(|own| own.journal.is_gone()) {
            state.own = None; // somebody removed the folder
        }
        let own = match state.own.take() {
            Some(own) => state.own.insert(own),
            None => state.own.insert(Own::open(&self.folder, self.durability)?),
        };
        let _shared = Shared::lock(&own.guard)?;
        if own.journal.is_overgrown() {
            let mut new = Journal::create(&self.folder)?;
            new.take_over(&own.journal)?;
            if synced {
                new.make_last()?;
            }
            own.journal.remove();
            own.journal = new;
        }
        if synced && own.journal.announce_in_attribute(number, datastore, paths, ordered)? {
            return Ok(None);
        }
        own.journal.announce(number, datastore, paths)?;
        Ok(synced.then(|| own.journal.file().clone()))
    }

    /// Takes an announcement back. That this is not written is no loss: recovery finds nothing to do then.
    fn take_back(&self, number: i64) {
        if let Some(own) = &mut self.state().own {
            own.journal.take_back(number).ok();
        }
    }

    /// Removes the file, unless something is still announced.
    pub(crate) fn close(&self) {
        if self.process != std::process::id() {
            return; // a forked child leaves its parent's file alone
        }
        let mut state = self.state();
        state.recovery = None;
        if let Some(own) = state.own.take()
            && own.journal.is_at_rest()
        {
            own.journal.remove();
        }
    }

    /// Reads every file of announcements.
    fn read_all(&self) -> io::Result<Readings> {
        let mut found = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            match journal::read(&path) {
                Ok(Some(reading)) => found.push((path, reading)),
                // Another user's file, which he keeps to himself: he recovers it.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
                Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }
}

impl Drop for Intents {
    fn drop(&mut self) {
        self.close();
    }
}

impl Own {
    fn open(folder: &Path, durability: Durability) -> io::Result<Self> {
        journal::make_folder(folder)?;
        let guard = File::open(folder)?;
        let shared = Shared::lock(&guard)?;
        let journal = Journal::create(folder)?;
        if durability.syncs_announcements() {
            journal.make_last()?;
        }
        drop(shared);
        Ok(Self { guard, journal })
    }
}

/// A lock of the folder that many writers may hold; a recovery waits for them, and they for it.
struct Shared<'a>(&'a File);

impl<'a> Shared<'a> {
    fn lock(folder: &'a File) -> io::Result<Self> {
        match folder.lock_shared() {
            Err(error) if !owner::has_no_locks(&error) => Err(error),
            _ => Ok(Self(folder)),
        }
    }
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        self.0.unlock().ok();
    }
}

impl Registry {
    /// Whether announcements are files; otherwise they are rows.
    fn announces_in_files(&self) -> bool {
        matches!(self.store().place(), Place::File(_))
    }

    /// Makes the table of announcements, where they are rows.
    pub(crate) fn prepare_intents(&self) -> Result<(), RegistryError> {
        if self.announces_in_files() || self.store().read(|connection| Ok(connection.has_table(table::TABLE)?))? {
            return Ok(());
        }
        self.store()
            .write("making the table of announcements", |connection| self.ensure_table(connection, &intent_table()))
    }

    /// Announces files that are about to be written, so that they can be removed if the writer dies.
    pub fn begin_write(&self, datastore_name: &str, paths: &[String]) -> Result<i64, RegistryError> {
        self.announce(datastore_name, paths, None)
    }

    fn announce(&self, datastore_name: &str, paths: &[String], ordered: Option<Ordered>) -> Result<i64, RegistryError> {
        if let Some(bad) = paths.iter().find(|path| path.contains('\n')) {
            return Err(RegistryError::BadArgument { reason: format!("the path {bad:?} has a line break") });
        }
        self.store().may_write("announcing files")?;
        if self.announces_in_files() {
            return self.intents().announce(datastore_name, paths, ordered);
        }
        // Not as part of the open transaction: what is undone with it when this process dies announces nothing.
        self.store()
            .write_aside(|connection| table::announce(connection, self.store().dialect(), datastore_name, paths))
    }

    /// Forgets an announcement: the files were removed again.
    pub fn abandon_write(&self, intent: i64) -> Result<(), RegistryError> {
        if self.announces_in_files() {
            self.intents().take_back(intent);
            return Ok(());
        }
        self.store().write("forgetting announced files", |connection| table::delete(connection, intent))
    }
}

/// Announcements of what was entered in a transaction are kept until the outermost one is committed.
impl Registry {
    /// Begins a level of the calling thread's transaction; see [`crate::Store::begin`].
    pub fn begin(&self) -> Result<(), RegistryError> {
        self.store().begin()
    }

    /// Keeps the innermost level; see [`crate::Store::commit`].
    pub fn commit(&self) -> Result<(), RegistryError> {
        let depth = self.store().depth();
        let kept = self.store().commit();
        self.intents().ended(depth, kept.is_ok());
        kept
    }

    /// Undoes the innermost level. What was announced in it stays announced until its files are removed.
    pub fn rollback(&self) -> Result<(), RegistryError> {
        let depth = self.store().depth();
        let undone = self.store().rollback();
        self.intents().ended(depth, false);
        undone
    }

    /// Takes an announcement back as part of the transaction that enters its files.
    pub(crate) fn finish_in(&self, connection: &Connection, intent: i64) -> Result<(), RegistryError> {
        if self.announces_in_files() { Ok(()) } else { table::delete(connection, intent) }
    }

    /// The files of an announcement are entered: it is taken back, or when the open transaction is committed.
    pub(crate) fn finished(&self, intent: i64) {
        if self.announces_in_files() {
            match self.store().depth() {
                0 => self.intents().take_back(intent),
                depth => self.intents().state().pending.push((depth, intent)),
            }
        }
    }
}

impl Intents {
    fn ended(&self, depth: usize, kept: bool) {
        let mut state = self.state();
        let at = state.pending.iter().position(|(level, _)| *level >= depth).unwrap_or(state.pending.len());
        if !kept {
            state.pending.truncate(at);
        } else if depth > 1 {
            state.pending[at..].iter_mut().for_each(|(level, _)| *level = depth - 1);
        } else {
            let done = std::mem::take(&mut state.pending);
            drop(state);
            for (_, number) in done {
                self.take_back(number);
            }
        }
    }

    /// Reads all files; the lock is there if some writer is dead, and then nobody announces anything meanwhile.
    fn read_for_recovery(&self) -> io::Result<(Option<File>, Readings)> {
        let found = self.read_all()?;
        if !found.iter().any(|(_, reading)| reading.liveness == Liveness::Dead) {
            return Ok((None, found));
        }
        let guard = File::open(&self.folder)?;
        match guard.lock() {
            Err(error) if !owner::has_no_locks(&error) => return Err(error),
            _ => {}
        }
        Ok((Some(guard), self.read_all()?))
    }
}

/// Recovery: the files that dead writers announced are removed, unless a record or another writer names them.
impl Registry {
    /// Begins to recover what writers of this machine left that no longer run; nobody writes until it is ended with
    /// [`Registry::end_recovery`].
    ///
    /// `tables` has the table of records of each datastore; what others announced is left to those who know them.
    pub fn begin_recovery(&self, tables: &BTreeMap<String, String>) -> Result<Vec<StaleIntent>, RegistryError> {
        self.store().may_write("recovering")?;
        let folder = &self.intents().folder;
        let read = self.intents().read_for_recovery().map_err(|error| journal::failed(folder, &error))?;
        let (guard, files) = read;
        let locking = self.lock_rows()?;
        let rows_are_judged = locking.is_some() || self.announces_in_files();
        // The live are looked at before the records: what they finish meanwhile has its records.
        let (rows, mut stale, names) = self.store().read_together(|connection| {
            let mut rows = table::rows(connection)?;
            for row in &mut rows {
                row.stale &= rows_are_judged;
            }
            let live: HashSet<(&str, &str)> = files
                .iter()
                .filter(|(_, reading)| reading.liveness != Liveness::Dead)
                .flat_map(|(_, reading)| &reading.announced)
                .map(|one| (&one.datastore, &one.paths))
                .chain(rows.iter().filter(|row| !row.stale).map(|row| (&row.datastore, &row.paths)))
                .flat_map(|(name, paths)| paths.iter().map(|path| (name.as_str(), path.as_str())))
                .collect();
            let mut stale: Vec<StaleIntent> = Vec::new();
            let mut number = 0;
            let mut add = |name: &str, paths: &[String]| -> Result<i64, RegistryError> {
                number += 1;
                if let Some(table) = tables.get(name) {
                    let mut orphans = unnamed(connection, self.store().dialect(), table, paths)?;
                    orphans.retain(|path| !live.contains(&(name, path)));
                    stale.push(StaleIntent { id: number, datastore_name: name.to_owned(), orphans });
                }
                Ok(number)
            };
            let mut files_of = Vec::new();
            for (path, reading) in files.iter().filter(|(_, reading)| reading.liveness == Liveness::Dead) {
                let mut numbers = Vec::new();
                for one in reading.announced.iter().filter(|_| !reading.is_copy) {
                    numbers.push(add(&one.datastore, &one.paths)?);
                }
                files_of.push((path.clone(), numbers));
            }
            let mut rows_of = Vec::new();
            for row in rows.iter().filter(|row| row.stale) {
                rows_of.push((row.id, add(&row.datastore, &row.paths)?));
            }
            Ok((rows_of, stale, files_of))
        })?;
        stale.sort_by_key(|intent| intent.id);
        self.intents().state().recovery = Some(Recovery { _guard: guard, locking, files: names, rows });
        Ok(stale)
    }

    /// Keeps others from announcing while rows of dead writers are judged; none if there are none, or if somebody is in
    /// the middle of it: then the next writer looks again.
    fn lock_rows(&self) -> Result<Option<Connection>, RegistryError> {
        if self.announces_in_files() || !self.store().read(table::rows)?.iter().any(|row| row.stale) {
            return Ok(None);
        }
        let connection = self.store().connect(true)?;
        Ok(table::lock(&connection)?.then_some(connection))
    }

    /// Ends a recovery; the files of the intents `undone` are gone.
    pub fn end_recovery(&self, undone: &[i64]) -> Result<(), RegistryError> {
        let Some(recovery) = self.intents().state().recovery.take() else { return Ok(()) };
        for (path, numbers) in &recovery.files {
            if numbers.iter().all(|number| undone.contains(number)) {
                match fs::remove_file(path) {
                    // In a folder of another user: he takes it away.
                    Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
                        return Err(journal::failed(path, &error));
                    }
                    _ => {}
                }
            }
        }
        let rows: Vec<i64> =
            recovery.rows.iter().filter(|(_, number)| undone.contains(number)).map(|(id, _)| *id).collect();
        if let Some(locking) = &recovery.locking {
            rows.iter().try_for_each(|id| table::delete(locking, *id))?;
            return Ok(locking.commit()?);
        }
        if rows.is_empty() {
            return Ok(());
        }
        self.store().write("forgetting announced files", |connection| {
            rows.iter().try_for_each(|id| table::delete(connection, *id))
        })
    }

    /// Every file that is announced now, by whomever.
    pub fn announced_files(&self) -> Result<Vec<AnnouncedFile>, RegistryError> {
        let intents = self.intents();
        let files = intents.read_all().map_err(|error| journal::failed(&intents.folder, &error))?;
        let mut found = Vec::new();
        let mut add = |datastore: &str, paths: Vec<String>, stale| {
            found.extend(paths.into_iter().map(|path| AnnouncedFile {
                datastore_name: datastore.to_owned(),
                path,
                stale,
            }));
        };
        for (_, reading) in files.into_iter().filter(|(_, reading)| !reading.is_copy) {
            for one in reading.announced {
                add(&one.datastore, one.paths, reading.liveness == Liveness::Dead);
            }
        }
        for row in self.store().read(table::rows)? {
            add(&row.datastore, row.paths, row.stale);
        }
        Ok(found)
    }
}
