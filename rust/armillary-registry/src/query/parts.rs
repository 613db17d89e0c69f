//! What the answer is made of: columns of the rows, and what was looked up for them.

use super::{answer::RecordTable, rows::Distinct};
use crate::{Catalog, RegistryError};
use armillary_dimensions::{Column, ColumnType, ElementIndex, Value};
use std::{collections::BTreeMap, sync::Arc};

/// The columns of the rows, each moved where it is taken for the last time.
pub(super) struct Parts {
    pub(super) columns: Vec<Column>,
    /// How often the answer takes each.
    pub(super) uses: Vec<usize>,
}

impl Parts {
    pub(super) fn take(&mut self, position: usize) -> Column {
        self.uses[position] = self.uses[position].saturating_sub(1);
        if self.uses[position] > 0 {
            return self.columns[position].clone();
        }
        std::mem::replace(&mut self.columns[position], Column::new(ColumnType::Int))
    }
}

/// The records of one element.
pub(super) enum Found<'q> {
    Table(RecordTable),
    /// In columns of the rows.
    Fields(ElementIndex, &'q [usize]),
}

impl Found<'_> {
    pub(super) fn finish(self, columns: &mut Parts, rows: usize) -> RecordTable {
        match self {
            Self::Table(table) => table,
            Self::Fields(element, positions) => RecordTable {
                element,
                rows: (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect(),
                columns: positions.iter().map(|position| columns.take(*position)).collect(),
            },
        }
    }
}

/// What was looked up of what the rows imply.
#[derive(Default)]
pub(super) struct Implied {
    /// Values of dimensions, row by row.
    pub(super) values: BTreeMap<ElementIndex, Column>,
    /// The records that tell them.
    pub(super) tables: Vec<RecordTable>,
}

impl Implied {
    /// Whether there is a record for each row.
    pub(super) fn is_complete(&self) -> bool {
        self.tables.iter().all(|table| !table.rows.contains(&RecordTable::NONE))
    }

    /// The rows of which all records were found.
    pub(super) fn known_rows(&self) -> Vec<usize> {
        let rows = self.tables.first().map_or(0, |table| table.rows.len());
        (0..rows).filter(|row| self.tables.iter().all(|table| table.rows[*row] != RecordTable::NONE)).collect()
    }
}

/// Values of records for the rows that they belong to.
pub(super) fn spread(values: &Column, rows: &[u32]) -> Column {
    if !rows.contains(&RecordTable::NONE) {
        return values.take(rows);
    }
    let mut column = Column::new(values.kind());
    for row in rows {
        match *row {
            RecordTable::NONE => column.push_null(),
            known => column.push(&values.get(known as usize)),
        }
    }
    column
}

/// A column of which nothing is known.
pub(super) fn unknown(kind: ColumnType, rows: usize) -> Column {
    let mut column = Column::new(kind);
    (0..rows).for_each(|_| column.push_null());
    column
}

pub(super) fn names_of_runs(catalog: &Catalog, keys: &Column) -> Result<Column, RegistryError> {
    let (kinds, firsts) = Distinct::kinds(&[keys], keys.len());
    let mut names = Column::new(ColumnType::Str);
    for first in firsts {
        if let Value::Int(key) = keys.get(first) {
            names.push_str(&name_of_run(catalog, key)?);
        }
    }
    Ok(names.take(&kinds))
}

pub(super) fn name_of_run(catalog: &Catalog, key: i64) -> Result<Arc<str>, RegistryError> {
    let run = catalog.collection_by_id(key).ok_or_else(|| RegistryError::Corrupt {
        what: "`dataset.run_id`".to_owned(),
        reason: format!("no collection has the number {key}"),
    })?;
    Ok(run.name.clone())
}
