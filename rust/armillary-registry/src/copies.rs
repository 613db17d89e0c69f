//! Copies of files, of which none has a name before it is whole.

use crate::new_file::{make_folder, sync_folder, system};
use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

/// Files and folders that are open at the same time; a process may have 1024 on most systems.
const OPEN_AT_ONCE: usize = 256;
/// Bytes; longer files are copied by the kernel, which may let both share what is in them.
const BY_HAND: usize = 1 << 16;
/// Fewer files are synced one by one.
const WORTH_ALL: usize = 16;
/// Bytes of others that we let be written for each file of ours, where only a whole file system can be synced at once:
/// what a disk writes while it is flushed once, about.
const LITTLE: u64 = 1 << 20;

/// A file, and the name of its copy.
#[derive(Clone, Debug)]
pub struct Copy {
    /// What is copied.
    pub source: PathBuf,
    /// The new name.
    pub target: PathBuf,
}

/// What became of copies.
#[derive(Debug, Default)]
pub struct Copied {
    /// Bytes of each copy that got its name: of the first ones, in the order given.
    pub sizes: Vec<u64>,
    /// Why others did not. None if all did, or if the others cannot be made so and have to be in another way.
    pub failure: Option<CopyError>,
}

/// Why files were not copied.
#[derive(Debug)]
pub enum CopyError {
    /// What the operating system says of a file.
    File {
        /// What it says.
        error: io::Error,
        /// The source or the target.
        path: PathBuf,
    },
    /// The caller did not want to go on.
    Stopped,
}

/// Copies files to new names, and makes the folders that are missing.
///
/// They get their names some hundred at a time. If they are to be `durable`, contents, names and folders stay on return.
/// Where a journal keeps everything in its order, contents are on disk before they have names, and one sync does the
/// rest for all of some hundred; elsewhere one of the whole file system does, unless much of others waits to be written.
/// A name that is taken is a failure. `go_on` is asked before each file.
pub fn copy_files(copies: &[Copy], durable: bool, mut go_on: impl FnMut() -> bool) -> Copied {
    let mut outcome = Copied::default();
    let mut buffer = vec![0; BY_HAND];
    while outcome.sizes.len() < copies.len() {
        let mut batch = Batch::new(durable);
        let left = &copies[outcome.sizes.len()..];
        let done = batch.fill(left, &mut buffer, &mut go_on).and_then(|()| batch.publish(&mut outcome.sizes));
        if let Err(halt) = done {
            if let Halt::Failed(error) = halt {
                outcome.failure = Some(error);
            }
            break;
        }
    }
    outcome
}

/// Why no more is done.
enum Halt {
    Failed(CopyError),
    /// Files cannot be made without a name here, or a folder cannot be opened.
    OtherWay,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Halt {
    let path = path.to_path_buf();
    move |error| Halt::Failed(CopyError::File { error, path })
}

struct Folder<'a> {
    path: &'a Path,
    open: File,
    device: u64,
    /// Whether the file system keeps all changes in their order, those of other files, too.
    in_order: bool,
}

/// How files and names are made to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Not at all.
    None,
    /// By a sync of the file that was changed last, with which all that came before it stays.
    Last,
    /// By a sync of the file system.
    All,
    /// By a sync of each.
    Each,
}

/// A copy without a name.
struct Unnamed<'a> {
    file: File,
    size: u64,
    folder: usize,
    target: &'a Path,
    name: &'a OsStr,
}

/// Copies that are open together.
struct Batch<'a> {
    durable: bool,
    folders: Vec<Folder<'a>>,
    files: Vec<Unnamed<'a>>,
    /// Folders in which others were made.
    parents: Vec<PathBuf>,
}

impl<'a> Batch<'a> {
    fn new(durable: bool) -> Self {
        Self { durable, folders: Vec::new(), files: Vec::new(), parents: Vec::new() }
    }

    /// Copies the first files of some, as many as may be open.
    fn fill(&mut self, copies: &'a [Copy], buffer: &mut [u8], go_on: &mut impl FnMut() -> bool) -> Result<(), Halt> {
        for copy in copies {
            if !go_on() {
                return Err(Halt::Failed(CopyError::Stopped));
            }
            let source = File::open(&copy.source).map_err(failed(&copy.source))?;
            let (Some(path), Some(name)) = (copy.target.parent(), copy.target.file_name()) else {
                return Err(Halt::OtherWay);
            };
            let folder = self.folder(path)?;
            let mut file =
                system::nameless_in(&self.folders[folder].open).map_err(failed(&copy.target))?.ok_or(Halt::OtherWay)?;
            let size = copy_content(source, &mut file, buffer)
                .map_err(|(error, of_source)| failed(if of_source { &copy.source } else { &copy.target })(error))?;
            self.files.push(Unnamed { file, size, folder, target: &copy.target, name });
            if self.files.len() + self.folders.len() >= OPEN_AT_ONCE {
                break;
            }
        }
        Ok(())
    }

