//! The answer to a query, in columns.

use crate::DatasetTypeRecord;
use armillary_dimensions::{Column, DataCoordinate, DimensionGroup, ElementIndex, Key, Record, Universe, Value};
use std::sync::Arc;

/// The answer to a query; nothing in it changes any more.
#[derive(Clone, Debug)]
pub struct QueryResult {
    /// The universe of the repository.
    pub universe: Arc<Universe>,
    /// The dimensions of each row's data ID.
    pub group: DimensionGroup,
    /// How many rows there are.
    pub rows: usize,
    /// Values of the dimensions, in the order of the keys of a data ID: required, then implied.
    pub keys: Vec<Column>,
    /// Which rows imply the same, if that is known.
    pub alike: Option<Alike>,
    /// The datasets, if they were asked for.
    pub datasets: Option<DatasetColumns>,
    /// Records, if they were asked for.
    pub records: Vec<RecordTable>,
    /// Other columns that were asked for.
    pub columns: Vec<NamedColumn>,
    /// Why there are no rows, if that was clear before looking.
    pub reasons: Vec<String>,
}

/// Rows that imply the same.
#[derive(Clone, Debug)]
pub struct Alike {
    /// The dimensions whose values such rows share, all implied ones among them.
    pub dimensions: DimensionGroup,
    /// For each row a number, the same for rows that share those values. Not every number needs to occur.
    pub rows: Vec<u32>,
}

/// A column of an answer that is none of its keys.
#[derive(Clone, Debug)]
pub struct NamedColumn {
    /// Its full name, such as `visit.exposure_time` or `calexp.run`.
    pub name: String,
    /// Its values.
    pub values: Column,
    /// What the values stand for.
    pub meaning: Meaning,
}

/// What the values of a column stand for beyond their type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Themselves.
    Plain,
    /// Moments, in nanoseconds TAI.
    Time,
    /// Encoded regions.
    Region,
}

/// The datasets of an answer.
#[derive(Clone, Debug)]
pub struct DatasetColumns {
    /// Their type.
    pub dataset_type: DatasetTypeRecord,
    /// Their ids.
    pub ids: Column,
    /// Names of their runs.
    pub runs: Column,
}

/// Records of one element, each once, and which of them belongs to each row.
#[derive(Clone, Debug)]
pub struct RecordTable {
    /// What they are records of.
    pub element: ElementIndex,
    /// Position of the record for each row of the answer; [`RecordTable::NONE`] where there is none.
    pub rows: Vec<u32>,
    /// Values of the fields, in the element's order; regions are encoded bytes.
    pub columns: Vec<Column>,
}

impl RecordTable {
    /// Stands for a record that does not exist.
    pub const NONE: u32 = u32::MAX;

    /// The values of the record at a position.
    #[must_use]
    pub fn values(&self, position: u32) -> Arc<[Value]> {
        self.columns.iter().map(|column| column.get(position as usize)).collect()
    }
}

impl QueryResult {
    /// The data ID of a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn data_id(&self, row: usize) -> DataCoordinate {
        let info = self.universe.info(self.group);
        let key = |column: &Column| column.get(row).to_key().unwrap_or(Key::Int(0));
        DataCoordinate::from_values(self.universe.clone(), info, self.keys.iter().map(key).collect())
    }

    /// The record of an element for a row.
    #[must_use]
    pub fn record(&self, element: ElementIndex, row: usize) -> Option<Record> {
        let table = self.records.iter().find(|table| table.element == element)?;
        let position = table.rows.get(row).copied().filter(|position| *position != RecordTable::NONE)?;
        Some(Record::new(self.universe.clone(), element, table.values(position)))
    }
}
