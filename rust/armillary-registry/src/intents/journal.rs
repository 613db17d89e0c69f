//! Announcements in a file of the process: durable after one sync, and gone from the database's way.
//!
//! The file lies beside the database, in `.armillary/intents`; other clients look at neither. Its owner holds a lock on
//! it, which the kernel drops when the owner dies. The first 512 bytes say whose it is; records follow, one a line:
//!
//! `checksum epoch number + datastore TAB path TAB path ...` announces, `checksum epoch number -` takes it back.
//!
//! When nothing is announced any more, writing starts again at the first record with the next epoch, so that the file
//! keeps its size and a sync writes data only. A reader stops at the first line that is torn or of an older epoch.
//!
//! One announcement may be in an attribute of the file instead, as the same line: see [`attribute`].

use super::{
    attribute,
    owner::{self, Liveness},
};
use crate::{error::RegistryError, new_file::Ordered};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes before the first record; what a disk writes in one piece.
const HEADER: usize = 512;
/// The size a file starts with and goes back to.
const ROOM: usize = 32 * 1024;
/// A file that never comes to rest is written anew when it is larger than this and mostly of no use.
const LARGE: usize = 4 << 20;
const MARK: &str = "armillary intents 1";

/// The folder of all announcements beside a database.
pub(super) fn folder(database: &Path) -> PathBuf {
    database.parent().unwrap_or(Path::new(".")).join(".armillary").join("intents")
}

/// An announcement that was read from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) number: i64,
    pub(super) datastore: String,
    pub(super) paths: Vec<String>,
}

/// The file of one open repository of this process.
pub(super) struct Journal {
    path: PathBuf,
    file: Arc<File>,
    epoch: u64,
    end: usize,
    size: usize,
    /// The lines of what is announced now, by number.
    open: BTreeMap<i64, String>,
    /// The one among them that is in the attribute.
    in_attribute: Option<i64>,
    device: u64,
}

