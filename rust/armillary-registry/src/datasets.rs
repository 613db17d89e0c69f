//! Datasets: entering them into runs and tagged collections, and taking them out.

use crate::{
    catalog::{Catalog, CollectionKind, CollectionRecord, DatasetTypeRecord},
    dataset_id::{IdMode, dataset_id},
    decode::{hex_text, row_id},
    deletion::Leaving,
    dialect::Dialect,
    error::RegistryError,
    parents::{self, Parents},
    registry::Registry,
    store::{Connection, DatabaseError, ErrorKind, Kept, Statement},
    summaries,
};
use armillary_dimensions::{DataCoordinate, ElementIndex, ElementKind, Key};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt::Write as _,
    sync::{Arc, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};
use uuid::Uuid;

/// TAI is ahead of UTC by this since 2017.
const LEAP_SECONDS: i64 = 37;

/// A dataset: what it is, where it was made, and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Its id.
    pub id: [u8; 16],
    /// The name of its dataset type.
    pub dataset_type: Arc<str>,
    /// Its run.
    pub run: Arc<str>,
    /// What it is of.
    pub data_id: DataCoordinate,
}

/// Now, as the database stores times.
pub(crate) fn now_tai() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Microseconds, as other clients write them.
    let micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX / 1000 - LEAP_SECONDS * 1_000_000);
    (micros + LEAP_SECONDS * 1_000_000) * 1000
}

/// `id` as people write it.
pub(crate) fn shown_id(id: &[u8; 16]) -> String {
    Uuid::from_bytes(*id).to_string()
}

/// The quoted columns of a data ID in tag and calibration tables.
pub(crate) fn data_id_columns(registry: &Registry, dataset_type: &DatasetTypeRecord) -> Vec<String> {
    let info = registry.universe().info(dataset_type.group);
    info.required.iter().map(|index| format!("\"{}\"", registry.universe().get(*index).name)).collect()
}

/// Governor values of data IDs, each once.
pub(crate) fn governors<'a>(data_ids: impl Iterator<Item = &'a DataCoordinate>) -> BTreeSet<(ElementIndex, Key)> {
    let mut found = BTreeSet::new();
    let mut last: Option<(ElementIndex, Key)> = None;
    for data_id in data_ids {
        for governor in &data_id.info().governors {
            let Some(value) = data_id.get(*governor) else { continue };
            // Nearly all have the value of the one before.
            if last.as_ref().is_some_and(|(index, key)| index == governor && key == value) {
                continue;
            }
            last = Some((*governor, value.clone()));
            found.insert((*governor, value.clone()));
        }
    }
    found
}

pub(crate) fn require_kind<'a>(
    catalog: &'a Catalog,
    name: &str,
    kind: CollectionKind,
) -> Result<&'a CollectionRecord, RegistryError> {
    let collection = catalog.require_collection(name)?;
    if collection.kind == kind {
        return Ok(collection);
    }
    Err(RegistryError::CollectionKind {
        name: name.to_owned(),
        found: collection.kind.described(),
        wanted: kind.described(),
    })
}

impl Registry {
    /// Enters new datasets of one type into a run, and returns their ids in the same order. All are entered or none.
    pub fn insert_datasets(
        &self,
        dataset_type: &str,
        run: &str,
        data_ids: &[DataCoordinate],
        mode: IdMode,
    ) -> Result<Vec<[u8; 16]>, RegistryError> {
        let mut ids = vec![[0; 16]; data_ids.len()];
        let mut order: Vec<usize> = (0..data_ids.len()).collect();
        if parents::are_many(data_ids.len()) {
            // Ids rise in the order in which rows are entered, so that indexes by id grow at their ends, too.
            order.sort_by_key(|position| &data_ids[*position]);
        }
        for position in order {
            ids[position] = dataset_id(mode, dataset_type, run, &data_ids[position]);
        }
        self.store().write("entering datasets", |connection| {
            let catalog = self.catalog_in(connection)?;
            let record = catalog.require_dataset_type(dataset_type)?;
            let run = require_kind(&catalog, run, CollectionKind::Run)?;
            let rows: Vec<_> = ids.iter().zip(data_ids).collect();
            self.enter(connection, record, run, &rows)
        })?;
        Ok(ids)
    }

