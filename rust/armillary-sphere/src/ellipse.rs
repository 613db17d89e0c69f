//! Ellipses.

use crate::{Circle, UnitVector3d};
use std::f64::consts::{FRAC_PI_2, PI};

/// Radians by which the circle around an ellipse is wider than its long half-axis, as in `lsst.sphgeom`.
const BOUNDING_MARGIN: f64 = 3e-8;

/// Directions whose angles to two foci add up to no more than twice the first half-axis.
///
/// Made only from stored bytes; relations treat an ellipse as the circle around it, and so are sure only of
/// disjointness and of being within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ellipse {
    numbers: [f64; Self::NUMBERS],
}

impl Ellipse {
    /// Three axes of three components (the third is the center), α-90°, β-90°, γ, and the tangents of the first two.
    pub(crate) const NUMBERS: usize = 14;

    pub(crate) const fn from_numbers(numbers: [f64; Self::NUMBERS]) -> Self {
        Self { numbers }
    }

    pub(crate) const fn numbers(&self) -> &[f64; Self::NUMBERS] {
        &self.numbers
    }

    /// The middle.
    #[must_use]
    pub const fn center(&self) -> UnitVector3d {
        UnitVector3d::from_normalized(self.numbers[6], self.numbers[7], self.numbers[8])
    }

    /// The half-axis along the line of the foci, in radians.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        self.numbers[9] + FRAC_PI_2
    }

    /// The half-axis across the line of the foci, in radians.
    #[must_use]
    pub fn beta(&self) -> f64 {
        self.numbers[10] + FRAC_PI_2
    }

    /// Half of the angle between the foci, in radians.
    #[must_use]
    pub const fn gamma(&self) -> f64 {
        self.numbers[11]
    }

    /// Whether there is no point in the ellipse.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.alpha() < self.gamma()
    }

    /// Whether the ellipse is the whole sphere.
    #[must_use]
    pub fn is_full(&self) -> bool {
        PI - self.alpha() <= self.gamma()
    }

    /// Whether the direction is in the ellipse or on its edge.
    #[must_use]
    pub fn contains(&self, direction: UnitVector3d) -> bool {
        if self.is_full() || self.is_empty() {
            return self.is_full();
        }
        let center = self.center().components();
        let (sine, cosine) = self.gamma().sin_cos();
        let focus = |sine: f64| {
            let [x, y, z] = [0, 1, 2].map(|axis| center[axis] * cosine + self.numbers[axis] * sine);
            UnitVector3d::from_normalized(x, y, z)
        };
        direction.angle_to(focus(sine)) + direction.angle_to(focus(-sine)) <= 2.0 * self.alpha()
    }

    /// A circle that holds the ellipse.
    ///
    /// Rounding can make γ greater than α where both are tiny, and so the ellipse empty; the circle never is for that.
    #[must_use]
    pub fn bounding_circle(&self) -> Circle {
        Circle::from_center_angle(self.center(), self.alpha().max(self.beta()) + BOUNDING_MARGIN)
    }
}
