//! Graph files as named parts: documents of JSON, and blocks of JSON that are found by id.
//!
//! Provenance graphs are read and written in this way; what the parts say is for the caller to know.

use super::{
    addresses::{Address, Integers, invalid},
    archive::{Archive, Span, Unpacker},
};
use crate::{GraphError, Id};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Width in bytes of the integers in the files that are written.
const INT_SIZE: usize = 8;

/// An open file of parts.
pub struct PartsReader {
    archive: Archive,
    tables: BTreeMap<String, Table>,
}

/// Addresses by id: for each, one in every member of blocks.
struct Table {
    integers: Integers,
    columns: usize,
    rows: Vec<(Id, Vec<Address>)>,
}

impl Table {
    fn parse(bytes: &[u8]) -> Result<Self, GraphError> {
        let short = || invalid("the address table is cut short");
        let integers = Integers::new(bytes.first().map_or(0, |first| usize::from(*first)))?;
        let size = integers.size;
        let rows = integers.read(bytes.get(1..).unwrap_or_default()).ok_or_else(short)?;
        let columns = integers.read(bytes.get(1 + size..).unwrap_or_default()).ok_or_else(short)?;
        let columns = usize::try_from(columns).ok().filter(|columns| (1..=64).contains(columns));
        let columns = columns.ok_or_else(|| invalid("the address table has no sensible number of columns"))?;
        let row_size = 16 + size * (1 + 2 * columns);
        let body = bytes.get(1 + 2 * size..).ok_or_else(short)?;
        if usize::try_from(rows).ok().and_then(|rows| rows.checked_mul(row_size)) != Some(body.len()) {
            return Err(invalid(format!("the address table says {rows} rows and has {} bytes of them", body.len())));
        }
        let mut table = Vec::with_capacity(body.len() / row_size);
        for row in body.chunks_exact(row_size) {
            let (id, numbers) = row.split_at(16);
            let mut key = [0; 16];
            key.copy_from_slice(id);
            let number = |at: usize| integers.read(&numbers[at * size..]).ok_or_else(short);
            let addresses = (0..columns)
                .map(|column| Ok(Address { offset: number(1 + 2 * column)?, size: number(2 + 2 * column)? }))
                .collect::<Result<_, GraphError>>()?;
            table.push((key, addresses));
        }
        table.sort_by_key(|(id, _)| *id);
        Ok(Self { integers, columns, rows: table })
    }

    fn serialize(rows: &BTreeMap<Id, Vec<Address>>, columns: usize, integers: Integers) -> Vec<u8> {
        let mut out = vec![u8::try_from(integers.size).unwrap_or(8)];
        integers.write(&mut out, rows.len() as u64);
        integers.write(&mut out, columns as u64);
        for (index, (id, addresses)) in rows.iter().enumerate() {
            out.extend_from_slice(id);
            integers.write(&mut out, index as u64);
            for column in 0..columns {
                let address = addresses.get(column).copied().unwrap_or_default();
                integers.write(&mut out, address.offset);
                integers.write(&mut out, address.size);
            }
        }
        out
    }
}

impl PartsReader {
    /// Opens a file; nothing in it is read yet.
    pub fn open(path: &Path) -> Result<Self, GraphError> {
        Ok(Self { archive: Archive::open(path)?, tables: BTreeMap::new() })
    }

