//! One new file, announced and written in one go.

use crate::{
    error::RegistryError,
    new_file::{Failure, NewFile},
    registry::Registry,
};
use std::{io, path::Path};

/// Why a file was not written.
#[derive(Debug)]
pub enum WriteError {
    /// It could not be announced.
    Registry(RegistryError),
    /// What the operating system says.
    File(io::Error),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

impl Registry {
    /// Writes one new file, announced before it gets its name, and gives the number of the announcement.
    ///
    /// It has no name until it is whole; if `durable`, content and name stay on return, and a power cut before leaves at
    /// most what is announced. None, and nothing is done, where files cannot be written so. On failure nothing is left,
    /// or what is left stays announced.
    pub fn write_announced(
        &self,
        datastore_name: &str,
        root: &Path,
        path: &str,
        content: &[u8],
        durable: bool,
    ) -> Result<Option<i64>, WriteError> {
        let target = root.join(path);
        let Some(file) = NewFile::write(target.parent().unwrap_or(root), content)? else { return Ok(None) };
        let ordered = file.ordered().filter(|_| durable);
        let intent = self.announce(datastore_name, &[path.to_owned()], ordered).map_err(WriteError::Registry)?;
        let (undone, result) = match file.publish(&target, durable) {
            Ok(true) => return Ok(Some(intent)),
            Ok(false) => (true, Ok(None)),
            Err(Failure { error, undone }) => (undone, Err(WriteError::File(error))),
        };
        if undone {
            self.abandon_write(intent).map_err(WriteError::Registry)?;
        }
        result
    }
}
