//! Writing dimension records, with the rows that spatial joins are made of.

use crate::{
    Dialect,
    decode::{bind_field, bind_value, row_value},
    error::RegistryError,
    overlaps::{OverlapWriter, Pixels, common_skypix, pixels_of_rows},
    parents::{Parents, are_many, exists_sql, unchecked},
    registry::Registry,
    schema::{governors_first, key_column, spatial_elements},
    store::{Connection, DatabaseError, DatabaseResult, ErrorKind, Kept, Statement},
};
use armillary_dimensions::{Element, ElementIndex, ElementKind, FieldRole, FieldType, Key, Value};
use std::{cmp::Ordering, collections::HashSet, fmt::Write as _};

/// What happens to records that exist already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertMode {
    /// They are an error.
    Plain,
    /// They get the new values.
    Replace,
    /// They stay as they are.
    SkipExisting,
}

/// What [`Registry::sync_record`] did.
#[derive(Clone, Debug, PartialEq)]
pub enum Synced {
    /// The record is new.
    Inserted,
    /// It was there, with the same values.
    Unchanged,
    /// It was there; these fields had these values before.
    Updated(Vec<(String, Value)>),
}

impl Registry {
    /// Inserts records of one element: a row holds a value for each of its fields, regions as encoded bytes.
    ///
    /// All rows are inserted or none.
    pub fn insert_records<R: AsRef<[Value]> + Sync>(
        &self,
        element: &str,
        rows: &[R],
        mode: InsertMode,
    ) -> Result<(), RegistryError> {
        let element = self.element_with_table(element)?;
        for row in rows {
            check_row(element, row.as_ref())?;
        }
        let pixels = self.pixels(element, rows)?;
        self.store().write("inserting records", |connection| {
            let mut writer = RecordWriter::new(self, connection, element, mode)?;
            let none = Pixels::new();
            let of_row = |position| pixels.get(position).unwrap_or(&none);
            let records = rows.iter().enumerate().map(|(position, row)| (row.as_ref(), of_row(position))).collect();
            if mode == InsertMode::SkipExisting {
                writer.write_new(records)?;
            } else {
                writer.write_all(records)?;
            }
            writer.finish();
            Ok(())
        })
    }

    /// Inserts one record, or compares it with the one that exists; `update` gives that one the new values.
    pub fn sync_record(&self, element: &str, row: &[Value], update: bool) -> Result<Synced, RegistryError> {
        let element = self.element_with_table(element)?;
        check_row(element, row)?;
        let pixels = self.pixels(element, &[row])?;
        self.store().write("synchronising a record", |connection| {
            let mut writer = RecordWriter::new(self, connection, element, InsertMode::SkipExisting)?;
            if writer.write(row, pixels.first())? {
                writer.finish();
                return Ok(Synced::Inserted);
            }
            let stored = select_record(connection, self.store().dialect(), element, row)?;
            let changed: Vec<usize> = (0..row.len()).filter(|i| !same_stored(&stored[*i], &row[*i])).collect();
            if changed.is_empty() {
                return Ok(Synced::Unchanged);
            }
            if !update {
                return Err(conflict(element, row, &differences(element, &changed, &stored, row)));
            }
            let mut writer = RecordWriter::new(self, connection, element, InsertMode::Replace)?;
            writer.write(row, pixels.first())?;
            writer.finish();
            let old = |i: usize| (element.fields[i].name.clone(), stored[i].clone());
            Ok(Synced::Updated(changed.into_iter().map(old).collect()))
        })
    }

    fn element_with_table(&self, name: &str) -> Result<&Element, RegistryError> {
        let element = self.universe().element(name)?;
        if element.has_table() {
            return Ok(element);
        }
        let reason = match element.implied_union_target {
            Some(target) => format!("its values are those that `{}` records name", self.universe().get(target).name),
            None => "they are computed, not stored".to_owned(),
        };
        Err(RegistryError::NoTable { element: name.to_owned(), reason })
    }

    fn pixels<R: AsRef<[Value]> + Sync>(&self, element: &Element, rows: &[R]) -> Result<Vec<Pixels>, RegistryError> {
        if element.spatial.is_some() { pixels_of_rows(self.universe(), element, rows) } else { Ok(Vec::new()) }
    }

    /// Elements with regions under this governor.
    fn spatial_under(&self, governor: ElementIndex) -> impl Iterator<Item = &Element> {
        spatial_elements(self.universe())
            .filter(move |element| governors_first(self.universe(), element).0 == [governor])
    }
}

