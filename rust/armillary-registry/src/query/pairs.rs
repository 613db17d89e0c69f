//! Which records of two elements overlap, decided before the rest of a query runs.
//!
//! Both elements list the common pixels they touch. The lists are joined on the pixel in Rust, where it costs an
//! integer comparison, and each candidate pair is tested exactly once; SQL gets the pairs that are left.

use super::{
    plan::Plan,
    predicate::{Predicate, Reference},
    sources::{write_overlap_table, write_pixelization},
    sql::{Columns, Sql, condition},
    statement::key_type,
};
use crate::{Dialect, RegistryError, Store, json_list::json_array};
use armillary_dimensions::{Column, ColumnType, Element, ElementIndex, FieldRole, Value};
use armillary_sphere::{PreparedRegion, Region};
use hashbrown::HashMap;
use std::sync::Arc;

/// More required dimensions than any element has.
const MOST_KEYS: usize = 8;
/// Lists of more values than this cost more than the rows they leave out.
const LONGEST_LIST: usize = 50_000;

/// The values of an element's required dimensions; text as numbers of a [`Coder`].
type KeyTuple = [i64; MOST_KEYS];

/// The numbers of rows in the tables of `left` and `right` whose regions overlap.
pub(crate) fn overlapping(
    store: &Store,
    plan: &Plan,
    left: &Element,
    right: &Element,
) -> Result<Vec<(i64, i64)>, RegistryError> {
    // The shorter list first: its pixels are the only ones worth asking the other for.
    let [left_size, right_size] = sizes(store, plan, [left, right])?;
    let swap = right_size < left_size;
    let (first, second) = if swap { (right, left) } else { (left, right) };
    let mut coder = Coder::default();
    let touched = Touches::fetch(store, plan, first, None, &mut coder)?;
    let pixels = touched.distinct_pixels();
    if pixels.is_empty() {
        return Ok(Vec::new());
    }
    let touching = Touches::fetch(store, plan, second, Some(&pixels), &mut coder)?;
    let candidates = touched.join(&touching);
    let mut wanted = [vec![false; touched.keys.len()], vec![false; touching.keys.len()]];
    for (a, b) in &candidates {
        wanted[0][*a as usize] = true;
        wanted[1][*b as usize] = true;
    }
    let first_records = touched.records(store, plan, first, &wanted[0], &mut coder)?;
    let second_records = touching.records(store, plan, second, &wanted[1], &mut coder)?;
    let mut pairs: Vec<(i64, i64)> = candidates
        .into_iter()
        .filter_map(|(a, b)| {
            let (a, b) = (first_records[a as usize].as_ref()?, second_records[b as usize].as_ref()?);
            a.region.overlaps(&b.region).then_some(if swap { (b.row, a.row) } else { (a.row, b.row) })
        })
        .collect();
    pairs.sort_unstable();
    Ok(pairs)
}

/// About how many records of two elements take part: the size of a table, far less where a key is given.
fn sizes(store: &Store, plan: &Plan, elements: [&Element; 2]) -> Result<[i64; 2], RegistryError> {
    let mut sql = String::from("SELECT (");
    store.dialect().table_size(&mut sql, &elements[0].name);
    sql.push_str("), (");
    store.dialect().table_size(&mut sql, &elements[1].name);
    sql.push(')');
    let columns = store.select(&sql, &[], &[ColumnType::Int; 2])?;
    let mut sizes = [0; 2];
    for ((size, column), element) in sizes.iter_mut().zip(&columns).zip(elements) {
        let own = |index: &ElementIndex| !plan.universe.info(plan.group).governors.contains(index);
        let given = element.required.iter().filter(own).filter(|index| plan.constraints.contains_key(index)).count();
        if let Value::Int(whole) = column.get(0) {
            *size = (0..given).fold(whole, |size, _| size / 50);
        }
    }
    Ok(sizes)
}

/// Gives equal text equal numbers across columns.
#[derive(Default)]
struct Coder(HashMap<Arc<str>, i64>);

impl Coder {
    fn code(&mut self, text: &Arc<str>) -> i64 {
        let next = i64::try_from(self.0.len()).unwrap_or(i64::MAX);
        *self.0.entry(text.clone()).or_insert(next)
    }

