//! Regions made ready for many comparisons.

use crate::polygon::{Edges, EdgesRef};
use crate::{Circle, LonLatBox, Region, Relationship, UnitVector3d};
use std::sync::OnceLock;

/// A region with what comparisons need computed once: the normals of sides, a circle around each polygon.
///
/// ```
/// use armillary_sphere::{PreparedRegion, Region};
///
/// let patches = ["RANGE 0 1 0 1", "RANGE 1.5 2 0 1"].map(|pos| Region::from_ivoa_pos(pos).unwrap().prepare());
/// let visit = Region::from_ivoa_pos("CIRCLE 0.5 0.5 0.6").unwrap().prepare();
/// assert_eq!(patches.each_ref().map(|patch| patch.overlaps(&visit)), [true, false]);
/// ```
#[derive(Clone, Debug)]
pub struct PreparedRegion {
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Shape {
    Box(LonLatBox),
    Circle(Circle),
    /// The ellipse itself for points; the circle around it for everything else.
    Ellipse(crate::Ellipse, Circle),
    Polygon(Polygon),
    Union(Vec<PreparedRegion>),
    Intersection(Vec<PreparedRegion>),
}

#[derive(Clone, Debug)]
struct Polygon {
    edges: Edges,
    bounding_box: OnceLock<LonLatBox>,
}

impl Polygon {
    fn bounding_box(&self) -> &LonLatBox {
        self.bounding_box.get_or_init(|| self.edges.as_ref().bounding_box())
    }
}

const OUTSIDE_OR_WITHIN: Relationship = Relationship::DISJOINT.or(Relationship::WITHIN);
const OUTSIDE_OR_CONTAINS: Relationship = Relationship::DISJOINT.or(Relationship::CONTAINS);

impl PreparedRegion {
    /// Prepares a region.
    #[must_use]
    pub fn new(region: &Region) -> Self {
        let prepare_all = |regions: &[Region]| regions.iter().map(Self::new).collect();
        let shape = match region {
            Region::Box(shape) => Shape::Box(*shape),
            Region::Circle(shape) => Shape::Circle(*shape),
            Region::Ellipse(shape) => Shape::Ellipse(*shape, shape.bounding_circle()),
            Region::ConvexPolygon(shape) => {
                Shape::Polygon(Polygon { edges: Edges::of(shape.vertices()), bounding_box: OnceLock::new() })
            }
            Region::Union(regions) => Shape::Union(prepare_all(regions)),
            Region::Intersection(regions) => Shape::Intersection(prepare_all(regions)),
        };
        Self { shape }
    }

    /// How this region and another lie to each other.
    ///
    /// Exact up to rounding for boxes, circles and polygons among themselves but for a polygon and a box, where the
    /// polygon's bounding box speaks for it, and for ellipses, where the circle around does.
    #[must_use]
    pub fn relate(&self, other: &Self) -> Relationship {
        match (&self.shape, &other.shape) {
            (Shape::Union(parts), _) => union_of(parts.iter().map(|part| part.relate(other))),
            (Shape::Intersection(parts), _) => intersection_of(parts.iter().map(|part| part.relate(other))),
            (_, Shape::Union(_) | Shape::Intersection(_)) => other.relate(self).inverse(),
            (Shape::Ellipse(_, around), _) => other.relate_circle(around).inverse() & OUTSIDE_OR_WITHIN,
            (_, Shape::Ellipse(_, around)) => self.relate_circle(around) & OUTSIDE_OR_CONTAINS,
            (Shape::Polygon(ours), _) => other.relate_polygon(ours.edges.as_ref(), || *ours.bounding_box()).inverse(),
            (_, Shape::Polygon(theirs)) => self.relate_polygon(theirs.edges.as_ref(), || *theirs.bounding_box()),
            (_, Shape::Circle(theirs)) => self.relate_circle(theirs),
            (Shape::Box(ours), Shape::Box(theirs)) => ours.relate_box(theirs),
            (Shape::Circle(ours), Shape::Box(theirs)) => ours.relate_box(theirs),
        }
    }