/// Writes records of one element.
struct RecordWriter<'a> {
    registry: &'a Registry,
    connection: &'a Connection,
    element: &'a Element,
    mode: InsertMode,
    sql: String,
    overlaps: Option<OverlapWriter<'a>>,
    buffer: String,
}

impl<'a> RecordWriter<'a> {
    fn new(
        registry: &'a Registry,
        connection: &'a Connection,
        element: &'a Element,
        mode: InsertMode,
    ) -> Result<Self, RegistryError> {
        let spatial = element.spatial.is_some();
        let overlaps = spatial.then(|| OverlapWriter::new(connection, registry.universe(), element));
        if let Some(overlaps) = &overlaps {
            overlaps.check_summary()?;
        }
        Ok(Self {
            registry,
            connection,
            element,
            mode,
            sql: insert_sql(registry.store().dialect(), element, mode),
            overlaps,
            buffer: String::new(),
        })
    }

    /// Writes one record; says whether it is there now with these values because of us.
    fn write(&mut self, row: &[Value], pixels: Option<&Pixels>) -> Result<bool, RegistryError> {
        let mut statement = self.connection.prepare_cached(&self.sql)?;
        bind_row(&mut statement, self.element, row, 0, &mut self.buffer)?;
        let written = statement.raw_execute().map_err(|error| self.explain(&error, row))? > 0;
        if let (true, Some(overlaps)) = (written, &self.overlaps) {
            if self.mode == InsertMode::Replace {
                overlaps.delete(row)?;
            }
            if let Some(pixels) = pixels {
                overlaps.insert(row, pixels)?;
            }
        }
        if self.element.kind == ElementKind::Governor {
            self.write_summaries(&row[0])?;
        }
        Ok(written)
    }

    /// Writes the records that are not there yet; of those with one key, the first.
    fn write_new(&mut self, mut records: Vec<(&[Value], &Pixels)>) -> Result<(), RegistryError> {
        // On a server another writer may add one after we looked.
        if !are_many(records.len()) || !matches!(self.connection, Connection::Sqlite(_)) {
            return records.iter().try_for_each(|(row, pixels)| self.write(row, Some(pixels)).map(|_| ()));
        }
        let places = key_places(self.element, self.element);
        let mut there = Parents::records(self.connection, self.registry.universe(), self.element)?;
        let mut taken = Vec::with_capacity(records.len());
        let mut met = HashSet::with_capacity(records.len());
        for (row, _) in &records {
            let key: Vec<Key> = places.iter().filter_map(|place| row[*place].to_key()).collect();
            taken.push(there.has(key.iter())? || !met.insert(key));
        }
        let mut taken = taken.into_iter();
        records.retain(|_| taken.next() == Some(false));
        self.write_all(records)
    }

