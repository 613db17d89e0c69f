//! Data IDs with everything the records say about them.

use crate::{
    Dialect,
    decode::{bind_key, row_value},
    error::RegistryError,
    records::element_columns,
    registry::Registry,
    schema::key_column,
    store::{Connection, Kept, Place, Row},
};
use armillary_dimensions::{
    DataCoordinate, DimensionGroup, Element, ElementIndex, ElementKind, GroupInfo, Key, Record, Records, Universe,
    Value,
};
use armillary_sphere::{UnitVector3d, htm};
use std::{collections::HashMap, sync::Arc};

/// A data ID with the values of all its dimensions and the records of all its elements.
#[derive(Clone, Debug)]
pub struct Expanded {
    /// All values.
    pub data_id: DataCoordinate,
    /// A record for each element, or none where the repository has none.
    pub records: Arc<Records>,
}

/// Records of one element by key.
type ByKey = HashMap<Vec<Key>, Option<Record>>;

/// The records of elements that are few enough to keep.
#[derive(Default)]
pub(crate) struct KeptRecords(HashMap<ElementIndex, ByKey>);

impl KeptRecords {
    pub(crate) fn load(
        connection: &Connection,
        dialect: &dyn Dialect,
        universe: &Arc<Universe>,
    ) -> Result<Self, RegistryError> {
        let cached = || universe.elements().iter().filter(|element| element.is_cached);
        let questions: Vec<String> = cached().map(|element| all_sql(dialect, universe, element)).collect();
        let _ahead = connection.ask_ahead(&questions)?;
        let mut kept = Self::default();
        for (element, question) in cached().zip(&questions) {
            kept.0.insert(element.index, load_all(connection, question, universe, element)?);
        }
        Ok(kept)
    }
}

/// The SELECT of all records of an element.
fn all_sql(dialect: &dyn Dialect, universe: &Universe, element: &Element) -> String {
    match element.implied_union_target {
        Some(target) => format!("SELECT DISTINCT \"{}\" FROM \"{}\"", element.name, universe.get(target).name),
        None => format!("SELECT {} FROM \"{}\"", element_columns(dialect, element).join(", "), element.name),
    }
}

fn load_all(
    connection: &Connection,
    sql: &str,
    universe: &Arc<Universe>,
    element: &Element,
) -> Result<ByKey, RegistryError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(())?;
    let mut by_key = ByKey::new();
    while let Some(row) = rows.next()? {
        let record = read_record(row, universe, element)?;
        let keys = element.required.iter().filter_map(|index| record.dimension_value(index)).collect();
        by_key.insert(keys, Some(record));
    }
    Ok(by_key)
}

fn read_record(row: Row<'_>, universe: &Arc<Universe>, element: &Element) -> Result<Record, RegistryError> {
    let mut from = 0;
    let values: Result<Arc<[Value]>, _> =
        element.fields.iter().map(|field| row_value(row, &mut from, field.kind)).collect();
    Ok(Record::new(universe.clone(), element.index, values?))
}

impl Registry {
    /// One data ID with all values and records.
    pub fn expand_data_id(&self, data_id: &DataCoordinate) -> Result<Expanded, RegistryError> {
        let mut expanded = self.expand_data_ids(std::slice::from_ref(data_id))?;
        expanded.pop().ok_or_else(|| RegistryError::BadArgument { reason: "no data ID was given".to_owned() })
    }

    /// Data IDs with all values and records; each record is read once, however many data IDs share it.
    pub fn expand_data_ids(&self, data_ids: &[DataCoordinate]) -> Result<Vec<Expanded>, RegistryError> {
        self.expand_for(Purpose::Lookup, data_ids)
    }

    /// As [`Registry::expand_data_ids`], for data IDs of datasets that are not there yet: what they say of implied
    /// dimensions does not count, a `band` that no filter has is one, and a record that is missing is called that.
    pub fn expand_new(&self, data_ids: &[DataCoordinate]) -> Result<Vec<Expanded>, RegistryError> {
        self.expand_for(Purpose::NewDatasets, data_ids)
    }

