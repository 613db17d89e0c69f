//! How far outside of a region a direction is.

use crate::{Circle, ConvexPolygon, LonLatBox, UnitVector3d};
use std::f64::consts::FRAC_PI_2;

/// A measure, in radians, that is zero or less in the region, and changes no faster than the angle one moves by.
#[derive(Debug)]
pub(super) enum Excess {
    Circle {
        center: UnitVector3d,
        radius: f64,
    },
    /// Inward normals of the sides, and the smallest circle around the corners, which cuts the tips off the margin.
    Polygon {
        normals: Vec<UnitVector3d>,
        center: UnitVector3d,
        radius: f64,
    },
    Box(LonLatBox),
}

impl Excess {
    pub(super) fn of_circle(circle: &Circle) -> Self {
        Self::Circle { center: circle.center(), radius: circle.opening_angle() }
    }

    pub(super) fn of_box(shape: &LonLatBox) -> Self {
        Self::Box(*shape)
    }

    pub(super) fn of_polygon(polygon: &ConvexPolygon) -> Self {
        let corners = polygon.vertices();
        let normals = corners
            .iter()
            .zip(corners.iter().cycle().skip(1))
            .filter_map(|(start, end)| {
                let [x, y, z] = start.cross(*end);
                UnitVector3d::new(x, y, z).ok() // no side between equal corners
            })
            .collect();
        let cap = smallest_cap(corners);
        Self::Polygon { normals, center: cap.center, radius: 2.0 * (cap.squared_chord.sqrt() / 2.0).min(1.0).asin() }
    }

    pub(super) fn of(&self, direction: UnitVector3d) -> f64 {
        match self {
            Self::Circle { center, radius } => center.angle_to(direction) - radius,
            Self::Polygon { normals, center, radius } => normals
                .iter()
                .map(|normal| -normal.dot(direction).clamp(-1.0, 1.0).asin())
                .fold(center.angle_to(direction) - radius, f64::max),
            Self::Box(shape) => {
                let (lon, lat) = direction.lon_lat();
                let (south, north) = shape.lat().ends();
                let beside = if shape.lon().contains(lon) {
                    0.0
                } else {
                    let (west, east) = shape.lon().ends();
                    angle_to_meridian(direction, lat, west).min(angle_to_meridian(direction, lat, east))
                };
                (south - lat).max(lat - north).max(beside)
            }
        }
    }
}

/// The angle to the half circle from pole to pole at a longitude.
fn angle_to_meridian(direction: UnitVector3d, lat: f64, lon: f64) -> f64 {
    let (sine, cosine) = lon.sin_cos();
    let along = direction.x * cosine + direction.y * sine;
    let aside = direction.y * cosine - direction.x * sine;
    if along > 0.0 { aside.abs().min(1.0).asin() } else { FRAC_PI_2 - lat.abs() }
}

#[derive(Clone, Copy)]
struct Cap {
    center: UnitVector3d,
    squared_chord: f64,
}

impl Cap {
    fn holds(&self, point: UnitVector3d) -> bool {
        self.center.squared_chord(point) <= self.squared_chord * (1.0 + 1e-9) + 1e-30
    }

    fn between(a: UnitVector3d, b: UnitVector3d) -> Self {
        let center = UnitVector3d::new(a.x + b.x, a.y + b.y, a.z + b.z).unwrap_or(a);
        Self { center, squared_chord: center.squared_chord(a).max(center.squared_chord(b)) }
    }

    /// With all three points on its edge.
    fn through(a: UnitVector3d, b: UnitVector3d, c: UnitVector3d) -> Self {
        let minus = |p: UnitVector3d| UnitVector3d::from_normalized(p.x - a.x, p.y - a.y, p.z - a.z);
        let [x, y, z] = minus(b).cross(minus(c));
        let Ok(center) = UnitVector3d::new(x, y, z) else { return Self::between(a, b) };
        let center = if center.dot(a) < 0.0 { center.antipode() } else { center };
        Self { center, squared_chord: center.squared_chord(a) }
    }
}

/// The smallest circle that holds all points: each point that is outside so far has to be on the edge.
fn smallest_cap(points: &[UnitVector3d]) -> Cap {
    let mut cap = Cap { center: points[0], squared_chord: 0.0 };
    for (i, &a) in points.iter().enumerate() {
        if cap.holds(a) {
            continue;
        }
        cap = Cap { center: a, squared_chord: 0.0 };
        for (j, &b) in points[..i].iter().enumerate() {
            if cap.holds(b) {
                continue;
            }
            cap = Cap::between(a, b);
            for &c in &points[..j] {
                if !cap.holds(c) {
                    cap = Cap::through(a, b, c);
                }
            }
        }
    }
    cap
}
