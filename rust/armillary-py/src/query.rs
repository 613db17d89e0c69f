//! `QueryEngine`: a whole request in, a lazy sequence over columns out.

use crate::{
    call::enter,
    column_buffers::answer_buffers,
    data_coordinate::PyDataCoordinate,
    datasets::wrap_type,
    errors::{ErrorClass, raise},
    group::group_from_python,
    query_results::{PyDataCoordinates, PyDatasetRefs, PyDimensionRecords, PyRows},
    registry::PyRegistry,
    timespan::{PyTimespan, time_to_nanoseconds},
    values::{key_from_python, region_from_python, shown, uuid_from_python},
};
use armillary_dimensions::{DimensionGroup, ElementIndex, Universe, Value};
use armillary_registry::{
    Registry,
    query::{Bind, Clause, DatasetSearch, QueryRequest, QueryResult, ResultKind, Then, Upload},
};
use indexmap::IndexMap;
use pyo3::{
    IntoPyObjectExt,
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyRange, PySet, PyString, PyTuple},
};
use std::sync::Arc;

/// Answers queries of one repository; safe to use from many threads.
#[pyclass(name = "QueryEngine", frozen, module = "armillary._core")]
pub(crate) struct PyQueryEngine {
    registry: Py<PyRegistry>,
}

impl PyQueryEngine {
    fn registry(&self) -> Arc<Registry> {
        self.registry.get().registry.clone()
    }

    fn request(&self, py: Python<'_>, result: ResultKind, common: &Bound<'_, PyDict>) -> PyResult<QueryRequest> {
        let mut request = QueryRequest::new(result);
        let registry = self.registry();
        for (name, value) in common {
            let name: String = name.extract()?;
            if value.is_none() {
                continue;
            }
            match name.as_str() {
                "dimensions_joined" => {
                    request.dimensions = group_from_python(py, Some(registry.universe()), &value)?.1;
                }
                "data_id" => request.data_id = data_id(&value, registry.universe())?,
                "defaults" => request.defaults = data_id(&value, registry.universe())?,
                "where" => {
                    let known = common.get_item("bind")?.filter(|bind| !bind.is_none());
                    request.clauses = clauses(&value, known.as_ref(), registry.universe())?;
                }
                "bind" => {}
                "joins" => {
                    let joins: Vec<(String, Vec<String>)> = value.extract()?;
                    request.joins = joins
                        .into_iter()
                        .map(|(dataset_type, collections)| DatasetSearch { dataset_type, collections })
                        .collect();
                }
                "uploads" => request.uploads = uploads(&registry, &value)?,
                "order_by" => request.order_by = value.extract()?,
                "limit" => request.limit = Some(value.extract()?),
                "offset" => request.offset = value.extract()?,
                "with_records" => request.with_records = value.extract()?,
                _ => {
                    return Err(PyTypeError::new_err(format!("a query has no argument `{name}`")));
                }
            }
        }
        Ok(request)
    }

    /// The rows of an answer, or what the mode says is wanted of it.
    fn ask<'py>(
        &self,
        py: Python<'py>,
        result: ResultKind,
        mode: &str,
        common: Option<&Bound<'py, PyDict>>,
        rows: impl FnOnce(QueryResult) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let registry = self.registry();
        let common = common.cloned().unwrap_or_else(|| PyDict::new(py));
        let request = self.request(py, result, &common)?;
        match mode {
            "rows" => rows(enter(py, || registry.query(&request))?),
            "columns" => answer_buffers(py, enter(py, || registry.query(&request))?).into_bound_py_any(py),
            "count" => enter(py, || registry.query_count(&request))?.into_bound_py_any(py),
            "any" => enter(py, || registry.query_any(&request))?.into_bound_py_any(py),
            "explain" => enter(py, || registry.query_explain(&request))?.into_bound_py_any(py),
            "funnel" => enter(py, || registry.query_funnel(&request))?.into_bound_py_any(py),
            "sql" => enter(py, || registry.query_sql(&request))?.into_bound_py_any(py),
            "dimensions" => {
                let group = enter(py, || registry.query_dimensions(&request))?;
                let names: Vec<&str> = registry.universe().names(group).collect();
                names.into_bound_py_any(py)
            }
            _ => Err(PyTypeError::new_err(format!(
                "`{mode}` is no mode of a query; it is one of rows, columns, count, any, explain, funnel, sql, dimensions"
            ))),
        }
    }
}

#[pymethods]
impl PyQueryEngine {
    #[new]
    fn new(registry: Py<PyRegistry>) -> Self {
        Self { registry }
    }