    /// Whether there is a document of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.archive.has(&format!("{name}.json.zst"))
    }

    /// The text of a document.
    pub fn document(&mut self, name: &str) -> Result<Vec<u8>, GraphError> {
        self.archive.json(&format!("{name}.json.zst"))
    }

    /// The texts of all blocks of a member, in their order; `int_size` is the width of its length words.
    pub fn blocks(&mut self, name: &str, int_size: usize) -> Result<Vec<Vec<u8>>, GraphError> {
        let integers = Integers::new(int_size)?;
        let bytes = self.archive.member(&format!("{name}.mb"))?;
        let mut unpacker = Unpacker::new(self.archive.dictionary())?;
        let mut rest = bytes.as_slice();
        let mut texts = Vec::new();
        while !rest.is_empty() {
            let length = integers.read(rest).and_then(|length| usize::try_from(length).ok());
            let frame = length.and_then(|length| rest.get(integers.size..)?.get(..length));
            let frame = frame.ok_or_else(|| invalid(format!("a block of `{name}` is cut short")))?;
            texts.push(unpacker.unpack(frame)?);
            rest = &rest[integers.size + frame.len()..];
        }
        Ok(texts)
    }

    /// The texts of the blocks that ids have in a member, which is one of the columns of a table.
    pub fn find(
        &mut self,
        table: &str,
        member: &str,
        column: usize,
        ids: &[Id],
    ) -> Result<Vec<Option<Vec<u8>>>, GraphError> {
        if !self.tables.contains_key(table) {
            let parsed = Table::parse(&self.archive.member(&format!("{table}.addr"))?)?;
            self.tables.insert(table.to_owned(), parsed);
        }
        let span = self.archive.span(&format!("{member}.mb"))?;
        let span = span.ok_or_else(|| invalid(format!("the blocks of `{member}` are packed and cannot be picked")))?;
        let mut unpacker = Unpacker::new(self.archive.dictionary())?;
        let table = &self.tables[table];
        if column >= table.columns {
            return Err(invalid(format!("the address table has no column for `{member}`")));
        }
        ids.iter().map(|id| self.pick(table, span, column, id, &mut unpacker)).collect()
    }

    fn pick(
        &self,
        table: &Table,
        span: Span,
        column: usize,
        id: &Id,
        unpacker: &mut Unpacker<'_>,
    ) -> Result<Option<Vec<u8>>, GraphError> {
        let Ok(at) = table.rows.binary_search_by_key(id, |(key, _)| *key) else { return Ok(None) };
        let address = table.rows[at].1[column];
        if address.size == 0 {
            return Ok(None);
        }
        let block = self.archive.read_span(span, address.offset, address.size)?;
        let width = table.integers.size;
        if table.integers.read(&block) != Some(address.size.saturating_sub(width as u64)) {
            return Err(invalid("a block is not as long as the address table says"));
        }
        unpacker.unpack(&block[width..]).map(Some)
    }
}

/// Writes a file of parts, which appears under its name when it is complete.
pub struct PartsWriter {
    path: PathBuf,
    temporary: PathBuf,
    zip: Option<ZipWriter<BufWriter<File>>>,
    packer: zstd::bulk::Compressor<'static>,
    integers: Integers,
    columns: usize,
    offset: u64,
    rows: BTreeMap<Id, Vec<Address>>,
}

impl PartsWriter {
    /// Begins a file; `samples` are blocks to learn a dictionary of at most `dictionary_size` bytes from.
    pub fn create(path: &Path, level: i32, samples: &[Vec<u8>], dictionary_size: usize) -> Result<Self, GraphError> {
        // Samples too alike or too few to learn from: the file does without.
        let learn = dictionary_size > 0 && !samples.is_empty();
        let learned = if learn { zstd::dict::from_samples(samples, dictionary_size).ok() } else { None };
        let dictionary = learned.filter(|bytes| !bytes.is_empty());
        let packer = match &dictionary {
            Some(bytes) => zstd::bulk::Compressor::with_dictionary(level, bytes),
            None => zstd::bulk::Compressor::new(level),
        };
        let packer = packer.map_err(|error| invalid(format!("zstd: {error}")))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let temporary = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let file = File::create(&temporary).map_err(|error| GraphError::io(path, error))?;
        let mut writer = Self {
            path: path.to_owned(),
            temporary,
            zip: Some(ZipWriter::new(BufWriter::new(file))),
            packer,
            integers: Integers::new(INT_SIZE)?,
            columns: 0,
            offset: 0,
            rows: BTreeMap::new(),
        };
        if let Some(bytes) = dictionary {
            writer.member("compression_dict", &bytes)?;
        }
        Ok(writer)
    }

    fn failed(&self, error: impl Into<std::io::Error>) -> GraphError {
        GraphError::io(&self.path, error.into())
    }

    fn begin(&mut self, name: &str) -> Result<(), GraphError> {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
        let zip = self.zip.as_mut().ok_or_else(|| invalid("the file is finished"))?;
        let started = zip.start_file(name, options);
        started.map_err(|error| self.failed(error))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), GraphError> {
        let zip = self.zip.as_mut().ok_or_else(|| invalid("the file is finished"))?;
        let written = zip.write_all(bytes);
        written.map_err(|error| self.failed(error))
    }

