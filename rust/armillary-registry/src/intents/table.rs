//! Announcements as rows of a table: the way of a database that lies on a server, and of repositories written before
//! announcements were files.

use super::owner::{host, process_start};
use crate::{
    datasets::now_tai,
    dialect::Dialect,
    error::RegistryError,
    store::{Connection, DatabaseError, ErrorKind, params},
};

pub(super) const TABLE: &str = "armillary_intent";

/// One row.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) datastore: String,
    pub(super) paths: Vec<String>,
    /// Whether its writer ran on this machine and does so no longer.
    pub(super) stale: bool,
}

pub(super) fn announce(
    connection: &Connection,
    dialect: &dyn Dialect,
    datastore: &str,
    paths: &[String],
) -> Result<i64, RegistryError> {
    // One row holds all files of a batch.
    let mut insert = connection.prepare_cached(&format!(
        "INSERT INTO armillary_intent (id, datastore_name, path, pid, host, process_start, created) \
         VALUES ({}, ?, ?, ?, ?, ?, ?) RETURNING id",
        dialect.next_number(TABLE, "id")
    ))?;
    let (paths, process) = (paths.join("\n"), std::process::id());
    let start = process_start(process);
    Ok(insert.query_row(params![datastore, paths, process, host(), start, now_tai()], |row| row.get(0))?)
}

pub(super) fn delete(connection: &Connection, intent: i64) -> Result<(), RegistryError> {
    connection.prepare_cached("DELETE FROM armillary_intent WHERE id = ?")?.execute([intent])?;
    Ok(())
}

/// Begins a transaction during which nobody announces and no announcement is taken back; false if others are at it and
/// do not end soon.
///
/// A transaction that took one back and is being committed counts, also when its client is dead: the files it names may
/// have rows in a moment.
pub(super) fn lock(connection: &Connection) -> Result<bool, RegistryError> {
    connection.begin()?;
    let locked = connection.execute_batch("SET LOCAL lock_timeout = '2s'").and_then(|()| connection.lock_table(TABLE));
    match locked {
        Ok(()) => Ok(true),
        Err(DatabaseError { kind: ErrorKind::Busy | ErrorKind::Conflict, .. }) => {
            connection.rollback()?;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn rows(connection: &Connection) -> Result<Vec<Row>, RegistryError> {
    if !connection.has_table(TABLE)? {
        return Ok(Vec::new());
    }
    let mut select = connection.prepare_cached(
        "SELECT id, datastore_name, path, pid, process_start, host FROM armillary_intent ORDER BY id",
    )?;
    let mut rows = select.query(())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (pid, start, its_host): (u32, String, String) = (row.get(3)?, row.get(4)?, row.get(5)?);
        let paths: String = row.get(2)?;
        found.push(Row {
            id: row.get(0)?,
            datastore: row.get(1)?,
            paths: paths.split('\n').filter(|path| !path.is_empty()).map(str::to_owned).collect(),
            stale: its_host == host() && process_start(pid) != start,
        });
    }
    Ok(found)
}
