//! What datastores keep in the database: their files, where datasets are, what is to be deleted, what is being written.

use crate::{
    datasets::{Dataset, of_same_type_and_run, one_of},
    decode::{hex_text, row_id},
    deletion::Leaving,
    dialect::Dialect,
    error::RegistryError,
    registry::Registry,
    schema::file_records_table,
    store::{Connection, Row, Statement, params},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::PoisonError,
};

/// The table of file records that repositories have unless their configuration says otherwise.
pub const FILE_RECORDS: &str = "file_datastore_records";

/// Datasets of one write that a server gets as one statement, without being asked first whether they are there.
const FEW: usize = 100;

/// How the table spells "the whole dataset" in its key.
const NO_COMPONENT: &str = "__NULL_STRING__";

/// What stands between an archive and its member in the path of a file.
pub(crate) const ARCHIVE_MARK: &str = "#zip-path=";

/// The archive that a path names, or a member of it.
fn archive_of(path: &str) -> Option<&str> {
    path.split_once(ARCHIVE_MARK).map(|(archive, _)| archive)
}

/// What a datastore knows of one file of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// The dataset.
    pub dataset_id: [u8; 16],
    /// Where it is: under the datastore's root, or an absolute address.
    pub path: String,
    /// The class that reads it, by the name all clients know.
    pub formatter: String,
    /// The storage class it was written with.
    pub storage_class: String,
    /// The component it holds; none for the whole dataset.
    pub component: Option<String>,
    /// BLAKE2b-512 of its bytes in hexadecimal digits, if that was recorded.
    pub checksum: Option<String>,
    /// Bytes; −1 if not known.
    pub file_size: i64,
}

impl FileRecord {
    /// The component as the table spells it.
    fn stored_component(&self) -> &str {
        self.component.as_deref().unwrap_or(NO_COMPONENT)
    }

    /// From the columns path, formatter, storage class, component, checksum and size that start at `from`; none if
    /// they are all NULL, as an outer join makes them.
    pub(crate) fn read(row: Row<'_>, from: usize, dataset_id: [u8; 16]) -> Result<Option<Self>, RegistryError> {
        let Some(path) = row.get::<Option<String>>(from)? else { return Ok(None) };
        let component: String = row.get(from + 3)?;
        Ok(Some(Self {
            dataset_id,
            path,
            formatter: row.get(from + 1)?,
            storage_class: row.get(from + 2)?,
            component: (component != NO_COMPONENT && !component.is_empty()).then_some(component),
            checksum: row.get(from + 4)?,
            file_size: row.get::<Option<i64>>(from + 5)?.unwrap_or(-1),
        }))
    }
}

/// A file of a trashed dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trashed {
    /// The file.
    pub file: FileRecord,
    /// Whether a dataset that is not trashed uses the same file.
    pub shared: bool,
}

impl Registry {
    /// Makes the tables a datastore needs; called when a repository is opened for writing.
    pub fn prepare_datastore(&self, records_table: &str) -> Result<(), RegistryError> {
        check_table_name(records_table)?;
        self.prepare_intents()?;
        if self.store().read(|connection| Ok(connection.has_table(records_table)?))? {
            return Ok(());
        }
        self.store().write("making the tables of a datastore", |connection| {
            self.ensure_table(connection, &file_records_table(records_table))?;
            connection
                .prepare_cached("INSERT INTO opaque_meta (table_name) VALUES (?) ON CONFLICT DO NOTHING")?
                .execute([records_table])?;
            Ok(())
        })
    }

    /// Makes written files part of the repository, in one transaction: dataset rows (if `register`, and not there yet),
    /// locations, records; and the announcement goes.
    pub fn finish_write(
        &self,
        intent: Option<i64>,
        datastore_name: &str,
        records_table: &str,
        datasets: &[Dataset],
        records: &[FileRecord],
        register: bool,
    ) -> Result<(), RegistryError> {
        let written = |connection: &Connection| {
            if let Some(first) = records.first() {
                return record_exists(connection, records_table, first);
            }
            Ok(false)
        };
        let enter_files = |connection: &Connection| {
            insert_locations(connection, datastore_name, datasets)?;
            self.insert_file_records(connection, records_table, records)?;
            intent.map_or(Ok(()), |intent| self.finish_in(connection, intent))
        };
        let enter_at_once = |connection: &Connection| -> Result<bool, RegistryError> {
            let Some(catalog) = self.recent_catalog() else { return Ok(false) };
            connection.at_once(|| {
                if register {
                    self.import_unseen(connection, &catalog, datasets)?;
                }
                enter_files(connection)
            })
        };
        self.store().write_checked(
            "entering written datasets",
            |connection| {
                // Of few, the waiting costs most, and nearly always nothing is in the way. Of many types, no two statements
                // are the same.
                if datasets.len() <= FEW
                    && datasets.chunk_by(of_same_type_and_run).count() <= 2
                    && enter_at_once(connection)?
                {
                    return Ok(());
                }
                self.noted.lock().unwrap_or_else(PoisonError::into_inner).clear();
                if register {
                    self.import_in(connection, datasets)?;
                }
                enter_files(connection)
            },
            written,
        )?;
        if let Some(intent) = intent {
            self.finished(intent);
        }
        Ok(())
    }

