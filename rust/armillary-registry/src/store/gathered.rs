//! Statements that write, gathered to go to a server as one.

use super::{
    connection::DatabaseResult,
    postgres_values::{Encoded, encode},
    values::{Bind as _, Owned},
};
use crate::postgres_text::shifted;
use std::fmt::Write as _;
use tokio_postgres::types::Type;

/// Statements of which none was run yet, as parts of one. What they refer to is checked when all are done.
#[derive(Default)]
pub(super) struct Gathered {
    /// `WITH s1 AS (...), s2 AS (...) SELECT`, up to the last bracket.
    parts: String,
    count: usize,
    values: Vec<Waiting>,
}

/// A value of a part: as it is while the server has not said of what type it must be.
#[derive(Clone, Debug, PartialEq)]
enum Waiting {
    Plain(Owned),
    Encoded(Encoded),
}

impl Gathered {
    /// Adds a statement with numbered parameters; none may change a row that another one changes.
    pub(super) fn add(&mut self, sql: &str, values: &[Owned]) {
        self.add_part(sql, values.iter().cloned().map(Waiting::Plain).collect());
    }

    /// As [`Self::add`], for values that are spelled as the server wants them.
    pub(super) fn add_encoded(&mut self, sql: &str, values: Vec<Encoded>) {
        self.add_part(sql, values.into_iter().map(Waiting::Encoded).collect());
    }

    fn add_part(&mut self, sql: &str, values: Vec<Waiting>) {
        self.parts.push_str(if self.count == 0 { "WITH " } else { ", " });
        self.count += 1;
        let _ = write!(self.parts, "s{} AS ({})", self.count, shifted(sql, self.values.len()));
        self.values.extend(values);
    }

    /// The one statement; it gives a row without columns.
    pub(super) fn sql(&self) -> String {
        format!("{} SELECT", self.parts)
    }

    /// The values of its parameters, which are of these types.
    pub(super) fn encoded(self, kinds: &[Type]) -> DatabaseResult<Vec<Encoded>> {
        let encoded = self.values.into_iter().zip(kinds).map(|(value, kind)| match value {
            Waiting::Encoded(value) => Ok(value),
            Waiting::Plain(value) => {
                let mut spelled = Encoded::Null;
                encode(value.parameter(), kind, &mut spelled)?;
                Ok(spelled)
            }
        });
        encoded.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_become_parts_of_one() {
        let mut gathered = Gathered::default();
        gathered.add("INSERT INTO t (a, b) VALUES ($1, $2)", &[Owned::Integer(3), Owned::Null]);
        gathered.add_encoded("DELETE FROM u WHERE c = $1", vec![Encoded::Text(b"x".to_vec())]);
        assert_eq!(
            gathered.sql(),
            "WITH s1 AS (INSERT INTO t (a, b) VALUES ($1, $2)), s2 AS (DELETE FROM u WHERE c = $3) SELECT"
        );
        let kinds = [Type::INT2, Type::TEXT, Type::TEXT];
        let expected = [Encoded::Binary(vec![0, 3]), Encoded::Null, Encoded::Text(b"x".to_vec())];
        assert_eq!(gathered.encoded(&kinds).expect("they fit"), expected);
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused() {
        let mut gathered = Gathered::default();
        gathered.add("INSERT INTO t (a) VALUES ($1)", &[Owned::Integer(70_000)]);
        assert!(gathered.encoded(&[Type::INT2]).is_err());
    }
}
