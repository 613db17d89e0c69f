//! Rows told apart by some of their columns.

use armillary_dimensions::{Column, Value};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::{BuildHasher, Hash, Hasher};

/// The distinct rows met so far.
pub(crate) struct Distinct<'a> {
    columns: &'a [&'a Column],
    hasher: DefaultHashBuilder,
    /// First row of each kind, and its position in order of appearance.
    table: HashTable<(usize, usize)>,
}

impl<'a> Distinct<'a> {
    pub(crate) fn new(columns: &'a [&'a Column], expected: usize) -> Self {
        Self { columns, hasher: DefaultHashBuilder::default(), table: HashTable::with_capacity(expected) }
    }

    /// The position of the row's kind in order of first appearance.
    pub(crate) fn position(&mut self, row: usize) -> usize {
        let Self { columns, hasher, table } = self;
        let hash = |row: usize| {
            let mut state = hasher.build_hasher();
            columns.iter().for_each(|column| hash_cell(column, row, &mut state));
            state.finish()
        };
        let next = table.len();
        let same = |known: &(usize, usize)| columns.iter().all(|column| same_cell(column, known.0, row));
        let entry = table.entry(hash(row), same, |known| hash(known.0));
        entry.or_insert((row, next)).get().1
    }

    /// Whether the row is of a new kind.
    pub(crate) fn insert(&mut self, row: usize) -> bool {
        let before = self.table.len();
        self.position(row) == before
    }
}

fn hash_cell(column: &Column, row: usize, state: &mut impl Hasher) {
    match column {
        Column::Int { values, .. } => values[row].hash(state),
        Column::Str(column) => column.codes()[row].hash(state),
        Column::Uuid(ids) => ids[row].hash(state),
        Column::Float { values, .. } => values[row].to_bits().hash(state),
        Column::Bool(values) => values[row].hash(state),
        Column::Bytes(values) => values[row].hash(state),
        Column::Timespan(values) => values[row].hash(state),
    }
}

fn same_cell(column: &Column, a: usize, b: usize) -> bool {
    match column {
        Column::Int { values, nulls } if nulls.is_empty() => values[a] == values[b],
        Column::Str(column) => column.codes()[a] == column.codes()[b],
        Column::Uuid(ids) => ids[a] == ids[b],
        Column::Float { values, .. } => values[a].to_bits() == values[b].to_bits(),
        Column::Int { .. } | Column::Bool(_) | Column::Bytes(_) | Column::Timespan(_) => {
            let (a, b): (Value, Value) = (column.get(a), column.get(b));
            a == b
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use armillary_dimensions::ColumnType;

    #[test]
    fn rows_are_the_same_when_all_their_cells_are() {
        let (mut visit, mut band) = (Column::new(ColumnType::Int), Column::new(ColumnType::Str));
        for (number, name) in [(1, "g"), (1, "r"), (1, "g"), (2, "g")] {
            visit.push_int(number);
            band.push_str(name);
        }
        let columns = [&visit, &band];
        let mut seen = Distinct::new(&columns, 4);
        assert_eq!([0, 1, 2, 3].map(|row| seen.position(row)), [0, 1, 0, 2]);
        assert!(!seen.insert(2));
    }

    #[test]
    fn no_value_differs_from_zero() {
        let mut column = Column::new(ColumnType::Int);
        column.push_null();
        column.push_int(0);
        let columns = [&column];
        let mut seen = Distinct::new(&columns, 2);
        assert!(seen.insert(0) && seen.insert(1));
    }
}
