//! Indexes of an empty table that are made when its rows are there, not row by row.

use super::connection::{Connection, DatabaseResult};

/// So many entries of an index, of up to some 130 bytes, are sorted within the 64 MiB that the cache may have.
const SORTED_IN_MEMORY: usize = 500_000;

impl Connection {
    /// Drops indexes of an empty table of `SQLite`; gives the statements that make them again. To sort all rows at once
    /// for an index takes half the time of finding the place of each row in it.
    ///
    /// Rows will come sorted by the columns `sorted_by`, with one value in those of `shared`: an index that has the same
    /// order stays, because each row is appended to it. So do indexes that refuse rows. In a table with rows there is
    /// nothing to gain, and a server has other ways.
    pub(crate) fn set_indexes_aside(
        &self,
        table: &str,
        shared: &[&str],
        sorted_by: &[&str],
    ) -> DatabaseResult<Vec<String>> {
        let any = format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(table));
        if !matches!(self, Self::Sqlite(_)) || self.query_row(&any, (), |row| row.get(0))? {
            return Ok(Vec::new());
        }
        let of_table = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql LIKE 'CREATE INDEX %' \
                        ORDER BY rowid";
        let names: Vec<String> = self.prepare_cached(of_table)?.query_column([table])?;
        let mut columns = self.prepare_cached("SELECT coalesce(name, '') FROM pragma_index_info(?) ORDER BY seqno")?;
        let mut definition = self.prepare_cached("SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?")?;
        let mut aside = Vec::new();
        for name in names {
            let mut columns: Vec<String> = columns.query_column([&name])?;
            columns.retain(|column| !shared.contains(&column.as_str()));
            if !sorted_by.iter().zip(&columns).all(|(sorted, column)| sorted == column)
                || columns.len() > sorted_by.len()
            {
                aside.push((definition.query_row([&name], |row| row.get(0))?, name));
            }
        }
        drop((columns, definition));
        for (_, name) in &aside {
            self.execute_batch(&format!("DROP INDEX {}", quoted(name)))?;
        }
        Ok(aside.into_iter().map(|(statement, _)| statement).collect())
    }

    /// Makes the indexes of a table with so many rows again.
    ///
    /// Unless it may use files, `SQLite` asks for memory for every entry that it sorts; with files in view it asks once,
    /// and makes none as long as that memory suffices.
    pub(crate) fn make_indexes(&self, statements: &[String], rows: usize) -> DatabaseResult<()> {
        if statements.is_empty() {
            return Ok(());
        }
        // Refused, within a transaction, if there are temporary tables already.
        let with_files = rows <= SORTED_IN_MEMORY && self.execute_batch("PRAGMA temp_store=FILE").is_ok();
        let made = statements.iter().try_for_each(|statement| self.execute_batch(statement));
        if with_files {
            self.execute_batch("PRAGMA temp_store=MEMORY")?;
        }
        made
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEXES: [&str; 7] = [
        "CREATE INDEX a ON t (a)",
        "CREATE INDEX ab ON t (a, b)",
        "CREATE INDEX ac ON t (a, c)",
        "CREATE INDEX kab ON t (k, a, b, c)",
        "CREATE INDEX \"c \"\" k\" ON t (c, k)",
        "CREATE INDEX expression ON t (a, b + c)",
        "CREATE UNIQUE INDEX u ON t (c)",
    ];

    fn table() -> Connection {
        let connection = Connection::Sqlite(rusqlite::Connection::open_in_memory().expect("memory"));
        connection.execute_batch("CREATE TABLE t (k, a, b, c, PRIMARY KEY (k, a, b, c)); BEGIN").expect("made");
        connection.execute_batch(&INDEXES.join("; ")).expect("made");
        connection
    }

    fn there(connection: &Connection) -> Vec<String> {
        let sql = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY sql";
        connection.prepare_cached(sql).and_then(|mut select| select.query_column(())).expect("read")
    }

    #[test]
    fn indexes_in_the_order_of_the_rows_and_those_that_refuse_rows_stay() {
        let connection = table();
        let aside = connection.set_indexes_aside("t", &["k"], &["a", "b", "c"]).expect("dropped");
        assert_eq!(aside, [INDEXES[2], INDEXES[4], INDEXES[5]]);
        assert_eq!(there(&connection), [INDEXES[0], INDEXES[1], INDEXES[3], INDEXES[6]]);
        connection.execute_batch("INSERT INTO t VALUES (0, 1, 2, 3), (0, 1, 2, 4)").expect("inserted");
        connection.make_indexes(&aside, 2).expect("made");
        let mut all = INDEXES;
        all.sort_unstable();
        assert_eq!(there(&connection), all);
        let by_index = "SELECT c FROM t INDEXED BY ac WHERE a = 1 ORDER BY c";
        let found: Vec<i64> =
            connection.prepare_cached(by_index).and_then(|mut select| select.query_column(())).expect("read");
        assert_eq!(found, [3, 4]);
    }

    #[test]
    fn rows_without_an_order_or_with_others_before_them() {
        let connection = table();
        assert_eq!(connection.set_indexes_aside("t", &[], &[]).expect("dropped"), INDEXES[..6]);
        let connection = table();
        connection.execute_batch("INSERT INTO t VALUES (0, 1, 2, 3)").expect("inserted");
        assert_eq!(connection.set_indexes_aside("t", &["k"], &["a"]).expect("left"), [""; 0]);
    }

    #[test]
    fn indexes_are_made_beside_temporary_tables() {
        let connection = table();
        let aside = connection.set_indexes_aside("t", &["k"], &["a", "b", "c"]).expect("dropped");
        connection.execute_batch("CREATE TEMPORARY TABLE x (y); INSERT INTO x VALUES (1)").expect("made");
        connection.make_indexes(&aside, 0).expect("made");
        assert_eq!(there(&connection).len(), INDEXES.len());
    }
}