    /// Enters datasets that have ids already; passes over those that are there, and refuses contradictions.
    pub fn import_datasets(&self, datasets: &[Dataset]) -> Result<(), RegistryError> {
        self.store().write("importing datasets", |connection| self.import_in(connection, datasets))
    }

    /// As [`Registry::import_datasets`], as part of a transaction.
    pub(crate) fn import_in(&self, connection: &Connection, datasets: &[Dataset]) -> Result<(), RegistryError> {
        let catalog = self.catalog_in(connection)?;
        for (record, run, members) in by_type_and_run(&catalog, datasets)? {
            let known = known_ids(connection, self.store().dialect(), &members)?;
            let mut rows = Vec::with_capacity(members.len());
            for dataset in members {
                if !(known.contains(&dataset.id) && self.is_known(connection, &catalog, record, run, dataset)?) {
                    rows.push((&dataset.id, &dataset.data_id));
                }
            }
            self.enter(connection, record, run, &rows)?;
        }
        Ok(())
    }

    /// As [`Registry::import_in`] for what nearly always is new, without looking: for [`Connection::at_once`].
    pub(crate) fn import_unseen(
        &self,
        connection: &Connection,
        catalog: &Catalog,
        datasets: &[Dataset],
    ) -> Result<(), RegistryError> {
        for (record, run, members) in by_type_and_run(catalog, datasets)? {
            let rows: Vec<_> = members.iter().map(|dataset| (&dataset.id, &dataset.data_id)).collect();
            self.check_groups(record, rows.iter().map(|(_, data_id)| *data_id))?;
            let values = governors(rows.iter().map(|(_, data_id)| *data_id));
            // Tags refer to summaries: a server refuses them if others have taken these away.
            if self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert((run.id, record.id, values)) {
                self.note_summary(connection, run.id, record.id, rows.iter().map(|(_, data_id)| *data_id))?;
            }
            self.enter_rows(connection, record, run, &rows)?;
        }
        Ok(())
    }

    /// Whether the very same dataset is there already; an error if its id belongs to another one.
    fn is_known(
        &self,
        connection: &Connection,
        catalog: &Catalog,
        record: &DatasetTypeRecord,
        run: &CollectionRecord,
        dataset: &Dataset,
    ) -> Result<bool, RegistryError> {
        let mut select = connection.prepare_cached("SELECT dataset_type_id, run_id FROM dataset WHERE id = ?")?;
        select.raw_bind_parameter(1, hex_text(&dataset.id, &mut [0; 32]))?;
        let mut rows = select.raw_query();
        let Some(row) = rows.next()? else { return Ok(false) };
        let (stored_type, stored_run): (i64, i64) = (row.get(0)?, row.get(1)?);
        let refuse = |reason: String| {
            Err(RegistryError::DatasetConflict {
                dataset_type: record.name.to_string(),
                data_id: dataset.data_id.to_string(),
                collection: run.name.to_string(),
                reason: format!("its id {} belongs to {reason}", shown_id(&dataset.id)),
            })
        };
        if (stored_type, stored_run) != (record.id, run.id) {
            let name = catalog.dataset_type_by_id(stored_type).map_or("?", |record| &record.name);
            let stored_run = catalog.collection_by_id(stored_run).map_or("?", |record| &record.name);
            return refuse(format!("a dataset `{name}` in run `{stored_run}`"));
        }
        let stored = self.data_id_in(connection, record, run.id, &dataset.id)?;
        match stored {
            Some(stored) if stored != dataset.data_id => refuse(format!("the dataset with data ID {stored}")),
            Some(_) => Ok(true),
            None => refuse("a dataset without a data ID".to_owned()),
        }
    }

