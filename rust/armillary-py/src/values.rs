//! Single values across the boundary: keys of data IDs and fields of records.

use crate::{
    errors::{ErrorClass, raise},
    timespan::{PyTimespan, time_to_nanoseconds},
};
use armillary_dimensions::{FieldType, Key, Timespan, Value};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBool, PyBytes, PyFloat, PyInt, PyString, PyTuple},
};
use std::{cell::RefCell, collections::HashSet, sync::Arc};

/// More strings than this are not data ID values that come again and again.
const MOST_INTERNED: usize = 4096;

thread_local! {
    static INTERNED: RefCell<HashSet<Arc<str>>> = RefCell::default();
}

/// What `__reduce__` returns: a callable and its arguments.
pub(crate) type Reduced<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>);

/// A function or class of this module, for `__reduce__`.
pub(crate) fn core_item<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("armillary._core")?.getattr(name)
}

/// One shared copy of a string that is likely to come again: an instrument, a filter, a run.
pub(crate) fn intern(text: &str) -> Arc<str> {
    INTERNED.with_borrow_mut(|interned| {
        if let Some(found) = interned.get(text) {
            return found.clone();
        }
        if interned.len() >= MOST_INTERNED {
            interned.clear();
        }
        let made: Arc<str> = text.into();
        interned.insert(made.clone());
        made
    })
}

/// The value of dimension `name` from a string or an integer, `numpy` scalars among them.
///
/// A float is taken when it is a whole number, as a table with missing values gives them; a `bool` never is.
pub(crate) fn key_from_python(name: &str, object: &Bound<'_, PyAny>) -> PyResult<Key> {
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Key::Str(intern(text.to_str()?)));
    }
    match integer_from_python(object)? {
        Some(value) => Ok(Key::Int(value)),
        None => Err(raise(
            object.py(),
            ErrorClass::DimensionValueError,
            &format!(
                "`{}` cannot be a value of dimension `{name}`; give an integer of 64 bits or a string",
                shown(object)
            ),
        )),
    }
}

/// An integer of 64 bits from whatever counts as one; none if the object does not.
fn integer_from_python(object: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    if object.is_exact_instance_of::<PyInt>() {
        return Ok(object.extract().ok());
    }
    if object.is_instance_of::<PyBool>() {
        return Ok(None);
    }
    if let Some(value) = whole_number(object) {
        return Ok(Some(value));
    }
    if object.hasattr("__index__")? && !is_numpy_bool(object)? {
        return Ok(object.extract().ok());
    }
    Ok(None)
}

/// The integer that a float stands for, if it is exact.
fn whole_number(object: &Bound<'_, PyAny>) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    let float = object.cast::<PyFloat>().ok()?.value();
    #[allow(clippy::cast_possible_truncation, reason = "the range was just checked")]
    (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i64)
}

fn is_numpy_bool(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let kind = object.get_type();
    let name = kind.name()?;
    Ok(name == "bool" || name == "bool_")
}

/// An object as a message shows it: its `repr`, cut when long.
pub(crate) fn shown(object: &Bound<'_, PyAny>) -> String {
    let text = object.repr().map_or_else(|_| "?".to_owned(), |repr| repr.to_string());
    if text.chars().count() > 80 { text.chars().take(77).collect::<String>() + "..." } else { text }
}

/// A key as a Python object.
pub(crate) fn key_to_python<'py>(py: Python<'py>, key: &Key) -> Bound<'py, PyAny> {
    match key {
        Key::Int(value) => PyInt::new(py, *value).into_any(),
        Key::Str(value) => PyString::new(py, value).into_any(),
    }
}

/// The value of a record field from a Python object. `place` tells, for messages, which it is: `visit.region`.
///
/// Regions are `lsst.sphgeom` objects or their encoded bytes; timespans are `Timespan` objects.
pub(crate) fn value_from_python(
    place: impl FnOnce() -> String,
    kind: FieldType,
    object: &Bound<'_, PyAny>,
) -> PyResult<Value> {
    if object.is_none() {
        return Ok(Value::Null);
    }
    let (value, wanted) = match kind {
        FieldType::Int => (integer_from_python(object)?.map(Value::Int), "an integer of 64 bits"),
        FieldType::Float => (float_from_python(object)?.map(Value::Float), "a number"),
        FieldType::Bool => (bool_from_python(object)?.map(Value::Bool), "true or false"),
        FieldType::String { .. } => {
            let text = object.cast::<PyString>().ok().map(|text| text.to_str().map(intern)).transpose()?;
            (text.map(Value::Str), "a string")
        }
        FieldType::Hash { .. } => {
            (object.extract::<Vec<u8>>().ok().filter(|_| !is_text(object)).map(|b| Value::Bytes(b.into())), "bytes")
        }
        FieldType::Region => (region_from_python(object)?.map(Value::Bytes), "a region of the sky"),
        FieldType::Timespan => (timespan_from_python(object)?.map(Value::Timespan), "a `Timespan`"),
    };
    value.ok_or_else(|| {
        let message = format!("`{}` cannot be the value of `{}`, which takes {wanted}", shown(object), place());
        raise(object.py(), ErrorClass::DimensionValueError, &message)
    })
}

