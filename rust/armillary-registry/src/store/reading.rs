//! Reading: with connections of its own, again where one is gone, and many statements of one state of the database.

use super::{
    Connection, IDLE_READERS, LONGEST_KEPT, LONGEST_SHOWN, Place, RECONNECTIONS, Store, closed, lock, many_values,
    wait_before,
};
use crate::{
    decode::{bind_values, decode_rows},
    error::RegistryError,
};
use armillary_dimensions::{Column, ColumnType, Value};
use armillary_expression::shortened_to;
use std::thread::{self, ThreadId};

impl Store {
    /// Runs something that only reads; again, should the connection turn out to be gone.
    pub(crate) fn read<T>(
        &self,
        mut read: impl FnMut(&Connection) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.refuse_inherited()?;
        if self.writeable && self.in_own_transaction() {
            let writer = lock(&self.writer);
            return read(writer.as_ref().ok_or_else(closed)?);
        }
        let me = thread::current().id();
        if let Some(connection) = self.take_together(me) {
            let result = read(&connection);
            lock(&self.together).insert(me, connection);
            return result;
        }
        let mut tries = 0;
        loop {
            let connection = self.reader()?;
            let result = read(&connection);
            if !connection.is_lost() {
                self.give_back(connection);
                return result;
            }
            tries += 1;
            if result.is_ok() || tries > RECONNECTIONS {
                return result;
            }
            self.forget_idle(tries);
        }
    }

    /// Where one connection is gone, idle ones are gone, too.
    fn forget_idle(&self, tries: u32) {
        lock(&self.readers).clear();
        wait_before(tries);
    }

    fn take_together(&self, thread: ThreadId) -> Option<Connection> {
        let mut together = lock(&self.together);
        if together.is_empty() { None } else { together.remove(&thread) }
    }

    fn give_back(&self, connection: Connection) {
        let mut readers = lock(&self.readers);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
    }

    /// As [`Store::read`], for several statements that must see one state of the database.
    pub(crate) fn read_together<T>(
        &self,
        mut read: impl FnMut(&Connection) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.read(|connection| {
            if !connection.is_autocommit() {
                return read(connection);
            }
            connection.begin_reading()?;
            let result = read(connection);
            connection.rollback()?;
            result
        })
    }

    /// As [`Store::one_state`] on a server, where the numbers of rows change when others write. Makes nothing of files.
    pub(crate) fn together<T>(&self, mut run: impl FnMut() -> Result<T, RegistryError>) -> Result<T, RegistryError> {
        if let Place::File(_) = self.place { run() } else { self.one_state(run) }
    }

    /// Runs something whose reads, on this thread, all see one state of the database.
    ///
    /// Needed where one statement goes on with what another one found. What runs must not ask for anything kept in
    /// memory: that may wait for a thread of ours that commits to a file, which in turn waits for this one to end.
    pub(crate) fn one_state<T>(&self, mut run: impl FnMut() -> Result<T, RegistryError>) -> Result<T, RegistryError> {
        let me = thread::current().id();
        let nested = lock(&self.together).contains_key(&me);
        if nested || self.in_own_transaction() {
            return run();
        }
        let mut tries = 0;
        loop {
            let connection = self.reader()?;
            let begun = connection.begin_reading();
            let lost = connection.is_lost();
            lock(&self.together).insert(me, connection);
            let guard = Together { store: self, thread: me };
            let result = begun.map_err(RegistryError::from).and_then(|()| run());
            let lost = guard.end() || lost;
            tries += 1;
            if !lost || result.is_ok() || tries > RECONNECTIONS {
                return result;
            }
            self.forget_idle(tries);
        }
    }

    /// Runs one SELECT with bound values and decodes every row straight into columns of the given types.
    ///
    /// Integers, doubles, booleans and text as they are; bytes from base64 text; ids from 32 hexadecimal digits;
    /// a timespan takes two result columns, its begin and its end. A bound timespan takes two parameters, too.
    pub fn select(&self, sql: &str, values: &[Value], types: &[ColumnType]) -> Result<Vec<Column>, RegistryError> {
        self.read(|connection| select(connection, sql, values, types))
    }
}

/// A state of the database that one thread reads; it ends also when a panic comes by.
struct Together<'a> {
    store: &'a Store,
    thread: ThreadId,
}

impl Together<'_> {
    /// Ends it; says whether the connection was lost.
    fn end(self) -> bool {
        let connection = lock(&self.store.together).remove(&self.thread);
        let Some(connection) = connection else { return false };
        let lost = connection.rollback().is_err() || connection.is_lost();
        if !lost {
            self.store.give_back(connection);
        }
        lost
    }
}

impl Drop for Together<'_> {
    fn drop(&mut self) {
        lock(&self.store.together).remove(&self.thread);
    }
}

/// Runs one SELECT on a connection; see [`Store::select`].
pub(crate) fn select(
    connection: &Connection,
    sql: &str,
    values: &[Value],
    types: &[ColumnType],
) -> Result<Vec<Column>, RegistryError> {
    let better = many_values::rearranged(connection.dialect(), sql, values);
    let (sql, values) = better.as_ref().map_or((sql, values), |(sql, values)| (sql.as_str(), values));
    let mut statement = connection.prepare_for(sql, values).map_err(|error| RegistryError::Database {
        doing: format!("preparing `{}`", shortened_to(sql, LONGEST_SHOWN)),
        reason: error.to_string(),
    })?;
    bind_values(&mut statement, values)?;
    let columns = decode_rows(&mut statement, types);
    if sql.len() > LONGEST_KEPT {
        statement.forget();
    }
    columns
}