    /// Writes all records, none of which is passed over.
    fn write_all<'r>(&mut self, mut records: Vec<(&'r [Value], &'r Pixels)>) -> Result<(), RegistryError> {
        let in_order = if are_many(records.len()) { self.sorted(&records) } else { Vec::new() };
        let unchecked = unchecked(self.connection, records.len(), || self.all_there(&in_order))?;
        let sorted = unchecked.is_some();
        if sorted {
            records = in_order;
        }
        let aside = if sorted { self.set_indexes_aside()? } else { Vec::new() };
        let (element, buffer, shared) = (self.element, &mut self.buffer, shared_keys(self.element, &records));
        let fixed = |statement: &mut Statement<'_>| {
            let first = records.first().map_or(&[][..], |(row, _)| &row[..shared]);
            first.iter().zip(1..).try_for_each(|(value, parameter)| bind_value(statement, parameter, value).map(|_| ()))
        };
        let bind = |statement: &mut Statement<'_>, (row, _): &(&[Value], &Pixels)| {
            bind_row(statement, element, row, shared, buffer)
        };
        let written = self.connection.insert_each(&self.sql, &records, fixed, bind);
        written.map_err(|(position, error)| self.explain(&error, records[position].0))?;
        self.connection.make_indexes(&aside, records.len())?;
        if let Some(overlaps) = &self.overlaps {
            overlaps.write_all(&records, self.mode == InsertMode::Replace, sorted)?;
        }
        if self.element.kind == ElementKind::Governor {
            records.iter().try_for_each(|(row, _)| self.write_summaries(&row[0]))?;
        }
        Ok(())
    }

    /// Many records sorted by their keys.
    fn sorted<'r>(&self, records: &[(&'r [Value], &'r Pixels)]) -> Vec<(&'r [Value], &'r Pixels)> {
        let mut records = records.to_vec();
        let keys = shared_keys(self.element, &records)..self.element.required.len();
        let number = |value: &Value| if let Value::Int(number) = value { Some(*number) } else { None };
        let numbers = |row: &[Value]| match &row[keys.clone()] {
            [one] => Some((number(one)?, 0)),
            [one, next] => Some((number(one)?, number(next)?)),
            _ => None,
        };
        if records.first().is_some_and(|(row, _)| numbers(row).is_some()) {
            records.sort_by_cached_key(|(row, _)| numbers(row));
        } else {
            records.sort_by(|(one, _), (next, _)| by_keys(&one[keys.clone()], &next[keys.clone()]));
        }
        records
    }

    /// Sets indexes aside that have another order than sorted records, as the statements that make them.
    fn set_indexes_aside(&self) -> DatabaseResult<Vec<String>> {
        let keys = self.element.required.len();
        let order: Vec<&str> = self.element.fields[..keys].iter().map(|field| field.name.as_str()).collect();
        self.connection.set_indexes_aside(&self.element.name, &[], &order)
    }

    /// Whether all is there that records and their overlap rows refer to, but for one another.
    fn all_there(&self, records: &[(&[Value], &Pixels)]) -> Result<bool, RegistryError> {
        let universe = self.registry.universe();
        let Some((first, _)) = records.first() else { return Ok(true) };
        for parent in self.parents() {
            let places = key_places(self.element, parent);
            let mut parents = Parents::records(self.connection, universe, parent)?;
            let mut keys = Vec::with_capacity(places.len());
            for (row, _) in records {
                keys.clear();
                keys.extend(places.iter().filter_map(|place| row[*place].to_key()));
                if !parents.has(keys.iter())? {
                    return Ok(false);
                }
            }
        }
        let Some(overlaps) = &self.overlaps else { return Ok(true) };
        let governors = governors_first(universe, self.element).0.len();
        let one_governor = records.iter().all(|(row, _)| row[..governors] == first[..governors]);
        Ok(one_governor && overlaps.has_summary(first)?)
    }

    /// The elements with tables that records of this one refer to.
    fn parents(&self) -> impl Iterator<Item = &'a Element> {
        let (element, universe) = (self.element, self.registry.universe());
        let all = element.required.iter().chain(element.implied.iter()).filter(|index| *index != element.index);
        all.map(|index| universe.get(index)).filter(|parent| parent.has_table())
    }

    /// Overlap rows refer to a row that says that overlaps are kept under this governor.
    fn write_summaries(&self, governor: &Value) -> Result<(), RegistryError> {
        let (system, level) = common_skypix(self.registry.universe());
        for spatial in self.registry.spatial_under(self.element.index) {
            let sql = format!(
                "INSERT INTO \"{}_skypix_overlap_summary\" (skypix_system, skypix_level, \"{}\") VALUES (?, ?, ?) \
                 ON CONFLICT DO NOTHING",
                spatial.name, self.element.name
            );
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.raw_bind_parameter(1, system)?;
            statement.raw_bind_parameter(2, level)?;
            bind_value(&mut statement, 3, governor)?;
            statement.raw_execute()?;
        }
        Ok(())
    }

    fn finish(self) {
        let universe = self.registry.universe();
        let target_of_union = universe.elements().iter().any(|e| e.implied_union_target == Some(self.element.index));
        if self.element.is_cached || target_of_union {
            self.registry.store().changed(Kept::Records);
        }
    }

    /// What the database meant: it names no row.
    fn explain(&self, error: &DatabaseError, row: &[Value]) -> RegistryError {
        match error.kind {
            ErrorKind::ForeignKey => self.missing_parent(row),
            ErrorKind::PrimaryKey => {
                match select_record(self.connection, self.registry.store().dialect(), self.element, row) {
                    Ok(stored) => {
                        let changed: Vec<usize> =
                            (0..row.len()).filter(|i| !same_stored(&stored[*i], &row[*i])).collect();
                        let reason = if changed.is_empty() {
                            "with the same values; `skip_existing` passes over it".to_owned()
                        } else {
                            differences(self.element, &changed, &stored, row)
                        };
                        conflict(self.element, row, &reason)
                    }
                    Err(error) => error,
                }
            }
            ErrorKind::Unique => {
                conflict(self.element, row, &format!("another record has the same alternate key ({error})"))
            }
            _ => RegistryError::from_sql(error),
        }
    }

    fn missing_parent(&self, row: &[Value]) -> RegistryError {
        for parent in self.parents() {
            let places = key_places(self.element, parent);
            let keys: Vec<Key> = places.iter().filter_map(|place| row[*place].to_key()).collect();
            if !record_exists(self.connection, self.registry, parent, &keys).unwrap_or(true) {
                return RegistryError::MissingRecord {
                    what: format!("`{}` {}", self.element.name, described_key(self.element, row)),
                    element: parent.name.clone(),
                    key: keys.last().map(ToString::to_string).unwrap_or_default(),
                };
            }
        }
        RegistryError::Database {
            doing: format!("inserting `{}` {}", self.element.name, described_key(self.element, row)),
            reason: "a foreign key constraint failed".to_owned(),
        }
    }
}

