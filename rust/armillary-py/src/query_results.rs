//! Lazy sequences over the columns of an answer: a Python object is made when an index is touched.

use crate::{
    column_buffers::{AnswerBuffers, answer_buffers},
    data_coordinate::PyDataCoordinate,
    dataset_ref::PyDatasetRef,
    dataset_rows::RowBlock,
    dataset_type::PyDatasetType,
    record::PyDimensionRecord,
    timespan::nanoseconds_to_time,
    values::{plain_to_python, region_to_python, value_to_python},
};
use armillary_dimensions::{
    Column, DataCoordinate, ElementIndex, FieldRole, GroupInfo, Key, Record, Records, Universe, Value,
};
use armillary_registry::query::{Alike, Meaning, NamedColumn, QueryResult, RecordTable};
use pyo3::{
    exceptions::{PyIndexError, PyTypeError},
    prelude::*,
    types::{PyDict, PyList, PySlice},
};
use std::{
    ops::Range,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// An answer, and what many of its rows share.
pub(crate) struct Answer {
    result: QueryResult,
    info: Arc<GroupInfo>,
    /// The records of each table, made when the first row asks.
    records: Vec<OnceLock<Vec<Record>>>,
    /// By the number of rows alike, what they share; made when the first row asks.
    shared: OnceLock<Vec<Shared>>,
    empty_run: Arc<str>,
}

/// What rows that imply the same have in common.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    implied: Arc<[Key]>,
    records: OnceLock<Arc<Records>>,
}

impl Shared {
    pub(crate) fn implied(&self) -> &Arc<[Key]> {
        &self.implied
    }
}

impl Answer {
    fn new(result: QueryResult) -> Arc<Self> {
        let info = result.universe.info(result.group);
        let records = result.records.iter().map(|_| OnceLock::new()).collect();
        Arc::new(Self { info, records, result, shared: OnceLock::new(), empty_run: "".into() })
    }

    pub(crate) fn result(&self) -> &QueryResult {
        &self.result
    }

    pub(crate) fn info(&self) -> &Arc<GroupInfo> {
        &self.info
    }

    fn data_id(&self, row: usize) -> DataCoordinate {
        let (universe, info) = (self.result.universe.clone(), self.info.clone());
        let Some(alike) = &self.result.alike else {
            return DataCoordinate::from_values(universe, info, keys_at(&self.result.keys, row));
        };
        let required = keys_at(&self.result.keys[..info.required.len()], row);
        let implied = self.shared(alike, row).implied.clone();
        DataCoordinate::from_shared(universe, info, required, implied)
    }

    /// What a row shares with those that are like it.
    pub(crate) fn shared(&self, alike: &Alike, row: usize) -> &Shared {
        let made = self.shared.get_or_init(|| {
            let implied = &self.result.keys[self.info.required.len()..];
            let mut shared: Vec<Option<Shared>> = Vec::new();
            for (row, number) in alike.rows.iter().enumerate() {
                let number = *number as usize;
                if number >= shared.len() {
                    shared.resize(number + 1, None);
                }
                let make = || Shared { implied: keys_at(implied, row), records: OnceLock::new() };
                shared[number].get_or_insert_with(make);
            }
            shared.into_iter().map(Option::unwrap_or_default).collect()
        });
        &made[alike.rows[row] as usize]
    }

    fn record(&self, table: usize, row: usize) -> Option<Record> {
        let (source, made) = (&self.result.records[table], &self.records[table]);
        let position = source.rows.get(row).copied().filter(|position| *position != RecordTable::NONE)?;
        let made = made.get_or_init(|| all_records(&self.result.universe, source));
        made.get(position as usize).cloned()
    }

    /// The records of all elements, if the answer came with them.
    pub(crate) fn records(&self, row: usize) -> Option<Arc<Records>> {
        if self.result.records.is_empty() {
            return None;
        }
        let Some(alike) = &self.result.alike else {
            return Some(Arc::new(Records::new(self.records_where(row, |_| true))));
        };
        let is_shared = |element: ElementIndex| self.result.universe.get(element).required.is_subset(alike.dimensions);
        let make = || Arc::new(Records::new(self.records_where(row, is_shared)));
        let shared = self.shared(alike, row).records.get_or_init(make).clone();
        let own = self.records_where(row, |element| !is_shared(element));
        Some(if own.is_empty() { shared } else { Arc::new(Records::with_shared(own, shared)) })
    }

