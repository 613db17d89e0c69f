//! INSERTs of many rows.

use super::connection::{Connection, DatabaseError, DatabaseResult, Statement};
use super::{sqlite, unchecked::checks};
use std::ops::Range;

/// Rows of one statement of `SQLite`, of few and of many.
const FEW_ROWS: usize = 64;
const MANY_ROWS: usize = 512;
/// How many parameters a statement of `SQLite` may have.
const PARAMETERS: usize = 32_766;

impl Connection {
    /// Runs an INSERT of one row once for each of some rows; a failure tells the position of the row.
    ///
    /// `fixed` binds what is the same in all rows, `bind` what differs from row to row. `SQLite` gets many rows at a
    /// time, too: it opens the table and its indexes once for all of them, and where they are sorted by an index, the
    /// next one's place is found beside the last.
    pub(crate) fn insert_each<T>(
        &self,
        sql: &str,
        rows: &[T],
        fixed: impl Fn(&mut Statement<'_>) -> DatabaseResult<()>,
        mut bind: impl FnMut(&mut Statement<'_>, &T) -> DatabaseResult<()>,
    ) -> Result<(), (usize, DatabaseError)> {
        let done = match self {
            Self::Sqlite(connection) => insert_blocks(connection, sql, rows, &fixed, &mut bind)?,
            Self::Postgres(_) => 0,
        };
        if done == rows.len() {
            return Ok(());
        }
        let at = |error| (done, error);
        let mut statement = self.prepare_cached(sql).map_err(at)?;
        fixed(&mut statement).map_err(at)?;
        statement.execute_each(&rows[done..], bind).map_err(|(position, error)| (done + position, error))
    }
}

/// Inserts whole blocks, up to the first one that a constraint refuses; says how many rows that was.
fn insert_blocks<T>(
    connection: &rusqlite::Connection,
    sql: &str,
    rows: &[T],
    fixed: &impl Fn(&mut Statement<'_>) -> DatabaseResult<()>,
    bind: &mut impl FnMut(&mut Statement<'_>, &T) -> DatabaseResult<()>,
) -> Result<usize, (usize, DatabaseError)> {
    let Some(each) = parameters_of_row(sql) else { return Ok(0) };
    let size = if rows.len() < 8 * MANY_ROWS { FEW_ROWS } else { MANY_ROWS }.min(PARAMETERS / each.max(1));
    let blocks = rows.chunks_exact(size);
    if blocks.len() == 0 {
        return Ok(0);
    }
    let fails = !checks(connection).map_err(|error| (0, error))? && !sql.contains(" ON CONFLICT ");
    let Some(many) = for_many(sql, size, fails) else { return Ok(0) };
    let prepared = connection.prepare_cached(&many).map_err(|error| (0, sqlite::error(error)))?;
    let mut statement = Statement::Sqlite(prepared, 0);
    for (number, block) in (0..).zip(blocks) {
        let outcome = block.iter().enumerate().try_for_each(|(position, row)| {
            move_to(&mut statement, each * position);
            if number == 0 {
                fixed(&mut statement)?; // it stays bound
            }
            bind(&mut statement, row)
        });
        match outcome.and_then(|()| statement.raw_execute()) {
            Ok(_) => {}
            Err(error) if error.kind.is_constraint() && fails => {
                return Err((number * size + usize::try_from(connection.changes()).unwrap_or(0), error));
            }
            // Nothing of the block was kept; its rows one by one show which it is.
            Err(error) if error.kind.is_constraint() => return Ok(number * size),
            Err(error) => return Err((number * size, error)),
        }
    }
    Ok(rows.len() / size * size)
}

/// Goes to the row of a statement that has so many parameters before it.
fn move_to(statement: &mut Statement<'_>, parameters: usize) {
    if let Statement::Sqlite(_, before) = statement {
        *before = parameters;
    }
}

/// Where the values of an INSERT of one row are in its text; none if they cannot be told from the rest.
fn values_of_row(sql: &str) -> Option<Range<usize>> {
    let start = sql.find(" VALUES (")? + " VALUES ".len();
    let end = start + sql[start..].find(')')? + 1;
    (!sql[start + 1..end].contains('(')).then_some(start..end)
}

fn parameters_of_row(sql: &str) -> Option<usize> {
    Some(sql[values_of_row(sql)?].matches('?').count())
}

/// An INSERT of one row as one of many; none if its values cannot be told from the rest.
///
/// If it `fails`, the rows before a refused one are kept, for the caller to undo: `SQLite` then needs no copy of the pages
/// that each statement changes. It would need them to check references, too.
fn for_many(sql: &str, rows: usize, fails: bool) -> Option<String> {
    let values = values_of_row(sql)?;
    let row = &sql[values.clone()];
    let into = if fails { "INSERT OR FAIL INTO" } else { "INSERT INTO" };
    Some(
        [into, sql[..values.start].strip_prefix("INSERT INTO")?, &vec![row; rows].join(", "), &sql[values.end..]]
            .concat(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(connection: &Connection, rows: &[i64]) -> Result<(), (usize, DatabaseError)> {
        let sql = "INSERT INTO t (kind, a) VALUES (?, ?)";
        let fixed = |statement: &mut Statement<'_>| statement.raw_bind_parameter(1, "x");
        connection.insert_each(sql, rows, fixed, |statement, row| statement.raw_bind_parameter(2, row))
    }

    fn table() -> Connection {
        let connection = Connection::Sqlite(rusqlite::Connection::open_in_memory().expect("memory"));
        connection.execute_batch("CREATE TABLE t (kind TEXT NOT NULL, a BIGINT UNIQUE CHECK (a < 9000))").expect("sql");
        connection
    }

    #[test]
    fn blocks_and_the_rest_are_all_inserted() {
        for count in [0, 1, 63, 64, 65, 128, 300, 4095, 4096, 5000] {
            let connection = table();
            let rows: Vec<i64> = (0..count).rev().collect();
            insert(&connection, &rows).expect("inserted");
            let found: Vec<i64> = connection
                .prepare_cached("SELECT a FROM t WHERE kind = 'x' ORDER BY rowid")
                .and_then(|mut s| s.query_column(()))
                .expect("rows");
            assert_eq!(found, rows);
        }
    }

    #[test]
    fn a_failure_names_the_row_wherever_it_is() {
        for (count, places) in
            [(300, [0, 5, 63, 64, 200, 255, 256, 299]), (5000, [0, 1, 511, 512, 600, 4607, 4608, 4999])]
        {
            for (bad, keys) in places.into_iter().flat_map(|bad| [(bad, "ON"), (bad, "OFF")]) {
                let connection = table();
                connection.execute_batch(&format!("PRAGMA foreign_keys={keys}; BEGIN")).expect("begun");
                let mut rows: Vec<i64> = (0..count).collect();
                rows[bad] = if bad % 2 == 0 { 9000 } else { rows[bad - 1] };
                let (position, error) = insert(&connection, &rows).expect_err("refused");
                assert_eq!(position, bad);
                assert!(error.kind.is_constraint());
                assert!(!connection.is_autocommit(), "the transaction is the caller's to undo");
            }
        }
    }
}
