//! When what is kept in memory must be read again from a server that says nothing when it changes.

use super::connection::{Connection, DatabaseResult};
use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

/// Numbers the states of the tables that are kept in memory.
///
/// First the server is asked which transactions are over: if they are the same as before, nothing changed. Only
/// otherwise it is asked for a digest of the tables, made of where each row is and who wrote it.
#[derive(Default)]
pub(crate) struct Versions(Mutex<State>);

#[derive(Default)]
struct State {
    /// The statement that asks; it names the tables.
    sql: Arc<str>,
    /// Whether a transaction of ours was open, and the transactions that were over.
    seen: (bool, String),
    digest: String,
    number: i64,
}

impl Versions {
    /// Names the tables that are kept in memory.
    pub(super) fn watch(&self, tables: &[String]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { sql: statement(tables).into(), number: state.number + 1, ..State::default() };
    }

    /// The number of the state that a connection sees.
    pub(super) fn current(&self, connection: &Connection, in_transaction: bool) -> DatabaseResult<i64> {
        let (seen, sql) = {
            let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (state.seen.clone(), state.sql.clone())
        };
        let known = if seen.0 == in_transaction { seen.1 } else { String::new() };
        let (over, digest): (String, Option<String>) =
            connection.query_row(&sql, [known], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(digest) = digest else { return Ok(state.number) };
        state.seen = (in_transaction, over);
        if state.digest != digest {
            state.digest = digest;
            state.number += 1;
        }
        Ok(state.number)
    }
}

/// Asks which transactions are over, and if they are not those of the parameter for the digest of the tables.
fn statement(tables: &[String]) -> String {
    let mut digest = String::from("''");
    for table in tables {
        let _ = write!(
            digest,
            " || (SELECT count(*)::text || '.' || \
             coalesce(sum(hashtextextended(ctid::text || '/' || xmin::text, 0)::numeric), 0)::text || ';' \
             FROM \"{table}\")"
        );
    }
    format!(
        "SELECT o.over, CASE WHEN o.over <> ?::text THEN {digest} END \
         FROM (SELECT pg_current_snapshot()::text AS over) AS o"
    )
}
