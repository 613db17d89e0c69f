//! `DimensionRecord`.

use crate::{
    data_coordinate::PyDataCoordinate,
    element::PyDimensionElement,
    errors::{ErrorClass, raise},
    schema::PyRecordSchema,
    simple::{
        PySimple, json_from_python, json_to_python, parse_json, simple_to_json, universe_of, value_from_json,
        value_to_json,
    },
    universe::{PyDimensionUniverse, wrap_universe},
    values::{Reduced, core_item, plain_to_python, region_to_python, value_from_python, value_to_python},
};
use armillary_dimensions::{Element, ElementIndex, Field, FieldRole, FieldType, Record, Universe, Value, nearest};
use pyo3::{
    exceptions::{PyAttributeError, PyTypeError, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyString, PyTuple},
};
use serde_json::{Map, Value as Json};
use std::{
    fmt::Write,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// One row of a dimension element.
#[pyclass(name = "DimensionRecord", frozen, module = "armillary._core")]
pub(crate) struct PyDimensionRecord {
    pub(crate) record: Record,
    region: PyOnceLock<Py<PyAny>>,
}

/// What makes records of one element; the peer has a class for each.
#[pyclass(name = "RecordClass", frozen, module = "armillary._core")]
pub(crate) struct PyRecordClass {
    universe: Arc<Universe>,
    element: ElementIndex,
}

impl From<Record> for PyDimensionRecord {
    fn from(record: Record) -> Self {
        Self { record, region: PyOnceLock::new() }
    }
}

impl PyDimensionRecord {
    /// A record with these values, in field order; regions are encoded bytes.
    pub(crate) fn new(universe: Arc<Universe>, element: ElementIndex, values: Arc<[Value]>) -> Self {
        Record::new(universe, element, values).into()
    }

    fn field_to_python<'py>(&self, py: Python<'py>, field: &Field, value: &Value) -> PyResult<Bound<'py, PyAny>> {
        match value {
            Value::Bytes(bytes) if field.kind == FieldType::Region => {
                let made = self.region.get_or_try_init(py, || region_to_python(py, bytes).map(Bound::unbind));
                Ok(made?.bind(py).clone())
            }
            _ => value_to_python(py, field.kind, value),
        }
    }

    fn find<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = self.record.iter().find(|(field, _)| field.name == name);
        found.map(|(field, value)| self.field_to_python(py, field, value)).transpose()
    }

    fn unknown(&self, name: &str) -> String {
        let element = self.record.element();
        unknown_field(element, name)
    }
}

fn unknown_field(element: &Element, name: &str) -> String {
    let names = || element.fields.iter().map(|field| field.name.as_str());
    if let Some(near) = nearest(name, names()) {
        return format!("`{}` records have no field `{name}`; did you mean `{near}`?", element.name);
    }
    let known: Vec<&str> = names().collect();
    format!("`{}` records have no field `{name}`; they have {}", element.name, known.join(", "))
}

/// The record that a dict of fields describes. An element's own key may go by the name of the dimension, too.
pub(crate) fn record_from_dict(
    py: Python<'_>,
    universe: &Arc<Universe>,
    element: &Element,
    fields: &Bound<'_, PyDict>,
) -> PyResult<Record> {
    let mut values = vec![Value::Null; element.fields.len()];
    let mut own_key_given_as: Option<Value> = None;
    for (name, object) in fields.iter() {
        let name = name.extract::<&str>()?;
        let own = |field: &Field| field.role == FieldRole::Required(element.index) && name == element.name;
        let Some(at) = element.fields.iter().position(|field| field.name == name || own(field)) else {
            return Err(PyTypeError::new_err(unknown_field(element, name)));
        };
        let field = &element.fields[at];
        let place = || format!("{}.{}", element.name, field.name);
        let value = value_from_python(place, field.kind, &object)?;
        if field.role == FieldRole::Required(element.index) {
            if let Some(other) = &own_key_given_as
                && *other != value
            {
                let message = format!("`{}` is given twice, as {} and as {}", place(), text(other), text(&value));
                return Err(raise(py, ErrorClass::DimensionValueError, &message));
            }
            own_key_given_as = Some(value.clone());
        }
        values[at] = value;
    }
    for (field, value) in element.fields.iter().zip(&values) {
        if let FieldRole::Required(dimension) = field.role
            && *value == Value::Null
        {
            let class = if dimension == element.index {
                ErrorClass::DimensionValueError
            } else {
                ErrorClass::DimensionNameError
            };
            return Err(raise(py, class, &format!("a `{}` record needs a value for `{}`", element.name, field.name)));
        }
    }
    Ok(Record::new(universe.clone(), element.index, values.into()))
}

