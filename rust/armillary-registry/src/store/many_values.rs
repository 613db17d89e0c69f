//! Statements of many values: as values that the database does not compare with each other and, where there are more
//! than it takes parameters, as members of lists. Each is bound.

use crate::{Dialect, json_list::json_array, postgres_text::replaced};
use armillary_dimensions::Value;
use indexmap::IndexMap;
use std::fmt::Write as _;

/// Values that a database may compare with each other, which takes their number squared.
const MOST_COMPARED: usize = 500;
/// Members of one list: a server copies the whole list for each of them.
const LONGEST_LIST: usize = 64;

/// The statement as it is better said, with the values of its parameters; none if it is good as it is.
pub(super) fn rearranged(dialect: &dyn Dialect, sql: &str, values: &[Value]) -> Option<(String, Vec<Value>)> {
    let (before, after) = dialect.unshared();
    let too_many = values.len() > dialect.most_parameters();
    let is_good = values.len() <= MOST_COMPARED || (before.is_empty() && !too_many);
    if is_good || values.iter().any(|value| matches!(value, Value::Timespan(_))) {
        return None;
    }
    let mut lists = Lists::default();
    let mut rest = values.iter();
    let text = replaced(sql, |out, _| {
        let Some(value) = rest.next() else { return };
        out.push_str(before);
        if too_many {
            lists.add(dialect, out, value);
        } else {
            out.push('?');
        }
        out.push_str(after);
    });
    Some((text, if too_many { lists.values() } else { values.to_vec() }))
}

enum Parameter {
    One(Value),
    List(Vec<Value>),
}

/// Parameters of which some are lists.
#[derive(Default)]
struct Lists {
    parameters: Vec<Parameter>,
    /// By type of the members, which list of them was begun last.
    last: IndexMap<&'static str, usize>,
}

impl Lists {
    /// Writes what stands for a value.
    fn add(&mut self, dialect: &dyn Dialect, out: &mut String, value: &Value) {
        // A text that is a list as a whole is compared with its members.
        let is_list = matches!(value, Value::Str(text) if text.starts_with('['));
        let Some(kind) = dialect.list_type(value).filter(|_| !is_list) else {
            self.parameters.push(Parameter::One(value.clone()));
            let _ = write!(out, "?{}", self.parameters.len());
            return;
        };
        let next = self.parameters.len();
        let open = self.last.entry(kind).or_insert(next);
        match self.parameters.get(*open) {
            Some(Parameter::List(list)) if list.len() < LONGEST_LIST => {}
            _ => {
                *open = next;
                self.parameters.push(Parameter::List(Vec::with_capacity(LONGEST_LIST)));
            }
        }
        if let Some(Parameter::List(list)) = self.parameters.get_mut(*open) {
            list.push(value.clone());
            let _ = write!(out, "(?{}::{kind}[])[{}]", *open + 1, list.len());
        }
    }

    /// The values of the parameters, lists as JSON.
    fn values(self) -> Vec<Value> {
        let value = |parameter| match parameter {
            Parameter::One(value) => value,
            Parameter::List(list) => Value::Str(json_array(&list).unwrap_or_default().into()),
        };
        self.parameters.into_iter().map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Postgres, Sqlite};

    #[test]
    fn few_values_are_left_as_they_are() {
        assert_eq!(rearranged(&Sqlite, "a = ?", &[Value::Int(1)]), None);
        assert_eq!(rearranged(&Postgres, "a = ?", &vec![Value::Int(1); Postgres.most_parameters()]), None);
    }

    #[test]
    fn many_values_are_not_compared_with_each_other() {
        let values = vec![Value::Int(1); 100_000];
        let (text, bound) = rearranged(&Sqlite, "a = ?", &values).expect("many values");
        assert_eq!((text.as_str(), bound), ("a = coalesce(?, NULL)", values));
    }

    #[test]
    fn more_values_than_parameters_are_members_of_lists() {
        let hostile = "x' OR 1 = 1; -- \\' ?";
        let mut values = vec![Value::Int(i64::MIN), Value::Str(hostile.into()), Value::Float(f64::INFINITY)];
        values.push(Value::Str("[1,2]".into()));
        values.resize(Postgres.most_parameters() + 1, Value::Int(-1));
        let sql = format!("\"a?\" = '?' AND a IN ({})", vec!["?"; values.len()].join(","));
        let (text, bound) = rearranged(&Postgres, &sql, &values).expect("too many values");
        let start =
            "\"a?\" = '?' AND a IN ((?1::bigint[])[1],(?2::text[])[1],?3,?4,(?1::bigint[])[2],(?1::bigint[])[3],";
        assert!(text.starts_with(start), "{}", &text[..200]);
        assert_eq!(bound.len(), 3 + (values.len() - 3).div_ceil(LONGEST_LIST));
        assert!(matches!(&bound[0], Value::Str(list) if list.starts_with("[-9223372036854775808,-1,-1,")));
        assert_eq!(bound[1], Value::Str(json_array(&[Value::Str(hostile.into())]).expect("a list").into()));
        assert_eq!(bound[2..4], [Value::Float(f64::INFINITY), Value::Str("[1,2]".into())]);
    }
}
