//! Regions on the sphere, their stored bytes, relations, and pixel ranges.
//!
//! A [`Region`] is a closed set of directions, kept as the repository stores it. [`Region::relate`] tells how two
//! regions lie to each other; [`PreparedRegion`] does the same for many pairs without repeating the set-up.
//! [`htm`] and [`healpix`] turn regions into ranges of pixel indices.
//!
//! Answers follow the `lsst.sphgeom` library, approximations included: two programs that share a repository must agree
//! on its rows. Where that library is exact, so is this crate; where it is conservative, it is so by the same margins.
//!
//! ```
//! use armillary_sphere::{Circle, Region, UnitVector3d};
//!
//! let center = UnitVector3d::from_lon_lat_degrees(10.0, -5.0);
//! let field = Region::from(Circle::from_center_angle(center, 1.75_f64.to_radians()));
//! let stored = field.encode();
//! assert_eq!(Region::decode(&stored)?, field);
//! assert!(field.overlaps(&Region::from_ivoa_pos("POLYGON 10 -5 12 -5 12 -3")?));
//! # Ok::<(), armillary_sphere::SphereError>(())
//! ```

// Geometry here is exact or follows the rounding of another library: equality of doubles is meant.
#![allow(clippy::float_cmp)]
// Coordinates and corners have the names that mathematics gives them.
#![allow(clippy::many_single_char_names)]

mod circle;
mod codec;
mod ellipse;
mod error;
mod hull;
mod interval;
mod ivoa;
mod lon_lat_box;
mod polygon;
mod predicate;
mod prepared;
mod ranges;
mod region;
mod relationship;
mod vector;

pub mod healpix;
pub mod htm;

pub use circle::Circle;
pub use ellipse::Ellipse;
pub use error::SphereError;
pub use interval::{LatitudeInterval, LongitudeInterval};
pub use lon_lat_box::LonLatBox;
pub use polygon::ConvexPolygon;
pub use prepared::PreparedRegion;
pub use region::Region;
pub use relationship::Relationship;
pub use vector::UnitVector3d;