    #[pyo3(signature = (dimensions, *, mode = "rows", **common))]
    fn data_ids<'py>(
        &self,
        py: Python<'py>,
        dimensions: &Bound<'py, PyAny>,
        mode: &str,
        common: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let group = group_from_python(py, Some(self.registry().universe()), dimensions)?.1;
        self.ask(py, ResultKind::DataIds(group), mode, common, |answer| {
            Ok(Bound::new(py, PyDataCoordinates::new(answer))?.into_any())
        })
    }

    #[pyo3(signature = (dataset_type, collections, *, find_first = true, mode = "rows", **common))]
    fn datasets<'py>(
        &self,
        py: Python<'py>,
        dataset_type: String,
        collections: Vec<String>,
        find_first: bool,
        mode: &str,
        common: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let search = DatasetSearch { dataset_type, collections };
        self.ask(py, ResultKind::Datasets { search, find_first }, mode, common, |answer| {
            let Some(record) = answer.datasets.as_ref().map(|datasets| datasets.dataset_type.clone()) else {
                return Err(PyTypeError::new_err("the answer has no datasets"));
            };
            let dataset_type = wrap_type(self.registry.get(), py, &record)?;
            Ok(Bound::new(py, PyDatasetRefs::new(answer, dataset_type))?.into_any())
        })
    }

    #[pyo3(signature = (element, *, mode = "rows", **common))]
    fn records<'py>(
        &self,
        py: Python<'py>,
        element: &str,
        mode: &str,
        common: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let registry = self.registry();
        let index: ElementIndex = enter(py, || registry.universe().element(element).map(|element| element.index))?;
        self.ask(py, ResultKind::Records(index), mode, common, |answer| {
            Ok(Bound::new(py, PyDimensionRecords::new(answer))?.into_any())
        })
    }

    #[pyo3(signature = (dimensions, columns, *, find_first = None, mode = "rows", **common))]
    fn general<'py>(
        &self,
        py: Python<'py>,
        dimensions: &Bound<'py, PyAny>,
        columns: Vec<String>,
        find_first: Option<String>,
        mode: &str,
        common: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let group: DimensionGroup = group_from_python(py, Some(self.registry().universe()), dimensions)?.1;
        let kind = ResultKind::General { dimensions: group, columns, find_first };
        self.ask(py, kind, mode, common, |answer| Ok(Bound::new(py, PyRows::new(answer))?.into_any()))
    }
}

/// A text, its binds, and the dimensions and dataset types that the query had.
type ClauseParts<'py> = (String, Bound<'py, PyAny>, Option<(Bound<'py, PyAny>, Vec<String>)>);

/// Conditions: one text or a list of texts that share the binds, or a list of texts with binds of their own and the
/// dimensions and dataset types that the query had when they were added, if it is built step by step.
fn clauses(
    object: &Bound<'_, PyAny>,
    shared: Option<&Bound<'_, PyAny>>,
    universe: &Arc<Universe>,
) -> PyResult<Vec<Clause>> {
    let shared = shared.map(binds).transpose()?.unwrap_or_default();
    let items: Vec<Bound<'_, PyAny>> =
        if object.is_instance_of::<PyString>() { vec![object.clone()] } else { object.extract()? };
    let clause = |item: &Bound<'_, PyAny>| {
        if let Ok(text) = item.extract::<String>() {
            return Ok(Clause { text, binds: shared.clone(), then: None });
        }
        let (text, own, then): ClauseParts<'_> = item.extract()?;
        let then = then.map(|(names, joins)| {
            let (_, dimensions) = group_from_python(object.py(), Some(universe), &names)?;
            PyResult::Ok(Then { dimensions, joins })
        });
        Ok(Clause { text, binds: binds(&own)?, then: then.transpose()? })
    };
    items.iter().map(clause).collect()
}

