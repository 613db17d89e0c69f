//! Making, changing, listing and removing collections.

use crate::{
    catalog::{Catalog, CollectionKind, CollectionRecord},
    error::RegistryError,
    pattern::{glob_fits, is_glob},
    registry::Registry,
    store::{Connection, Kept, params},
};
use std::collections::HashSet;

/// Longest name of a collection, in bytes: it becomes part of one file name.
const LONGEST_NAME: usize = 200;

/// Which collections to list.
#[derive(Clone, Debug, Default)]
pub struct CollectionFilter {
    /// Names and globs; none means all.
    pub patterns: Option<Vec<String>>,
    /// Kinds to keep; none means all.
    pub kinds: Option<Vec<CollectionKind>>,
    /// Whether children of chains are listed, too.
    pub flatten_chains: bool,
    /// Whether chains themselves are listed; by default when they are not flattened.
    pub include_chains: Option<bool>,
    /// Keep only collections that may hold this dataset type.
    pub dataset_type: Option<String>,
}

/// How the children of a chain change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainEdit {
    /// The given children replace all.
    Redefine,
    /// The given children go to the end.
    Extend,
    /// The given children go to the front.
    Prepend,
    /// The given children go away.
    Remove,
}

/// Refuses names that would make trouble later, in paths or on screens.
pub(crate) fn check_collection_name(name: &str) -> Result<(), RegistryError> {
    let bad = |reason: &str| {
        Err(RegistryError::BadName { what: "collection", name: name.to_owned(), reason: reason.to_owned() })
    };
    if name.is_empty() {
        return bad("it is empty");
    }
    if name.len() > LONGEST_NAME {
        return bad("it is longer than 200 bytes");
    }
    if name.chars().any(char::is_control) {
        return bad("it has a control character");
    }
    if name.split('/').any(|part| part == "..") {
        return bad("`..` would lead out of the repository");
    }
    Ok(())
}

