//! Alternatives about one column as one list, which an index answers and which takes one parameter however long it is.

use super::predicate::{Predicate, Reference, Scalar, Test};
use armillary_dimensions::Value;
use armillary_expression::Comparison;
use indexmap::IndexMap;

/// The condition that one of some conditions holds.
///
/// `visit = 1 OR visit IN (3..5) OR detector = 2` is `visit IN (1, 3..5) OR detector = 2`, of unknown values, too.
pub(crate) fn any_of(parts: Vec<Predicate>) -> Predicate {
    let mut lists: IndexMap<Reference, usize> = IndexMap::new();
    let mut merged: Vec<Predicate> = Vec::with_capacity(parts.len());
    let flat = parts.into_iter().flat_map(|part| match part {
        Predicate::Any(parts) => parts,
        other => vec![other],
    });
    for part in flat {
        let part = match listed(part) {
            Ok(list) => list,
            Err(other) => {
                merged.push(other);
                continue;
            }
        };
        let place = *lists.entry(part.column).or_insert(merged.len());
        match merged.get_mut(place) {
            Some(Predicate::Test(Test::In { items, ranges, null, .. })) => {
                items.extend(part.items);
                ranges.extend(part.ranges);
                *null |= part.null;
            }
            _ => merged.push(part.into()),
        }
    }
    match <[Predicate; 1]>::try_from(merged) {
        Ok([only]) => only,
        Err(several) => Predicate::Any(several),
    }
}

/// A test whether a column is in a list.
struct List {
    column: Reference,
    items: Vec<Value>,
    ranges: Vec<(i64, i64, i64)>,
    null: bool,
}

impl From<List> for Predicate {
    fn from(List { column, items, ranges, null }: List) -> Self {
        Self::Test(Test::In { value: Scalar::Column(column), items, ranges, null })
    }
}

/// A condition as a list, if it is one of values whose equality does not depend on how they are written.
fn listed(predicate: Predicate) -> Result<List, Predicate> {
    let exact = |value: &Value| matches!(value, Value::Int(_) | Value::Str(_) | Value::Uuid(_));
    match predicate {
        Predicate::Test(
            Test::Compare(Comparison::Equal, Scalar::Column(column), Scalar::Literal(value))
            | Test::Compare(Comparison::Equal, Scalar::Literal(value), Scalar::Column(column)),
        ) if exact(&value) => Ok(List { column, items: vec![value], ranges: Vec::new(), null: false }),
        Predicate::Test(Test::In { value: Scalar::Column(column), items, ranges, null }) if items.iter().all(exact) => {
            Ok(List { column, items, ranges, null })
        }
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use armillary_dimensions::Universe;

    #[test]
    fn alternatives_of_one_column_become_one_list() {
        let universe = Universe::default_universe();
        let column = |name: &str| Scalar::Column(Reference::Key(universe.element(name).expect("a dimension").index));
        let equal = |name: &str, value: Value| {
            Predicate::Test(Test::Compare(Comparison::Equal, column(name), Scalar::Literal(value)))
        };
        let list = |name: &str, items: Vec<Value>, ranges| {
            Predicate::Test(Test::In { value: column(name), items, ranges, null: false })
        };
        let parts = vec![
            equal("visit", Value::Int(1)),
            equal("detector", Value::Int(2)),
            list("visit", vec![Value::Int(7)], vec![(3, 5, 1)]),
            equal("visit", Value::Float(1.5)),
        ];
        let expected = vec![
            list("visit", vec![Value::Int(1), Value::Int(7)], vec![(3, 5, 1)]),
            list("detector", vec![Value::Int(2)], Vec::new()),
            equal("visit", Value::Float(1.5)),
        ];
        assert_eq!(any_of(parts), Predicate::Any(expected));
        let alone = any_of(vec![equal("visit", Value::Int(1)), equal("visit", Value::Int(2))]);
        assert_eq!(alone, list("visit", vec![Value::Int(1), Value::Int(2)], Vec::new()));
    }
}
