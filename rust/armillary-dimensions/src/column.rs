//! Columns: many values of one kind, without an object for each.

use crate::{FieldType, Key, Timespan, Value};
use std::{collections::HashMap, sync::Arc};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Integers.
    Int,
    /// Doubles.
    Float,
    /// Booleans.
    Bool,
    /// Text.
    Str,
    /// Hashes or encoded regions.
    Bytes,
    /// Ids.
    Uuid,
    /// Timespans.
    Timespan,
}

impl From<FieldType> for ColumnType {
    fn from(kind: FieldType) -> Self {
        match kind {
            FieldType::Int => Self::Int,
            FieldType::Float => Self::Float,
            FieldType::Bool => Self::Bool,
            FieldType::String { .. } => Self::Str,
            FieldType::Hash { .. } | FieldType::Region => Self::Bytes,
            FieldType::Timespan => Self::Timespan,
        }
    }
}

/// A code that stands for "not known" in a [`Column::Str`].
const NO_TEXT: u32 = u32::MAX;

/// Values of one kind, each possibly unknown.
///
/// ```
/// # use armillary_dimensions::{Column, ColumnType, Value};
/// let mut column = Column::new(ColumnType::Str);
/// column.push_str("HSC");
/// column.push_null();
/// assert_eq!((column.get(0), column.get(1)), (Value::Str("HSC".into()), Value::Null));
/// ```
#[derive(Clone, Debug)]
pub enum Column {
    /// Integers; `nulls` is empty when all are known.
    Int { values: Vec<i64>, nulls: Vec<bool> },
    /// Doubles; `nulls` is empty when all are known.
    Float { values: Vec<f64>, nulls: Vec<bool> },
    /// Booleans.
    Bool(Vec<Option<bool>>),
    /// Text, as codes into a dictionary.
    Str(StrColumn),
    /// Hashes or encoded regions.
    Bytes(Vec<Option<Arc<[u8]>>>),
    /// Ids.
    Uuid(Vec<[u8; 16]>),
    /// Timespans.
    Timespan(Vec<Option<Timespan>>),
}

/// Text coded by a dictionary, for columns with few distinct values.
#[derive(Clone, Debug, Default)]
pub struct StrColumn {
    codes: Vec<u32>,
    dictionary: Vec<Arc<str>>,
    lookup: HashMap<Arc<str>, u32>,
}

impl StrColumn {
    /// Appends text.
    #[inline]
    pub fn push(&mut self, text: &str) {
        // Rows mostly come sorted, so the last value is the likeliest.
        if let Some(&last) = self.codes.last()
            && last != NO_TEXT
            && &*self.dictionary[last as usize] == text
        {
            self.codes.push(last);
            return;
        }
        let code = if let Some(code) = self.lookup.get(text) {
            *code
        } else {
            let code = u32::try_from(self.dictionary.len()).unwrap_or(NO_TEXT - 1);
            let text: Arc<str> = text.into();
            self.dictionary.push(text.clone());
            self.lookup.insert(text, code);
            code
        };
        self.codes.push(code);
    }

    /// Appends an unknown value.
    pub fn push_null(&mut self) {
        self.codes.push(NO_TEXT);
    }

    /// The value in a row.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&Arc<str>> {
        self.dictionary.get(self.codes[row] as usize)
    }

    /// One code per row; `u32::MAX` stands for unknown.
    #[must_use]
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// One code per row; `u32::MAX` stands for unknown.
    #[must_use]
    pub fn into_codes(self) -> Vec<u32> {
        self.codes
    }

    /// The distinct values, by code.
    #[must_use]
    pub fn dictionary(&self) -> &[Arc<str>] {
        &self.dictionary
    }

    /// The distinct values that some row has.
    pub fn used(&self) -> impl Iterator<Item = &Arc<str>> {
        let mut used = vec![false; self.dictionary.len()];
        for code in self.codes.iter().filter(|code| **code != NO_TEXT) {
            used[*code as usize] = true;
        }
        self.dictionary.iter().zip(used).filter(|(_, used)| *used).map(|(text, _)| text)
    }

    /// The same text in each of some rows.
    #[must_use]
    pub fn constant(text: Arc<str>, rows: usize) -> Self {
        Self { codes: vec![0; rows], lookup: HashMap::from([(text.clone(), 0)]), dictionary: vec![text] }
    }
}

/// The number of a row, of whatever width.
pub trait RowNumber: Copy {
    /// As an index.
    fn get(self) -> usize;
}

impl RowNumber for usize {
    fn get(self) -> usize {
        self
    }
}

impl RowNumber for u32 {
    fn get(self) -> usize {
        self as usize
    }
}

