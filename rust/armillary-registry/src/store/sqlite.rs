//! `SQLite` behind a connection: opening files, errors, values.

use super::{
    connection::{DatabaseError, ErrorKind},
    kept_journal,
    values::{Parameter, ValueRef},
};
use crate::{durability::Durability, error::RegistryError};
use armillary_expression::shortened_to;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, ffi,
    types::{ToSql, ToSqlOutput},
};
use std::{
    cell::Cell,
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Characters of a message at most.
const LONGEST_MESSAGE: usize = 2000;
/// How many compiled statements each connection keeps.
const STATEMENTS: usize = 256;
/// How long a locked database is waited for.
const PATIENCE: Duration = Duration::from_secs(300);
/// The pause of who has just come and finds the database locked.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
/// Pauses get half as long with each such time of waiting, down to the shortest.
const HALVING: Duration = Duration::from_millis(200);
const SHORTEST_PAUSE: Duration = Duration::from_micros(250);

thread_local! {
    /// When this thread began to wait for the lock that it waits for.
    static WAITING_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn wait_for_lock(tries: i32) -> bool {
    let now = Instant::now();
    let since = WAITING_SINCE.get().filter(|_| tries > 0).unwrap_or(now);
    WAITING_SINCE.set(Some(since));
    let waited = now.duration_since(since);
    let noise = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos() % 1000);
    thread::sleep(pause(waited, f64::from(noise) / 1000.0));
    waited < PATIENCE
}

/// How long to pause before looking again whether a lock is free; `noise` is from 0 to 1.
///
/// `SQLite` has no line to stand in: whoever looks first after a commit is next. So who has waited long looks often and who
/// came late looks rarely, and many writers take turns; with equal pauses the unluckiest waits ten times as long as most.
fn pause(waited: Duration, noise: f64) -> Duration {
    let halvings = waited.as_secs_f64() / HALVING.as_secs_f64();
    FIRST_PAUSE.mul_f64((-halvings).exp2()).max(SHORTEST_PAUSE).mul_f64(0.5 + noise)
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

/// Keeps the journal of a database between transactions.
pub(super) fn keep_journal(connection: &Connection, durability: Durability) -> Result<(), DatabaseError> {
    set_journal_mode(connection, "delete", "PERSIST").map_err(error)?;
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(error)?;
    let Some(database) = connection.path().filter(|_| durability.syncs_commits()) else { return Ok(()) };
    if mode.eq_ignore_ascii_case("persist") {
        kept_journal::keep(database);
        return Ok(());
    }
    // The file of WAL mode was made when the database was first read, and lies there as long as this connection does.
    kept_journal::sync_folder_of(database).map_err(|error| failed(&error))
}

/// Makes sure, in a transaction that has begun, that a power cut does not take its journal away.
pub(super) fn settle_journal(connection: &Connection) -> Result<(), DatabaseError> {
    connection.path().map_or(Ok(()), kept_journal::settle).map_err(|error| failed(&error))
}

fn failed(error: &std::io::Error) -> DatabaseError {
    DatabaseError { kind: ErrorKind::Other, message: format!("the folder of the database cannot be used: {error}") }
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
    // It may repeat the whole statement.
    DatabaseError { kind, message: shortened_to(&error.to_string(), LONGEST_MESSAGE).into_owned() }
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
#[inline]
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cmp::Reverse, collections::BinaryHeap};

    const WRITERS: usize = 24;

    /// The longest wait of many writers who each commit `count` times, without a clock: all pauses are only added up.
    fn longest_wait(holding: Duration, count: usize, pause: impl Fn(Duration, f64) -> Duration) -> Duration {
        let working = Duration::from_millis(8);
        let mut state = 1_u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(state >> 33).unwrap_or(0)) / f64::from(1_u32 << 31)
        };
        // When each looks whether the lock is free, since when it waits, and how often it still has to commit.
        let mut next: BinaryHeap<_> =
            (0..WRITERS).map(|_| working.mul_f64(random())).map(|at| Reverse((at, at, count))).collect();
        let (mut free, mut longest) = (Duration::ZERO, Duration::ZERO);
        while let Some(Reverse((now, since, left))) = next.pop() {
            if now < free {
                next.push(Reverse((now + pause(now.saturating_sub(since), random()), since, left)));
                continue;
            }
            longest = longest.max(now.saturating_sub(since));
            free = now + holding.mul_f64(0.6 + 0.8 * random());
            if left > 1 {
                let again = free + working.mul_f64(0.5 + random());
                next.push(Reverse((again, again, left - 1)));
            }
        }
        longest
    }

    #[test]
    fn many_writers_take_turns() {
        let holding = Duration::from_millis(9); // of a commit of a `put` on a common disk
        let turns = holding * u32::try_from(WRITERS).unwrap_or(0);
        let longest = longest_wait(holding, 40, pause);
        assert!(longest < 4 * turns, "{longest:?} where turns would be {turns:?}");
        // Pauses that grow, as is usual, let the latest come first.
        let growing = |waited: Duration, noise: f64| {
            (Duration::from_millis(1) + waited / 25).min(Duration::from_millis(9)).mul_f64(0.5 + noise)
        };
        assert!(longest_wait(holding, 40, growing) > 2 * longest, "what the pauses are for");
    }

    #[test]
    fn pauses_get_shorter_and_never_vanish() {
        for noise in [0.0, 0.5, 0.999] {
            let pauses: Vec<_> = (0..3000).map(|waited| pause(Duration::from_millis(waited * 100), noise)).collect();
            assert!(pauses.is_sorted_by(|one, next| one >= next), "at noise {noise}");
            assert!(pauses[0] <= FIRST_PAUSE * 2 && pauses[2999] >= SHORTEST_PAUSE / 2);
        }
    }
}
