//! Directions.

use crate::SphereError;

/// A direction, as a vector of length one.
///
/// ```
/// use armillary_sphere::UnitVector3d;
///
/// let direction = UnitVector3d::new(3.0, 4.0, 0.0)?;
/// assert_eq!(direction, UnitVector3d::from_normalized(0.6, 0.8, 0.0));
/// assert!((direction.lon_lat().0.to_degrees() - 53.13).abs() < 0.01);
/// # Ok::<(), armillary_sphere::SphereError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitVector3d {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) z: f64,
}

impl UnitVector3d {
    /// The direction of (x, y, z), which may have any length but zero.
    pub fn new(x: f64, y: f64, z: f64) -> Result<Self, SphereError> {
        let largest = x.abs().max(y.abs()).max(z.abs());
        if !(largest > 0.0 && largest.is_finite() && x.is_finite() && y.is_finite() && z.is_finite()) {
            return Err(SphereError::NoDirection);
        }
        Ok(Self::scaled(x, y, z, largest))
    }

    /// Pixel corners follow from this operation, and stored overlaps from them: it must round as `lsst.sphgeom` rounds.
    fn scaled(x: f64, y: f64, z: f64, largest: f64) -> Self {
        let (x, y, z) = (x / largest, y / largest, z / largest);
        let rest = if x.abs() == 1.0 {
            y * y + z * z
        } else if y.abs() == 1.0 {
            z * z + x * x
        } else {
            x * x + y * y
        };
        let norm = (1.0 + rest).sqrt();
        Self { x: x / norm, y: y / norm, z: z / norm }
    }

    /// The direction (x, y, z), whose length the caller knows to be one.
    #[must_use]
    pub const fn from_normalized(x: f64, y: f64, z: f64) -> Self {
        Self { x, y, z }
    }

    /// The direction of longitude and latitude, in radians.
    #[must_use]
    pub fn from_lon_lat(lon: f64, lat: f64) -> Self {
        let (sin_lon, cos_lon) = lon.sin_cos();
        let (sin_lat, cos_lat) = lat.sin_cos();
        Self { x: cos_lon * cos_lat, y: sin_lon * cos_lat, z: sin_lat }
    }

    /// The direction of longitude and latitude, in degrees.
    #[must_use]
    pub fn from_lon_lat_degrees(lon: f64, lat: f64) -> Self {
        Self::from_lon_lat(normalized(lon * RADIANS_PER_DEGREE), lat * RADIANS_PER_DEGREE)
    }

    /// The components x, y, z.
    #[must_use]
    pub const fn components(self) -> [f64; 3] {
        [self.x, self.y, self.z]
    }

    /// Longitude within 0 and 2π and latitude within ±π/2, in radians; a pole has longitude 0.
    #[must_use]
    pub fn lon_lat(self) -> (f64, f64) {
        let from_axis = self.x * self.x + self.y * self.y;
        let lat = self.z.atan2(from_axis.sqrt());
        (if from_axis == 0.0 { 0.0 } else { normalized(self.y.atan2(self.x)) }, lat)
    }

    /// Scalar product: the cosine of the angle between two directions.
    #[must_use]
    pub fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    /// Vector product. Its length is the sine of the angle, so it is no direction until normalized.
    #[must_use]
    pub fn cross(self, other: Self) -> [f64; 3] {
        [self.y * other.z - self.z * other.y, self.z * other.x - self.x * other.z, self.x * other.y - self.y * other.x]
    }

    /// The cross product as half of (a + b) × (b - a): its direction is right however close the two are, where the
    /// products of a × b cancel.
    pub(crate) fn cross_of_close(self, other: Self) -> [f64; 3] {
        let sum = [self.x + other.x, self.y + other.y, self.z + other.z].map(|part| 0.5 * part);
        let [x, y, z] = [other.x - self.x, other.y - self.y, other.z - self.z];
        [sum[1] * z - sum[2] * y, sum[2] * x - sum[0] * z, sum[0] * y - sum[1] * x]
    }

    /// The angle between two directions, in radians, also good for tiny angles.
    #[must_use]
    pub fn angle_to(self, other: Self) -> f64 {
        length(self.cross(other)).atan2(self.dot(other))
    }

    /// The squared length of the straight line between the points of two directions: 4 sin²(angle/2).
    #[must_use]
    pub fn squared_chord(self, other: Self) -> f64 {
        let (x, y, z) = (self.x - other.x, self.y - other.y, self.z - other.z);
        x * x + y * y + z * z
    }

    /// The opposite direction.
    #[must_use]
    pub const fn antipode(self) -> Self {
        Self { x: -self.x, y: -self.y, z: -self.z }
    }

    /// The direction half-way to `other`; the two must not be opposite.
    pub(crate) fn midpoint(self, other: Self) -> Self {
        let (x, y, z) = (self.x + other.x, self.y + other.y, self.z + other.z);
        Self::scaled(x, y, z, x.abs().max(y.abs()).max(z.abs()))
    }

    pub(crate) const fn is_finite(self) -> bool {
        self.x.is_finite() && self.y.is_finite() && self.z.is_finite()
    }
}

/// One factor and one rounding, as `lsst.sphgeom` has it; `f64::to_radians` is the same product.
pub(crate) const RADIANS_PER_DEGREE: f64 = std::f64::consts::PI / 180.0;

pub(crate) const FULL_TURN: f64 = std::f64::consts::TAU;

/// Scalar product of plain vectors.
pub(crate) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn length(a: [f64; 3]) -> f64 {
    dot(a, a).sqrt()
}

/// An angle in radians brought into 0 to 2π; NaN and infinities become NaN.
pub(crate) fn normalized(angle: f64) -> f64 {
    if angle < 0.0 {
        // A tiny negative angle becomes 2π itself, as in `lsst.sphgeom`.
        if angle > -FULL_TURN { angle + FULL_TURN } else { angle.rem_euclid(FULL_TURN) }
    } else if angle > FULL_TURN {
        angle % FULL_TURN
    } else {
        angle
    }
}
