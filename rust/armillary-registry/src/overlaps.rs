//! Rows that say which pixels of the common pixelisation a region touches: what spatial joins are made of.

use crate::{
    decode::{bind_key, bind_value},
    error::RegistryError,
    parents::{are_many, exists_sql},
    schema::governors_first,
    store::{Connection, DatabaseResult, Statement, params},
};
use armillary_dimensions::{Element, ElementIndex, ElementKind, FieldRole, Key, Universe, Value};
use armillary_sphere::{Region, htm::Mesh};
use std::{fmt::Write as _, ops::Range, thread};

/// The columns that name a pixelisation.
const PIXELISATION: [&str; 2] = ["skypix_system", "skypix_level"];

/// Fewer regions than this are not worth a thread.
const REGIONS_PER_THREAD: usize = 64;

/// The pixels one region touches, as ranges of indices.
pub(crate) type Pixels = Vec<Range<u64>>;

/// Name and level of the common pixelisation.
pub(crate) fn common_skypix(universe: &Universe) -> (&str, u8) {
    match &universe.common_skypix().kind {
        ElementKind::SkyPix { system, level } => (system, *level),
        ElementKind::Governor | ElementKind::Dimension | ElementKind::Join => ("htm", 7),
    }
}

/// The pixels each row's region touches; nothing for rows without one.
pub(crate) fn pixels_of_rows<R: AsRef<[Value]> + Sync>(
    universe: &Universe,
    element: &Element,
    rows: &[R],
) -> Result<Vec<Pixels>, RegistryError> {
    let Some(position) = element.fields.iter().position(|field| field.role == FieldRole::Region) else {
        return Ok(Vec::new());
    };
    let of_some = |rows: &[R]| {
        let mut mesh = Mesh::default();
        let one = |row: &R| match &row.as_ref()[position] {
            Value::Bytes(bytes) => pixels(universe, element, &mut mesh, bytes),
            _ => Ok(Vec::new()),
        };
        rows.iter().map(one).collect::<Result<Vec<_>, _>>()
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(rows.len() / REGIONS_PER_THREAD);
    if threads < 2 {
        return of_some(rows);
    }
    let chunk = rows.len().div_ceil(threads);
    thread::scope(|scope| {
        let workers: Vec<_> = rows.chunks(chunk).map(|rows| scope.spawn(|| of_some(rows))).collect();
        let mut all = Vec::with_capacity(rows.len());
        for worker in workers {
            all.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(all)
    })
}

fn pixels(universe: &Universe, element: &Element, mesh: &mut Mesh, bytes: &[u8]) -> Result<Pixels, RegistryError> {
    let bad =
        |reason: String| RegistryError::BadRecord { element: element.name.clone(), field: "region".to_owned(), reason };
    let region = Region::decode(bytes).map_err(|error| bad(error.to_string()))?;
    let (system, level) = common_skypix(universe);
    if system != "htm" {
        return Err(bad(format!("the universe relates regions by `{system}`; only `htm` is supported")));
    }
    mesh.envelope(&region, u32::from(level)).map_err(|error| bad(error.to_string()))
}

/// The statements that keep the overlap rows of one element.
pub(crate) struct OverlapWriter<'c> {
    connection: &'c Connection,
    insert: String,
    delete: String,
    /// The dimensions that are the key of a record, in the order of the table's columns.
    dimensions: Vec<String>,
    /// Where their values are in a row.
    key_positions: Vec<usize>,
    /// How many of them, the first ones, are governors.
    governors: usize,
    system: String,
    level: u8,
    table: String,
    summary: String,
}

impl<'c> OverlapWriter<'c> {
    /// For an element with stored regions.
    pub(crate) fn new(connection: &'c Connection, universe: &Universe, element: &Element) -> Self {
        let (governors, others) = governors_first(universe, element);
        let governor_count = governors.len();
        let dimensions: Vec<ElementIndex> = governors.into_iter().chain(others).collect();
        let table = format!("{}_skypix_overlap", element.name);
        let mut insert = format!("INSERT INTO \"{table}\" (skypix_system, skypix_level");
        let mut delete = format!("DELETE FROM \"{table}\" WHERE skypix_system = ? AND skypix_level = ?");
        for dimension in &dimensions {
            let name = &universe.get(*dimension).name;
            let _ = write!(insert, ", \"{name}\"");
            let _ = write!(delete, " AND \"{name}\" = ?");
        }
        let _ = write!(insert, ", skypix_index) VALUES (?, ?{}, ?)", ", ?".repeat(dimensions.len()));
        let position = |dimension: &ElementIndex| {
            element.fields.iter().position(|field| field.role == FieldRole::Required(*dimension))
        };
        let (system, level) = common_skypix(universe);
        Self {
            connection,
            insert,
            delete,
            dimensions: dimensions.iter().map(|dimension| universe.get(*dimension).name.clone()).collect(),
            key_positions: dimensions.iter().filter_map(position).collect(),
            system: system.to_owned(),
            level,
            summary: format!("{table}_summary"),
            table,
            governors: governor_count,
        }
    }

    fn keys(&self, row: &[Value]) -> Vec<Key> {
        self.key_positions.iter().filter_map(|position| row[*position].to_key()).collect()
    }

    /// Deletes the rows of one record.
    pub(crate) fn delete(&self, row: &[Value]) -> Result<(), RegistryError> {
        let mut statement = self.prepare(&self.delete)?;
        for (key, parameter) in self.keys(row).iter().zip(3..) {
            bind_key(&mut statement, parameter, key)?;
        }
        statement.raw_execute()?;
        Ok(())
    }

    /// Inserts the rows of one record.
    pub(crate) fn insert(&self, row: &[Value], pixels: &Pixels) -> Result<(), RegistryError> {
        if pixels.is_empty() {
            return Ok(());
        }
        let mut statement = self.prepare(&self.insert)?;
        let keys = self.keys(row);
        for (key, parameter) in keys.iter().zip(3..) {
            bind_key(&mut statement, parameter, key)?;
        }
        let indices = pixels.iter().cloned().flatten();
        let bind = |statement: &mut Statement<'_>, index: u64| {
            statement.raw_bind_parameter(3 + keys.len(), index.cast_signed())
        };
        statement.execute_each(indices, bind).map_err(|(_, error)| error.into())
    }

    /// Writes the rows of many records, after deleting those there are if they are replaced.
    pub(crate) fn write_all(
        &self,
        records: &[(&[Value], &Pixels)],
        replaced: bool,
        sorted: bool,
    ) -> Result<(), RegistryError> {
        let Some((first, _)) = records.first() else { return Ok(()) };
        if replaced {
            let mut statement = self.prepare(&self.delete)?;
            let bind =
                |statement: &mut Statement<'_>, (row, _): &(&[Value], &Pixels)| self.bind_keys(statement, row, 0);
            statement.execute_each(records, bind).map_err(|(_, error)| error)?;
        }
        let touched: Vec<(&[Value], u64)> = records
            .iter()
            .flat_map(|(row, pixels)| pixels.iter().cloned().flatten().map(|pixel| (*row, pixel)))
            .collect();
        let many = are_many(touched.len());
        // All keys are those of records, and as long.
        let _unexamined = if many { self.connection.unexamined()? } else { None };
        let aside = if many { self.set_indexes_aside(sorted)? } else { Vec::new() };
        let shared = self.shared_keys(records);
        let fixed = |statement: &mut Statement<'_>| {
            self.bind_pixelisation(statement)?;
            self.key_positions[..shared]
                .iter()
                .zip(3..)
                .try_for_each(|(position, parameter)| bind_value(statement, parameter, &first[*position]).map(|_| ()))
        };
        let last = 3 + self.key_positions.len();
        let bind = |statement: &mut Statement<'_>, (row, pixel): &(&[Value], u64)| {
            self.bind_keys(statement, row, shared)?;
            statement.raw_bind_parameter(last, pixel.cast_signed())
        };
        let written = self.connection.insert_each(&self.insert, &touched, fixed, bind);
        written.map_err(|(_, error)| error)?;
        Ok(self.connection.make_indexes(&aside, touched.len())?)
    }

    fn set_indexes_aside(&self, sorted: bool) -> DatabaseResult<Vec<String>> {
        let mut order: Vec<&str> = Vec::new();
        if sorted {
            order.extend(self.dimensions.iter().map(String::as_str));
            order.push("skypix_index");
        }
        self.connection.set_indexes_aside(&self.table, &PIXELISATION, &order)
    }

    /// How many of the first keys are the same in all records.
    fn shared_keys(&self, records: &[(&[Value], &Pixels)]) -> usize {
        let Some((first, _)) = records.first() else { return 0 };
        let is_shared = |position: &&usize| records.iter().all(|(row, _)| row[**position] == first[**position]);
        self.key_positions.iter().take_while(is_shared).count()
    }

    /// Binds the keys of a row but for the first ones, which are bound.
    fn bind_keys(&self, statement: &mut Statement<'_>, row: &[Value], bound: usize) -> DatabaseResult<()> {
        let values = self.key_positions[bound..].iter().map(|position| &row[*position]);
        values.zip(3 + bound..).try_for_each(|(value, parameter)| bind_value(statement, parameter, value).map(|_| ()))
    }

    /// Whether the row is there that says that overlaps are kept under the governors of a record.
    pub(crate) fn has_summary(&self, row: &[Value]) -> Result<bool, RegistryError> {
        let governors = &self.dimensions[..self.governors];
        let columns: Vec<&str> = PIXELISATION.into_iter().chain(governors.iter().map(String::as_str)).collect();
        let mut select = self.connection.prepare_cached(&exists_sql(&self.summary, &columns))?;
        self.bind_pixelisation(&mut select)?;
        for (position, parameter) in self.key_positions.iter().take(self.governors).zip(3..) {
            bind_value(&mut select, parameter, &row[*position])?;
        }
        Ok(select.raw_query().next()?.map(|found| found.get(0)).transpose()? == Some(true))
    }

    /// A statement about the common pixelisation.
    fn prepare(&self, sql: &str) -> Result<Statement<'c>, RegistryError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        self.bind_pixelisation(&mut statement)?;
        Ok(statement)
    }

    fn bind_pixelisation(&self, statement: &mut Statement<'_>) -> DatabaseResult<()> {
        statement.raw_bind_parameter(1, &self.system)?;
        statement.raw_bind_parameter(2, self.level)
    }

    /// Refuses a repository that also relates regions by other pixels, whose rows we would leave stale.
    pub(crate) fn check_summary(&self) -> Result<(), RegistryError> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM \"{}\" WHERE NOT (skypix_system = ? AND skypix_level = ?))",
            self.summary
        );
        let mut select = self.connection.prepare_cached(&sql)?;
        if select.query_row(params![self.system, self.level], |row| row.get::<bool>(0))? {
            return Err(RegistryError::Corrupt {
                what: format!("`{}`", self.summary),
                reason: format!("overlaps with other pixels than {}{} cannot be kept", self.system, self.level),
            });
        }
        Ok(())
    }
}