    fn member(&mut self, name: &str, bytes: &[u8]) -> Result<(), GraphError> {
        self.begin(name)?;
        self.put(bytes)
    }

    /// Writes a document.
    pub fn document(&mut self, name: &str, text: &[u8]) -> Result<(), GraphError> {
        let packed = self.packer.compress(text).map_err(|error| self.failed(error))?;
        self.member(&format!("{name}.json.zst"), &packed)
    }

    /// Begins a member of blocks; its addresses go into this column of the table.
    pub fn begin_blocks(&mut self, name: &str) -> Result<(), GraphError> {
        self.offset = 0;
        self.begin(&format!("{name}.mb"))
    }

    /// Writes a block into the member that was begun last, to be found by each of the ids.
    pub fn block(&mut self, column: usize, ids: &[Id], text: &[u8]) -> Result<(), GraphError> {
        let packed = self.packer.compress(text).map_err(|error| self.failed(error))?;
        let mut bytes = Vec::with_capacity(self.integers.size + packed.len());
        self.integers.write(&mut bytes, packed.len() as u64);
        bytes.extend_from_slice(&packed);
        self.put(&bytes)?;
        self.columns = self.columns.max(column + 1);
        let address = Address { offset: self.offset, size: bytes.len() as u64 };
        self.offset += bytes.len() as u64;
        for id in ids {
            let row = self.rows.entry(*id).or_default();
            row.resize(row.len().max(column + 1), Address::default());
            row[column] = address;
        }
        Ok(())
    }

    /// Writes the table of addresses, with at least so many columns, and ends the file.
    pub fn finish(&mut self, table: &str, columns: usize) -> Result<(), GraphError> {
        let bytes = Table::serialize(&self.rows, self.columns.max(columns), self.integers);
        self.member(&format!("{table}.addr"), &bytes)?;
        let Some(zip) = self.zip.take() else { return Ok(()) };
        let done = || -> std::io::Result<()> {
            let file = zip.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.sync_all()?;
            std::fs::rename(&self.temporary, &self.path)
        };
        done().map_err(|error| self.failed(error))
    }
}

impl Drop for PartsWriter {
    fn drop(&mut self) {
        // After success there is nothing left under this name.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_written() {
        let folder = std::env::temp_dir().join(format!("armillary-parts-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("parts.qg");
        let mut writer = PartsWriter::create(&path, 3, &[], 0).unwrap();
        writer.document("header", b"{}").unwrap();
        writer.begin_blocks("second").unwrap();
        writer.block(1, &[[1; 16], [2; 16]], b"shared").unwrap();
        writer.block(1, &[[3; 16]], b"own").unwrap();
        writer.begin_blocks("first").unwrap();
        writer.block(0, &[[3; 16]], b"other").unwrap();
        writer.finish("nodes", 4).unwrap();
        let mut reader = PartsReader::open(&path).unwrap();
        assert_eq!(reader.document("header").unwrap(), b"{}");
        assert_eq!(reader.blocks("second", 8).unwrap(), [b"shared".to_vec(), b"own".to_vec()]);
        let found = reader.find("nodes", "second", 1, &[[2; 16], [3; 16], [9; 16]]).unwrap();
        assert_eq!(found, [Some(b"shared".to_vec()), Some(b"own".to_vec()), None]);
        assert_eq!(reader.find("nodes", "first", 0, &[[1; 16], [3; 16]]).unwrap(), [None, Some(b"other".to_vec())]);
        assert!(reader.find("nodes", "first", 4, &[]).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn tables_that_lie_are_refused() {
        let rows = BTreeMap::from([([7; 16], vec![Address { offset: 1, size: 2 }])]);
        let good = Table::serialize(&rows, 2, Integers::new(8).unwrap());
        assert_eq!(Table::parse(&good).unwrap().rows.len(), 1);
        for length in 0..good.len() {
            assert!(Table::parse(&good[..length]).is_err(), "{length}");
        }
        for at in 0..17 {
            let mut bad = good.clone();
            bad[at] = 255;
            assert!(Table::parse(&bad).is_err(), "{at}");
        }
    }
}
