//! The rows that say what a repository is: its managers, their versions, and its universe.

use crate::{
    error::RegistryError,
    store::{Connection, DatabaseError, ErrorKind, Store},
};
use armillary_dimensions::Universe;
use std::{collections::HashMap, sync::Arc};

/// A part of a repository with a version of its own.
struct Manager {
    name: &'static str,
    class: &'static str,
    version: &'static str,
    /// Older versions that are understood, too.
    also: &'static [&'static str],
}

/// The managers every repository names, in the order in which they are written.
const MANAGERS: [Manager; 6] = [
    Manager {
        name: "attributes",
        class: "lsst.daf.butler.registry.attributes.DefaultButlerAttributeManager",
        version: "1.0.1",
        also: &[],
    },
    Manager {
        name: "dimensions",
        class: "lsst.daf.butler.registry.dimensions.static.StaticDimensionRecordStorageManager",
        version: "6.0.2",
        also: &[],
    },
    Manager {
        name: "collections",
        class: "lsst.daf.butler.registry.collections.synthIntKey.SynthIntKeyCollectionManager",
        version: "2.0.0",
        also: &[],
    },
    Manager {
        name: "datasets",
        // With `._manager.`: the class's own module, not the one that configuration files import it from.
        class: "lsst.daf.butler.registry.datasets.byDimensions._manager.ByDimensionsDatasetRecordStorageManagerUUID",
        version: "2.0.0",
        also: &["1.0.0"],
    },
    Manager {
        name: "opaque",
        class: "lsst.daf.butler.registry.opaque.ByNameOpaqueTableStorageManager",
        version: "0.2.0",
        also: &[],
    },
    Manager {
        name: "datastores",
        class: "lsst.daf.butler.registry.bridge.monolithic.MonolithicDatastoreRegistryBridgeManager",
        version: "0.2.1",
        also: &[],
    },
];

const UNIVERSE: &str = "config:dimensions.json";

/// What the attributes say that the rest of the code depends on.
pub(crate) struct Attributes {
    pub(crate) universe: Arc<Universe>,
    /// Whether `dataset.ingest_date` is text in UTC, as in older repositories, and not nanoseconds TAI.
    pub(crate) ingest_date_is_text: bool,
}

/// Writes the attributes of a new repository.
pub(crate) fn write(connection: &Connection, universe: &Universe) -> Result<(), RegistryError> {
    let mut insert = connection.prepare_cached("INSERT INTO butler_attributes (name, value) VALUES (?, ?)")?;
    for manager in &MANAGERS {
        insert.execute([format!("config:registry.managers.{}", manager.name).as_str(), manager.class])?;
        insert.execute([format!("version:{}", manager.class).as_str(), manager.version])?;
    }
    insert.execute([UNIVERSE, universe.document()])?;
    Ok(())
}

/// Reads the attributes and refuses repositories that we would misunderstand.
pub(crate) fn read(store: &Store) -> Result<Attributes, RegistryError> {
    let rows = store.read(|connection| read_rows(connection, &store.shown()))?;
    if rows.is_empty() {
        return Err(RegistryError::MissingAttribute { name: UNIVERSE.to_owned() });
    }
    let mut ingest_date_is_text = false;
    for manager in &MANAGERS {
        check(manager, &rows, store.writeable())?;
        let version = rows.get(&format!("version:{}", manager.class));
        ingest_date_is_text |= manager.name == "datasets" && version.is_some_and(|version| version.starts_with("1."));
    }
    let document = rows.get(UNIVERSE).ok_or_else(|| RegistryError::MissingAttribute { name: UNIVERSE.to_owned() })?;
    let default = Universe::default_universe();
    let universe = if *document == default.document() { default } else { Universe::from_json(document)? };
    Ok(Attributes { universe, ingest_date_is_text })
}

fn read_rows(connection: &Connection, path: &str) -> Result<HashMap<String, String>, RegistryError> {
    let missing =
        |error: &DatabaseError| RegistryError::NotARepository { path: path.to_owned(), reason: error.to_string() };
    let mut select = match connection.prepare_cached("SELECT name, value FROM butler_attributes") {
        Ok(select) => select,
        Err(error) if error.kind == ErrorKind::Statement => return Err(missing(&error)),
        Err(error) => return Err(error.into()),
    };
    let mut rows = select.query(())?;
    let mut found = HashMap::new();
    while let Some(row) = rows.next()? {
        found.insert(row.get(0)?, row.get(1)?);
    }
    Ok(found)
}

fn check(manager: &Manager, rows: &HashMap<String, String>, writeable: bool) -> Result<(), RegistryError> {
    let stored = rows
        .get(&format!("config:registry.managers.{}", manager.name))
        .ok_or_else(|| RegistryError::MissingManager { name: manager.name.to_owned() })?;
    if stored != manager.class {
        return Err(RegistryError::ManagerMismatch {
            name: manager.name.to_owned(),
            stored: stored.clone(),
            supported: manager.class.to_owned(),
        });
    }
    let Some(stored) = rows.get(&format!("version:{}", manager.class)) else { return Ok(()) };
    let found = parse_version(stored)
        .ok_or_else(|| RegistryError::BadVersion { manager: manager.class.to_owned(), stored: stored.clone() })?;
    let fits = |supported: &str| {
        // Readers accept an older minor version; writers would have to write what it lacks. Patches never matter.
        parse_version(supported)
            .is_some_and(|known| found.0 == known.0 && if writeable { found.1 == known.1 } else { found.1 <= known.1 })
    };
    if fits(manager.version) || manager.also.iter().any(|version| fits(version)) {
        return Ok(());
    }
    Err(RegistryError::IncompatibleVersion {
        manager: manager.class.to_owned(),
        stored: stored.clone(),
        supported: manager.version.to_owned(),
        writeable,
    })
}

fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    let version = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(version)
}
