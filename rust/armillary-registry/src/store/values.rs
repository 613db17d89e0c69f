//! Values on their way into parameters and out of rows, whichever database is behind.

use armillary_dimensions::Key;
use std::sync::Arc;

/// A value on its way to a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Parameter<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    Text(&'a str),
}

/// A value that waits for its statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Owned {
    #[default]
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    Text(String),
}

impl From<Parameter<'_>> for Owned {
    fn from(value: Parameter<'_>) -> Self {
        match value {
            Parameter::Null => Self::Null,
            Parameter::Bool(value) => Self::Bool(value),
            Parameter::Integer(value) => Self::Integer(value),
            Parameter::Real(value) => Self::Real(value),
            Parameter::Text(text) => Self::Text(text.to_owned()),
        }
    }
}

impl Bind for Owned {
    fn parameter(&self) -> Parameter<'_> {
        match self {
            Self::Null => Parameter::Null,
            Self::Bool(value) => Parameter::Bool(*value),
            Self::Integer(value) => Parameter::Integer(*value),
            Self::Real(value) => Parameter::Real(*value),
            Self::Text(text) => Parameter::Text(text),
        }
    }
}

/// What can be bound to a parameter.
pub(crate) trait Bind {
    fn parameter(&self) -> Parameter<'_>;
}

impl Bind for Parameter<'_> {
    fn parameter(&self) -> Parameter<'_> {
        *self
    }
}

impl Bind for bool {
    fn parameter(&self) -> Parameter<'_> {
        Parameter::Bool(*self)
    }
}

impl Bind for i64 {
    fn parameter(&self) -> Parameter<'_> {
        Parameter::Integer(*self)
    }
}

impl Bind for u32 {
    fn parameter(&self) -> Parameter<'_> {
        Parameter::Integer(i64::from(*self))
    }
}

impl Bind for u8 {
    fn parameter(&self) -> Parameter<'_> {
        Parameter::Integer(i64::from(*self))
    }
}

impl Bind for f64 {
    fn parameter(&self) -> Parameter<'_> {
        Parameter::Real(*self)
    }
}

impl Bind for str {
    fn parameter(&self) -> Parameter<'_> {
        Parameter::Text(self)
    }
}

impl Bind for String {
    fn parameter(&self) -> Parameter<'_> {
        Parameter::Text(self)
    }
}

impl Bind for Key {
    fn parameter(&self) -> Parameter<'_> {
        match self {
            Self::Int(value) => Parameter::Integer(*value),
            Self::Str(text) => Parameter::Text(text),
        }
    }
}

impl<T: Bind> Bind for Option<T> {
    fn parameter(&self) -> Parameter<'_> {
        self.as_ref().map_or(Parameter::Null, Bind::parameter)
    }
}

impl<T: Bind + ?Sized> Bind for &T {
    fn parameter(&self) -> Parameter<'_> {
        (**self).parameter()
    }
}

/// Parameters of several types.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        [$($crate::store::Bind::parameter(&$value)),*]
    };
}
pub(crate) use params;

/// A value in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ValueRef<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a [u8]),
    Blob(&'a [u8]),
    Uuid([u8; 16]),
}

impl ValueRef<'_> {
    /// What it is, for messages.
    pub(crate) const fn described(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Integer(_) => "an integer",
            Self::Real(_) => "a double",
            Self::Text(_) => "text",
            Self::Blob(_) => "bytes",
            Self::Uuid(_) => "an id",
        }
    }
}

/// What a value of a row can become.
pub(crate) trait FromValue: Sized {
    /// None if the value is of another type.
    fn from_value(value: ValueRef<'_>) -> Option<Self>;
}

impl FromValue for i64 {
    fn from_value(value: ValueRef<'_>) -> Option<Self> {
        if let ValueRef::Integer(value) = value { Some(value) } else { None }
    }
}

impl FromValue for u32 {
    fn from_value(value: ValueRef<'_>) -> Option<Self> {
        i64::from_value(value).and_then(|value| Self::try_from(value).ok())
    }
}

impl FromValue for bool {
    fn from_value(value: ValueRef<'_>) -> Option<Self> {
        i64::from_value(value).map(|value| value != 0)
    }
}

impl FromValue for String {
    fn from_value(value: ValueRef<'_>) -> Option<Self> {
        let ValueRef::Text(text) = value else { return None };
        std::str::from_utf8(text).ok().map(str::to_owned)
    }
}

impl FromValue for Arc<str> {
    fn from_value(value: ValueRef<'_>) -> Option<Self> {
        let ValueRef::Text(text) = value else { return None };
        std::str::from_utf8(text).ok().map(Self::from)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: ValueRef<'_>) -> Option<Self> {
        if value == ValueRef::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}
