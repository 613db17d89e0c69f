//! Times of validity: certifying datasets in CALIBRATION collections and ending that.

use crate::{
    catalog::{CollectionKind, CollectionRecord, DatasetTypeRecord},
    datasets::{Dataset, by_dataset_type, data_id_columns, require_kind},
    decode::{bind_key, hex_text, row_id},
    error::RegistryError,
    registry::Registry,
    store::Connection,
};
use armillary_dimensions::{DataCoordinate, Timespan};
use std::{collections::HashSet, fmt::Write as _};

impl Registry {
    /// Makes datasets valid in a CALIBRATION collection for a time; none may be valid there for the same data ID then.
    pub fn certify(&self, collection: &str, datasets: &[Dataset], timespan: Timespan) -> Result<(), RegistryError> {
        self.store().write("certifying datasets", |connection| {
            let catalog = self.catalog_in(connection)?;
            let collection = require_kind(&catalog, collection, CollectionKind::Calibration)?;
            for (record, members) in by_dataset_type(&catalog, datasets)? {
                self.check_groups(record, members.iter().map(|dataset| &dataset.data_id))?;
                self.note_summary(connection, collection.id, record.id, members.iter().map(|d| &d.data_id))?;
                self.certify_type(connection, record, collection, &members, timespan)?;
            }
            Ok(())
        })
    }

    fn certify_type(
        &self,
        connection: &Connection,
        record: &DatasetTypeRecord,
        collection: &CollectionRecord,
        datasets: &[&Dataset],
        timespan: Timespan,
    ) -> Result<(), RegistryError> {
        let table = calibs_table(record)?;
        // No constraint keeps times apart: nobody else may certify between the check and the insertion.
        connection.lock_table(table)?;
        let columns = data_id_columns(self, record);
        let dialect = self.store().dialect();
        let [begin, end] = dialect.timespan_bounds("", "timespan");
        let mut check = format!(
            "SELECT EXISTS (SELECT 1 FROM \"{table}\" WHERE dataset_type_id = ? AND collection_id = ? \
             AND {end} > ? AND {begin} < ?"
        );
        let mut insert = format!(
            "INSERT INTO \"{table}\" (id, dataset_type_id, collection_id, {}, dataset_id",
            dialect.timespan_columns("timespan").join(", ")
        );
        for column in &columns {
            let _ = write!(check, " AND {column} = ?");
            let _ = write!(insert, ", {column}");
        }
        check.push(')');
        let (next, timespan_values) = (dialect.next_number(table, "id"), dialect.timespan_values());
        let _ = write!(insert, ") VALUES ({next}, ?, ?, {timespan_values}, ?{})", ", ?".repeat(columns.len()));
        let mut check = connection.prepare_cached(&check)?;
        let mut insert = connection.prepare_cached(&insert)?;
        for statement in [&mut check, &mut insert] {
            statement.raw_bind_parameter(1, record.id)?;
            statement.raw_bind_parameter(2, collection.id)?;
            statement.raw_bind_parameter(3, timespan.begin())?;
            statement.raw_bind_parameter(4, timespan.end())?;
        }
        // Each is checked after those before it were inserted, so that two of one call cannot contradict each other.
        for dataset in datasets {
            for (parameter, key) in (5..).zip(dataset.data_id.required_values()) {
                bind_key(&mut check, parameter, key)?;
            }
            let taken: bool = {
                let mut rows = check.raw_query();
                rows.next()?.is_some_and(|row| row.get(0).unwrap_or(true))
            };
            if taken {
                return Err(RegistryError::CertificationConflict {
                    dataset_type: record.name.to_string(),
                    data_id: dataset.data_id.to_string(),
                    collection: collection.name.to_string(),
                    timespan: timespan.to_string(),
                });
            }
            insert.raw_bind_parameter(5, hex_text(&dataset.id, &mut [0; 32]))?;
            for (parameter, key) in (6..).zip(dataset.data_id.required_values()) {
                bind_key(&mut insert, parameter, key)?;
            }
            insert
                .raw_execute()
                .map_err(|error| self.explain_member(connection, &error, record, collection, dataset))?;
        }
        Ok(())
    }

