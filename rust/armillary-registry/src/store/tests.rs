//! What becomes of changes when the disk is full, a step panics or a commit is refused.

use super::*;
use std::path::PathBuf;

/// A database of one table whose file cannot grow.
fn full(name: &str) -> (PathBuf, Store) {
    let folder = std::env::temp_dir().join(format!("armillary-store-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("gen3.sqlite3");
    sqlite::create(&path).expect("a file");
    let connection = sqlite::connect(&path, true, Durability::Full).expect("a database");
    connection.execute_batch("DROP TABLE IF EXISTS t; CREATE TABLE t (x TEXT NOT NULL)").expect("a table");
    drop(connection);
    let store = Store::open(&Place::File(path.clone()), true, Durability::Full).expect("a store");
    store.with_writer(|connection, _| Ok(connection.execute_batch("PRAGMA max_page_count=8")?)).expect("a limit");
    (folder, store)
}

fn insert(store: &Store, bytes: usize) -> Result<(), RegistryError> {
    store.write("inserting", |connection| {
        connection.prepare_cached("INSERT INTO t VALUES (?)")?.execute(["x".repeat(bytes)])?;
        Ok(())
    })
}

fn rows(store: &Store) -> i64 {
    store.read(|connection| Ok(connection.query_row("SELECT count(*) FROM t", (), |row| row.get(0))?)).expect("a count")
}

#[test]
fn a_full_disk_keeps_nothing_of_the_step_and_the_store_goes_on() {
    let (folder, store) = full("step");
    insert(&store, 10).expect("room for a little");
    assert!(matches!(insert(&store, 100_000), Err(RegistryError::Database { .. })));
    insert(&store, 10).expect("still usable");
    assert_eq!(rows(&store), 2);
    std::fs::remove_dir_all(folder).ok();
}

#[test]
fn a_transaction_that_the_database_gave_up_is_not_kept_in_part() {
    let (folder, store) = full("whole");
    store.begin().expect("begun");
    insert(&store, 10).expect("room for a little");
    insert(&store, 100_000).expect_err("no room");
    // Whether the database undid all or only the step, what follows must not be kept without what came before.
    let later = insert(&store, 10);
    let kept = store.commit();
    let expected = if later.is_ok() && kept.is_ok() { 2 } else { 0 };
    assert_eq!(rows(&store), expected);
    insert(&store, 10).expect("usable after the transaction");
    assert_eq!(rows(&store), expected + 1);
    std::fs::remove_dir_all(folder).ok();
}

#[test]
fn a_panic_in_a_step_ends_its_transaction() {
    let (folder, store) = full("panic");
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.write("panicking", |connection| -> Result<(), RegistryError> {
            connection.execute_batch("INSERT INTO t VALUES ('x')")?;
            panic!("on purpose");
        })
    }));
    assert!(outcome.is_err());
    assert_eq!(rows(&store), 0);
    insert(&store, 10).expect("usable after the panic");
    assert_eq!(rows(&store), 1);
    std::fs::remove_dir_all(folder).ok();
}

#[test]
fn what_happened_is_asked_when_a_commit_is_not_confirmed() {
    let (folder, store) = full("commit");
    store
        .with_writer(|connection, _| {
            connection.execute_batch(
                "CREATE TABLE p (x INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
            )?;
            Ok(())
        })
        .expect("tables");
    // A deferred constraint makes COMMIT itself fail.
    let refused = store.write("inserting", |connection| {
        connection.execute_batch("INSERT INTO c VALUES (7)")?;
        Ok(())
    });
    assert!(matches!(refused, Err(RegistryError::Database { .. })), "{refused:?}");
    let count =
        store.read(|connection| Ok(connection.query_row("SELECT count(*) FROM c", (), |row| row.get::<i64>(0))?));
    assert_eq!(count, Ok(0));
    insert(&store, 10).expect("usable after the refusal");
    std::fs::remove_dir_all(folder).ok();
}