    /// Each row's values as one tuple.
    fn tuples(&mut self, columns: &[Column]) -> Vec<KeyTuple> {
        let rows = columns.first().map_or(0, Column::len);
        let mut tuples = vec![[0; MOST_KEYS]; rows];
        for (position, column) in columns.iter().enumerate() {
            match column {
                Column::Str(text) => {
                    let codes: Vec<i64> = text.dictionary().iter().map(|text| self.code(text)).collect();
                    for (tuple, code) in tuples.iter_mut().zip(text.codes()) {
                        tuple[position] = codes.get(*code as usize).copied().unwrap_or(-1);
                    }
                }
                Column::Int { values, .. } => {
                    tuples.iter_mut().zip(values).for_each(|(tuple, value)| tuple[position] = *value);
                }
                _ => {}
            }
        }
        tuples
    }
}

/// The common pixels that records of one element touch.
struct Touches {
    /// The distinct records, by their position.
    keys: Vec<KeyTuple>,
    positions: HashMap<KeyTuple, u32>,
    /// Distinct values of each required dimension.
    values: Vec<Vec<Value>>,
    /// Which record touches which pixel.
    by_row: Vec<(i64, u32)>,
}

/// A record with its region.
struct Located {
    row: i64,
    region: PreparedRegion,
}

impl Touches {
    fn fetch(
        store: &Store,
        plan: &Plan,
        element: &Element,
        pixels: Option<&[i64]>,
        coder: &mut Coder,
    ) -> Result<Self, RegistryError> {
        let dialect = store.dialect();
        let required: Vec<ElementIndex> = element.required.iter().collect();
        if required.len() > MOST_KEYS {
            let reason = format!("`{}` has more than {MOST_KEYS} required dimensions", element.name);
            return Err(RegistryError::BadArgument { reason });
        }
        let (sql, mut types) = touches_statement(plan, dialect, element, &required, pixels);
        types.push(ColumnType::Int);
        let mut columns = store.select(&sql.text, &sql.values, &types)?;
        let Some(Column::Int { values: pixels, .. }) = columns.pop() else { return Ok(Self::empty()) };
        let tuples = coder.tuples(&columns);
        let mut found = Self::empty();
        found.values = columns.iter().map(distinct_values).collect();
        found.by_row.reserve(pixels.len());
        for (tuple, pixel) in tuples.into_iter().zip(pixels) {
            let next = u32::try_from(found.keys.len()).unwrap_or(u32::MAX);
            let position = *found.positions.entry(tuple).or_insert(next);
            if position == next {
                found.keys.push(tuple);
            }
            found.by_row.push((pixel, position));
        }
        Ok(found)
    }

    fn empty() -> Self {
        Self { keys: Vec::new(), positions: HashMap::new(), values: Vec::new(), by_row: Vec::new() }
    }

    fn distinct_pixels(&self) -> Vec<i64> {
        let mut pixels: Vec<i64> = self.by_row.iter().map(|(pixel, _)| *pixel).collect();
        pixels.sort_unstable();
        pixels.dedup();
        pixels
    }