    /// Writes the rows of new datasets, with the summaries that they refer to.
    fn enter(
        &self,
        connection: &Connection,
        record: &DatasetTypeRecord,
        run: &CollectionRecord,
        rows: &[(&[u8; 16], &DataCoordinate)],
    ) -> Result<(), RegistryError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.check_groups(record, rows.iter().map(|(_, data_id)| *data_id))?;
        self.note_summary(connection, run.id, record.id, rows.iter().map(|(_, data_id)| *data_id))?;
        let all_there = || self.all_there(connection, record, run, rows);
        let Some(_unchecked) = parents::unchecked(connection, rows.len(), all_there)? else {
            return self.enter_rows(connection, record, run, rows);
        };
        let mut sorted = rows.to_vec();
        sorted.sort_by_key(|(_, data_id)| *data_id);
        self.enter_rows(connection, record, run, &sorted)
    }

    /// Whether all is there that the rows of new datasets refer to, but for one another.
    fn all_there(
        &self,
        connection: &Connection,
        record: &DatasetTypeRecord,
        run: &CollectionRecord,
        rows: &[(&[u8; 16], &DataCoordinate)],
    ) -> Result<bool, RegistryError> {
        let (run, dataset_type) = (Key::Int(run.id), Key::Int(record.id));
        let has = |table: &str, columns: &[&str], values: &[&Key]| {
            Parents::new(connection, table, columns)?.has(values.iter().copied())
        };
        let mut there = has("dataset_type", &["id"], &[&dataset_type])?
            && has("run", &["collection_id"], &[&run])?
            && has("collection", &["collection_id"], &[&run])?;
        let summary = ["collection_id", "dataset_type_id"];
        there = there && has("collection_summary_dataset_type", &summary, &[&run, &dataset_type])?;
        let required = &self.universe().info(record.group).required;
        for element in required.iter().map(|index| self.universe().get(*index)).filter(|element| element.has_table()) {
            let places: Vec<usize> =
                element.required.iter().filter_map(|index| required.iter().position(|own| *own == index)).collect();
            let mut parents = Parents::records(connection, self.universe(), element)?;
            for (_, data_id) in rows {
                let values = places.iter().map(|place| &data_id.required_values()[*place]);
                there = there && parents.has(values)?;
            }
            if element.kind == ElementKind::Governor {
                let table = format!("collection_summary_{}", element.name);
                let mut parents = Parents::new(connection, &table, &["collection_id", &element.name])?;
                for (_, data_id) in rows {
                    there = there && parents.has([&run, &data_id.required_values()[places[0]]].into_iter())?;
                }
            }
        }
        Ok(there)
    }

    /// Writes rows of datasets, then the tags that refer to them.
    fn enter_rows(
        &self,
        connection: &Connection,
        record: &DatasetTypeRecord,
        run: &CollectionRecord,
        rows: &[(&[u8; 16], &DataCoordinate)],
    ) -> Result<(), RegistryError> {
        let now = now_tai();
        let date = if self.ingest_date_is_text() { Some(utc_text(now)) } else { None };
        let fixed = |insert: &mut Statement<'_>| {
            insert.raw_bind_parameter(2, record.id)?;
            match &date {
                Some(text) => insert.raw_bind_parameter(3, text)?,
                None => insert.raw_bind_parameter(3, now)?,
            }
            insert.raw_bind_parameter(4, run.id)
        };
        let refused = |(position, error): (usize, DatabaseError)| {
            let (id, data_id) = rows[position];
            self.explain(connection, &error, record, run, id, data_id)
        };
        let sql = "INSERT INTO dataset (id, dataset_type_id, ingest_date, run_id) VALUES (?, ?, ?, ?)";
        let mut buffer = [0; 32];
        let bind = |insert: &mut Statement<'_>, (id, _): &(&[u8; 16], &DataCoordinate)| {
            insert.raw_bind_parameter(1, hex_text(id, &mut buffer))
        };
        connection.insert_each(sql, rows, fixed, bind).map_err(refused)?;
        let fixed = |insert: &mut Statement<'_>| {
            insert.raw_bind_parameter(1, record.id)?;
            insert.raw_bind_parameter(3, run.id)
        };
        let mut buffer = [0; 32];
        let bind = |insert: &mut Statement<'_>, (id, data_id): &(&[u8; 16], &DataCoordinate)| {
            insert.raw_bind_parameter(2, hex_text(id, &mut buffer))?;
            (4..)
                .zip(data_id.required_values())
                .try_for_each(|(parameter, key)| insert.raw_bind_parameter(parameter, key))
        };
        connection.insert_each(&self.insert_tags_sql(record), rows, fixed, bind).map_err(refused)
    }

    fn insert_tags_sql(&self, record: &DatasetTypeRecord) -> String {
        let columns = data_id_columns(self, record);
        let mut sql = format!("INSERT INTO \"{}\" (dataset_type_id, dataset_id, collection_id", record.tags_table);
        for column in &columns {
            let _ = write!(sql, ", {column}");
        }
        let _ = write!(sql, ") VALUES (?, ?, ?{})", ", ?".repeat(columns.len()));
        sql
    }

    /// Data IDs must have the dimensions of their dataset type.
    pub(crate) fn check_groups<'a>(
        &self,
        record: &DatasetTypeRecord,
        mut data_ids: impl Iterator<Item = &'a DataCoordinate>,
    ) -> Result<(), RegistryError> {
        let Some(wrong) = data_ids.find(|data_id| data_id.group() != record.group) else { return Ok(()) };
        let wanted: Vec<&str> = self.universe().names(record.group).collect();
        Err(RegistryError::BadArgument {
            reason: format!(
                "data ID {wrong} does not have the dimensions of dataset type `{}`: {}",
                record.name,
                wanted.join(", ")
            ),
        })
    }

    pub(crate) fn note_summary<'a>(
        &self,
        connection: &Connection,
        collection: i64,
        dataset_type: i64,
        data_ids: impl Iterator<Item = &'a DataCoordinate>,
    ) -> Result<(), RegistryError> {
        if summaries::note(connection, self.universe(), collection, dataset_type, &governors(data_ids))? {
            self.store().changed(Kept::Summaries);
        }
        Ok(())
    }

    /// What the database meant when it refused a row: it names none.
    fn explain(
        &self,
        connection: &Connection,
        error: &DatabaseError,
        record: &DatasetTypeRecord,
        collection: &CollectionRecord,
        id: &[u8; 16],
        data_id: &DataCoordinate,
    ) -> RegistryError {
        let conflict = |reason: String| RegistryError::DatasetConflict {
            dataset_type: record.name.to_string(),
            data_id: data_id.to_string(),
            collection: collection.name.to_string(),
            reason,
        };
        match error.kind {
            ErrorKind::PrimaryKey => conflict(format!("another dataset has the id {}", shown_id(id))),
            ErrorKind::Unique => conflict("another dataset with this data ID is there already".to_owned()),
            ErrorKind::ForeignKey => self
                .missing_record(connection, data_id)
                .unwrap_or_else(|| RegistryError::database("entering datasets", error)),
            _ => RegistryError::database("entering datasets", error),
        }
    }

    /// The first record that a data ID names and the repository lacks.
    pub(crate) fn missing_record(&self, connection: &Connection, data_id: &DataCoordinate) -> Option<RegistryError> {
        for index in &data_id.info().required {
            let element = self.universe().get(*index);
            let keys: Vec<Key> = element.required.iter().filter_map(|index| data_id.get(index).cloned()).collect();
            if element.has_table() && !crate::records::record_exists(connection, self, element, &keys).unwrap_or(true) {
                return Some(RegistryError::missing_record(data_id, element, &keys));
            }
        }
        None
    }

    /// Removes datasets from the repository. Those that still have files are refused, and then none is removed.
    pub fn remove_datasets(&self, ids: &[[u8; 16]]) -> Result<(), RegistryError> {
        self.store().write("removing datasets", |connection| {
            let leaving = Leaving::new(connection, self.store().dialect(), ids)?;
            leaving.refuse_held(connection)?;
            leaving.purge(connection)
        })
    }

    /// Puts datasets into a TAGGED collection.
    pub fn associate(&self, collection: &str, datasets: &[Dataset]) -> Result<(), RegistryError> {
        self.store().write("tagging datasets", |connection| {
            let catalog = self.catalog_in(connection)?;
            let collection = require_kind(&catalog, collection, CollectionKind::Tagged)?;
            for (record, members) in by_dataset_type(&catalog, datasets)? {
                self.check_groups(record, members.iter().map(|dataset| &dataset.data_id))?;
                self.note_summary(connection, collection.id, record.id, members.iter().map(|d| &d.data_id))?;
                let columns = data_id_columns(self, record);
                let mut sql = self.insert_tags_sql(record);
                sql +=
                    " ON CONFLICT (dataset_id, collection_id) DO UPDATE SET dataset_type_id = excluded.dataset_type_id";
                for column in &columns {
                    let _ = write!(sql, ", {column} = excluded.{column}");
                }
                let fixed = |insert: &mut Statement<'_>| {
                    insert.raw_bind_parameter(1, record.id)?;
                    insert.raw_bind_parameter(3, collection.id)
                };
                let bind = |insert: &mut Statement<'_>, dataset: &&Dataset| {
                    insert.raw_bind_parameter(2, hex_text(&dataset.id, &mut [0; 32]))?;
                    let mut keys = (4..).zip(dataset.data_id.required_values());
                    keys.try_for_each(|(parameter, key)| insert.raw_bind_parameter(parameter, key))
                };
                connection.insert_each(&sql, &members, fixed, bind).map_err(|(position, error)| {
                    self.explain_member(connection, &error, record, collection, members[position])
                })?;
            }
            Ok(())
        })
    }

    /// As [`Registry::explain`], for a dataset that should exist.
    pub(crate) fn explain_member(
        &self,
        connection: &Connection,
        error: &DatabaseError,
        record: &DatasetTypeRecord,
        collection: &CollectionRecord,
        dataset: &Dataset,
    ) -> RegistryError {
        let exists = connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM dataset WHERE id = ?)")
            .and_then(|mut select| select.query_row([hex_text(&dataset.id, &mut [0; 32])], |row| row.get::<bool>(0)));
        if exists == Ok(false) {
            return RegistryError::NoSuchDataset { id: shown_id(&dataset.id) };
        }
        self.explain(connection, error, record, collection, &dataset.id, &dataset.data_id)
    }

    /// Takes datasets out of a TAGGED collection; those that are not in it are passed over.
    pub fn disassociate(&self, collection: &str, datasets: &[Dataset]) -> Result<(), RegistryError> {
        self.store().write("untagging datasets", |connection| {
            let catalog = self.catalog_in(connection)?;
            let collection = require_kind(&catalog, collection, CollectionKind::Tagged)?;
            for (record, members) in by_dataset_type(&catalog, datasets)? {
                let sql = format!("DELETE FROM \"{}\" WHERE dataset_id = ? AND collection_id = ?", record.tags_table);
                let bind = |delete: &mut Statement<'_>, dataset: &Dataset| {
                    delete.raw_bind_parameter(1, hex_text(&dataset.id, &mut [0; 32]))?;
                    delete.raw_bind_parameter(2, collection.id)
                };
                connection.prepare_cached(&sql)?.execute_each(members, bind).map_err(|(_, error)| error)?;
            }
            Ok(())
        })
    }
}

