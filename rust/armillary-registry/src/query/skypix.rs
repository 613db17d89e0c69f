//! Pixels of any pixelisation: which ones a region touches, and the region of one.

use super::{
    error::{QueryError, QueryProblem},
    plan::{Plan, is_skypix},
    predicate::{Predicate, Reference, RegionTerm, Test},
    region::Shape,
    request::Upload,
    search::Search,
    sql::{Columns, Sql, condition},
};
use crate::{Dialect, RegistryError, Store};
use armillary_dimensions::{Column, ColumnType, Element, ElementIndex, ElementKind, FieldRole, Value};
use armillary_sphere::{ConvexPolygon, Region, SphereError, healpix, htm};
use std::{ops::Range, sync::Arc};

/// More pixels than this are refused: a coarser level says the same.
const MOST_PIXELS: u64 = 4_000_000;

/// A division of the sky into numbered pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pixelization {
    Htm(u32),
    Healpix(u32),
}

impl Pixelization {
    /// That whose pixels an element numbers, if it is one.
    pub(crate) fn of(element: &Element) -> Option<Self> {
        match &element.kind {
            ElementKind::SkyPix { system, level } if system == "htm" => Some(Self::Htm(u32::from(*level))),
            ElementKind::SkyPix { system, level } if system == "healpix" => Some(Self::Healpix(u32::from(*level))),
            _ => None,
        }
    }

    /// The numbers of all pixels.
    pub(crate) fn numbers(self) -> Result<Range<u64>, SphereError> {
        match self {
            Self::Htm(level) => htm::universe(level),
            Self::Healpix(level) => healpix::universe(level),
        }
    }

    /// The pixels that a shape touches, and possibly some beside them.
    pub(crate) fn envelope(self, shape: &Shape) -> Result<Vec<Range<u64>>, SphereError> {
        let one = |index: u64| std::iter::once(index..index + 1).collect();
        match (self, shape) {
            (Self::Htm(level), Shape::Point(direction)) => htm::index(*direction, level).map(one),
            (Self::Healpix(level), Shape::Point(direction)) => healpix::index(*direction, level).map(one),
            (Self::Htm(level), Shape::Region(_, prepared)) => htm::envelope_of(prepared, level),
            (Self::Healpix(level), Shape::Region(region, _)) => healpix::envelope(region, level),
        }
    }

    /// The region of a pixel; none if there is no such pixel.
    pub(crate) fn region(self, pixel: i64) -> Option<Region> {
        let index = u64::try_from(pixel).ok()?;
        let polygon = match self {
            Self::Htm(level) if htm::level(index) == Ok(level) => ConvexPolygon::convex_hull(&htm::trixel(index).ok()?),
            Self::Htm(_) => return None,
            Self::Healpix(level) => ConvexPolygon::convex_hull(&healpix::corners(index, level).ok()?),
        };
        polygon.ok().map(Region::from)
    }
}

const fn integer(value: &Value) -> Option<i64> {
    if let Value::Int(value) = value { Some(*value) } else { None }
}

/// Every pixel of some ranges.
pub(crate) fn pixels_in(element: &Element, ranges: &[Range<u64>]) -> Result<Vec<i64>, QueryError> {
    check(element, ranges.iter().map(|range| range.end - range.start).sum())?;
    Ok(ranges.iter().flat_map(Clone::clone).filter_map(|pixel| i64::try_from(pixel).ok()).collect())
}

fn check(element: &Element, pixels: u64) -> Result<(), QueryError> {
    if pixels <= MOST_PIXELS {
        return Ok(());
    }
    let what = format!("a query that touches {pixels} pixels of `{}`", element.name);
    Err(QueryProblem::Unsupported { what: format!("{what} (a coarser level has fewer; at most {MOST_PIXELS})") }.into())
}

/// The numbers of an element's rows, each with a pixel that its region touches.
pub(crate) fn touched(
    store: &Store,
    plan: &Plan,
    element: &Element,
    pixels: &Element,
) -> Result<Vec<(i64, i64)>, RegistryError> {
    let Some(pixelization) = Pixelization::of(pixels) else { return Ok(Vec::new()) };
    let dialect = store.dialect();
    let mut sql = Sql::text(format!("SELECT {}, region FROM ", dialect.row_number()));
    dialect.identifier(&mut sql.text, &element.name);
    sql.push(" WHERE region IS NOT NULL");
    let columns = OwnColumns { element, dialect };
    let own = plan.conditions.iter().filter(|predicate| columns.hold(predicate));
    sql.push_all(" AND ", own.map(|predicate| condition(&columns, predicate)));
    let found = store.select(&sql.text, &sql.values, &[ColumnType::Int, ColumnType::Bytes])?;
    let [Column::Int { values: rows, .. }, Column::Bytes(regions)] = &found[..] else { return Ok(Vec::new()) };
    let (mut pairs, mut total) = (Vec::new(), 0);
    for (row, bytes) in rows.iter().zip(regions) {
        let Some(bytes) = bytes else { continue };
        let region = Region::decode(bytes).map_err(|error| RegistryError::Corrupt {
            what: format!("`{}.region`", element.name),
            reason: error.to_string(),
        })?;
        let ranges = pixelization.envelope(&Shape::from(region)).map_err(|error| sphere_failed(&error))?;
        total += ranges.iter().map(|range| range.end - range.start).sum::<u64>();
        check(pixels, total)?;
        pairs.extend(pixels_in(pixels, &ranges)?.into_iter().map(|pixel| (*row, pixel)));
    }
    Ok(pairs)
}