impl RegistryError {
    fn from_sql(error: &DatabaseError) -> Self {
        Self::database("writing", error)
    }
}

/// Where the key of a parent is in the rows of an element.
fn key_places(element: &Element, parent: &Element) -> Vec<usize> {
    let place = |dimension: ElementIndex| {
        let holds = |role: FieldRole| role == FieldRole::Required(dimension) || role == FieldRole::Implied(dimension);
        element.fields.iter().position(|field| holds(field.role))
    };
    parent.required.iter().filter_map(place).collect()
}

/// How many of the first values of a key are the same in all records.
fn shared_keys(element: &Element, records: &[(&[Value], &Pixels)]) -> usize {
    let Some((first, _)) = records.first() else { return 0 };
    let is_shared = |place: &usize| records.iter().all(|(row, _)| row[*place] == first[*place]);
    (0..element.required.len()).take_while(is_shared).count()
}

/// The order of rows by the values of their keys, as the index of the keys has it.
fn by_keys(one: &[Value], next: &[Value]) -> Ordering {
    let by_one = |(one, next): (&Value, &Value)| match (one, next) {
        (Value::Int(one), Value::Int(next)) => one.cmp(next),
        (Value::Str(one), Value::Str(next)) => one.cmp(next),
        _ => one.to_key().cmp(&next.to_key()),
    };
    one.iter().zip(next).map(by_one).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Whether an element has a record with this key.
pub(crate) fn record_exists(
    connection: &Connection,
    registry: &Registry,
    element: &Element,
    keys: &[Key],
) -> Result<bool, RegistryError> {
    let columns: Vec<&str> =
        element.required.iter().map(|index| key_column(element, registry.universe().get(index))).collect();
    let sql = exists_sql(&element.name, &columns);
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row(keys, |row| row.get(0))?)
}

/// The quoted columns in which an element's table stores its fields, in their order.
fn stored_columns(dialect: &dyn Dialect, element: &Element) -> Vec<String> {
    let mut columns = Vec::with_capacity(element.fields.len() + 1);
    for field in &element.fields {
        if field.kind == FieldType::Timespan {
            columns.extend(dialect.timespan_columns(&field.name).iter().map(|column| format!("\"{column}\"")));
        } else {
            columns.push(format!("\"{}\"", field.name));
        }
    }
    columns
}

/// The expressions that read the fields of an element's table, in their order: two for a timespan.
pub(crate) fn element_columns(dialect: &dyn Dialect, element: &Element) -> Vec<String> {
    let mut columns = Vec::with_capacity(element.fields.len() + 1);
    for field in &element.fields {
        if field.kind == FieldType::Timespan {
            columns.extend(dialect.timespan_bounds("", &field.name));
        } else {
            columns.push(format!("\"{}\"", field.name));
        }
    }
    columns
}

fn insert_sql(dialect: &dyn Dialect, element: &Element, mode: InsertMode) -> String {
    let columns = stored_columns(dialect, element);
    let value = |kind| if kind == FieldType::Timespan { dialect.timespan_values() } else { "?" };
    let values: Vec<&str> = element.fields.iter().map(|field| value(field.kind)).collect();
    let mut sql = format!("INSERT INTO \"{}\" ({}) VALUES ({})", element.name, columns.join(", "), values.join(", "));
    let keys = element.required.len();
    match mode {
        InsertMode::Plain => {}
        InsertMode::Replace if columns.len() > keys => {
            let _ = write!(sql, " ON CONFLICT ({}) DO UPDATE SET ", columns[..keys].join(", "));
            let updates: Vec<String> = columns[keys..].iter().map(|c| format!("{c} = excluded.{c}")).collect();
            sql.push_str(&updates.join(", "));
        }
        InsertMode::Replace | InsertMode::SkipExisting => {
            let _ = write!(sql, " ON CONFLICT ({}) DO NOTHING", columns[..keys].join(", "));
        }
    }
    sql
}

