//! Columns as the buffers of Arrow arrays: memory that Python wraps as it is, with no object for a value and no copy.
//!
//! A column is `(kind, length, validity, buffers)`. `validity` is a bitmap, least bit first, or none where all values
//! are known. Each buffer is an array of numpy of one dimension, which owns the memory of the column. By kind:
//!
//! - `int`, `time`: 64-bit integers; `float`: doubles; `bool`: a bitmap; `uuid`: 16 bytes each
//! - `text`: 32-bit codes, then 64-bit offsets and UTF-8 of the dictionary
//! - `bytes`, `region`: 64-bit offsets, then the bytes
//! - `timespan`: 64-bit begins, then ends

use armillary_dimensions::{Column, FieldRole, FieldType, Timespan, Universe};
use armillary_registry::query::{Meaning, QueryResult, RecordTable};
use numpy::{Element, PyArray1};
use pyo3::prelude::*;

/// Kind, length, validity and buffers of a column.
pub(crate) type Buffers<'py> = (&'static str, usize, Option<Bound<'py, PyAny>>, Vec<Bound<'py, PyAny>>);

/// Element, positions, and of each field its name, whether it is a key, and its buffers.
type RecordBuffers<'py> = (String, Buffers<'py>, Vec<(String, bool, Buffers<'py>)>);

/// How many rows an answer has, name and buffers of each column, and those of the records of each element.
pub(crate) type AnswerBuffers<'py> = (usize, Vec<(String, Buffers<'py>)>, Vec<RecordBuffers<'py>>);

fn owned<T: Element>(py: Python<'_>, items: Vec<T>) -> Bound<'_, PyAny> {
    PyArray1::from_vec(py, items).into_any()
}

fn bitmap(length: usize, bits: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut bytes = vec![0_u8; length.div_ceil(8)];
    for (position, _) in bits.enumerate().filter(|(_, bit)| *bit) {
        bytes[position / 8] |= 1 << (position % 8);
    }
    bytes
}

/// The bitmap of known values, if some are not.
fn validity(length: usize, known: impl Iterator<Item = bool> + Clone) -> Option<Vec<u8>> {
    if known.clone().all(|known| known) { None } else { Some(bitmap(length, known)) }
}

/// Offsets and bytes of values one after the other.
fn joined<'a>(values: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> (Vec<i64>, Vec<u8>) {
    let mut offsets = Vec::with_capacity(values.len() + 1);
    let mut bytes = Vec::with_capacity(values.clone().map(<[u8]>::len).sum());
    offsets.push(0);
    for value in values {
        bytes.extend_from_slice(value);
        offsets.push(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
    }
    (offsets, bytes)
}

/// A column as buffers.
fn buffers(py: Python<'_>, column: Column, meaning: Meaning) -> Buffers<'_> {
    let length = column.len();
    let (kind, known, parts) = match column {
        Column::Int { values, nulls } => {
            let kind = if meaning == Meaning::Time { "time" } else { "int" };
            (kind, validity(length, nulls.iter().map(|null| !null)), vec![owned(py, values)])
        }
        Column::Float { values, nulls } => {
            ("float", validity(length, nulls.iter().map(|null| !null)), vec![owned(py, values)])
        }
        Column::Bool(values) => {
            let bits = bitmap(length, values.iter().map(|value| value.unwrap_or(false)));
            ("bool", validity(length, values.iter().map(Option::is_some)), vec![owned(py, bits)])
        }
        Column::Str(text) => {
            let known = validity(length, text.codes().iter().map(|code| *code != u32::MAX));
            let (offsets, bytes) = joined(text.dictionary().iter().map(|text| text.as_bytes()));
            let mut codes = text.into_codes();
            if known.is_some() {
                // The code of a missing value is never looked at, but must be one.
                codes.iter_mut().filter(|code| **code == u32::MAX).for_each(|code| *code = 0);
            }
            ("text", known, vec![owned(py, codes), owned(py, offsets), owned(py, bytes)])
        }
        Column::Bytes(values) => {
            let kind = if meaning == Meaning::Region { "region" } else { "bytes" };
            let (offsets, bytes) = joined(values.iter().map(|value| value.as_deref().unwrap_or_default()));
            (kind, validity(length, values.iter().map(Option::is_some)), vec![owned(py, offsets), owned(py, bytes)])
        }
        Column::Uuid(values) => ("uuid", None, vec![owned(py, values.into_flattened())]),
        Column::Timespan(values) => {
            let bounds = |bound: fn(&Timespan) -> i64| -> Vec<i64> {
                values.iter().map(|span| span.as_ref().map_or(0, bound)).collect()
            };
            let parts = vec![owned(py, bounds(|span| span.begin())), owned(py, bounds(|span| span.end()))];
            ("timespan", validity(length, values.iter().map(Option::is_some)), parts)
        }
    };
    (kind, length, known.map(|known| owned(py, known)), parts)
}

/// Which record of a table belongs to each row, as a column of integers.
fn positions<'py>(py: Python<'py>, rows: &[u32]) -> Buffers<'py> {
    let known = validity(rows.len(), rows.iter().map(|row| *row != RecordTable::NONE));
    let values: Vec<i64> = rows.iter().map(|row| if *row == RecordTable::NONE { 0 } else { i64::from(*row) }).collect();
    ("int", rows.len(), known.map(|known| owned(py, known)), vec![owned(py, values)])
}

fn record_buffers<'py>(py: Python<'py>, universe: &Universe, table: RecordTable) -> RecordBuffers<'py> {
    let element = universe.get(table.element);
    let fields = element.fields.iter().zip(table.columns).map(|(field, column)| {
        let meaning = if field.kind == FieldType::Region { Meaning::Region } else { Meaning::Plain };
        let is_key = matches!(field.role, FieldRole::Required(_) | FieldRole::Implied(_));
        (field.name.clone(), is_key, buffers(py, column, meaning))
    });
    (element.name.clone(), positions(py, &table.rows), fields.collect())
}

/// All columns of an answer as buffers, those of datasets after those of dimensions.
pub(crate) fn answer_buffers(py: Python<'_>, result: QueryResult) -> AnswerBuffers<'_> {
    let universe = result.universe;
    let keys = universe.info(result.group);
    let mut columns: Vec<(String, Buffers<'_>)> = keys
        .keys()
        .zip(result.keys)
        .map(|(index, column)| (universe.get(index).name.clone(), buffers(py, column, Meaning::Plain)))
        .collect();
    if let Some(datasets) = result.datasets {
        columns.push(("dataset_id".to_owned(), buffers(py, datasets.ids, Meaning::Plain)));
        columns.push(("run".to_owned(), buffers(py, datasets.runs, Meaning::Plain)));
    }
    columns.extend(result.columns.into_iter().map(|one| (one.name, buffers(py, one.values, one.meaning))));
    let records = result.records.into_iter().map(|table| record_buffers(py, &universe, table)).collect();
    (result.rows, columns, records)
}
