//! Boxes of longitude and latitude.

use crate::vector::{FULL_TURN, RADIANS_PER_DEGREE, normalized};
use crate::{Circle, LatitudeInterval, LongitudeInterval, Relationship, SphereError, UnitVector3d};
use std::f64::consts::{FRAC_PI_2, PI};

/// Directions between two longitudes and two latitudes (the peer's `Box`; here that name is Rust's).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LonLatBox {
    lon: LongitudeInterval,
    lat: LatitudeInterval,
}

impl LonLatBox {
    /// The box without a point.
    pub const EMPTY: Self = Self { lon: LongitudeInterval::EMPTY, lat: LatitudeInterval::EMPTY };
    /// The whole sphere.
    pub const FULL: Self = Self { lon: LongitudeInterval::FULL, lat: LatitudeInterval::FULL };

    /// The box of two intervals; if one is empty, so is the box.
    #[must_use]
    pub fn new(lon: LongitudeInterval, lat: LatitudeInterval) -> Self {
        if lat.is_empty() {
            Self { lon: LongitudeInterval::EMPTY, lat }
        } else if lon.is_empty() {
            Self { lon, lat: LatitudeInterval::EMPTY }
        } else {
            Self { lon, lat }
        }
    }

    /// The box from (`lon1`, `lat1`) eastwards and northwards to (`lon2`, `lat2`), in degrees.
    ///
    /// ```
    /// use armillary_sphere::{LonLatBox, UnitVector3d};
    ///
    /// let through_zero = LonLatBox::from_degrees(350.0, -5.0, 10.0, 5.0)?;
    /// assert!(through_zero.contains(UnitVector3d::from_lon_lat_degrees(0.0, 0.0)));
    /// assert!(!through_zero.contains(UnitVector3d::from_lon_lat_degrees(20.0, 0.0)));
    /// # Ok::<(), armillary_sphere::SphereError>(())
    /// ```
    pub fn from_degrees(lon1: f64, lat1: f64, lon2: f64, lat2: f64) -> Result<Self, SphereError> {
        let [lon1, lat1, lon2, lat2] = [lon1, lat1, lon2, lat2].map(|angle| angle * RADIANS_PER_DEGREE);
        Self::from_radians(lon1, lat1, lon2, lat2)
    }

    /// The box from (`lon1`, `lat1`) eastwards and northwards to (`lon2`, `lat2`), in radians.
    pub fn from_radians(lon1: f64, lat1: f64, lon2: f64, lat2: f64) -> Result<Self, SphereError> {
        Ok(Self::new(LongitudeInterval::new(lon1, lon2)?, LatitudeInterval::new(lat1, lat2)))
    }

    /// The longitudes of the box.
    #[must_use]
    pub const fn lon(&self) -> LongitudeInterval {
        self.lon
    }

    /// The latitudes of the box.
    #[must_use]
    pub const fn lat(&self) -> LatitudeInterval {
        self.lat
    }

