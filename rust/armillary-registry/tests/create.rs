//! A new repository has the tables and attributes every repository has.

mod common;

use armillary_dimensions::{ColumnType, Universe};
use armillary_registry::{Registry, RegistryError};
use common::{TemporaryFolder, shared};
use std::collections::BTreeSet;

/// Statements of a `.schema` dump, in order of text.
fn statements(text: &str) -> BTreeSet<String> {
    text.split(";\n")
        .map(|part| part.trim().replace("CREATE TABLE IF NOT EXISTS", "CREATE TABLE"))
        .filter(|part| !part.is_empty())
        .collect()
}

fn created() -> (TemporaryFolder, Registry) {
    let folder = TemporaryFolder::new();
    Registry::create(&folder.database(), &Universe::default_universe()).expect("a repository can be made");
    let registry = Registry::open(&folder.database(), false).expect("it can be opened");
    (folder, registry)
}

fn schema_of(registry: &Registry) -> BTreeSet<String> {
    let columns = registry
        .store()
        .select("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL", &[], &[ColumnType::Str])
        .expect("the schema can be read");
    (0..columns[0].len())
        .map(|row| match columns[0].get(row) {
            armillary_dimensions::Value::Str(text) => text.to_string(),
            other => panic!("{other:?} is no statement"),
        })
        .collect()
}

#[test]
fn a_new_repository_has_the_known_schema() {
    let known =
        statements(&std::fs::read_to_string(shared("contract-fixtures/sqlite/schema_empty_sorted.sql")).unwrap());
    let (_folder, registry) = created();
    let ours = schema_of(&registry);
    assert_eq!(ours.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(known.difference(&ours).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(known.len(), 48 + 88);
}

#[test]
fn a_repository_is_not_made_twice() {
    let (folder, _registry) = created();
    let again = Registry::create(&folder.database(), &Universe::default_universe());
    assert!(matches!(again, Err(RegistryError::AlreadyExists { .. })), "{again:?}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = TemporaryFolder::new();
    std::fs::write(folder.database(), b"not a database, but longer than the header of one would have to be").unwrap();
    for writeable in [false, true] {
        let refused = Registry::open(&folder.database(), writeable);
        assert!(matches!(refused, Err(RegistryError::NotARepository { .. })), "{:?}", refused.err());
    }
    assert!(matches!(Registry::open(&folder.0.join("missing"), true), Err(RegistryError::NotARepository { .. })));
    assert!(!folder.0.join("missing").exists());
}

#[test]
fn managers_and_versions_are_checked() {
    let class = "lsst.daf.butler.registry.opaque.ByNameOpaqueTableStorageManager";
    let cases: [(&str, &str, bool, bool); 6] = [
        ("0.2.9", "version", true, true),
        ("0.1.0", "version", true, false),
        ("0.3.0", "version", false, false),
        ("1.2.0", "version", false, false),
        ("0.2", "version", false, false),
        ("elsewhere.Manager", "config", false, false),
    ];
    for (value, what, reads, writes) in cases {
        let folder = TemporaryFolder::new();
        Registry::create(&folder.database(), &Universe::default_universe()).unwrap();
        let key =
            if what == "version" { format!("version:{class}") } else { "config:registry.managers.opaque".to_owned() };
        let connection = rusqlite::Connection::open(folder.database()).unwrap();
        connection.execute("UPDATE butler_attributes SET value = ? WHERE name = ?", [value, &key]).unwrap();
        assert_eq!(Registry::open(&folder.database(), false).is_ok(), reads, "{value}");
        assert_eq!(Registry::open(&folder.database(), true).is_ok(), writes, "{value}");
    }
}
