//! The stored form of regions: a type byte, then little-endian doubles.

use crate::vector::length;
use crate::{Circle, ConvexPolygon, Ellipse, LonLatBox, Region, SphereError, UnitVector3d};

/// The deepest nesting of unions and intersections that is read: enough for anything real, little enough for the stack.
const DEEPEST: usize = 64;

const DOUBLE: usize = size_of::<f64>();
const VERTEX: usize = 3 * DOUBLE;
const PART_LENGTH: usize = size_of::<u64>();

impl Region {
    /// Reads the stored form. Base64, and several regions joined by `:`, are the caller's to take apart.
    ///
    /// ```
    /// use armillary_sphere::{Region, SphereError};
    ///
    /// let union = [b'u'].to_vec();
    /// assert_eq!(Region::decode(&union)?.encode(), union);
    /// assert_eq!(Region::decode(b"x").unwrap_err(), SphereError::UnknownType { tag: Some(b'x') });
    /// # Ok::<(), SphereError>(())
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Self, SphereError> {
        decode_within(bytes, DEEPEST)
    }

    /// Writes the stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_length());
        self.encode_to(&mut bytes);
        bytes
    }

    fn encoded_length(&self) -> usize {
        1 + match self {
            Self::Box(_) => 4 * DOUBLE,
            Self::Circle(_) => 5 * DOUBLE,
            Self::Ellipse(_) => Ellipse::NUMBERS * DOUBLE,
            Self::ConvexPolygon(shape) => shape.vertices().len() * VERTEX,
            Self::Union(parts) | Self::Intersection(parts) => {
                parts.iter().map(|part| PART_LENGTH + part.encoded_length()).sum()
            }
        }
    }

    fn encode_to(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Box(shape) => {
                let ((west, east), (south, north)) = (shape.lon().ends(), shape.lat().ends());
                push(bytes, b'b', &[west, east, south, north]);
            }
            Self::Circle(shape) => {
                let [x, y, z] = shape.center().components();
                push(bytes, b'c', &[x, y, z, shape.squared_chord_length(), shape.opening_angle()]);
            }
            Self::Ellipse(shape) => push(bytes, b'e', shape.numbers()),
            Self::ConvexPolygon(shape) => {
                push(bytes, b'p', &[]);
                bytes.extend(shape.vertices().iter().flat_map(|v| v.components()).flat_map(f64::to_le_bytes));
            }
            Self::Union(parts) => encode_parts(bytes, b'u', parts),
            Self::Intersection(parts) => encode_parts(bytes, b'i', parts),
        }
    }
}

fn push(bytes: &mut Vec<u8>, tag: u8, numbers: &[f64]) {
    bytes.push(tag);
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn encode_parts(bytes: &mut Vec<u8>, tag: u8, parts: &[Region]) {
    bytes.push(tag);
    for part in parts {
        bytes.extend((part.encoded_length() as u64).to_le_bytes());
        part.encode_to(bytes);
    }
}

fn decode_within(bytes: &[u8], depth: usize) -> Result<Region, SphereError> {
    let (&tag, payload) = bytes.split_first().ok_or(SphereError::UnknownType { tag: None })?;
    match tag {
        b'b' => {
            let [west, east, south, north] = exactly("Box", "33", payload)?;
            Ok(LonLatBox::from_radians(west, south, east, north)?.into())
        }
        b'c' => {
            let [x, y, z, squared_chord, angle] = finite("Circle", exactly("Circle", "41", payload)?)?;
            Ok(Circle::from_parts(direction("Circle", [x, y, z])?, squared_chord, angle).into())
        }
        b'e' => {
            let numbers: [f64; Ellipse::NUMBERS] = exactly("Ellipse", "113", payload)?;
            // The tangents, which close it, are infinite for half-axes of 0 and of 180 degrees.
            finite("Ellipse", *numbers.first_chunk::<12>().unwrap_or(&[f64::NAN; 12]))?;
            let ellipse = Ellipse::from_numbers(numbers);
            direction("Ellipse", ellipse.center().components())?;
            Ok(ellipse.into())
        }
        b'p' => Ok(decode_polygon(payload)?.into()),
        b'u' => Ok(Region::union(decode_parts("UnionRegion", payload, depth)?)),
        b'i' => Ok(Region::intersection(decode_parts("IntersectionRegion", payload, depth)?)),
        other => Err(SphereError::UnknownType { tag: Some(other) }),
    }
}

fn decode_polygon(payload: &[u8]) -> Result<ConvexPolygon, SphereError> {
    let (vertices, rest) = payload.as_chunks::<VERTEX>();
    if vertices.len() < 3 || !rest.is_empty() {
        let found = payload.len() + 1;
        return Err(SphereError::WrongLength { region: "ConvexPolygon", found, wanted: "1 + 24n (n at least 3)" });
    }
    let vertices = vertices.iter().map(|chunk| {
        let [x, y, z] = finite("ConvexPolygon", exactly("ConvexPolygon", "24", chunk)?)?;
        direction("ConvexPolygon", [x, y, z])
    });
    Ok(ConvexPolygon::from_vertices(vertices.collect::<Result<_, _>>()?))
}

fn decode_parts(region: &'static str, payload: &[u8], depth: usize) -> Result<Vec<Region>, SphereError> {
    let depth = depth.checked_sub(1).ok_or(SphereError::TooDeep { limit: DEEPEST })?;
    let truncated = || SphereError::WrongLength { region, found: payload.len() + 1, wanted: "the stated number of" };
    let mut rest = payload;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (length, following) = rest.split_first_chunk().ok_or_else(truncated)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| truncated())?;
        let (part, following) = following.split_at_checked(length).ok_or_else(truncated)?;
        parts.push(decode_within(part, depth)?);
        rest = following;
    }
    Ok(parts)
}

/// The payload as exactly N doubles.
fn exactly<const N: usize>(
    region: &'static str,
    wanted: &'static str,
    payload: &[u8],
) -> Result<[f64; N], SphereError> {
    let (doubles, rest) = payload.as_chunks::<DOUBLE>();
    match <&[[u8; DOUBLE]; N]>::try_from(doubles) {
        Ok(doubles) if rest.is_empty() => Ok(doubles.map(f64::from_le_bytes)),
        Ok(_) | Err(_) => Err(SphereError::WrongLength { region, found: payload.len() + 1, wanted }),
    }
}

fn finite<const N: usize>(region: &'static str, numbers: [f64; N]) -> Result<[f64; N], SphereError> {
    if numbers.iter().all(|number| number.is_finite()) { Ok(numbers) } else { Err(SphereError::NotFinite { region }) }
}

fn direction(region: &'static str, components: [f64; 3]) -> Result<UnitVector3d, SphereError> {
    let length = length(components);
    // Whoever computed the vector may have rounded generously, but not as far as this.
    if (length - 1.0).abs() > 1e-3 {
        return Err(SphereError::NotUnit { region, length });
    }
    let [x, y, z] = components;
    Ok(UnitVector3d::from_normalized(x, y, z))
}
