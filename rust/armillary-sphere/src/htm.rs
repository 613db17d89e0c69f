//! The hierarchical triangular mesh: eight spherical triangles, each cut in four again and again.
//!
//! Level L has 8·4^L triangles with the indices 8·4^L to 16·4^L.

mod mesh;

pub use mesh::Mesh;

use crate::predicate::orientation;
use crate::{PreparedRegion, Region, SphereError, UnitVector3d};
use std::ops::Range;

/// The deepest level.
pub const DEEPEST_LEVEL: u32 = 24;

/// The corners of a triangle, counter-clockwise.
pub type Trixel = [UnitVector3d; 3];

const fn axis(x: f64, y: f64, z: f64) -> UnitVector3d {
    UnitVector3d::from_normalized(x, y, z)
}

const X: UnitVector3d = axis(1.0, 0.0, 0.0);
const Y: UnitVector3d = axis(0.0, 1.0, 0.0);
const Z: UnitVector3d = axis(0.0, 0.0, 1.0);
const MINUS_X: UnitVector3d = axis(-1.0, 0.0, 0.0);
const MINUS_Y: UnitVector3d = axis(0.0, -1.0, 0.0);
const MINUS_Z: UnitVector3d = axis(0.0, 0.0, -1.0);

/// The triangles 8 to 15: four southern, four northern.
const ROOTS: [Trixel; 8] = [
    [X, MINUS_Z, Y],
    [Y, MINUS_Z, MINUS_X],
    [MINUS_X, MINUS_Z, MINUS_Y],
    [MINUS_Y, MINUS_Z, X],
    [X, Z, MINUS_Y],
    [MINUS_Y, Z, MINUS_X],
    [MINUS_X, Z, Y],
    [Y, Z, X],
];

fn children([a, b, c]: Trixel) -> [Trixel; 4] {
    let [bc, ca, ab] = [b.midpoint(c), c.midpoint(a), a.midpoint(b)];
    [[a, ab, ca], [b, bc, ab], [c, ca, bc], [bc, ca, ab]]
}

fn check(level: u32) -> Result<(), SphereError> {
    if level <= DEEPEST_LEVEL {
        Ok(())
    } else {
        Err(SphereError::NoSuchLevel { system: "htm", level, deepest: DEEPEST_LEVEL })
    }
}

/// The level of a pixel index.
///
/// ```
/// use armillary_sphere::htm;
///
/// assert_eq!(htm::level(131_072)?, 7);
/// assert!(htm::level(7).is_err());
/// # Ok::<(), armillary_sphere::SphereError>(())
/// ```
pub fn level(index: u64) -> Result<u32, SphereError> {
    let error = SphereError::NoSuchPixel { system: "htm", index };
    match index.checked_ilog2() {
        Some(bits) if bits % 2 == 1 && bits >= 3 && (bits - 3) / 2 <= DEEPEST_LEVEL => Ok((bits - 3) / 2),
        Some(_) | None => Err(error),
    }
}

/// All indices of a level.
pub fn universe(level: u32) -> Result<Range<u64>, SphereError> {
    check(level)?;
    Ok(8 << (2 * level)..16 << (2 * level))
}

/// The corners of a pixel.
pub fn trixel(index: u64) -> Result<Trixel, SphereError> {
    let level = level(index)?;
    let digit = |place: u32, mask: u64| usize::try_from((index >> (2 * place)) & mask).unwrap_or(0);
    let root = ROOTS[digit(level, 7)];
    Ok((0..level).rev().fold(root, |corners, place| children(corners)[digit(place, 3)]))
}

/// The name of a pixel: `N` or `S`, then a digit per level.
///
/// ```
/// assert_eq!(armillary_sphere::htm::to_string(131_945)?, "S00031221");
/// # Ok::<(), armillary_sphere::SphereError>(())
/// ```
pub fn to_string(index: u64) -> Result<String, SphereError> {
    let level = level(index)?;
    let hemisphere = if (index >> (2 * level)) & 4 == 0 { 'S' } else { 'N' };
    let digits = (0..=level).rev().filter_map(|place| char::from_digit(((index >> (2 * place)) & 3) as u32, 4));
    Ok(std::iter::once(hemisphere).chain(digits).collect())
}

