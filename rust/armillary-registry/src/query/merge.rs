//! Alternatives about the same columns as one list, which an index answers and which takes one parameter however long it
//! is.

use super::predicate::{Predicate, Reference, RowList, Scalar, Test};
use armillary_dimensions::{Key, Value};
use armillary_expression::Comparison;
use indexmap::{IndexMap, IndexSet};

/// Alternatives of several columns from which on they are a list of rows.
const MANY_ROWS: usize = 10;

/// The condition that one of some conditions holds.
///
/// `visit = 1 OR visit IN (3..5) OR detector = 2` is `visit IN (1, 3..5) OR detector = 2`, of unknown values, too. Many of
/// `visit = 1 AND detector = 2 OR visit = 1 AND detector = 3` are rows of values of both columns.
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
    match <[Predicate; 1]>::try_from(with_rows(merged)) {
        Ok([only]) => only,
        Err(several) => Predicate::Any(several),
    }
}

/// Values by column.
type Row = Vec<((Reference, bool), Value)>;

/// Alternatives of which many about the same columns are lists of rows.
fn with_rows(parts: Vec<Predicate>) -> Vec<Predicate> {
    if parts.len() < MANY_ROWS {
        return parts;
    }
    let mut lists: IndexMap<Vec<(Reference, bool)>, IndexSet<Vec<Key>>> = IndexMap::new();
    let rows: Vec<Option<Row>> = parts.iter().map(row).collect();
    for row in rows.iter().flatten() {
        let (columns, values): (Vec<_>, Vec<_>) = row.iter().map(|(column, value)| (*column, value.to_key())).unzip();
        lists.entry(columns).or_default().extend(values.into_iter().collect::<Option<Vec<Key>>>());
    }
    lists.retain(|_, rows| rows.len() >= MANY_ROWS);
    let is_listed = |row: &Row| lists.contains_key(&row.iter().map(|(column, _)| *column).collect::<Vec<_>>());
    let mut others: Vec<Predicate> = parts
        .into_iter()
        .zip(&rows)
        .filter(|(_, row)| !row.as_ref().is_some_and(is_listed))
        .map(|(part, _)| part)
        .collect();
    let values = |row: Vec<Key>| row.into_iter().map(Value::from).collect();
    others.extend(lists.into_iter().map(|(columns, rows)| {
        Predicate::Test(Test::Rows(RowList { columns, rows: rows.into_iter().map(values).collect() }))
    }));
    others
}

/// A condition that several columns have one value each, integers or texts; in the order of the columns.
fn row(predicate: &Predicate) -> Option<Row> {
    let Predicate::All(parts) = predicate else { return None };
    let mut row = Row::with_capacity(parts.len());
    for part in parts {
        match part {
            Predicate::All(_) => row.extend(self::row(part)?),
            Predicate::Test(
                Test::Compare(Comparison::Equal, Scalar::Column(column), Scalar::Literal(value))
                | Test::Compare(Comparison::Equal, Scalar::Literal(value), Scalar::Column(column)),
            ) if matches!(value, Value::Int(_) | Value::Str(_)) => {
                row.push(((*column, matches!(value, Value::Str(_))), value.clone()));
            }
            _ => return None,
        }
    }
    row.sort_by_key(|(column, _)| *column);
    let is_twice = row.windows(2).any(|pair| pair[0].0.0 == pair[1].0.0);
    (row.len() > 1 && !is_twice).then_some(row)
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
    fn many_alternatives_of_the_same_columns_become_rows() {
        let universe = Universe::default_universe();
        let key = |name: &str| Reference::Key(universe.element(name).expect("a dimension").index);
        let equal = |name: &str, value: Value| {
            Predicate::Test(Test::Compare(Comparison::Equal, Scalar::Column(key(name)), Scalar::Literal(value)))
        };
        let both = |visit: i64, detector: i64| {
            vec![equal("visit", Value::Int(visit)), equal("detector", Value::Int(detector))]
        };
        let numbers = || (0_i64..).take(MANY_ROWS);
        let mut parts: Vec<Predicate> = numbers().map(|n| Predicate::All(both(n, 1))).collect();
        assert_eq!(any_of(parts[1..].to_vec()), Predicate::Any(parts[1..].to_vec()));
        let others = [
            equal("band", Value::Str("r".into())),
            Predicate::All(vec![equal("visit", Value::Int(1)), equal("visit", Value::Int(2))]),
            Predicate::All(vec![equal("visit", Value::Int(1)), equal("detector", Value::Float(1.5))]),
            Predicate::All(vec![equal("visit", Value::Int(1)), equal("band", Value::Str("r".into()))]),
            Predicate::All(Vec::new()),
        ];
        parts.extend(others.clone());
        // The same row again, the other way round and in brackets.
        parts.push(Predicate::All(vec![Predicate::All(both(3, 1).into_iter().rev().collect())]));
        let Predicate::Any(found) = any_of(parts) else { panic!("several alternatives") };
        let mut columns = vec![(key("detector"), false), (key("visit"), false)];
        columns.sort();
        let visit_first = columns[0].0 == key("visit");
        let row =
            |n: i64| if visit_first { vec![Value::Int(n), Value::Int(1)] } else { vec![Value::Int(1), Value::Int(n)] };
        let rows = numbers().map(row).collect();
        let list = Predicate::Test(Test::Rows(RowList { columns, rows }));
        let one = Predicate::Test(Test::In {
            value: Scalar::Column(key("band")),
            items: vec![Value::Str("r".into())],
            ranges: Vec::new(),
            null: false,
        });
        assert_eq!(found, [vec![one], others[1..].to_vec(), vec![list]].concat());
    }

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
