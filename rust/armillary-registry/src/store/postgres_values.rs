//! Values as `PostgreSQL` sends and takes them: its binary protocol, one by one and as arrays of many.

use super::{
    connection::{DatabaseError, DatabaseResult, ErrorKind},
    values::{Parameter, ValueRef},
};
use crate::decode::parse_id;
use std::error::Error;
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type, private::BytesMut};

/// A bound value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Encoded {
    /// NULL.
    #[default]
    Null,
    /// In the binary form of its type.
    Binary(Vec<u8>),
    /// As text that the server reads.
    Text(Vec<u8>),
}

impl ToSql for Encoded {
    fn to_sql(&self, _kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Binary(bytes) | Self::Text(bytes) => out.extend_from_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql(kind, out)
    }

    fn encode_format(&self, _kind: &Type) -> Format {
        if matches!(self, Self::Text(_)) { Format::Text } else { Format::Binary }
    }
}

/// The bytes of a value of a row; none for NULL.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_kind: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }
}

fn refused(what: &str, kind: &Type) -> DatabaseError {
    DatabaseError { kind: ErrorKind::Other, message: format!("{what} does not fit the type `{kind}`") }
}

fn binary(bound: &mut Encoded, bytes: &[u8]) {
    if let Encoded::Binary(buffer) = bound {
        buffer.clear();
        buffer.extend_from_slice(bytes);
    } else {
        *bound = Encoded::Binary(bytes.to_vec());
    }
}

fn is_text(kind: &Type) -> bool {
    [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::UNKNOWN].contains(kind)
}

/// Spells a value as a type wants it.
pub(super) fn encode(value: Parameter<'_>, kind: &Type, bound: &mut Encoded) -> DatabaseResult<()> {
    if let (Kind::Array(member), Parameter::Text(json)) = (kind.kind(), value) {
        return encode_array(json, member, kind, bound);
    }
    #[expect(clippy::cast_precision_loss, reason = "as the database does when an integer meets a double")]
    match value {
        Parameter::Null => *bound = Encoded::Null,
        Parameter::Bool(value) if *kind == Type::BOOL => binary(bound, &[u8::from(value)]),
        Parameter::Integer(value) if *kind == Type::BOOL => binary(bound, &[u8::from(value != 0)]),
        Parameter::Bool(value) => return encode(Parameter::Integer(i64::from(value)), kind, bound),
        Parameter::Integer(value) if *kind == Type::INT8 => binary(bound, &value.to_be_bytes()),
        Parameter::Integer(value) if *kind == Type::INT4 => {
            let value = i32::try_from(value).map_err(|_| refused(&value.to_string(), kind))?;
            binary(bound, &value.to_be_bytes());
        }
        Parameter::Integer(value) if *kind == Type::INT2 => {
            let value = i16::try_from(value).map_err(|_| refused(&value.to_string(), kind))?;
            binary(bound, &value.to_be_bytes());
        }
        Parameter::Integer(value) if *kind == Type::FLOAT8 => binary(bound, &(value as f64).to_be_bytes()),
        Parameter::Real(value) if *kind == Type::FLOAT8 => binary(bound, &value.to_be_bytes()),
        Parameter::Text(text) if is_text(kind) => binary(bound, text.as_bytes()),
        Parameter::Text(text) if *kind == Type::UUID => {
            let id = parse_id(text.replace('-', "").as_bytes()).ok_or_else(|| refused(text, kind))?;
            binary(bound, &id);
        }
        Parameter::Integer(value) => *bound = Encoded::Text(value.to_string().into_bytes()),
        Parameter::Real(value) => *bound = Encoded::Text(value.to_string().into_bytes()),
        Parameter::Text(text) => *bound = Encoded::Text(text.as_bytes().to_vec()),
    }
    Ok(())
}

/// An array from the JSON text of a list, which is how long lists travel to either database.
fn encode_array(json: &str, member: &Type, kind: &Type, bound: &mut Encoded) -> DatabaseResult<()> {
    let list: Vec<serde_json::Value> = serde_json::from_str(json).map_err(|_| refused("a list", kind))?;
    let mut array = Array::new(member);
    let mut one = Encoded::Null;
    for item in &list {
        match item {
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) if *member == Type::TID => binary(&mut one, &row_bytes(number)),
                (Some(number), _) => encode(Parameter::Integer(number), member, &mut one)?,
                (None, Some(number)) if is_integer(member) => match whole(number) {
                    Some(number) => encode(Parameter::Integer(number), member, &mut one)?,
                    None => continue, // equal to no integer
                },
                (None, number) => encode(Parameter::Real(number.unwrap_or(f64::NAN)), member, &mut one)?,
            },
            serde_json::Value::String(text) => encode(Parameter::Text(text), member, &mut one)?,
            _ => one = Encoded::Null,
        }
        if let Encoded::Text(_) = one {
            return Err(refused("a list", kind)); // the members of an array are binary
        }
        array.push(&one);
    }
    binary(bound, &array.finish());
    Ok(())
}

fn is_integer(kind: &Type) -> bool {
    [Type::INT8, Type::INT4, Type::INT2].contains(kind)
}

/// The integer that a double is; none for fractions and for what is too large.
fn whole(number: f64) -> Option<i64> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "doubles up to 2^53 without fraction are integers")]
    (number.fract() == 0.0 && number.abs() <= LARGEST).then_some(number as i64)
}

/// A row number, as [`decode`] makes it of a block and a place in it.
fn row_bytes(number: i64) -> [u8; 6] {
    let bytes = number.to_be_bytes();
    [bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]
}

