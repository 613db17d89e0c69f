//! The exact tests of regions that SQL leaves to Rust.

use super::{region::Shape, skypix::Pixelization};
use crate::{RegistryError, Store};
use armillary_dimensions::{Column, ColumnType, ElementIndex, Universe, Value};
use armillary_sphere::{PreparedRegion, Region};
use hashbrown::HashMap;
use std::sync::Arc;

/// Something to check of each row.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    /// Two regions must overlap.
    Overlap(RegionSource, RegionSource),
    /// A condition that mixes regions with other tests must hold.
    Tree(Tree),
}

/// A condition in three-valued logic: unknown where a record has no region.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Not(Box<Tree>),
    Overlap(RegionSource, RegionSource),
    /// What SQL computed, in a column of truth values.
    Flag(usize),
}

/// Where a region comes from.
#[derive(Clone, Debug)]
pub(crate) enum RegionSource {
    /// A record, by the number of its row in the element's table.
    Row { element: ElementIndex, column: usize },
    /// A pixel, by its index.
    Pixel { pixelization: Pixelization, column: usize },
    /// The request.
    Literal(Arc<Shape>),
}

/// The rows for which all checks hold.
pub(crate) fn refine(
    store: &Store,
    universe: &Universe,
    checks: &[Check],
    columns: &[Column],
) -> Result<Vec<usize>, RegistryError> {
    let rows = columns.first().map_or(0, Column::len);
    let mut kept: Vec<usize> = (0..rows).collect();
    for check in checks {
        let tree = match check {
            Check::Overlap(left, right) => &Tree::Overlap(left.clone(), right.clone()),
            Check::Tree(tree) => tree,
        };
        let mut judge = Judge { columns, known: HashMap::new(), regions: Vec::new() };
        let prepared = judge.prepare(store, universe, tree, &kept)?;
        kept.retain(|row| judge.holds(&prepared, *row) == Some(true));
    }
    Ok(kept)
}