    /// As [`Registry::expand_data_id`], for a dataset that is to be written: on a server, which must be asked whether
    /// others changed records, those are taken that were last read if they say all. What is written for a record that
    /// is gone is refused.
    pub fn expand_to_write(&self, data_id: &DataCoordinate) -> Result<Expanded, RegistryError> {
        if let Place::Server(_) = self.store().place()
            && let Some(kept) = self.records.recent(self.store(), Kept::Records)
            && let Ok(mut found) = self.expand_with(&kept, Purpose::Lookup, std::slice::from_ref(data_id))
            && let Some(expanded) = found.pop()
            && expanded.records.iter().all(|(_, record)| record.is_some())
        {
            return Ok(expanded);
        }
        self.expand_data_id(data_id)
    }

    fn expand_for(&self, purpose: Purpose, data_ids: &[DataCoordinate]) -> Result<Vec<Expanded>, RegistryError> {
        let kept = self.kept_records()?;
        self.expand_with(&kept, purpose, data_ids)
    }

    fn expand_with(
        &self,
        kept: &KeptRecords,
        purpose: Purpose,
        data_ids: &[DataCoordinate],
    ) -> Result<Vec<Expanded>, RegistryError> {
        let dialect = self.store().dialect();
        self.store().read_together(|connection| {
            let mut expanders: HashMap<DimensionGroup, Expander<'_>> = HashMap::new();
            data_ids
                .iter()
                .map(|data_id| {
                    let expander = expanders
                        .entry(data_id.group())
                        .or_insert_with(|| Expander::new(self.universe(), kept, connection, dialect, data_id.info()));
                    expander.expand(purpose, data_id)
                })
                .collect()
        })
    }

    fn kept_records(&self) -> Result<Arc<KeptRecords>, RegistryError> {
        let dialect = self.store().dialect();
        self.records
            .get(self.store(), Kept::Records, |connection| KeptRecords::load(connection, dialect, self.universe()))
    }
}

/// What data IDs are expanded for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// They are asked about.
    Lookup,
    /// Datasets with them are to be entered.
    NewDatasets,
}

/// Expands data IDs of one group.
struct Expander<'a> {
    universe: &'a Arc<Universe>,
    kept: &'a KeptRecords,
    connection: &'a Connection,
    dialect: &'a dyn Dialect,
    info: Arc<GroupInfo>,
    /// Elements in an order in which each one's key is known when it is reached.
    order: Vec<&'a Element>,
    sql: HashMap<ElementIndex, String>,
    found: HashMap<ElementIndex, ByKey>,
    /// The records of the last data ID: neighbours often share all.
    last: Option<(Vec<Option<Record>>, Arc<Records>)>,
}

impl<'a> Expander<'a> {
    fn new(
        universe: &'a Arc<Universe>,
        kept: &'a KeptRecords,
        connection: &'a Connection,
        dialect: &'a dyn Dialect,
        info: &Arc<GroupInfo>,
    ) -> Self {
        let mut known =
            info.required.iter().fold(DimensionGroup::EMPTY, |sum, i| sum.union(DimensionGroup::single(*i)));
        let mut waiting: Vec<&Element> = info.elements.iter().map(|index| universe.get(*index)).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while !waiting.is_empty() {
            let (ready, later): (Vec<&Element>, Vec<&Element>) =
                waiting.into_iter().partition(|e| e.required.is_subset(known));
            if ready.is_empty() {
                break; // cannot be: the required dimensions determine all others
            }
            known = ready.iter().fold(known, |sum, element| sum.union(element.implied));
            order.extend(ready);
            waiting = later;
        }
        Self {
            universe,
            kept,
            connection,
            dialect,
            info: info.clone(),
            order,
            sql: HashMap::new(),
            found: HashMap::new(),
            last: None,
        }
    }

