//! New files that have no name until they are whole.

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
};

/// A file that is being written and has no name; one that never gets any is gone when it is closed.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    ordered: Option<Ordered>,
}

/// A file system whose journal keeps all changes of names and attributes in their order.
///
/// Who makes one of them stay makes those before it stay, also those of other files. So a file that is synced after it
/// got its name keeps both, and an attribute that was set before is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ordered {
    /// The number of its device, which tells it from others.
    pub(crate) device: u64,
}

impl NewFile {
    /// Writes the content of a file that is to be in a folder; none where files without names cannot be made.
    pub(crate) fn write(folder: &Path, content: &[u8]) -> io::Result<Option<Self>> {
        let Some(mut file) = system::nameless(folder)? else { return Ok(None) };
        file.write_all(content)?;
        let ordered = system::ordered(&file)?;
        Ok(Some(Self { file, ordered }))
    }

    /// The file system, if it keeps the order of changes.
    pub(crate) fn ordered(&self) -> Option<Ordered> {
        self.ordered
    }

    /// Gives it its name, which must not be taken; if it cannot be made to stay, it is undone.
    ///
    /// False where a file cannot be named later: nothing was done then.
    pub(crate) fn publish(&self, target: &Path, durable: bool) -> Result<bool, Failure> {
        match system::name(&self.file, target) {
            Ok(true) if durable => {}
            Ok(named) => return Ok(named),
            Err(error) => return Err(Failure { error, undone: true }),
        }
        let folder = target.parent().unwrap_or(Path::new("."));
        let synced = self.file.sync_all().and_then(|()| match self.ordered {
            Some(_) => Ok(()),
            None => sync_folder(folder),
        });
        synced.map(|()| true).map_err(|error| {
            let removed = std::fs::remove_file(target).and_then(|()| sync_folder(folder));
            Failure { error, undone: removed.is_ok() }
        })
    }
}

/// Why a file did not get its name.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: io::Error,
    /// Whether nothing is left of it.
    pub(crate) undone: bool,
}

/// Makes the names in a folder stay.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some network file systems cannot.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

#[cfg(target_os = "linux")]
mod system {
    use super::Ordered;
    use rustix::{
        fs::{AtFlags, CWD, FsWord, Mode, OFlags, fstatfs, linkat, open},
        io::Errno,
    };
    use std::{
        fs::File,
        io,
        os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
        path::Path,
    };

    const EXT4: FsWord = 0xEF53;
    const XFS: FsWord = 0x5846_5342;

    pub(super) fn nameless(folder: &Path) -> io::Result<Option<File>> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        match open(folder, flags, Mode::from_raw_mode(0o666)) {
            Ok(descriptor) => Ok(Some(descriptor.into())),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn ordered(file: &File) -> io::Result<Option<Ordered>> {
        if !matches!(fstatfs(file)?.f_type, EXT4 | XFS) {
            return Ok(None);
        }
        Ok(Some(Ordered { device: file.metadata()?.dev() }))
    }

    /// False if there is no way to name it; that the folder is gone is found out again by who then writes otherwise.
    pub(super) fn name(file: &File, target: &Path) -> io::Result<bool> {
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        match linkat(CWD, own, CWD, target, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::PERM | Errno::OPNOTSUPP | Errno::XDEV | Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::Ordered;
    use std::{fs::File, io, path::Path};

    pub(super) fn nameless(_folder: &Path) -> io::Result<Option<File>> {
        Ok(None)
    }

    pub(super) fn ordered(_file: &File) -> io::Result<Option<Ordered>> {
        Ok(None)
    }

    pub(super) fn name(_file: &File, _target: &Path) -> io::Result<bool> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_has_no_name_until_it_is_whole_and_takes_none_that_is_taken() {
        let folder = std::env::temp_dir().join(format!("armillary-new-file-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let target = folder.join("a.json");
        let Some(file) = NewFile::write(&folder, b"first").expect("written") else { return };
        assert_eq!(fs::read_dir(&folder).expect("listed").count(), 0);
        if !file.publish(&target, true).expect("named") {
            return; // without /proc
        }
        let second = NewFile::write(&folder, b"second").expect("written").expect("as before");
        let failure = second.publish(&target, true).expect_err("taken");
        assert!(failure.undone && failure.error.kind() == io::ErrorKind::AlreadyExists);
        drop(second);
        assert_eq!(fs::read(&target).expect("there"), b"first");
        assert_eq!(fs::read_dir(&folder).expect("listed").count(), 1);
        let missing = NewFile::write(&folder.join("none"), b"").expect_err("no folder");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        fs::remove_dir_all(folder).ok();
    }
}