    fn insert_file_records(
        &self,
        connection: &Connection,
        table: &str,
        records: &[FileRecord],
    ) -> Result<(), RegistryError> {
        let sql = format!(
            "INSERT INTO {} (dataset_id, path, formatter, storage_class, component, checksum, file_size) \
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (dataset_id, component) DO UPDATE SET path = excluded.path, \
             formatter = excluded.formatter, storage_class = excluded.storage_class, checksum = excluded.checksum, \
             file_size = excluded.file_size",
            self.quoted(table)
        );
        let mut buffer = [0; 32];
        let bind = |insert: &mut Statement<'_>, record: &FileRecord| {
            insert.raw_bind_parameter(1, hex_text(&record.dataset_id, &mut buffer))?;
            insert.raw_bind_parameter(2, &record.path)?;
            insert.raw_bind_parameter(3, &record.formatter)?;
            insert.raw_bind_parameter(4, &record.storage_class)?;
            insert.raw_bind_parameter(5, record.stored_component())?;
            insert.raw_bind_parameter(6, &record.checksum)?;
            insert.raw_bind_parameter(7, record.file_size)
        };
        connection.insert_each(&sql, records, |_| Ok(()), bind).map_err(|(_, error)| error.into())
    }

    fn quoted(&self, name: &str) -> String {
        let mut sql = String::new();
        self.store().dialect().quote(&mut sql, name);
        sql
    }

    /// The files of datasets, each once, by dataset in the order given; datasets without files have none.
    pub fn file_records(&self, records_table: &str, ids: &[[u8; 16]]) -> Result<Vec<FileRecord>, RegistryError> {
        let sql = |condition: &str| {
            format!(
                "SELECT path, formatter, storage_class, component, checksum, file_size, dataset_id FROM {} \
                 WHERE dataset_id{condition}",
                self.quoted(records_table)
            )
        };
        self.store().read(|connection| {
            let (one, list) = match ids {
                [one] => (" = ?".to_owned(), hex_text(one, &mut [0; 32]).to_owned()),
                _ => one_of(self.store().dialect(), ids),
            };
            // A server gives up the transaction of a statement that it cannot prepare.
            if matches!(connection, Connection::Postgres(_)) && !connection.has_table(records_table)? {
                return Ok(Vec::new());
            }
            let mut select = match connection.prepare_cached(&sql(&one)) {
                Err(_) if !connection.has_table(records_table)? => return Ok(Vec::new()),
                prepared => prepared?,
            };
            let mut by_id: HashMap<[u8; 16], Vec<FileRecord>> = HashMap::with_capacity(ids.len());
            let mut rows = select.query([list])?;
            while let Some(row) = rows.next()? {
                let id = row_id(row, 6)?;
                by_id.entry(id).or_default().extend(FileRecord::read(row, 0, id)?);
            }
            let mut found = Vec::with_capacity(by_id.len());
            for mut records in ids.iter().filter_map(|id| by_id.remove(id)) {
                records.sort_by(|a, b| a.stored_component().cmp(b.stored_component()));
                found.append(&mut records);
            }
            Ok(found)
        })
    }

    /// The paths of the files of datasets, in any order; an archive is there once, ending in `#zip-path=`.
    pub fn file_paths(&self, records_table: &str, ids: &[[u8; 16]]) -> Result<Vec<String>, RegistryError> {
        self.store().read_together(|connection| {
            if !connection.has_table(records_table)? {
                return Ok(Vec::new());
            }
            let leaving = Leaving::new(connection, self.store().dialect(), ids)?;
            let mut paths = leaving.paths(connection, &self.quoted(records_table))?;
            let mut archives = HashSet::new();
            paths.retain_mut(|path| match archive_of(path).map(str::to_owned) {
                Some(archive) => {
                    path.truncate(archive.len() + ARCHIVE_MARK.len());
                    archives.insert(archive)
                }
                None => true,
            });
            Ok(paths)
        })
    }

    /// Which datastores have each dataset, in the order of the ids.
    pub fn locations(&self, ids: &[[u8; 16]]) -> Result<Vec<Vec<String>>, RegistryError> {
        self.store().read_together(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT datastore_name FROM dataset_location WHERE dataset_id = ? ORDER BY datastore_name",
            )?;
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.push(select.query_column([hex_text(id, &mut [0; 32])])?);
            }
            Ok(found)
        })
    }

    /// Forgets where datasets are in a datastore, and their files, in one transaction; `purge` removes the datasets, too.
    ///
    /// Nothing is deleted on disk: those of the files that are [`Registry::unnamed_files`] afterwards can go.
    pub fn unstore(
        &self,
        datastore_name: &str,
        records_table: &str,
        ids: &[[u8; 16]],
        purge: bool,
    ) -> Result<(), RegistryError> {
        self.store().write("removing datasets", |connection| {
            let leaving = Leaving::new(connection, self.store().dialect(), ids)?;
            if connection.has_table(records_table)? {
                leaving.delete_records(connection, &self.quoted(records_table))?;
            }
            leaving.delete_locations(connection, datastore_name)?;
            if !purge {
                return Ok(());
            }
            // Of any dataset: found at once in the order of the key, which begins with the name.
            let others =
                "SELECT EXISTS (SELECT 1 FROM dataset_location WHERE datastore_name < ? OR datastore_name > ?)";
            if connection.prepare_cached(others)?.query_row([datastore_name; 2], |row| row.get(0))? {
                leaving.refuse_held(connection)?;
            }
            leaving.purge(connection)
        })
    }

    /// Those of some files that no record names; a file that holds several datasets is named by each of them.
    pub fn unnamed_files(&self, records_table: &str, files: &[String]) -> Result<Vec<String>, RegistryError> {
        self.store().read_together(|connection| unnamed(connection, self.store().dialect(), records_table, files))
    }

    /// The files that other clients have marked for deletion in a datastore.
    pub fn trashed(&self, datastore_name: &str, records_table: &str) -> Result<Vec<Trashed>, RegistryError> {
        self.store().read_together(|connection| {
            if !connection.has_table(records_table)? {
                return Ok(Vec::new());
            }
            let table = self.quoted(records_table);
            // A file that holds several datasets goes with the last of them.
            let sql = format!(
                "SELECT t.dataset_id, f.path, f.formatter, f.storage_class, f.component, f.checksum, f.file_size, \
                 EXISTS (SELECT 1 FROM {table} o WHERE o.path = f.path AND o.dataset_id NOT IN \
                 (SELECT dataset_id FROM dataset_location_trash WHERE datastore_name = ?)) \
                 FROM dataset_location_trash t JOIN {table} f ON f.dataset_id = t.dataset_id \
                 WHERE t.datastore_name = ? ORDER BY f.path"
            );
            let mut select = connection.prepare_cached(&sql)?;
            let mut rows = select.query([datastore_name; 2])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                if let Some(file) = FileRecord::read(row, 1, row_id(row, 0)?)? {
                    found.push(Trashed { file, shared: row.get(7)? });
                }
            }
            self.mark_zip_members(connection, records_table, &mut found)?;
            Ok(found)
        })
    }

    /// Members of one archive have different paths but one file.
    fn mark_zip_members(
        &self,
        connection: &Connection,
        records_table: &str,
        trashed: &mut [Trashed],
    ) -> Result<(), RegistryError> {
        let gone: HashSet<[u8; 16]> = trashed.iter().map(|trashed| trashed.file.dataset_id).collect();
        let mut used: HashMap<String, bool> = HashMap::new();
        let dialect = self.store().dialect();
        let mut sql = format!("SELECT dataset_id FROM {} WHERE path", self.quoted(records_table));
        dialect.glob(&mut sql);
        let mut select = connection.prepare_cached(&sql)?;
        for trashed in trashed.iter_mut() {
            let Some(archive) = archive_of(&trashed.file.path) else { continue };
            if !used.contains_key(archive) {
                let mut rows = select.query([members(dialect, archive)])?;
                let mut held = false;
                while let Some(row) = rows.next()? {
                    held |= !gone.contains(&row_id(row, 0)?);
                }
                used.insert(archive.to_owned(), held);
            }
            trashed.shared |= used[archive];
        }
        Ok(())
    }

    /// Forgets the records of trashed datasets whose files are gone.
    pub fn empty_trash(
        &self,
        datastore_name: &str,
        records_table: &str,
        ids: &[[u8; 16]],
    ) -> Result<(), RegistryError> {
        self.store().write("emptying the trash", |connection| {
            let (test, list) = one_of(self.store().dialect(), ids);
            let sql = format!(
                "DELETE FROM {} WHERE dataset_id{test} AND dataset_id IN (SELECT dataset_id FROM dataset_location_trash \
                 WHERE datastore_name = ?)",
                self.quoted(records_table)
            );
            connection.prepare_cached(&sql)?.execute([&*list, datastore_name])?;
            connection
                .prepare_cached(&format!(
                    "DELETE FROM dataset_location_trash WHERE datastore_name = ? AND dataset_id{test}"
                ))?
                .execute([datastore_name, &list])?;
            // What was trashed without ever having had a file waits for nothing.
            let sql = format!(
                "DELETE FROM dataset_location_trash WHERE datastore_name = ? \
                 AND dataset_id NOT IN (SELECT dataset_id FROM {})",
                self.quoted(records_table)
            );
            connection.prepare_cached(&sql)?.execute([datastore_name])?;
            Ok(())
        })
    }

    /// How many rows each table has, by name.
    pub fn row_counts(&self) -> Result<BTreeMap<String, i64>, RegistryError> {
        self.store().read_together(|connection| {
            let mut counts = BTreeMap::new();
            for name in connection.table_names()? {
                let sql = format!("SELECT count(*) FROM {}", self.quoted(&name));
                counts.insert(name, connection.query_row(&sql, (), |row| row.get(0))?);
            }
            Ok(counts)
        })
    }
}