    /// Ends the validity of datasets of a type during a time, for these data IDs or all.
    pub fn decertify(
        &self,
        collection: &str,
        dataset_type: &str,
        timespan: Timespan,
        data_ids: Option<&[DataCoordinate]>,
    ) -> Result<(), RegistryError> {
        self.store().write("decertifying datasets", |connection| {
            let catalog = self.catalog_in(connection)?;
            let collection = require_kind(&catalog, collection, CollectionKind::Calibration)?;
            let record = catalog.require_dataset_type(dataset_type)?;
            let wanted: Option<HashSet<DataCoordinate>> = match data_ids {
                Some(data_ids) => Some(data_ids.iter().map(|id| id.subset(record.group)).collect::<Result<_, _>>()?),
                None => None,
            };
            let pieces = self.delete_valid(connection, record, collection.id, timespan, wanted.as_ref())?;
            self.insert_pieces(connection, record, collection.id, &pieces)
        })
    }

    /// Deletes the rows valid during a time, and returns what should be left of each.
    fn delete_valid(
        &self,
        connection: &Connection,
        record: &DatasetTypeRecord,
        collection: i64,
        timespan: Timespan,
        wanted: Option<&HashSet<DataCoordinate>>,
    ) -> Result<Vec<Piece>, RegistryError> {
        let table = calibs_table(record)?;
        connection.lock_table(table)?;
        let columns: Vec<String> = data_id_columns(self, record).iter().map(|column| format!(", {column}")).collect();
        let [begin, end] = self.store().dialect().timespan_bounds("", "timespan");
        let sql = format!(
            "SELECT id, dataset_id, {begin}, {end}{} FROM \"{table}\" \
             WHERE dataset_type_id = ? AND collection_id = ? AND {end} > ? AND {begin} < ? ORDER BY id",
            columns.concat()
        );
        let mut select = connection.prepare_cached(&sql)?;
        let mut rows = select.query([record.id, collection, timespan.begin(), timespan.end()])?;
        let (mut deleted, mut pieces) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next()? {
            let data_id = self.read_data_id(record, row, 4)?;
            if wanted.is_some_and(|wanted| !wanted.contains(&data_id)) {
                continue;
            }
            let key: i64 = row.get(0)?;
            deleted.push(key);
            let id = row_id(row, 1)?;
            for left in Timespan::new(row.get(2)?, row.get(3)?).difference(timespan) {
                pieces.push(Piece { id, data_id: data_id.clone(), timespan: left });
            }
        }
        drop(rows);
        let mut delete = connection.prepare_cached(&format!("DELETE FROM \"{table}\" WHERE id = ?"))?;
        for key in deleted {
            delete.execute([key])?;
        }
        Ok(pieces)
    }

    fn insert_pieces(
        &self,
        connection: &Connection,
        record: &DatasetTypeRecord,
        collection: i64,
        pieces: &[Piece],
    ) -> Result<(), RegistryError> {
        let columns: Vec<String> = data_id_columns(self, record).iter().map(|column| format!(", {column}")).collect();
        let dialect = self.store().dialect();
        let table = calibs_table(record)?;
        let sql = format!(
            "INSERT INTO \"{table}\" (id, dataset_type_id, collection_id, dataset_id, {}{}) \
             VALUES ({}, ?, ?, ?, {}{})",
            dialect.timespan_columns("timespan").join(", "),
            columns.concat(),
            dialect.next_number(table, "id"),
            dialect.timespan_values(),
            ", ?".repeat(columns.len())
        );
        let mut insert = connection.prepare_cached(&sql)?;
        for piece in pieces {
            insert.raw_bind_parameter(1, record.id)?;
            insert.raw_bind_parameter(2, collection)?;
            insert.raw_bind_parameter(3, hex_text(&piece.id, &mut [0; 32]))?;
            insert.raw_bind_parameter(4, piece.timespan.begin())?;
            insert.raw_bind_parameter(5, piece.timespan.end())?;
            for (parameter, key) in (6..).zip(piece.data_id.required_values()) {
                bind_key(&mut insert, parameter, key)?;
            }
            insert.raw_execute()?;
        }
        Ok(())
    }
}

/// What is left of a validity after part of it ended.
struct Piece {
    id: [u8; 16],
    data_id: DataCoordinate,
    timespan: Timespan,
}

fn calibs_table(record: &DatasetTypeRecord) -> Result<&str, RegistryError> {
    record.calibs_table.as_deref().ok_or_else(|| RegistryError::NotACalibration { name: record.name.to_string() })
}
