//! JSON text of ids, keys and record values, written straight into a buffer.

use crate::Id;
use armillary_dimensions::{Key, Value};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a quoted string.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    let plain = text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
    if plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // A string always serialises.
        out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    }
}

/// Appends an id in lower case, with dashes if wanted, quoted.
pub(super) fn id(out: &mut Vec<u8>, id: &Id, dashes: bool) {
    let mut text = [b'-'; 38];
    text[0] = b'"';
    let mut at = 1;
    for (i, byte) in id.iter().enumerate() {
        at += usize::from(dashes && matches!(i, 4 | 6 | 8 | 10));
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    text[at] = b'"';
    out.extend_from_slice(&text[..=at]);
}

pub(super) fn integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(value.to_string().as_bytes());
}

pub(super) fn key(out: &mut Vec<u8>, key: &Key) {
    match key {
        Key::Int(value) => integer(out, *value),
        Key::Str(value) => text(out, value),
    }
}

/// Appends a value of a dimension record: bytes in hexadecimal, timespans as two numbers.
pub(super) fn value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Int(value) => integer(out, *value),
        Value::Float(value) => float(out, *value),
        Value::Str(value) => text(out, value),
        Value::Bytes(bytes) => {
            out.push(b'"');
            for byte in bytes.iter() {
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            out.push(b'"');
        }
        Value::Uuid(value) => id(out, value, true),
        Value::Timespan(span) => {
            out.push(b'[');
            integer(out, span.begin());
            out.push(b',');
            integer(out, span.end());
            out.push(b']');
        }
    }
}

/// Appends a double; JSON has no word for those that are not finite, and neither have databases: they are unknown.
fn float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        // Shortest digits that read back to the same double, always with a point or an exponent.
        out.extend_from_slice(format!("{value:?}").as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends the items with commas between them.
pub(super) fn list<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Appends the pairs of an object.
pub(super) fn object<'a, T>(
    out: &mut Vec<u8>,
    pairs: impl IntoIterator<Item = (&'a str, T)>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'{');
    for (i, (name, item)) in pairs.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        text(out, name);
        out.push(b':');
        write(out, item);
    }
    out.push(b'}');
}