    fn expand(&mut self, purpose: Purpose, data_id: &DataCoordinate) -> Result<Expanded, RegistryError> {
        let given = if purpose == Purpose::Lookup { usize::MAX } else { data_id.required_values().len() };
        let given = data_id.iter().take(given); // the required ones come first
        let mut values: HashMap<ElementIndex, Key> = given.map(|(index, key)| (index, key.clone())).collect();
        let mut records = Vec::with_capacity(self.order.len());
        for position in 0..self.order.len() {
            let element = self.order[position];
            let keys: Vec<Key> = element.required.iter().filter_map(|index| values.get(&index).cloned()).collect();
            let mut record = self.record(element, &keys)?;
            if record.is_none() && purpose == Purpose::NewDatasets && element.implied_union_target.is_some() {
                let values = keys.iter().map(|key| Value::from(key.clone()));
                record = Some(Record::new(self.universe.clone(), element.index, values.collect()));
            }
            match &record {
                Some(record) => self.take_implied(data_id, record, &mut values)?,
                None => self.refuse_missing(purpose, data_id, element, &keys)?,
            }
            records.push(record);
        }
        let all: Option<Arc<[Key]>> = self.info.keys().map(|index| values.get(&index).cloned()).collect();
        let all = all.ok_or_else(|| RegistryError::InconsistentDataId {
            data_id: data_id.to_string(),
            reason: "no record tells the values of all its dimensions".to_owned(),
        })?;
        let full = DataCoordinate::from_values(self.universe.clone(), self.info.clone(), all);
        Ok(Expanded { data_id: full, records: self.share(records) })
    }

    fn share(&mut self, records: Vec<Option<Record>>) -> Arc<Records> {
        if let Some((last, shared)) = &self.last
            && same_records(last, &records)
        {
            return shared.clone();
        }
        let by_element = self.order.iter().zip(&records).map(|(element, record)| (element.index, record.clone()));
        let shared = Arc::new(Records::new(by_element.collect()));
        self.last = Some((records, shared.clone()));
        shared
    }

    fn take_implied(
        &self,
        data_id: &DataCoordinate,
        record: &Record,
        values: &mut HashMap<ElementIndex, Key>,
    ) -> Result<(), RegistryError> {
        for index in record.element().implied.iter() {
            let Some(value) = record.dimension_value(index) else { continue };
            match values.get(&index) {
                Some(given) if *given != value => {
                    return Err(RegistryError::InconsistentDataId {
                        data_id: data_id.to_string(),
                        reason: format!(
                            "the `{}` record has {} {value}",
                            record.element().name,
                            self.universe.get(index).name
                        ),
                    });
                }
                Some(_) => {}
                None => {
                    values.insert(index, value);
                }
            }
        }
        Ok(())
    }

    fn refuse_missing(
        &self,
        purpose: Purpose,
        data_id: &DataCoordinate,
        element: &Element,
        keys: &[Key],
    ) -> Result<(), RegistryError> {
        let required = self.info.required.contains(&element.index);
        if required && purpose == Purpose::NewDatasets {
            return Err(RegistryError::missing_record(data_id, element, keys));
        }
        if required {
            return Err(RegistryError::DataIdValue {
                data_id: data_id.to_string(),
                element: element.name.clone(),
                known: self.siblings(element, keys)?,
            });
        }
        if element.defines_relationships() {
            let shown: Vec<String> = element
                .required
                .iter()
                .zip(keys)
                .map(|(index, key)| format!("{}: {key}", self.universe.get(index).name))
                .collect();
            return Err(RegistryError::InconsistentDataId {
                data_id: data_id.to_string(),
                reason: format!("there is no `{}` record {{{}}}", element.name, shown.join(", ")),
            });
        }
        Ok(())
    }

