//! Conditions as SQL text. Every value is bound, never written.

use super::predicate::{Predicate, Reference, Scalar, Test, TimeTerm};
use crate::Dialect;
use armillary_dimensions::{Timespan, Value};
use armillary_expression::{ArithmeticOperator, Comparison};
use std::fmt::Write as _;

/// SQL text and the values of its parameters, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
}

impl Sql {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Writes a parameter.
    pub(crate) fn bind(&mut self, value: Value) {
        self.text.push('?');
        self.values.push(value);
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.text.push_str(&other.text);
        self.values.extend(other.values);
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

/// A JSON array of values as they are stored; none if some have no such form.
pub(crate) fn json_array(items: &[Value]) -> Option<String> {
    let mut json = String::from("[");
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            json.push(',');
        }
        match item {
            Value::Int(value) => json.push_str(&value.to_string()),
            Value::Str(text) => push_json_text(&mut json, text),
            Value::Float(value) if value.is_finite() => {
                let _ = write!(json, "{value:?}");
            }
            Value::Bool(value) => json.push(if *value { '1' } else { '0' }),
            Value::Uuid(id) => {
                let digits = crate::hex_id(id);
                push_json_text(&mut json, std::str::from_utf8(&digits).unwrap_or_default());
            }
            Value::Null | Value::Float(_) | Value::Bytes(_) | Value::Timespan(_) => return None,
        }
    }
    json.push(']');
    Some(json)
}

pub(crate) fn push_json_text(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                json.push('\\');
                json.push(character);
            }
            control if control < ' ' => {
                let _ = write!(json, "\\u{:04x}", u32::from(control));
            }
            plain => json.push(plain),
        }
    }
    json.push('"');
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
            sql.push("NOT (");
            write_predicate(sql, columns, part);
            sql.push(")");
        }
        Predicate::Test(test) => write_test(sql, columns, test),
    }
}

fn write_joined(sql: &mut Sql, columns: &dyn Columns, parts: &[Predicate], by: &str, none: &str) {
    if parts.is_empty() {
        sql.push(none);
        return;
    }
    sql.push("(");
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            sql.push(by);
        }
        write_predicate(sql, columns, part);
    }
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

fn write_in(
    sql: &mut Sql,
    columns: &dyn Columns,
    value: &Scalar,
    items: &[Value],
    ranges: &[(i64, i64, i64)],
    null: bool,
) {
    let mut parts = 0;
    sql.push("(");
    let mut or = |sql: &mut Sql| {
        if parts > 0 {
            sql.push(" OR ");
        }
        parts += 1;
    };
    if !items.is_empty() {
        or(sql);
        write_scalar(sql, columns, value);
        sql.in_list(columns.dialect(), items);
    }
    for (start, stop, stride) in ranges {
        or(sql);
        write_scalar(sql, columns, value);
        sql.push(" BETWEEN ");
        sql.bind(Value::Int(*start));
        sql.push(" AND ");
        sql.bind(Value::Int(*stop));
        if *stride != 1 {
            sql.push(" AND (");
            write_scalar(sql, columns, value);
            sql.push(" - ");
            sql.bind(Value::Int(*start));
            sql.push(") % ");
            sql.bind(Value::Int(*stride));
            sql.push(" = 0");
        }
    }
    if null {
        or(sql);
        write_scalar(sql, columns, value);
        sql.push(" IS NULL");
    }
    if parts == 0 {
        sql.push("1 = 0");
    }
    sql.push(")");
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