    /// The pairs of records that touch a pixel together, each once, in order.
    fn join(&self, other: &Self) -> Vec<(u32, u32)> {
        let mut by_pixel: HashMap<i64, Vec<u32>> = HashMap::new();
        for (pixel, record) in &self.by_row {
            by_pixel.entry(*pixel).or_default().push(*record);
        }
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for (pixel, record) in &other.by_row {
            if let Some(records) = by_pixel.get(pixel) {
                pairs.extend(records.iter().map(|own| (*own, *record)));
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// The wanted records with their regions, by position; none where a record or its region is missing.
    fn records(
        &self,
        store: &Store,
        plan: &Plan,
        element: &Element,
        wanted: &[bool],
        coder: &mut Coder,
    ) -> Result<Vec<Option<Located>>, RegistryError> {
        let mut records: Vec<Option<Located>> = (0..self.keys.len()).map(|_| None).collect();
        if !wanted.contains(&true) {
            return Ok(records);
        }
        let (sql, types) = self.records_statement(store.dialect(), plan, element);
        let mut columns = store.select(&sql.text, &sql.values, &types)?;
        let (Some(Column::Bytes(regions)), Column::Int { values: rows, .. }) = (columns.pop(), columns.remove(0))
        else {
            return Ok(records);
        };
        let tuples = coder.tuples(&columns);
        for ((tuple, row), bytes) in tuples.iter().zip(rows).zip(regions) {
            let position = self.positions.get(tuple).map(|position| *position as usize);
            if let (Some(position), Some(bytes)) = (position.filter(|position| wanted[*position]), bytes) {
                let region = Region::decode(&bytes).map_err(|error| RegistryError::Corrupt {
                    what: format!("`{}.region`", element.name),
                    reason: error.to_string(),
                })?;
                records[position] = Some(Located { row, region: region.prepare() });
            }
        }
        Ok(records)
    }

    fn records_statement(&self, dialect: &dyn Dialect, plan: &Plan, element: &Element) -> (Sql, Vec<ColumnType>) {
        let keys: Vec<(ElementIndex, &str)> = element
            .fields
            .iter()
            .filter_map(|field| match field.role {
                FieldRole::Required(index) => Some((index, field.name.as_str())),
                _ => None,
            })
            .collect();
        let mut types = vec![ColumnType::Int];
        let mut sql = Sql::text(format!("SELECT {}, ", dialect.row_number()));
        // In universe order, as the rows of the overlap table were coded.
        let position = |index: ElementIndex| element.required.iter().position(|known| known == index).unwrap_or(0);
        let mut ordered = keys;
        ordered.sort_by_key(|(index, _)| position(*index));
        for (index, name) in &ordered {
            dialect.identifier(&mut sql.text, name);
            sql.push(", ");
            types.push(key_type(plan.universe.get(*index)));
        }
        types.push(ColumnType::Bytes);
        sql.push("region FROM ");
        dialect.identifier(&mut sql.text, &element.name);
        sql.push(" WHERE region IS NOT NULL");
        for (index, name) in &ordered {
            let values = &self.values[position(*index)];
            if values.len() <= LONGEST_LIST {
                sql.push(" AND ");
                dialect.identifier(&mut sql.text, name);
                sql.in_list(dialect, values);
            }
        }
        (sql, types)
    }
}

fn touches_statement(
    plan: &Plan,
    dialect: &dyn Dialect,
    element: &Element,
    required: &[ElementIndex],
    pixels: Option<&[i64]>,
) -> (Sql, Vec<ColumnType>) {
    let mut sql = Sql::text("SELECT ");
    let mut types = Vec::new();
    for index in required {
        sql.push("o.");
        dialect.identifier(&mut sql.text, &plan.universe.get(*index).name);
        sql.push(", ");
        types.push(key_type(plan.universe.get(*index)));
    }
    sql.push("o.skypix_index FROM ");
    write_overlap_table(&mut sql, dialect, element);
    sql.push(" AS o WHERE ");
    write_pixelization(&mut sql, plan, "o");
    let columns = KeyColumns { plan, dialect };
    let own = plan.conditions.iter().filter(|predicate| only_keys_of(predicate, element));
    sql.push_all(" AND ", own.map(|predicate| condition(&columns, predicate)));
    let list = pixels.filter(|pixels| pixels.len() <= LONGEST_LIST).and_then(|pixels| {
        let values: Vec<Value> = pixels.iter().map(|pixel| Value::Int(*pixel)).collect();
        json_array(&values)
    });
    if let Some(list) = list {
        sql.push(" AND o.skypix_index");
        dialect.in_json_array(&mut sql.text);
        sql.values.push(Value::Str(list.into()));
    }
    (sql, types)
}

/// Whether a condition is about nothing but required dimensions of an element.
fn only_keys_of(condition: &Predicate, element: &Element) -> bool {
    let mut only = !condition.is_spatial();
    condition.each_reference(&mut |reference| {
        only &= matches!(reference, Reference::Key(index) if element.required.contains(index));
    });
    only
}

fn distinct_values(column: &Column) -> Vec<Value> {
    match column {
        Column::Str(text) => text.dictionary().iter().map(|text| Value::Str(text.clone())).collect(),
        Column::Int { values, .. } => {
            let mut values = values.clone();
            values.sort_unstable();
            values.dedup();
            values.into_iter().map(Value::Int).collect()
        }
        _ => Vec::new(),
    }
}

/// Dimensions as columns of an overlap table.
struct KeyColumns<'a> {
    plan: &'a Plan,
    dialect: &'a dyn Dialect,
}

impl Columns for KeyColumns<'_> {
    fn column(&self, sql: &mut Sql, reference: Reference) {
        if let Reference::Key(index) = reference {
            sql.push("o.");
            self.dialect.identifier(&mut sql.text, &self.plan.universe.get(index).name);
        } else {
            sql.push("NULL");
        }
    }

    fn dialect(&self) -> &dyn Dialect {
        self.dialect
    }
}
