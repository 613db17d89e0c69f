//! Columns as the buffers of Arrow arrays: bytes that Python wraps, with no object for a value.
//!
//! A column is `(kind, length, validity, buffers)`. `validity` is a bitmap, least bit first, or none where all values
//! are known. The buffers are, by kind, in the byte order of the machine:
//!
//! - `int`, `time`: 64-bit integers; `float`: doubles; `bool`: a bitmap; `uuid`: 16 bytes each
//! - `text`: 32-bit codes, then 64-bit offsets and UTF-8 of the dictionary
//! - `bytes`, `region`: 64-bit offsets, then the bytes
//! - `timespan`: 64-bit begins, then ends

use armillary_dimensions::Column;
use armillary_registry::query::{Meaning, RecordTable};
use pyo3::{prelude::*, types::PyBytes};

/// Kind, length, validity and buffers of a column.
pub(crate) type Buffers<'py> = (&'static str, usize, Option<Bound<'py, PyBytes>>, Vec<Bound<'py, PyBytes>>);

/// A buffer of items of `N` bytes.
fn packed<const N: usize>(
    py: Python<'_>,
    length: usize,
    items: impl Iterator<Item = [u8; N]>,
) -> PyResult<Bound<'_, PyBytes>> {
    PyBytes::new_with(py, length * N, |bytes| {
        bytes.chunks_exact_mut(N).zip(items).for_each(|(place, item)| place.copy_from_slice(&item));
        Ok(())
    })
}

fn bitmap(py: Python<'_>, length: usize, bits: impl Iterator<Item = bool>) -> PyResult<Bound<'_, PyBytes>> {
    PyBytes::new_with(py, length.div_ceil(8), |bytes| {
        for (position, _) in bits.enumerate().filter(|(_, bit)| *bit) {
            bytes[position / 8] |= 1 << (position % 8);
        }
        Ok(())
    })
}

/// The bitmap of known values, if some are not.
fn validity(
    py: Python<'_>,
    length: usize,
    known: impl Iterator<Item = bool> + Clone,
) -> PyResult<Option<Bound<'_, PyBytes>>> {
    if known.clone().all(|known| known) { Ok(None) } else { bitmap(py, length, known).map(Some) }
}

/// Offsets and bytes of values one after the other.
fn joined<'py, 'a>(
    py: Python<'py>,
    values: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let mut end = 0_i64;
    let ends = values.clone().map(|value| {
        end += i64::try_from(value.len()).unwrap_or(i64::MAX);
        end.to_ne_bytes()
    });
    let offsets = packed(py, values.len() + 1, std::iter::once(0_i64.to_ne_bytes()).chain(ends))?;
    let total = values.clone().map(<[u8]>::len).sum();
    let bytes = PyBytes::new_with(py, total, |mut bytes| {
        for value in values {
            let (place, rest) = bytes.split_at_mut(value.len());
            place.copy_from_slice(value);
            bytes = rest;
        }
        Ok(())
    })?;
    Ok(vec![offsets, bytes])
}

/// A column as buffers.
pub(crate) fn buffers<'py>(py: Python<'py>, column: &Column, meaning: Meaning) -> PyResult<Buffers<'py>> {
    let length = column.len();
    let (kind, known, parts) = match column {
        Column::Int { values, nulls } => {
            let kind = if meaning == Meaning::Time { "time" } else { "int" };
            let known = validity(py, length, nulls.iter().map(|null| !null))?;
            (kind, known, vec![packed(py, length, values.iter().map(|value| value.to_ne_bytes()))?])
        }
        Column::Float { values, nulls } => {
            let known = validity(py, length, nulls.iter().map(|null| !null))?;
            ("float", known, vec![packed(py, length, values.iter().map(|value| value.to_ne_bytes()))?])
        }
        Column::Bool(values) => {
            let known = validity(py, length, values.iter().map(Option::is_some))?;
            ("bool", known, vec![bitmap(py, length, values.iter().map(|value| value.unwrap_or(false)))?])
        }
        Column::Str(text) => {
            let known = validity(py, length, text.codes().iter().map(|code| *code != u32::MAX))?;
            // The code of a missing value is never looked at, but must be one.
            let codes = text.codes().iter().map(|code| if *code == u32::MAX { 0 } else { *code }.to_ne_bytes());
            let mut parts = vec![packed(py, length, codes)?];
            parts.extend(joined(py, text.dictionary().iter().map(|text| text.as_bytes()))?);
            ("text", known, parts)
        }
        Column::Bytes(values) => {
            let kind = if meaning == Meaning::Region { "region" } else { "bytes" };
            let known = validity(py, length, values.iter().map(Option::is_some))?;
            (kind, known, joined(py, values.iter().map(|value| value.as_deref().unwrap_or_default()))?)
        }
        Column::Uuid(values) => ("uuid", None, vec![packed(py, length, values.iter().copied())?]),
        Column::Timespan(values) => {
            let known = validity(py, length, values.iter().map(Option::is_some))?;
            let bounds = |bound: fn(&armillary_dimensions::Timespan) -> i64| {
                packed(py, length, values.iter().map(move |span| span.as_ref().map_or(0, bound).to_ne_bytes()))
            };
            ("timespan", known, vec![bounds(|span| span.begin())?, bounds(|span| span.end())?])
        }
    };
    Ok((kind, length, known, parts))
}

/// Which record of a table belongs to each row, as a column of integers.
pub(crate) fn positions<'py>(py: Python<'py>, table: &RecordTable) -> PyResult<Buffers<'py>> {
    let rows = &table.rows;
    let known = validity(py, rows.len(), rows.iter().map(|row| *row != RecordTable::NONE))?;
    let values = rows.iter().map(|row| if *row == RecordTable::NONE { 0 } else { i64::from(*row) }.to_ne_bytes());
    Ok(("int", rows.len(), known, vec![packed(py, rows.len(), values)?]))
}
