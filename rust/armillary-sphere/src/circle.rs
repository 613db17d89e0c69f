//! Circles, also called caps or cones.

use crate::{LonLatBox, Relationship, UnitVector3d};
use std::f64::consts::PI;

/// How far the angle of a chord may be off, in radians, before two circles count as touching: `lsst.sphgeom` compares
/// angles that it got from arc sines, and allows for four such errors.
const ANGLE_MARGIN: f64 = 6e-8;

/// The same for squared chords, against polygons and boxes.
pub(crate) const CHORD_MARGIN: f64 = 2.5e-15;

/// Directions within an angle of a center.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    center: UnitVector3d,
    squared_chord: f64,
    angle: f64,
}

impl Circle {
    /// The circle without a point.
    pub const EMPTY: Self =
        Self { center: UnitVector3d::from_normalized(0.0, 0.0, 1.0), squared_chord: -1.0, angle: -1.0 };
    /// The whole sphere.
    pub const FULL: Self = Self { center: UnitVector3d::from_normalized(0.0, 0.0, 1.0), squared_chord: 4.0, angle: PI };

    /// Directions within `opening_angle` radians of `center`: the angle is the radius, not the diameter.
    ///
    /// ```
    /// use armillary_sphere::{Circle, UnitVector3d};
    ///
    /// let circle = Circle::from_center_angle(UnitVector3d::from_lon_lat_degrees(30.0, 0.0), 1_f64.to_radians());
    /// assert!(circle.contains(UnitVector3d::from_lon_lat_degrees(30.0, 0.99)));
    /// assert!(!circle.contains(UnitVector3d::from_lon_lat_degrees(30.0, 1.01)));
    /// ```
    #[must_use]
    pub fn from_center_angle(center: UnitVector3d, opening_angle: f64) -> Self {
        Self { center, squared_chord: squared_chord_for(opening_angle), angle: opening_angle }
    }

    /// A circle whose parts were stored.
    pub(crate) const fn from_parts(center: UnitVector3d, squared_chord: f64, angle: f64) -> Self {
        Self { center, squared_chord, angle }
    }

    /// The middle.
    #[must_use]
    pub const fn center(&self) -> UnitVector3d {
        self.center
    }

    /// The squared length of the straight line from the center to the edge: negative if empty, 4 for the sphere.
    #[must_use]
    pub const fn squared_chord_length(&self) -> f64 {
        self.squared_chord
    }

    /// The angle from the center to the edge, in radians: negative if empty.
    #[must_use]
    pub const fn opening_angle(&self) -> f64 {
        self.angle
    }

    /// Whether there is no point in the circle.
    #[must_use]
    #[allow(clippy::neg_cmp_op_on_partial_ord)] // NaN is empty
    pub fn is_empty(&self) -> bool {
        !(self.squared_chord >= 0.0)
    }

    /// Whether the circle is the whole sphere.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.squared_chord >= 4.0
    }

    /// Whether the direction is in the circle or on its edge.
    #[must_use]
    pub fn contains(&self, direction: UnitVector3d) -> bool {
        self.is_full() || (!self.is_empty() && self.center.squared_chord(direction) <= self.squared_chord)
    }

    /// The smallest circle that holds both, a hair wider.
    #[must_use]
    pub fn expanded_to(&self, other: &Self) -> Self {
        if self.is_empty() || other.is_full() {
            return *other;
        }
        if other.is_empty() || self.is_full() {
            return *self;
        }
        let apart = self.center.angle_to(other.center);
        if apart + other.angle <= self.angle {
            return *self;
        }
        if apart + self.angle <= other.angle {
            return *other;
        }
        let angle = (self.angle + other.angle + apart) / 2.0 + 1e-9;
        // Between opposite centers there is no one way along which to move.
        if angle >= PI || apart > PI - 1e-6 {
            return Self::FULL;
        }
        // From our center towards the other one, until the new circle touches the far side of ours.
        let along = ((angle - self.angle) / apart).clamp(0.0, 1.0) * apart;
        let (from, to) = ((apart - along).sin(), along.sin());
        let mix = |a: f64, b: f64| a * from + b * to;
        let (a, b) = (self.center, other.center);
        let center = UnitVector3d::new(mix(a.x, b.x), mix(a.y, b.y), mix(a.z, b.z));
        center.map_or(Self::FULL, |center| Self::from_center_angle(center, angle))
    }

    pub(crate) fn relate_circle(&self, other: &Self) -> Relationship {
        if let Some(known) = self.trivial(other.is_empty(), other.is_full()) {
            return known;
        }
        if self.center == other.center && self.squared_chord == other.squared_chord {
            return Relationship::CONTAINS | Relationship::WITHIN;
        }
        let apart = self.center.angle_to(other.center);
        if apart > self.angle + other.angle + ANGLE_MARGIN {
            Relationship::DISJOINT
        } else if apart + other.angle + ANGLE_MARGIN <= self.angle {
            Relationship::CONTAINS
        } else if apart + self.angle + ANGLE_MARGIN <= other.angle {
            Relationship::WITHIN
        } else {
            Relationship::INTERSECTS
        }
    }

    pub(crate) fn relate_box(&self, other: &LonLatBox) -> Relationship {
        if let Some(known) = self.trivial(other.is_empty(), other.is_full()) {
            return known;
        }
        if other.squared_chord_to(self.center) > self.squared_chord + CHORD_MARGIN {
            return Relationship::DISJOINT;
        }
        let contains = other.farthest_squared_chord(self.center) <= self.squared_chord - CHORD_MARGIN;
        let within =
            other.contains(self.center) && other.squared_chord_to_edge(self.center) > self.squared_chord + CHORD_MARGIN;
        Relationship::when(contains, Relationship::CONTAINS) | Relationship::when(within, Relationship::WITHIN)
    }

    /// The relation to a region of which it is known whether it is empty or full, if that or our own state decides.
    pub(crate) fn trivial(&self, other_is_empty: bool, other_is_full: bool) -> Option<Relationship> {
        Relationship::of_trivial(self.is_empty(), other_is_empty).or_else(|| {
            (self.is_full() || other_is_full).then(|| {
                Relationship::when(self.is_full(), Relationship::CONTAINS)
                    | Relationship::when(other_is_full, Relationship::WITHIN)
            })
        })
    }
}

impl Relationship {
    /// What follows from one of two regions being empty: it is disjoint from and within everything.
    pub(crate) fn of_trivial(first_is_empty: bool, second_is_empty: bool) -> Option<Self> {
        (first_is_empty || second_is_empty).then(|| {
            Self::DISJOINT | Self::when(second_is_empty, Self::CONTAINS) | Self::when(first_is_empty, Self::WITHIN)
        })
    }
}

/// The squared chord of an opening angle in radians: -1 for negative angles, at most 4.
fn squared_chord_for(angle: f64) -> f64 {
    if angle < 0.0 {
        -1.0
    } else if angle >= PI {
        4.0
    } else {
        let half = (angle * 0.5).sin();
        4.0 * half * half
    }
}
