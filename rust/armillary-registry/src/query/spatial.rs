//! How a statement relates regions: by lists of pairs and pixels in SQL, and by checks that SQL leaves to Rust.

use super::{
    error::{QueryError, QueryProblem},
    pairs::overlapping,
    plan::{Plan, is_skypix},
    predicate::{Predicate, RegionTerm, Test},
    refine::{Check, RegionSource, Tree},
    region::Shape,
    request::Upload,
    skypix::{Pixelization, given_pixels, json_column, json_pairs, known_pixels, sphere_failed, touched, touching},
    sources::{Source, overlap_source, pixel_source, region_source},
    sql::{Sql, condition},
    statement::{Pairs, Statement, write_ranges},
};
use crate::{RegistryError, Store};
use armillary_dimensions::{ColumnType, Element, ElementIndex, Value};
use std::sync::Arc;

/// Columns of a statement at most; `PostgreSQL` takes 1664 and `SQLite` 2000.
const MOST_COLUMNS: usize = 1500;
/// Given regions that narrow down what a statement reads; more only take time, and `SQLite` joins 64 tables at most.
const MOST_REGIONS: usize = 8;

impl Statement<'_> {
    /// The tables that relate regions.
    pub(super) fn add_overlaps(&mut self, store: &Store, uploads: &[Upload]) -> Result<(), RegistryError> {
        let plan = self.plan;
        for (left, right) in &plan.overlaps {
            let (left, right) = (plan.universe.get(*left), plan.universe.get(*right));
            match (is_skypix(left), is_skypix(right)) {
                (false, false) => {
                    if self.pairs.is_some() {
                        // Lists of pairs would be compared with each other row by row.
                        self.add(overlap_source(plan, self.dialect, left, right));
                        let (left, right) = (RegionTerm::Column(left.index), RegionTerm::Column(right.index));
                        let (left, right) = (self.region(&left), self.region(&right));
                        self.checks.push(Check::Overlap(left, right));
                        continue;
                    }
                    let pairs = overlapping(store, plan, left, right)?;
                    if pairs.iter().any(|(a, b)| *a.max(b) > self.dialect.largest_row()) {
                        let reason = "a table has more rows than can be paired".to_owned();
                        return Err(RegistryError::BadArgument { reason });
                    }
                    self.add_pairs(left.index, right.index, pairs);
                }
                (true, false) => self.add_pixels(store, left, right)?,
                (false, true) => self.add_pixels(store, right, left)?,
                (true, true) => self.add_pixel_pairs(store, uploads, left, right)?,
            }
        }
        Ok(())
    }

    /// Joins two tables by the numbers of rows that belong together.
    fn add_pairs(&mut self, left: ElementIndex, right: ElementIndex, rows: Vec<(i64, i64)>) {
        let alias = format!("s{}", self.sources.len());
        self.sources.push(Source::numbers(&alias, Sql::default()));
        let tables = [self.table(left), self.table(right)];
        for (table, column) in tables.iter().zip(["a", "b"]) {
            let number = self.dialect.row_number();
            self.conditions.push(Sql::text(format!("{table}.{number} = {alias}.{column}")));
        }
        self.pairs = Some(Pairs { alias, tables, rows });
    }

    /// Relates a pixelisation to an element: by its stored list if that is the common one.
    fn add_pixels(&mut self, store: &Store, pixels: &Element, element: &Element) -> Result<(), RegistryError> {
        if pixels.index == self.plan.universe.common_skypix().index {
            self.add(pixel_source(self.plan, self.dialect, pixels, element));
            return Ok(());
        }
        let pairs = touched(store, self.plan, element, pixels)?;
        let mut from = Sql::default();
        self.dialect.json_rows(&mut from.text, &[("number".to_owned(), false), ("pixel".to_owned(), false)]);
        from.values.push(Value::Str(json_pairs(pairs.into_iter()).into()));
        let alias = format!("s{}", self.sources.len());
        let keys = vec![(pixels.index, "pixel".to_owned())];
        self.sources.push(Source::keyed(alias.clone(), keys, from));
        let table = self.table(element.index);
        let row = self.dialect.row_numbered(&format!("{alias}.number"));
        self.conditions.push(Sql::text(format!("{table}.{} = {row}", self.dialect.row_number())));
        // Envelopes may hold more pixels than the region touches.
        let (left, right) =
            (self.region(&RegionTerm::Column(element.index)), self.region(&RegionTerm::Column(pixels.index)));
        self.checks.push(Check::Overlap(left, right));
        Ok(())
    }

    /// Relates two pixelisations, by the pixels of either that the query can be about at all.
    fn add_pixel_pairs(
        &mut self,
        store: &Store,
        uploads: &[Upload],
        left: &Element,
        right: &Element,
    ) -> Result<(), RegistryError> {
        let plan = self.plan;
        let (near, far, pixels) =
            match (known_pixels(store, plan, uploads, left)?, known_pixels(store, plan, uploads, right)?) {
                (Some(of_left), Some(of_right)) if of_right.len() < of_left.len() => (right, left, of_right),
                (Some(of_left), _) => (left, right, of_left),
                (None, Some(of_right)) => (right, left, of_right),
                (None, None) => return Err(unsupported_pixels(left, right).into()),
            };
        let pairs = touching(near, far, &pixels)?;
        let mut from = Sql::default();
        self.dialect.json_rows(&mut from.text, &[("near".to_owned(), false), ("far".to_owned(), false)]);
        from.values.push(Value::Str(json_pairs(pairs.into_iter()).into()));
        let keys = vec![(near.index, "near".to_owned()), (far.index, "far".to_owned())];
        self.add(|alias| Source::keyed(alias, keys, from));
        let (left, right) =
            (self.region(&RegionTerm::Column(left.index)), self.region(&RegionTerm::Column(right.index)));
        self.checks.push(Check::Overlap(left, right));
        Ok(())
    }

    /// The pixels that regions given by the caller touch, where nothing else gives the dimension values; else those
    /// that a condition lists.
    pub(super) fn add_given_pixels(&mut self, pixels: &Element) -> Result<bool, RegistryError> {
        let Some(given) = given_pixels(self.plan, pixels)? else { return Ok(false) };
        let mut from = Sql::default();
        self.dialect.json_rows(&mut from.text, &[("pixel".to_owned(), false)]);
        from.values.push(json_column(&given));
        let keys = vec![(pixels.index, "pixel".to_owned())];
        self.add(|alias| Source::keyed(alias, keys, from));
        Ok(true)
    }

    /// The outermost conditions that an element's region overlaps a given one.
    pub(super) fn add_regions(&mut self) -> Result<(), RegistryError> {
        let plan = self.plan;
        let mut joined = 0;
        for condition in &plan.conditions {
            let Predicate::Test(Test::Regions(left, right)) = condition else { continue };
            let ((RegionTerm::Column(element), RegionTerm::Literal(shape))
            | (RegionTerm::Literal(shape), RegionTerm::Column(element))) = (left, right)
            else {
                continue;
            };
            let element = plan.universe.get(*element);
            if !is_skypix(element) {
                if joined < MOST_REGIONS {
                    self.add(region_source(plan, self.dialect, element, &pixel_ranges(plan, shape)?));
                    joined += 1;
                }
                let source = self.region(&RegionTerm::Column(element.index));
                self.checks.push(Check::Overlap(source, RegionSource::Literal(shape.clone())));
            }
        }
        Ok(())
    }

    pub(super) fn add_literal_region(&mut self, left: &RegionTerm, right: &RegionTerm) -> Result<(), RegistryError> {
        match (left, right) {
            (RegionTerm::Column(index), RegionTerm::Literal(shape))
            | (RegionTerm::Literal(shape), RegionTerm::Column(index)) => {
                let element = self.plan.universe.get(*index);
                if let Some(pixelization) = Pixelization::of(element) {
                    let ranges = pixelization.envelope(shape).map_err(|error| sphere_failed(&error))?;
                    let mut sql = Sql::text("(");
                    write_ranges(&mut sql, &self.key(*index), &ranges);
                    sql.push(")");
                    self.conditions.push(sql);
                    if matches!(pixelization, Pixelization::Healpix(_)) {
                        // Its envelopes hold more pixels than the shape touches.
                        let source = self.region(&RegionTerm::Column(*index));
                        self.checks.push(Check::Overlap(source, RegionSource::Literal(shape.clone())));
                    }
                }
            }
            _ => {
                let (left, right) = (self.region(left), self.region(right));
                self.checks.push(Check::Overlap(left, right));
            }
        }
        Ok(())
    }

    /// A condition that mixes tests of regions with others, for Rust to compute.
    pub(super) fn tree(&mut self, predicate: &Predicate) -> Result<Tree, QueryError> {
        if !predicate.is_spatial() {
            let flag = self.select(condition(self, predicate), ColumnType::Bool);
            if flag >= MOST_COLUMNS {
                let what = format!("an expression that mixes more than {MOST_COLUMNS} other conditions with regions");
                return Err(QueryProblem::Unsupported { what }.into());
            }
            return Ok(Tree::Flag(flag));
        }
        Ok(match predicate {
            Predicate::All(parts) => Tree::All(self.trees(parts, Predicate::All)?),
            Predicate::Any(parts) => Tree::Any(self.trees(parts, Predicate::Any)?),
            Predicate::Not(part) => Tree::Not(Box::new(self.tree(part)?)),
            Predicate::Test(Test::Regions(left, right)) => Tree::Overlap(self.region(left), self.region(right)),
            Predicate::Test(_) => unreachable!("only tests of regions are spatial"),
        })
    }

    /// The parts of an `AND` or `OR`; those without regions as one.
    fn trees(&mut self, parts: &[Predicate], joined: fn(Vec<Predicate>) -> Predicate) -> Result<Vec<Tree>, QueryError> {
        let (spatial, plain): (Vec<&Predicate>, Vec<&Predicate>) = parts.iter().partition(|part| part.is_spatial());
        let plain = match plain[..] {
            [] => None,
            [only] => Some(only.clone()),
            _ => Some(joined(plain.into_iter().cloned().collect())),
        };
        plain.iter().chain(spatial).map(|part| self.tree(part)).collect()
    }

    /// Where a region comes from; a stored one by the number of its row.
    fn region(&mut self, term: &RegionTerm) -> RegionSource {
        match term {
            RegionTerm::Literal(shape) => RegionSource::Literal(shape.clone()),
            RegionTerm::Column(index) => match Pixelization::of(self.plan.universe.get(*index)) {
                Some(pixelization) => RegionSource::Pixel { pixelization, column: self.select_key(*index) },
                None => RegionSource::Row { element: *index, column: self.select_row(*index, false) },
            },
        }
    }
}

fn pixel_ranges(plan: &Plan, shape: &Arc<Shape>) -> Result<Vec<std::ops::Range<u64>>, RegistryError> {
    const MOST: usize = 64;
    let common = Pixelization::of(plan.universe.common_skypix()).unwrap_or(Pixelization::Htm(7));
    let mut ranges = common.envelope(shape).map_err(|error| sphere_failed(&error))?;
    // Too many ranges make a slow statement; joining neighbours only admits rows that the exact test refuses.
    let mut gap = 2;
    while ranges.len() > MOST {
        let mut joined: Vec<std::ops::Range<u64>> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start - last.end < gap => last.end = range.end,
                _ => joined.push(range),
            }
        }
        ranges = joined;
        gap *= 2;
    }
    Ok(ranges)
}

fn unsupported_pixels(left: &Element, right: &Element) -> QueryError {
    let what = format!("an overlap of `{}` with `{}`", left.name, right.name);
    QueryProblem::Unsupported { what }.into()
}
