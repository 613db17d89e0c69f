//! A region of any type.

use crate::{Circle, ConvexPolygon, Ellipse, LonLatBox, PreparedRegion, Relationship, UnitVector3d};

/// A closed set of directions.
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// Between two longitudes and two latitudes.
    Box(LonLatBox),
    /// Within an angle of a center.
    Circle(Circle),
    /// Within a sum of angles of two foci.
    Ellipse(Ellipse),
    /// Within great circle arcs.
    ConvexPolygon(ConvexPolygon),
    /// In any of several regions, none of which is a union itself.
    Union(Vec<Region>),
    /// In all of several regions, none of which is an intersection itself.
    Intersection(Vec<Region>),
}

impl Region {
    /// The union of regions; unions among them are dissolved into their parts.
    #[must_use]
    pub fn union(regions: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = Vec::new();
        for region in regions {
            match region {
                Self::Union(inner) => parts.extend(inner),
                other => parts.push(other),
            }
        }
        Self::Union(parts)
    }

    /// The intersection of regions; intersections among them are dissolved into their parts.
    #[must_use]
    pub fn intersection(regions: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = Vec::new();
        for region in regions {
            match region {
                Self::Intersection(inner) => parts.extend(inner),
                other => parts.push(other),
            }
        }
        Self::Intersection(parts)
    }

    /// Makes the region ready for many comparisons.
    #[must_use]
    pub fn prepare(&self) -> PreparedRegion {
        PreparedRegion::new(self)
    }

    /// How this region and another lie to each other; see [`PreparedRegion::relate`] for many.
    #[must_use]
    pub fn relate(&self, other: &Self) -> Relationship {
        self.prepare().relate(&other.prepare())
    }

    /// Whether the regions may have a point in common: the test of a spatial join.
    ///
    /// ```
    /// use armillary_sphere::Region;
    ///
    /// let patch = Region::from_ivoa_pos("POLYGON 10 0 11 0 11 1 10 1")?;
    /// assert!(patch.overlaps(&Region::from_ivoa_pos("CIRCLE 9.9 0.5 0.2")?));
    /// assert!(!patch.overlaps(&Region::from_ivoa_pos("CIRCLE 9.9 0.5 0.05")?));
    /// # Ok::<(), armillary_sphere::SphereError>(())
    /// ```
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.relate(other).is_disjoint()
    }

    /// Whether the direction is in the region or on its edge.
    #[must_use]
    pub fn contains(&self, direction: UnitVector3d) -> bool {
        match self {
            Self::Box(shape) => shape.contains(direction),
            Self::Circle(shape) => shape.contains(direction),
            Self::Ellipse(shape) => shape.contains(direction),
            Self::ConvexPolygon(shape) => shape.contains(direction),
            Self::Union(parts) => parts.iter().any(|part| part.contains(direction)),
            Self::Intersection(parts) => parts.iter().all(|part| part.contains(direction)),
        }
    }

    /// A circle that holds the region.
    #[must_use]
    pub fn bounding_circle(&self) -> Circle {
        match self {
            Self::Box(shape) => shape.bounding_circle(),
            Self::Circle(shape) => *shape,
            Self::Ellipse(shape) => shape.bounding_circle(),
            Self::ConvexPolygon(shape) => shape.bounding_circle(),
            Self::Union(parts) => parts
                .iter()
                .map(Self::bounding_circle)
                .reduce(|first, second| first.expanded_to(&second))
                .unwrap_or(Circle::EMPTY),
            Self::Intersection(parts) => parts
                .iter()
                .map(Self::bounding_circle)
                .min_by(|first, second| first.opening_angle().total_cmp(&second.opening_angle()))
                .unwrap_or(Circle::FULL),
        }
    }

    /// The type's name as the peer has it.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Box(_) => "Box",
            Self::Circle(_) => "Circle",
            Self::Ellipse(_) => "Ellipse",
            Self::ConvexPolygon(_) => "ConvexPolygon",
            Self::Union(_) => "UnionRegion",
            Self::Intersection(_) => "IntersectionRegion",
        }
    }
}

impl From<LonLatBox> for Region {
    fn from(shape: LonLatBox) -> Self {
        Self::Box(shape)
    }
}

impl From<Circle> for Region {
    fn from(shape: Circle) -> Self {
        Self::Circle(shape)
    }
}

impl From<Ellipse> for Region {
    fn from(shape: Ellipse) -> Self {
        Self::Ellipse(shape)
    }
}

impl From<ConvexPolygon> for Region {
    fn from(shape: ConvexPolygon) -> Self {
        Self::ConvexPolygon(shape)
    }
}