/// The pixel of a level that a direction lies in.
///
/// ```
/// use armillary_sphere::{UnitVector3d, htm};
///
/// assert_eq!(htm::index(UnitVector3d::from_lon_lat_degrees(10.0, -5.5), 7)?, 131_945);
/// # Ok::<(), armillary_sphere::SphereError>(())
/// ```
pub fn index(direction: UnitVector3d, level: u32) -> Result<u64, SphereError> {
    check(level)?;
    let root = root_of(direction);
    let mut corners = ROOTS[root];
    let mut index = 8 + root as u64;
    for _ in 0..level {
        let parts = children(corners);
        let [bc, ca, ab] = parts[3];
        let child = if orientation(ca, ab, direction) <= 0 {
            0
        } else if orientation(ab, bc, direction) <= 0 {
            1
        } else if orientation(bc, ca, direction) <= 0 {
            2
        } else {
            3
        };
        corners = parts[child];
        index = (index << 2) | child as u64;
    }
    Ok(index)
}

fn root_of(direction: UnitVector3d) -> usize {
    let UnitVector3d { x, y, z } = direction;
    let quarter = if x <= 0.0 && y > 0.0 {
        1
    } else if x < 0.0 && y <= 0.0 {
        2
    } else if x >= 0.0 && y < 0.0 {
        3
    } else {
        0
    };
    if z < 0.0 { quarter } else { 7 - quarter }
}

/// All pixels of a level that are not disjoint from a region, as the fewest ranges in ascending order.
///
/// ```
/// use armillary_sphere::{Region, htm};
///
/// let point = Region::from_ivoa_pos("CIRCLE 10 -5.5 0.00001")?;
/// assert_eq!(htm::envelope(&point, 7)?, [131_945..131_946]);
/// # Ok::<(), armillary_sphere::SphereError>(())
/// ```
pub fn envelope(region: &Region, level: u32) -> Result<Vec<Range<u64>>, SphereError> {
    envelope_of(&region.prepare(), level)
}

/// [`envelope`] of a region that is prepared already.
pub fn envelope_of(region: &PreparedRegion, level: u32) -> Result<Vec<Range<u64>>, SphereError> {
    Mesh::with_room(0).envelope_of(region, level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_levels_and_corners_follow_the_index() {
        for (index, name) in [(8, "S0"), (15, "N3"), (128, "S000"), (130, "S002"), (200, "N020"), (255, "N333")] {
            assert_eq!(to_string(index).as_deref(), Ok(name));
        }
        let [x, below, beside] = trixel(131_072).unwrap().map(UnitVector3d::components);
        assert_eq!(x, [1.0, 0.0, 0.0]);
        assert_eq!(below, [0.999_924_701_839_144_5, 0.0, -0.012_271_538_285_719_927]);
        assert_eq!(beside, [0.999_924_701_839_144_5, 0.012_271_538_285_719_927, 0.0]);
    }

    #[test]
    fn numbers_between_the_levels_are_no_pixels() {
        for index in [0, 7, 16, 31, 64, 1 << 52, u64::MAX] {
            assert_eq!(level(index), Err(SphereError::NoSuchPixel { system: "htm", index }));
        }
        for level_of in 0..=DEEPEST_LEVEL {
            let all = universe(level_of).unwrap();
            assert_eq!((level(all.start), level(all.end - 1)), (Ok(level_of), Ok(level_of)));
        }
        assert!(universe(DEEPEST_LEVEL + 1).is_err());
    }

    #[test]
    fn the_middle_of_every_triangle_is_found_in_it() {
        for pixel in universe(4).unwrap() {
            let [a, b, c] = trixel(pixel).unwrap();
            let middle = UnitVector3d::new(a.x + b.x + c.x, a.y + b.y + c.y, a.z + b.z + c.z).unwrap();
            assert_eq!(index(middle, 4), Ok(pixel));
            assert!([a, b, c].iter().all(|corner| index(*corner, 24).is_ok()));
        }
    }

    #[test]
    fn the_whole_sphere_is_one_range() {
        let all = Region::Circle(crate::Circle::FULL);
        assert_eq!(envelope(&all, 10), Ok(vec![universe(10).unwrap()]));
        assert_eq!(envelope(&Region::Union(Vec::new()), 10), Ok(Vec::new()));
    }
}
