//! Small Parquet files of plain numbers, read without the machinery for all others.
//!
//! pyarrow takes some 30 µs for each column of whatever size. What is read here is what most tables of measurements are:
//! one group of rows, columns of numbers without gaps, each one page, as they are or compressed with Snappy. Of every
//! other file nothing is said, and pyarrow reads it.

use pyo3::{
    prelude::*,
    types::{PyByteArray, PyBytes, PyDict, PyString},
};

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(plain_parquet, module)?)
}

/// Begins and ends every file.
const MAGIC: &[u8] = b"PAR1";
/// Structures in structures, of which Parquet has fewer.
const DEEPEST: u32 = 16;

/// Bytes that one byte of Snappy can stand for, at most; who says more lies.
const MOST_COMPRESSED: usize = 32;

/// A column's physical type in the file: bytes of a value.
const fn width(kind: i64) -> Option<usize> {
    match kind {
        1 | 4 => Some(4), // INT32, FLOAT
        2 | 5 => Some(8), // INT64, DOUBLE
        _ => None,
    }
}

struct Column<'a> {
    name: &'a [u8],
    kind: i64,
    optional: bool,
    values: Vec<u8>,
}

#[derive(Default)]
struct Footer<'a> {
    columns: Vec<Column<'a>>,
    n_rows: i64,
    chunks: Vec<Chunk>,
    metadata: Vec<(&'a [u8], &'a [u8])>,
}

#[derive(Clone, Copy, Default)]
struct Chunk {
    kind: i64,
    codec: i64,
    n_values: i64,
    start: i64,
    length: i64,
    has_dictionary: bool,
}

/// The columns of a file of plain numbers, each with its name, physical type and bytes; and rows and metadata.
///
/// None for a file that is anything else, or none at all.
#[pyfunction]
fn plain_parquet<'py>(py: Python<'py>, content: &[u8]) -> PyResult<Option<Plain<'py>>> {
    let Some(footer) = read(content) else { return Ok(None) };
    let metadata = PyDict::new(py);
    for (key, value) in footer.metadata {
        metadata.set_item(PyBytes::new(py, key), PyBytes::new(py, value))?;
    }
    let mut columns = Vec::with_capacity(footer.columns.len());
    for column in footer.columns {
        let Ok(name) = std::str::from_utf8(column.name) else { return Ok(None) };
        columns.push((PyString::new(py, name), column.kind, PyByteArray::new(py, &column.values)));
    }
    Ok(Some((footer.n_rows, metadata, columns)))
}

/// Rows, metadata, and name, type and bytes of each column.
type Plain<'py> = (i64, Bound<'py, PyDict>, Vec<(Bound<'py, PyString>, i64, Bound<'py, PyByteArray>)>);

fn read(content: &[u8]) -> Option<Footer<'_>> {
    let body = content.strip_prefix(MAGIC)?.strip_suffix(MAGIC)?;
    let (body, length) = body.split_last_chunk::<4>()?;
    let start = body.len().checked_sub(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let mut footer = read_footer(&body[start..])?;
    if footer.columns.len() != footer.chunks.len() || footer.columns.is_empty() {
        return None;
    }
    let n_rows = usize::try_from(footer.n_rows).ok()?;
    for (column, chunk) in footer.columns.iter_mut().zip(&footer.chunks) {
        if column.kind != chunk.kind || chunk.n_values != footer.n_rows || chunk.has_dictionary {
            return None;
        }
        let start = usize::try_from(chunk.start).ok()?;
        let end = start.checked_add(usize::try_from(chunk.length).ok()?)?;
        column.values = read_page(content.get(start..end)?, column, chunk.codec, n_rows)?;
    }
    Some(footer)
}