/// A tree whose regions are decoded.
enum Prepared<'a> {
    All(Vec<Prepared<'a>>),
    Any(Vec<Prepared<'a>>),
    Not(Box<Prepared<'a>>),
    Flag(&'a [Option<bool>]),
    Overlap { left: Side<'a>, right: Side<'a>, seen: std::cell::RefCell<HashMap<(i64, i64), Option<bool>>> },
}

enum Side<'a> {
    /// Position in the judge's sets of regions, and the column of keys.
    Stored(usize, &'a Column),
    Literal(&'a Shape),
}

struct Judge<'a> {
    columns: &'a [Column],
    /// Which of the sets of regions belongs to a column of keys.
    known: HashMap<usize, usize>,
    /// Decoded regions by row number or pixel index; none where a record has no region.
    regions: Vec<HashMap<i64, Option<PreparedRegion>>>,
}

impl<'a> Judge<'a> {
    fn prepare(
        &mut self,
        store: &Store,
        universe: &Universe,
        tree: &'a Tree,
        rows: &[usize],
    ) -> Result<Prepared<'a>, RegistryError> {
        let all = |judge: &mut Self, parts: &'a [Tree]| -> Result<Vec<Prepared<'a>>, RegistryError> {
            parts.iter().map(|part| judge.prepare(store, universe, part, rows)).collect()
        };
        Ok(match tree {
            Tree::All(parts) => Prepared::All(all(self, parts)?),
            Tree::Any(parts) => Prepared::Any(all(self, parts)?),
            Tree::Not(part) => Prepared::Not(Box::new(self.prepare(store, universe, part, rows)?)),
            Tree::Flag(column) => match &self.columns[*column] {
                Column::Bool(values) => Prepared::Flag(values),
                _ => Prepared::Flag(&[]),
            },
            Tree::Overlap(left, right) => Prepared::Overlap {
                left: self.side(store, universe, left, rows)?,
                right: self.side(store, universe, right, rows)?,
                seen: std::cell::RefCell::default(),
            },
        })
    }

    fn side(
        &mut self,
        store: &Store,
        universe: &Universe,
        source: &'a RegionSource,
        rows: &[usize],
    ) -> Result<Side<'a>, RegistryError> {
        let column = match source {
            RegionSource::Literal(shape) => return Ok(Side::Literal(shape)),
            RegionSource::Row { column, .. } | RegionSource::Pixel { column, .. } => *column,
        };
        let keys = &self.columns[column];
        if let Some(set) = self.known.get(&column) {
            return Ok(Side::Stored(*set, keys));
        }
        let regions = match source {
            RegionSource::Literal(_) => HashMap::new(),
            RegionSource::Row { element, .. } => stored_regions(store, universe, *element, &distinct(keys, rows))?,
            RegionSource::Pixel { pixelization, .. } => {
                let region = |pixel: i64| pixelization.region(pixel).map(|region| region.prepare());
                distinct(keys, rows).into_iter().map(|pixel| (pixel, region(pixel))).collect()
            }
        };
        self.known.insert(column, self.regions.len());
        self.regions.push(regions);
        Ok(Side::Stored(self.regions.len() - 1, keys))
    }

    fn holds(&self, tree: &Prepared<'_>, row: usize) -> Option<bool> {
        match tree {
            Prepared::All(parts) => {
                let mut known = Some(true);
                for part in parts {
                    match self.holds(part, row) {
                        Some(false) => return Some(false),
                        None => known = None,
                        Some(true) => {}
                    }
                }
                known
            }
            Prepared::Any(parts) => {
                let mut known = Some(false);
                for part in parts {
                    match self.holds(part, row) {
                        Some(true) => return Some(true),
                        None => known = None,
                        Some(false) => {}
                    }
                }
                known
            }
            Prepared::Not(part) => self.holds(part, row).map(|holds| !holds),
            Prepared::Flag(values) => values.get(row).copied().flatten(),
            Prepared::Overlap { left, right, seen } => {
                let (a, b) = (key(left, row), key(right, row));
                *seen.borrow_mut().entry((a, b)).or_insert_with(|| self.overlap(left, a, right, b))
            }
        }
    }

    fn overlap(&self, left: &Side<'_>, a: i64, right: &Side<'_>, b: i64) -> Option<bool> {
        let stored = |set: usize, key: i64| self.regions[set].get(&key).and_then(Option::as_ref);
        match (left, right) {
            (Side::Stored(left, _), Side::Stored(right, _)) => Some(stored(*left, a)?.overlaps(stored(*right, b)?)),
            (Side::Stored(set, _), Side::Literal(shape)) => Some(shape.overlaps(stored(*set, a)?)),
            (Side::Literal(shape), Side::Stored(set, _)) => Some(shape.overlaps(stored(*set, b)?)),
            (Side::Literal(left), Side::Literal(right)) => Some(left.overlaps_shape(right)),
        }
    }
}

fn key(side: &Side<'_>, row: usize) -> i64 {
    match side {
        Side::Stored(_, Column::Int { values, .. }) => values[row],
        Side::Stored(..) | Side::Literal(_) => 0,
    }
}

/// The distinct integers of some rows, sorted.
pub(crate) fn distinct(column: &Column, rows: &[usize]) -> Vec<i64> {
    let Column::Int { values, nulls } = column else { return Vec::new() };
    let mut found: Vec<i64> =
        rows.iter().filter(|row| nulls.get(**row).is_none_or(|null| !null)).map(|row| values[*row]).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Fetches and decodes the regions of records, each once.
fn stored_regions(
    store: &Store,
    universe: &Universe,
    element: ElementIndex,
    numbers: &[i64],
) -> Result<HashMap<i64, Option<PreparedRegion>>, RegistryError> {
    let name = &universe.get(element).name;
    let mut sql = String::from("SELECT ");
    let row_number = store.dialect().row_number();
    sql.push_str(row_number);
    sql.push_str(", region FROM ");
    store.dialect().identifier(&mut sql, name);
    sql.push_str(" WHERE ");
    sql.push_str(row_number);
    store.dialect().in_json_array(&mut sql);
    let values: Vec<Value> = numbers.iter().map(|number| Value::Int(*number)).collect();
    let array = crate::json_list::json_array(&values).unwrap_or_default();
    let columns = store.select(&sql, &[Value::Str(array.into())], &[ColumnType::Int, ColumnType::Bytes])?;
    let mut regions = HashMap::with_capacity(numbers.len());
    if let [Column::Int { values, .. }, Column::Bytes(encoded)] = &columns[..] {
        for (number, bytes) in values.iter().zip(encoded) {
            let region = match bytes {
                None => None,
                Some(bytes) => Some(
                    Region::decode(bytes)
                        .map_err(|error| RegistryError::Corrupt {
                            what: format!("`{name}.region`"),
                            reason: error.to_string(),
                        })?
                        .prepare(),
                ),
            };
            regions.insert(*number, region);
        }
    }
    Ok(regions)
}
