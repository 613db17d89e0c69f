//! Quantum graph files (`.qg`): a zip of zstd frames of JSON, with tables of addresses.
//!
//! Everything in a file is data and may be wrong: sizes and offsets are checked before they are used, and nothing that a
//! file names is imported or run.

mod addresses;
mod archive;
mod assembler;
mod json_out;
mod model;
mod parts;
mod quick;
mod reader;
mod records;
mod scan;
mod writer;

pub use assembler::{Documents, assemble};
pub use parts::{PartsReader, PartsWriter};
pub use reader::{GraphReader, ThinGraph};
pub use writer::{WriteOptions, write};
