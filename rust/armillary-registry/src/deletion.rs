//! Datasets are deleted with all that collections say of them.

use crate::{RegistryError, store::Connection};

/// Bytes of a list of ids from which looking up the tables costs less than the cascades: some twenty ids.
const MANY: usize = 20 * 35;

/// Deletes the datasets that a condition of `one_of` means, none of which a datastore may hold, and their memberships.
pub(crate) fn delete_datasets(connection: &Connection, test: &str, list: &str) -> Result<(), RegistryError> {
    let delete = format!("DELETE FROM dataset WHERE id{test}");
    if list.len() >= MANY
        && let Some(_unchecked) = connection.unchecked()?
        && let Some(tables) = membership_tables(connection, test, list)?
    {
        for table in tables {
            let table = table.replace('"', "\"\"");
            connection.prepare_cached(&format!("DELETE FROM \"{table}\" WHERE dataset_id{test}"))?.execute([list])?;
        }
        connection.prepare_cached(&delete)?.execute([list])?;
        return Ok(());
    }
    connection.prepare_cached(&delete)?.execute([list])?;
    Ok(())
}

/// The tables with memberships of these datasets, which a cascade of `SQLite` would look for in those of all dataset types;
/// none if anything else refers to datasets.
fn membership_tables(connection: &Connection, test: &str, list: &str) -> Result<Option<Vec<String>>, RegistryError> {
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
    let types = format!("WHERE id IN (SELECT dataset_type_id FROM dataset WHERE id{test})");
    let tables = connection
        .prepare_cached(&format!(
            "SELECT tag_association_table FROM dataset_type {types} \
             UNION SELECT calibration_association_table FROM dataset_type {types} \
             AND calibration_association_table IS NOT NULL"
        ))?
        .query_column([list, list])?;
    Ok(Some(tables))
}
