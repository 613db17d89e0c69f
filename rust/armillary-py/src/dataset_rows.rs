//! Rows of an answer from which references to datasets are made when someone looks at them.
//!
//! Of most references in a long list nobody asks more than the id or the run, so a data ID is put together when it is
//! asked for. The rows are cut into blocks, so that a reference that is kept does not keep the whole answer.

use crate::{
    dataset_type::PyDatasetType,
    query_results::{Answer, key_at},
};
use armillary_dimensions::{Column, DataCoordinate, GroupInfo, Key, Records, Universe};
use pyo3::prelude::*;
use std::{ops::Range, sync::Arc};

/// How many rows are in a block.
const ROWS: usize = 64;

/// Some rows of an answer, with all that is needed to make references of them.
pub(crate) struct RowBlock {
    pub(crate) dataset_type: Py<PyDatasetType>,
    universe: Arc<Universe>,
    info: Arc<GroupInfo>,
    /// Values of dimensions in the order of the keys of a data ID: the required ones, and the implied ones unless shared.
    keys: Box<[Keys]>,
    /// Implied values that rows have in common.
    implied: Option<Cells<Arc<[Key]>>>,
    records: Cells<Option<Arc<Records>>>,
    runs: Cells<Arc<str>>,
    ids: Box<[[u8; 16]]>,
}

impl RowBlock {
    /// The number of the block that a row is in, and the rows of that block.
    pub(crate) fn around(row: usize, rows: usize) -> (usize, Range<usize>) {
        let number = row / ROWS;
        (number, number * ROWS..rows.min((number + 1) * ROWS))
    }

    pub(crate) fn new(answer: &Answer, dataset_type: Py<PyDatasetType>, rows: Range<usize>) -> Self {
        let (result, info) = (answer.result(), answer.info());
        let own = if result.alike.is_some() { info.required.len() } else { result.keys.len() };
        let implied = result.alike.as_ref().map(|alike| {
            let is_same = all_equal(&alike.rows[rows.clone()]);
            Cells::new(rows.clone(), is_same, |row| answer.shared(alike, row).implied().clone())
        });
        Self {
            dataset_type,
            universe: result.universe.clone(),
            info: info.clone(),
            keys: result.keys[..own].iter().map(|column| Keys::new(column, rows.clone())).collect(),
            implied,
            records: Cells::new(rows.clone(), result.records.is_empty(), |row| answer.records(row)),
            runs: Cells::new(rows.clone(), answer.is_one_run(rows.clone()), |row| answer.run(row).clone()),
            ids: rows.map(|row| answer.id(row)).collect(),
        }
    }

    pub(crate) fn data_id(&self, row: usize) -> DataCoordinate {
        let values: Arc<[Key]> = self.keys.iter().map(|keys| keys.at(row)).collect();
        let (universe, info) = (self.universe.clone(), self.info.clone());
        match &self.implied {
            Some(implied) => DataCoordinate::from_shared(universe, info, values, implied.at(row).clone()),
            None => DataCoordinate::from_values(universe, info, values),
        }
    }

    pub(crate) fn records(&self, row: usize) -> Option<Arc<Records>> {
        self.records.at(row).clone()
    }

    pub(crate) fn run(&self, row: usize) -> &Arc<str> {
        self.runs.at(row)
    }

    pub(crate) fn id(&self, row: usize) -> [u8; 16] {
        self.ids[row]
    }
}

/// A value for each row of a block.
enum Cells<T> {
    Same(T),
    Each(Box<[T]>),
}

impl<T> Cells<T> {
    /// From the values of some rows, of which there is at least one.
    fn new(mut rows: Range<usize>, is_same: bool, value: impl FnMut(usize) -> T) -> Self {
        let mut values = rows.by_ref().take(if is_same { 1 } else { usize::MAX }).map(value);
        match (is_same, values.next()) {
            (true, Some(first)) => Self::Same(first),
            (_, first) => Self::Each(first.into_iter().chain(values).collect()),
        }
    }

    fn at(&self, row: usize) -> &T {
        match self {
            Self::Same(value) => value,
            Self::Each(values) => &values[row],
        }
    }
}

/// Values of a dimension for the rows of a block.
enum Keys {
    Numbers(Box<[i64]>),
    Others(Cells<Key>),
}

impl Keys {
    fn new(column: &Column, rows: Range<usize>) -> Self {
        match column {
            Column::Int { values, .. } if !all_equal(&values[rows.clone()]) => Self::Numbers(values[rows].into()),
            Column::Str(text) => {
                let is_same = all_equal(&text.codes()[rows.clone()]);
                Self::Others(Cells::new(rows, is_same, |row| key_at(column, row)))
            }
            _ => {
                let is_same = matches!(column, Column::Int { .. });
                Self::Others(Cells::new(rows, is_same, |row| key_at(column, row)))
            }
        }
    }

    fn at(&self, row: usize) -> Key {
        match self {
            Self::Numbers(values) => Key::Int(values[row]),
            Self::Others(keys) => keys.at(row).clone(),
        }
    }
}

fn all_equal<T: PartialEq>(values: &[T]) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}
