//! The JSON forms of value objects, and the small objects that stand for them in Python.

use crate::{universe::PyDimensionUniverse, values::shown};
use armillary_dimensions::{FieldType, Key, Timespan, Value};
use pyo3::{
    exceptions::{PyAttributeError, PyValueError},
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple},
};
use serde_json::{Map, Value as Json};

/// What `to_simple` returns: a value object as plain data, with the methods of the peer's models.
#[pyclass(name = "Simple", frozen, mapping, module = "armillary._core")]
pub(crate) struct PySimple {
    pub(crate) kind: &'static str,
    pub(crate) body: Json,
}

impl PySimple {
    pub(crate) fn new(kind: &'static str, body: Json) -> Self {
        Self { kind, body }
    }
}

#[pymethods]
impl PySimple {
    #[pyo3(signature = (*, exclude_defaults = false, exclude_unset = false, exclude_none = false, **_options))]
    fn model_dump<'py>(
        &self,
        py: Python<'py>,
        exclude_defaults: bool,
        exclude_unset: bool,
        exclude_none: bool,
        _options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if exclude_defaults || exclude_unset || exclude_none {
            return json_to_python(py, &without_defaults(self.body.clone()));
        }
        json_to_python(py, &self.body)
    }

    #[pyo3(signature = (*, exclude_defaults = false, exclude_unset = false, exclude_none = false, **_options))]
    fn model_dump_json(
        &self,
        exclude_defaults: bool,
        exclude_unset: bool,
        exclude_none: bool,
        _options: Option<&Bound<'_, PyDict>>,
    ) -> String {
        if exclude_defaults || exclude_unset || exclude_none {
            return without_defaults(self.body.clone()).to_string();
        }
        self.body.to_string()
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        match self.body.get(name) {
            Some(value) => json_to_python(py, value),
            None => Err(PyAttributeError::new_err(format!("`{}` has no field `{name}`", self.kind))),
        }
    }

    fn __getitem__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.__getattr__(py, name)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().body == self.body)
    }

    fn __repr__(&self) -> String {
        format!("{}({})", self.kind, self.body)
    }
}

/// A copy of a model's JSON without the members that have their default.
pub(crate) fn without_defaults(json: Json) -> Json {
    let Json::Object(members) = json else { return json };
    let kept = members.into_iter().filter_map(|(name, value)| match (name.as_str(), value) {
        (_, Json::Null) | ("isCalibration", Json::Bool(false)) => None,
        ("datasetType", value) => Some((name, without_defaults(value))),
        ("dataId", value) if value.get("dataId").is_some() => Some((name, without_defaults(value))),
        (_, value) => Some((name, value)),
    });
    Json::Object(kept.collect())
}

/// The universe given as such or by a registry.
pub(crate) fn universe_of<'py>(
    universe: Option<&Bound<'py, PyDimensionUniverse>>,
    registry: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDimensionUniverse>> {
    match (universe, registry) {
        (Some(universe), _) => Ok(universe.clone()),
        (None, Some(registry)) => Ok(registry.getattr("dimensions")?.cast_into().map_err(PyErr::from)?),
        (None, None) => {
            Err(PyValueError::new_err("give `universe` or `registry`: plain data does not tell its universe"))
        }
    }
}

/// The JSON of what `from_simple` was given: one of our simple objects, a mapping, or a model of another library.
pub(crate) fn simple_to_json(object: &Bound<'_, PyAny>) -> PyResult<Json> {
    if let Ok(simple) = object.cast::<PySimple>() {
        return Ok(simple.get().body.clone());
    }
    if let Some(dump) = object.getattr_opt("model_dump_json")? {
        return parse_json(&dump.call0()?);
    }
    json_from_python(object)
}

/// Parses JSON text or bytes.
pub(crate) fn parse_json(text: &Bound<'_, PyAny>) -> PyResult<Json> {
    let parsed = match text.cast::<PyString>() {
        Ok(text) => serde_json::from_str(text.to_str()?),
        Err(_) => serde_json::from_slice(&text.extract::<Vec<u8>>()?),
    };
    parsed.map_err(|error| PyValueError::new_err(format!("the text is not JSON: {error}")))
}

