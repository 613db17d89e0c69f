//! What identifies data: dimensions, groups of them, and values for them.
//!
//! Nothing here reads a file or a database.

mod column;
mod coordinate;
mod document;
mod element;
mod error;
mod group;
mod record;
mod timespan;
mod universe;
mod value;

pub use column::{Column, ColumnType, RowNumber, StrColumn};
pub use coordinate::DataCoordinate;
pub use element::{Element, ElementIndex, ElementKind, Field, FieldRole, FieldType};
pub use error::{DimensionError, nearest};
pub use group::{DimensionGroup, GroupInfo};
pub use record::{Record, Records};
pub use timespan::Timespan;
pub use universe::Universe;
pub use value::{Key, Value};
