//! Lists of values as JSON, which is how a list takes one parameter of a statement.

use armillary_dimensions::Value;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt::Write as _;

/// A JSON array of values as they are stored; none if some have no such form.
pub(crate) fn json_array(items: &[Value]) -> Option<String> {
    let mut json = String::from("[");
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            json.push(',');
        }
        match item {
            Value::Int(value) => json.push_str(&value.to_string()),
            Value::Str(text) => push_json_text(&mut json, text),
            Value::Float(value) if value.is_finite() => {
                let _ = write!(json, "{value:?}");
            }
            Value::Bool(value) => json.push(if *value { '1' } else { '0' }),
            Value::Uuid(id) => {
                let digits = crate::hex_id(id);
                push_json_text(&mut json, std::str::from_utf8(&digits).unwrap_or_default());
            }
            Value::Bytes(bytes) => push_json_text(&mut json, &STANDARD.encode(bytes)),
            Value::Null | Value::Float(_) | Value::Timespan(_) => return None,
        }
    }
    json.push(']');
    Some(json)
}

/// A JSON array of rows of integers and texts; other values are null.
pub(crate) fn json_of_rows(rows: &[Vec<Value>]) -> String {
    let mut json = String::from("[");
    for (position, row) in rows.iter().enumerate() {
        json.push_str(if position == 0 { "[" } else { ",[" });
        for (position, value) in row.iter().enumerate() {
            json.push_str(if position == 0 { "" } else { "," });
            match value {
                Value::Int(value) => json.push_str(&value.to_string()),
                Value::Str(text) => push_json_text(&mut json, text),
                _ => json.push_str("null"),
            }
        }
        json.push(']');
    }
    json.push(']');
    json
}

pub(crate) fn push_json_text(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                json.push('\\');
                json.push(character);
            }
            control if control < ' ' => {
                let _ = write!(json, "\\u{:04x}", u32::from(control));
            }
            plain => json.push(plain),
        }
    }
    json.push('"');
}
