//! Conditions as SQL text. Every value is bound, never written.

use super::predicate::{Predicate, Reference, RowList, Scalar, Test, TimeTerm};
use crate::{
    Dialect,
    json_list::{json_array, json_of_rows},
};
use armillary_dimensions::{Timespan, Value};
use armillary_expression::{ArithmeticOperator, Comparison};
use std::{cmp::Reverse, collections::BinaryHeap};

/// SQL text and the values of its parameters, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
    /// Levels of `AND` and `OR` in a condition.
    depth: usize,
    /// Conditions joined by them, as far as the database's planner sees them.
    terms: usize,
}

/// Conditions joined without brackets are as deep as they are many; deeper ones are written as a tree. `SQLite` takes
/// 1000 levels, of which an expression may need some hundred for its own nesting.
const DEEPEST_CHAIN: usize = 64;
/// Conditions that a planner gets to see. It compares each with all others, which takes minutes for thousands.
const MOST_PLANNED: usize = 500;

impl Sql {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Conditions that all hold (` AND `) or of which one holds (` OR `), in no more levels than needed.
    pub(crate) fn joined(mut parts: Vec<Self>, by: &str) -> Self {
        let terms = parts.iter().map(|part| part.terms.max(1)).sum();
        let deepest = parts.iter().map(|part| part.depth).max().unwrap_or(0);
        let mut chain_depth = deepest + parts.len().saturating_sub(1);
        if chain_depth > DEEPEST_CHAIN {
            parts = paired(parts, by);
            chain_depth = parts.iter().map(|part| part.depth).max().unwrap_or(0) + 1;
        }
        // Unlike `IS TRUE`, this leaves unknown what is unknown.
        let (before, after) = if terms > MOST_PLANNED { ("coalesce(", ", NULL)") } else { ("", "") };
        let mut sql = Self::text(before);
        for (position, part) in parts.into_iter().enumerate() {
            sql.push(if position > 0 { by } else { "" });
            sql.append(part);
        }
        sql.push(after);
        sql.depth = chain_depth + usize::from(!before.is_empty());
        sql.terms = if before.is_empty() { terms } else { 1 };
        sql
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Writes a parameter.
    pub(crate) fn bind(&mut self, value: Value) {
        self.text.push('?');
        self.values.push(value);
    }

    /// Writes conditions that all hold after a word, ` WHERE ` or ` AND `; nothing if there are none.
    pub(crate) fn push_all(&mut self, word: &str, conditions: impl IntoIterator<Item = Self>) {
        let conditions: Vec<Self> = conditions.into_iter().collect();
        if !conditions.is_empty() {
            self.push(word);
            self.append(Self::joined(conditions, " AND "));
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.text.push_str(&other.text);
        self.values.extend(other.values);
        self.depth = self.depth.max(other.depth);
        self.terms = self.terms.max(other.terms);
    }

    /// Writes ` IN (...)` of values of one sort; long lists take one parameter.
    pub(crate) fn in_list(&mut self, dialect: &dyn Dialect, items: &[Value]) {
        const LONGEST: usize = 200;
        if items.len() > LONGEST
            && let Some(array) = json_array(items)
        {
            dialect.in_json_array(&mut self.text);
            self.values.push(Value::Str(array.into()));
            return;
        }
        self.push(" IN (");
        for (position, item) in items.iter().enumerate() {
            if position > 0 {
                self.push(", ");
            }
            self.bind(item.clone());
        }
        self.push(")");
    }
}

/// Two conditions that say what all of them say: always the two least deep ones are put together, so that what is deep
/// already stays near the top.
fn paired(parts: Vec<Sql>, by: &str) -> Vec<Sql> {
    let mut least: BinaryHeap<Reverse<(usize, usize)>> =
        parts.iter().enumerate().map(|(position, part)| Reverse((part.depth, position))).collect();
    let mut parts: Vec<Option<Sql>> = parts.into_iter().map(Some).collect();
    while least.len() > 2 {
        let mut pair = Sql::text("(");
        for end in [by, ")"] {
            let Some(Reverse((depth, position))) = least.pop() else { break };
            pair.append(parts[position].take().unwrap_or_default());
            pair.push(end);
            pair.depth = depth + 1; // the second is the deeper one
        }
        least.push(Reverse((pair.depth, parts.len())));
        parts.push(Some(pair));
    }
    parts.into_iter().flatten().collect()
}

/// Where the columns of a query are in its `FROM` clause.
pub(crate) trait Columns {
    /// Writes a plain column.
    fn column(&self, sql: &mut Sql, reference: Reference);
    /// The dialect to write in.
    fn dialect(&self) -> &dyn Dialect;
}

/// Writes a condition without tests of regions; inside, always in brackets.
pub(crate) fn write_predicate(sql: &mut Sql, columns: &dyn Columns, predicate: &Predicate) {
    match predicate {
        Predicate::All(parts) => write_joined(sql, columns, parts, " AND ", "1 = 1"),
        Predicate::Any(parts) => write_joined(sql, columns, parts, " OR ", "1 = 0"),
        Predicate::Not(part) => {
            let part = condition(columns, part);
            let depth = part.depth + 1;
            sql.push("NOT (");
            sql.append(part);
            sql.push(")");
            sql.depth = sql.depth.max(depth);
        }
        Predicate::Test(test) => write_test(sql, columns, test),
    }
}

/// A condition by itself; see [`write_predicate`].
pub(crate) fn condition(columns: &dyn Columns, predicate: &Predicate) -> Sql {
    let mut sql = Sql::default();
    write_predicate(&mut sql, columns, predicate);
    sql
}

fn write_joined(sql: &mut Sql, columns: &dyn Columns, parts: &[Predicate], by: &str, none: &str) {
    if parts.is_empty() {
        sql.push(none);
        return;
    }
    sql.push("(");
    sql.append(Sql::joined(parts.iter().map(|part| condition(columns, part)).collect(), by));
    sql.push(")");
}

fn write_test(sql: &mut Sql, columns: &dyn Columns, test: &Test) {
    match test {
        Test::Compare(comparison, left, right) => {
            write_scalar(sql, columns, left);
            sql.push(match comparison {
                Comparison::Equal | Comparison::Overlaps => " = ",
                Comparison::NotEqual => " <> ",
                Comparison::Less => " < ",
                Comparison::LessEqual => " <= ",
                Comparison::Greater => " > ",
                Comparison::GreaterEqual => " >= ",
            });
            write_scalar(sql, columns, right);
        }
        Test::IsNull(reference) => {
            let reference = match *reference {
                Reference::Timespan(owner) => Reference::Begin(owner),
                other => other,
            };
            columns.column(sql, reference);
            sql.push(" IS NULL");
        }
        Test::In { value, items, ranges, null } => write_in(sql, columns, value, items, ranges, *null),
        Test::Rows(list) => write_rows(sql, columns, list),
        Test::Glob(value, pattern) => {
            write_scalar(sql, columns, value);
            columns.dialect().glob(&mut sql.text);
            sql.values.push(Value::Str(columns.dialect().glob_pattern(pattern).into()));
        }
        Test::Truth(reference) => columns.column(sql, *reference),
        Test::Times(left, right) => {
            sql.push("(");
            write_bound(sql, columns, left, true);
            sql.push(" > ");
            write_bound(sql, columns, right, false);
            sql.push(" AND ");
            write_bound(sql, columns, right, true);
            sql.push(" > ");
            write_bound(sql, columns, left, false);
            sql.push(")");
        }
        // Tests of regions are made in Rust; in SQL they hold, so that nothing is lost.
        Test::Regions(..) => sql.push("1 = 1"),
    }
}

/// Writes that the values of some columns are one of some rows.
fn write_rows(sql: &mut Sql, columns: &dyn Columns, list: &RowList) {
    for (position, (column, _)) in list.columns.iter().enumerate() {
        sql.push(if position == 0 { "(" } else { ", " });
        columns.column(sql, *column);
    }
    sql.push(") IN ");
    let named = list.columns.iter().enumerate().map(|(position, (_, text))| (format!("c{position}"), *text));
    columns.dialect().json_rows(&mut sql.text, &named.collect::<Vec<_>>());
    sql.values.push(Value::Str(json_of_rows(&list.rows).into()));
}

fn write_in(
    sql: &mut Sql,
    columns: &dyn Columns,
    value: &Scalar,
    items: &[Value],
    ranges: &[(i64, i64, i64)],
    null: bool,
) {
    let written = || {
        let mut sql = Sql::default();
        write_scalar(&mut sql, columns, value);
        sql
    };
    let mut parts = Vec::new();
    if !items.is_empty() {
        let mut part = written();
        part.in_list(columns.dialect(), items);
        parts.push(part);
    }
    parts.extend(ranges.iter().map(|range| in_range(&written(), *range)));
    if null {
        let mut part = written();
        part.push(" IS NULL");
        parts.push(part);
    }
    if parts.is_empty() {
        parts.push(Sql::text("1 = 0"));
    }
    sql.push("(");
    sql.append(Sql::joined(parts, " OR "));
    sql.push(")");
}

/// That a value is `start`, `start + stride` and so on, up to `stop`.
fn in_range(value: &Sql, (start, stop, stride): (i64, i64, i64)) -> Sql {
    let mut sql = value.clone();
    sql.push(" BETWEEN ");
    sql.bind(Value::Int(start));
    sql.push(" AND ");
    sql.bind(Value::Int(stop));
    if stride == 1 {
        return sql;
    }
    // The remainder has the sign of the value. A difference from the start might not fit in 64 bits.
    let rest = start.rem_euclid(stride);
    for (before, rest) in [(" AND (", rest), (" OR ", rest - stride)] {
        if before == " OR " && rest == -stride {
            continue;
        }
        sql.push(before);
        sql.append(value.clone());
        sql.push(" % ");
        sql.bind(Value::Int(stride));
        sql.push(" = ");
        sql.bind(Value::Int(rest));
    }
    sql.push(")");
    sql
}

/// Writes a value computed from columns.
pub(crate) fn write_scalar(sql: &mut Sql, columns: &dyn Columns, scalar: &Scalar) {
    match scalar {
        Scalar::Column(reference) => columns.column(sql, *reference),
        Scalar::Literal(value) => sql.bind(value.clone()),
        Scalar::Negative(operand) => {
            sql.push("-(");
            write_scalar(sql, columns, operand);
            sql.push(")");
        }
        Scalar::Number(operand) => {
            sql.push("CAST(");
            write_scalar(sql, columns, operand);
            sql.push(" AS INTEGER)");
        }
        Scalar::Arithmetic(operator, left, right) => {
            sql.push("(");
            if *operator == ArithmeticOperator::Divide {
                // Division of integers would cut the fraction off.
                sql.push("CAST(");
                write_scalar(sql, columns, left);
                sql.push(" AS DOUBLE PRECISION)");
            } else {
                write_scalar(sql, columns, left);
            }
            sql.push(" ");
            sql.push(operator.text());
            sql.push(" ");
            let divides = matches!(operator, ArithmeticOperator::Divide | ArithmeticOperator::Modulo);
            let (before, after) = if divides { columns.dialect().divisor() } else { ("", "") };
            sql.push(before);
            write_scalar(sql, columns, right);
            sql.push(after);
            sql.push(")");
        }
    }
}

/// Writes the begin or end of a time; a moment lasts a nanosecond.
fn write_bound(sql: &mut Sql, columns: &dyn Columns, term: &TimeTerm, end: bool) {
    match term {
        TimeTerm::Span(owner) => {
            columns.column(sql, if end { Reference::End(*owner) } else { Reference::Begin(*owner) });
        }
        TimeTerm::Moment(reference) => {
            columns.column(sql, *reference);
            if end {
                sql.push(" + 1");
            }
        }
        TimeTerm::Literal(span) if *span == Timespan::EMPTY => {
            sql.bind(Value::Int(if end { Timespan::MIN } else { Timespan::MAX }));
        }
        TimeTerm::Literal(span) => sql.bind(Value::Int(if end { span.end() } else { span.begin() })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deepest_bracket(text: &str) -> usize {
        let (mut open, mut deepest) = (0_usize, 0);
        for character in text.chars() {
            match character {
                '(' => open += 1,
                ')' => open -= 1,
                _ => {}
            }
            deepest = deepest.max(open);
        }
        deepest
    }

    #[test]
    fn few_conditions_are_joined_as_they_are() {
        let sql = Sql::joined(["a", "b", "c"].map(Sql::text).into(), " AND ");
        assert_eq!((sql.text.as_str(), sql.depth), ("a AND b AND c", 2));
        assert_eq!(Sql::joined(Vec::new(), " OR ").text, "");
    }

    #[test]
    fn many_conditions_become_a_tree_that_is_not_deep() {
        let parts: Vec<Sql> =
            (0..1000).map(|number| Sql { values: vec![Value::Int(number)], ..Sql::text("?") }).collect();
        let sql = Sql::joined(parts, " OR ");
        assert!(sql.text.starts_with("coalesce((") && sql.text.ends_with("), NULL)"), "hidden from the planner");
        assert_eq!((sql.text.matches('?').count(), sql.text.matches(" OR ").count()), (1000, 999));
        assert!(sql.depth <= 12 && deepest_bracket(&sql.text) <= 12);
        let mut values: Vec<i64> = sql
            .values
            .iter()
            .filter_map(Value::to_key)
            .map(|key| match key {
                armillary_dimensions::Key::Int(number) => number,
                armillary_dimensions::Key::Str(_) => -1,
            })
            .collect();
        values.sort_unstable();
        assert_eq!(values, (0..1000).collect::<Vec<i64>>());
    }

    #[test]
    fn what_is_deep_already_stays_near_the_top() {
        let mut sql = Sql::text("a");
        for _ in 0..150 {
            let mut parts: Vec<Sql> = (0..1000).map(|_| Sql::text("b")).collect();
            parts.push(sql);
            sql = Sql::joined(parts, " OR ");
        }
        assert!(sql.depth < 500, "{}", sql.depth);
    }
}
