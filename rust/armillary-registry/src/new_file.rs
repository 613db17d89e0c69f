//! New files that have no name until they are whole.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
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

/// Makes a folder and those above it; gives the folders which have new names in them then.
pub(crate) fn make_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|one| !one.is_dir()).collect();
    let mut parents = Vec::with_capacity(missing.len());
    for one in missing.into_iter().rev() {
        match fs::create_dir(one) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !one.is_dir() => return Err(error),
            _ => parents.extend(one.parent().map(Path::to_path_buf)), // or another writer was faster
        }
    }
    Ok(parents)
}

#[cfg(target_os = "linux")]
pub(crate) mod system {
    use super::Ordered;
    use rustix::{
        fs::{Advice, AtFlags, CWD, FsWord, Mode, OFlags, fadvise, fstatfs, linkat, major, minor, openat, syncfs},
        io::Errno,
    };
    use std::{
        ffi::OsStr,
        fs::{self, File},
        io,
        os::{
            fd::{AsFd, AsRawFd as _},
            unix::fs::MetadataExt as _,
        },
        path::Path,
    };

    const EXT4: FsWord = 0xEF53;
    const XFS: FsWord = 0x5846_5342;

    pub(crate) fn nameless(folder: &Path) -> io::Result<Option<File>> {
        nameless_at(CWD, folder)
    }

    /// Opens what is a folder, and nothing else.
    pub(crate) fn open_folder(path: &Path) -> io::Result<File> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(openat(CWD, path, flags, Mode::empty())?.into())
    }

    /// A file without a name in an open folder; none where there are no such files.
    pub(crate) fn nameless_in(folder: &File) -> io::Result<Option<File>> {
        nameless_at(folder, Path::new("."))
    }

    fn nameless_at(folder: impl AsFd, path: &Path) -> io::Result<Option<File>> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        match openat(folder, path, flags, Mode::from_raw_mode(0o666)) {
            Ok(descriptor) => Ok(Some(descriptor.into())),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Begins to write what is in a file to disk, and not what is known of it. False where that cannot be done.
    pub(crate) fn begin_writing(file: &File) -> io::Result<bool> {
        match sync_range(file, libc::SYNC_FILE_RANGE_WRITE) {
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::SPIPE) => Ok(false),
            done => Ok(done.map(|()| true)?),
        }
    }

    /// Waits until what is in a file is on disk. What is known of it, such as its size, may need a sync still.
    pub(crate) fn wait_written(file: &File) -> io::Result<()> {
        let all = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
        Ok(sync_range(file, all)?)
    }

    #[expect(unsafe_code, reason = "no crate has a safe form of this call")]
    fn sync_range(file: &File, flags: libc::c_uint) -> Result<(), Errno> {
        loop {
            // SAFETY: the call takes an open file and numbers, no memory.
            if unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, flags) } == 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            match Errno::from_io_error(&error).unwrap_or(Errno::IO) {
                Errno::INTR => {}
                errno => return Err(errno),
            }
        }
    }

    /// Lets the system write a file soon, which it does for those that it need not keep in memory.
    pub(crate) fn drop_written(file: &File) {
        fadvise(file, 0, None, Advice::DontNeed).ok(); // it is advice
    }

    pub(crate) fn ordered(file: &File) -> io::Result<Option<Ordered>> {
        if !matches!(fstatfs(file)?.f_type, EXT4 | XFS) {
            return Ok(None);
        }
        Ok(Some(Ordered { device: file.metadata()?.dev() }))
    }

    pub(crate) fn device(file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.dev())
    }

    /// Whether the file system surely has a journal that keeps all changes in their order; ext4 may be without.
    pub(crate) fn keeps_order(file: &File, device: u64) -> io::Result<bool> {
        Ok(match fstatfs(file)?.f_type {
            XFS => true,
            EXT4 => has_journal(device).unwrap_or(false),
            _ => false,
        })
    }

    /// Whether ext4 on a device has a journal, and so a process that writes it; none if that is not known.
    fn has_journal(device: u64) -> Option<bool> {
        let found = fs::read_link(format!("/sys/dev/block/{}:{}", major(device), minor(device))).ok()?;
        let task = Path::new("/sys/fs/ext4").join(found.file_name()?).join("journal_task");
        Some(fs::read_to_string(task).ok()?.trim().parse::<u32>().is_ok())
    }

    /// Bytes that are to be written to any disk; none if that is not known.
    pub(crate) fn unwritten() -> Option<u64> {
        let known = fs::read_to_string("/proc/meminfo").ok()?;
        let kibibytes = |name: &str| -> Option<u64> {
            let line = known.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix("kB")?.trim().parse().ok()
        };
        Some((kibibytes("Dirty:")? + kibibytes("Writeback:")?) << 10)
    }

    /// Makes everything in a file system stay.
    pub(crate) fn sync_file_system(file: &File) -> io::Result<()> {
        Ok(syncfs(file)?)
    }

    /// False if there is no way to name it; that the folder is gone is found out again by who then writes otherwise.
    pub(crate) fn name(file: &File, target: &Path) -> io::Result<bool> {
        name_at(file, CWD, target)
    }

    /// The same with a name in an open folder.
    pub(crate) fn name_in(file: &File, folder: &File, name: &OsStr) -> io::Result<bool> {
        name_at(file, folder, Path::new(name))
    }

    fn name_at(file: &File, folder: impl AsFd, target: &Path) -> io::Result<bool> {
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        match linkat(CWD, own, folder, target, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::PERM | Errno::OPNOTSUPP | Errno::XDEV | Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) mod system {
    use super::Ordered;
    use std::{ffi::OsStr, fs::File, io, path::Path};

    pub(crate) fn nameless(_folder: &Path) -> io::Result<Option<File>> {
        Ok(None)
    }

    pub(crate) fn open_folder(path: &Path) -> io::Result<File> {
        File::open(path)
    }

    pub(crate) fn nameless_in(_folder: &File) -> io::Result<Option<File>> {
        Ok(None)
    }

    pub(crate) fn ordered(_file: &File) -> io::Result<Option<Ordered>> {
        Ok(None)
    }

    pub(crate) fn device(_file: &File) -> io::Result<u64> {
        Ok(0)
    }

    pub(crate) fn keeps_order(_file: &File, _device: u64) -> io::Result<bool> {
        Ok(false)
    }

    pub(crate) fn unwritten() -> Option<u64> {
        None
    }

    pub(crate) fn sync_file_system(file: &File) -> io::Result<()> {
        file.sync_all()
    }

    pub(crate) fn begin_writing(_file: &File) -> io::Result<bool> {
        Ok(false)
    }

    pub(crate) fn wait_written(file: &File) -> io::Result<()> {
        file.sync_all()
    }

    pub(crate) fn drop_written(_file: &File) {}

    pub(crate) fn name(_file: &File, _target: &Path) -> io::Result<bool> {
        Ok(false)
    }

    pub(crate) fn name_in(_file: &File, _folder: &File, _name: &OsStr) -> io::Result<bool> {
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