/// The values of a chunk that is one page.
fn read_page(chunk: &[u8], column: &Column<'_>, codec: i64, n_rows: usize) -> Option<Vec<u8>> {
    let mut input = Input(chunk);
    let (mut kind, mut full, mut stored, mut data) = (None, None, None, None);
    input.fields(|input, field, wire| {
        match field {
            1 => kind = Some(input.integer(wire)?),
            2 => full = Some(input.integer(wire)?),
            3 => stored = Some(input.integer(wire)?),
            5 if wire == STRUCT => data = Some(read_data_header(input)?),
            _ => input.skip(wire, 0)?,
        }
        Some(())
    })?;
    let (n_values, encoding, levels) = data?;
    let (full, stored) = (usize::try_from(full?).ok()?, usize::try_from(stored?).ok()?);
    // A data page of plain values, with levels in runs; and it is all there is.
    if kind? != 0 || encoding != 0 || levels != 3 || usize::try_from(n_values).ok()? != n_rows {
        return None;
    }
    if input.0.len() != stored {
        return None;
    }
    let values = n_rows.checked_mul(width(column.kind)?)?;
    // At most as many bytes for levels as they take one by one.
    if full < values || full - values > n_rows / 4 + 64 || full / MOST_COMPRESSED > stored {
        return None;
    }
    let mut page = match codec {
        0 if stored == full => input.0.to_vec(),
        1 if snap::raw::decompress_len(input.0).ok()? == full => {
            snap::raw::Decoder::new().decompress_vec(input.0).ok()?
        }
        _ => return None,
    };
    if column.optional {
        let (length, rest) = page.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        if !all_there(rest.get(..length)?, n_rows)? {
            return None;
        }
        page.drain(..4 + length);
    }
    (page.len() == values).then_some(page)
}

/// Whether no value is missing, by levels of one bit in runs.
fn all_there(levels: &[u8], n_rows: usize) -> Option<bool> {
    let mut input = Input(levels);
    let mut left = n_rows;
    while left > 0 {
        let header = usize::try_from(input.unsigned()?).ok()?;
        if header & 1 == 0 {
            let count = header >> 1;
            if count == 0 || input.byte()? != 1 {
                return Some(false);
            }
            left = left.saturating_sub(count);
            continue;
        }
        let bytes = input.take(header >> 1)?;
        if bytes.is_empty() {
            return None;
        }
        for byte in bytes {
            let count = left.min(8);
            if byte.trailing_ones() < u32::try_from(count).ok()? {
                return Some(false);
            }
            left -= count;
        }
    }
    Some(true)
}

fn read_footer(bytes: &[u8]) -> Option<Footer<'_>> {
    let mut footer = Footer::default();
    let mut n_groups = 0;
    Input(bytes).fields(|input, field, wire| {
        match field {
            2 => read_schema(input, wire, &mut footer)?,
            3 => footer.n_rows = input.integer(wire)?,
            4 => {
                n_groups = input.list(wire)?;
                if n_groups != 1 {
                    return None;
                }
                read_group(input, &mut footer)?;
            }
            5 => {
                for _ in 0..input.list(wire)? {
                    let (mut key, mut value) = (None, None);
                    input.fields(|input, field, wire| {
                        match field {
                            1 => key = Some(input.binary(wire)?),
                            2 => value = Some(input.binary(wire)?),
                            _ => input.skip(wire, 0)?,
                        }
                        Some(())
                    })?;
                    footer.metadata.push((key?, value?));
                }
            }
            _ => input.skip(wire, 0)?,
        }
        Some(())
    })?;
    (n_groups == 1).then_some(footer)
}

/// The root, which has the number of columns, and the columns.
fn read_schema<'a>(input: &mut Input<'a>, wire: u8, footer: &mut Footer<'a>) -> Option<()> {
    let count = input.list(wire)?;
    for position in 0..count {
        let (mut kind, mut repetition, mut name, mut n_children) = (None, None, None, None);
        input.fields(|input, field, wire| {
            match field {
                1 => kind = Some(input.integer(wire)?),
                3 => repetition = Some(input.integer(wire)?),
                4 => name = Some(input.binary(wire)?),
                5 => n_children = Some(input.integer(wire)?),
                _ => input.skip(wire, 0)?,
            }
            Some(())
        })?;
        if position == 0 {
            if usize::try_from(n_children?).ok()? + 1 != count {
                return None; // columns in columns
            }
            continue;
        }
        let kind = kind?;
        width(kind)?;
        let optional = match repetition? {
            0 => false,
            1 => true,
            _ => return None,
        };
        footer.columns.push(Column { name: name?, kind, optional, values: Vec::new() });
    }
    Some(())
}

