//! Data IDs as rows of small integers: each value of a dimension has a code.

use armillary_dimensions::{DataCoordinate, DimensionGroup, ElementIndex, GroupInfo, Key, Universe};
use hashbrown::{DefaultHashBuilder, HashTable};
use indexmap::{Equivalent, IndexSet};
use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher, Hash, Hasher},
    sync::Arc,
};

/// A row of a [`DataIds`].
pub type Row = u32;

/// The values of a dimension, in the order of their codes.
type Values = IndexSet<Coded, DefaultHashBuilder>;

/// For each dimension, by its number, a new code for each old one.
pub(crate) type Codes = Vec<Vec<u32>>;

/// A value that is found by text without owning it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Coded(Key);

/// A value of a dimension, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyRef<'a> {
    Int(i64),
    Str(&'a str),
}

impl<'a> From<&'a Key> for KeyRef<'a> {
    fn from(key: &'a Key) -> Self {
        match key {
            Key::Int(value) => Self::Int(*value),
            Key::Str(value) => Self::Str(value),
        }
    }
}

impl From<KeyRef<'_>> for Key {
    fn from(key: KeyRef<'_>) -> Self {
        match key {
            KeyRef::Int(value) => Self::Int(value),
            KeyRef::Str(value) => Self::Str(value.into()),
        }
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Values of one dimension are of one sort, so the sort need not be told.
        match self {
            Self::Int(value) => value.hash(state),
            Self::Str(value) => value.hash(state),
        }
    }
}

impl Hash for Coded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        KeyRef::from(&self.0).hash(state);
    }
}

impl Equivalent<Coded> for KeyRef<'_> {
    fn equivalent(&self, coded: &Coded) -> bool {
        *self == KeyRef::from(&coded.0)
    }
}

/// The values of every dimension, by its number, each with its code.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    values: Vec<Values>,
}

impl Dictionary {
    fn of(&mut self, dimension: ElementIndex) -> &mut Values {
        if self.values.len() <= dimension.get() {
            self.values.resize_with(dimension.get() + 1, Values::default);
        }
        &mut self.values[dimension.get()]
    }

    /// The code of a value, which gets one if it has none.
    pub fn code(&mut self, dimension: ElementIndex, key: Key) -> u32 {
        small(self.of(dimension).insert_full(Coded(key)).0)
    }

    /// The code of a borrowed value, which gets one if it has none.
    pub(crate) fn code_of(&mut self, dimension: ElementIndex, key: KeyRef<'_>) -> u32 {
        let values = self.of(dimension);
        small(values.get_index_of(&key).unwrap_or_else(|| values.insert_full(Coded(key.into())).0))
    }

    /// The code of a value, if it has one.
    #[must_use]
    pub fn find(&self, dimension: ElementIndex, key: &Key) -> Option<u32> {
        self.values.get(dimension.get())?.get_index_of(&KeyRef::from(key)).map(small)
    }

    /// The value with this code.
    #[must_use]
    pub fn key(&self, dimension: ElementIndex, code: u32) -> &Key {
        &self.values[dimension.get()][code as usize].0
    }

    /// All values of a dimension, by code.
    #[must_use]
    pub fn keys(&self, dimension: ElementIndex) -> impl ExactSizeIterator<Item = &Key> {
        static NONE: std::sync::LazyLock<Values> = std::sync::LazyLock::new(Values::default);
        self.values.get(dimension.get()).unwrap_or(&NONE).iter().map(|coded| &coded.0)
    }

    /// All values of several dictionaries, coded in their order; and for each dictionary the new codes of its values.
    pub(crate) fn merged<'a>(dictionaries: impl Iterator<Item = &'a Self> + Clone) -> (Self, Vec<Codes>) {
        let mut merged = Self::default();
        let dimensions = || (0..=u8::MAX).map(ElementIndex);
        let width = dictionaries.clone().map(|dictionary| dictionary.values.len()).max().unwrap_or(0);
        for dimension in dimensions().take(width) {
            let all: BTreeSet<&Key> = dictionaries.clone().flat_map(|dictionary| dictionary.keys(dimension)).collect();
            for key in all {
                merged.code(dimension, key.clone());
            }
        }
        let codes = |dictionary: &Self| -> Codes {
            let of = |dimension| {
                let code = |key: &Key| merged.find(dimension, key).unwrap_or_default();
                dictionary.keys(dimension).map(code).collect()
            };
            dimensions().take(dictionary.values.len()).map(of).collect()
        };
        let codes = dictionaries.map(codes).collect();
        (merged, codes)
    }

    /// Number of values of a dimension.
    #[must_use]
    pub fn len(&self, dimension: ElementIndex) -> usize {
        self.values.get(dimension.get()).map_or(0, Values::len)
    }
}

