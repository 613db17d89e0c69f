//! Members of the zip and the zstd frames in them.

use super::addresses::invalid;
use crate::GraphError;
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};
use zip::{CompressionMethod, ZipArchive, result::ZipError};

/// No member or block of an honest graph is longer; more would be an attempt to fill the memory.
const LONGEST: u64 = 1 << 34;
/// Nor does honest text shrink to less than one part in so many, beyond what is small anyway.
const MOST_SHRUNK: u64 = 2000;
/// Blocks up to this size are unpacked in one go.
const SHORT: u64 = 1 << 26;

/// An open graph file.
pub(super) struct Archive {
    path: PathBuf,
    zip: ZipArchive<BufReader<File>>,
    dictionary: Option<Vec<u8>>,
}

/// The system's number for it, on Linux and macOS.
const IS_A_DIRECTORY: i32 = 21;

/// Where a member lies in the file, if it is stored as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u64,
    pub(super) size: u64,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self, GraphError> {
        let file = File::open(path).map_err(|error| GraphError::io(path, error))?;
        if file.metadata().is_ok_and(|known| known.is_dir()) {
            // What reading it would say depends on the file system.
            return Err(GraphError::io(path, io::Error::from_raw_os_error(IS_A_DIRECTORY)));
        }
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| match error {
            ZipError::Io(error) if error.raw_os_error().is_some() => GraphError::io(path, error),
            other => invalid(format!("`{}` is not a quantum graph file: {other}", path.display())),
        })?;
        let mut archive = Self { path: path.to_owned(), zip, dictionary: None };
        if archive.has("compression_dict") {
            // Where there was too little to learn from, the dictionary is there but empty.
            archive.dictionary = Some(archive.member("compression_dict")?).filter(|bytes| !bytes.is_empty());
        }
        Ok(archive)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(name).is_some()
    }

    pub(super) fn dictionary(&self) -> Option<&[u8]> {
        self.dictionary.as_deref()
    }

    fn wrong(&self, name: &str, error: &ZipError) -> GraphError {
        let path = self.path.display();
        match error {
            ZipError::FileNotFound => invalid(format!("`{path}` has no member `{name}`")),
            _ => invalid(format!("member `{name}` of `{path}` cannot be read: {error}")),
        }
    }

    /// A whole member.
    pub(super) fn member(&mut self, name: &str) -> Result<Vec<u8>, GraphError> {
        let path = self.path.clone();
        let outcome = self.zip.by_name(name).and_then(|mut member| {
            let mut bytes = Vec::new();
            Read::by_ref(&mut member).take(LONGEST).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        outcome.map_err(|error| match error {
            ZipError::FileNotFound => invalid(format!("`{}` has no member `{name}`", path.display())),
            _ => invalid(format!("member `{name}` of `{}` cannot be read: {error}", path.display())),
        })
    }

    /// The JSON text in the one frame of a member.
    pub(super) fn json(&mut self, name: &str) -> Result<Vec<u8>, GraphError> {
        let packed = self.member(name)?;
        Unpacker::new(self.dictionary())?.unpack(&packed).map_err(|error| match error {
            GraphError::InvalidFile { reason } => invalid(format!("member `{name}`: {reason}")),
            other => other,
        })
    }

    /// Where a member lies, if single blocks of it can be read; `None` if it is packed.
    pub(super) fn span(&mut self, name: &str) -> Result<Option<Span>, GraphError> {
        let found = self.zip.by_name(name).map(|member| {
            let stored = member.compression() == CompressionMethod::Stored;
            stored.then(|| Span { start: member.data_start(), size: member.size() })
        });
        match found {
            Ok(span) => Ok(span),
            Err(error) => Err(self.wrong(name, &error)),
        }
    }

    /// Part of a member.
    pub(super) fn read_span(&self, span: Span, offset: u64, size: u64) -> Result<Vec<u8>, GraphError> {
        if offset.checked_add(size).is_none_or(|end| end > span.size) {
            return Err(invalid(format!("a block of {size} bytes at {offset} lies outside of its member")));
        }
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(span.start + offset))?;
            let mut bytes = Vec::new();
            file.take(size).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error| GraphError::io(&self.path, error))?;
        if bytes.len() as u64 == size { Ok(bytes) } else { Err(invalid("the file ends inside of a block")) }
    }
}

/// Whether a zstd frame ends with a checksum of its content: a flag in the byte after the magic number.
pub(super) fn has_checksum(frame: &[u8]) -> bool {
    frame.get(4).is_some_and(|flags| flags & 4 != 0)
}

/// Unpacks frames, one after the other.
pub(super) struct Unpacker<'a> {
    whole: zstd::bulk::Decompressor<'static>,
    dictionary: Option<&'a [u8]>,
    buffer: Vec<u8>,
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(dictionary: Option<&'a [u8]>) -> Result<Self, GraphError> {
        let whole = match dictionary {
            Some(bytes) => zstd::bulk::Decompressor::with_dictionary(bytes),
            None => zstd::bulk::Decompressor::new(),
        };
        whole
            .map(|whole| Self { whole, dictionary, buffer: Vec::new() })
            .map_err(|error| invalid(format!("the dictionary: {error}")))
    }

    /// The content of a frame in memory that the next one takes over.
    pub(super) fn unpack_again(&mut self, frame: &[u8]) -> Result<&[u8], GraphError> {
        match zstd::zstd_safe::get_frame_content_size(frame).ok().flatten().and_then(|size| usize::try_from(size).ok())
        {
            Some(size) if size as u64 <= SHORT => {
                self.buffer.clear();
                self.buffer.reserve(size);
                let outcome = self.whole.decompress_to_buffer(frame, &mut self.buffer);
                outcome.map_err(|error| invalid(format!("a bad zstd frame: {error}")))?;
            }
            _ => self.buffer = self.unpack(frame)?,
        }
        Ok(&self.buffer)
    }

    /// The content of a frame, whatever size it claims to have.
    pub(super) fn unpack(&mut self, frame: &[u8]) -> Result<Vec<u8>, GraphError> {
        let claimed = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten();
        let longest = LONGEST.min((frame.len() as u64).saturating_mul(MOST_SHRUNK)).max(SHORT);
        match claimed {
            Some(size) if size <= SHORT => {
                let capacity = usize::try_from(size).unwrap_or(0);
                self.whole.decompress(frame, capacity).map_err(|error| invalid(format!("a bad zstd frame: {error}")))
            }
            Some(size) if size > longest => Err(invalid(format!("a frame that claims to hold {size} bytes"))),
            // Long or of unknown length: memory grows with what is really there.
            _ => {
                let read = || -> io::Result<Vec<u8>> {
                    let mut bytes = Vec::new();
                    let mut decoder =
                        zstd::stream::Decoder::with_dictionary(frame, self.dictionary.unwrap_or(&[]))?.single_frame();
                    Read::by_ref(&mut decoder).take(longest).read_to_end(&mut bytes)?;
                    Ok(bytes)
                };
                read().map_err(|error| invalid(format!("a bad zstd frame: {error}")))
            }
        }
    }
}
