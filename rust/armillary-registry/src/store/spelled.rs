//! Statements of many values: as values that the database does not compare with each other and, where there are more
//! than it takes parameters, written into the text so that nothing in them can be read as anything else.

use crate::{Dialect, postgres_text::replaced};
use armillary_dimensions::Value;

/// Values that a database may compare with each other, which takes their number squared.
const MOST_COMPARED: usize = 500;
/// Parameters of one statement at most; `SQLite` takes 32,766 and `PostgreSQL` 65,535.
const MOST_PARAMETERS: usize = 30_000;

/// The statement as it is better said, with the values that are left as parameters; none if it is good as it is.
pub(super) fn spelled(dialect: &dyn Dialect, sql: &str, values: &[Value]) -> Option<(String, Vec<Value>)> {
    let (before, after) = dialect.unshared();
    let too_many = values.len() > MOST_PARAMETERS;
    let is_good = values.len() <= MOST_COMPARED || (before.is_empty() && !too_many);
    if is_good || values.iter().any(|value| matches!(value, Value::Timespan(_))) {
        return None;
    }
    let mut left = Vec::new();
    let mut rest = values.iter();
    let text = replaced(sql, |out, _| {
        let Some(value) = rest.next() else { return };
        out.push_str(before);
        // A whole list in one parameter, as JSON.
        let is_list = matches!(value, Value::Str(text) if text.starts_with('['));
        if !too_many || is_list || !dialect.literal(out, value) {
            out.push('?');
            left.push(value.clone());
        }
        out.push_str(after);
    });
    Some((text, left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Postgres, Sqlite};

    #[test]
    fn few_values_stay_parameters() {
        assert_eq!(spelled(&Sqlite, "a = ?", &[Value::Int(1)]), None);
        assert_eq!(spelled(&Postgres, "a = ?", &vec![Value::Int(1); MOST_PARAMETERS]), None);
        let (text, left) = spelled(&Sqlite, "a = ?", &vec![Value::Int(1); MOST_COMPARED + 1]).expect("many values");
        assert_eq!((text.as_str(), left.len()), ("a = coalesce(?, NULL)", 1));
    }

    #[test]
    fn nothing_in_a_value_is_read_as_sql() {
        let hostile = "x' OR 1 = 1; -- \\' ?";
        let mut values = vec![Value::Int(i64::MIN), Value::Str(hostile.into()), Value::Float(f64::INFINITY)];
        values.push(Value::Str("[1,2]".into()));
        values.resize(MOST_PARAMETERS + 1, Value::Int(-1));
        let sql = format!("\"a?\" = '?' AND ({})", vec!["?"; values.len()].join(","));
        for dialect in [&Sqlite as &dyn Dialect, &Postgres] {
            let (text, left) = spelled(dialect, &sql, &values).expect("too many values");
            assert_eq!(left, [Value::Float(f64::INFINITY), Value::Str("[1,2]".into())]);
            assert!(text.starts_with("\"a?\" = '?' AND (") && !text.contains("OR 1"));
            assert_eq!(text.matches('?').count(), 4, "two names and two parameters");
            assert!(text.contains("782720"), "text is written in hexadecimal digits");
        }
    }
}
