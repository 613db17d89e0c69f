//! The convex polygon around points.

use crate::predicate::orientation;
use crate::{ConvexPolygon, SphereError, UnitVector3d};

impl ConvexPolygon {
    /// The smallest convex polygon that holds all points, which must lie within one hemisphere.
    ///
    /// Points that are the corners of a convex polygon already, in counter-clockwise order, keep their order.
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
        let mut corners = first_triangle(points)?;
        for &point in points {
            admit(&mut corners, point)?;
        }
        let sides = corners.iter().zip(corners.iter().cycle().skip(1));
        if !sides.into_iter().all(|(&a, &b)| points.iter().all(|&point| orientation(a, b, point) >= 0)) {
            return Err(SphereError::NoPolygon { reason: NOT_IN_A_HEMISPHERE });
        }
        Ok(Self::from_vertices(corners))
    }
}

const NOT_IN_A_HEMISPHERE: &str = "they are not within one hemisphere";

/// The first two different points and the first that is beside the great circle through them, counter-clockwise.
fn first_triangle(points: &[UnitVector3d]) -> Result<Vec<UnitVector3d>, SphereError> {
    let too_few = SphereError::NoPolygon { reason: "fewer than three of them are different" };
    let &a = points.first().ok_or(too_few.clone())?;
    let &b = points.iter().find(|point| **point != a).ok_or(too_few)?;
    let beside = points.iter().map(|&c| (c, orientation(a, b, c))).find(|(_, side)| *side != 0);
    match beside {
        Some((c, 1)) => Ok(vec![a, b, c]),
        Some((c, _)) => Ok(vec![b, a, c]),
        None => Err(SphereError::NoPolygon { reason: "they lie on one great circle" }),
    }
}

/// Makes room for a point: if it is outside, it takes the place of the corners between the sides it sees.
fn admit(corners: &mut Vec<UnitVector3d>, point: UnitVector3d) -> Result<(), SphereError> {
    let count = corners.len();
    let is_seen = |side: usize| orientation(corners[side], corners[(side + 1) % count], point) < 0;
    let seen: Vec<bool> = (0..count).map(is_seen).collect();
    let Some(first) = (0..count).find(|&side| seen[side] && !seen[(side + count - 1) % count]) else {
        // Inside; or it sees every side, from the opposite of the sphere.
        return if seen[0] { Err(SphereError::NoPolygon { reason: NOT_IN_A_HEMISPHERE }) } else { Ok(()) };
    };
    let run = (0..count).take_while(|step| seen[(first + step) % count]).count();
    let last = (first + run - 1) % count;
    if first <= last {
        corners.splice(first + 1..=last, [point]);
    } else {
        // The sides seen go through the end of the list: the corners before its end and at its beginning go.
        let loses_its_tail = first + 1 < count;
        corners.truncate(first + 1);
        corners.drain(..=last);
        corners.insert(if loses_its_tail { corners.len() } else { 0 }, point);
    }
    Ok(())
}
