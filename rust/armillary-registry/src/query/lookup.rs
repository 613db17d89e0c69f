//! What is looked up when the rows of an answer are known: each record once, however many rows share it.

use super::{answer::RecordTable, refine::distinct, rows::Distinct, skypix::Pixelization};
use crate::{Dialect, RegistryError, Store, json_list::json_array, schema::key_column};
use armillary_dimensions::{
    Column, ColumnType, Element, ElementIndex, ElementKind, Field, FieldRole, Key, Universe, Value,
};
use hashbrown::HashMap;

/// Which fields of a record are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fields {
    All,
    /// The values of implied dimensions, and nothing else.
    Implied,
}

impl Fields {
    /// The wanted fields of an element, in their order.
    pub(crate) fn of(self, element: &Element) -> impl Iterator<Item = &Field> {
        element.fields.iter().filter(move |field| self == Self::All || matches!(field.role, FieldRole::Implied(_)))
    }
}

/// Whether the records of an element can be found by values of its dimensions, each by itself: at most one of them
/// is no governor, so that the values of each, all combined, are hardly more than what is looked for.
pub(crate) fn is_found_by_key(universe: &Universe, element: &Element) -> bool {
    let governs = |index: &ElementIndex| universe.get(*index).kind == ElementKind::Governor;
    element.has_table() && element.required.iter().filter(|index| !governs(index)).count() <= 1
}

/// Fetches the records with the given keys, a column for each required dimension of the element.
pub(crate) fn records_by_key(
    store: &Store,
    universe: &Universe,
    index: ElementIndex,
    keys: &[&Column],
    wanted: Fields,
) -> Result<RecordTable, RegistryError> {
    let element = universe.get(index);
    let rows = keys.first().map_or(0, |column| column.len());
    let (kinds, firsts) = Distinct::kinds(keys, rows);
    let keys: Vec<Column> = keys.iter().map(|column| column.take(&firsts)).collect();
    let fields: Vec<&Field> = wanted.of(element).collect();
    if rows == 0 {
        let columns = fields.iter().map(|field| Column::new(field.kind.into())).collect();
        return Ok(RecordTable { element: index, rows: Vec::new(), columns });
    }
    let dialect = store.dialect();
    let names: Vec<&str> =
        element.required.iter().map(|dimension| key_column(element, universe.get(dimension))).collect();
    let mut types: Vec<ColumnType> = keys.iter().map(Column::kind).collect();
    types.extend(fields.iter().map(|field| ColumnType::from(field.kind)));
    let mut sql = String::from("SELECT ");
    for (position, name) in names.iter().enumerate() {
        sql.push_str(if position == 0 { "" } else { ", " });
        dialect.identifier(&mut sql, name);
    }
    for field in &fields {
        sql.push_str(", ");
        write_field(&mut sql, dialect, field);
    }
    sql.push_str(" FROM ");
    dialect.identifier(&mut sql, &element.name);
    let mut values = Vec::with_capacity(keys.len());
    for (position, (name, column)) in names.iter().zip(&keys).enumerate() {
        sql.push_str(if position == 0 { " WHERE " } else { " AND " });
        dialect.identifier(&mut sql, name);
        values.push(write_values(&mut sql, dialect, column));
    }
    let mut columns = store.select(&sql, &values, &types)?;
    let fetched = columns.split_off(keys.len());
    let positions = matches(&keys, &columns);
    let rows = kinds.into_iter().map(|kind| positions[kind as usize]).collect();
    Ok(RecordTable { element: index, rows, columns: fetched })
}

/// Writes that a column has one of some values; gives what to bind.
fn write_values(sql: &mut String, dialect: &dyn Dialect, column: &Column) -> Value {
    let mut values: Vec<Value> = match column {
        Column::Str(text) => text.used().map(|text| Value::Str(text.clone())).collect(),
        other => distinct(other, &(0..other.len()).collect::<Vec<usize>>()).into_iter().map(Value::Int).collect(),
    };
    if values.len() == 1 {
        sql.push_str(" = ?");
        return values.remove(0);
    }
    dialect.in_json_array(sql);
    Value::Str(json_array(&values).unwrap_or_default().into())
}

