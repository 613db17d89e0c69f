//! Times of validity: certifying datasets in CALIBRATION collections and ending that.

use crate::{
    catalog::{CollectionKind, CollectionRecord, DatasetTypeRecord},
    datasets::{Dataset, by_dataset_type, data_id_columns, require_kind},
    decode::{bind_key, hex_text, row_id},
    error::RegistryError,
    json_list::push_json_text,
    query::key_type,
    registry::Registry,
    store::{Connection, Place, Statement, params},
};
use armillary_dimensions::{ColumnType, DataCoordinate, Key, Timespan};
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
        if let Some(position) = self.first_certified(connection, record, collection.id, datasets, timespan)? {
            return Err(RegistryError::CertificationConflict {
                dataset_type: record.name.to_string(),
                data_id: datasets[position].data_id.to_string(),
                collection: collection.name.to_string(),
                timespan: timespan.to_string(),
            });
        }
        let fixed = |insert: &mut Statement<'_>| {
            insert.raw_bind_parameter(1, record.id)?;
            insert.raw_bind_parameter(2, collection.id)?;
            insert.raw_bind_parameter(4, timespan.begin())?;
            insert.raw_bind_parameter(5, timespan.end())
        };
        let bind = |insert: &mut Statement<'_>, dataset: &&Dataset| {
            insert.raw_bind_parameter(3, hex_text(&dataset.id, &mut [0; 32]))?;
            let mut keys = (6..).zip(dataset.data_id.required_values());
            keys.try_for_each(|(parameter, key)| bind_key(insert, parameter, key))
        };
        let insert = self.insert_validity_sql(record)?;
        connection.insert_each(&insert, datasets, fixed, bind).map_err(|(position, error)| {
            self.explain_member(connection, &error, record, collection, datasets[position])
        })
    }

    /// The INSERT of a validity: dataset type, collection, dataset, begin, end, and the values of the data ID.
    fn insert_validity_sql(&self, record: &DatasetTypeRecord) -> Result<String, RegistryError> {
        let columns: Vec<String> = data_id_columns(self, record).iter().map(|column| format!(", {column}")).collect();
        let dialect = self.store().dialect();
        let table = calibs_table(record)?;
        Ok(format!(
            "INSERT INTO \"{table}\" (id, dataset_type_id, collection_id, dataset_id, {}{}) \
             VALUES ({}, ?, ?, ?, {}{})",
            dialect.timespan_columns("timespan").join(", "),
            columns.concat(),
            dialect.next_number(table, "id"),
            dialect.timespan_values(),
            ", ?".repeat(columns.len())
        ))
    }

    /// The position of the first of some datasets whose data ID is certified at some time of `timespan` already, or would
    /// be by one before it.
    fn first_certified(
        &self,
        connection: &Connection,
        record: &DatasetTypeRecord,
        collection: i64,
        datasets: &[&Dataset],
        timespan: Timespan,
    ) -> Result<Option<usize>, RegistryError> {
        if timespan.is_empty() {
            return Ok(None); // that overlaps nothing
        }
        let mut seen = HashSet::with_capacity(datasets.len());
        let twice = datasets.iter().position(|dataset| !seen.insert(dataset.data_id.required_values()));
        if twice.is_none() && self.has_few_and_none(connection, record, collection, datasets.len(), timespan)? {
            return Ok(None);
        }
        let info = self.universe().info(record.group);
        let mut columns = vec![("#".to_owned(), false)]; // no dimension is called that
        let mut meet = String::new();
        for index in &info.required {
            let dimension = self.universe().get(*index);
            columns.push((dimension.name.clone(), key_type(dimension) == ColumnType::Str));
            let _ = write!(meet, " AND m.\"{0}\" = x.\"{0}\"", dimension.name);
        }
        let dialect = self.store().dialect();
        let [begin, end] = dialect.timespan_bounds("m.", "timespan");
        let mut sql = "SELECT x.\"#\" FROM ".to_owned();
        dialect.json_rows(&mut sql, &columns);
        let _ = write!(
            sql,
            " AS x WHERE EXISTS (SELECT 1 FROM \"{}\" AS m WHERE m.dataset_type_id = ? AND m.collection_id = ? \
             AND {end} > ? AND {begin} < ?{meet}) ORDER BY x.\"#\" LIMIT 1",
            calibs_table(record)?
        );
        let keys = numbered_keys(datasets);
        let (from, to) = (timespan.begin(), timespan.end());
        let taken = connection
            .prepare_cached(&sql)?
            .query_first(params![keys, record.id, collection, from, to], |row| row.get::<i64>(0))?;
        let taken = taken.and_then(|position| usize::try_from(position).ok());
        Ok([twice, taken].into_iter().flatten().min())
    }

    /// Whether a collection has not many more than `count` datasets of a type, and none at any time of `timespan`.
    ///
    /// `SQLite` looks at all of these in less time than it takes to look for each data ID; a server would be asked twice.
    fn has_few_and_none(
        &self,
        connection: &Connection,
        record: &DatasetTypeRecord,
        collection: i64,
        count: usize,
        timespan: Timespan,
    ) -> Result<bool, RegistryError> {
        if let Place::Server(_) = self.store().place() {
            return Ok(false);
        }
        let [begin, end] = self.store().dialect().timespan_bounds("", "timespan");
        let sql = format!(
            "SELECT count(*), coalesce(max({end} > ? AND {begin} < ?), 0) FROM (SELECT {begin}, {end} FROM \"{}\" \
             WHERE dataset_type_id = ? AND collection_id = ? LIMIT ?)",
            calibs_table(record)?
        );
        let most = i64::try_from(8 * count + 100).unwrap_or(i64::MAX);
        let values = [timespan.begin(), timespan.end(), record.id, collection, most];
        let (found, overlapping): (i64, bool) =
            connection.query_row(&sql, values, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(found < most && !overlapping)
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
        delete
            .execute_each(deleted, |delete, key: i64| delete.raw_bind_parameter(1, key))
            .map_err(|(_, error)| error)?;
        Ok(pieces)
    }

    fn insert_pieces(
        &self,
        connection: &Connection,
        record: &DatasetTypeRecord,
        collection: i64,
        pieces: &[Piece],
    ) -> Result<(), RegistryError> {
        let fixed = |insert: &mut Statement<'_>| {
            insert.raw_bind_parameter(1, record.id)?;
            insert.raw_bind_parameter(2, collection)
        };
        let bind = |insert: &mut Statement<'_>, piece: &Piece| {
            insert.raw_bind_parameter(3, hex_text(&piece.id, &mut [0; 32]))?;
            insert.raw_bind_parameter(4, piece.timespan.begin())?;
            insert.raw_bind_parameter(5, piece.timespan.end())?;
            let mut keys = (6..).zip(piece.data_id.required_values());
            keys.try_for_each(|(parameter, key)| bind_key(insert, parameter, key))
        };
        let insert = self.insert_validity_sql(record)?;
        connection.insert_each(&insert, pieces, fixed, bind).map_err(|(_, error)| error.into())
    }
}

/// What is left of a validity after part of it ended.
struct Piece {
    id: [u8; 16],
    data_id: DataCoordinate,
    timespan: Timespan,
}

/// The positions and values of the data IDs of datasets, as rows for [`crate::dialect::Dialect::json_rows`].
fn numbered_keys(datasets: &[&Dataset]) -> String {
    let mut json = String::with_capacity(32 * datasets.len() + 2);
    for (position, dataset) in datasets.iter().enumerate() {
        let _ = write!(json, "{}[{position}", if position == 0 { '[' } else { ',' });
        for key in dataset.data_id.required_values() {
            json.push(',');
            match key {
                Key::Int(value) => json.push_str(&value.to_string()),
                Key::Str(value) => push_json_text(&mut json, value),
            }
        }
        json.push(']');
    }
    json.push(']');
    json
}

fn calibs_table(record: &DatasetTypeRecord) -> Result<&str, RegistryError> {
    record.calibs_table.as_deref().ok_or_else(|| RegistryError::NotACalibration { name: record.name.to_string() })
}
