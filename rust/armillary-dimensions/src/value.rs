//! Single values of keys and record fields.

use crate::Timespan;
use std::{fmt, sync::Arc};

/// The value of one dimension in a data ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Of a dimension numbered by integers, such as `visit`.
    Int(i64),
    /// Of a dimension known by name, such as `instrument`.
    Str(Arc<str>),
}

impl fmt::Display for Key {
    /// As in a data ID: strings are quoted as Python writes them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Str(value) if value.contains('\'') && !value.contains('"') => write!(f, "\"{value}\""),
            Self::Str(value) => write!(f, "'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")),
        }
    }
}

impl From<i64> for Key {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Key {
    fn from(value: &str) -> Self {
        Self::Str(value.into())
    }
}

/// The value of one field of a record or of one column of a query result.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Not known.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A double.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// A hash, or an encoded region.
    Bytes(Arc<[u8]>),
    /// A dataset or quantum id.
    Uuid([u8; 16]),
    /// Nanoseconds TAI.
    Timespan(Timespan),
}

impl From<Key> for Value {
    fn from(key: Key) -> Self {
        match key {
            Key::Int(value) => Self::Int(value),
            Key::Str(value) => Self::Str(value),
        }
    }
}

impl Value {
    /// The same value as a data ID key, if it is an integer or a string.
    #[must_use]
    pub fn to_key(&self) -> Option<Key> {
        match self {
            Self::Int(value) => Some(Key::Int(*value)),
            Self::Str(value) => Some(Key::Str(value.clone())),
            Self::Null | Self::Bool(_) | Self::Float(_) | Self::Bytes(_) | Self::Uuid(_) | Self::Timespan(_) => None,
        }
    }
}
