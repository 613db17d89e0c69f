//! An announcement in an attribute of the file of announcements.
//!
//! To set it changes no content but the file's own description, which file systems keep in their journal, in order with
//! the names of files. So it takes no sync of its own: what makes the name of an announced file stay makes it stay.

use std::{fs::File, io};

/// Sets the attribute; false where there is no such thing, or not enough room.
#[cfg(target_os = "linux")]
pub(super) fn set(file: &File, line: &[u8]) -> io::Result<bool> {
    use rustix::{
        fs::{XattrFlags, fsetxattr},
        io::Errno,
    };
    if line.len() > LONGEST {
        return Ok(false);
    }
    match fsetxattr(file, NAME, line, XattrFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOSPC | Errno::TOOBIG | Errno::RANGE | Errno::PERM | Errno::ACCESS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Leaves the attribute empty, with which it keeps its room.
#[cfg(target_os = "linux")]
pub(super) fn clear(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fsetxattr(file, NAME, b"", rustix::fs::XattrFlags::empty())?)
}

/// What the attribute says; nothing if there is none.
#[cfg(target_os = "linux")]
pub(super) fn get(file: &File) -> io::Result<Vec<u8>> {
    use rustix::{fs::fgetxattr, io::Errno};
    let mut line = vec![0; LONGEST];
    match fgetxattr(file, NAME, line.as_mut_slice()) {
        Ok(length) => line.truncate(length),
        // One that is longer is none of ours.
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => line.clear(),
        Err(error) => return Err(error.into()),
    }
    Ok(line)
}

#[cfg(target_os = "linux")]
const NAME: &str = "user.armillary.announced";

/// Longer ones are written into the file; ext4 has 4096 bytes for all attributes of a file.
#[cfg(target_os = "linux")]
const LONGEST: usize = 2048;

#[cfg(not(target_os = "linux"))]
pub(super) fn set(_file: &File, _line: &[u8]) -> io::Result<bool> {
    Ok(false)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn clear(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn get(_file: &File) -> io::Result<Vec<u8>> {
    Ok(Vec::new())
}