impl Column {
    /// An empty column.
    #[must_use]
    pub fn new(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Int => Self::Int { values: Vec::new(), nulls: Vec::new() },
            ColumnType::Float => Self::Float { values: Vec::new(), nulls: Vec::new() },
            ColumnType::Bool => Self::Bool(Vec::new()),
            ColumnType::Str => Self::Str(StrColumn::default()),
            ColumnType::Bytes => Self::Bytes(Vec::new()),
            ColumnType::Uuid => Self::Uuid(Vec::new()),
            ColumnType::Timespan => Self::Timespan(Vec::new()),
        }
    }

    /// The same key in each of some rows.
    #[must_use]
    pub fn constant(key: &Key, rows: usize) -> Self {
        match key {
            Key::Int(value) => Self::Int { values: vec![*value; rows], nulls: Vec::new() },
            Key::Str(text) => Self::Str(StrColumn::constant(text.clone(), rows)),
        }
    }

    /// What it holds.
    #[must_use]
    pub fn kind(&self) -> ColumnType {
        match self {
            Self::Int { .. } => ColumnType::Int,
            Self::Float { .. } => ColumnType::Float,
            Self::Bool(_) => ColumnType::Bool,
            Self::Str(_) => ColumnType::Str,
            Self::Bytes(_) => ColumnType::Bytes,
            Self::Uuid(_) => ColumnType::Uuid,
            Self::Timespan(_) => ColumnType::Timespan,
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Int { values, .. } => values.len(),
            Self::Float { values, .. } => values.len(),
            Self::Bool(values) => values.len(),
            Self::Str(column) => column.codes.len(),
            Self::Bytes(values) => values.len(),
            Self::Uuid(values) => values.len(),
            Self::Timespan(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all rows have the same key: a known integer or text.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        match self {
            Self::Int { values, nulls } => nulls.is_empty() && values.windows(2).all(|pair| pair[0] == pair[1]),
            Self::Str(column) => {
                column.codes.first().is_none_or(|first| *first != NO_TEXT)
                    && column.codes.windows(2).all(|pair| pair[0] == pair[1])
            }
            Self::Float { .. } | Self::Bool(_) | Self::Bytes(_) | Self::Uuid(_) | Self::Timespan(_) => false,
        }
    }

    /// The value in a row.
    #[must_use]
    pub fn get(&self, row: usize) -> Value {
        let known = |nulls: &[bool]| nulls.get(row).is_none_or(|null| !null);
        match self {
            Self::Int { values, nulls } if known(nulls) => Value::Int(values[row]),
            Self::Float { values, nulls } if known(nulls) => Value::Float(values[row]),
            Self::Int { .. } | Self::Float { .. } => Value::Null,
            Self::Bool(values) => values[row].map_or(Value::Null, Value::Bool),
            Self::Str(column) => column.get(row).map_or(Value::Null, |text| Value::Str(text.clone())),
            Self::Bytes(values) => values[row].as_ref().map_or(Value::Null, |bytes| Value::Bytes(bytes.clone())),
            Self::Uuid(values) => Value::Uuid(values[row]),
            Self::Timespan(values) => values[row].map_or(Value::Null, Value::Timespan),
        }
    }

    /// Appends an integer to a column of integers.
    ///
    /// # Panics
    /// If the column holds something else.
    #[inline]
    pub fn push_int(&mut self, value: i64) {
        let Self::Int { values, nulls } = self else { panic!("not a column of integers") };
        values.push(value);
        if !nulls.is_empty() {
            nulls.push(false);
        }
    }

    /// Appends text to a column of text.
    ///
    /// # Panics
    /// If the column holds something else.
    pub fn push_str(&mut self, text: &str) {
        let Self::Str(column) = self else { panic!("not a column of text") };
        column.push(text);
    }

    /// Appends an unknown value.
    ///
    /// # Panics
    /// If the column holds ids, which are always known.
    pub fn push_null(&mut self) {
        let rows = self.len();
        match self {
            Self::Int { values, nulls } => {
                nulls.resize(rows, false);
                nulls.push(true);
                values.push(0);
            }
            Self::Float { values, nulls } => {
                nulls.resize(rows, false);
                nulls.push(true);
                values.push(f64::NAN);
            }
            Self::Bool(values) => values.push(None),
            Self::Str(column) => column.push_null(),
            Self::Bytes(values) => values.push(None),
            Self::Uuid(_) => panic!("an id is always known"),
            Self::Timespan(values) => values.push(None),
        }
    }

    /// Appends a value of the column's kind, or `Null`.
    ///
    /// # Panics
    /// If the value is of another kind.
    pub fn push(&mut self, value: &Value) {
        match (&mut *self, value) {
            (_, Value::Null) => self.push_null(),
            (Self::Int { .. }, Value::Int(value)) => self.push_int(*value),
            (Self::Float { values, nulls }, Value::Float(value)) => {
                values.push(*value);
                if !nulls.is_empty() {
                    nulls.push(false);
                }
            }
            (Self::Bool(values), Value::Bool(value)) => values.push(Some(*value)),
            (Self::Str(column), Value::Str(text)) => column.push(text),
            (Self::Bytes(values), Value::Bytes(bytes)) => values.push(Some(bytes.clone())),
            (Self::Uuid(values), Value::Uuid(id)) => values.push(*id),
            (Self::Timespan(values), Value::Timespan(span)) => values.push(Some(*span)),
            (column, value) => panic!("{value:?} does not go into a column of {:?}", column.kind()),
        }
    }

    /// The rows at `rows`, in that order.
    #[must_use]
    pub fn take<R: RowNumber>(&self, rows: &[R]) -> Self {
        fn pick<T: Clone, R: RowNumber>(values: &[T], rows: &[R]) -> Vec<T> {
            rows.iter().map(|row| values[row.get()].clone()).collect()
        }
        let pick_nulls = |nulls: &[bool]| if nulls.is_empty() { Vec::new() } else { pick(nulls, rows) };
        match self {
            Self::Int { values, nulls } => Self::Int { values: pick(values, rows), nulls: pick_nulls(nulls) },
            Self::Float { values, nulls } => Self::Float { values: pick(values, rows), nulls: pick_nulls(nulls) },
            Self::Bool(values) => Self::Bool(pick(values, rows)),
            Self::Str(column) => Self::Str(StrColumn {
                codes: pick(&column.codes, rows),
                dictionary: column.dictionary.clone(),
                lookup: column.lookup.clone(),
            }),
            Self::Bytes(values) => Self::Bytes(pick(values, rows)),
            Self::Uuid(values) => Self::Uuid(pick(values, rows)),
            Self::Timespan(values) => Self::Timespan(pick(values, rows)),
        }
    }
}
