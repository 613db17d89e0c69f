//! Writing to a file whose foreign keys somebody else has looked at.

use super::{
    connection::{Connection, DatabaseResult},
    sqlite,
};
use rusqlite::config::DbConfig;

/// While it lives, `SQLite` does not look whether rows refer to rows that are there.
///
/// A pragma would do nothing within a transaction, and only within one can what was looked up not change before it is
/// referred to. Statements that were compiled before are compiled again when they run next.
pub(crate) struct Unchecked<'c>(&'c rusqlite::Connection);

impl Connection {
    /// Switches the checks of foreign keys off until the guard is dropped, where that is possible: not on a server.
    pub(crate) fn unchecked(&self) -> DatabaseResult<Option<Unchecked<'_>>> {
        let Self::Sqlite(connection) = self else { return Ok(None) };
        if connection.is_autocommit() || !checks(connection)? {
            return Ok(None);
        }
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false).map_err(sqlite::error)?;
        Ok(Some(Unchecked(connection)))
    }
}

impl Drop for Unchecked<'_> {
    fn drop(&mut self) {
        // It sets a flag in memory, which cannot fail.
        let restored = self.0.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true);
        debug_assert_eq!(restored, Ok(true));
    }
}

/// While it lives, `SQLite` does not look whether the values of a row are what its CHECKs ask for: for rows that are made of
/// values of other rows under the same CHECKs.
pub(crate) struct Unexamined<'c>(&'c rusqlite::Connection);

impl Connection {
    /// Switches CHECKs off until the guard is dropped, where that is possible: not on a server.
    pub(crate) fn unexamined(&self) -> DatabaseResult<Option<Unexamined<'_>>> {
        let Self::Sqlite(connection) = self else { return Ok(None) };
        connection.execute_batch("PRAGMA ignore_check_constraints=ON").map_err(sqlite::error)?;
        Ok(Some(Unexamined(connection)))
    }
}

impl Drop for Unexamined<'_> {
    fn drop(&mut self) {
        // It sets a flag in memory, which cannot fail.
        let restored = self.0.execute_batch("PRAGMA ignore_check_constraints=OFF");
        debug_assert_eq!(restored, Ok(()));
    }
}

/// Whether `SQLite` looks whether rows refer to rows that are there.
pub(super) fn checks(connection: &rusqlite::Connection) -> DatabaseResult<bool> {
    connection.db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY).map_err(sqlite::error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ErrorKind;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const ORPHAN: &str = "INSERT INTO child VALUES (7)";

    fn family() -> Connection {
        let connection = Connection::Sqlite(rusqlite::Connection::open_in_memory().expect("memory"));
        connection
            .execute_batch(
                "PRAGMA foreign_keys=ON; CREATE TABLE parent (id INTEGER PRIMARY KEY); \
                 CREATE TABLE child (parent INTEGER REFERENCES parent (id)); BEGIN IMMEDIATE",
            )
            .expect("made");
        connection
    }

    fn insert(connection: &Connection) -> Result<usize, ErrorKind> {
        connection.prepare_cached(ORPHAN).and_then(|mut insert| insert.execute(())).map_err(|error| error.kind)
    }

    #[test]
    fn foreign_keys_are_checked_again_afterwards() {
        let connection = family();
        assert_eq!(insert(&connection), Err(ErrorKind::ForeignKey));
        let unchecked = connection.unchecked().expect("switched").expect("a guard");
        assert_eq!(insert(&connection), Ok(1));
        drop(unchecked);
        assert_eq!(insert(&connection), Err(ErrorKind::ForeignKey));
    }

    #[test]
    fn foreign_keys_are_checked_again_after_a_panic() {
        let connection = family();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _unchecked = connection.unchecked().expect("switched").expect("a guard");
            panic!("in the midst of rows");
        }));
        assert!(panicked.is_err());
        assert_eq!(insert(&connection), Err(ErrorKind::ForeignKey));
    }

    #[test]
    fn what_was_not_checked_before_is_not_checked_afterwards() {
        let connection = family();
        connection.execute_batch("COMMIT; PRAGMA foreign_keys=OFF; BEGIN IMMEDIATE").expect("off");
        drop(connection.unchecked().expect("nothing to switch"));
        assert_eq!(insert(&connection), Ok(1));
    }

    #[test]
    fn values_are_examined_again_afterwards() {
        let connection = family();
        connection.execute_batch("CREATE TABLE short (text CHECK (length(text) < 3))").expect("made");
        let insert = || {
            let long = connection.prepare_cached("INSERT INTO short VALUES ('long')");
            long.and_then(|mut insert| insert.execute(())).map_err(|error| error.kind)
        };
        assert!(insert().is_err());
        let unexamined = connection.unexamined().expect("switched").expect("a guard");
        assert_eq!(insert(), Ok(1));
        drop(unexamined);
        assert!(insert().is_err());
    }

    #[test]
    fn nothing_is_switched_off_outside_a_transaction() {
        let connection = family();
        connection.execute_batch("COMMIT").expect("ended");
        assert!(connection.unchecked().expect("asked").is_none());
        assert_eq!(insert(&connection), Err(ErrorKind::ForeignKey));
    }
}