fn read_group<'a>(input: &mut Input<'a>, footer: &mut Footer<'a>) -> Option<()> {
    input.fields(|input, field, wire| {
        if field != 1 {
            return input.skip(wire, 0);
        }
        for _ in 0..input.list(wire)? {
            let mut chunk = None;
            input.fields(|input, field, wire| {
                match field {
                    1 | 8 => return None, // in another file, or encrypted
                    3 if wire == STRUCT => chunk = Some(read_chunk(input)?),
                    _ => input.skip(wire, 0)?,
                }
                Some(())
            })?;
            footer.chunks.push(chunk?);
        }
        Some(())
    })
}

fn read_chunk(input: &mut Input<'_>) -> Option<Chunk> {
    let mut chunk = Chunk { start: -1, ..Chunk::default() };
    input.fields(|input, field, wire| {
        match field {
            1 => chunk.kind = input.integer(wire)?,
            4 => chunk.codec = input.integer(wire)?,
            5 => chunk.n_values = input.integer(wire)?,
            7 => chunk.length = input.integer(wire)?,
            9 => chunk.start = input.integer(wire)?,
            11 => {
                input.integer(wire)?;
                chunk.has_dictionary = true;
            }
            _ => input.skip(wire, 0)?,
        }
        Some(())
    })?;
    Some(chunk)
}

/// Number of values, their encoding, and that of the levels which tell missing ones.
fn read_data_header(input: &mut Input<'_>) -> Option<(i64, i64, i64)> {
    let (mut n_values, mut encoding, mut levels) = (None, None, None);
    input.fields(|input, field, wire| {
        match field {
            1 => n_values = Some(input.integer(wire)?),
            2 => encoding = Some(input.integer(wire)?),
            3 => levels = Some(input.integer(wire)?),
            _ => input.skip(wire, 0)?,
        }
        Some(())
    })?;
    Some((n_values?, encoding?, levels?))
}

/// Bytes in Thrift's compact protocol.
struct Input<'a>(&'a [u8]);

const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    /// A number of 16, 32 or 64 bits.
    fn integer(&mut self, wire: u8) -> Option<i64> {
        if (4..=6).contains(&wire) { self.signed() } else { None }
    }

    fn binary(&mut self, wire: u8) -> Option<&'a [u8]> {
        if wire != BINARY {
            return None;
        }
        let length = usize::try_from(self.unsigned()?).ok()?;
        self.take(length)
    }

    /// The number of structures in a list of them.
    fn list(&mut self, wire: u8) -> Option<usize> {
        if wire != LIST {
            return None;
        }
        let (count, kind) = self.list_header()?;
        (kind == STRUCT).then_some(count)
    }

    fn list_header(&mut self) -> Option<(usize, u8)> {
        let header = self.byte()?;
        let count = match header >> 4 {
            15 => usize::try_from(self.unsigned()?).ok()?,
            count => usize::from(count),
        };
        // Each element takes a byte at least.
        (count <= self.0.len()).then_some((count, header & 15))
    }

    /// Calls `read` with the number and the kind of each field of a structure.
    fn fields(&mut self, mut read: impl FnMut(&mut Self, i64, u8) -> Option<()>) -> Option<()> {
        let mut field = 0_i64;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Some(());
            }
            field = match header >> 4 {
                0 => self.signed()?,
                step => field.checked_add(i64::from(step))?,
            };
            read(self, field, header & 15)?;
        }
    }

    fn skip(&mut self, wire: u8, depth: u32) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match wire {
            1 | 2 => {} // true and false are their own values
            3 => {
                self.byte()?;
            }
            4..=6 => {
                self.unsigned()?;
            }
            7 => {
                self.take(8)?;
            }
            BINARY => {
                self.binary(wire)?;
            }
            LIST | 10 => {
                let (count, kind) = self.list_header()?;
                for _ in 0..count {
                    // In a list true and false are bytes.
                    if kind <= 2 { self.byte().map(drop)? } else { self.skip(kind, depth + 1)? }
                }
            }
            STRUCT => self.fields(|input, _, wire| input.skip(wire, depth + 1))?,
            _ => return None,
        }
        Some(())
    }
}
