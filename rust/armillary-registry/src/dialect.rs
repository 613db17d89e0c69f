//! How one database spells what SQL leaves open. Text only: nothing here talks to a database.

use crate::schema::SqlType;
use armillary_dimensions::{Timespan, Value};
use blake2::{
    Blake2bVar,
    digest::{Update as _, VariableOutput as _},
};
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

    /// The name under which a constraint or index is kept.
    fn short_name(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Whether the lengths of short text are constraints of their own.
    fn checks_lengths(&self) -> bool {
        true
    }

    /// The sequence that numbers a key, if it is made apart from the table.
    fn sequence(&self, _table: &str, _column: &str) -> Option<String> {
        None
    }

    /// The type of the columns that hold a timespan.
    fn timespan_type(&self) -> SqlType {
        SqlType::Time
    }

    /// The values of the columns of a timespan that is for ever.
    fn timespan_defaults(&self) -> Vec<String> {
        vec![Timespan::MIN.to_string(), Timespan::MAX.to_string()]
    }

    /// Whether `SELECT DISTINCT` can be ordered by nothing but what is selected.
    fn orders_by_what_is_selected(&self) -> bool {
        false
    }

    /// Whether the database counts distinct rows quicker than they are fetched.
    fn tells_rows_apart_quickly(&self) -> bool {
        false
    }

    /// What stands before and after a divisor so that division by zero gives NULL.
    fn divisor(&self) -> (&'static str, &'static str) {
        ("", "")
    }

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

    /// The largest row number that can be paired.
    fn largest_row(&self) -> i64 {
        i64::MAX
    }

    /// What equals [`Dialect::row_number`] for a row number that travelled as an integer.
    fn row_numbered(&self, number: &str) -> String {
        number.to_owned()
    }

    /// Writes a SELECT of a number that is larger for larger tables, which costs nothing.
    fn table_size(&self, sql: &mut String, table: &str);

    /// Writes a match of what stands before with a pattern; the pattern, from [`Dialect::glob_pattern`], is a parameter.
    fn glob(&self, sql: &mut String);

    /// A pattern of `*` and `?` only, as [`Dialect::glob`] understands it.
    fn glob_pattern(&self, pattern: &str) -> String;

    /// What stands around each value of a statement of many, where the database compares every plain one with all others
    /// to find equal ones.
    fn unshared(&self) -> (&'static str, &'static str) {
        ("", "")
    }

    /// How many parameters a statement may have.
    fn most_parameters(&self) -> usize;

    /// The type of the members of a list that such a value may be one of, where a list can be a parameter.
    fn list_type(&self, _value: &Value) -> Option<&'static str> {
        None
    }

    /// Writes a subquery of named columns, text or integers; its one parameter is a JSON array of rows.
    fn json_rows(&self, sql: &mut String, columns: &[(String, bool)]);

    /// Writes a subquery of columns `a` and `b` with pairs of row numbers; gives its parameters, JSON arrays, or none
    /// if the numbers are too large.
    fn number_pairs(&self, sql: &mut String, pairs: &[(i64, i64)]) -> Option<Vec<String>>;

    /// The word that joins a table and keeps the order of the tables.
    fn ordered_join(&self) -> &'static str;

    /// What stands around a condition that few rows meet; nothing where the database knows by itself.
    fn narrowing(&self) -> (&'static str, &'static str) {
        ("", "")
    }

    /// Writes nanoseconds TAI of a column with text `YYYY-MM-DD HH:MM:SS.ffffff` in UTC, of 2017 or later.
    fn text_date(&self, sql: &mut String, column: &str);
}

/// The spelling of `PostgreSQL`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postgres;

/// Longer names of constraints and indexes are cut by the server, and would no longer differ.
const LONGEST_NAME: usize = 63;