    /// The number of a folder, which is opened, and made if it is missing.
    fn folder(&mut self, path: &'a Path) -> Result<usize, Halt> {
        if let Some(known) = self.folders.iter().rposition(|folder| folder.path == path) {
            return Ok(known);
        }
        // What is wrong with a folder is found out again, and said, by who then makes it in another way.
        let open = match system::open_folder(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.parents.extend(make_folder(path).map_err(|_| Halt::OtherWay)?);
                system::open_folder(path)
            }
            opened => opened,
        };
        let open = open.map_err(|_| Halt::OtherWay)?;
        let device = system::device(&open).map_err(failed(path))?;
        let in_order = match self.folders.last().filter(|last| last.device == device) {
            Some(last) => last.in_order,
            None => system::keeps_order(&open, device).map_err(failed(path))?,
        };
        self.folders.push(Folder { path, open, device, in_order });
        Ok(self.folders.len() - 1)
    }

    /// Gives the files their names, and makes everything stay.
    fn publish(&self, sizes: &mut Vec<u64>) -> Result<(), Halt> {
        let way = self.settle_contents()?;
        let before = sizes.len();
        let named = self.name(sizes);
        let synced = match way {
            Way::None => Ok(()),
            Way::Last => self.sync_last(sizes.len() - before),
            Way::All => self.sync_all(),
            Way::Each => self.sync_each(),
        };
        named.and(synced)
    }

    fn way(&self) -> Way {
        let Some(first) = self.folders.first() else { return Way::None };
        if !self.durable {
            return Way::None;
        }
        if self.folders.iter().any(|folder| folder.device != first.device) {
            return Way::Each;
        }
        if first.in_order {
            return Way::Last;
        }
        let little: u64 = self.files.iter().map(|one| one.size + LITTLE).sum();
        let few = self.files.len() < WORTH_ALL;
        if few || system::unwritten().is_none_or(|all| all > little) { Way::Each } else { Way::All }
    }

    /// Says how everything is made to stay; where the order of changes is kept, contents are on disk then.
    fn settle_contents(&self) -> Result<Way, Halt> {
        let way = self.way();
        if way != Way::Last {
            return Ok(way);
        }
        for one in &self.files {
            if !system::begin_writing(&one.file).map_err(failed(one.target))? {
                return Ok(Way::Each);
            }
        }
        for one in &self.files {
            system::wait_written(&one.file).map_err(failed(one.target))?;
        }
        Ok(way)
    }

    /// Syncs the file system. Its folder was open before anything was written, so that failures since then are told.
    fn sync_all(&self) -> Result<(), Halt> {
        self.folders.first().map_or(Ok(()), |first| system::sync_file_system(&first.open).map_err(failed(first.path)))
    }

    fn name(&self, sizes: &mut Vec<u64>) -> Result<(), Halt> {
        for one in &self.files {
            match system::name_in(&one.file, &self.folders[one.folder].open, one.name) {
                Ok(true) => sizes.push(one.size),
                Ok(false) => return Err(Halt::OtherWay),
                Err(error) => return Err(failed(one.target)(error)),
            }
        }
        Ok(())
    }

    /// Syncs the file that got its name last, of the first so many, and with it all that came before.
    fn sync_last(&self, n_named: usize) -> Result<(), Halt> {
        self.files[..n_named].last().map_or(Ok(()), |last| last.file.sync_all().map_err(failed(last.target)))
    }

    /// Syncs each file, which has its name by now: a file system may keep the count of its names apart from them.
    fn sync_each(&self) -> Result<(), Halt> {
        for one in &self.files {
            system::drop_written(&one.file);
        }
        for one in &self.files {
            one.file.sync_all().map_err(failed(one.target))?;
        }
        for folder in self.folders.iter().map(|folder| folder.path).chain(self.parents.iter().map(PathBuf::as_path)) {
            sync_folder(folder).map_err(failed(folder))?;
        }
        Ok(())
    }
}

