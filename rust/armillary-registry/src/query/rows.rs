//! Rows told apart by some of their columns.

use armillary_dimensions::{Column, Value};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
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

    /// The kinds of all rows: for each row the position of its kind, and the first row of each kind.
    pub(crate) fn kinds(columns: &'a [&'a Column], rows: usize) -> (Vec<u32>, Vec<usize>) {
        let varying: Vec<&Column> = columns.iter().copied().filter(|column| !column.is_constant()).collect();
        match varying[..] {
            [] => (vec![0; rows], (0..rows.min(1)).collect()),
            [Column::Int { values, nulls }] if nulls.is_empty() => kinds_of(values),
            _ => {
                let mut seen = Distinct::new(&varying, 0);
                let (mut kinds, mut firsts) = (Vec::with_capacity(rows), Vec::new());
                for row in 0..rows {
                    // Neighbours are often of one kind.
                    let last = kinds.last().copied();
                    let kind = match last {
                        Some(kind) if varying.iter().all(|column| same_cell(column, row - 1, row)) => kind,
                        _ => u32::try_from(seen.position(row)).unwrap_or(u32::MAX),
                    };
                    if kind as usize == firsts.len() {
                        firsts.push(row);
                    }
                    kinds.push(kind);
                }
                (kinds, firsts)
            }
        }
    }

    /// Whether the row is of a new kind.
    pub(crate) fn insert(&mut self, row: usize) -> bool {
        let before = self.table.len();
        self.position(row) == before
    }
}

/// The kinds of integers: by a table where they lie close together, by their hashes elsewhere.
fn kinds_of(values: &[i64]) -> (Vec<u32>, Vec<usize>) {
    const UNKNOWN: u32 = u32::MAX;
    let (mut kinds, mut firsts) = (Vec::with_capacity(values.len()), Vec::new());
    let (smallest, largest) = values.iter().fold((i64::MAX, i64::MIN), |(a, b), value| (a.min(*value), b.max(*value)));
    let width =
        usize::try_from(i128::from(largest) - i128::from(smallest)).ok().filter(|width| *width <= 4 * values.len());
    let mut table = vec![UNKNOWN; width.map_or(0, |width| width + 1)];
    let mut hashed: HashMap<i64, u32> = HashMap::new();
    let mut last = None;
    for (row, value) in values.iter().enumerate() {
        let kind = match last {
            Some((known, kind)) if known == *value => kind,
            _ => {
                let next = u32::try_from(firsts.len()).unwrap_or(UNKNOWN);
                let kind = match value.checked_sub(smallest).and_then(|at| table.get_mut(usize::try_from(at).ok()?)) {
                    Some(kind) => kind,
                    None => hashed.entry(*value).or_insert(UNKNOWN),
                };
                if *kind == UNKNOWN {
                    *kind = next;
                    firsts.push(row);
                }
                *kind
            }
        };
        last = Some((*value, kind));
        kinds.push(kind);
    }
    (kinds, firsts)
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
    fn kinds_are_numbered_in_order_of_appearance() {
        let (mut instrument, mut visit, mut band) =
            (Column::new(ColumnType::Str), Column::new(ColumnType::Int), Column::new(ColumnType::Str));
        for (number, name) in [(7, "g"), (7, "r"), (7, "g"), (i64::MIN, "g"), (7, "g"), (7, "g")] {
            instrument.push_str("Cam");
            visit.push_int(number);
            band.push_str(name);
        }
        assert_eq!(Distinct::kinds(&[&instrument], 6), (vec![0; 6], vec![0]));
        assert_eq!(Distinct::kinds(&[&instrument, &visit], 6), (vec![0, 0, 0, 1, 0, 0], vec![0, 3]));
        assert_eq!(Distinct::kinds(&[&visit, &band], 6), (vec![0, 1, 0, 2, 0, 0], vec![0, 1, 3]));
        assert_eq!(kinds_of(&[5, 6, 5, 3]), (vec![0, 1, 0, 2], vec![0, 1, 3]));
        assert_eq!(Distinct::kinds(&[&Column::new(ColumnType::Int)], 0), (vec![], vec![]));
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