/// Graphs have fewer than 2³² of anything; more would not fit in memory.
#[allow(clippy::cast_possible_truncation, reason = "see above; the assertion stands guard")]
pub(crate) fn small(index: usize) -> u32 {
    assert!(u32::try_from(index).is_ok(), "a graph with more than 2³² rows");
    index as u32
}

/// Distinct data IDs of one group, one row of codes each: required dimensions, then implied ones.
#[derive(Clone, Debug)]
pub struct DataIds {
    info: Arc<GroupInfo>,
    width: usize,
    codes: Vec<u32>,
    rows: usize,
}

impl DataIds {
    /// No data IDs of this group.
    #[must_use]
    pub fn new(info: Arc<GroupInfo>) -> Self {
        let width = info.required.len() + info.implied.len();
        Self { info, width, codes: Vec::new(), rows: 0 }
    }

    /// Their dimensions.
    #[must_use]
    pub fn info(&self) -> &Arc<GroupInfo> {
        &self.info
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Codes of all values of one row.
    #[must_use]
    pub fn codes(&self, row: Row) -> &[u32] {
        let start = row as usize * self.width;
        &self.codes[start..start + self.width]
    }

    /// Codes of the required values of one row.
    #[must_use]
    pub fn required(&self, row: Row) -> &[u32] {
        &self.codes(row)[..self.info.required.len()]
    }

    /// Appends a row, which must not be there yet.
    pub fn push(&mut self, codes: impl IntoIterator<Item = u32>) -> Row {
        self.codes.extend(codes);
        self.rows += 1;
        debug_assert_eq!(self.codes.len(), self.rows * self.width, "a row has a code for each dimension");
        small(self.rows - 1)
    }

    /// Where the code of a dimension stands in a row.
    #[must_use]
    pub fn position(&self, dimension: ElementIndex) -> Option<usize> {
        self.info.keys().position(|key| key == dimension)
    }

    /// The values of one row.
    pub fn values<'a>(&'a self, keys: &'a Dictionary, row: Row) -> impl Iterator<Item = &'a Key> {
        self.info.keys().zip(self.codes(row)).map(|(dimension, code)| keys.key(dimension, *code))
    }

    /// One row as a data ID.
    #[must_use]
    pub fn data_id(&self, universe: &Arc<Universe>, keys: &Dictionary, row: Row) -> DataCoordinate {
        let values = self.values(keys, row).cloned().collect();
        DataCoordinate::from_values(universe.clone(), self.info.clone(), values)
    }

    /// Compares two rows by their values.
    #[must_use]
    pub fn compare(&self, keys: &Dictionary, a: Row, b: Row) -> Ordering {
        let sides = self.codes(a).iter().zip(self.codes(b));
        self.info
            .keys()
            .zip(sides)
            .map(
                |(dimension, (a, b))| {
                    if a == b { Ordering::Equal } else { keys.key(dimension, *a).cmp(keys.key(dimension, *b)) }
                },
            )
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

/// Data IDs of all groups, each only once.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// The values.
    pub keys: Dictionary,
    all: Vec<DataIds>,
    by_group: HashMap<DimensionGroup, usize>,
    /// For each table its rows by the codes of their required values.
    known: Vec<HashTable<Row>>,
    hasher: DefaultHashBuilder,
}

impl Tables {
    /// The table of a group.
    pub fn table(&mut self, universe: &Universe, group: DimensionGroup) -> usize {
        *self.by_group.entry(group).or_insert_with(|| {
            self.all.push(DataIds::new(universe.info(group)));
            self.known.push(HashTable::new());
            self.all.len() - 1
        })
    }

    /// Number of tables.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are no tables.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A table.
    #[must_use]
    pub fn get(&self, table: usize) -> &DataIds {
        &self.all[table]
    }

    /// The row of a data ID given by the codes of all its values; it is added if it is new.
    ///
    /// Only the required values identify it.
    pub fn row(&mut self, table: usize, codes: &[u32]) -> Row {
        let ids = &mut self.all[table];
        let required = &codes[..ids.info.required.len()];
        let hash = self.hasher.hash_one(required);
        if let Some(row) = self.known[table].find(hash, |row| ids.required(*row) == required) {
            return *row;
        }
        let row = ids.push(codes.iter().copied());
        let hasher = &self.hasher;
        self.known[table].insert_unique(hash, row, |row| hasher.hash_one(ids.required(*row)));
        row
    }

    /// The row of a data ID given by its values, in the order of [`GroupInfo::keys`].
    pub fn row_of(&mut self, table: usize, values: impl IntoIterator<Item = Key>) -> Row {
        let info = self.all[table].info.clone();
        let codes: Vec<u32> = info.keys().zip(values).map(|(dimension, key)| self.keys.code(dimension, key)).collect();
        self.row(table, &codes)
    }
}
