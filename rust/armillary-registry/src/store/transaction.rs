//! Transactions of a thread, level in level: when the database hears of them, and whether they were kept.

use super::{CONFLICTS, Connection, DatabaseError, Store, lock, wait_before};
use crate::error::RegistryError;
use std::{
    sync::{Mutex, PoisonError},
    thread::{self, ThreadId},
};

/// Who owns the transaction, how many levels were begun, and how many of them the database knows.
///
/// A level reaches the database with its first write, so that a transaction that only reads takes no lock.
#[derive(Clone, Copy, Default)]
pub(super) struct TransactionState {
    pub(super) owner: Option<ThreadId>,
    pub(super) depth: usize,
    pub(super) real: usize,
    /// A level could not be kept by the database; every level above must be given up, too.
    pub(super) broken: bool,
}

impl Store {
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

    /// Begins a level as [`Store::begin`] if no thread has a transaction open.
    pub(super) fn begin_if_idle(&self) -> Option<Level<'_>> {
        let mut state = lock(&self.transaction);
        if state.owner.is_some() {
            return None;
        }
        state.owner = Some(thread::current().id());
        state.depth += 1;
        Some(Level { store: self, open: true })
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
        mut happened: impl FnMut(&Connection) -> Result<bool, RegistryError>,
    ) -> Result<(), RegistryError> {
        if !self.in_transaction() {
            return Err(RegistryError::NoTransaction);
        }
        let real = self.in_own_transaction();
        let result = if real { self.end_real(keep, &mut happened) } else { Ok(()) };
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
        mut happened: impl FnMut(&Connection) -> Result<bool, RegistryError>,
    ) -> Result<(), RegistryError> {
        self.with_writer(|connection, state| {
            if state.real < state.depth {
                return Ok(()); // this level never reached the database
            }
            let outermost = state.depth == 1;
            if keep && !state.broken {
                let result = if outermost {
                    connection.commit()
                } else {
                    connection.savepoint(&format!("RELEASE level_{}", state.depth))
                };
                return match result {
                    Ok(()) => Ok(()),
                    Err(error) if outermost && connection.is_lost() => self.commit_lost(connection, &error),
                    Err(error) if outermost => commit_failed(connection, &error, &mut happened),
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

    /// The connection went while COMMIT was on its way: asks the server, over another one, what became of it.
    fn commit_lost(&self, connection: &Connection, error: &DatabaseError) -> Result<(), RegistryError> {
        let unknown = || RegistryError::CommitUnknown { reason: error.to_string() };
        let Connection::Postgres(lost) = connection else { return Err(unknown()) };
        for tries in 1..=CONFLICTS {
            wait_before(tries);
            let Ok(Connection::Postgres(other)) = self.connect(true) else { continue };
            match other.was_kept(&lost.transaction()) {
                Ok(Some(true)) => return Ok(()),
                Ok(Some(false)) => return Err(RegistryError::database("committing", error)),
                Ok(None) | Err(_) => {}
            }
        }
        Err(unknown())
    }
}

/// The owner's copy of the state; it goes back even when a panic comes by.
pub(super) struct StateCopy<'a> {
    pub(super) state: TransactionState,
    pub(super) home: &'a Mutex<TransactionState>,
}

impl Drop for StateCopy<'_> {
    fn drop(&mut self) {
        *lock(self.home) = self.state;
    }
}

/// A level of a transaction that is undone unless it is kept, also when a panic comes by.
pub(super) struct Level<'a> {
    pub(super) store: &'a Store,
    pub(super) open: bool,
}

impl Level<'_> {
    pub(super) fn keep(
        mut self,
        happened: impl FnMut(&Connection) -> Result<bool, RegistryError>,
    ) -> Result<(), RegistryError> {
        self.open = false;
        self.store.end(true, happened)
    }

    pub(super) fn undo(mut self) -> Result<(), RegistryError> {
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
pub(super) fn make_real(
    connection: &Connection,
    state: &mut TransactionState,
    doing: &str,
) -> Result<(), RegistryError> {
    if state.broken {
        return Err(given_up());
    }
    while state.real < state.depth {
        let begun = if state.real == 0 {
            connection.begin()
        } else {
            connection.savepoint(&format!("SAVEPOINT level_{}", state.real + 1))
        };
        begun.map_err(|error| RegistryError::database(doing, &error))?;
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
        return Ok(connection.rollback()?);
    }
    let level = state.depth;
    Ok(connection.savepoint(&format!("ROLLBACK TO level_{level}; RELEASE level_{level}"))?)
}

/// COMMIT failed: find out what is true, leave no transaction open, and say so.
fn commit_failed(
    connection: &Connection,
    error: &DatabaseError,
    mut happened: impl FnMut(&Connection) -> Result<bool, RegistryError>,
) -> Result<(), RegistryError> {
    if !connection.is_autocommit() {
        // Still open, so nothing was kept; giving it up makes that final.
        connection.rollback()?;
        return Err(RegistryError::database("committing", error));
    }
    match happened(connection) {
        Ok(true) => Ok(()),
        Ok(false) => Err(RegistryError::database("committing", error)),
        Err(_) => Err(RegistryError::CommitUnknown { reason: error.to_string() }),
    }
}