/// Table names come from configuration files; they must be plain words.
fn check_table_name(name: &str) -> Result<(), RegistryError> {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain {
        return Ok(());
    }
    let reason = "it must be letters, digits and `_`".to_owned();
    Err(RegistryError::BadName { what: "table", name: name.to_owned(), reason })
}

/// Those of `paths` that no record names; an archive, which ends in [`ARCHIVE_MARK`], is named by its members.
pub(crate) fn unnamed(
    connection: &Connection,
    dialect: &dyn Dialect,
    records_table: &str,
    paths: &[String],
) -> Result<Vec<String>, RegistryError> {
    if !connection.has_table(records_table)? {
        return Ok(paths.to_vec());
    }
    let mut any = "SELECT EXISTS (SELECT 1 FROM ".to_owned();
    dialect.quote(&mut any, records_table);
    any.push_str(" WHERE path");
    let mut any_member = any.clone();
    any.push_str(" = ?)");
    dialect.glob(&mut any_member);
    any_member.push(')');
    let mut orphans = Vec::new();
    for path in paths {
        let named: bool = match archive_of(path) {
            None => connection.prepare_cached(&any)?.query_row([path.as_str()], |row| row.get(0))?,
            Some(archive) => {
                connection.prepare_cached(&any_member)?.query_row([members(dialect, archive)], |row| row.get(0))?
            }
        };
        if !named {
            orphans.push(path.clone());
        }
    }
    Ok(orphans)
}