/// The pixels of one pixelisation, each with one of another that it touches; possibly more beside them.
pub(crate) fn touching(near: &Element, far: &Element, pixels: &[i64]) -> Result<Vec<(i64, i64)>, RegistryError> {
    let (Some(own), Some(other)) = (Pixelization::of(near), Pixelization::of(far)) else { return Ok(Vec::new()) };
    let (mut pairs, mut total) = (Vec::new(), 0);
    for pixel in pixels {
        let Some(region) = own.region(*pixel) else { continue };
        let ranges = other.envelope(&Shape::from(region)).map_err(|error| sphere_failed(&error))?;
        total += ranges.iter().map(|range| range.end - range.start).sum::<u64>();
        check(far, total)?;
        pairs.extend(pixels_in(far, &ranges)?.into_iter().map(|found| (*pixel, found)));
    }
    Ok(pairs)
}

/// The only pixels that a query can be about, as far as that is known without its answer; none if it is not.
pub(crate) fn known_pixels(
    store: &Store,
    plan: &Plan,
    uploads: &[Upload],
    pixels: &Element,
) -> Result<Option<Vec<i64>>, RegistryError> {
    if let Some(given) = given_pixels(plan, pixels)? {
        return Ok(Some(given));
    }
    let uploaded = uploads.iter().find_map(|upload| {
        let column = upload.dimensions.iter().position(|index| *index == pixels.index)?;
        Some(upload.rows.iter().filter_map(|row| integer(&row[column])).collect())
    });
    let mut found = match uploaded {
        Some(uploaded) => uploaded,
        None => match pixels_of_datasets(store, plan, pixels)? {
            Some(held) => held,
            None => match pixels_of_records(store, plan, pixels)? {
                Some(touched) => touched,
                None => return Ok(None),
            },
        },
    };
    found.sort_unstable();
    found.dedup();
    Ok(Some(found))
}

/// The pixels with datasets, where a search is for datasets of pixels.
fn pixels_of_datasets(store: &Store, plan: &Plan, pixels: &Element) -> Result<Option<Vec<i64>>, RegistryError> {
    let holds_all = |search: &&Search| search.dataset_type.group.contains(pixels.index) && !search.has_calibrations();
    let Some(search) = plan.searches.iter().find(holds_all) else { return Ok(None) };
    if search.is_doomed() {
        return Ok(Some(Vec::new()));
    }
    let dialect = store.dialect();
    let mut sql = Sql::text("SELECT DISTINCT ");
    dialect.identifier(&mut sql.text, &pixels.name);
    sql.push(" FROM ");
    dialect.identifier(&mut sql.text, &search.dataset_type.tags_table);
    sql.push(" WHERE dataset_type_id = ");
    sql.bind(Value::Int(search.dataset_type.id));
    sql.push(" AND collection_id");
    let ids: Vec<Value> = search.collections.iter().map(|place| Value::Int(place.id)).collect();
    sql.in_list(dialect, &ids);
    match store.select(&sql.text, &sql.values, &[ColumnType::Int])?.pop() {
        Some(Column::Int { values, .. }) => Ok(Some(values)),
        _ => Ok(None),
    }
}

/// The pixels that records touch, where those are related to them, too.
fn pixels_of_records(store: &Store, plan: &Plan, pixels: &Element) -> Result<Option<Vec<i64>>, RegistryError> {
    for (left, right) in &plan.overlaps {
        let element = match (*left == pixels.index, *right == pixels.index) {
            (true, false) => plan.universe.get(*right),
            (false, true) => plan.universe.get(*left),
            _ => continue,
        };
        if !is_skypix(element) {
            let pairs = touched(store, plan, element, pixels)?;
            return Ok(Some(pairs.into_iter().map(|(_, pixel)| pixel).collect()));
        }
    }
    Ok(None)
}