fn is_text(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyString>()
}

fn float_from_python(object: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    if object.is_instance_of::<PyBool>() || is_text(object) || is_numpy_bool(object)? {
        return Ok(None);
    }
    Ok(object.extract().ok())
}

fn bool_from_python(object: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    if object.is_instance_of::<PyBool>() || is_numpy_bool(object)? {
        return object.is_truthy().map(Some);
    }
    // Databases and YAML files spell booleans as 0 and 1, too.
    Ok(integer_from_python(object)?.and_then(|value| match value {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }))
}

/// The encoded bytes of a region.
pub(crate) fn region_from_python(object: &Bound<'_, PyAny>) -> PyResult<Option<Arc<[u8]>>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Some(bytes.as_bytes().into()));
    }
    if is_text(object) {
        return Ok(None);
    }
    let Some(encode) = object.getattr_opt(pyo3::intern!(object.py(), "encode"))? else { return Ok(None) };
    Ok(encode.call0()?.cast::<PyBytes>().ok().map(|bytes| bytes.as_bytes().into()))
}

/// The `lsst.sphgeom` object of an encoded region.
pub(crate) fn region_to_python<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    py.import("lsst.sphgeom")?.getattr("Region")?.call_method1("decode", (PyBytes::new(py, bytes),))
}

/// A timespan from a `Timespan`, a time, or a pair of nanoseconds.
pub(crate) fn timespan_from_python(object: &Bound<'_, PyAny>) -> PyResult<Option<Timespan>> {
    if let Ok(timespan) = object.cast::<PyTimespan>() {
        return Ok(Some(timespan.get().0));
    }
    if let Some(nanoseconds) = time_to_nanoseconds(object)? {
        return Ok(Some(Timespan::instant(nanoseconds)));
    }
    if let Ok(pair) = object.cast::<PyTuple>() {
        let bounds: Option<(i64, i64)> = pair.extract().ok();
        return Ok(bounds.map(|(begin, end)| Timespan::new(begin, end)));
    }
    Ok(None)
}

/// The value of a record field as a Python object.
pub(crate) fn value_to_python<'py>(py: Python<'py>, kind: FieldType, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Bytes(bytes) if kind == FieldType::Region => region_to_python(py, bytes),
        _ => plain_to_python(py, value),
    }
}

/// A value as a Python object; bytes stay bytes.
pub(crate) fn plain_to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Value::Int(value) => PyInt::new(py, *value).into_any(),
        Value::Float(value) => PyFloat::new(py, *value).into_any(),
        Value::Str(value) => PyString::new(py, value).into_any(),
        Value::Bytes(value) => PyBytes::new(py, value).into_any(),
        Value::Uuid(value) => uuid_to_python(py, value)?,
        Value::Timespan(value) => Bound::new(py, PyTimespan(*value))?.into_any(),
    })
}

/// What makes a `uuid.UUID`: the class, what sets its attributes, and the value of one of them.
struct UuidParts {
    class: Py<PyAny>,
    make: Py<PyAny>,
    set: Py<PyAny>,
    unknown_safety: Py<PyAny>,
}

/// An id as a `uuid.UUID`. Its initializer takes most forms of an id, and twice the time of this.
pub(crate) fn uuid_to_python<'py>(py: Python<'py>, id: &[u8; 16]) -> PyResult<Bound<'py, PyAny>> {
    use pyo3::{intern, sync::PyOnceLock};
    static PARTS: PyOnceLock<UuidParts> = PyOnceLock::new();
    let parts = PARTS.get_or_try_init(py, || {
        let module = py.import("uuid")?;
        let object = py.import("builtins")?.getattr("object")?;
        Ok::<_, PyErr>(UuidParts {
            class: module.getattr("UUID")?.unbind(),
            make: object.getattr("__new__")?.unbind(),
            set: object.getattr("__setattr__")?.unbind(), // that of the class refuses: ids do not change
            unknown_safety: module.getattr("SafeUUID")?.getattr("unknown")?.unbind(),
        })
    })?;
    let made = parts.make.bind(py).call1((&parts.class,))?;
    let set = parts.set.bind(py);
    set.call1((&made, intern!(py, "int"), u128::from_be_bytes(*id)))?;
    set.call1((&made, intern!(py, "is_safe"), &parts.unknown_safety))?;
    Ok(made)
}

/// An id from a `uuid.UUID`, its text, or its bytes.
pub(crate) fn uuid_from_python(object: &Bound<'_, PyAny>) -> PyResult<[u8; 16]> {
    if let Ok(text) = object.cast::<PyString>() {
        if let Ok(id) = uuid::Uuid::parse_str(text.to_str()?) {
            return Ok(id.into_bytes());
        }
    } else if let Ok(Some(bytes)) = object.getattr_opt("bytes")
        && let Ok(bytes) = bytes.cast::<PyBytes>()
        && let Ok(id) = bytes.as_bytes().try_into()
    {
        return Ok(id);
    } else if let Ok(id) = object.extract::<[u8; 16]>() {
        return Ok(id);
    }
    Err(PyTypeError::new_err(format!("`{}` is not a UUID", shown(object))))
}