/// Copies what is in a file, and counts the bytes; of an error it tells whether the source is to blame.
fn copy_content(mut source: File, copy: &mut File, buffer: &mut [u8]) -> Result<u64, (io::Error, bool)> {
    let length = source.metadata().map_err(|error| (error, true))?.len();
    if length > buffer.len() as u64 {
        return io::copy(&mut source, copy).map_err(|error| (error, false));
    }
    let mut size = 0;
    loop {
        let count = source.read(buffer).map_err(|error| (error, true))?;
        if count == 0 {
            return Ok(size);
        }
        copy.write_all(&buffer[..count]).map_err(|error| (error, false))?;
        size += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("armillary-copies-{name}-{}", std::process::id()));
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn copy(folder: &Path, source: &str, target: &str) -> Copy {
        Copy { source: folder.join(source), target: folder.join(target) }
    }

    fn can_be_nameless(folder: &Path) -> bool {
        fs::write(folder.join("probe"), "").expect("written");
        let outcome = copy_files(&[copy(folder, "probe", "of")], false, || true);
        outcome.sizes.len() == 1
    }

    #[test]
    fn many_files_of_all_sizes_are_copied_into_folders_that_are_made() {
        let root = folder("many");
        if !can_be_nameless(&root) {
            return;
        }
        let sizes = [0, 1, BY_HAND - 1, BY_HAND, BY_HAND + 1, 3 * BY_HAND + 7];
        let content = |i: usize| vec![u8::try_from(i % 251).expect("small"); sizes[i % sizes.len()]];
        let copies: Vec<_> = (0..600).map(|i| copy(&root, &format!("{i}"), &format!("new/{}/of {i}", i % 7))).collect();
        for (i, one) in copies.iter().enumerate() {
            fs::write(&one.source, content(i)).expect("written");
        }
        for durable in [true, false] {
            let outcome = copy_files(&copies, durable, || true);
            assert!(outcome.failure.is_none(), "{:?}", outcome.failure);
            for (i, (one, size)) in copies.iter().zip(&outcome.sizes).enumerate() {
                assert_eq!(fs::read(&one.target).expect("there"), content(i));
                assert_eq!(*size, content(i).len() as u64);
            }
            assert_eq!(outcome.sizes.len(), 600);
            fs::remove_dir_all(root.join("new")).expect("removed");
        }
        fs::remove_dir_all(root).ok();
    }

    #[test]
    fn a_name_that_is_taken_stops_and_the_names_given_before_are_told() {
        let root = folder("taken");
        if !can_be_nameless(&root) {
            return;
        }
        for name in ["a", "b", "c", "new b"] {
            fs::write(root.join(name), name).expect("written");
        }
        let copies = ["a", "b", "c"].map(|name| copy(&root, name, &format!("new {name}")));
        let outcome = copy_files(&copies, true, || true);
        assert_eq!(outcome.sizes, [1]);
        let Some(CopyError::File { error, path }) = outcome.failure else { panic!("no failure") };
        assert_eq!((error.kind(), path), (io::ErrorKind::AlreadyExists, root.join("new b")));
        assert_eq!(fs::read(root.join("new b")).expect("there"), b"new b");
        assert!(!root.join("new c").exists());
        fs::remove_dir_all(root).ok();
    }

    #[test]
    fn nothing_is_named_when_a_source_is_missing_or_the_caller_stops() {
        let root = folder("stopped");
        if !can_be_nameless(&root) {
            return;
        }
        fs::write(root.join("a"), "a").expect("written");
        let copies = ["a", "none"].map(|name| copy(&root, name, &format!("new {name}")));
        let outcome = copy_files(&copies, true, || true);
        assert!(outcome.sizes.is_empty());
        assert!(matches!(outcome.failure, Some(CopyError::File { path, .. }) if path == root.join("none")));
        let mut asked = 0;
        let outcome = copy_files(&copies, true, || {
            asked += 1;
            asked < 2
        });
        assert!(outcome.sizes.is_empty() && matches!(outcome.failure, Some(CopyError::Stopped)));
        assert!(!root.join("new a").exists());
        fs::remove_dir_all(root).ok();
    }

    #[test]
    fn what_is_no_folder_is_left_to_another_way() {
        let root = folder("other");
        fs::write(root.join("a"), "a").expect("written");
        let outcome = copy_files(&[copy(&root, "a", "a/below")], true, || true);
        assert!(outcome.sizes.is_empty() && outcome.failure.is_none());
        fs::remove_dir_all(root).ok();
    }
}
