//! Intervals of longitude, which may run through 0, and of latitude.

use crate::vector::{FULL_TURN, normalized};
use crate::{Relationship, SphereError};
use std::f64::consts::FRAC_PI_2;

/// Longitudes from one to another, eastwards; `from > to` runs through 0. Radians within 0 and 2π.
#[derive(Clone, Copy, Debug)]
pub struct LongitudeInterval {
    from: f64,
    to: f64,
}

impl LongitudeInterval {
    /// No longitude.
    pub const EMPTY: Self = Self { from: f64::NAN, to: f64::NAN };
    /// Every longitude.
    pub const FULL: Self = Self { from: 0.0, to: FULL_TURN };

    /// Longitudes from `from` to `to`, in radians; a turn or more is every longitude, NaN is none.
    ///
    /// ```
    /// use armillary_sphere::LongitudeInterval;
    ///
    /// let through_zero = LongitudeInterval::new(-0.1, 0.1)?;
    /// assert!(through_zero.contains(6.2) && !through_zero.contains(3.0));
    /// # Ok::<(), armillary_sphere::SphereError>(())
    /// ```
    pub fn new(from: f64, to: f64) -> Result<Self, SphereError> {
        let normal = 0.0..=FULL_TURN;
        if from.is_nan() || to.is_nan() {
            Ok(Self::EMPTY)
        } else if normal.contains(&from) && normal.contains(&to) {
            Ok(Self { from, to })
        } else if from > to {
            Err(SphereError::Longitudes { from, to })
        } else if to - from >= FULL_TURN {
            Ok(Self::FULL)
        } else {
            Ok(Self { from: normalized(from), to: normalized(to) })
        }
    }

    /// Longitudes within `half_width` of `center`, in radians.
    pub(crate) fn around(center: f64, half_width: f64) -> Self {
        let (from, to) = (center - half_width, center + half_width);
        if from.is_nan() || to.is_nan() || half_width < 0.0 {
            Self::EMPTY
        } else if to - from >= FULL_TURN {
            Self::FULL
        } else {
            Self { from: normalized(from), to: normalized(to) }
        }
    }

    /// First and last longitude, in radians; NaN when empty.
    #[must_use]
    pub const fn ends(self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// Whether no longitude is in the interval.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.from.is_nan() || self.to.is_nan()
    }

    /// Whether every longitude is in the interval.
    #[must_use]
    pub fn is_full(self) -> bool {
        self.from == 0.0 && self.to == FULL_TURN
    }

    /// Whether a longitude within 0 and 2π is in the interval.
    #[must_use]
    pub fn contains(self, lon: f64) -> bool {
        if self.wraps() { lon >= self.from || lon <= self.to } else { lon >= self.from && lon <= self.to }
    }

    fn wraps(self) -> bool {
        self.from > self.to
    }

    fn contains_interval(self, other: Self) -> bool {
        match (self.wraps(), other.wraps()) {
            (false, true) => self.is_full(),
            (true, false) => other.from >= self.from || other.to <= self.to,
            (false, false) | (true, true) => other.from >= self.from && other.to <= self.to,
        }
    }

    /// How two intervals, neither of them empty, lie to each other.
    pub(crate) fn relate(self, other: Self) -> Relationship {
        let meet = match (self.wraps(), other.wraps()) {
            (true, true) => true,
            (true, false) | (false, true) => other.from <= self.to || other.to >= self.from,
            (false, false) => self.from <= other.to && other.from <= self.to,
        };
        Relationship::when(!meet, Relationship::DISJOINT)
            | Relationship::when(self.contains_interval(other), Relationship::CONTAINS)
            | Relationship::when(other.contains_interval(self), Relationship::WITHIN)
    }

    /// The smallest interval that holds both.
    ///
    /// An interval that runs through 0 and holds one that does not becomes the full circle: `lsst.sphgeom` answers so,
    /// and the overlaps it stores for polygons at longitude 0 follow from that.
    pub(crate) fn expanded_to(self, other: Self) -> Self {
        if other.is_empty() {
            return self;
        }
        if self.is_empty() {
            return other;
        }
        match (self.contains(other.from), self.contains(other.to)) {
            (true, true) if self.wraps() != other.wraps() => Self::FULL,
            (true, true) => self,
            (true, false) => Self { from: self.from, to: other.to },
            (false, true) => Self { from: other.from, to: self.to },
            (false, false) if self.is_empty() || other.contains(self.from) => other,
            (false, false) => {
                let before = normalized(self.from - other.to);
                let after = normalized(other.from - self.to);
                if before < after {
                    Self { from: other.from, to: self.to }
                } else {
                    Self { from: self.from, to: other.to }
                }
            }
        }
    }
}

impl PartialEq for LongitudeInterval {
    fn eq(&self, other: &Self) -> bool {
        (self.is_empty() && other.is_empty()) || (self.from == other.from && self.to == other.to)
    }
}

/// Latitudes from one to another, in radians within ±π/2; `from > to` is empty.
#[derive(Clone, Copy, Debug)]
pub struct LatitudeInterval {
    from: f64,
    to: f64,
}

impl LatitudeInterval {
    /// No latitude.
    pub const EMPTY: Self = Self { from: 1.0, to: 0.0 };
    /// Every latitude.
    pub const FULL: Self = Self { from: -FRAC_PI_2, to: FRAC_PI_2 };

    /// Latitudes from `from` to `to`, in radians, cut at the poles.
    #[must_use]
    pub fn new(from: f64, to: f64) -> Self {
        Self {
            from: if from < -FRAC_PI_2 { -FRAC_PI_2 } else { from },
            to: if to > FRAC_PI_2 { FRAC_PI_2 } else { to },
        }
    }

    /// First and last latitude, in radians.
    #[must_use]
    pub const fn ends(self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// Whether no latitude is in the interval.
    #[must_use]
    #[allow(clippy::neg_cmp_op_on_partial_ord)] // a NaN end makes the interval empty
    pub fn is_empty(self) -> bool {
        !(self.from <= self.to)
    }

    /// Whether every latitude is in the interval.
    #[must_use]
    pub fn is_full(self) -> bool {
        self.from <= -FRAC_PI_2 && self.to >= FRAC_PI_2
    }

    /// Whether the latitude is in the interval.
    #[must_use]
    pub fn contains(self, lat: f64) -> bool {
        lat >= self.from && lat <= self.to
    }

    /// How two intervals, neither of them empty, lie to each other.
    pub(crate) fn relate(self, other: Self) -> Relationship {
        let holds = |a: Self, b: Self| a.from <= b.from && b.to <= a.to;
        Relationship::when(self.from > other.to || self.to < other.from, Relationship::DISJOINT)
            | Relationship::when(holds(self, other), Relationship::CONTAINS)
            | Relationship::when(holds(other, self), Relationship::WITHIN)
    }
}

impl PartialEq for LatitudeInterval {
    fn eq(&self, other: &Self) -> bool {
        (self.is_empty() && other.is_empty()) || (self.from == other.from && self.to == other.to)
    }
}