impl Dialect for Postgres {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn column_type(&self, kind: SqlType) -> String {
        match kind {
            SqlType::Serial | SqlType::Int | SqlType::Time => "BIGINT".to_owned(),
            SqlType::SmallInt => "SMALLINT".to_owned(),
            SqlType::Float => "DOUBLE PRECISION".to_owned(),
            SqlType::Bool => "BOOLEAN".to_owned(),
            SqlType::Text(length) if length <= 32 => format!("VARCHAR({length})"),
            SqlType::Text(_) | SqlType::Base64 => "TEXT".to_owned(),
            SqlType::Uuid => "UUID".to_owned(),
            SqlType::Timestamp => "TIMESTAMP".to_owned(),
            SqlType::Timespan => "INT8RANGE".to_owned(),
        }
    }

    fn short_name(&self, name: &str) -> String {
        if name.len() <= LONGEST_NAME {
            return name.to_owned();
        }
        let mut digest = Blake2bVar::new(4).unwrap_or_else(|_| unreachable!("four bytes are a valid length"));
        digest.update(name.as_bytes());
        let mut bytes = [0; 4];
        digest.finalize_variable(&mut bytes).unwrap_or_else(|_| unreachable!("the buffer has that length"));
        format!("{}_{:08x}", &name[..LONGEST_NAME - 9], u32::from_be_bytes(bytes))
    }

    fn checks_lengths(&self) -> bool {
        false
    }

    fn sequence(&self, table: &str, column: &str) -> Option<String> {
        Some(format!("{table}_seq_{column}"))
    }

    fn timespan_columns(&self, name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    fn timespan_type(&self) -> SqlType {
        SqlType::Timespan
    }

    fn timespan_defaults(&self) -> Vec<String> {
        vec!["'(,)'::int8range".to_owned()]
    }

    fn timespan_bounds(&self, prefix: &str, name: &str) -> [String; 2] {
        let column = format!("{prefix}\"{name}\"");
        let (first, last) = (Timespan::MIN, Timespan::MAX);
        [
            format!(
                "CASE WHEN lower_inf({column}) THEN {first} WHEN isempty({column}) THEN {last} ELSE lower({column}) END"
            ),
            format!(
                "CASE WHEN upper_inf({column}) THEN {last} WHEN isempty({column}) THEN {first} ELSE upper({column}) END"
            ),
        ]
    }

    fn timespan_values(&self) -> &'static str {
        // The sentinels are Timespan::MIN and Timespan::MAX: unbounded.
        "(SELECT CASE WHEN v.b IS NULL OR v.e IS NULL THEN NULL WHEN v.b >= v.e THEN 'empty'::int8range \
         ELSE int8range(nullif(v.b, 0), nullif(v.e, 4102444800000000000)) END \
         FROM (SELECT ?::bigint AS b, ?::bigint AS e) AS v)"
    }

    fn next_number(&self, table: &str, column: &str) -> String {
        format!("nextval('{table}_seq_{column}')")
    }

    fn in_json_array(&self, sql: &mut String) {
        // The server tells the type of the array, and the connection makes one of the JSON text.
        sql.push_str(" = ANY(?)");
    }