impl Journal {
    /// Makes the file of this process; the folder must be locked against recovery.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        let stem = owner::file_stem();
        let (path, file) = (0_u32..)
            .find_map(|n| {
                let path = folder.join(format!("{stem}-{n}"));
                match OpenOptions::new().read(true).write(true).create_new(true).mode(0o666).open(&path) {
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
                    other => Some(other.map(|file| (path, file))),
                }
            })
            .unwrap_or_else(|| Err(io::Error::from(ErrorKind::AlreadyExists)))?;
        let device = file.metadata()?.dev();
        let mut journal = Self {
            path,
            file: Arc::new(file),
            epoch: 1,
            end: HEADER,
            size: ROOM,
            open: BTreeMap::new(),
            in_attribute: None,
            device,
        };
        journal.start().inspect_err(|_| journal.remove())?;
        Ok(journal)
    }

    fn start(&mut self) -> io::Result<()> {
        owner::hold(&self.file)?;
        let mut bytes = vec![0; ROOM];
        let header = format!("{MARK}\tinode={}\t{}\n", self.file.metadata()?.ino(), owner::description());
        bytes[..header.len()].copy_from_slice(header.as_bytes());
        self.file.write_all_at(&bytes, 0)
    }

    /// Makes content and name stay after a power cut; once is enough.
    pub(super) fn make_last(&self) -> io::Result<()> {
        self.file.sync_all()?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        for folder in [Some(folder), folder.parent(), folder.parent().and_then(Path::parent)].into_iter().flatten() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// Announces; the caller syncs.
    pub(super) fn announce(&mut self, number: i64, datastore: &str, paths: &[String]) -> io::Result<()> {
        if self.open.is_empty() {
            self.rewind()?;
        }
        let payload = payload(number, datastore, paths);
        self.append(&payload)?;
        self.open.insert(number, payload);
        Ok(())
    }

    /// Announces in an attribute of the file, where that stays as soon as the announced files do; says whether it did.
    ///
    /// That is so if all are on one file system that keeps the order of changes. There is room for one announcement.
    pub(super) fn announce_in_attribute(
        &mut self,
        number: i64,
        datastore: &str,
        paths: &[String],
        ordered: Option<Ordered>,
    ) -> io::Result<bool> {
        if self.in_attribute.is_some() || ordered.is_none_or(|ordered| ordered.device != self.device) {
            return Ok(false);
        }
        let payload = payload(number, datastore, paths);
        let set = attribute::set(&self.file, self.line(&payload).as_bytes())?;
        if set {
            self.open.insert(number, payload);
            self.in_attribute = Some(number);
        }
        Ok(set)
    }

    /// Takes an announcement back. Not synced: if it is lost, recovery finds that there is nothing to do.
    pub(super) fn take_back(&mut self, number: i64) -> io::Result<()> {
        if self.open.remove(&number).is_none() {
            return Ok(());
        }
        if self.in_attribute == Some(number) {
            self.in_attribute = None;
            attribute::clear(&self.file)
        } else {
            self.append(&format!("{number} -"))
        }
    }

    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Whether somebody removed the file.
    pub(super) fn is_gone(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether the file should be written anew, since it never came to rest.
    pub(super) fn is_overgrown(&self) -> bool {
        self.end > LARGE && self.open.values().map(String::len).sum::<usize>() * 4 < self.end
    }

    /// Announces in a new file what is announced in this one.
    pub(super) fn take_over(&mut self, old: &Self) -> io::Result<()> {
        for (number, payload) in &old.open {
            self.append(payload)?;
            self.open.insert(*number, payload.clone());
        }
        Ok(())
    }

    /// Removes the file.
    pub(super) fn remove(&self) {
        fs::remove_file(&self.path).ok(); // an empty one left behind is taken away by the next writer
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.epoch += 1;
        self.end = HEADER;
        if self.size > ROOM {
            self.file.set_len(ROOM as u64)?;
            self.size = ROOM;
        }
        Ok(())
    }

    fn append(&mut self, payload: &str) -> io::Result<()> {
        let line = self.line(payload);
        self.file.write_all_at(line.as_bytes(), self.end as u64)?;
        self.end += line.len();
        self.size = self.size.max(self.end);
        Ok(())
    }

    fn line(&self, payload: &str) -> String {
        let body = format!("{} {payload}\n", self.epoch);
        format!("{:08x} {body}", crc32fast::hash(body.as_bytes()))
    }
}

fn payload(number: i64, datastore: &str, paths: &[String]) -> String {
    let mut payload = format!("{number} + {}", escaped(datastore));
    for path in paths {
        payload.push('\t');
        payload.push_str(&escaped(path));
    }
    payload
}

/// What a file of announcements says.
pub(super) struct Reading {
    pub(super) liveness: Liveness,
    /// Whether it was copied from somewhere: then the files it names are not this repository's.
    pub(super) is_copy: bool,
    pub(super) announced: Vec<Announced>,
}

/// Files of announcements and what they say.
pub(super) type Readings = Vec<(PathBuf, Reading)>;

/// Reads a file of announcements; none if it is gone.
pub(super) fn read(path: &Path) -> io::Result<Option<Reading>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // Asked first: what a live writer adds later is its own affair.
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let liveness = owner::liveness(&file, name)?;
    let bytes = read_all(&file)?;
    let header = bytes.get(..HEADER).and_then(|bytes| bytes.split(|byte| *byte == b'\n').next());
    let header = header.and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    let mut fields = header.split('\t');
    if fields.next() != Some(MARK) {
        // Its writer died before the first announcement, or it is none of ours.
        return Ok(Some(Reading {
            liveness,
            is_copy: !header.trim_end_matches('\0').is_empty(),
            announced: Vec::new(),
        }));
    }
    let inode = fields.next().and_then(|field| field.strip_prefix("inode=")).and_then(|text| text.parse().ok());
    let is_copy = inode != Some(file.metadata()?.ino());
    let mut announced = parse(&bytes[HEADER..]);
    announced.extend(parse(&attribute::get(&file)?));
    Ok(Some(Reading { liveness, is_copy, announced }))
}

fn read_all(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).min(1 << 30)];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// The announcements that were not taken back.
fn parse(records: &[u8]) -> Vec<Announced> {
    let mut open = BTreeMap::new();
    let mut epoch = None;
    for line in records.split(|byte| *byte == b'\n') {
        let Some((its_epoch, number, rest)) = parse_line(line) else { break };
        if *epoch.get_or_insert(its_epoch) != its_epoch {
            break;
        }
        if rest == "-" {
            open.remove(&number);
        } else if let Some(fields) = rest.strip_prefix("+ ") {
            let mut fields = fields.split('\t').map(unescaped);
            let datastore = fields.next().unwrap_or_default();
            open.insert(number, Announced { number, datastore, paths: fields.collect() });
        }
    }
    open.into_values().collect()
}

fn parse_line(line: &[u8]) -> Option<(u64, i64, &str)> {
    let line = std::str::from_utf8(line).ok()?;
    let (checksum, body) = line.split_once(' ')?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(body.as_bytes());
    hasher.update(b"\n");
    if u32::from_str_radix(checksum, 16).ok()? != hasher.finalize() {
        return None;
    }
    let mut parts = body.splitn(3, ' ');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t")
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some(other)) | (other, _) => plain.push(other),
        }
    }
    plain
}

