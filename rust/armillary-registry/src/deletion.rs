//! Datasets are deleted with all that collections and datastores say of them.

use crate::{
    RegistryError,
    datasets::one_of,
    decode::{hex_text, row_id},
    dialect::Dialect,
    store::{Connection, Unchecked},
};

/// So many datasets from which another look at the database costs less than it saves.
const MANY: usize = 20;

/// Datasets that are to be deleted: the condition, after a column, that an id is one of theirs, and its parameters.
pub(crate) struct Leaving {
    test: String,
    values: Vec<String>,
    kind: Kind,
}

#[derive(PartialEq)]
enum Kind {
    Few,
    Many,
    /// They are neighbours, with no other dataset between them: ids begin with the time, so those of one write often are.
    /// Their rows are then found without looking for each.
    Neighbours,
}

impl Leaving {
    pub(crate) fn new(connection: &Connection, dialect: &dyn Dialect, ids: &[[u8; 16]]) -> Result<Self, RegistryError> {
        if ids.len() >= MANY
            && let Some(values) = ends_of_neighbours(connection, ids)?
        {
            return Ok(Self { test: " BETWEEN ? AND ?".to_owned(), values, kind: Kind::Neighbours });
        }
        let (test, list) = one_of(dialect, ids);
        let kind = if ids.len() >= MANY { Kind::Many } else { Kind::Few };
        Ok(Self { test, values: vec![list], kind })
    }

    /// The paths of their files.
    pub(crate) fn paths(&self, connection: &Connection, table: &str) -> Result<Vec<String>, RegistryError> {
        let sql = format!("SELECT path FROM {table} WHERE dataset_id{}{}", self.test, self.known());
        Ok(connection.prepare_cached(&sql)?.query_column(&*self.values)?)
    }

    /// Deletes the records of their files.
    pub(crate) fn delete_records(&self, connection: &Connection, table: &str) -> Result<(), RegistryError> {
        self.delete(connection, &format!("{table} WHERE dataset_id{}{}", self.test, self.known()), &[])
    }

    /// Deletes what says that a datastore has them, or is to remove them: other clients may have put them into the trash.
    pub(crate) fn delete_locations(&self, connection: &Connection, datastore_name: &str) -> Result<(), RegistryError> {
        for table in ["dataset_location_trash", "dataset_location"] {
            let rows = format!("{table} WHERE datastore_name = ? AND dataset_id{}{}", self.test, self.known());
            self.delete(connection, &rows, &[datastore_name])?;
        }
        Ok(())
    }

    fn delete(&self, connection: &Connection, rows: &str, before: &[&str]) -> Result<(), RegistryError> {
        let values: Vec<&str> = before.iter().copied().chain(self.values.iter().map(String::as_str)).collect();
        connection.prepare_cached(&format!("DELETE FROM {rows}"))?.execute(&*values)?;
        Ok(())
    }

    /// What else rows must meet where some are of datasets that are gone: neighbours may have such rows between them.
    fn known(&self) -> &'static str {
        if self.kind == Kind::Neighbours { " AND EXISTS (SELECT 1 FROM dataset WHERE id = dataset_id)" } else { "" }
    }

    /// Refuses if a datastore still has some of them.
    pub(crate) fn refuse_held(&self, connection: &Connection) -> Result<(), RegistryError> {
        let sql = format!(
            "SELECT count(DISTINCT dataset_id), max(datastore_name) FROM dataset_location WHERE dataset_id{}",
            self.test
        );
        let (datasets, datastore): (u32, Option<String>) =
            connection.query_row(&sql, &*self.values, |row| Ok((row.get(0)?, row.get(1)?)))?;
        match datastore {
            Some(datastore) => Err(RegistryError::DatasetsHaveFiles { datasets: datasets.into(), datastore }),
            None => Ok(()),
        }
    }

    /// Deletes the datasets, none of which a datastore may hold, and their memberships.
    pub(crate) fn purge(&self, connection: &Connection) -> Result<(), RegistryError> {
        let _unchecked = if self.kind == Kind::Few { None } else { self.delete_memberships(connection)? };
        self.delete(connection, &format!("dataset WHERE id{}", self.test), &[])
    }

    /// Deletes their memberships where that is all that cascades could find; while the guard lives, nothing is looked for.
    fn delete_memberships<'c>(&self, connection: &'c Connection) -> Result<Option<Unchecked<'c>>, RegistryError> {
        let Some(unchecked) = connection.unchecked()? else { return Ok(None) };
        let Some(tables) = self.membership_tables(connection)? else { return Ok(None) };
        for table in tables {
            let table = table.replace('"', "\"\"");
            self.delete(connection, &format!("\"{table}\" WHERE dataset_id{}", self.test), &[])?;
        }
        Ok(Some(unchecked))
    }

    /// The tables with their memberships, which a cascade of `SQLite` would look for in those of all dataset types; none
    /// if anything else refers to datasets.
    fn membership_tables(&self, connection: &Connection) -> Result<Option<Vec<String>>, RegistryError> {
        let strangers: i64 = connection.query_row(
            "SELECT count(*) FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' \
             AND f.\"table\" = 'dataset' AND m.name <> 'dataset_location' \
             AND m.name NOT IN (SELECT tag_association_table FROM dataset_type) \
             AND m.name NOT IN (SELECT calibration_association_table FROM dataset_type \
             WHERE calibration_association_table IS NOT NULL)",
            (),
            |row| row.get(0),
        )?;
        if strangers > 0 {
            return Ok(None);
        }
        let types = format!("WHERE id IN (SELECT dataset_type_id FROM dataset WHERE id{})", self.test);
        let tables = connection
            .prepare_cached(&format!(
                "SELECT tag_association_table FROM dataset_type {types} \
                 UNION SELECT calibration_association_table FROM dataset_type {types} \
                 AND calibration_association_table IS NOT NULL"
            ))?
            .query_column(&*[&*self.values, &*self.values].concat())?;
        Ok(Some(tables))
    }
}

/// The first and the last id, if no other dataset is between them and all are there. A server is not asked: it would be
/// one more message.
fn ends_of_neighbours(connection: &Connection, ids: &[[u8; 16]]) -> Result<Option<Vec<String>>, RegistryError> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let (Connection::Sqlite(_), Some(first), Some(last)) = (connection, ids.first(), ids.last()) else {
        return Ok(None);
    };
    let ends = [first, last].map(|id| hex_text(id, &mut [0; 32]).to_owned());
    let sql = "SELECT id FROM dataset WHERE id BETWEEN ? AND ? ORDER BY id";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(&ends[..])?;
    for id in &ids {
        let Some(row) = rows.next()? else { return Ok(None) };
        if row_id(row, 0)? != *id {
            return Ok(None);
        }
    }
    Ok(rows.next()?.is_none().then(|| ends.to_vec()))
}
