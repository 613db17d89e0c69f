//! Sets of pixels of one pixelisation of the sky.

use crate::GraphError;
use armillary_dimensions::{DimensionGroup, ElementIndex, ElementKind, Universe};
use armillary_sphere::{Circle, ConvexPolygon, Region, htm};
use std::ops::Range;

/// No point of a healpix pixel is farther from its center, in radians times the number of pixels along a side.
const LARGEST_RADIUS: f64 = 1.2;

/// A way to divide the sky into pixels at one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pixelization {
    pub(crate) dimension: ElementIndex,
    system: System,
    level: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    Htm,
    Healpix,
}

impl Pixelization {
    /// The pixelisation that a dimension stands for, if it is one.
    pub(crate) fn of(universe: &Universe, dimension: ElementIndex) -> Option<Self> {
        let ElementKind::SkyPix { system, level } = &universe.get(dimension).kind else { return None };
        let system = match system.as_str() {
            "htm" => System::Htm,
            "healpix" => System::Healpix,
            _ => return None,
        };
        Some(Self { dimension, system, level: u32::from(*level) })
    }

    /// The pixelisation among the dimensions of a group.
    pub(crate) fn of_group(universe: &Universe, group: DimensionGroup) -> Option<Self> {
        group.iter().find_map(|dimension| Self::of(universe, dimension))
    }

    pub(crate) fn same_system(self, other: Self) -> bool {
        self.system == other.system
    }

    /// All pixels that may touch a region.
    pub(crate) fn envelope(self, region: &Region) -> Result<PixelSet, GraphError> {
        let ranges = match self.system {
            System::Htm => htm::envelope(region, self.level),
            System::Healpix => armillary_sphere::healpix::envelope(region, self.level),
        };
        let wrong = |error| GraphError::Build { reason: format!("the pixels of a region cannot be found: {error}") };
        Ok(PixelSet::new(ranges.map_err(wrong)?))
    }

    /// The pixels of another level of the same system that hold a pixel or lie in it; otherwise those that touch it.
    pub(crate) fn convert(self, pixel: u64, other: Self) -> Result<PixelSet, GraphError> {
        if !self.same_system(other) {
            return match self.system {
                System::Htm => {
                    let wrong = |error| GraphError::Build { reason: format!("pixel {pixel}: {error}") };
                    let corners = htm::trixel(pixel).map_err(wrong)?;
                    other.envelope(&Region::from(ConvexPolygon::convex_hull(&corners).map_err(wrong)?))
                }
                System::Healpix => {
                    // No great circles bound such a pixel; a circle that holds it admits neighbours but loses nothing.
                    let center = armillary_sphere::healpix::center(pixel, self.level);
                    let center =
                        center.map_err(|error| GraphError::Build { reason: format!("pixel {pixel}: {error}") })?;
                    let radius = LARGEST_RADIUS / f64::from(1_u32 << self.level);
                    let circle = Circle::from_center_angle(center, radius.min(std::f64::consts::PI));
                    other.envelope(&Region::from(circle))
                }
            };
        }
        let range = if other.level >= self.level {
            let shift = 2 * (other.level - self.level);
            pixel << shift..(pixel + 1) << shift
        } else {
            let parent = pixel >> (2 * (self.level - other.level));
            parent..parent + 1
        };
        Ok(PixelSet(vec![range]))
    }
}

/// Pixels as sorted ranges that do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PixelSet(Vec<Range<u64>>);

impl PixelSet {
    pub(crate) fn new(mut ranges: Vec<Range<u64>>) -> Self {
        ranges.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
        for range in ranges.into_iter().filter(|range| range.start < range.end) {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    pub(crate) fn ranges(&self) -> &[Range<u64>] {
        &self.0
    }

    pub(crate) fn contains(&self, pixel: u64) -> bool {
        let after = self.0.partition_point(|range| range.start <= pixel);
        after > 0 && pixel < self.0[after - 1].end
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().cloned().flatten()
    }

    pub(crate) fn signed(&self) -> Vec<i64> {
        self.iter().filter_map(|pixel| i64::try_from(pixel).ok()).collect()
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        Self::new(self.0.iter().chain(&other.0).cloned().collect())
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let mut common = Vec::new();
        let (mut i, mut j) = (0, 0);
        while let (Some(a), Some(b)) = (self.0.get(i), other.0.get(j)) {
            let (start, end) = (a.start.max(b.start), a.end.min(b.end));
            if start < end {
                common.push(start..end);
            }
            if a.end < b.end {
                i += 1;
            } else {
                j += 1;
            }
        }
        Self(common)
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "sets of pixels are lists of ranges")]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn sets_of_ranges_behave_as_sets() {
        let mut seed = 7_u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 58
        };
        for _ in 0..500 {
            let mut make = || -> Vec<Range<u64>> {
                (0..4)
                    .map(|_| {
                        let start = random();
                        start..start + random() % 9
                    })
                    .collect()
            };
            let (a, b) = (make(), make());
            let flat = |ranges: &[Range<u64>]| ranges.iter().cloned().flatten().collect::<BTreeSet<u64>>();
            let (x, y) = (flat(&a), flat(&b));
            let (a, b) = (PixelSet::new(a), PixelSet::new(b));
            assert_eq!(a.union(&b).iter().collect::<Vec<_>>(), x.union(&y).copied().collect::<Vec<_>>());
            assert_eq!(a.intersection(&b).iter().collect::<Vec<_>>(), x.intersection(&y).copied().collect::<Vec<_>>());
            assert_eq!(a.len(), x.len() as u64);
        }
    }

    #[test]
    fn a_pixel_lies_within_what_it_becomes_in_another_system() {
        let universe = Universe::default_universe();
        let pixels = |name| Pixelization::of(&universe, universe.find(name).unwrap().index).unwrap();
        let (healpix, htm) = (pixels("healpix3"), pixels("htm5"));
        for pixel in (0..768).step_by(31) {
            let cover = healpix.convert(pixel, htm).unwrap();
            // Every pixel of a finer level of the same system has its center inside.
            for child in pixel * 16..(pixel + 1) * 16 {
                let center = armillary_sphere::healpix::center(child, 5).unwrap();
                assert!(cover.contains(htm::index(center, 5).unwrap()), "{pixel} {child}");
            }
            assert!(cover.len() < 8192, "not the whole sky");
        }
    }

    #[test]
    fn levels_of_one_system_nest() {
        let universe = Universe::default_universe();
        let pixels = |name| Pixelization::of(&universe, universe.find(name).unwrap().index).unwrap();
        let (htm7, htm9, htm6) = (pixels("htm7"), pixels("htm9"), pixels("htm6"));
        assert_eq!(htm7.convert(133_536, htm9).unwrap().ranges(), [133_536 * 16..133_537 * 16]);
        assert_eq!(htm7.convert(133_537, htm6).unwrap().ranges(), [33_384..33_385]);
        assert_eq!(htm7.convert(133_537, htm7).unwrap().ranges(), [133_537..133_538]);
    }
}
