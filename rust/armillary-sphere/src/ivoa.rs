//! Regions as the text of an IVOA SIA 2.0 `POS` parameter.

use crate::vector::{FULL_TURN, RADIANS_PER_DEGREE, normalized};
use crate::{Circle, ConvexPolygon, LatitudeInterval, LonLatBox, LongitudeInterval, Region, SphereError, UnitVector3d};
use std::f64::consts::FRAC_PI_2;

impl Region {
    /// The region of `CIRCLE lon lat radius`, `RANGE lon1 lon2 lat1 lat2` or `POLYGON lon lat ...`, all in degrees.
    ///
    /// ```
    /// use armillary_sphere::Region;
    ///
    /// assert_eq!(Region::from_ivoa_pos("RANGE 10 20 -5 5")?.type_name(), "Box");
    /// let error = Region::from_ivoa_pos("CIRCLE 10 20").unwrap_err();
    /// assert!(error.to_string().starts_with("`CIRCLE 10 20` is no SIA region: `CIRCLE` has 3 numbers, found 2"));
    /// # Ok::<(), armillary_sphere::SphereError>(())
    /// ```
    pub fn from_ivoa_pos(text: &str) -> Result<Self, SphereError> {
        parse(text).map_err(|reason| SphereError::NotPos { text: text.to_owned(), reason })
    }
}

fn parse(text: &str) -> Result<Region, String> {
    let mut words = text.split_whitespace();
    let shape = words.next().ok_or("it is empty")?;
    let numbers = words.map(parse_number).collect::<Result<Vec<f64>, _>>()?;
    let arity = |wanted: &str| format!("`{shape}` has {wanted} numbers, found {}", numbers.len());
    match shape {
        "CIRCLE" => {
            let &[lon, lat, radius] = numbers.as_slice() else { return Err(arity("3")) };
            if !radius.is_finite() {
                return Err(format!("the radius `{radius}` is not finite"));
            }
            Ok(Circle::from_center_angle(direction(lon, lat)?, radius * RADIANS_PER_DEGREE).into())
        }
        "RANGE" => {
            let &[lon1, lon2, lat1, lat2] = numbers.as_slice() else { return Err(arity("4")) };
            range(lon1, lon2, lat1, lat2)
        }
        "POLYGON" => {
            let (pairs, rest) = numbers.as_chunks::<2>();
            if pairs.len() < 3 || !rest.is_empty() {
                return Err(arity("an even number, at least 6, of"));
            }
            let points = pairs.iter().map(|&[lon, lat]| direction(lon, lat)).collect::<Result<Vec<_>, _>>()?;
            ConvexPolygon::convex_hull(&points).map(Region::from).map_err(|error| error.to_string())
        }
        _ => Err(format!("`{shape}` is no shape")),
    }
}

/// A box whose ends may be infinite: from the beginning, to the end of all longitudes or latitudes.
fn range(lon1: f64, lon2: f64, lat1: f64, lat2: f64) -> Result<Region, String> {
    let lon = |value: f64| {
        if value.is_infinite() { value.clamp(0.0, FULL_TURN) } else { normalized(value * RADIANS_PER_DEGREE) }
    };
    let lat = |value: f64| {
        if value.is_infinite() {
            Ok(FRAC_PI_2.copysign(value))
        } else {
            latitude(value).map(|lat| lat * RADIANS_PER_DEGREE)
        }
    };
    let lon = LongitudeInterval::new(lon(lon1), lon(lon2)).map_err(|error| error.to_string())?;
    Ok(LonLatBox::new(lon, LatitudeInterval::new(lat(lat1)?, lat(lat2)?)).into())
}

fn direction(lon: f64, lat: f64) -> Result<UnitVector3d, String> {
    if !lon.is_finite() {
        return Err(format!("the longitude `{lon}` is not finite"));
    }
    Ok(UnitVector3d::from_lon_lat_degrees(lon, latitude(lat)?))
}

fn latitude(degrees: f64) -> Result<f64, String> {
    if degrees.abs() <= 90.0 { Ok(degrees) } else { Err(format!("the latitude `{degrees}` is not within -90 and 90")) }
}

fn parse_number(word: &str) -> Result<f64, String> {
    match word.parse() {
        Ok(number) if !f64::is_nan(number) => Ok(number),
        Ok(_) | Err(_) => Err(format!("`{word}` is no number")),
    }
}
