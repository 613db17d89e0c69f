//! `HEALPix` in the NESTED order: twelve diamonds of equal area, each cut in four again and again.
//!
//! Level L has 12·4^L pixels, numbered from 0 (its `nside` is 2^L).

mod cells;
mod excess;

use crate::ranges::{Ranges, intersected, merged};
use crate::{Region, SphereError, UnitVector3d};
use cells::{Cell, pixel_radius};
use excess::Excess;
use std::ops::Range;

/// The deepest level.
pub const DEEPEST_LEVEL: u32 = 17;

/// An envelope is found on cells this many levels deeper: a pixel belongs to it if one of these cells in it, or a
/// neighbour of that cell, ...
const GRAIN: u32 = 4;

/// ... has, as many levels deeper again, a cell with its center within that cell's radius of the region.
///
/// The peer finds envelopes in this way, so the same pixels come out, a few more than touch the region.
const FINER_GRAIN: u32 = 2;

fn check(level: u32) -> Result<(), SphereError> {
    if level <= DEEPEST_LEVEL {
        Ok(())
    } else {
        Err(SphereError::NoSuchLevel { system: "healpix", level, deepest: DEEPEST_LEVEL })
    }
}

/// All indices of a level.
pub fn universe(level: u32) -> Result<Range<u64>, SphereError> {
    check(level)?;
    Ok(0..12 << (2 * level))
}

/// The pixel of a level that a direction lies in.
///
/// ```
/// use armillary_sphere::{UnitVector3d, healpix};
///
/// assert_eq!(healpix::index(UnitVector3d::from_lon_lat_degrees(10.0, -5.5), 5)?, 4489);
/// # Ok::<(), armillary_sphere::SphereError>(())
/// ```
pub fn index(direction: UnitVector3d, level: u32) -> Result<u64, SphereError> {
    check(level)?;
    Ok(Cell::at(direction, level).index())
}

/// The direction of a pixel's middle.
pub fn center(index: u64, level: u32) -> Result<UnitVector3d, SphereError> {
    if universe(level)?.contains(&index) {
        Ok(Cell::of_index(index, level).center())
    } else {
        Err(SphereError::NoSuchPixel { system: "healpix", index })
    }
}

/// The corners of a pixel; its sides are not quite the great circles between them.
///
/// ```
/// use armillary_sphere::healpix;
///
/// let corners = healpix::corners(4489, 5)?;
/// assert!(corners.iter().all(|corner| corner.dot(healpix::center(4489, 5).unwrap()) > 0.99));
/// # Ok::<(), armillary_sphere::SphereError>(())
/// ```
pub fn corners(index: u64, level: u32) -> Result<[UnitVector3d; 4], SphereError> {
    if universe(level)?.contains(&index) {
        Ok(Cell::of_index(index, level).corners())
    } else {
        Err(SphereError::NoSuchPixel { system: "healpix", index })
    }
}

/// Pixels of a level that hold every pixel a region touches, as the fewest ranges in ascending order.
///
/// ```
/// use armillary_sphere::{Region, healpix};
///
/// let region = Region::from_ivoa_pos("CIRCLE 10 -5.5 0.01")?;
/// assert_eq!(healpix::envelope(&region, 5)?, [4489..4490]);
/// # Ok::<(), armillary_sphere::SphereError>(())
/// ```
pub fn envelope(region: &Region, level: u32) -> Result<Vec<Range<u64>>, SphereError> {
    check(level)?;
    let simple = |excess: Excess| Search::new(excess, level).run();
    Ok(match region {
        Region::Union(parts) => {
            let envelopes = parts.iter().map(|part| envelope(part, level)).collect::<Result<Vec<_>, _>>()?;
            merged(envelopes.into_iter().flatten().collect())
        }
        Region::Intersection(parts) => {
            let mut kept = vec![universe(level)?];
            for part in parts {
                kept = intersected(&kept, &envelope(part, level)?);
            }
            kept
        }
        Region::Box(shape) if shape.is_empty() => Vec::new(),
        Region::Box(shape) => simple(Excess::of_box(shape)),
        Region::Circle(shape) if shape.is_empty() => Vec::new(),
        Region::Circle(shape) => simple(Excess::of_circle(shape)),
        Region::Ellipse(shape) => envelope(&shape.bounding_circle().into(), level)?,
        Region::ConvexPolygon(shape) => simple(Excess::of_polygon(shape)),
    })
}

struct Search {
    excess: Excess,
    level: u32,
    ranges: Ranges,
}

impl Search {
    fn new(excess: Excess, level: u32) -> Self {
        Self { excess, level, ranges: Ranges::default() }
    }

    fn run(mut self) -> Vec<Range<u64>> {
        for base in 0..12 {
            self.descend(Cell::of_index(base, 0));
        }
        self.ranges.into_vec()
    }

    /// Adds the pixels within one cell.
    fn descend(&mut self, cell: Cell) {
        let beyond = self.excess.of(cell.center());
        let radius = pixel_radius(cell.level());
        // No center in a cell is farther from the cell's center than the radius, and excess grows no faster than that.
        let reach = 2.0 * pixel_radius(self.level + GRAIN) + pixel_radius(self.level + GRAIN + FINER_GRAIN);
        if beyond > radius + reach {
            return;
        }
        if beyond + radius <= 0.0 || (cell.level() == self.level && (beyond <= 0.0 || self.is_near(cell))) {
            let shift = 2 * (self.level - cell.level());
            self.ranges.push(cell.index() << shift, (cell.index() + 1) << shift);
        } else if cell.level() < self.level {
            for child in cell.children() {
                self.descend(child);
            }
        }
    }

    /// Whether a grain of the pixel, or one next to it, holds a finer grain within reach of the region.
    fn is_near(&self, pixel: Cell) -> bool {
        self.has_grain(pixel) || pixel.grains_around(GRAIN).any(|grain| self.has_grain(grain))
    }

    fn has_grain(&self, cell: Cell) -> bool {
        let finest = self.level + GRAIN + FINER_GRAIN;
        let beyond = self.excess.of(cell.center());
        let margin = pixel_radius(finest);
        if cell.level() == finest {
            return beyond <= margin;
        }
        // The cells at the middle have their centers well within their radius of it.
        beyond <= 0.0
            || (beyond <= pixel_radius(cell.level()) + margin && cell.children().into_iter().any(|c| self.has_grain(c)))
    }
}
