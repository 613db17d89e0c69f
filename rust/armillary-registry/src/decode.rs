//! Values into parameters, rows into columns.

use crate::{
    error::RegistryError,
    store::{DatabaseResult, Parameter, Row, Statement, ValueRef},
};
use armillary_dimensions::{Column, ColumnType, FieldType, Key, Timespan, Value};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Lower-case hexadecimal digits of an id, as `SQLite` repositories store it.
///
/// ```
/// assert_eq!(&armillary_registry::hex_id(&[0xab; 16])[..4], b"abab");
/// ```
#[must_use]
pub fn hex_id(id: &[u8; 16]) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(id) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// The id as text in a buffer of the caller.
pub(crate) fn hex_text<'a>(id: &[u8; 16], buffer: &'a mut [u8; 32]) -> &'a str {
    *buffer = hex_id(id);
    std::str::from_utf8(buffer).unwrap_or_default()
}

/// The id that 32 hexadecimal digits spell.
#[must_use]
pub(crate) fn parse_id(text: &[u8]) -> Option<[u8; 16]> {
    let digits: &[u8; 32] = text.try_into().ok()?;
    let (mut values, mut other) = ([0_u8; 32], 0);
    // Neither a branch nor a table, so that the processor takes many digits at a time.
    for (value, digit) in values.iter_mut().zip(digits) {
        let decimal = digit.wrapping_sub(b'0');
        let letter = (digit | 0x20).wrapping_sub(b'a');
        *value = if decimal < 10 { decimal } else { letter.wrapping_add(10) };
        other |= u8::from(decimal >= 10) & u8::from(letter >= 6);
    }
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(values.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    (other == 0).then_some(id)
}

/// Binds values to the parameters of a statement, in order.
pub(crate) fn bind_values(statement: &mut Statement<'_>, values: &[Value]) -> Result<(), RegistryError> {
    let mut parameter = 1;
    for value in values {
        parameter = bind_value(statement, parameter, value)?;
    }
    let wanted = statement.parameter_count() + 1;
    if parameter == wanted {
        return Ok(());
    }
    Err(RegistryError::BadArgument {
        reason: format!("{} values were given for {} parameters", parameter - 1, wanted - 1),
    })
}

/// Binds one value and returns the number of the next parameter; a timespan takes two.
pub(crate) fn bind_value(statement: &mut Statement<'_>, parameter: usize, value: &Value) -> DatabaseResult<usize> {
    match value {
        Value::Null => statement.raw_bind_parameter(parameter, Parameter::Null)?,
        Value::Bool(value) => statement.raw_bind_parameter(parameter, value)?,
        Value::Int(value) => statement.raw_bind_parameter(parameter, value)?,
        Value::Float(value) => statement.raw_bind_parameter(parameter, value)?,
        Value::Str(text) => statement.raw_bind_parameter(parameter, &**text)?,
        Value::Bytes(bytes) => statement.raw_bind_parameter(parameter, STANDARD.encode(bytes))?,
        Value::Uuid(id) => statement.raw_bind_parameter(parameter, hex_text(id, &mut [0; 32]))?,
        Value::Timespan(span) => {
            statement.raw_bind_parameter(parameter, span.begin())?;
            statement.raw_bind_parameter(parameter + 1, span.end())?;
            return Ok(parameter + 2);
        }
    }
    Ok(parameter + 1)
}

/// Binds one value of a record's field; unlike [`bind_value`] it knows that an unknown timespan takes two parameters,
/// and it spells bytes in a buffer that is used again.
pub(crate) fn bind_field(
    statement: &mut Statement<'_>,
    parameter: usize,
    kind: FieldType,
    value: &Value,
    buffer: &mut String,
) -> DatabaseResult<usize> {
    match (kind, value) {
        (FieldType::Timespan, Value::Null) => {
            statement.raw_bind_parameter(parameter, Parameter::Null)?;
            statement.raw_bind_parameter(parameter + 1, Parameter::Null)?;
            Ok(parameter + 2)
        }
        (_, Value::Bytes(bytes)) => {
            buffer.clear();
            STANDARD.encode_string(bytes, buffer);
            statement.raw_bind_parameter(parameter, buffer.as_str())?;
            Ok(parameter + 1)
        }
        _ => bind_value(statement, parameter, value),
    }
}

/// Binds one value of a data ID.
pub(crate) fn bind_key(statement: &mut Statement<'_>, parameter: usize, key: &Key) -> DatabaseResult<()> {
    match key {
        Key::Int(value) => statement.raw_bind_parameter(parameter, value)?,
        Key::Str(value) => statement.raw_bind_parameter(parameter, &**value)?,
    }
    Ok(())
}

/// One value of a row; a timespan takes two columns. `from` is moved to the column after.
pub(crate) fn row_value(row: Row<'_>, from: &mut usize, kind: FieldType) -> Result<Value, RegistryError> {
    let at = *from;
    *from += 1;
    let value = match (kind, row.value(at)?) {
        (FieldType::Timespan, begin) => {
            *from += 1;
            match (begin, row.value(at + 1)?) {
                (ValueRef::Integer(begin), ValueRef::Integer(end)) => Some(Value::Timespan(Timespan::new(begin, end))),
                (ValueRef::Null, _) | (_, ValueRef::Null) => Some(Value::Null),
                _ => None,
            }
        }
        (_, ValueRef::Null) => Some(Value::Null),
        (FieldType::Int, ValueRef::Integer(value)) => Some(Value::Int(value)),
        (FieldType::Bool, ValueRef::Integer(value)) => Some(Value::Bool(value != 0)),
        (FieldType::Float, ValueRef::Real(value)) => Some(Value::Float(value)),
        #[expect(clippy::cast_precision_loss, reason = "SQLite stores whole doubles as integers")]
        (FieldType::Float, ValueRef::Integer(value)) => Some(Value::Float(value as f64)),
        (FieldType::String { .. }, ValueRef::Text(text)) => {
            std::str::from_utf8(text).ok().map(|text| Value::Str(text.into()))
        }
        (FieldType::Hash { .. } | FieldType::Region, ValueRef::Text(text)) => {
            STANDARD.decode(text).ok().map(|bytes| Value::Bytes(bytes.into()))
        }
        _ => None,
    };
    value.ok_or_else(|| RegistryError::Corrupt {
        what: row.column_name(at),
        reason: format!("it does not fit {kind:?}"),
    })
}

/// One value of a data ID in a row.
pub(crate) fn row_key(row: Row<'_>, at: usize) -> Result<Key, RegistryError> {
    match row.value(at)? {
        ValueRef::Integer(value) => Ok(Key::Int(value)),
        ValueRef::Text(text) => Ok(Key::Str(String::from_utf8_lossy(text).into())),
        other => Err(RegistryError::Corrupt {
            what: format!("column {at}"),
            reason: format!("{} is no value of a dimension", other.described()),
        }),
    }
}

/// An id in a row.
pub(crate) fn row_id(row: Row<'_>, at: usize) -> Result<[u8; 16], RegistryError> {
    let id = match row.value(at)? {
        ValueRef::Text(text) => parse_id(text),
        ValueRef::Uuid(id) => Some(id),
        _ => None,
    };
    id.ok_or_else(|| RegistryError::Corrupt {
        what: format!("column {at}"),
        reason: "an id is not 32 hexadecimal digits".to_owned(),
    })
}

/// Runs a bound statement and decodes all its rows.
pub(crate) fn decode_rows(statement: &mut Statement<'_>, types: &[ColumnType]) -> Result<Vec<Column>, RegistryError> {
    let wanted: usize = types.iter().map(|kind| if *kind == ColumnType::Timespan { 2 } else { 1 }).sum();
    let found = statement.column_count();
    if wanted != found {
        return Err(RegistryError::BadArgument {
            reason: format!("the statement gives {found} columns, but {wanted} were asked for"),
        });
    }
    let mut columns: Vec<Column> = types.iter().map(|kind| Column::new(*kind)).collect();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let mut from = 0;
        for (position, column) in columns.iter_mut().enumerate() {
            let value = row.value(from)?;
            from += 1;
            let second = if types[position] == ColumnType::Timespan {
                from += 1;
                Some(row.value(from - 1)?)
            } else {
                None
            };
            push(column, value, second)
                .map_err(|reason| RegistryError::Corrupt { what: row.column_name(from - 1), reason })?;
        }
    }
    Ok(columns)
}