/// An array in the making.
struct Array {
    member: u32,
    count: i32,
    has_null: bool,
    bytes: Vec<u8>,
}

impl Array {
    fn new(member: &Type) -> Self {
        Self { member: member.oid(), count: 0, has_null: false, bytes: Vec::new() }
    }

    fn push(&mut self, value: &Encoded) {
        self.count += 1;
        match value {
            Encoded::Null => {
                self.has_null = true;
                self.bytes.extend((-1_i32).to_be_bytes());
            }
            Encoded::Binary(bytes) | Encoded::Text(bytes) => {
                self.bytes.extend(i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
                self.bytes.extend(bytes);
            }
        }
    }

    fn finish(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(20 + self.bytes.len());
        let dimensions = i32::from(self.count > 0);
        all.extend(dimensions.to_be_bytes());
        all.extend(i32::from(self.has_null).to_be_bytes());
        all.extend(self.member.to_be_bytes());
        if self.count > 0 {
            all.extend(self.count.to_be_bytes());
            all.extend(1_i32.to_be_bytes());
        }
        all.extend(&self.bytes);
        all
    }
}

/// The bound values of many rows.
pub(super) struct ManyRows<V> {
    width: usize,
    rows: Vec<V>,
    count: usize,
    first: usize,
}

impl<V: Clone> ManyRows<V> {
    /// None yet; the next will be the row at position `first` of all.
    pub(super) const fn new(first: usize) -> Self {
        Self { width: 0, rows: Vec::new(), count: 0, first }
    }

    pub(super) const fn first(&self) -> usize {
        self.first
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) fn push(&mut self, bound: &[V]) {
        self.width = bound.len();
        self.rows.extend_from_slice(bound);
        self.count += 1;
    }

    /// The values of one row.
    pub(super) fn row(&self, position: usize) -> &[V] {
        &self.rows[position * self.width..(position + 1) * self.width]
    }
}

/// One array for each parameter, of the values that it has in many rows.
pub(super) fn arrays(rows: &ManyRows<Encoded>, kinds: &[Type]) -> Vec<Encoded> {
    let mut arrays: Vec<Array> = kinds.iter().map(Array::new).collect();
    for position in 0..rows.len() {
        arrays.iter_mut().zip(rows.row(position)).for_each(|(array, value)| array.push(value));
    }
    arrays.iter().map(|array| Encoded::Binary(array.finish())).collect()
}

/// A value of a row.
pub(super) fn decode<'a>(raw: Raw<'a>, kind: &Type) -> DatabaseResult<ValueRef<'a>> {
    let Some(bytes) = raw.0 else { return Ok(ValueRef::Null) };
    let bad = || refused("a value of another length", kind);
    Ok(match *kind {
        Type::INT8 => ValueRef::Integer(i64::from_be_bytes(bytes.try_into().map_err(|_| bad())?)),
        Type::INT4 => ValueRef::Integer(i64::from(i32::from_be_bytes(bytes.try_into().map_err(|_| bad())?))),
        Type::INT2 => ValueRef::Integer(i64::from(i16::from_be_bytes(bytes.try_into().map_err(|_| bad())?))),
        Type::BOOL => ValueRef::Integer(i64::from(bytes.first() == Some(&1))),
        Type::FLOAT8 => ValueRef::Real(f64::from_be_bytes(bytes.try_into().map_err(|_| bad())?)),
        Type::FLOAT4 => ValueRef::Real(f64::from(f32::from_be_bytes(bytes.try_into().map_err(|_| bad())?))),
        Type::UUID => ValueRef::Uuid(bytes.try_into().map_err(|_| bad())?),
        Type::TID => {
            if bytes.len() != 6 {
                return Err(bad());
            }
            ValueRef::Integer(bytes.iter().fold(0, |number, byte| number << 8 | i64::from(*byte)))
        }
        ref kind if is_text(kind) => ValueRef::Text(bytes),
        _ => return Err(refused("what the database gives", kind)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_fit_or_are_refused() {
        let mut bound = Encoded::Null;
        encode(Parameter::Integer(300), &Type::INT2, &mut bound).expect("it fits");
        assert_eq!(bound, Encoded::Binary(vec![1, 44]));
        assert!(encode(Parameter::Integer(70_000), &Type::INT2, &mut bound).is_err());
        encode(Parameter::Bool(true), &Type::BOOL, &mut bound).expect("it fits");
        assert_eq!(bound, Encoded::Binary(vec![1]));
    }

    #[test]
    fn row_numbers_come_back() {
        let number = (70_000 << 16) + 12;
        let bytes = row_bytes(number);
        assert_eq!(decode(Raw(Some(&bytes)), &Type::TID), Ok(ValueRef::Integer(number)));
    }

    #[test]
    fn lists_become_arrays() {
        let mut bound = Encoded::Null;
        encode(Parameter::Text("[1,-2]"), &Type::INT8_ARRAY, &mut bound).expect("an array");
        let Encoded::Binary(bytes) = &bound else { panic!("arrays are binary") };
        assert_eq!(bytes.len(), 20 + 2 * 12);
        encode(Parameter::Text("[]"), &Type::TEXT_ARRAY, &mut bound).expect("an array");
        assert_eq!(bound, Encoded::Binary([[0; 4], [0; 4], 25_u32.to_be_bytes()].concat()));
        assert!(encode(Parameter::Text("{1,2}"), &Type::INT8_ARRAY, &mut bound).is_err());
    }
}