/// Constraints from a data ID or a mapping, or from several that must all hold.
pub(crate) fn data_id(object: &Bound<'_, PyAny>, universe: &Universe) -> PyResult<Vec<(String, Value)>> {
    if let Ok(coordinate) = object.cast::<PyDataCoordinate>() {
        let id = &coordinate.get().id;
        let name = |index: ElementIndex| id.universe().get(index).name.clone();
        return Ok(id.iter().map(|(index, key)| (name(index), key.clone().into())).collect());
    }
    if let Ok(several) = object.cast::<PyList>() {
        let parts: PyResult<Vec<_>> = several.iter().map(|part| data_id(&part, universe)).collect();
        return Ok(parts?.into_iter().flatten().collect());
    }
    let mapping = object.cast::<PyMapping>().map_err(|_| {
        PyTypeError::new_err(format!("`{}` is neither a data ID nor a mapping of dimension names", shown(object)))
    })?;
    let mut values = Vec::new();
    for item in mapping.items()? {
        let (name, value): (String, Bound<'_, PyAny>) = item.extract()?;
        let value = constraint(&name, &value, universe)?;
        values.push((name, value));
    }
    Ok(values)
}

/// A value that a dimension must have; whether it can have it is for the query to say.
fn constraint(name: &str, object: &Bound<'_, PyAny>, universe: &Universe) -> PyResult<Value> {
    if let Ok(number) = object.cast::<PyFloat>()
        && number.value().fract() != 0.0
    {
        return Ok(Value::Float(number.value()));
    }
    if let Ok(key) = key_from_python(name, object) {
        return Ok(key.into());
    }
    let what = if universe.find(name).is_some() { "dimension " } else { "" };
    let message = format!("`{}` cannot be a value of {what}`{name}`; give an integer or a string", shown(object));
    Err(raise(object.py(), ErrorClass::QueryTypeError, &message))
}

pub(crate) fn binds(object: &Bound<'_, PyAny>) -> PyResult<IndexMap<String, Bind>> {
    let mapping = object.cast::<PyMapping>().map_err(|_| {
        PyTypeError::new_err(format!("`bind` takes a mapping of names to values, not `{}`", shown(object)))
    })?;
    let mut binds = IndexMap::new();
    for item in mapping.items()? {
        let (name, value): (String, Bound<'_, PyAny>) = item.extract()?;
        let bind = bind(&name, &value, true)?;
        binds.insert(name, bind);
    }
    Ok(binds)
}

/// What a bound value is to a query.
fn bind(name: &str, object: &Bound<'_, PyAny>, lists: bool) -> PyResult<Bind> {
    let py = object.py();
    if object.is_none() {
        return Ok(Bind::Value(Value::Null));
    }
    if let Ok(value) = object.cast::<PyBool>() {
        return Ok(Bind::Value(Value::Bool(value.is_true())));
    }
    if object.is_instance_of::<PyInt>() {
        return match object.extract() {
            Ok(value) => Ok(Bind::Value(Value::Int(value))),
            Err(_) => Err(too_large(name, object)),
        };
    }
    if let Ok(value) = object.cast::<PyFloat>() {
        return Ok(Bind::Value(Value::Float(value.value())));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Bind::Value(Value::Str(text.to_str()?.into())));
    }
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Bind::Value(Value::Bytes(bytes.as_bytes().into())));
    }
    if let Ok(timespan) = object.cast::<PyTimespan>() {
        return Ok(Bind::Value(Value::Timespan(timespan.get().0)));
    }
    if lists && let Ok(range) = object.cast::<PyRange>() {
        return range_bind(name, range);
    }
    let sequence = object.is_instance_of::<PyList>()
        || object.is_instance_of::<PyTuple>()
        || object.is_instance_of::<PySet>()
        || object.is_instance_of::<pyo3::types::PyFrozenSet>()
        || (object.hasattr("ndim")?
            && object.getattr("ndim")?.extract::<usize>().unwrap_or(0) == 1
            && object.hasattr("tolist")?);
    if lists && sequence {
        let items: PyResult<Vec<Bind>> = object.try_iter()?.map(|item| bind(name, &item?, false)).collect();
        return items.map(Bind::List);
    }
    if let Some(bind) = special_bind(name, object)? {
        return Ok(bind);
    }
    let message = format!(
        "the value of `:{name}`, `{}`, is none of what an expression can hold: a number, text, bytes, a UUID, a time, \
         a `Timespan`, a region, a direction, or a list of those",
        shown(object)
    );
    Err(raise(py, ErrorClass::QueryTypeError, &message))
}

fn too_large(name: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let shown = shown(value);
    // Python refuses to write integers of thousands of digits.
    let shown = if shown == "?" { "an integer" } else { &format!("`{shown}`") };
    let message = format!("the value of `:{name}`, {shown}, does not fit in 64 bits");
    raise(value.py(), ErrorClass::QueryValueError, &message)
}

/// A range: never as the list of its values, of which there may be more than there is memory for, unless they are few.
fn range_bind(name: &str, range: &Bound<'_, PyRange>) -> PyResult<Bind> {
    /// A list of so few values is quick, and can be compared with numbers that are no integers, too.
    const FEW: i128 = 1000;
    let bound = |attribute: &str| -> PyResult<i128> {
        let value = range.getattr(attribute)?;
        // One past the last integer of 64 bits is a proper bound.
        value.extract().ok().filter(|bound: &i128| bound.abs() <= 1 << 64).ok_or_else(|| too_large(name, &value))
    };
    let (start, stop, stride) = (bound("start")?, bound("stop")?, bound("step")?);
    let count = if stride > 0 { (stop - start + stride - 1) / stride } else { (start - stop - stride - 1) / -stride };
    if count <= FEW {
        return range.try_iter()?.map(|item| bind(name, &item?, false)).collect::<PyResult<_>>().map(Bind::List);
    }
    let last = start + (count - 1) * stride;
    let number = |value: i128| i64::try_from(value).map_err(|_| too_large(name, range));
    Ok(Bind::Range { start: number(start.min(last))?, stop: number(start.max(last))?, stride: number(stride.abs())? })
}