    /// The records of some elements.
    fn records_where(&self, row: usize, wanted: impl Fn(ElementIndex) -> bool) -> Vec<(ElementIndex, Option<Record>)> {
        let tables = self.result.records.iter().enumerate().filter(|(_, source)| wanted(source.element));
        tables.map(|(table, source)| (source.element, self.record(table, row))).collect()
    }

    /// Whether some rows are of one run.
    pub(crate) fn is_one_run(&self, rows: Range<usize>) -> bool {
        let runs = self.result.datasets.as_ref().map(|datasets| &datasets.runs);
        matches!(runs, Some(Column::Str(runs)) if runs.codes()[rows].windows(2).all(|pair| pair[0] == pair[1]))
    }

    pub(crate) fn run(&self, row: usize) -> &Arc<str> {
        match self.result.datasets.as_ref().map(|datasets| &datasets.runs) {
            Some(Column::Str(runs)) => runs.get(row).unwrap_or(&self.empty_run),
            _ => &self.empty_run,
        }
    }

    pub(crate) fn id(&self, row: usize) -> [u8; 16] {
        match self.result.datasets.as_ref().map(|datasets| &datasets.ids) {
            Some(Column::Uuid(ids)) => ids[row],
            _ => [0; 16],
        }
    }

    /// Each column as a list, by name.
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let columns = PyDict::new(py);
        for (index, column) in self.info.keys().zip(&self.result.keys) {
            columns.set_item(&self.result.universe.get(index).name, list(py, column)?)?;
        }
        if let Some(datasets) = &self.result.datasets {
            columns.set_item("dataset_id", list(py, &datasets.ids)?)?;
            columns.set_item("run", list(py, &datasets.runs)?)?;
        }
        for column in &self.result.columns {
            columns.set_item(&column.name, list(py, &column.values)?)?;
        }
        Ok(columns)
    }

    /// The names of the columns.
    fn names(&self) -> Vec<String> {
        let keys = self.info.keys().map(|index| self.result.universe.get(index).name.clone());
        let datasets = self.result.datasets.iter().flat_map(|_| ["dataset_id".to_owned(), "run".to_owned()]);
        keys.chain(datasets).chain(self.result.columns.iter().map(|column| column.name.clone())).collect()
    }
}

fn keys_at(columns: &[Column], row: usize) -> Arc<[Key]> {
    columns.iter().map(|column| key_at(column, row)).collect()
}

pub(crate) fn key_at(column: &Column, row: usize) -> Key {
    match column {
        Column::Int { values, .. } => Key::Int(values[row]),
        Column::Str(column) => column.get(row).map_or(Key::Int(0), |text| Key::Str(text.clone())),
        other => other.get(row).to_key().unwrap_or(Key::Int(0)),
    }
}

fn all_records(universe: &Arc<Universe>, table: &RecordTable) -> Vec<Record> {
    let rows = table.columns.first().map_or(0, Column::len);
    (0..rows)
        .map(|row| {
            let values: Arc<[Value]> = table.columns.iter().map(|column| column.get(row)).collect();
            Record::new(universe.clone(), table.element, values)
        })
        .collect()
}

fn list<'py>(py: Python<'py>, column: &Column) -> PyResult<Bound<'py, PyList>> {
    let values: PyResult<Vec<_>> = (0..column.len()).map(|row| plain_to_python(py, &column.get(row))).collect();
    PyList::new(py, values?)
}

/// The rows that an index or slice means.
enum Touched {
    One(usize),
    Many(Vec<usize>),
}