    fn relate_circle(&self, other: &Circle) -> Relationship {
        match &self.shape {
            Shape::Box(ours) => other.relate_box(ours).inverse(),
            Shape::Circle(ours) => ours.relate_circle(other),
            Shape::Ellipse(_, around) => around.relate_circle(other) & OUTSIDE_OR_WITHIN,
            Shape::Polygon(ours) => ours.edges.as_ref().relate_circle(other),
            Shape::Union(parts) => union_of(parts.iter().map(|part| part.relate_circle(other))),
            Shape::Intersection(parts) => intersection_of(parts.iter().map(|part| part.relate_circle(other))),
        }
    }

    /// The relation to a polygon whose bounding box is computed only if it matters.
    pub(crate) fn relate_polygon(
        &self,
        other: EdgesRef<'_>,
        bounding_box: impl Fn() -> LonLatBox + Copy,
    ) -> Relationship {
        match &self.shape {
            Shape::Box(ours) => ours.relate_box(&bounding_box()) & OUTSIDE_OR_CONTAINS,
            Shape::Circle(ours) => other.relate_circle(ours).inverse(),
            Shape::Ellipse(_, around) => other.relate_circle(around).inverse() & OUTSIDE_OR_WITHIN,
            Shape::Polygon(ours) => ours.edges.as_ref().relate_polygon(&other),
            Shape::Union(parts) => union_of(parts.iter().map(|part| part.relate_polygon(other, bounding_box))),
            Shape::Intersection(parts) => {
                intersection_of(parts.iter().map(|part| part.relate_polygon(other, bounding_box)))
            }
        }
    }

    /// Whether the regions may have a point in common: the test of a spatial join.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.relate(other).is_disjoint()
    }

    /// Whether the direction is in the region or on its edge.
    #[must_use]
    pub fn contains(&self, direction: UnitVector3d) -> bool {
        match &self.shape {
            Shape::Box(shape) => shape.contains(direction),
            Shape::Circle(shape) => shape.contains(direction),
            Shape::Ellipse(shape, _) => shape.contains(direction),
            Shape::Polygon(shape) => shape.edges.as_ref().contains(direction),
            Shape::Union(parts) => parts.iter().any(|part| part.contains(direction)),
            Shape::Intersection(parts) => parts.iter().all(|part| part.contains(direction)),
        }
    }

    /// The parts, if the region is a union.
    pub(crate) fn union_parts(&self) -> Option<&[Self]> {
        match &self.shape {
            Shape::Union(parts) => Some(parts),
            Shape::Box(_) | Shape::Circle(_) | Shape::Ellipse(..) | Shape::Polygon(_) | Shape::Intersection(_) => None,
        }
    }

    /// The parts, if the region is an intersection.
    pub(crate) fn intersection_parts(&self) -> Option<&[Self]> {
        match &self.shape {
            Shape::Intersection(parts) => Some(parts),
            Shape::Box(_) | Shape::Circle(_) | Shape::Ellipse(..) | Shape::Polygon(_) | Shape::Union(_) => None,
        }
    }

    /// The sides, if the region is a polygon.
    pub(crate) fn as_polygon(&self) -> Option<EdgesRef<'_>> {
        match &self.shape {
            Shape::Polygon(polygon) => Some(polygon.edges.as_ref()),
            Shape::Box(_) | Shape::Circle(_) | Shape::Ellipse(..) | Shape::Union(_) | Shape::Intersection(_) => None,
        }
    }
}

/// A union contains what a part contains; it is disjoint from or within what every part is. Without parts: disjoint.
fn union_of(relations: impl Iterator<Item = Relationship>) -> Relationship {
    relations
        .reduce(|a, b| (a & b & OUTSIDE_OR_WITHIN) | ((a | b) & Relationship::CONTAINS))
        .unwrap_or(Relationship::DISJOINT)
}

/// An intersection contains what every part contains; it is disjoint from or within what any part is. Without parts it
/// is the whole sphere.
fn intersection_of(relations: impl Iterator<Item = Relationship>) -> Relationship {
    relations
        .reduce(|a, b| ((a | b) & OUTSIDE_OR_WITHIN) | (a & b & Relationship::CONTAINS))
        .unwrap_or(Relationship::CONTAINS)
}
