//! The convex polygon around points.

use crate::predicate::orientation;
use crate::{ConvexPolygon, SphereError, UnitVector3d};

impl ConvexPolygon {
    /// The smallest convex polygon that holds all points, which must lie within one hemisphere.
    ///
    /// The first of its vertices is the first point that is a corner.
    ///
    /// ```
    /// use armillary_sphere::{ConvexPolygon, UnitVector3d};
    ///
    /// let points = [(0.0, 0.0), (10.0, 0.0), (5.0, 2.0), (10.0, 10.0), (0.0, 10.0)];
    /// let points = points.map(|(lon, lat)| UnitVector3d::from_lon_lat_degrees(lon, lat));
    /// assert_eq!(ConvexPolygon::convex_hull(&points)?.vertices(), [points[0], points[1], points[3], points[4]]);
    /// # Ok::<(), armillary_sphere::SphereError>(())
    /// ```
    pub fn convex_hull(points: &[UnitVector3d]) -> Result<Self, SphereError> {
        if !points.iter().all(|point| point.is_finite()) {
            return Err(SphereError::NotFinite { region: "ConvexPolygon" });
        }
        if points.len() < 3 {
            return Err(SphereError::NoPolygon { reason: "there are fewer than three" });
        }
        let mut corners = wrap(points)?;
        if !corners.iter().zip(corners.iter().cycle().skip(1)).all(|(&a, &b)| is_left(points, points[a], points[b])) {
            return Err(SphereError::NoPolygon { reason: "they are not within one hemisphere" });
        }
        let first = corners.iter().enumerate().min_by_key(|(_, index)| **index).map_or(0, |(at, _)| at);
        corners.rotate_left(first);
        Ok(Self::from_vertices(corners.into_iter().map(|index| points[index]).collect()))
    }
}

fn is_left(points: &[UnitVector3d], a: UnitVector3d, b: UnitVector3d) -> bool {
    points.iter().all(|&point| orientation(a, b, point) >= 0)
}

/// Indices of the corners, counter-clockwise: from each to the one that leaves no point on the right.
fn wrap(points: &[UnitVector3d]) -> Result<Vec<usize>, SphereError> {
    let start = a_corner(points)?;
    let mut corners = vec![start];
    loop {
        let here = corners[corners.len() - 1];
        let next = next_corner(points, here).ok_or(SphereError::NoPolygon { reason: "they all are the same" })?;
        if points[next] == points[start] {
            break;
        }
        if corners.len() == points.len() {
            return Err(SphereError::NoPolygon { reason: "they are not within one hemisphere" });
        }
        corners.push(next);
    }
    if corners.len() < 3 {
        return Err(SphereError::NoPolygon { reason: "they lie on one great circle" });
    }
    Ok(corners)
}

/// The point farthest from the middle: of points within a hemisphere it is a corner.
fn a_corner(points: &[UnitVector3d]) -> Result<usize, SphereError> {
    let [x, y, z] = points.iter().fold([0.0; 3], |sum, v| [sum[0] + v.x, sum[1] + v.y, sum[2] + v.z]);
    let middle = UnitVector3d::new(x, y, z)
        .map_err(|_| SphereError::NoPolygon { reason: "they are not within one hemisphere" })?;
    let chord = |index: &usize| middle.squared_chord(points[*index]);
    (0..points.len())
        .max_by(|a, b| chord(a).total_cmp(&chord(b)))
        .ok_or(SphereError::NoPolygon { reason: "there are none" })
}

fn next_corner(points: &[UnitVector3d], here: usize) -> Option<usize> {
    let start = points[here];
    let mut best: Option<usize> = None;
    for (index, &point) in points.iter().enumerate().filter(|(_, point)| **point != start) {
        best = match best {
            Some(kept) => {
                let side = orientation(start, points[kept], point);
                let farther = start.squared_chord(point) > start.squared_chord(points[kept]);
                Some(if side < 0 || (side == 0 && farther) { index } else { kept })
            }
            None => Some(index),
        };
    }
    best
}