/// The record that a `DimensionRecord`, or a mapping of fields, describes.
pub(crate) fn record_from_python(
    universe: &Arc<Universe>,
    element: &Element,
    object: &Bound<'_, PyAny>,
) -> PyResult<Record> {
    if let Ok(record) = object.cast::<PyDimensionRecord>() {
        let record = &record.get().record;
        if record.element().name == element.name {
            return Ok(record.clone());
        }
        return Err(PyTypeError::new_err(format!(
            "a `{}` record is not a `{}` record",
            record.element().name,
            element.name
        )));
    }
    let py = object.py();
    if let Ok(fields) = object.cast::<PyDict>() {
        return record_from_dict(py, universe, element, fields);
    }
    record_from_dict(py, universe, element, py.get_type::<PyDict>().call1((object,))?.cast()?)
}

/// The record in its JSON form.
pub(crate) fn record_to_json(record: &Record) -> Json {
    let fields: Map<String, Json> =
        record.iter().map(|(field, value)| (field.name.clone(), value_to_json(value))).collect();
    let mut json = Map::new();
    json.insert("definition".to_owned(), record.element().name.clone().into());
    json.insert("record".to_owned(), Json::Object(fields));
    Json::Object(json)
}

/// A record from its JSON form.
pub(crate) fn record_from_json(universe: &Arc<Universe>, json: &Json) -> PyResult<Record> {
    let bad = |what: &str| PyValueError::new_err(format!("the JSON of a dimension record cannot be used: {what}"));
    let name = json.get("definition").and_then(Json::as_str).ok_or_else(|| bad("it has no `definition`"))?;
    let element = universe.find(name).ok_or_else(|| bad(&format!("no dimension is called `{name}`")))?;
    let fields = json.get("record").and_then(Json::as_object).ok_or_else(|| bad("it has no `record`"))?;
    if let Some(name) = fields.keys().find(|name| element.field(name).is_none()) {
        return Err(bad(&unknown_field(element, name)));
    }
    let values: PyResult<Vec<Value>> = element
        .fields
        .iter()
        .map(|field| {
            let json = fields.get(&field.name).unwrap_or(&Json::Null);
            value_from_json(field.kind, json)
                .ok_or_else(|| bad(&format!("`{json}` does not fit field `{}`", field.name)))
        })
        .collect();
    Ok(Record::new(universe.clone(), element.index, values?.into()))
}

/// A float as Python writes it: an exponent has a sign and two digits.
fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    let text = format!("{value:?}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(value) => if *value { "True" } else { "False" }.to_owned(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => float_text(*value),
        Value::Str(value) => armillary_dimensions::Key::Str(value.clone()).to_string(),
        Value::Bytes(value) => format!("{} bytes", value.len()),
        Value::Uuid(value) => uuid::Uuid::from_bytes(*value).to_string(),
        Value::Timespan(value) => crate::timespan::text(*value),
    }
}

/// What a region is, without its pages of vertices.
fn region_text(bytes: &[u8]) -> String {
    match bytes.first() {
        Some(b'p') => format!("ConvexPolygon({} vertices)", bytes.len() / 24),
        Some(b'b') => "Box".to_owned(),
        Some(b'c') => "Circle".to_owned(),
        Some(b'e') => "Ellipse".to_owned(),
        Some(b'u') => "UnionRegion".to_owned(),
        Some(b'i') => "IntersectionRegion".to_owned(),
        _ => format!("{} bytes", bytes.len()),
    }
}

fn field_text(py: Python<'_>, field: &Field, value: &Value) -> PyResult<String> {
    match value {
        Value::Bytes(bytes) if field.kind == FieldType::Region => Ok(region_text(bytes)),
        Value::Str(_) | Value::Bytes(_) => Ok(plain_to_python(py, value)?.repr()?.to_string()),
        _ => Ok(text(value)),
    }
}

#[pymethods]
impl PyDimensionRecord {
    #[getter]
    fn definition(&self, py: Python<'_>) -> PyResult<Py<PyDimensionElement>> {
        wrap_universe(py, self.record.universe())?.get().element(py, self.record.element().index)
    }

    #[getter]
    fn fields(&self) -> PyRecordSchema {
        PyRecordSchema::new(self.record.universe(), self.record.element().index)
    }

    #[getter]
    #[pyo3(name = "dataId")]
    fn data_id(&self) -> PyResult<PyDataCoordinate> {
        let id =
            self.record.data_id().ok_or_else(|| PyValueError::new_err("the record has no value for one of its keys"));
        Ok(PyDataCoordinate::new(id?, None))
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.find(py, name)?.ok_or_else(|| PyAttributeError::new_err(self.unknown(name)))
    }

