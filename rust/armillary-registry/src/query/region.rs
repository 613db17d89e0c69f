//! Regions written in an expression.

use armillary_sphere::{Circle, ConvexPolygon, LonLatBox, PreparedRegion, Region, SphereError, UnitVector3d};

/// A region given by the caller, or a single direction.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Point(UnitVector3d),
    Region(Region, Box<PreparedRegion>),
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Point(left), Self::Point(right)) => left == right,
            (Self::Region(left, _), Self::Region(right, _)) => left == right,
            (Self::Point(_), Self::Region(..)) | (Self::Region(..), Self::Point(_)) => false,
        }
    }
}

impl From<Region> for Shape {
    fn from(region: Region) -> Self {
        let prepared = Box::new(region.prepare());
        Self::Region(region, prepared)
    }
}

/// Names of the functions that make regions.
pub(crate) const REGION_FUNCTIONS: [&str; 5] = ["POINT", "CIRCLE", "BOX", "POLYGON", "REGION"];

impl Shape {
    /// The direction at a longitude and latitude in degrees.
    pub(crate) fn point(lon: f64, lat: f64) -> Result<Self, String> {
        Ok(Self::Point(direction(lon, lat)?))
    }

    /// What a function of numbers in degrees makes: `POINT`, `CIRCLE`, `BOX` or `POLYGON`.
    pub(crate) fn from_numbers(function: &str, numbers: &[f64]) -> Result<Self, String> {
        let region: Result<Region, SphereError> = match (function, numbers) {
            ("POINT", [lon, lat]) => return Self::point(*lon, *lat),
            ("POINT", _) => return Err(format!("it takes longitude and latitude, not {} numbers", numbers.len())),
            ("CIRCLE", [lon, lat, radius]) if (0.0..=180.0).contains(radius) => {
                Ok(Circle::from_center_angle(direction(*lon, *lat)?, radius.to_radians()).into())
            }
            ("CIRCLE", [_, _, radius]) => return Err(format!("the radius {radius} is not between 0 and 180 degrees")),
            ("CIRCLE", _) => {
                return Err(format!("it takes longitude, latitude and radius, not {} numbers", numbers.len()));
            }
            ("BOX", [lon, lat, width, height]) if *width >= 0.0 && *height >= 0.0 => {
                direction(*lon, *lat)?;
                let (half_width, half_height) = (width / 2.0, height / 2.0);
                let (south, north) = ((lat - half_height).max(-90.0), (lat + half_height).min(90.0));
                let (west, east) =
                    if half_width >= 180.0 { (0.0, 360.0) } else { (lon - half_width, lon + half_width) };
                LonLatBox::from_degrees(west, south, east, north).map(Region::from)
            }
            ("BOX", [_, _, _, _]) => return Err("width and height must not be negative".to_owned()),
            ("BOX", _) => {
                return Err(format!("it takes longitude, latitude, width and height, not {} numbers", numbers.len()));
            }
            (_, numbers) if numbers.len() >= 6 && numbers.len() % 2 == 0 => {
                let corners: Result<Vec<_>, _> =
                    numbers.chunks_exact(2).map(|pair| direction(pair[0], pair[1])).collect();
                ConvexPolygon::convex_hull(&corners?).map(Region::from)
            }
            (_, numbers) => {
                return Err(format!(
                    "it takes three or more pairs of longitude and latitude, not {} numbers",
                    numbers.len()
                ));
            }
        };
        region.map(Self::from).map_err(|error| error.to_string())
    }

    /// Whether a stored region touches the shape.
    pub(crate) fn overlaps(&self, region: &PreparedRegion) -> bool {
        match self {
            Self::Point(direction) => region.contains(*direction),
            Self::Region(_, prepared) => region.overlaps(prepared),
        }
    }

    /// Whether two shapes touch.
    pub(crate) fn overlaps_shape(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Point(left), Self::Point(right)) => left == right,
            (shape, Self::Region(_, prepared)) | (Self::Region(_, prepared), shape) => shape.overlaps(prepared),
        }
    }
}

fn direction(lon: f64, lat: f64) -> Result<UnitVector3d, String> {
    if !lon.is_finite() {
        return Err(format!("the longitude {lon} is no number"));
    }
    if !(-90.0..=90.0).contains(&lat) {
        return Err(format!("the latitude {lat} is not between -90 and 90 degrees"));
    }
    Ok(UnitVector3d::from_lon_lat_degrees(lon, lat))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(shape: &Shape, lon: f64, lat: f64) -> bool {
        shape.overlaps_shape(&Shape::point(lon, lat).expect("a direction"))
    }

    #[test]
    fn a_circle_has_the_radius_it_was_given() {
        let circle = Shape::from_numbers("CIRCLE", &[10.0, 0.0, 1.0]).expect("a circle");
        assert!(holds(&circle, 10.0, 0.999) && !holds(&circle, 10.0, 1.001));
    }

    #[test]
    fn a_box_is_centred_and_stops_at_the_poles() {
        let shape = Shape::from_numbers("BOX", &[0.0, 89.0, 2.0, 4.0]).expect("a box");
        assert!(holds(&shape, 0.9, 88.0) && holds(&shape, 359.5, 90.0) && !holds(&shape, 1.1, 88.0));
        assert!(holds(&Shape::from_numbers("BOX", &[0.0, 0.0, 400.0, 2.0]).expect("a band"), 180.0, 0.5));
    }

    #[test]
    fn wrong_numbers_are_explained() {
        for (function, numbers, reason) in [
            ("POINT", vec![1.0], "it takes longitude and latitude, not 1 numbers"),
            ("POINT", vec![1.0, -95.0], "the latitude -95 is not between -90 and 90 degrees"),
            ("CIRCLE", vec![1.0, 2.0, -1.0], "the radius -1 is not between 0 and 180 degrees"),
            ("POLYGON", vec![1.0; 4], "it takes three or more pairs of longitude and latitude, not 4 numbers"),
        ] {
            assert_eq!(Shape::from_numbers(function, &numbers).expect_err("refused"), reason);
        }
    }
}