    fn row_number(&self) -> &'static str {
        "ctid"
    }

    fn row_numbered(&self, number: &str) -> String {
        // A block and a place in it, as the connection made one number of them.
        format!("('(' || ({number} >> 16) || ',' || ({number} & 65535) || ')')::tid")
    }

    fn table_size(&self, sql: &mut String, table: &str) {
        let _ = write!(sql, "SELECT pg_relation_size('\"{table}\"')");
    }

    fn glob(&self, sql: &mut String) {
        sql.push_str(" ~ ?");
    }

    fn glob_pattern(&self, pattern: &str) -> String {
        let mut expression = String::from("^");
        for character in pattern.chars() {
            match character {
                '*' => expression.push_str(".*"),
                '?' => expression.push('.'),
                plain if plain.is_alphanumeric() || plain == '_' || plain == ' ' || !plain.is_ascii() => {
                    expression.push(plain);
                }
                special => {
                    expression.push('\\');
                    expression.push(special);
                }
            }
        }
        expression.push('$');
        expression
    }

    fn most_parameters(&self) -> usize {
        usize::from(u16::MAX) // the protocol has two bytes for their number
    }

    fn list_type(&self, value: &Value) -> Option<&'static str> {
        match value {
            Value::Bool(_) => Some("boolean"),
            Value::Int(_) => Some("bigint"),
            Value::Float(value) if value.is_finite() => Some("double precision"),
            Value::Str(_) | Value::Bytes(_) => Some("text"),
            Value::Uuid(_) => Some("uuid"),
            Value::Null | Value::Float(_) | Value::Timespan(_) => None,
        }
    }

    fn json_rows(&self, sql: &mut String, columns: &[(String, bool)]) {
        sql.push_str("(SELECT ");
        for (position, (name, text)) in columns.iter().enumerate() {
            sql.push_str(if position == 0 { "" } else { ", " });
            let kind = if *text { "text" } else { "bigint" };
            let _ = write!(sql, "(j.value ->> {position})::{kind} AS ");
            self.identifier(sql, name);
        }
        if columns.is_empty() {
            sql.push('1');
        }
        sql.push_str(" FROM json_array_elements(?::text::json) AS j(value))");
    }

    fn number_pairs(&self, sql: &mut String, pairs: &[(i64, i64)]) -> Option<Vec<String>> {
        sql.push_str("(SELECT p.a, p.b FROM unnest(?::tid[], ?::tid[]) AS p(a, b))");
        let list = |numbers: &mut dyn Iterator<Item = i64>| {
            let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
            format!("[{}]", numbers.join(","))
        };
        Some(vec![list(&mut pairs.iter().map(|(a, _)| *a)), list(&mut pairs.iter().map(|(_, b)| *b))])
    }

    fn ordered_join(&self) -> &'static str {
        " JOIN "
    }

    fn orders_by_what_is_selected(&self) -> bool {
        true
    }

    fn tells_rows_apart_quickly(&self) -> bool {
        true
    }

    fn divisor(&self) -> (&'static str, &'static str) {
        ("nullif(", ", 0)")
    }

    fn text_date(&self, sql: &mut String, column: &str) {
        let _ = write!(sql, "((extract(epoch FROM {column}) * 1000000)::bigint * 1000 + 37000000000)");
    }
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
            SqlType::Timespan => unreachable!("a timespan takes two columns"),
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

    fn largest_row(&self) -> i64 {
        i64::from(i32::MAX)
    }

    fn table_size(&self, sql: &mut String, table: &str) {
        sql.push_str("SELECT max(rowid) FROM ");
        self.identifier(sql, table);
    }

    fn glob(&self, sql: &mut String) {
        sql.push_str(" GLOB ?");
    }

    fn glob_pattern(&self, pattern: &str) -> String {
        // Here a bracket begins a set, unless it is one.
        pattern.replace('[', "[[]")
    }

    fn most_parameters(&self) -> usize {
        1_000_000 // as `SQLITE_MAX_VARIABLE_NUMBER` in `.cargo/config.toml` says
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

    fn number_pairs(&self, sql: &mut String, pairs: &[(i64, i64)]) -> Option<Vec<String>> {
        let mut json = String::with_capacity(2 + 20 * pairs.len());
        json.push('[');
        for (position, (a, b)) in pairs.iter().enumerate() {
            let (a, b) = (i32::try_from(*a).ok()?, u32::try_from(*b).ok()?);
            let comma = if position == 0 { "" } else { "," };
            // Two numbers in one: SQL splits an integer faster than a list.
            let _ = write!(json, "{comma}{}", i64::from(a) << 32 | i64::from(b));
        }
        json.push(']');
        sql.push_str("(SELECT value >> 32 AS a, value & 4294967295 AS b FROM json_each(?))");
        Some(vec![json])
    }

    fn ordered_join(&self) -> &'static str {
        " CROSS JOIN "
    }

    fn narrowing(&self) -> (&'static str, &'static str) {
        ("unlikely(", ")")
    }

    fn unshared(&self) -> (&'static str, &'static str) {
        ("coalesce(", ", NULL)")
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
