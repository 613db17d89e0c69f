//! Finding datasets: by data ID in collections, by id, by collection.

use crate::{
    catalog::{Catalog, CollectionKind, DatasetTypeRecord},
    datasets::{Dataset, data_id_columns},
    datastore::FileRecord,
    decode::{bind_key, hex_text, row_id, row_key},
    error::RegistryError,
    registry::Registry,
    store::{Connection, DatabaseError, Row},
};
use armillary_dimensions::{DataCoordinate, Key, Timespan};
use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    sync::Arc,
};

/// A dataset that was found, with what the datastore knows of its files if that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The dataset.
    pub dataset: Dataset,
    /// Its files; empty if the datastore has none.
    pub files: Vec<FileRecord>,
}

/// A dataset's membership in a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// The dataset.
    pub dataset: Dataset,
    /// The collection it is in.
    pub collection: Arc<str>,
    /// When it is valid, in a CALIBRATION collection.
    pub timespan: Option<Timespan>,
}

impl Registry {
    /// The dataset of a type and data ID in the first of these collections that has one.
    ///
    /// CALIBRATION collections are searched for datasets valid at some time of `timespan`, and passed over without one.
    pub fn find_dataset(
        &self,
        dataset_type: &str,
        data_id: &DataCoordinate,
        collections: &[String],
        timespan: Option<Timespan>,
    ) -> Result<Option<Dataset>, RegistryError> {
        let validity = timespan.map_or(Validity::Skip, Validity::During);
        Ok(self.find(dataset_type, data_id, collections, validity, None)?.map(|found| found.dataset))
    }

    /// As [`Registry::find_dataset`], with the datastore records of the dataset, in the same statement, for reading it:
    /// without a timespan a CALIBRATION collection must hold a single dataset for the data ID.
    pub fn find_records(
        &self,
        dataset_type: &str,
        data_id: &DataCoordinate,
        collections: &[String],
        timespan: Option<Timespan>,
        records_table: &str,
    ) -> Result<Option<Found>, RegistryError> {
        let validity = timespan.map_or(Validity::Ever, Validity::During);
        self.find(dataset_type, data_id, collections, validity, Some(records_table))
    }

    fn find(
        &self,
        dataset_type: &str,
        data_id: &DataCoordinate,
        collections: &[String],
        validity: Validity,
        records_table: Option<&str>,
    ) -> Result<Option<Found>, RegistryError> {
        let _question = self.store().question();
        let catalog = self.catalog()?;
        let record = catalog.require_dataset_type(dataset_type)?;
        let data_id = if data_id.group() == record.group { data_id.clone() } else { data_id.subset(record.group)? };
        let order = catalog.flatten(collections)?;
        let summaries = self.summaries_for(record, &order, false)?;
        let holds = |id: &&i64| summaries.may_hold(**id, record.id);
        let (mut calibrations, others): (Vec<i64>, Vec<i64>) = order.iter().filter(holds).partition(|id| {
            catalog.collection_by_id(**id).is_some_and(|found| found.kind == CollectionKind::Calibration)
        });
        let timespan = match validity {
            Validity::Skip => {
                calibrations.clear();
                None
            }
            Validity::Ever => None,
            Validity::During(timespan) => Some(timespan),
        };
        // A calibration in a run is valid at all times, and a span that is empty has none.
        let never = record.calibs_table.is_some() && timespan.is_some_and(Timespan::is_empty);
        if never || (calibrations.is_empty() && others.is_empty()) {
            return Ok(None);
        }
        let table = records_table.filter(|table| self.has_table(table).unwrap_or(false));
        let search = Search { registry: self, catalog: &catalog, record, data_id: &data_id, timespan, table };
        let hits = self.store().read(|connection| search.run(connection, &calibrations, &others))?;
        search.choose(&order, hits)
    }

    /// Whether the database has a table; datastores make theirs when they first write.
    pub(crate) fn has_table(&self, name: &str) -> Result<bool, RegistryError> {
        self.store().read(|connection| Ok(connection.has_table(name)?))
    }