    /// A few values that the element does have under the same parents, for the message.
    fn siblings(&self, element: &Element, keys: &[Key]) -> Result<Vec<String>, RegistryError> {
        const SHOWN: usize = 8;
        let Some((_, parents)) = keys.split_last() else { return Ok(Vec::new()) };
        let parent_name = |index| key_column(element, self.universe.get(index));
        let (table, own) = match element.implied_union_target {
            Some(target) => (&self.universe.get(target).name, element.name.as_str()),
            None if element.has_table() => (&element.name, parent_name(element.index)),
            None => return Ok(Vec::new()),
        };
        let conditions: Vec<String> = element
            .required
            .iter()
            .filter(|index| *index != element.index)
            .map(|index| format!("\"{}\" = ?", parent_name(index)))
            .collect();
        let filter = if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") };
        let sql = format!("SELECT DISTINCT \"{own}\" FROM \"{table}\" WHERE {filter} ORDER BY 1 LIMIT {}", SHOWN + 1);
        let mut statement = self.connection.prepare_cached(&sql)?;
        for (parameter, key) in (1..).zip(parents.iter().take(conditions.len())) {
            bind_key(&mut statement, parameter, key)?;
        }
        let mut rows = statement.raw_query();
        let mut known = Vec::new();
        while let Some(row) = rows.next()? {
            known.push(crate::decode::row_key(row, 0)?.to_string());
        }
        if known.len() > SHOWN {
            "more".clone_into(&mut known[SHOWN]);
        }
        Ok(known)
    }

    fn record(&mut self, element: &Element, keys: &[Key]) -> Result<Option<Record>, RegistryError> {
        if let ElementKind::SkyPix { system, .. } = &element.kind {
            return Ok(skypix_record(self.universe, element, system, keys));
        }
        if let Some(by_key) = self.kept.0.get(&element.index) {
            return Ok(by_key.get(keys).cloned().flatten());
        }
        if let Some(known) = self.found.get(&element.index).and_then(|by_key| by_key.get(keys)) {
            return Ok(known.clone());
        }
        let record = self.fetch(element, keys)?;
        self.found.entry(element.index).or_default().insert(keys.to_vec(), record.clone());
        Ok(record)
    }

    fn fetch(&mut self, element: &Element, keys: &[Key]) -> Result<Option<Record>, RegistryError> {
        let (universe, dialect) = (self.universe, self.dialect);
        let sql = self.sql.entry(element.index).or_insert_with(|| point_sql(dialect, universe, element));
        let mut statement = self.connection.prepare_cached(sql)?;
        for (parameter, key) in (1..).zip(keys) {
            bind_key(&mut statement, parameter, key)?;
        }
        let mut rows = statement.raw_query();
        rows.next()?.map(|row| read_record(row, universe, element)).transpose()
    }
}

/// Whether both lists hold the same record objects.
fn same_records(left: &[Option<Record>], right: &[Option<Record>]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|pair| match pair {
            (Some(left), Some(right)) => Arc::ptr_eq(left.values(), right.values()),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        })
}

fn point_sql(dialect: &dyn Dialect, universe: &Universe, element: &Element) -> String {
    let (columns, table, key) = match element.implied_union_target {
        Some(target) => {
            (format!("DISTINCT \"{}\"", element.name), &universe.get(target).name, vec![element.name.as_str()])
        }
        None => (
            element_columns(dialect, element).join(", "),
            &element.name,
            element.required.iter().map(|index| key_column(element, universe.get(index))).collect(),
        ),
    };
    let conditions: Vec<String> = key.iter().map(|column| format!("\"{column}\" = ?")).collect();
    format!("SELECT {columns} FROM \"{table}\" WHERE {}", conditions.join(" AND "))
}

/// The record of a pixel is computed; its region is the pixel itself.
fn skypix_record(universe: &Arc<Universe>, element: &Element, system: &str, keys: &[Key]) -> Option<Record> {
    let Some(Key::Int(index)) = keys.first() else { return None };
    let region = match system {
        "htm" => {
            let corners = htm::trixel(u64::try_from(*index).ok()?).ok()?;
            let mut bytes = vec![b'p'];
            for corner in corners {
                for axis in [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)] {
                    let axis = UnitVector3d::from_normalized(axis.0, axis.1, axis.2);
                    bytes.extend(corner.dot(axis).to_le_bytes());
                }
            }
            Value::Bytes(bytes.into())
        }
        _ => Value::Null,
    };
    let values = element.fields.iter().map(|field| match field.name.as_str() {
        "region" => region.clone(),
        _ => Value::Int(*index),
    });
    Some(Record::new(universe.clone(), element.index, values.collect()))
}
