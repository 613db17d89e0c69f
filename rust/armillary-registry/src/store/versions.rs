//! When what is kept in memory must be read again from a server that says nothing when it changes.

use super::{
    Kept,
    connection::{Connection, DatabaseResult},
};
use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

/// A number for each kind of what is kept; none for those that were not asked about.
pub(super) type Numbers = [Option<i64>; Kept::COUNT];

/// Numbers the states of what is kept in memory, each kind by itself.
///
/// First the server is asked which transactions are over: if they are the same as before, nothing changed. Only
/// otherwise it is asked for a digest of the tables of a kind, made of where each row is and who wrote it. Where there
/// may be many rows (see [`Kept::Searches`]) a kind counts as changed whenever a transaction is over.
#[derive(Default)]
pub(crate) struct Versions(Mutex<State>);

#[derive(Default)]
struct State {
    /// The statement that asks; it names the tables.
    sql: Arc<str>,
    kinds: [Kind; Kept::COUNT],
}

#[derive(Default)]
struct Kind {
    /// Whether anything of the kind was ever kept.
    used: bool,
    /// Whether a transaction of ours may have written, and the transactions that were over.
    seen: (bool, String),
    digest: String,
    number: i64,
}

impl Versions {
    /// Names the tables of each kind.
    pub(super) fn watch(&self, tables: &[Vec<String>; Kept::COUNT]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.sql = statement(tables).into();
        for kind in &mut state.kinds {
            *kind = Kind { used: kind.used, number: kind.number + 1, ..Kind::default() };
        }
    }

    /// The number of the state of one kind that a connection sees and, if `others`, those of all kinds that are in use.
    pub(super) fn current(
        &self,
        connection: &Connection,
        may_have_written: bool,
        wanted: Kept,
        others: bool,
    ) -> DatabaseResult<Numbers> {
        let (sql, known) = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.kinds[wanted as usize].used = true;
            let known = state.kinds.each_ref().map(|kind| {
                let same = kind.seen.0 == may_have_written;
                kind.used.then(|| if same { kind.seen.1.clone() } else { String::new() })
            });
            (state.sql.clone(), known)
        };
        let mut asked = known;
        for (position, known) in asked.iter_mut().enumerate() {
            if !others && position != wanted as usize {
                *known = None;
            }
        }
        let (over, digests) = connection.query_row(&sql, asked.as_slice(), |row| {
            let mut digests = [const { None::<String> }; Kept::COUNT];
            for (column, digest) in (1..).zip(&mut digests) {
                *digest = row.get(column)?;
            }
            Ok((row.get::<String>(0)?, digests))
        })?;
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut numbers = [None; Kept::COUNT];
        for (position, digest) in digests.into_iter().enumerate() {
            let kind = &mut state.kinds[position];
            if let Some(digest) = digest {
                kind.seen = (may_have_written, over.clone());
                if kind.digest != digest {
                    kind.digest = digest;
                    kind.number += 1;
                }
            }
            numbers[position] = asked[position].is_some().then_some(kind.number);
        }
        Ok(numbers)
    }
}

/// Asks which transactions are over, and for each kind whose parameter is other transactions, for its digest.
fn statement(tables: &[Vec<String>; Kept::COUNT]) -> String {
    let mut sql = String::from("SELECT o.over");
    for tables in tables {
        sql.push_str(", CASE WHEN o.over <> ?::text THEN ");
        if tables.is_empty() {
            sql.push_str("o.over");
        }
        for (position, table) in tables.iter().enumerate() {
            let _ = write!(
                sql,
                "{}(SELECT count(*)::text || '.' || \
                 coalesce(sum(hashtextextended(ctid::text || '/' || xmin::text, 0)::numeric), 0)::text || ';' \
                 FROM \"{table}\")",
                if position == 0 { "" } else { " || " }
            );
        }
        sql.push_str(" END");
    }
    sql.push_str(" FROM (SELECT pg_current_snapshot()::text AS over) AS o");
    sql
}