/// The condition, after a column, that an id is one of these, and the parameter of the condition.
pub(crate) fn one_of(dialect: &dyn Dialect, ids: &[[u8; 16]]) -> (String, String) {
    let mut test = String::new();
    dialect.in_json_array(&mut test);
    let mut list = String::with_capacity(2 + 35 * ids.len());
    let mut buffer = [0; 32];
    // In the order of the tables, whose rows are then found one beside the other.
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    list.push('[');
    for (position, id) in ids.iter().enumerate() {
        list.push_str(if position == 0 { "\"" } else { ",\"" });
        list.push_str(hex_text(id, &mut buffer));
        list.push('"');
    }
    list.push(']');
    (test, list)
}

/// Those of the ids of datasets that are taken already.
fn known_ids(
    connection: &Connection,
    dialect: &dyn Dialect,
    datasets: &[&Dataset],
) -> Result<HashSet<[u8; 16]>, RegistryError> {
    let ids: Vec<_> = datasets.iter().map(|dataset| dataset.id).collect();
    let (test, list) = one_of(dialect, &ids);
    let mut select = connection.prepare_cached(&format!("SELECT id FROM dataset WHERE id{test}"))?;
    let mut rows = select.query([list])?;
    let mut known = HashSet::new();
    while let Some(row) = rows.next()? {
        known.insert(row_id(row, 0)?);
    }
    Ok(known)
}