    fn __dir__(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let class: Vec<String> = py.get_type::<Self>().dir()?.extract()?;
        Ok(self.record.element().fields.iter().map(|field| field.name.clone()).chain(class).collect())
    }

    fn get<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.find(py, name)?.ok_or_else(|| raise(py, ErrorClass::DimensionNameError, &self.unknown(name)))
    }

    #[pyo3(name = "toDict", signature = (splitTimespan = false))]
    #[allow(non_snake_case, reason = "the keyword's name")]
    fn to_dict<'py>(&self, py: Python<'py>, splitTimespan: bool) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (field, value) in self.record.iter() {
            let object = self.field_to_python(py, field, value)?;
            if splitTimespan && field.kind == FieldType::Timespan {
                let known = !object.is_none();
                for (name, bound) in [("datetime_begin", "begin"), ("datetime_end", "end")] {
                    dict.set_item(name, if known { object.getattr(bound)? } else { py.None().into_bound(py) })?;
                }
            } else {
                dict.set_item(&field.name, object)?;
            }
        }
        Ok(dict)
    }

    #[pyo3(signature = (minimal = false))]
    fn to_simple(&self, minimal: bool) -> PySimple {
        let _ = minimal; // A record has no shorter form.
        PySimple::new("SerializedDimensionRecord", record_to_json(&self.record))
    }

    #[pyo3(signature = (minimal = false))]
    fn to_json(&self, minimal: bool) -> String {
        let _ = minimal;
        record_to_json(&self.record).to_string()
    }

    #[staticmethod]
    #[pyo3(signature = (simple, universe = None, registry = None, cacheKey = None))]
    #[allow(non_snake_case, reason = "the keyword's name")]
    fn from_simple(
        simple: &Bound<'_, PyAny>,
        universe: Option<&Bound<'_, PyDimensionUniverse>>,
        registry: Option<&Bound<'_, PyAny>>,
        cacheKey: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        drop(cacheKey);
        let universe = universe_of(universe, registry)?;
        record_from_json(&universe.get().universe, &simple_to_json(simple)?).map(Self::from)
    }

    #[staticmethod]
    #[pyo3(signature = (json_str, universe = None, registry = None))]
    fn from_json(
        json_str: &Bound<'_, PyAny>,
        universe: Option<&Bound<'_, PyDimensionUniverse>>,
        registry: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let universe = universe_of(universe, registry)?;
        record_from_json(&universe.get().universe, &parse_json(json_str)?).map(Self::from)
    }

    fn serialize_key_value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json_to_python(py, &self.record.values().iter().map(value_to_json).collect::<Vec<_>>().into())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().record == self.record)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.record.element().index.hash(&mut hasher);
        self.record.data_id().hash(&mut hasher);
        hasher.finish()
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        let mut shown = format!("{}:", self.record.element().name);
        for (field, value) in self.record.iter() {
            let _ = write!(shown, "\n  {}: {}", field.name, field_text(py, field, value)?);
        }
        Ok(shown)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields: PyResult<Vec<String>> = self
            .record
            .iter()
            .map(|(field, value)| {
                let shown = match value {
                    Value::Timespan(_) => plain_to_python(py, value)?.repr()?.to_string(),
                    _ => field_text(py, field, value)?,
                };
                Ok(format!("{}={shown}", field.name))
            })
            .collect();
        Ok(format!("{}.RecordClass({})", self.record.element().name, fields?.join(", ")))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let values: PyResult<Vec<_>> = self.record.values().iter().map(|value| plain_to_python(py, value)).collect();
        let universe = wrap_universe(py, self.record.universe())?;
        let arguments = (universe, &self.record.element().name, PyTuple::new(py, values?)?).into_pyobject(py)?;
        Ok((core_item(py, "_dimension_record")?, arguments))
    }
}

impl PyRecordClass {
    pub(crate) fn new(universe: &Arc<Universe>, element: ElementIndex) -> Self {
        Self { universe: universe.clone(), element }
    }

    fn element(&self) -> &Element {
        self.universe.get(self.element)
    }
}

#[pymethods]
impl PyRecordClass {
    #[pyo3(signature = (**fields))]
    fn __call__(&self, py: Python<'_>, fields: Option<&Bound<'_, PyDict>>) -> PyResult<PyDimensionRecord> {
        let none = PyDict::new(py);
        record_from_dict(py, &self.universe, self.element(), fields.unwrap_or(&none)).map(PyDimensionRecord::from)
    }

