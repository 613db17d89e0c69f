//! Statements that write, gathered to go to a server as one.

use super::postgres_values::Encoded;
use crate::postgres_text::shifted;
use std::fmt::Write as _;

/// Statements of which none was run yet, as parts of one. What they refer to is checked when all are done.
#[derive(Default)]
pub(super) struct Gathered {
    /// `WITH s1 AS (...), s2 AS (...) SELECT`, up to the last bracket.
    parts: String,
    count: usize,
    values: Vec<Encoded>,
}

impl Gathered {
    /// Adds a statement with numbered parameters; none may change a row that another one changes.
    pub(super) fn add(&mut self, sql: &str, values: &[Encoded]) {
        self.parts.push_str(if self.count == 0 { "WITH " } else { ", " });
        self.count += 1;
        let _ = write!(self.parts, "s{} AS ({})", self.count, shifted(sql, self.values.len()));
        self.values.extend_from_slice(values);
    }

    /// The one statement; it gives a row without columns.
    pub(super) fn sql(&self) -> String {
        format!("{} SELECT", self.parts)
    }

    /// The values of its parameters.
    pub(super) fn values(&self) -> &[Encoded] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_become_parts_of_one() {
        let mut gathered = Gathered::default();
        gathered.add("INSERT INTO t (a, b) VALUES ($1, $2)", &[Encoded::Null, Encoded::Null]);
        gathered.add("DELETE FROM u WHERE c = $1", &[Encoded::Text(b"x".to_vec())]);
        assert_eq!(
            gathered.sql(),
            "WITH s1 AS (INSERT INTO t (a, b) VALUES ($1, $2)), s2 AS (DELETE FROM u WHERE c = $3) SELECT"
        );
        assert_eq!(gathered.values().len(), 3);
    }
}
