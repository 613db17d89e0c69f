//! Small Parquet files of plain numbers, read without the machinery for all others.
//!
//! pyarrow takes some 60 µs for each column of whatever size. What is read here is what most tables of measurements are:
//! one group of rows, and columns of numbers without gaps. Of every other file nothing is said, and pyarrow reads it.

use bytes::Bytes;
use parquet::{
    basic::Repetition,
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::DataType,
    file::{
        metadata::{ColumnChunkMetaData, FileMetaData, ParquetStatisticsPolicy},
        reader::{FileReader as _, RowGroupReader},
        serialized_reader::{ReadOptions, ReadOptionsBuilder, SerializedFileReader},
    },
    schema::types::ColumnDescriptor,
};
use pyo3::{
    prelude::*,
    types::{PyByteArray, PyBytes, PyDict, PyString},
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes of values that one byte of a file can stand for, at most; a file that promises more is left to pyarrow, so that
/// none that is damaged takes much memory.
const MOST_COMPRESSED: usize = 64;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(plain_parquet, module)?)
}

/// Rows, metadata, and name, type and bytes of each column.
type Plain<'py> = (i64, Bound<'py, PyDict>, Vec<(Bound<'py, PyString>, i64, Bound<'py, PyByteArray>)>);

/// The columns of a file of plain numbers, each with its name, physical type and bytes; and rows and metadata.
///
/// None for a file that is anything else, or none at all.
#[pyfunction]
fn plain_parquet<'py>(py: Python<'py>, content: &[u8]) -> PyResult<Option<Plain<'py>>> {
    // Of a damaged file the library may panic; pyarrow says what is wrong with it.
    let Ok(Some(reader)) = catch_unwind(|| open(content)) else { return Ok(None) };
    let file = reader.metadata().file_metadata();
    let read = || read(&reader, file, content.len());
    let Ok(Some(columns)) = catch_unwind(AssertUnwindSafe(read)) else { return Ok(None) };
    let metadata = PyDict::new(py);
    for entry in file.key_value_metadata().into_iter().flatten() {
        let value = entry.value.as_deref().unwrap_or_default();
        metadata.set_item(PyBytes::new(py, entry.key.as_bytes()), PyBytes::new(py, value.as_bytes()))?;
    }
    let columns = columns
        .into_iter()
        .map(|column| (PyString::new(py, column.name), column.kind, PyByteArray::new(py, &column.values)))
        .collect();
    Ok(Some((file.num_rows(), metadata, columns)))
}

struct Column<'a> {
    name: &'a str,
    /// As the file numbers physical types.
    kind: i64,
    values: Vec<u8>,
}

fn open(content: &[u8]) -> Option<SerializedFileReader<Bytes>> {
    SerializedFileReader::new_with_options(Bytes::copy_from_slice(content), without_statistics()).ok()
}

fn without_statistics() -> ReadOptions {
    ReadOptionsBuilder::new()
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .build()
}

fn read<'a>(reader: &SerializedFileReader<Bytes>, file: &'a FileMetaData, length: usize) -> Option<Vec<Column<'a>>> {
    let n_rows = usize::try_from(file.num_rows()).ok()?;
    if reader.num_row_groups() != 1 || n_rows == 0 || n_rows > length.saturating_mul(MOST_COMPRESSED) {
        return None;
    }
    let group = reader.get_row_group(0).ok()?;
    let chunks = reader.metadata().row_group(0).columns();
    let columns = file.schema_descr().columns();
    let mut promised = 0_usize;
    for chunk in chunks {
        promised = promised.checked_add(inside(chunk, length)?)?;
    }
    if columns.len() != chunks.len() || columns.is_empty() || promised > length.saturating_mul(MOST_COMPRESSED) {
        return None;
    }
    columns.iter().enumerate().map(|(position, column)| read_column(&*group, position, column, n_rows)).collect()
}

/// How many bytes a column promises to be; none if it is not inside the file, which the library takes for granted.
fn inside(chunk: &ColumnChunkMetaData, length: usize) -> Option<usize> {
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let end = usize::try_from(start).ok()?.checked_add(usize::try_from(chunk.compressed_size()).ok()?)?;
    usize::try_from(chunk.uncompressed_size()).ok().filter(|_| end <= length)
}

fn read_column<'a>(
    group: &dyn RowGroupReader,
    position: usize,
    column: &'a ColumnDescriptor,
    n_rows: usize,
) -> Option<Column<'a>> {
    let repeated = column.self_type().get_basic_info().repetition() == Repetition::REPEATED;
    if repeated || column.path().parts().len() != 1 {
        return None; // columns in columns
    }
    let (kind, values) = match group.get_column_reader(position).ok()? {
        ColumnReader::Int32ColumnReader(reader) => (1, read_values(reader, n_rows, |value| value.to_le_bytes())?),
        ColumnReader::Int64ColumnReader(reader) => (2, read_values(reader, n_rows, |value| value.to_le_bytes())?),
        ColumnReader::FloatColumnReader(reader) => (4, read_values(reader, n_rows, |value| value.to_le_bytes())?),
        ColumnReader::DoubleColumnReader(reader) => (5, read_values(reader, n_rows, |value| value.to_le_bytes())?),
        _ => return None,
    };
    Some(Column { name: column.name(), kind, values })
}

/// The bytes of a column's values; none if one is missing.
fn read_values<T: DataType, const WIDTH: usize>(
    mut reader: ColumnReaderImpl<T>,
    n_rows: usize,
    bytes: impl Fn(&T::T) -> [u8; WIDTH],
) -> Option<Vec<u8>> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let (n_read, _, _) = reader.read_records(n_rows, Some(&mut levels), None, &mut values).ok()?;
    (n_read == n_rows && values.len() == n_rows).then(|| values.iter().flat_map(bytes).collect())
}
