//! How one database spells what SQL leaves open. Text only: nothing here talks to a database.

use crate::schema::SqlType;
use std::fmt::Write as _;

/// How one database spells what SQL leaves open.
pub trait Dialect: Send + Sync {
    /// Name of the database, for messages.
    fn name(&self) -> &'static str;

    /// Writes `name` as an identifier.
    fn quote(&self, sql: &mut String, name: &str) {
        sql.push('"');
        sql.push_str(&name.replace('"', "\"\""));
        sql.push('"');
    }

    /// Writes `name` as an identifier, bare where that is safe: the spelling of stored table definitions.
    fn identifier(&self, sql: &mut String, name: &str) {
        let simple = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if simple && !RESERVED.contains(&name) { sql.push_str(name) } else { self.quote(sql, name) }
    }

    /// The type of a column.
    fn column_type(&self, kind: SqlType) -> String;

    /// The columns that hold the timespan called `name`.
    fn timespan_columns(&self, name: &str) -> Vec<String>;

    /// The expressions that give begin and end of the timespan called `name` of the table named in `prefix`.
    fn timespan_bounds(&self, prefix: &str, name: &str) -> [String; 2];

    /// What stores a timespan of two parameters, its begin and its end; as many values as it has columns.
    fn timespan_values(&self) -> &'static str;

    /// The expression for the next number of a key that the database numbers.
    fn next_number(&self, table: &str, column: &str) -> String;

    /// Writes a membership test whose one parameter is a JSON array of the values.
    fn in_json_array(&self, sql: &mut String);

    /// The column that numbers the rows of a table.
    fn row_number(&self) -> &'static str;

    /// Writes a match of what stands before with a pattern; the pattern, from [`Dialect::glob_pattern`], is a parameter.
    fn glob(&self, sql: &mut String);

    /// A pattern of `*` and `?` only, as [`Dialect::glob`] understands it.
    fn glob_pattern(&self, pattern: &str) -> String;

    /// Writes a subquery of named columns, text or integers; its one parameter is a JSON array of rows.
    fn json_rows(&self, sql: &mut String, columns: &[(String, bool)]);

    /// Writes a subquery of columns `a` and `b`; its one parameter is a JSON array of integers `a << 32 | b`.
    fn number_pairs(&self, sql: &mut String);

    /// The word that joins a table and keeps the order of the tables.
    fn ordered_join(&self) -> &'static str;

    /// What stands around a condition that few rows meet; nothing where the database knows by itself.
    fn narrowing(&self) -> (&'static str, &'static str) {
        ("", "")
    }

    /// Writes nanoseconds TAI of a column with text `YYYY-MM-DD HH:MM:SS.ffffff` in UTC, of 2017 or later.
    fn text_date(&self, sql: &mut String, column: &str);
}

/// Words that cannot be bare identifiers in either database.
const RESERVED: [&str; 18] = [
    "all", "and", "as", "case", "check", "column", "create", "default", "distinct", "from", "group", "index", "order",
    "select", "table", "to", "user", "where",
];

/// The spelling of `SQLite`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sqlite;

impl Dialect for Sqlite {
    fn name(&self) -> &'static str {
        "SQLite"
    }

    fn column_type(&self, kind: SqlType) -> String {
        match kind {
            SqlType::Serial => "INTEGER".to_owned(),
            SqlType::Int | SqlType::Time => "BIGINT".to_owned(),
            SqlType::SmallInt => "SMALLINT".to_owned(),
            SqlType::Float => "FLOAT".to_owned(),
            SqlType::Bool => "BOOLEAN".to_owned(),
            SqlType::Text(length) if length <= 32 => format!("VARCHAR({length})"),
            SqlType::Text(_) | SqlType::Base64 => "TEXT".to_owned(),
            SqlType::Uuid => "CHAR(32)".to_owned(),
            SqlType::Timestamp => "TIMESTAMP".to_owned(),
        }
    }

    fn timespan_columns(&self, name: &str) -> Vec<String> {
        vec![format!("{name}_begin"), format!("{name}_end")]
    }

    fn timespan_bounds(&self, prefix: &str, name: &str) -> [String; 2] {
        [format!("{prefix}\"{name}_begin\""), format!("{prefix}\"{name}_end\"")]
    }

    fn timespan_values(&self) -> &'static str {
        "?, ?"
    }

    fn next_number(&self, _table: &str, _column: &str) -> String {
        "NULL".to_owned()
    }

    fn in_json_array(&self, sql: &mut String) {
        sql.push_str(" IN (SELECT value FROM json_each(?))");
    }

    fn row_number(&self) -> &'static str {
        "rowid"
    }

    fn glob(&self, sql: &mut String) {
        sql.push_str(" GLOB ?");
    }

    fn glob_pattern(&self, pattern: &str) -> String {
        // Here a bracket begins a set, unless it is one.
        pattern.replace('[', "[[]")
    }

    fn json_rows(&self, sql: &mut String, columns: &[(String, bool)]) {
        sql.push_str("(SELECT ");
        for (position, (name, text)) in columns.iter().enumerate() {
            sql.push_str(if position == 0 { "" } else { ", " });
            let kind = if *text { "TEXT" } else { "INTEGER" };
            let _ = write!(sql, "CAST(value ->> {position} AS {kind}) AS ");
            self.identifier(sql, name);
        }
        if columns.is_empty() {
            sql.push('1');
        }
        sql.push_str(" FROM json_each(?))");
    }

    fn number_pairs(&self, sql: &mut String) {
        sql.push_str("(SELECT value >> 32 AS a, value & 4294967295 AS b FROM json_each(?))");
    }

    fn ordered_join(&self) -> &'static str {
        " CROSS JOIN "
    }

    fn narrowing(&self) -> (&'static str, &'static str) {
        ("unlikely(", ")")
    }

    fn text_date(&self, sql: &mut String, column: &str) {
        // TAI has been 37 s ahead of UTC since 2017.
        let _ = write!(
            sql,
            "((CAST(strftime('%s', {column}) AS INTEGER) + 37) * 1000000000 \
             + CAST(substr({column} || '000000', 21, 6) AS INTEGER) * 1000)"
        );
    }
}