/// JSON as Python objects.
pub(crate) fn json_to_python<'py>(py: Python<'py>, json: &Json) -> PyResult<Bound<'py, PyAny>> {
    Ok(match json {
        Json::Null => py.None().into_bound(py),
        Json::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Json::Number(number) => match number.as_i64() {
            Some(value) => PyInt::new(py, value).into_any(),
            None => PyFloat::new(py, number.as_f64().unwrap_or(f64::NAN)).into_any(),
        },
        Json::String(text) => PyString::new(py, text).into_any(),
        Json::Array(items) => {
            let items: PyResult<Vec<_>> = items.iter().map(|item| json_to_python(py, item)).collect();
            PyList::new(py, items?)?.into_any()
        }
        Json::Object(members) => {
            let dict = PyDict::new(py);
            for (name, value) in members {
                dict.set_item(name, json_to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

/// Python objects as JSON: what `json.dumps` takes, and value objects that know their JSON.
pub(crate) fn json_from_python(object: &Bound<'_, PyAny>) -> PyResult<Json> {
    if object.is_none() {
        return Ok(Json::Null);
    }
    if let Ok(value) = object.cast::<PyBool>() {
        return Ok(Json::Bool(value.is_true()));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Json::String(text.to_str()?.to_owned()));
    }
    if let Ok(value) = object.extract::<i64>() {
        return Ok(value.into());
    }
    if let Ok(value) = object.cast::<PyFloat>() {
        return Ok(serde_json::Number::from_f64(value.value()).map_or(Json::Null, Json::Number));
    }
    if let Ok(members) = object.cast::<PyDict>() {
        let members: PyResult<Map<String, Json>> =
            members.iter().map(|(name, value)| Ok((name.extract()?, json_from_python(&value)?))).collect();
        return members.map(Json::Object);
    }
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        let items: PyResult<Vec<Json>> = object.try_iter()?.map(|item| json_from_python(&item?)).collect();
        return items.map(Json::Array);
    }
    if let Some(dump) = object.getattr_opt("model_dump_json")? {
        return parse_json(&dump.call0()?);
    }
    if object.hasattr("hex")? {
        // A UUID.
        return Ok(Json::String(object.str()?.to_string()));
    }
    if object.hasattr("keys")? {
        let dict = object.py().get_type::<PyDict>().call1((object,))?;
        return json_from_python(&dict);
    }
    Err(PyValueError::new_err(format!("`{}` has no JSON form", shown(object))))
}

pub(crate) fn key_to_json(key: &Key) -> Json {
    match key {
        Key::Int(value) => (*value).into(),
        Key::Str(value) => Json::String(value.to_string()),
    }
}

/// A record's value: bytes as hexadecimal digits, a timespan as its two bounds.
pub(crate) fn value_to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => serde_json::Number::from_f64(*value).map_or(Json::Null, Json::Number),
        Value::Str(value) => Json::String(value.to_string()),
        Value::Bytes(value) => Json::String(hex(value)),
        Value::Uuid(value) => Json::String(uuid::Uuid::from_bytes(*value).to_string()),
        Value::Timespan(value) => vec![value.begin(), value.end()].into(),
    }
}

/// The value of a field from its JSON form; none if the JSON does not fit the field.
pub(crate) fn value_from_json(kind: FieldType, json: &Json) -> Option<Value> {
    if json.is_null() {
        return Some(Value::Null);
    }
    match kind {
        FieldType::Int => json.as_i64().map(Value::Int),
        FieldType::Float => json.as_f64().map(Value::Float),
        FieldType::Bool => json.as_bool().or_else(|| json.as_i64().map(|value| value != 0)).map(Value::Bool),
        FieldType::String { .. } => json.as_str().map(|text| Value::Str(text.into())),
        FieldType::Hash { .. } | FieldType::Region => {
            json.as_str().and_then(unhex).map(|bytes| Value::Bytes(bytes.into()))
        }
        FieldType::Timespan => match json.as_array()?.as_slice() {
            [begin, end] => Some(Value::Timespan(Timespan::new(begin.as_i64()?, end.as_i64()?))),
            _ => None,
        },
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PySimple>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_to_digits_and_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        assert_eq!((unhex("abc"), unhex("zz"), unhex("é")), (None, None, None));
    }
}
