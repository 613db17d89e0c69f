//! INSERTs of many rows.

use super::connection::{Connection, DatabaseError, DatabaseResult, Statement};
use super::sqlite;

/// Rows of one statement of `SQLite`; a row with 100 columns still has fewer parameters than a statement may have.
const ROWS: usize = 64;

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

impl Connection {
    /// Drops the indexes of an empty table of `SQLite`, except those of its keys; gives the statements that make them
    /// again. To sort all rows at once for each index takes half the time of finding the place of each row in it.
    ///
    /// In a table with rows there is nothing to gain, and a server has other ways.
    pub(crate) fn set_indexes_aside(&self, table: &str) -> DatabaseResult<Vec<String>> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let any = format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(table));
        if !matches!(self, Self::Sqlite(_)) || self.query_row(&any, (), |row| row.get(0))? {
            return Ok(Vec::new());
        }
        let of_table = "FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL ORDER BY rowid";
        let statements = self.prepare_cached(&format!("SELECT sql {of_table}"))?.query_column([table])?;
        let names: Vec<String> = self.prepare_cached(&format!("SELECT name {of_table}"))?.query_column([table])?;
        for name in names {
            self.execute_batch(&format!("DROP INDEX {}", quoted(&name)))?;
        }
        Ok(statements)
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
    let (blocks, _) = rows.as_chunks::<ROWS>();
    if blocks.is_empty() {
        return Ok(0);
    }
    let Some(many) = for_many(sql) else { return Ok(0) };
    let prepared = connection.prepare_cached(&many).map_err(|error| (0, sqlite::error(error)))?;
    let each = prepared.parameter_count() / ROWS;
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
            // Nothing of the block was kept; its rows one by one show which it is.
            Err(error) if error.kind.is_constraint() => return Ok(number * ROWS),
            Err(error) => return Err((number * ROWS, error)),
        }
    }
    Ok(blocks.len() * ROWS)
}

/// Goes to the row of a statement that has so many parameters before it.
fn move_to(statement: &mut Statement<'_>, parameters: usize) {
    if let Statement::Sqlite(_, before) = statement {
        *before = parameters;
    }
}

/// An INSERT of one row as one of many; none if its values cannot be told from the rest.
fn for_many(sql: &str) -> Option<String> {
    let start = sql.find(" VALUES (")? + " VALUES ".len();
    let end = start + sql[start..].find(')')? + 1;
    let row = &sql[start..end];
    if row[1..].contains('(') {
        return None;
    }
    Some([&sql[..start], &vec![row; ROWS].join(", "), &sql[end..]].concat())
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
        connection.execute_batch("CREATE TABLE t (kind TEXT NOT NULL, a BIGINT UNIQUE CHECK (a < 1000))").expect("sql");
        connection
    }

    #[test]
    fn blocks_and_the_rest_are_all_inserted() {
        for count in [0, 1, 63, 64, 65, 128, 300] {
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
        for bad in [0, 5, 63, 64, 200, 255, 256, 299] {
            let connection = table();
            connection.execute_batch("BEGIN").expect("begun");
            let mut rows: Vec<i64> = (0..300).collect();
            rows[bad] = 5000;
            let (position, error) = insert(&connection, &rows).expect_err("refused");
            assert_eq!(position, bad);
            assert!(error.kind.is_constraint());
            assert!(!connection.is_autocommit(), "the transaction is the caller's to undo");
        }
    }
}
