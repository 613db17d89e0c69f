//! `SQLite` behind a connection: opening files, errors, values.

use super::{
    connection::{DatabaseError, ErrorKind},
    values::{Parameter, ValueRef},
};
use crate::{durability::Durability, error::RegistryError};
use rusqlite::{
    Connection, ErrorCode, OpenFlags, ffi,
    types::{ToSql, ToSqlOutput},
};
use std::{
    path::Path,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How many compiled statements each connection keeps.
const STATEMENTS: usize = 256;
/// Tries of a locked database; with the pauses of [`wait_for_lock`] a little more than five minutes.
const LOCK_TRIES: i32 = 31_000;

/// Pauses 1 to 10 milliseconds, unevenly, so that many writers take turns instead of starving one.
fn wait_for_lock(tries: i32) -> bool {
    let noise = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos() % 1000);
    let millis = u64::try_from(1 + tries / 20).unwrap_or(1).min(9);
    thread::sleep(Duration::from_millis(millis) + Duration::from_micros(u64::from(noise)));
    tries < LOCK_TRIES
}

/// Makes an empty database file, unless there is one.
pub(super) fn create(path: &Path) -> Result<(), RegistryError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map(drop).map_err(|error| RegistryError::Database {
        doing: format!("making `{}`", path.display()),
        reason: error.to_string(),
    })
}

/// Opens a database file, which must exist.
pub(super) fn connect(path: &Path, writeable: bool, durability: Durability) -> Result<Connection, RegistryError> {
    let mode = if writeable { OpenFlags::SQLITE_OPEN_READ_WRITE } else { OpenFlags::SQLITE_OPEN_READ_ONLY };
    let not_a_repository = |error: rusqlite::Error| RegistryError::NotARepository {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    let connection =
        Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(not_a_repository)?;
    connection.busy_handler(Some(wait_for_lock)).map_err(error)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // EXTRA also syncs the folder after the journal is deleted: without it a power cut can undo a commit.
    let synchronous = if durability.syncs_commits() { "EXTRA" } else { "OFF" };
    connection
        .execute_batch(&format!(
            "PRAGMA foreign_keys=ON; PRAGMA synchronous={synchronous}; PRAGMA temp_store=MEMORY; \
             PRAGMA cache_size=-65536;"
        ))
        .map_err(|refused| match refused.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => not_a_repository(refused),
            _ => RegistryError::database("opening the database", &error(refused)),
        })?;
    Ok(connection)
}

/// Changes the journal mode of a connection, if it is `from`; a database in WAL mode stays in it.
///
/// PERSIST ends a transaction by overwriting the journal's header, which is synced. DELETE removes the journal, which
/// changes the folder twice for each transaction and takes a sync of it. Every client understands either.
pub(super) fn set_journal_mode(connection: &Connection, from: &str, to: &str) -> rusqlite::Result<()> {
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if mode.eq_ignore_ascii_case(from) {
        connection.query_row(&format!("PRAGMA journal_mode={to}"), [], |_| Ok(()))?;
    }
    Ok(())
}

/// What `SQLite` means by an error.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn error(error: rusqlite::Error) -> DatabaseError {
    let kind = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => match (failure.code, failure.extended_code) {
            (_, ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => ErrorKind::PrimaryKey,
            (_, ffi::SQLITE_CONSTRAINT_UNIQUE) => ErrorKind::Unique,
            (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => ErrorKind::ForeignKey,
            (ErrorCode::ConstraintViolation, _) => ErrorKind::Constraint,
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => ErrorKind::Busy,
            (ErrorCode::ReadOnly, _) => ErrorKind::ReadOnly,
            (ErrorCode::NotADatabase, _) => ErrorKind::NotADatabase,
            (ErrorCode::Unknown, _) => ErrorKind::Statement,
            _ => ErrorKind::Other,
        },
        rusqlite::Error::SqlInputError { .. } => ErrorKind::Statement,
        _ => ErrorKind::Other,
    };
    DatabaseError { kind, message: error.to_string() }
}

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        use rusqlite::types::ValueRef;
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Bool(value) => ValueRef::Integer(i64::from(*value)),
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// A value of a row.
pub(super) const fn value(value: rusqlite::types::ValueRef<'_>) -> ValueRef<'_> {
    use rusqlite::types::ValueRef as Stored;
    match value {
        Stored::Null => ValueRef::Null,
        Stored::Integer(value) => ValueRef::Integer(value),
        Stored::Real(value) => ValueRef::Real(value),
        Stored::Text(text) => ValueRef::Text(text),
        Stored::Blob(bytes) => ValueRef::Blob(bytes),
    }
}