#[inline]
fn push(column: &mut Column, value: ValueRef<'_>, second: Option<ValueRef<'_>>) -> Result<(), String> {
    match (&mut *column, value) {
        (Column::Uuid(_), ValueRef::Null) => return Err("an id is missing".to_owned()),
        (Column::Timespan(spans), value) => {
            spans.push(match (value, second) {
                (ValueRef::Integer(begin), Some(ValueRef::Integer(end))) => Some(Timespan::new(begin, end)),
                (ValueRef::Null, _) | (_, Some(ValueRef::Null)) => None,
                _ => return Err("a timespan is not two integers".to_owned()),
            });
        }
        (column, ValueRef::Null) => column.push_null(),
        (Column::Int { .. }, ValueRef::Integer(value)) => column.push_int(value),
        (Column::Float { .. }, ValueRef::Real(value)) => column.push(&Value::Float(value)),
        #[expect(clippy::cast_precision_loss, reason = "SQLite stores whole doubles as integers")]
        (Column::Float { .. }, ValueRef::Integer(value)) => column.push(&Value::Float(value as f64)),
        (Column::Bool(values), ValueRef::Integer(value)) => values.push(Some(value != 0)),
        (Column::Str(column), ValueRef::Text(text)) => {
            column.push(std::str::from_utf8(text).map_err(|error| error.to_string())?);
        }
        (Column::Bytes(values), ValueRef::Text(text)) => {
            values.push(Some(STANDARD.decode(text).map_err(|error| error.to_string())?.into()));
        }
        (Column::Bytes(values), ValueRef::Blob(bytes)) => values.push(Some(bytes.into())),
        (Column::Uuid(ids), ValueRef::Text(text)) => {
            ids.push(parse_id(text).ok_or_else(|| "an id is not 32 hexadecimal digits".to_owned())?);
        }
        (Column::Uuid(ids), ValueRef::Uuid(id)) => ids.push(id),
        (column, value) => return Err(format!("{} does not fit a column of {:?}", value.described(), column.kind())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_from_digits_of_either_case_and_nothing_else() {
        let id: [u8; 16] = std::array::from_fn(|place| u8::try_from(place * 17).unwrap_or_default());
        assert_eq!(parse_id(&hex_id(&id)), Some(id));
        assert_eq!(parse_id(&hex_id(&id).to_ascii_uppercase()), Some(id));
        for bad in [b'g', b'G', b'-', b'/', b':', b'@', b'`', b' ', 0, 0xff] {
            for place in [0, 15, 31] {
                let mut text = hex_id(&id);
                text[place] = bad;
                assert_eq!(parse_id(&text), None);
            }
        }
        assert_eq!(parse_id(&hex_id(&id)[1..]), None);
    }
}
