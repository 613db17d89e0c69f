//! Walking down the mesh with a region.

use super::{ROOTS, Trixel, check, children};
use crate::polygon::{Cap, Edge, EdgesRef};
use crate::ranges::Ranges;
use crate::{PreparedRegion, Region, SphereError};
use std::ops::Range;

/// Triangles that a mesh remembers: some 16 MiB.
const ROOM: usize = 1 << 16;

/// The mesh, which remembers triangles it was walked through: regions beside one another meet the same ones.
///
/// ```
/// use armillary_sphere::{Region, htm};
///
/// let mut mesh = htm::Mesh::default();
/// for position in ["CIRCLE 10 -5.5 0.2", "CIRCLE 10.2 -5.5 0.2"] {
///     let region = Region::from_ivoa_pos(position)?;
///     assert_eq!(mesh.envelope(&region, 7)?, htm::envelope(&region, 7)?);
/// }
/// # Ok::<(), armillary_sphere::SphereError>(())
/// ```
#[derive(Debug)]
pub struct Mesh {
    roots: [Triangle; 8],
    /// How many more triangles are remembered.
    room: usize,
}

impl Default for Mesh {
    fn default() -> Self {
        Self::with_room(ROOM)
    }
}

impl Mesh {
    pub(super) fn with_room(room: usize) -> Self {
        Self { roots: ROOTS.map(Triangle::new), room }
    }

    /// [`envelope`](super::envelope) of one of many regions.
    pub fn envelope(&mut self, region: &Region, level: u32) -> Result<Vec<Range<u64>>, SphereError> {
        self.envelope_of(&region.prepare(), level)
    }

    pub(super) fn envelope_of(&mut self, region: &PreparedRegion, level: u32) -> Result<Vec<Range<u64>>, SphereError> {
        check(level)?;
        let mut walk = Walk { room: &mut self.room, ranges: Ranges::default() };
        walk.through(&Remaining::of(region), &mut self.roots, 8, level);
        Ok(walk.ranges.into_vec())
    }
}

#[derive(Debug)]
struct Triangle {
    edges: [Edge; 3],
    cap: Cap,
    /// The four triangles that it is cut in, if they are remembered.
    inner: Option<Box<[Self; 4]>>,
}

impl Triangle {
    fn new(corners: Trixel) -> Self {
        let [a, b, c] = corners;
        let edges = [Edge::between(a, b), Edge::between(b, c), Edge::between(c, a)];
        Self { edges, cap: Cap::around(&corners), inner: None }
    }

    fn cut(&self) -> [Self; 4] {
        children(self.edges.map(|edge| edge.start)).map(Self::new)
    }

    fn as_ref(&self) -> EdgesRef<'_> {
        EdgesRef::new(&self.edges, self.cap)
    }
}

struct Walk<'m> {
    room: &'m mut usize,
    ranges: Ranges,
}

impl Walk<'_> {
    /// Adds the pixels within triangles that are beside one another, each with `levels` more levels below it.
    fn through(&mut self, region: &Remaining<'_>, triangles: &mut [Triangle], first: u64, levels: u32) {
        if let Some(at) = triangles.iter().position(|triangle| region.is_inside(triangle)) {
            // It touches none of the others, and is too small to contain this one.
            return self.within(region, &mut triangles[at], first + at as u64, levels);
        }
        for (index, triangle) in (first..).zip(triangles) {
            match region.within(triangle) {
                None => {}
                Some((true, _)) => self.ranges.push(index << (2 * levels), (index + 1) << (2 * levels)),
                Some((false, remaining)) => self.within(&remaining, triangle, index, levels),
            }
        }
    }

    /// Adds the pixels within a triangle that the region is not apart from.
    fn within(&mut self, region: &Remaining<'_>, triangle: &mut Triangle, index: u64, levels: u32) {
        if levels == 0 {
            return self.ranges.push(index, index + 1);
        }
        if triangle.inner.is_none() && *self.room >= 4 {
            *self.room -= 4;
            triangle.inner = Some(Box::new(triangle.cut()));
        }
        match &mut triangle.inner {
            Some(inner) => self.through(region, inner.as_mut_slice(), index << 2, levels - 1),
            None => self.through(region, &mut triangle.cut(), index << 2, levels - 1),
        }
    }
}

/// What remains of a region within a triangle.
///
/// A part that is apart from a triangle must not be asked again about smaller ones below it, because a triangle's
/// bounding box may be wider than that of the one around it.
enum Remaining<'a> {
    /// A simple region, and a cap around it if it is a polygon: most triangles on the way are told apart by that.
    Whole(&'a PreparedRegion, Option<Cap>),
    Union(Vec<Self>),
    Intersection(Vec<Self>),
}

impl<'a> Remaining<'a> {
    fn of(region: &'a PreparedRegion) -> Self {
        if let Some(parts) = region.union_parts() {
            Self::Union(parts.iter().map(Self::of).collect())
        } else if let Some(parts) = region.intersection_parts() {
            Self::Intersection(parts.iter().map(Self::of).collect())
        } else {
            Self::Whole(region, region.as_polygon().map(|polygon| polygon.cap()))
        }
    }

    /// Whether it is known, by the cap, to be inside a triangle and clear of its sides.
    fn is_inside(&self, triangle: &Triangle) -> bool {
        match self {
            Self::Whole(_, Some(cap)) => triangle.edges.iter().all(|edge| cap.is_left_of(edge)),
            Self::Whole(_, None) | Self::Union(_) | Self::Intersection(_) => false,
        }
    }

    /// Whether it contains a triangle, and what remains of it there; none if it is apart from it.
    fn within(&self, triangle: &Triangle) -> Option<(bool, Self)> {
        match self {
            Self::Whole(region, cap) => {
                let sides = triangle.as_ref();
                if let Some(cap) = cap {
                    if triangle.edges.iter().any(|edge| cap.is_right_of(edge)) {
                        return None;
                    }
                    if let Some(polygon) = region.as_polygon()
                        && triangle.edges.iter().any(|edge| !cap.holds(edge.start))
                    {
                        return polygon.touches(&sides).then_some((false, Self::Whole(region, Some(*cap))));
                    }
                }
                let relation = region.relate_polygon(sides, || sides.bounding_box());
                (!relation.is_disjoint()).then(|| (relation.is_containing(), Self::Whole(region, *cap)))
            }
            Self::Union(parts) => {
                let found: Vec<_> = parts.iter().filter_map(|part| part.within(triangle)).collect();
                let is_containing = found.iter().any(|(contains, _)| *contains);
                let remaining: Vec<_> = found.into_iter().map(|(_, part)| part).collect();
                (!remaining.is_empty()).then_some((is_containing, Self::Union(remaining)))
            }
            Self::Intersection(parts) => {
                let found: Vec<_> = parts.iter().map(|part| part.within(triangle)).collect::<Option<_>>()?;
                let is_containing = found.iter().all(|(contains, _)| *contains);
                Some((is_containing, Self::Intersection(found.into_iter().map(|(_, part)| part).collect())))
            }
        }
    }
}