/// A pattern of the paths of all members of an archive.
fn members(dialect: &dyn Dialect, archive: &str) -> String {
    dialect.glob_pattern(&format!("{archive}{ARCHIVE_MARK}*"))
}

fn insert_locations(connection: &Connection, datastore_name: &str, datasets: &[Dataset]) -> Result<(), RegistryError> {
    let sql = "INSERT INTO dataset_location (datastore_name, dataset_id) VALUES (?, ?) ON CONFLICT DO NOTHING";
    let mut buffer = [0; 32];
    let fixed = |insert: &mut Statement<'_>| insert.raw_bind_parameter(1, datastore_name);
    let bind = |insert: &mut Statement<'_>, dataset: &Dataset| {
        insert.raw_bind_parameter(2, hex_text(&dataset.id, &mut buffer))
    };
    connection.insert_each(sql, datasets, fixed, bind).map_err(|(position, error)| {
        if error.kind.is_constraint() {
            RegistryError::NoSuchDataset { id: crate::datasets::shown_id(&datasets[position].id) }
        } else {
            RegistryError::database("locating datasets", &error)
        }
    })
}

fn record_exists(connection: &Connection, table: &str, record: &FileRecord) -> Result<bool, RegistryError> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM \"{table}\" WHERE dataset_id = ? AND path = ?)");
    let mut select = connection.prepare_cached(&sql)?;
    Ok(select.query_row(params![hex_text(&record.dataset_id, &mut [0; 32]), record.path], |row| row.get(0))?)
}