fn touched(index: &Bound<'_, PyAny>, length: usize) -> PyResult<Touched> {
    if let Ok(slice) = index.cast::<PySlice>() {
        let indices = slice.indices(isize::try_from(length).unwrap_or(isize::MAX))?;
        let rows = (0..indices.slicelength).map(|step| {
            let offset = isize::try_from(step).unwrap_or(0) * indices.step;
            usize::try_from(indices.start + offset).unwrap_or(0)
        });
        return Ok(Touched::Many(rows.collect()));
    }
    let number: isize =
        index.extract().map_err(|_| PyTypeError::new_err("results are indexed by an integer or a slice"))?;
    let length_signed = isize::try_from(length).unwrap_or(isize::MAX);
    let row = if number < 0 { number + length_signed } else { number };
    usize::try_from(row)
        .ok()
        .filter(|row| *row < length)
        .map(Touched::One)
        .ok_or_else(|| PyIndexError::new_err(format!("row {number} of {length} results")))
}

/// Makes the class of one kind of result, and the class that iterates over it.
macro_rules! sequence {
    ($class:ident, $name:literal, $iterator:ident, $iterator_name:literal) => {
        #[pymethods]
        impl $class {
            fn __len__(&self) -> usize {
                self.answer.result.rows
            }

            fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                match touched(index, self.answer.result.rows)? {
                    Touched::One(row) => self.item(py, row),
                    Touched::Many(rows) => {
                        let items: PyResult<Vec<_>> = rows.into_iter().map(|row| self.item(py, row)).collect();
                        Ok(PyList::new(py, items?)?.into_any())
                    }
                }
            }

            fn __iter__(this: Bound<'_, Self>) -> $iterator {
                $iterator { results: this.unbind(), next: AtomicUsize::new(0) }
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                const SHOWN: usize = 3;
                let rows = self.answer.result.rows;
                let items: PyResult<Vec<String>> =
                    (0..rows.min(SHOWN)).map(|row| Ok(self.item(py, row)?.str()?.to_string())).collect();
                let more = if rows > SHOWN { ", ..." } else { "" };
                Ok(format!("<{} {}: [{}{more}]>", rows, $name, items?.join(", ")))
            }

            /// Each column as a list, by name.
            fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                self.answer.columns(py)
            }

            /// The data IDs of the rows.
            #[getter]
            fn data_ids(&self) -> PyDataCoordinates {
                PyDataCoordinates { answer: self.answer.clone() }
            }

            /// The names of the columns.
            #[getter]
            fn names(&self) -> Vec<String> {
                self.answer.names()
            }

            /// All columns as Arrow buffers, which are copies: the answer keeps its own.
            fn buffers<'py>(&self, py: Python<'py>) -> AnswerBuffers<'py> {
                answer_buffers(py, self.answer.result.clone())
            }

            /// Why there are no rows, if that was clear before looking.
            #[getter]
            fn reasons(&self) -> Vec<String> {
                self.answer.result.reasons.clone()
            }
        }

        /// Gives the results one by one.
        #[pyclass(name = $iterator_name, frozen, module = "armillary._core")]
        pub(crate) struct $iterator {
            results: Py<$class>,
            next: AtomicUsize,
        }

        #[pymethods]
        impl $iterator {
            fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
                this
            }

            fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
                let row = self.next.fetch_add(1, Ordering::Relaxed);
                let results = self.results.get();
                if row >= results.answer.result.rows {
                    self.next.store(results.answer.result.rows, Ordering::Relaxed);
                    return Ok(None);
                }
                results.item(py, row).map(Some)
            }

            fn __length_hint__(&self) -> usize {
                self.results.get().answer.result.rows.saturating_sub(self.next.load(Ordering::Relaxed))
            }
        }
    };
}

/// Data IDs that a query found.
#[pyclass(name = "DataCoordinates", frozen, sequence, module = "armillary._core")]
pub(crate) struct PyDataCoordinates {
    answer: Arc<Answer>,
}

impl PyDataCoordinates {
    pub(crate) fn new(result: QueryResult) -> Self {
        Self { answer: Answer::new(result) }
    }

    fn item<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyAny>> {
        let made = PyDataCoordinate::new(self.answer.data_id(row), self.answer.records(row));
        Ok(Bound::new(py, made)?.into_any())
    }
}

sequence!(PyDataCoordinates, "data IDs", PyDataCoordinatesIterator, "DataCoordinatesIterator");