impl Registry {
    /// Makes a collection; says whether it is new. An existing collection stays as it is, whatever its kind.
    pub fn register_collection(
        &self,
        name: &str,
        kind: CollectionKind,
        doc: Option<&str>,
    ) -> Result<bool, RegistryError> {
        check_collection_name(name)?;
        // Not through the catalog: making many collections must not read all of them again for each.
        let known = |connection: &Connection| {
            let mut select = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM collection WHERE name = ?)")?;
            Ok(select.query_row([name], |row| row.get(0))?)
        };
        if self.store().read(known)? {
            return Ok(false);
        }
        self.store().write("registering a collection", |connection| {
            let mut insert = connection.prepare_cached(&format!(
                "INSERT INTO collection (collection_id, name, type, doc) VALUES ({}, ?, ?, ?) \
                 ON CONFLICT DO NOTHING RETURNING collection_id",
                self.store().dialect().next_number("collection", "collection_id")
            ))?;
            let doc = doc.filter(|doc| !doc.is_empty());
            let inserted = insert.query_first(params![name, kind.number(), doc], |row| row.get::<i64>(0))?;
            let Some(id) = inserted else { return Ok(false) };
            if kind == CollectionKind::Run {
                let mut insert = connection.prepare_cached("INSERT INTO run (collection_id) VALUES (?)")?;
                insert.execute([id])?;
            }
            self.store().changed(Kept::Catalog);
            Ok(true)
        })
    }

    /// Sets what is said about a collection; nothing removes it.
    pub fn set_collection_doc(&self, name: &str, doc: Option<&str>) -> Result<(), RegistryError> {
        self.store().write("documenting a collection", |connection| {
            let id = self.catalog_in(connection)?.require_collection(name)?.id;
            let doc = doc.filter(|doc| !doc.is_empty());
            connection
                .prepare_cached("UPDATE collection SET doc = ? WHERE collection_id = ?")?
                .execute(params![doc, id])?;
            self.store().changed(Kept::Catalog);
            Ok(())
        })
    }

    /// Changes the children of a chain.
    pub fn edit_chain(&self, parent: &str, children: &[String], edit: ChainEdit) -> Result<(), RegistryError> {
        self.store().write("changing a chain", |connection| {
            // Two who each add a link could close a circle that neither sees.
            connection.lock_table("collection_chain")?;
            let catalog = self.catalog_in(connection)?;
            let chain = catalog.require_collection(parent)?;
            if chain.kind != CollectionKind::Chained {
                return Err(RegistryError::CollectionKind {
                    name: parent.to_owned(),
                    found: chain.kind.described(),
                    wanted: CollectionKind::Chained.described(),
                });
            }
            let mut ids = Vec::with_capacity(children.len());
            for child in children {
                let child = catalog.require_collection(child)?;
                if edit != ChainEdit::Remove {
                    refuse_cycle(&catalog, chain, child)?;
                }
                if !ids.contains(&child.id) {
                    ids.push(child.id);
                }
            }
            write_chain(connection, chain.id, &ids, edit)?;
            self.store().changed(Kept::Catalog);
            Ok(())
        })
    }

    /// Removes a collection; of its datasets, a RUN's are removed, those of others only leave.
    ///
    /// Refused if it is a child of a chain, or if datasets of a RUN still have files.
    pub fn remove_collection(&self, name: &str) -> Result<(), RegistryError> {
        self.store().write("removing a collection", |connection| {
            let catalog = self.catalog_in(connection)?;
            let collection = catalog.require_collection(name)?;
            refuse_chained(&catalog, collection)?;
            if collection.kind == CollectionKind::Run {
                let datasets: i64 = connection
                    .prepare_cached(
                        "SELECT count(*) FROM dataset_location \
                         JOIN dataset ON dataset.id = dataset_location.dataset_id WHERE dataset.run_id = ?",
                    )?
                    .query_row([collection.id], |row| row.get(0))?;
                if datasets > 0 {
                    let datasets = datasets.unsigned_abs();
                    return Err(RegistryError::CollectionHasFiles { name: name.to_owned(), datasets });
                }
            }
            connection.prepare_cached("DELETE FROM collection WHERE collection_id = ?")?.execute([collection.id])?;
            self.store().changed(Kept::Catalog);
            self.store().changed(Kept::Summaries);
            Ok(())
        })
    }

    /// Refuses to go on if any of these collections is a child of a chain that is not one of them.
    pub fn check_not_chained(&self, names: &[String]) -> Result<(), RegistryError> {
        let catalog = self.catalog()?;
        let leaving: HashSet<&str> = names.iter().map(String::as_str).collect();
        for name in names {
            let collection = catalog.require_collection(name)?;
            let chains: Vec<String> = catalog
                .parents(collection.id)
                .filter(|parent| !leaving.contains(&*parent.name))
                .map(|parent| parent.name.to_string())
                .collect();
            if !chains.is_empty() {
                return Err(RegistryError::CollectionInChains { name: name.clone(), chains });
            }
        }
        Ok(())
    }

    /// Names of the collections that pass a filter: in the order of the names given, then as they were made.
    pub fn query_collections(&self, filter: &CollectionFilter) -> Result<Vec<String>, RegistryError> {
        let catalog = self.catalog()?;
        let found = select_collections(&catalog, filter)?;
        let include_chains = filter.include_chains.unwrap_or(!filter.flatten_chains);
        let wanted_type = match &filter.dataset_type {
            Some(name) => Some(catalog.require_dataset_type(name)?.id),
            None => None,
        };
        let summaries = if wanted_type.is_some() { Some(self.summaries()?) } else { None };
        let keep = |collection: &CollectionRecord| {
            let chain = collection.kind == CollectionKind::Chained;
            let may_hold = || {
                wanted_type.zip(summaries.as_ref()).is_none_or(|(dataset_type, summaries)| {
                    catalog
                        .flatten(&[&*collection.name])
                        .is_ok_and(|ids| ids.iter().any(|id| summaries.may_hold(*id, dataset_type)))
                })
            };
            (include_chains || !chain)
                && filter.kinds.as_ref().is_none_or(|kinds| kinds.contains(&collection.kind))
                && may_hold()
        };
        Ok(found.into_iter().filter(|c| keep(c)).map(|collection| collection.name.to_string()).collect())
    }

    /// Names of the dataset types a collection may hold, and the governor values of its datasets, by governor.
    #[expect(clippy::type_complexity, reason = "two plain lists")]
    pub fn collection_summary(
        &self,
        names: &[&str],
    ) -> Result<(Vec<String>, Vec<(String, Vec<String>)>), RegistryError> {
        let catalog = self.catalog()?;
        let ids = catalog.flatten(names)?;
        let summaries = self.summaries()?;
        let mut dataset_types = std::collections::BTreeSet::new();
        let mut governors = std::collections::BTreeMap::new();
        for summary in ids.iter().map(|id| summaries.get(*id)) {
            dataset_types.extend(
                summary
                    .dataset_types
                    .iter()
                    .filter_map(|id| catalog.dataset_type_by_id(*id))
                    .map(|t| t.name.to_string()),
            );
            for (governor, values) in &summary.governors {
                let known: &mut std::collections::BTreeSet<_> = governors.entry(*governor).or_default();
                known.extend(values.iter().cloned());
            }
        }
        let plain = |key: armillary_dimensions::Key| match key {
            armillary_dimensions::Key::Int(value) => value.to_string(),
            armillary_dimensions::Key::Str(value) => value.to_string(),
        };
        let governors = governors
            .into_iter()
            .map(|(governor, values)| {
                (self.universe().get(governor).name.clone(), values.into_iter().map(plain).collect())
            })
            .collect();
        Ok((dataset_types.into_iter().collect(), governors))
    }

    /// Deletes from the summaries the dataset types that collections no longer hold; says how many.
    pub fn refresh_summaries(&self) -> Result<usize, RegistryError> {
        self.store().write("refreshing summaries", |connection| {
            let catalog = self.catalog_in(connection)?;
            let summaries = crate::summaries::Summaries::load(connection, self.universe())?;
            let mut deleted = 0;
            for collection in catalog.collections() {
                let candidates: Vec<_> = summaries
                    .get(collection.id)
                    .dataset_types
                    .iter()
                    .filter_map(|id| catalog.dataset_type_by_id(*id))
                    .map(|t| (t.id, t.tags_table.to_string(), t.calibs_table.as_deref().map(str::to_owned)))
                    .collect();
                deleted += crate::summaries::refresh(connection, collection.id, &candidates)?;
            }
            self.store().changed(Kept::Summaries);
            Ok(deleted)
        })
    }
}

