//! Who holds a lock that was waited for in vain.

use super::{place::PostgresPlace, postgres::PostgresConnection};
use std::path::Path;

/// The first of the bytes by which `SQLite` locks a file, and how many there are.
const LOCK_BYTES: std::ops::Range<u64> = 1_073_741_824..1_073_742_336;

/// The process that keeps a file of `SQLite` locked for writing; none where the system does not tell.
///
/// Linux lists locks in `/proc/locks`: number, kind, mode, `READ` or `WRITE`, process, `device:device:inode`, first and
/// last byte. Locks on network file systems are listed by the machine that holds them only.
pub(super) fn of_file(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let inode = std::fs::metadata(path).ok()?.ino().to_string();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let process: u32 = locks.lines().find_map(|line| {
        let [_, _, _, "WRITE", process, file, first, _] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return None; // others wait for it
        };
        let ours = file.rsplit(':').next() == Some(&inode) && LOCK_BYTES.contains(&first.parse().ok()?);
        ours.then(|| process.parse().ok()).flatten()
    })?;
    if process == std::process::id() {
        return Some("another part of this process".to_owned());
    }
    let command = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let command: Vec<String> = command
        .split(|byte| *byte == 0)
        .take(4)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).chars().take(60).collect())
        .collect();
    let named = if command.is_empty() { String::new() } else { format!(" (`{}`)", command.join(" ")) };
    Some(format!("process {process}{named} on this machine"))
}

/// The session that has had a transaction with locks open for longest, apart from the one that waited.
pub(super) fn on_server(place: &PostgresPlace, waiting: &str) -> Option<String> {
    let connection = PostgresConnection::connect(place, false, crate::Durability::Full).ok()?;
    // Sessions are listed with the lower half of a transaction's number.
    let number = waiting.parse::<u64>().map_or_else(|_| "0".to_owned(), |number| (number & 0xFFFF_FFFF).to_string());
    let found = connection.first_text(
        "SELECT format('session %s of `%s` (program `%s`, %s), whose transaction has been open for %s s and is %s', \
         a.pid, a.usename, a.application_name, coalesce('from ' || host(a.client_addr), 'on the server itself'), \
         extract(epoch FROM clock_timestamp() - a.xact_start)::bigint, a.state) \
         FROM pg_stat_activity AS a WHERE a.xact_start IS NOT NULL AND a.pid <> pg_backend_pid() \
         AND a.backend_xid::text IS DISTINCT FROM $1 AND EXISTS (SELECT 1 FROM pg_locks AS l \
         JOIN pg_class AS c ON c.oid = l.relation WHERE l.pid = a.pid AND l.granted AND l.mode <> 'AccessShareLock' \
         AND c.relnamespace = to_regnamespace(current_schema()::text)) ORDER BY a.xact_start LIMIT 1",
        &number,
    );
    found.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::super::sqlite;
    use super::*;

    #[test]
    fn the_process_that_writes_a_file_is_known() {
        let path = std::env::temp_dir().join(format!("armillary-holder-{}.sqlite3", std::process::id()));
        sqlite::create(&path).expect("a file");
        let connection = sqlite::connect(&path, true, crate::Durability::Full).expect("a database");
        assert_eq!(of_file(&path), None);
        connection.execute_batch("BEGIN IMMEDIATE; CREATE TABLE t (x)").expect("a lock");
        assert_eq!(of_file(&path).as_deref(), Some("another part of this process"));
        connection.execute_batch("ROLLBACK").expect("no lock");
        assert_eq!(of_file(&path), None);
        std::fs::remove_file(path).ok();
    }
}