pub(crate) fn of_same_type_and_run(a: &Dataset, b: &Dataset) -> bool {
    a.dataset_type == b.dataset_type && a.run == b.run
}

/// Neighbours of one dataset type and run.
type OfTypeAndRun<'a> = (&'a DatasetTypeRecord, &'a CollectionRecord, Vec<&'a Dataset>);

fn by_type_and_run<'a>(catalog: &'a Catalog, datasets: &'a [Dataset]) -> Result<Vec<OfTypeAndRun<'a>>, RegistryError> {
    datasets
        .chunk_by(of_same_type_and_run)
        .map(|members| {
            let record = catalog.require_dataset_type(&members[0].dataset_type)?;
            let run = require_kind(catalog, &members[0].run, CollectionKind::Run)?;
            Ok((record, run, members.iter().collect()))
        })
        .collect()
}

/// Datasets by dataset type, in the order of first appearance.
pub(crate) fn by_dataset_type<'a>(
    catalog: &'a Catalog,
    datasets: &'a [Dataset],
) -> Result<Vec<(&'a DatasetTypeRecord, Vec<&'a Dataset>)>, RegistryError> {
    let mut positions: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<(&DatasetTypeRecord, Vec<&Dataset>)> = Vec::new();
    for dataset in datasets {
        let position = if let Some(position) = positions.get(&*dataset.dataset_type) {
            *position
        } else {
            groups.push((catalog.require_dataset_type(&dataset.dataset_type)?, Vec::new()));
            positions.insert(&dataset.dataset_type, groups.len() - 1);
            groups.len() - 1
        };
        groups[position].1.push(dataset);
    }
    Ok(groups)
}

/// A time as older repositories store the ingest date: `YYYY-MM-DD HH:MM:SS.ffffff` in UTC.
fn utc_text(tai: i64) -> String {
    let micros = tai / 1000 - LEAP_SECONDS * 1_000_000;
    let (days, rest) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
    // Days since 0000-03-01 in years of 365.2425 days that start in March, so that the leap day comes last.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{micros:06}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::utc_text;

    #[test]
    fn old_ingest_dates_are_calendar_text() {
        let cases = [
            (1_735_689_637_000_000_000, "2025-01-01 00:00:00.000000"),
            (1_709_208_037_123_456_000, "2024-02-29 12:00:00.123456"),
            (1_704_067_236_999_999_000, "2023-12-31 23:59:59.999999"),
        ];
        for (tai, text) in cases {
            assert_eq!(utc_text(tai), text);
        }
    }
}