/// Binds the values of a row but for the first ones, keys that are bound.
fn bind_row(
    statement: &mut Statement<'_>,
    element: &Element,
    row: &[Value],
    bound: usize,
    buffer: &mut String,
) -> DatabaseResult<()> {
    let mut parameter = 1 + bound;
    for (field, value) in element.fields.iter().zip(row).skip(bound) {
        parameter = bind_field(statement, parameter, field.kind, value, buffer)?;
    }
    Ok(())
}

fn select_record(
    connection: &Connection,
    dialect: &dyn Dialect,
    element: &Element,
    row: &[Value],
) -> Result<Vec<Value>, RegistryError> {
    let columns = element_columns(dialect, element);
    let keys = element.required.len();
    let conditions: Vec<String> = columns[..keys].iter().map(|column| format!("{column} = ?")).collect();
    let sql = format!("SELECT {} FROM \"{}\" WHERE {}", columns.join(", "), element.name, conditions.join(" AND "));
    let mut statement = connection.prepare_cached(&sql)?;
    crate::decode::bind_values(&mut statement, &row[..keys])?;
    let mut rows = statement.raw_query();
    let found = rows.next()?.ok_or_else(|| RegistryError::Corrupt {
        what: format!("`{}`", element.name),
        reason: "a record that conflicted cannot be found".to_owned(),
    })?;
    let mut from = 0;
    element.fields.iter().map(|field| row_value(found, &mut from, field.kind)).collect()
}

/// Whether storing `given` gives `stored`: `SQLite` has no NaN and keeps whole doubles as integers.
fn same_stored(stored: &Value, given: &Value) -> bool {
    match (stored, given) {
        (Value::Null, Value::Float(value)) => value.is_nan(),
        (Value::Float(stored), Value::Float(given)) if stored.is_nan() => given.is_nan(),
        _ => stored == given,
    }
}

fn conflict(element: &Element, row: &[Value], reason: &str) -> RegistryError {
    RegistryError::RecordConflict {
        element: element.name.clone(),
        key: described_key(element, row),
        reason: reason.to_owned(),
    }
}

/// The key of a row as a data ID is printed.
fn described_key(element: &Element, row: &[Value]) -> String {
    let parts: Vec<String> = element
        .fields
        .iter()
        .zip(row)
        .filter(|(field, _)| matches!(field.role, FieldRole::Required(_)))
        .map(|(field, value)| format!("{}: {}", field.name, shown(value)))
        .collect();
    format!("{{{}}}", parts.join(", "))
}

fn differences(element: &Element, changed: &[usize], stored: &[Value], given: &[Value]) -> String {
    let parts: Vec<String> = changed
        .iter()
        .map(|i| {
            format!("`{}` is {} there and {} here", element.fields[*i].name, shown(&stored[*i]), shown(&given[*i]))
        })
        .collect();
    parts.join(", ")
}

/// A value for a message: long bytes are not spelled out.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "unknown".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Str(text) => format!("'{text}'"),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Uuid(id) => uuid::Uuid::from_bytes(*id).to_string(),
        Value::Timespan(span) => span.to_string(),
    }
}

/// Refuses a row the database would refuse with less to say, or would store although it cannot be used.
fn check_row(element: &Element, row: &[Value]) -> Result<(), RegistryError> {
    let bad = |field: &str, reason: String| {
        Err(RegistryError::BadRecord { element: element.name.clone(), field: field.to_owned(), reason })
    };
    if row.len() != element.fields.len() {
        let reason = format!("{} values were given for {} fields", row.len(), element.fields.len());
        return bad("", reason);
    }
    for (field, value) in element.fields.iter().zip(row) {
        let key = matches!(field.role, FieldRole::Required(_) | FieldRole::Implied(_));
        match (field.kind, value) {
            (_, Value::Null) if key => return bad(&field.name, "it must have a value".to_owned()),
            (FieldType::String { length }, Value::Str(text)) => {
                // Longer limits are declared but kept by nobody, so repositories hold longer text.
                if length <= 32 && (text.is_empty() || text.chars().count() > length) {
                    return bad(&field.name, format!("'{text}' is not 1 to {length} characters long"));
                }
                if key && text.chars().any(char::is_control) {
                    return bad(&field.name, format!("{text:?} has a control character"));
                }
            }
            (_, Value::Null)
            | (FieldType::Int, Value::Int(_))
            | (FieldType::Float, Value::Float(_))
            | (FieldType::Bool, Value::Bool(_))
            | (FieldType::Hash { .. } | FieldType::Region, Value::Bytes(_))
            | (FieldType::Timespan, Value::Timespan(_)) => {}
            (kind, value) => return bad(&field.name, format!("{} is not of the type {kind:?}", shown(value))),
        }
    }
    Ok(())
}