/// Datasets that a query found.
#[pyclass(name = "DatasetRefs", frozen, sequence, module = "armillary._core")]
pub(crate) struct PyDatasetRefs {
    answer: Arc<Answer>,
    dataset_type: Py<PyDatasetType>,
    /// The block of rows that was touched last, with its number.
    touched: Mutex<Option<(usize, Arc<RowBlock>)>>,
}

impl PyDatasetRefs {
    pub(crate) fn new(result: QueryResult, dataset_type: Py<PyDatasetType>) -> Self {
        Self { answer: Answer::new(result), dataset_type, touched: Mutex::default() }
    }

    fn item<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyAny>> {
        let (number, rows) = RowBlock::around(row, self.answer.result.rows);
        let first = rows.start;
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        let block = match &*touched {
            Some((known, block)) if *known == number => block.clone(),
            _ => {
                let made = Arc::new(RowBlock::new(&self.answer, self.dataset_type.clone_ref(py), rows));
                touched.insert((number, made)).1.clone()
            }
        };
        drop(touched);
        Ok(Bound::new(py, PyDatasetRef::of_row(block, row - first))?.into_any())
    }
}

sequence!(PyDatasetRefs, "datasets", PyDatasetRefsIterator, "DatasetRefsIterator");

/// Records that a query found.
#[pyclass(name = "DimensionRecords", frozen, sequence, module = "armillary._core")]
pub(crate) struct PyDimensionRecords {
    answer: Arc<Answer>,
}

impl PyDimensionRecords {
    pub(crate) fn new(result: QueryResult) -> Self {
        Self { answer: Answer::new(result) }
    }

    fn item<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyAny>> {
        let record = self.answer.record(0, row).ok_or_else(|| PyIndexError::new_err("the row has no record"))?;
        Ok(Bound::new(py, PyDimensionRecord::from(record))?.into_any())
    }
}

sequence!(PyDimensionRecords, "records", PyDimensionRecordsIterator, "DimensionRecordsIterator");

/// Rows of chosen columns that a query found, each a mapping from names to values.
#[pyclass(name = "Rows", frozen, sequence, module = "armillary._core")]
pub(crate) struct PyRows {
    answer: Arc<Answer>,
}

impl PyRows {
    pub(crate) fn new(result: QueryResult) -> Self {
        Self { answer: Answer::new(result) }
    }

    fn item<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyAny>> {
        let result = &self.answer.result;
        let mapping = PyDict::new(py);
        for (index, column) in self.answer.info.keys().zip(&result.keys) {
            mapping.set_item(&result.universe.get(index).name, plain_to_python(py, &column.get(row))?)?;
        }
        for column in &result.columns {
            mapping.set_item(&column.name, named_value(py, column, row)?)?;
        }
        for table in &result.records {
            let element = result.universe.get(table.element);
            let position = table.rows.get(row).copied().filter(|position| *position != RecordTable::NONE);
            for (field, column) in element.fields.iter().zip(&table.columns) {
                if matches!(field.role, FieldRole::Required(_) | FieldRole::Implied(_)) || !element.has_table() {
                    continue;
                }
                let value = position.map_or(Value::Null, |position| column.get(position as usize));
                mapping
                    .set_item(format!("{}.{}", element.name, field.name), value_to_python(py, field.kind, &value)?)?;
            }
        }
        Ok(mapping.into_any())
    }
}

/// A cell of a column as a Python object.
fn named_value<'py>(py: Python<'py>, column: &NamedColumn, row: usize) -> PyResult<Bound<'py, PyAny>> {
    match (column.meaning, column.values.get(row)) {
        (Meaning::Time, Value::Int(nanoseconds)) => nanoseconds_to_time(py, nanoseconds),
        (Meaning::Region, Value::Bytes(bytes)) => region_to_python(py, &bytes),
        (_, value) => plain_to_python(py, &value),
    }
}

sequence!(PyRows, "rows", PyRowsIterator, "RowsIterator");

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyDataCoordinates>()?;
    module.add_class::<PyDatasetRefs>()?;
    module.add_class::<PyDimensionRecords>()?;
    module.add_class::<PyRows>()
}
