//! The name of `SQLite`'s journal, which is made to stay once instead of in every transaction.
//!
//! With the first sync of a journal `SQLite` syncs its folder, as the journal may be new: then a power cut could leave a
//! half-written database without it. Ours lies there between transactions (`journal_mode=PERSIST`), so `SQLite` is built
//! not to do that (`SQLITE_DISABLE_DIRSYNC`), and each transaction looks here whether it is still the same file.

use crate::new_file::sync_folder;
use std::{
    collections::HashMap,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

/// Device, number and time of making: a number alone is given to a later file again.
type Identity = (u64, u64, SystemTime);

/// The journals whose names stay, by the paths of databases that keep theirs.
type Settled = HashMap<String, Option<Identity>>;

static SETTLED: Mutex<Option<Settled>> = Mutex::new(None);

/// Not to be used while the disk works: a process that is forked meanwhile would find the lock taken for ever.
fn with_settled<T>(run: impl FnOnce(&mut Settled) -> T) -> T {
    run(SETTLED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// Notes that a database keeps its journal.
pub(super) fn keep(database: &str) {
    with_settled(|settled| {
        settled.entry(database.to_owned()).or_default();
    });
}

/// Makes the journal's name stay, unless it does; nothing for databases that keep none.
///
/// To be called when a transaction that writes has begun: others neither make nor remove journals meanwhile.
pub(super) fn settle(database: &str) -> io::Result<()> {
    let Some(known) = with_settled(|settled| settled.get(database).copied()) else { return Ok(()) };
    let journal = PathBuf::from(format!("{database}-journal"));
    let found = match fs::metadata(&journal) {
        Ok(metadata) => identity(&metadata),
        Err(error) if error.kind() == ErrorKind::NotFound => match make(&journal, Path::new(database)) {
            Ok(made) => identity(&made.metadata()?),
            Err(_) => return Ok(()), // SQLite cannot make it either, and says so
        },
        Err(error) => return Err(error),
    };
    if found.is_none() || known != found {
        sync_folder_of(database)?;
        with_settled(|settled| settled.insert(database.to_owned(), found));
    }
    Ok(())
}

/// Makes the names beside a database stay.
pub(super) fn sync_folder_of(database: &str) -> io::Result<()> {
    match sync_folder(Path::new(database).parent().unwrap_or(Path::new("."))) {
        // A folder that can be changed and not be read: there is no way, for SQLite neither.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// None where the time of making is not known.
fn identity(metadata: &Metadata) -> Option<Identity> {
    metadata.created().ok().map(|made| (metadata.dev(), metadata.ino(), made))
}

/// An empty journal means nothing to other clients. It belongs to whom the database belongs, as `SQLite` has it.
fn make(journal: &Path, database: &Path) -> io::Result<File> {
    let owner = fs::metadata(database)?;
    let made = OpenOptions::new().append(true).create(true).mode(owner.mode() & 0o777).open(journal)?;
    std::os::unix::fs::fchown(&made, Some(owner.uid()), Some(owner.gid())).or_else(|error| match error.kind() {
        ErrorKind::PermissionDenied => Ok(()), // only root can give files away
        _ => Err(error),
    })?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_is_another_file_is_settled_anew() {
        let folder = std::env::temp_dir().join(format!("armillary-kept-journal-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let database = folder.join("a.sqlite3");
        fs::write(&database, "").expect("a database");
        let (name, journal) = (database.to_str().expect("text").to_owned(), folder.join("a.sqlite3-journal"));
        let known = || with_settled(|settled| settled.get(&name).copied()).flatten();

        settle(&name).expect("nothing to do");
        assert!(!journal.exists(), "a database that keeps no journal gets none");
        keep(&name);
        settle(&name).expect("settled");
        let first = known().expect("this file system tells when a file was made");
        assert_eq!(fs::metadata(&journal).expect("made").len(), 0);
        fs::write(&journal, "content").expect("written");
        settle(&name).expect("settled");
        assert_eq!(known(), Some(first), "what is written into it does not matter");
        fs::remove_file(&journal).expect("removed, as other clients do");
        fs::write(&journal, "").expect("made by another client");
        settle(&name).expect("settled");
        assert_ne!(known(), Some(first));
        fs::remove_dir_all(folder).ok();
    }
}