/// For each of the wanted keys the position of the same one among those found.
fn matches(wanted: &[Column], found: &[Column]) -> Vec<u32> {
    let rows = wanted.first().map_or(0, Column::len);
    let numbered = |rows: usize| (0..rows).zip(0_u32..);
    if let ([others @ .., Column::Int { values: wanted, .. }], [.., Column::Int { values: found, .. }]) =
        (wanted, found)
        && others.iter().all(Column::is_constant)
    {
        let positions: HashMap<i64, u32> = found.iter().copied().zip(0..).collect();
        return wanted.iter().map(|key| positions.get(key).copied().unwrap_or(RecordTable::NONE)).collect();
    }
    let key = |columns: &[Column], row: usize| -> Vec<Option<Key>> {
        columns.iter().map(|column| column.get(row).to_key()).collect()
    };
    let found_rows = found.first().map_or(0, Column::len);
    let positions: HashMap<Vec<Option<Key>>, u32> =
        numbered(found_rows).map(|(row, position)| (key(found, row), position)).collect();
    (0..rows).map(|row| positions.get(&key(wanted, row)).copied().unwrap_or(RecordTable::NONE)).collect()
}

/// Fetches records by the numbers of their rows.
pub(crate) fn records_by_row(
    store: &Store,
    universe: &Universe,
    index: ElementIndex,
    numbers: &Column,
) -> Result<RecordTable, RegistryError> {
    let element = universe.get(index);
    let all: Vec<usize> = (0..numbers.len()).collect();
    let wanted = distinct(numbers, &all);
    let dialect = store.dialect();
    let mut sql = format!("SELECT {}", dialect.row_number());
    let mut types = vec![ColumnType::Int];
    for field in &element.fields {
        sql.push_str(", ");
        types.push(field.kind.into());
        write_field(&mut sql, dialect, field);
    }
    sql.push_str(" FROM ");
    dialect.identifier(&mut sql, &element.name);
    sql.push_str(" WHERE ");
    sql.push_str(dialect.row_number());
    dialect.in_json_array(&mut sql);
    let values: Vec<Value> = wanted.into_iter().map(Value::Int).collect();
    let array = json_array(&values).unwrap_or_default();
    let mut columns = store.select(&sql, &[Value::Str(array.into())], &types)?;
    let found = columns.remove(0);
    let mut positions: HashMap<i64, u32> = HashMap::with_capacity(found.len());
    if let Column::Int { values, .. } = &found {
        positions.extend(values.iter().copied().zip(0..));
    }
    let rows = match numbers {
        Column::Int { values, nulls } => values
            .iter()
            .enumerate()
            .map(|(row, number)| {
                let known = nulls.get(row).is_none_or(|null| !null);
                known.then(|| positions.get(number).copied()).flatten().unwrap_or(RecordTable::NONE)
            })
            .collect(),
        _ => Vec::new(),
    };
    Ok(RecordTable { element: index, rows, columns })
}

fn write_field(sql: &mut String, dialect: &dyn Dialect, field: &Field) {
    if field.role == FieldRole::Timespan {
        sql.push_str(&dialect.timespan_bounds("", &field.name).join(", "));
    } else {
        dialect.identifier(sql, &field.name);
    }
}

/// Records of elements without a table: their key, and the region of a pixel.
pub(crate) fn records_without_table(universe: &Universe, index: ElementIndex, keys: &Column) -> RecordTable {
    let element = universe.get(index);
    let (rows, firsts) = Distinct::kinds(&[keys], keys.len());
    let own = keys.take(&firsts);
    let columns = element
        .fields
        .iter()
        .map(|field| match field.role {
            FieldRole::Region => {
                let mut regions = Column::new(ColumnType::Bytes);
                for row in 0..own.len() {
                    let region = match (Pixelization::of(element), own.get(row)) {
                        (Some(pixelization), Value::Int(pixel)) => pixelization.region(pixel),
                        _ => None,
                    };
                    regions.push(&region.map_or(Value::Null, |region| Value::Bytes(region.encode().into())));
                }
                regions
            }
            _ => own.clone(),
        })
        .collect();
    RecordTable { element: index, rows, columns }
}