/// Objects of other packages, known by what they can do.
fn special_bind(name: &str, object: &Bound<'_, PyAny>) -> PyResult<Option<Bind>> {
    if object.hasattr("hex")? && object.hasattr("bytes_le")? {
        return Ok(Some(Bind::Value(Value::Uuid(uuid_from_python(object)?))));
    }
    // A scalar of numpy.
    if object.hasattr("dtype")? && object.hasattr("item")? && !object.hasattr("frame")? {
        if let Ok(plain) = object.call_method0("item")
            && (plain.is_instance_of::<PyInt>()
                || plain.is_instance_of::<PyFloat>()
                || plain.is_instance_of::<PyString>())
        {
            return bind(name, &plain, false).map(Some);
        }
        return Ok(None);
    }
    // Several times or directions of astropy in one object.
    if object.hasattr("isscalar")? && !object.getattr("isscalar")?.is_truthy()? {
        return Ok(None);
    }
    if let Some(nanoseconds) = time_to_nanoseconds(object)? {
        return Ok(Some(Bind::Time(nanoseconds)));
    }
    // Before directions: a `Box` has longitudes and latitudes, too.
    if object.hasattr("getBoundingCircle")? {
        return Ok(region_from_python(object)?.map(Bind::Region));
    }
    // `lsst.sphgeom.LonLat`.
    if object.hasattr("getLon")? && object.hasattr("getLat")? {
        let degrees = |name: &str| object.call_method0(name)?.call_method0("asDegrees")?.extract::<f64>();
        return Ok(Some(Bind::Point(degrees("getLon")?, degrees("getLat")?)));
    }
    // `astropy.coordinates.SkyCoord`, of one direction.
    if object.hasattr("icrs")? && object.hasattr("isscalar")? {
        let icrs = object.getattr("icrs")?;
        let degrees = |name: &str| icrs.getattr(name)?.getattr("deg")?.extract::<f64>();
        return Ok(Some(Bind::Point(degrees("ra")?, degrees("dec")?)));
    }
    // A `datetime.datetime` is UTC unless it says otherwise.
    if object.hasattr("timestamp")? && object.hasattr("tzinfo")? {
        return datetime_bind(object).map(Some);
    }
    Ok(None)
}

fn datetime_bind(object: &Bound<'_, PyAny>) -> PyResult<Bind> {
    let offset = object.call_method0("utcoffset")?;
    let object = if offset.is_none() { object.clone() } else { object.sub(offset)? };
    let naive = object.call_method(
        "replace",
        (),
        Some(&{
            let keywords = PyDict::new(object.py());
            keywords.set_item("tzinfo", object.py().None())?;
            keywords
        }),
    )?;
    let text: String = naive.call_method0("isoformat")?.extract()?;
    let span = armillary_expression::Span::default();
    let text = if text.contains('.') { text } else { format!("{text}.0") };
    armillary_expression::time::parse_time(&text, span)
        .map(Bind::Time)
        .map_err(|error| raise(object.py(), ErrorClass::InvalidQueryError, &error.to_string()))
}

fn uploads(registry: &Registry, object: &Bound<'_, PyAny>) -> PyResult<Vec<Upload>> {
    let py = object.py();
    let mut uploads = Vec::new();
    for item in object.try_iter()? {
        let (names, rows): (Vec<String>, Bound<'_, PyAny>) = item?.extract()?;
        let mut dimensions = Vec::new();
        for name in &names {
            dimensions.push(enter(py, || registry.universe().dimension(name).map(|element| element.index))?);
        }
        let mut values = Vec::new();
        for row in rows.try_iter()? {
            let row: Vec<Bound<'_, PyAny>> = row?.extract()?;
            if row.len() != names.len() {
                let message = format!("a row has {} values for {} dimensions", row.len(), names.len());
                return Err(raise(py, ErrorClass::InvalidQueryError, &message));
            }
            let keys: PyResult<Vec<Value>> =
                names.iter().zip(&row).map(|(name, value)| key_from_python(name, value).map(Value::from)).collect();
            values.push(keys?);
        }
        uploads.push(Upload { dimensions, rows: values });
    }
    Ok(uploads)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyQueryEngine>()?;
    crate::query_results::register(module)
}