    /// The data ID of a dataset as a RUN or TAGGED collection has it.
    pub(crate) fn data_id_in(
        &self,
        connection: &Connection,
        record: &DatasetTypeRecord,
        collection: i64,
        id: &[u8; 16],
    ) -> Result<Option<DataCoordinate>, RegistryError> {
        let mut columns = data_id_columns(self, record);
        columns.push("1".to_owned());
        let sql = format!(
            "SELECT {} FROM \"{}\" WHERE dataset_id = ? AND collection_id = ?",
            columns.join(", "),
            record.tags_table
        );
        let mut select = connection.prepare_cached(&sql)?;
        select.raw_bind_parameter(1, hex_text(id, &mut [0; 32]))?;
        select.raw_bind_parameter(2, collection)?;
        let mut rows = select.raw_query();
        rows.next()?.map(|row| self.read_data_id(record, row, 0)).transpose()
    }

    /// A data ID from the columns of a row that start at `from`.
    pub(crate) fn read_data_id(
        &self,
        record: &DatasetTypeRecord,
        row: Row<'_>,
        from: usize,
    ) -> Result<DataCoordinate, RegistryError> {
        let info = self.universe().info(record.group);
        let values: Result<Arc<[Key]>, _> = (from..from + info.required.len()).map(|at| row_key(row, at)).collect();
        Ok(DataCoordinate::from_values(self.universe().clone(), info, values?))
    }

    /// The datasets with these ids, in the same order; nothing for ids no dataset has.
    pub fn get_datasets(&self, ids: &[[u8; 16]]) -> Result<Vec<Option<Dataset>>, RegistryError> {
        let catalog = self.catalog()?;
        self.store().read_together(|connection| {
            let mut select = connection.prepare_cached("SELECT dataset_type_id, run_id FROM dataset WHERE id = ?")?;
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                select.raw_bind_parameter(1, hex_text(id, &mut [0; 32]))?;
                let mut rows = select.raw_query();
                let keys: Option<(i64, i64)> =
                    rows.next()?.map(|row| Ok::<_, DatabaseError>((row.get(0)?, row.get(1)?))).transpose()?;
                drop(rows);
                found.push(match keys {
                    Some((dataset_type, run)) => self.dataset_of(connection, &catalog, *id, dataset_type, run)?,
                    None => None,
                });
            }
            Ok(found)
        })
    }

    fn dataset_of(
        &self,
        connection: &Connection,
        catalog: &Catalog,
        id: [u8; 16],
        dataset_type: i64,
        run: i64,
    ) -> Result<Option<Dataset>, RegistryError> {
        let Some((record, run)) = catalog.dataset_type_by_id(dataset_type).zip(catalog.collection_by_id(run)) else {
            return Ok(None); // made by someone else since the catalog was read
        };
        let data_id = self.data_id_in(connection, record, run.id, &id)?.ok_or_else(|| RegistryError::Corrupt {
            what: format!("`{}`", record.tags_table),
            reason: format!("dataset {} has no data ID in its run `{}`", crate::datasets::shown_id(&id), run.name),
        })?;
        Ok(Some(Dataset { id, dataset_type: record.name.clone(), run: run.name.clone(), data_id }))
    }

    /// The ids of all datasets of a run.
    pub fn run_dataset_ids(&self, run: &str) -> Result<Vec<[u8; 16]>, RegistryError> {
        let catalog = self.catalog()?;
        let run = crate::datasets::require_kind(&catalog, run, CollectionKind::Run)?;
        self.store().read(|connection| {
            let mut select = connection.prepare_cached("SELECT id FROM dataset WHERE run_id = ? ORDER BY id")?;
            let mut rows = select.query([run.id])?;
            let mut ids = Vec::new();
            while let Some(row) = rows.next()? {
                ids.push(row_id(row, 0)?);
            }
            Ok(ids)
        })
    }

    /// Every membership of datasets of a type in collections (chains stand for their children), of these kinds.
    pub fn dataset_associations(
        &self,
        dataset_type: &str,
        collections: &[String],
        kinds: &[CollectionKind],
    ) -> Result<Vec<Association>, RegistryError> {
        let _question = self.store().question();
        let catalog = self.catalog()?;
        let record = catalog.require_dataset_type(dataset_type)?;
        let order = catalog.flatten(collections)?;
        let summaries = self.summaries_for(record, &order, false)?;
        let mut found = Vec::new();
        for id in order {
            let Some(collection) = catalog.collection_by_id(id) else { continue };
            if !kinds.contains(&collection.kind) || !summaries.may_hold(id, record.id) {
                continue;
            }
            let calibration = collection.kind == CollectionKind::Calibration;
            let before = found.len();
            self.store().read(|connection| {
                found.truncate(before);
                let mut never_valid = HashSet::new();
                self.members(connection, &catalog, record, id, calibration, |dataset, timespan| {
                    // Times of validity are kept apart, but those that are empty meet nothing and may be there twice.
                    if timespan.is_some_and(Timespan::is_empty) && !never_valid.insert(dataset.id) {
                        return;
                    }
                    found.push(Association { dataset, collection: collection.name.clone(), timespan });
                })
            })?;
        }
        Ok(found)
    }

    fn members(
        &self,
        connection: &Connection,
        catalog: &Catalog,
        record: &DatasetTypeRecord,
        collection: i64,
        calibration: bool,
        mut take: impl FnMut(Dataset, Option<Timespan>),
    ) -> Result<(), RegistryError> {
        let (table, timespan) = match (&record.calibs_table, calibration) {
            (Some(table), true) => (table, self.store().dialect().timespan_bounds("m.", "timespan").join(", ")),
            (None, true) => return Ok(()),
            (_, false) => (&record.tags_table, "NULL, NULL".to_owned()),
        };
        let columns: Vec<String> =
            data_id_columns(self, record).into_iter().map(|column| format!(", m.{column}")).collect();
        let sql = format!(
            "SELECT m.dataset_id, d.run_id, {timespan}{} FROM \"{table}\" m JOIN dataset d ON d.id = m.dataset_id \
             WHERE m.dataset_type_id = ? AND m.collection_id = ? ORDER BY 3{}, m.dataset_id",
            columns.concat(),
            columns.concat()
        );
        let mut select = connection.prepare_cached(&sql)?;
        let mut rows = select.query([record.id, collection])?;
        while let Some(row) = rows.next()? {
            let run: i64 = row.get(1)?;
            let Some(run) = catalog.collection_by_id(run) else { continue };
            let bounds: (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
            let dataset = Dataset {
                id: row_id(row, 0)?,
                dataset_type: record.name.clone(),
                run: run.name.clone(),
                data_id: self.read_data_id(record, row, 4)?,
            };
            take(dataset, bounds.0.zip(bounds.1).map(|(begin, end)| Timespan::new(begin, end)));
        }
        Ok(())
    }
}