fn refuse_cycle(catalog: &Catalog, chain: &CollectionRecord, child: &CollectionRecord) -> Result<(), RegistryError> {
    if catalog.flatten_with_chains(&[&*child.name])?.contains(&chain.id) {
        return Err(RegistryError::CollectionCycle { parent: chain.name.to_string(), child: child.name.to_string() });
    }
    Ok(())
}

fn refuse_chained(catalog: &Catalog, collection: &CollectionRecord) -> Result<(), RegistryError> {
    let chains: Vec<String> = catalog.parents(collection.id).map(|parent| parent.name.to_string()).collect();
    if chains.is_empty() {
        return Ok(());
    }
    Err(RegistryError::CollectionInChains { name: collection.name.to_string(), chains })
}

/// Positions need not start at 0 nor be without gaps: prepending counts down, extending counts up.
fn write_chain(connection: &Connection, chain: i64, ids: &[i64], edit: ChainEdit) -> Result<(), RegistryError> {
    if edit == ChainEdit::Redefine {
        connection.prepare_cached("DELETE FROM collection_chain WHERE parent = ?")?.execute([chain])?;
    } else {
        let mut delete = connection.prepare_cached("DELETE FROM collection_chain WHERE parent = ? AND child = ?")?;
        for id in ids {
            delete.execute([chain, *id])?;
        }
    }
    let edge = |function: &str| {
        connection
            .prepare_cached(&format!("SELECT {function}(position) FROM collection_chain WHERE parent = ?"))?
            .query_row([chain], |row| row.get::<Option<i64>>(0))
            .map(|position| position.unwrap_or(0))
    };
    let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let first = match edit {
        ChainEdit::Redefine => 0,
        ChainEdit::Extend => edge("max")? + 1,
        ChainEdit::Prepend => edge("min")? - count,
        ChainEdit::Remove => return Ok(()),
    };
    let mut insert =
        connection.prepare_cached("INSERT INTO collection_chain (parent, position, child) VALUES (?, ?, ?)")?;
    for (position, id) in (first..).zip(ids) {
        insert.execute([chain, position, *id])?;
    }
    Ok(())
}

fn select_collections<'a>(
    catalog: &'a Catalog,
    filter: &CollectionFilter,
) -> Result<Vec<&'a CollectionRecord>, RegistryError> {
    let mut named: Vec<&str> = Vec::new();
    match &filter.patterns {
        None => named.extend(catalog.collections().map(|collection| &*collection.name)),
        Some(patterns) => {
            for pattern in patterns {
                if is_glob(pattern) {
                    let fitting = catalog.collections().filter(|collection| glob_fits(pattern, &collection.name));
                    named.extend(fitting.map(|collection| &*collection.name));
                } else {
                    named.push(&catalog.require_collection(pattern)?.name);
                }
            }
        }
    }
    let ids = if filter.flatten_chains {
        catalog.flatten_with_chains(&named)?
    } else {
        named.iter().filter_map(|name| catalog.collection(name)).map(|collection| collection.id).collect()
    };
    let mut seen = HashSet::new();
    Ok(ids.into_iter().filter(|id| seen.insert(*id)).filter_map(|id| catalog.collection_by_id(id)).collect())
}
