//! Looking up, once each, the rows that many new rows refer to, instead of once for each of them.

use crate::{
    schema::key_column,
    store::{Connection, DatabaseError, DatabaseResult, Statement, Unchecked},
};
use armillary_dimensions::{Element, Key, Universe};
use std::{collections::HashSet, fmt::Write as _};

/// Fewer rows are checked by the database: to compile its statements anew would take longer.
const MANY: usize = 500;

/// The rows of one table that others refer to.
pub(crate) struct Parents<'c> {
    statement: Statement<'c>,
    known: HashSet<Vec<Key>>,
    last: Vec<Key>,
    /// Numbers that were found where the values before them are those of the last row.
    numbers: HashSet<i64>,
}

impl<'c> Parents<'c> {
    /// Rows that are known by the values of some columns.
    pub(crate) fn new(connection: &'c Connection, table: &str, columns: &[&str]) -> DatabaseResult<Self> {
        Ok(Self {
            statement: connection.prepare_cached(&exists_sql(table, columns))?,
            known: HashSet::new(),
            last: Vec::new(),
            numbers: HashSet::new(),
        })
    }

    /// The records of a dimension element.
    pub(crate) fn records(connection: &'c Connection, universe: &Universe, element: &Element) -> DatabaseResult<Self> {
        let columns: Vec<&str> =
            element.required.iter().map(|index| key_column(element, universe.get(index))).collect();
        Self::new(connection, &element.name, &columns)
    }

    /// Whether there is a row with these values.
    pub(crate) fn has<'k>(&mut self, values: impl Iterator<Item = &'k Key> + Clone) -> DatabaseResult<bool> {
        if let Some((last, before)) = self.last.split_last()
            && before.iter().eq(values.clone().take(before.len()))
            && let Some(value) = values.clone().nth(before.len())
        {
            if value == last || matches!(value, Key::Int(number) if self.numbers.contains(number)) {
                return Ok(true);
            }
        } else {
            self.numbers.clear();
        }
        self.last.clear();
        self.last.extend(values.cloned());
        let found = self.known.contains(&self.last)
            || self.statement.query_row(self.last.as_slice(), |row| row.get::<bool>(0))?;
        if !found {
            self.last.clear();
            self.numbers.clear();
            return Ok(false);
        }
        if let Some(Key::Int(number)) = self.last.last() {
            self.numbers.insert(*number);
        }
        self.known.insert(self.last.clone());
        Ok(true)
    }
}

/// Whether a table has a row with these values in some columns.
pub(crate) fn exists_sql(table: &str, columns: &[&str]) -> String {
    let mut sql = format!("SELECT EXISTS (SELECT 1 FROM \"{table}\" WHERE true");
    for column in columns {
        let _ = write!(sql, " AND \"{column}\" = ?");
    }
    sql.push(')');
    sql
}

/// Whether so many rows are worth looking up what they refer to.
pub(crate) const fn are_many(rows: usize) -> bool {
    rows >= MANY
}

/// Switches the checks of foreign keys off, where so many rows are worth it and `all_there` finds, in this transaction,
/// all that they refer to. None means that the database goes on checking.
pub(crate) fn unchecked<E: From<DatabaseError>>(
    connection: &Connection,
    rows: usize,
    all_there: impl FnOnce() -> Result<bool, E>,
) -> Result<Option<Unchecked<'_>>, E> {
    let worthwhile = are_many(rows) && matches!(connection, Connection::Sqlite(_));
    if worthwhile && all_there()? { Ok(connection.unchecked()?) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family() -> Connection {
        let connection = Connection::Sqlite(rusqlite::Connection::open_in_memory().expect("memory"));
        connection
            .execute_batch(
                "PRAGMA foreign_keys=ON; CREATE TABLE parent (kind TEXT, id INTEGER, PRIMARY KEY (kind, id)); \
                 INSERT INTO parent VALUES ('x', 1), ('x', 2), ('y', 1); BEGIN IMMEDIATE",
            )
            .expect("made");
        connection
    }

    #[test]
    fn rows_are_found_by_all_their_values_in_any_order() {
        let connection = family();
        let mut parents = Parents::new(&connection, "parent", &["kind", "id"]).expect("a statement");
        let cases = [("x", 1, true), ("x", 1, true), ("y", 2, false), ("y", 2, false), ("y", 1, true), ("x", 1, true)];
        for (kind, id, there) in cases {
            let keys: [Key; 2] = [kind.into(), id.into()];
            assert_eq!(parents.has(keys.iter()), Ok(there), "{kind} {id}");
        }
    }

    #[test]
    fn checks_are_off_for_many_rows_that_refer_to_what_is_there() {
        let connection = family();
        for (rows, there, off) in [(MANY, true, true), (MANY, false, false), (MANY - 1, true, false)] {
            let guard = unchecked::<DatabaseError>(&connection, rows, || Ok(there)).expect("asked");
            assert_eq!(guard.is_some(), off, "{rows} rows");
        }
    }
}