/// The pixels that the request lists, or that regions in it touch.
pub(crate) fn given_pixels(plan: &Plan, pixels: &Element) -> Result<Option<Vec<i64>>, RegistryError> {
    let Some(pixelization) = Pixelization::of(pixels) else { return Ok(None) };
    if let Some(listed) = plan.constraints.get(&pixels.index) {
        let exist = |pixel: &i64| pixelization.region(*pixel).is_some();
        return Ok(Some(listed.iter().filter_map(integer).filter(exist).collect()));
    }
    let Some(shape) = given_shapes(plan, pixels.index).into_iter().next() else { return Ok(None) };
    let ranges = pixelization.envelope(&shape).map_err(|error| sphere_failed(&error))?;
    Ok(Some(pixels_in(pixels, &ranges)?))
}

/// The regions given by the caller that the region of an element's pixel must overlap.
fn given_shapes(plan: &Plan, pixels: ElementIndex) -> Vec<Arc<Shape>> {
    let shape = |condition: &Predicate| match condition {
        Predicate::Test(
            Test::Regions(RegionTerm::Column(index), RegionTerm::Literal(shape))
            | Test::Regions(RegionTerm::Literal(shape), RegionTerm::Column(index)),
        ) if *index == pixels => Some(shape.clone()),
        _ => None,
    };
    plan.conditions.iter().filter_map(shape).collect()
}

pub(crate) fn sphere_failed(error: &SphereError) -> RegistryError {
    RegistryError::BadArgument { reason: error.to_string() }
}

/// Rows of numbers as a JSON array of arrays.
pub(crate) fn json_pairs(pairs: impl Iterator<Item = (i64, i64)>) -> String {
    use std::fmt::Write as _;
    let mut json = String::from("[");
    for (position, (a, b)) in pairs.enumerate() {
        let _ = write!(json, "{}[{a},{b}]", if position == 0 { "" } else { "," });
    }
    json.push(']');
    json
}

/// The fields of an element as columns of its own table.
struct OwnColumns<'a> {
    element: &'a Element,
    dialect: &'a dyn Dialect,
}

impl OwnColumns<'_> {
    fn field(&self, reference: Reference) -> Option<&str> {
        let position = match reference {
            Reference::Key(index) => self.element.fields.iter().position(|field| match field.role {
                FieldRole::Required(dimension) | FieldRole::Implied(dimension) => dimension == index,
                FieldRole::AlternateKey | FieldRole::Metadata | FieldRole::Region | FieldRole::Timespan => false,
            })?,
            Reference::Field(index, position) if index == self.element.index => position,
            _ => return None,
        };
        Some(&self.element.fields[position].name)
    }

    /// Whether a condition is about nothing but these.
    fn hold(&self, condition: &Predicate) -> bool {
        let mut only = !condition.is_spatial();
        condition.each_reference(&mut |reference| only &= self.field(reference).is_some());
        only
    }
}

impl Columns for OwnColumns<'_> {
    fn column(&self, sql: &mut Sql, reference: Reference) {
        match self.field(reference) {
            Some(name) => self.dialect.identifier(&mut sql.text, name),
            None => sql.push("NULL"),
        }
    }

    fn dialect(&self) -> &dyn Dialect {
        self.dialect
    }
}

/// The values of a list as a JSON array of rows of one.
pub(crate) fn json_column(values: &[i64]) -> Value {
    let rows: Vec<String> = values.iter().map(|value| format!("[{value}]")).collect();
    Value::Str(format!("[{}]", rows.join(",")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle() -> Shape {
        Shape::from_numbers("CIRCLE", &[10.0, -5.0, 1.0]).expect("a circle")
    }

    #[test]
    fn every_pixel_that_the_shape_touches_is_in_its_envelope() {
        for pixelization in [Pixelization::Htm(6), Pixelization::Healpix(5)] {
            let ranges = pixelization.envelope(&circle()).expect("a level that exists");
            let universe = match pixelization {
                Pixelization::Htm(level) => htm::universe(level),
                Pixelization::Healpix(level) => healpix::universe(level),
            };
            let (mut touching, mut inside) = (0, 0);
            for pixel in universe.expect("a level that exists") {
                let region = pixelization.region(i64::try_from(pixel).expect("small")).expect("a pixel");
                if circle().overlaps(&region.prepare()) {
                    touching += 1;
                    inside += u32::from(ranges.iter().any(|range| range.contains(&pixel)));
                }
            }
            assert!(touching > 3, "{pixelization:?} has {touching} pixels there");
            assert_eq!(touching, inside, "{pixelization:?}");
        }
    }

    #[test]
    fn pixels_of_other_levels_have_no_region() {
        assert!(Pixelization::Htm(7).region(131_072).is_some());
        assert!(Pixelization::Htm(7).region(8).is_none() && Pixelization::Htm(7).region(-1).is_none());
        assert!(Pixelization::Healpix(1).region(47).is_some() && Pixelization::Healpix(1).region(48).is_none());
    }
}