/// Which members of CALIBRATION collections count.
#[derive(Clone, Copy)]
enum Validity {
    /// None.
    Skip,
    /// Those valid at any time.
    Ever,
    /// Those valid at some time of this span.
    During(Timespan),
}

/// A row that fits: the collection it is in, the dataset and its run, and one of its files.
struct Hit {
    collection: i64,
    id: [u8; 16],
    run: i64,
    file: Option<FileRecord>,
}

struct Search<'a> {
    registry: &'a Registry,
    catalog: &'a Catalog,
    record: &'a DatasetTypeRecord,
    data_id: &'a DataCoordinate,
    timespan: Option<Timespan>,
    /// The table of the datastore, if its records are wanted.
    table: Option<&'a str>,
}

impl Search<'_> {
    fn run(&self, connection: &Connection, calibrations: &[i64], others: &[i64]) -> Result<Vec<Hit>, RegistryError> {
        let mut branches = Vec::new();
        if !others.is_empty() {
            branches.push((&*self.record.tags_table, others, false));
        }
        if let (Some(table), false) = (&self.record.calibs_table, calibrations.is_empty()) {
            branches.push((&**table, calibrations, true));
        }
        let sql: Vec<String> =
            branches.iter().map(|(table, ids, calibration)| self.branch_sql(table, ids.len(), *calibration)).collect();
        let mut select = connection.prepare_cached(&sql.join(" UNION ALL "))?;
        let mut parameter = 1;
        for (_, ids, calibration) in &branches {
            select.raw_bind_parameter(parameter, self.record.id)?;
            parameter += 1;
            if ids.len() <= MOST_LISTED {
                for id in *ids {
                    select.raw_bind_parameter(parameter, id)?;
                    parameter += 1;
                }
            } else {
                select.raw_bind_parameter(parameter, json_array(ids))?;
                parameter += 1;
            }
            for key in self.data_id.required_values() {
                bind_key(&mut select, parameter, key)?;
                parameter += 1;
            }
            if let (true, Some(timespan)) = (*calibration, self.timespan) {
                select.raw_bind_parameter(parameter, timespan.begin())?;
                select.raw_bind_parameter(parameter + 1, timespan.end())?;
                parameter += 2;
            }
        }
        let mut rows = select.raw_query();
        let mut hits = Vec::new();
        while let Some(row) = rows.next()? {
            let id = row_id(row, 1)?;
            let file = if self.table.is_some() { FileRecord::read(row, 3, id)? } else { None };
            hits.push(Hit { collection: row.get(0)?, id, run: row.get(2)?, file });
        }
        Ok(hits)
    }

    fn branch_sql(&self, table: &str, collections: usize, calibration: bool) -> String {
        let mut sql = "SELECT m.collection_id, m.dataset_id, d.run_id".to_owned();
        if self.table.is_some() {
            sql.push_str(", f.path, f.formatter, f.storage_class, f.component, f.checksum, f.file_size");
        }
        let _ = write!(sql, " FROM \"{table}\" m JOIN dataset d ON d.id = m.dataset_id");
        if let Some(records) = self.table {
            sql.push_str(" LEFT JOIN ");
            self.registry.store().dialect().quote(&mut sql, records);
            sql.push_str(" f ON f.dataset_id = m.dataset_id");
        }
        sql.push_str(" WHERE m.dataset_type_id = ? AND m.collection_id");
        if collections <= MOST_LISTED {
            let _ = write!(sql, " IN (?{})", ", ?".repeat(collections - 1));
        } else {
            self.registry.store().dialect().in_json_array(&mut sql);
        }
        for column in data_id_columns(self.registry, self.record) {
            let _ = write!(sql, " AND m.{column} = ?");
        }
        if calibration && self.timespan.is_some() {
            let [begin, end] = self.registry.store().dialect().timespan_bounds("m.", "timespan");
            let _ = write!(sql, " AND {end} > ? AND {begin} < ?");
        }
        sql
    }

    /// The hit in the first collection, with all its files.
    fn choose(&self, order: &[i64], hits: Vec<Hit>) -> Result<Option<Found>, RegistryError> {
        let ranks: HashMap<i64, usize> = order.iter().enumerate().map(|(rank, id)| (*id, rank)).collect();
        let rank = |hit: &Hit| ranks.get(&hit.collection).copied().unwrap_or(usize::MAX);
        let Some(best) = hits.iter().map(rank).min() else { return Ok(None) };
        let mut best: Vec<Hit> = hits.into_iter().filter(|hit| rank(hit) == best).collect();
        let (id, run, collection) = (best[0].id, best[0].run, best[0].collection);
        if best.iter().any(|hit| hit.id != id) {
            let collection = self.catalog.collection_by_id(collection);
            return Err(RegistryError::AmbiguousDataset {
                dataset_type: self.record.name.to_string(),
                data_id: self.data_id.to_string(),
                collection: collection.map(|found| found.name.to_string()).unwrap_or_default(),
            });
        }
        let mut files: Vec<FileRecord> = best.drain(..).filter_map(|hit| hit.file).collect();
        files.sort_by(|left, right| left.component.cmp(&right.component));
        files.dedup(); // one dataset may be certified for several times
        let run = self.catalog.collection_by_id(run).map(|found| found.name.clone()).unwrap_or_default();
        let dataset_type = self.record.name.clone();
        let dataset = Dataset { id, dataset_type, run, data_id: self.data_id.clone() };
        Ok(Some(Found { dataset, files }))
    }
}

/// Longer lists of collections are bound as one JSON array, so that few statements are compiled.
const MOST_LISTED: usize = 16;

fn json_array(ids: &[i64]) -> String {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    format!("[{}]", ids.join(","))
}
