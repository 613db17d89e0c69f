//! Registering, listing and removing dataset types.

use crate::{
    catalog::{Catalog, DatasetTypeRecord},
    error::RegistryError,
    pattern::{glob_fits, is_glob},
    registry::Registry,
    schema::{self, Table},
    store::{Connection, Kept, params},
};
use armillary_dimensions::{DimensionGroup, ElementKind};
use std::collections::{BTreeSet, HashSet};

/// Longest name of a dataset type, in characters.
const LONGEST_NAME: usize = 128;

fn check_name(registry: &Registry, name: &str) -> Result<(), RegistryError> {
    let bad = |reason: String| Err(RegistryError::BadName { what: "dataset type", name: name.to_owned(), reason });
    if name.contains('.') {
        return bad("a name with a dot is that of a component; register its parent".to_owned());
    }
    let good_start = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !good_start || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return bad("it must be letters, digits and `_`, and not start with a digit".to_owned());
    }
    if name.len() > LONGEST_NAME {
        return bad(format!("it is longer than {LONGEST_NAME} characters"));
    }
    if registry.universe().find(name).is_some_and(|element| element.kind == ElementKind::Governor) {
        return bad("it is the name of a governor dimension".to_owned());
    }
    Ok(())
}

impl Registry {
    /// Registers a dataset type; says whether it is new. Another definition under the same name is an error.
    pub fn register_dataset_type(
        &self,
        name: &str,
        group: DimensionGroup,
        storage_class: &str,
        is_calibration: bool,
    ) -> Result<bool, RegistryError> {
        check_name(self, name)?;
        let same = |stored: &DatasetTypeRecord| {
            self.refuse_other_definition(stored, group, storage_class, is_calibration).map(|()| false)
        };
        let load = |connection: &Connection| Catalog::load_dataset_type(connection, self.universe(), name);
        if let Some(stored) = self.store().read(load)?.dataset_type(name) {
            return same(stored);
        }
        self.store().write("registering a dataset type", |connection| {
            connection.lock_table("dimension_graph_key")?;
            connection.lock_table("dimension_graph_definition")?;
            let catalog = load(connection)?;
            if let Some(stored) = catalog.dataset_type(name) {
                return same(stored);
            }
            let key = match catalog.group_key(group) {
                Some(key) => key,
                None => self.insert_group(connection, group)?,
            };
            let tags = schema::tags_table(self.universe(), group, key);
            self.ensure_table(connection, &tags)?;
            let calibs =
                is_calibration.then(|| schema::calibs_table(self.universe(), group, key, self.store().dialect()));
            if let Some(calibs) = &calibs {
                self.ensure_table(connection, calibs)?;
            }
            let next = self.store().dialect().next_number("dataset_type", "id");
            connection
                .prepare_cached(&format!(
                    "INSERT INTO dataset_type \
                     (id, name, storage_class, dimensions_key, tag_association_table, calibration_association_table) \
                     VALUES ({next}, ?, ?, ?, ?, ?)",
                ))?
                .execute(params![name, storage_class, key, tags.name(), calibs.as_ref().map(Table::name)])?;
            self.store().changed(Kept::Catalog);
            Ok(true)
        })
    }

    /// A definition as text, for messages.
    fn described(&self, group: DimensionGroup, storage_class: &str, is_calibration: bool) -> String {
        let dimensions: Vec<&str> = self.universe().names(group).collect();
        let calibration = if is_calibration { ", a calibration" } else { "" };
        format!("{{{}}}, {storage_class}{calibration}", dimensions.join(", "))
    }

    fn refuse_other_definition(
        &self,
        stored: &DatasetTypeRecord,
        group: DimensionGroup,
        storage_class: &str,
        is_calibration: bool,
    ) -> Result<(), RegistryError> {
        let stored_calibration = stored.calibs_table.is_some();
        if (stored.group, &*stored.storage_class, stored_calibration) == (group, storage_class, is_calibration) {
            return Ok(());
        }
        Err(RegistryError::DatasetTypeConflict {
            name: stored.name.to_string(),
            stored: self.described(stored.group, &stored.storage_class, stored_calibration),
            given: self.described(group, storage_class, is_calibration),
        })
    }

    /// Gives a dimension group a number. Only its required dimensions are stored: they determine the rest.
    fn insert_group(&self, connection: &Connection, group: DimensionGroup) -> Result<i64, RegistryError> {
        let next = self.store().dialect().next_number("dimension_graph_key", "id");
        let sql = format!("INSERT INTO dimension_graph_key (id) VALUES ({next}) RETURNING id");
        let key: i64 = connection.query_row(&sql, (), |row| row.get(0))?;
        let mut insert = connection.prepare_cached(
            "INSERT INTO dimension_graph_definition (dimension_graph_id, dimension_name) VALUES (?, ?)",
        )?;
        for index in &self.universe().info(group).required {
            insert.execute(params![key, self.universe().get(*index).name])?;
        }
        Ok(key)
    }

    /// Makes a table and its indexes, or checks that the one that exists has the right columns.
    pub(crate) fn ensure_table(&self, connection: &Connection, table: &Table) -> Result<(), RegistryError> {
        let found: BTreeSet<String> = connection.column_names(table.name())?.into_iter().collect();
        if found.is_empty() {
            for statement in table.statements(self.store().dialect()) {
                connection.execute_batch(&statement)?;
            }
            return Ok(());
        }
        let wanted: BTreeSet<String> = table.column_names().map(str::to_owned).collect();
        if found == wanted {
            return Ok(());
        }
        Err(RegistryError::WrongTable {
            table: table.name().to_owned(),
            found: found.into_iter().collect(),
            wanted: wanted.into_iter().collect(),
        })
    }

    /// Dataset types whose names fit the patterns, in the order of the patterns; names without a dataset type are left out.
    pub fn query_dataset_types(&self, patterns: Option<&[String]>) -> Result<Vec<DatasetTypeRecord>, RegistryError> {
        let catalog = self.catalog()?;
        let Some(patterns) = patterns else { return Ok(catalog.dataset_types().cloned().collect()) };
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for pattern in patterns {
            if is_glob(pattern) {
                found.extend(catalog.dataset_types().filter(|record| glob_fits(pattern, &record.name)).cloned());
            } else {
                found.extend(catalog.dataset_type(pattern).cloned());
            }
        }
        found.retain(|record| seen.insert(record.id));
        Ok(found)
    }

    /// Removes a dataset type without datasets; its tables stay for others with its dimensions.
    pub fn remove_dataset_type(&self, name: &str) -> Result<(), RegistryError> {
        self.store().write("removing a dataset type", |connection| {
            let catalog = self.catalog_in(connection)?;
            let record = catalog.require_dataset_type(name)?;
            let datasets: i64 = connection
                .prepare_cached("SELECT count(*) FROM dataset WHERE dataset_type_id = ?")?
                .query_row([record.id], |row| row.get(0))?;
            if datasets > 0 {
                let datasets = datasets.unsigned_abs();
                return Err(RegistryError::DatasetTypeInUse { name: name.to_owned(), datasets });
            }
            connection.prepare_cached("DELETE FROM dataset_type WHERE id = ?")?.execute([record.id])?;
            self.store().changed(Kept::Catalog);
            self.store().changed(Kept::Summaries);
            Ok(())
        })
    }
}
