//! Plain Python values as YAML, spelled as the library spells them, which writes all that is not so plain.

use crate::yaml_scalars::{self, Plain};
use pyo3::{
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple},
};

const MOST_LEVELS: usize = 100;
/// The library begins a new line in text that would go on beyond this column, and spells longer keys in another way.
const WIDTH: usize = 80;

#[pyfunction]
fn write_yaml(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let mut text = String::new();
    let written = if let Ok(mapping) = value.cast_exact::<PyDict>() {
        !mapping.is_empty() && write_mapping(&mut text, mapping, 0)?
    } else if let Some(items) = items(value) {
        !items.is_empty() && write_sequence(&mut text, &items, 0)?
    } else {
        false
    };
    Ok(written.then_some(text))
}

/// The items of a list or tuple.
fn items<'py>(value: &Bound<'py, PyAny>) -> Option<Vec<Bound<'py, PyAny>>> {
    if let Ok(list) = value.cast_exact::<PyList>() {
        return Some(list.iter().collect());
    }
    value.cast_exact::<PyTuple>().ok().map(|tuple| tuple.iter().collect())
}

/// Writes the lines of a mapping, the first of them without indentation; false if a value is none of the plain ones.
fn write_mapping(text: &mut String, mapping: &Bound<'_, PyDict>, indent: usize) -> PyResult<bool> {
    for (position, (key, value)) in mapping.iter().enumerate() {
        if position > 0 {
            text.extend(std::iter::repeat_n(' ', indent));
        }
        let from = text.len();
        if !write_scalar(text, &key)? || text.len() - from > WIDTH {
            return Ok(false);
        }
        text.push(':');
        if !write_value(text, &value, indent, indent + 2)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// As [`write_mapping`], for a sequence.
fn write_sequence(text: &mut String, items: &[Bound<'_, PyAny>], indent: usize) -> PyResult<bool> {
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            text.extend(std::iter::repeat_n(' ', indent));
        }
        text.push('-');
        let done = if let Some(mapping) = item.cast_exact::<PyDict>().ok().filter(|mapping| !mapping.is_empty()) {
            text.push(' ');
            indent / 2 < MOST_LEVELS && write_mapping(text, mapping, indent + 2)?
        } else if let Some(items) = self::items(item).filter(|items| !items.is_empty()) {
            text.push(' ');
            indent / 2 < MOST_LEVELS && write_sequence(text, &items, indent + 2)?
        } else {
            write_value(text, item, indent, indent)?
        };
        if !done {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes what stands behind a key or dash: on the same line, or in lines below it.
fn write_value(text: &mut String, value: &Bound<'_, PyAny>, sequence: usize, mapping: usize) -> PyResult<bool> {
    let below = |text: &mut String, indent: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', indent));
        indent / 2 < MOST_LEVELS
    };
    if let Ok(inner) = value.cast_exact::<PyDict>() {
        if inner.is_empty() {
            text.push_str(" {}\n");
            return Ok(true);
        }
        return Ok(below(text, mapping) && write_mapping(text, inner, mapping)?);
    }
    if let Some(items) = items(value) {
        if items.is_empty() {
            text.push_str(" []\n");
            return Ok(true);
        }
        return Ok(below(text, sequence) && write_sequence(text, &items, sequence)?);
    }
    text.push(' ');
    let line = text.rfind('\n').map_or(0, |end| end + 1);
    let from = text.len();
    let written = write_scalar(text, value)? && (text.len() - line < WIDTH || !text[from..].contains(' '));
    text.push('\n');
    Ok(written)
}

fn write_scalar(text: &mut String, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Ok(string) = value.cast_exact::<PyString>() {
        let Ok(string) = string.to_str() else { return Ok(false) };
        return Ok(write_text(text, string));
    }
    if let Ok(number) = value.cast_exact::<PyFloat>() {
        write_float(text, number)?;
    } else if let Ok(truth) = value.cast_exact::<PyBool>() {
        text.push_str(if truth.is_true() { "true" } else { "false" });
    } else if value.is_exact_instance_of::<PyInt>() {
        let Ok(number) = value.extract::<i64>() else { return Ok(false) };
        text.push_str(&number.to_string());
    } else if value.is_none() {
        text.push_str("null");
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn write_float(text: &mut String, number: &Bound<'_, PyFloat>) -> PyResult<()> {
    let value = number.value();
    if value.is_finite() {
        let shown = number.repr()?;
        let shown = shown.to_str()?;
        match shown.split_once('e') {
            // YAML 1.1 takes no number for one that has an exponent and no point.
            Some((digits, exponent)) if !digits.contains('.') => {
                text.extend([digits, ".0e", exponent]);
            }
            _ => text.push_str(shown),
        }
    } else if value.is_nan() {
        text.push_str(".nan");
    } else {
        text.push_str(if value > 0.0 { ".inf" } else { "-.inf" });
    }
    Ok(())
}

/// Writes text that needs no quotes, or only because it could be taken for something else.
fn write_text(text: &mut String, string: &str) -> bool {
    let bytes = string.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    let ordinary = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./+-:".contains(byte);
    let is_one_word = bytes.iter().all(ordinary);
    let is_plain = is_one_word
        || (bytes.iter().all(|byte| *byte == b' ' || ordinary(byte))
            && !bytes.windows(2).any(|pair| pair == b"  " || pair == b": "));
    if !is_plain || !(first.is_ascii_alphanumeric() || matches!(first, b'_' | b'/')) || matches!(last, b' ' | b':') {
        return false;
    }
    match yaml_scalars::resolve(string) {
        Plain::Text => text.push_str(string),
        Plain::Time => return false, // or nearly one
        _ if !is_one_word => return false,
        _ => text.extend(["'", string, "'"]),
    }
    true
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(write_yaml, module)?)
}