    /// Whether there is no point in the box.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lat.is_empty() || self.lon.is_empty()
    }

    /// Whether the box is the whole sphere.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.lon.is_full() && self.lat.is_full()
    }

    /// Whether the direction is in the box or on its edge.
    #[must_use]
    pub fn contains(&self, direction: UnitVector3d) -> bool {
        let (lon, lat) = direction.lon_lat();
        self.lat.contains(lat) && self.lon.contains(lon)
    }

    /// A circle that holds the box.
    #[must_use]
    pub fn bounding_circle(&self) -> Circle {
        if self.is_empty() {
            return Circle::EMPTY;
        }
        let (west, east) = self.lon.ends();
        let (south, north) = self.lat.ends();
        let width = if self.lon.is_full() { FULL_TURN } else { normalized(east - west) };
        // Around the middle of a wide box, the far corners are beyond a pole: take the circle around that pole.
        if width > 0.8 * PI {
            let from_north = FRAC_PI_2 - south;
            let from_south = FRAC_PI_2 + north;
            let pole = if from_north <= from_south { 1.0 } else { -1.0 };
            let pole = UnitVector3d::from_normalized(0.0, 0.0, pole);
            return Circle::from_center_angle(pole, from_north.min(from_south) + MARGIN);
        }
        let center = UnitVector3d::from_lon_lat(west + width / 2.0, south.midpoint(north));
        let farthest = [south, north]
            .map(|lat| center.angle_to(UnitVector3d::from_lon_lat(west, lat)))
            .into_iter()
            .fold(0.0, f64::max);
        Circle::from_center_angle(center, farthest + MARGIN)
    }

    pub(crate) fn relate_box(&self, other: &Self) -> Relationship {
        if let Some(known) = Relationship::of_trivial(self.is_empty(), other.is_empty()) {
            return known;
        }
        let lon = self.lon.relate(other.lon);
        let lat = self.lat.relate(other.lat);
        ((lon | lat) & Relationship::DISJOINT) | (lon & lat)
    }

    /// The squared chord from a direction to the nearest point of the box.
    pub(crate) fn squared_chord_to(&self, direction: UnitVector3d) -> f64 {
        let (lon, lat) = direction.lon_lat();
        let (south, north) = self.lat.ends();
        if self.lon.contains(lon) {
            squared_chord_of((south - lat).max(lat - north).max(0.0))
        } else {
            self.squared_chord_to_meridians(direction)
        }
    }

    /// The squared chord from a direction in the box to the nearest edge.
    ///
    /// Poles and the meridian 0 count as edges, though they are none in a box of every longitude: `lsst.sphgeom` has it
    /// so.
    pub(crate) fn squared_chord_to_edge(&self, direction: UnitVector3d) -> f64 {
        let (_, lat) = direction.lon_lat();
        let (south, north) = self.lat.ends();
        squared_chord_of((lat - south).min(north - lat)).min(self.squared_chord_to_meridians(direction))
    }

    /// The squared chord from a direction to the point of the box farthest from it.
    pub(crate) fn farthest_squared_chord(&self, direction: UnitVector3d) -> f64 {
        let (far_lon, _) = direction.antipode().lon_lat();
        let far = if self.lon.contains(far_lon) { 4.0 } else { self.farthest_corner_squared_chord(direction) };
        // Up to 90° the corners are the farthest points, and exact to the last bit or so. Beyond, ask the antipode.
        if far <= 2.0 { far } else { 4.0 - self.squared_chord_to(direction.antipode()) }
    }

    fn farthest_corner_squared_chord(&self, direction: UnitVector3d) -> f64 {
        let (west, east) = self.lon.ends();
        let (south, north) = self.lat.ends();
        [(west, south), (east, south), (west, north), (east, north)]
            .map(|(lon, lat)| direction.squared_chord(UnitVector3d::from_lon_lat(lon, lat)))
            .into_iter()
            .fold(0.0, f64::max)
    }

    fn squared_chord_to_meridians(&self, direction: UnitVector3d) -> f64 {
        let (west, east) = self.lon.ends();
        self.squared_chord_to_meridian(direction, west).min(self.squared_chord_to_meridian(direction, east))
    }

    fn squared_chord_to_meridian(&self, direction: UnitVector3d, lon: f64) -> f64 {
        let (south, north) = self.lat.ends();
        let (sin_lon, cos_lon) = lon.sin_cos();
        let along = direction.x * cos_lon + direction.y * sin_lon;
        let aside = direction.y * cos_lon - direction.x * sin_lon;
        let foot = direction.z.atan2(along);
        if self.lat.contains(foot) {
            squared_chord_of_sine(aside)
        } else {
            [south, north]
                .map(|lat| direction.squared_chord(UnitVector3d::from_lon_lat(lon, lat)))
                .into_iter()
                .fold(8.0, f64::min)
        }
    }
}

/// Radians a bounding circle is wider than computed, so that rounding cannot leave a point outside.
const MARGIN: f64 = 1e-9;

/// The squared chord of an angle in radians.
fn squared_chord_of(angle: f64) -> f64 {
    let half = (angle / 2.0).sin();
    4.0 * half * half
}

/// The squared chord of the angle up to 90° that has this sine, without the cancellation of 2 - 2 cos.
pub(crate) fn squared_chord_of_sine(sine: f64) -> f64 {
    let squared = (sine * sine).min(1.0);
    2.0 * squared / (1.0 + (1.0 - squared).sqrt())
}
