//! Regions as the text of an IVOA SIA 2.0 `POS` parameter.

use crate::{Circle, ConvexPolygon, LonLatBox, Region, SphereError, UnitVector3d};

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
    match shape.to_ascii_uppercase().as_str() {
        "CIRCLE" => {
            let &[lon, lat, radius] = numbers.as_slice() else { return Err(arity("3")) };
            let center = UnitVector3d::from_lon_lat_degrees(lon, lat);
            Ok(Circle::from_center_angle(center, radius.to_radians()).into())
        }
        "RANGE" => {
            let &[lon1, lon2, lat1, lat2] = numbers.as_slice() else { return Err(arity("4")) };
            LonLatBox::from_degrees(lon1, lat1, lon2, lat2).map(Region::from).map_err(|error| error.to_string())
        }
        "POLYGON" => {
            let (pairs, rest) = numbers.as_chunks::<2>();
            if pairs.len() < 3 || !rest.is_empty() {
                return Err(arity("an even number, at least 6, of"));
            }
            let points: Vec<_> = pairs.iter().map(|&[lon, lat]| UnitVector3d::from_lon_lat_degrees(lon, lat)).collect();
            ConvexPolygon::convex_hull(&points).map(Region::from).map_err(|error| error.to_string())
        }
        _ => Err(format!("`{shape}` is no shape")),
    }
}

fn parse_number(word: &str) -> Result<f64, String> {
    word.parse().map_err(|_| format!("`{word}` is no number"))
}
