//! Rows told apart by some of their columns.

use armillary_dimensions::{Column, Value};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use std::hash::{BuildHasher, Hash, Hasher};

/// The distinct rows met so far.
pub(crate) struct Distinct<'a> {
    met: Met<'a>,
    /// How many kinds there are.
    count: usize,
}

/// How rows are told apart.
enum Met<'a> {
    /// By a number for each row, all of them small: what stands at a number is the position of its kind.
    Numbered { numbers: Vec<u32>, positions: Vec<u32> },
    /// By their cells; of each kind there are its first row and its position in order of appearance.
    Hashed { columns: &'a [&'a Column], hasher: DefaultHashBuilder, table: HashTable<(usize, usize)> },
}

const UNKNOWN: u32 = u32::MAX;

impl<'a> Distinct<'a> {
    pub(crate) fn new(columns: &'a [&'a Column], expected: usize) -> Self {
        let met = match numbered(columns) {
            Some((numbers, width)) => Met::Numbered { numbers, positions: vec![UNKNOWN; width] },
            None => Met::Hashed {
                columns,
                hasher: DefaultHashBuilder::default(),
                table: HashTable::with_capacity(expected),
            },
        };
        Self { met, count: 0 }
    }

    /// The position of the row's kind in order of first appearance.
    pub(crate) fn position(&mut self, row: usize) -> usize {
        let next = self.count;
        let position = match &mut self.met {
            Met::Numbered { numbers, positions } => {
                let position = &mut positions[numbers[row] as usize];
                if *position == UNKNOWN {
                    *position = u32::try_from(next).unwrap_or(UNKNOWN);
                }
                *position as usize
            }
            Met::Hashed { columns, hasher, table } => {
                let hash = |row: usize| {
                    let mut state = hasher.build_hasher();
                    columns.iter().for_each(|column| hash_cell(column, row, &mut state));
                    state.finish()
                };
                let same = |known: &(usize, usize)| columns.iter().all(|column| same_cell(column, known.0, row));
                let entry = table.entry(hash(row), same, |known| hash(known.0));
                entry.or_insert((row, next)).get().1
            }
        };
        self.count += usize::from(position == next);
        position
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
        let before = self.count;
        self.position(row) == before
    }
}

/// A number for each row, the same for the same cells, and the number that none reaches; none unless all columns are
/// known integers or text and the numbers hardly more than the rows.
fn numbered(columns: &[&Column]) -> Option<(Vec<u32>, usize)> {
    let rows = columns.first()?.len();
    let most = rows.checked_mul(4)?.min(UNKNOWN as usize);
    let mut numbers = vec![0_u32; rows];
    let mut width = 1_usize;
    for column in columns {
        let next = match column {
            Column::Int { values, nulls } if nulls.is_empty() => {
                let (smallest, span) = span_of(values);
                let next = span.filter(|span| *span < most)?.checked_add(1)?.checked_mul(width)?;
                if next > most {
                    return None;
                }
                let stride = u32::try_from(width).ok()?;
                for (number, value) in numbers.iter_mut().zip(values) {
                    *number += stride * u32::try_from(value.wrapping_sub(smallest)).ok()?;
                }
                next
            }
            Column::Str(text) => {
                // Text that is not known counts as one more.
                let unknown = u32::try_from(text.dictionary().len()).ok()?;
                let next = (unknown as usize + 1).checked_mul(width).filter(|next| *next <= most)?;
                let stride = u32::try_from(width).ok()?;
                for (number, code) in numbers.iter_mut().zip(text.codes()) {
                    *number += stride * (*code).min(unknown);
                }
                next
            }
            _ => return None,
        };
        width = next;
    }
    Some((numbers, width))
}

/// The smallest of some integers, and by how much the largest is larger; none if that is no number of this machine.
fn span_of(values: &[i64]) -> (i64, Option<usize>) {
    let (smallest, largest) = values.iter().fold((i64::MAX, i64::MIN), |(a, b), value| (a.min(*value), b.max(*value)));
    (smallest, usize::try_from(i128::from(largest) - i128::from(smallest)).ok())
}

/// The kinds of integers: by a table where they lie close together, by their hashes elsewhere.
fn kinds_of(values: &[i64]) -> (Vec<u32>, Vec<usize>) {
    let (mut kinds, mut firsts) = (Vec::with_capacity(values.len()), Vec::new());
    let (smallest, span) = span_of(values);
    let width = span.filter(|span| *span <= 4 * values.len());
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
    fn rows_are_told_apart_the_same_with_and_without_numbers() {
        // Numbers far from each other cannot be numbered, numbers close together can.
        for (factor, is_numbered) in [(1, true), (1_000_000, false), (i64::MAX / 7, false)] {
            let (mut visit, mut band) = (Column::new(ColumnType::Int), Column::new(ColumnType::Str));
            let names = [Some("g"), None, Some("r")].into_iter().cycle();
            let cells: Vec<(i64, Option<&str>)> =
                (0..100_i64).map(|row| (row * 5 % 7 - 3) * factor).zip(names).collect();
            for (number, name) in &cells {
                visit.push_int(*number);
                match name {
                    Some(name) => band.push_str(name),
                    None => band.push_null(),
                }
            }
            let columns = [&visit, &band];
            assert_eq!(numbered(&columns).is_some(), is_numbered);
            let mut seen = Distinct::new(&columns, 0);
            let mut known: Vec<(i64, Option<&str>)> = Vec::new();
            for (row, cell) in cells.iter().enumerate() {
                let position = known.iter().position(|other| other == cell).unwrap_or_else(|| {
                    known.push(*cell);
                    known.len() - 1
                });
                assert_eq!(seen.position(row), position);
            }
        }
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