    #[getter]
    fn definition(&self, py: Python<'_>) -> PyResult<Py<PyDimensionElement>> {
        wrap_universe(py, &self.universe)?.get().element(py, self.element)
    }

    #[getter]
    fn fields(&self) -> PyRecordSchema {
        PyRecordSchema::new(&self.universe, self.element)
    }

    #[getter]
    fn __qualname__(&self) -> String {
        self.__name__()
    }

    #[getter]
    fn __name__(&self) -> String {
        format!("{}.RecordClass", self.element().name)
    }

    fn __instancecheck__(&self, instance: &Bound<'_, PyAny>) -> bool {
        instance
            .cast::<PyDimensionRecord>()
            .is_ok_and(|record| record.get().record.element().name == self.element().name)
    }

    #[pyo3(signature = (simple, universe = None, registry = None))]
    fn from_simple(
        &self,
        simple: &Bound<'_, PyAny>,
        universe: Option<&Bound<'_, PyDimensionUniverse>>,
        registry: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyDimensionRecord> {
        let _ = (universe, registry);
        record_from_json(&self.universe, &simple_to_json(simple)?).map(PyDimensionRecord::from)
    }

    #[pyo3(signature = (json_str, universe = None, registry = None))]
    fn from_json(
        &self,
        json_str: &Bound<'_, PyAny>,
        universe: Option<&Bound<'_, PyDimensionUniverse>>,
        registry: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyDimensionRecord> {
        let _ = (universe, registry);
        record_from_json(&self.universe, &parse_json(json_str)?).map(PyDimensionRecord::from)
    }

    /// Splits the compact form into the values of the key and the rest.
    fn deserialize_key<'py>(&self, raw: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyAny>)> {
        let values: Vec<Bound<'py, PyAny>> = raw.extract()?;
        let split = self.element().required.len().min(values.len());
        let rest = pyo3::types::PyList::new(raw.py(), &values[split..])?;
        Ok((PyTuple::new(raw.py(), &values[..split])?, rest.into_any()))
    }

    /// The record of a key and the rest of its compact form.
    fn deserialize_value(&self, key: &Bound<'_, PyTuple>, raw_value: &Bound<'_, PyAny>) -> PyResult<PyDimensionRecord> {
        let Json::Array(mut values) = json_from_python(key.as_any())? else {
            return Err(PyTypeError::new_err("no key"));
        };
        let Json::Array(rest) = json_from_python(raw_value)? else { return Err(PyTypeError::new_err("no values")) };
        values.extend(rest);
        compact_to_record(&self.universe, self.element(), &values).map(PyDimensionRecord::from)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().element().name == self.element().name)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyString::new(py, &self.__name__()).hash()
    }

    fn __repr__(&self) -> String {
        format!("<class '{}'>", self.__name__())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let arguments = (self.definition(py)?, "RecordClass").into_pyobject(py)?;
        Ok((py.import("builtins")?.getattr("getattr")?, arguments))
    }
}

/// The record of a compact list of values, in field order.
pub(crate) fn compact_to_record(universe: &Arc<Universe>, element: &Element, values: &[Json]) -> PyResult<Record> {
    if values.len() != element.fields.len() {
        let message = format!("a `{}` record has {} values, not {}", element.name, element.fields.len(), values.len());
        return Err(PyValueError::new_err(message));
    }
    let values: PyResult<Vec<Value>> = element
        .fields
        .iter()
        .zip(values)
        .map(|(field, json)| {
            value_from_json(field.kind, json).ok_or_else(|| {
                PyValueError::new_err(format!("`{json}` does not fit field `{}` of `{}`", field.name, element.name))
            })
        })
        .collect();
    Ok(Record::new(universe.clone(), element.index, values?.into()))
}

#[pyfunction]
fn _dimension_record(
    py: Python<'_>,
    universe: &PyDimensionUniverse,
    element: &str,
    values: Vec<Bound<'_, PyAny>>,
) -> PyResult<PyDimensionRecord> {
    let universe = &universe.universe;
    let element = universe.element(element).map_err(|error| crate::errors::to_python(py, &error))?;
    if values.len() != element.fields.len() {
        return Err(PyValueError::new_err(format!("`{}` records have {} fields", element.name, element.fields.len())));
    }
    let pairs = element.fields.iter().zip(&values);
    let values: PyResult<Vec<Value>> =
        pairs.map(|(field, object)| value_from_python(|| field.name.clone(), field.kind, object)).collect();
    Ok(PyDimensionRecord::new(universe.clone(), element.index, values?.into()))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyDimensionRecord>()?;
    module.add_class::<PyRecordClass>()?;
    module.add_function(wrap_pyfunction!(_dimension_record, module)?)
}