/// Makes the folder of announcements, with the permissions of the folder of the database: who may write there may write
/// here.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    let outer = folder.parent().unwrap_or(Path::new("."));
    let root = outer.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for one in [outer, folder] {
        match fs::create_dir(one) {
            Ok(()) => fs::set_permissions(one, fs::Permissions::from_mode(fs::metadata(root)?.mode() & 0o7777))?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(super) fn failed(folder: &Path, error: &io::Error) -> RegistryError {
    RegistryError::Database {
        doing: "announcing files".to_owned(),
        reason: format!("`{}` cannot be used: {error}", folder.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_of(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("armillary-journal-{name}-{}", std::process::id()));
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn numbers(path: &Path) -> Vec<i64> {
        read(path).expect("readable").expect("there").announced.iter().map(|one| one.number).collect()
    }

    #[test]
    fn what_is_announced_is_read_back_until_it_is_taken_back() {
        let folder = folder_of("order");
        let mut journal = Journal::create(&folder).expect("a journal");
        let strange = vec!["a/b\nc\td\\e.json".to_owned(), "å/#%20.fits".to_owned()];
        journal.announce(1, "Store@<root>", &strange).expect("announced");
        journal.announce(2, "other", &["x".to_owned()]).expect("announced");
        let reading = read(&journal.path).expect("readable").expect("there");
        assert_eq!(reading.announced[0], Announced { number: 1, datastore: "Store@<root>".into(), paths: strange });
        assert!(!reading.is_copy && matches!(reading.liveness, Liveness::Alive));
        journal.take_back(1).expect("taken back");
        assert_eq!(numbers(&journal.path), [2]);
        journal.take_back(2).expect("taken back");
        assert!(journal.is_at_rest() && numbers(&journal.path).is_empty());
        journal.announce(3, "s", &["y".to_owned()]).expect("announced");
        assert_eq!(numbers(&journal.path), [3], "older lines behind it do not count");
        fs::remove_dir_all(folder).ok();
    }

    #[test]
    fn a_torn_line_and_what_follows_are_as_if_never_written() {
        let folder = folder_of("torn");
        let mut journal = Journal::create(&folder).expect("a journal");
        journal.announce(1, "s", &["one".to_owned()]).expect("announced");
        let kept = journal.end;
        journal.announce(2, "s", &["two".to_owned()]).expect("announced");
        let whole = fs::read(&journal.path).expect("bytes");
        for cut in kept..journal.end - 1 {
            let mut torn = whole.clone();
            torn[cut..].fill(0);
            fs::write(&journal.path, torn).expect("torn");
            assert_eq!(numbers(&journal.path), [1], "{cut}");
        }
        for cut in [0, 10, HEADER - 1, HEADER] {
            fs::write(&journal.path, &whole[..cut]).expect("torn");
            assert!(numbers(&journal.path).is_empty(), "{cut}");
        }
        fs::remove_dir_all(folder).ok();
    }

    #[test]
    fn one_announcement_is_in_the_attribute_and_others_are_lines() {
        let folder = folder_of("attribute");
        let mut journal = Journal::create(&folder).expect("a journal");
        let here = Some(Ordered { device: journal.device });
        let elsewhere = Some(Ordered { device: journal.device + 1 });
        let path = |name: &str| vec![name.to_owned()];
        assert!(!journal.announce_in_attribute(1, "s", &path("one"), None).expect("asked"));
        assert!(!journal.announce_in_attribute(1, "s", &path("one"), elsewhere).expect("asked"));
        assert!(!journal.announce_in_attribute(1, "s", &path(&"long".repeat(1000)), here).expect("asked"));
        if !journal.announce_in_attribute(2, "s", &path("two"), here).expect("asked") {
            return; // a file system without attributes
        }
        assert!(!journal.announce_in_attribute(3, "s", &path("three"), here).expect("asked"), "there is one");
        journal.announce(3, "s", &path("three")).expect("announced");
        let mut found = numbers(&journal.path);
        found.sort_unstable();
        assert_eq!(found, [2, 3]);
        journal.take_back(2).expect("taken back");
        assert_eq!(numbers(&journal.path), [3]);
        assert!(journal.announce_in_attribute(4, "s", &path("four"), here).expect("asked"), "there is room again");
        journal.take_back(3).expect("taken back");
        assert_eq!(numbers(&journal.path), [4]);
        attribute::set(&journal.file, b"00000000 1 4 + s\tfour\n").expect("set");
        assert!(numbers(&journal.path).is_empty(), "a line that is torn");
        fs::remove_dir_all(folder).ok();
    }

    #[test]
    fn a_copy_is_known_as_one_and_the_file_keeps_its_size() {
        let folder = folder_of("copy");
        let mut journal = Journal::create(&folder).expect("a journal");
        let many: Vec<String> = (0..2000).map(|i| format!("run/detector/{i:06}.json")).collect();
        journal.announce(1, "s", &many).expect("announced");
        let copy = folder.join("copy");
        fs::copy(&journal.path, &copy).expect("copied");
        let reading = read(&copy).expect("readable").expect("there");
        assert!(reading.is_copy && reading.announced[0].paths == many);
        journal.take_back(1).expect("taken back");
        journal.announce(2, "s", &["x".to_owned()]).expect("announced");
        assert_eq!(fs::metadata(&journal.path).expect("there").len(), ROOM as u64);
        fs::remove_dir_all(folder).ok();
    }
}
