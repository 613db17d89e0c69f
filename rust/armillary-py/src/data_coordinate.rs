//! `DataCoordinate`.

use crate::standardize::combine;
pub(crate) use crate::standardize::standardize;
use crate::{
    errors::{ErrorClass, raise, to_python},
    group::{PyDimensionGroup, group_from_python, same_universe},
    record::{PyDimensionRecord, record_from_json, record_to_json},
    simple::{PySimple, key_to_json, parse_json, simple_to_json, universe_of, without_defaults},
    timespan::PyTimespan,
    universe::{PyDimensionUniverse, wrap_universe},
    values::{Reduced, core_item, key_from_python, key_to_python, region_to_python, shown},
    views::{PyDataIdView, PyRecordsView},
};
use armillary_dimensions::{DataCoordinate, DimensionError, ElementIndex, Key, Record, Records, Universe, nearest};
use pyo3::{
    exceptions::{PyAssertionError, PyAttributeError, PyTypeError, PyValueError},
    prelude::*,
    types::{PyDict, PyMapping, PyTuple},
};
use serde_json::{Map, Value as Json};
use std::{
    cmp::Ordering,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// Values for the dimensions of a group, and the records that go with them when they are known.
#[pyclass(name = "DataCoordinate", frozen, mapping, skip_from_py_object, module = "armillary._core")]
#[derive(Clone)]
pub(crate) struct PyDataCoordinate {
    pub(crate) id: DataCoordinate,
    pub(crate) records: Option<Arc<Records>>,
}

impl PyDataCoordinate {
    /// Wraps a data ID; `records` are those of all elements of its dimensions, or none at all.
    pub(crate) fn new(id: DataCoordinate, records: Option<Arc<Records>>) -> Self {
        Self { id, records }
    }

    pub(crate) fn universe_arc(&self) -> &Arc<Universe> {
        self.id.universe()
    }

    fn wanted_records(&self, what: &str) -> PyResult<&Records> {
        self.records.as_deref().ok_or_else(|| {
            PyAssertionError::new_err(format!("`{what}` of {} is not known: the data ID is not expanded", self.id))
        })
    }

    fn is_expanded(&self) -> bool {
        self.records.is_some() || self.id.group().is_empty()
    }

    /// The value of a dimension by name, if it is known.
    fn find(&self, name: &str) -> Option<&Key> {
        // Over the few names of the data ID, not through the table of all.
        self.id.iter().find(|(index, _)| self.universe_arc().get(*index).name == name).map(|(_, key)| key)
    }
}

/// The JSON form of a data ID.
pub(crate) fn data_id_to_json(data_id: &PyDataCoordinate, minimal: bool) -> Json {
    let universe = data_id.id.universe();
    let values: Map<String, Json> =
        data_id.id.iter().map(|(index, key)| (universe.get(index).name.clone(), key_to_json(key))).collect();
    let records = data_id.records.as_ref().filter(|_| !minimal).map(|records| {
        let elements = &data_id.id.info().elements;
        // An element without a record is left out, as the peer does.
        let known = elements.iter().filter_map(|index| Some((*index, records.get(*index)??)));
        let json = known.map(|(index, record)| (universe.get(index).name.clone(), record_to_json(record)));
        Json::Object(json.collect())
    });
    let mut json = Map::new();
    json.insert("dataId".to_owned(), Json::Object(values));
    json.insert("records".to_owned(), records.unwrap_or(Json::Null));
    Json::Object(json)
}

/// A data ID from its JSON form.
pub(crate) fn data_id_from_json(py: Python<'_>, universe: &Arc<Universe>, json: &Json) -> PyResult<PyDataCoordinate> {
    let bad = || PyValueError::new_err("the JSON of a data ID has no object `dataId`");
    let values = json.get("dataId").and_then(Json::as_object).ok_or_else(bad)?;
    let fail = |error: DimensionError| to_python(py, &error);
    let group = universe.group(values.keys().map(String::as_str)).map_err(fail)?;
    let id = DataCoordinate::standardize(universe, group, &mut |name| {
        let value = values.get(name)?;
        value.as_i64().map(Key::Int).or_else(|| value.as_str().map(Key::from))
    });
    let records = match json.get("records").and_then(Json::as_object) {
        None => None,
        Some(records) => {
            let mut found = Vec::with_capacity(records.len());
            for index in &universe.info(group).elements {
                let record = records.get(&universe.get(*index).name).filter(|record| !record.is_null());
                found.push((*index, record.map(|record| record_from_json(universe, record)).transpose()?));
            }
            Some(Arc::new(Records::new(found)))
        }
    };
    Ok(PyDataCoordinate::new(id.map_err(fail)?, records))
}

#[pymethods]
impl PyDataCoordinate {
    #[staticmethod]
    #[pyo3(name = "standardize", signature = (mapping = None, *, dimensions = None, universe = None, defaults = None, **kwargs))]
    fn standardize_<'py>(
        py: Python<'py>,
        mapping: Option<Bound<'py, PyAny>>,
        dimensions: Option<Bound<'py, PyAny>>,
        universe: Option<PyRef<'py, PyDimensionUniverse>>,
        defaults: Option<Bound<'py, PyAny>>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if dimensions.is_none()
            && kwargs.is_none()
            && universe.is_none()
            && let Some(mapping) = &mapping
            && mapping.is_instance_of::<Self>()
        {
            return Ok(mapping.clone());
        }
        let universe = universe.as_ref().map(|universe| &universe.universe);
        let made =
            standardize(py, mapping.as_ref(), dimensions.as_ref(), universe, defaults.as_ref(), kwargs.as_ref())?;
        Ok(Bound::new(py, made)?.into_any())
    }

    #[staticmethod]
    fn make_empty(universe: &PyDimensionUniverse) -> Self {
        Self::new(DataCoordinate::empty(&universe.universe), None)
    }

    #[staticmethod]
    #[pyo3(name = "makeEmpty")]
    fn make_empty_(universe: &PyDimensionUniverse) -> Self {
        Self::make_empty(universe)
    }

    #[staticmethod]
    fn from_required_values(
        py: Python<'_>,
        dimensions: &PyDimensionGroup,
        values: Vec<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        from_values(py, dimensions, &values, dimensions.info.required.len(), "required")
    }

    #[staticmethod]
    fn from_full_values(
        py: Python<'_>,
        dimensions: &PyDimensionGroup,
        values: Vec<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let wanted = dimensions.info.required.len() + dimensions.info.implied.len();
        from_values(py, dimensions, &values, wanted, "required and implied")
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Bound<'py, PyAny>> {
        match self.find(key) {
            Some(value) => Ok(key_to_python(py, value)),
            None => Err(raise(py, ErrorClass::DimensionNameError, &self.no_value(key))),
        }
    }

    #[pyo3(signature = (key, default = None))]
    fn get<'py>(&self, py: Python<'py>, key: &str, default: Option<Bound<'py, PyAny>>) -> Option<Bound<'py, PyAny>> {
        self.find(key).map(|value| key_to_python(py, value)).or(default)
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.find(&crate::universe::name_of(key)?).is_some())
    }

    fn __bool__(&self) -> bool {
        !self.id.group().is_empty()
    }

    #[getter]
    #[pyo3(name = "dataId")]
    fn data_id(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[getter]
    fn universe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDimensionUniverse>> {
        wrap_universe(py, self.id.universe())
    }

    #[getter]
    fn dimensions(&self) -> PyDimensionGroup {
        PyDimensionGroup { universe: self.id.universe().clone(), info: self.id.info().clone() }
    }

    #[getter]
    fn required(&self) -> PyDataIdView {
        PyDataIdView::new(self.id.clone(), self.id.required_values().len())
    }

    #[getter]
    fn mapping(&self) -> PyDataIdView {
        PyDataIdView::new(self.id.clone(), self.id.count())
    }

    #[getter]
    fn required_values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.id.required_values().iter().map(|key| key_to_python(py, key)))
    }

    #[getter]
    fn full_values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        if !self.id.has_full() {
            return Err(PyValueError::new_err(format!("{} has only its required values", self.id)));
        }
        PyTuple::new(py, self.id.values().map(|key| key_to_python(py, key)).collect::<Vec<_>>())
    }

    #[pyo3(name = "hasFull")]
    fn has_full(&self) -> bool {
        self.id.has_full()
    }

    #[pyo3(name = "hasRecords")]
    fn has_records(&self) -> bool {
        self.is_expanded()
    }

    #[getter]
    fn records(&self) -> PyResult<PyRecordsView> {
        if !self.id.group().is_empty() {
            self.wanted_records("records")?;
        }
        Ok(PyRecordsView::new(self.id.clone(), self.records.clone().unwrap_or_default()))
    }

    /// The region of the sky, of the finest element that has one; the intersection if there are several.
    #[getter]
    fn region<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.id.group().is_empty() {
            return Ok(None);
        }
        let records = self.wanted_records("region")?;
        let mut regions = Vec::new();
        for index in &self.id.info().spatial {
            match pixel_region(py, &self.id, *index)? {
                Some(region) => regions.push(region),
                None => match records.get(*index).flatten().and_then(Record::region) {
                    Some(bytes) => regions.push(region_to_python(py, bytes)?),
                    None => return Ok(None),
                },
            }
        }
        if regions.len() > 1 {
            let operands = PyTuple::new(py, regions)?;
            return py.import("lsst.sphgeom")?.getattr("IntersectionRegion")?.call1(operands).map(Some);
        }
        Ok(regions.pop())
    }

    /// The time, of the finest element that has one; the intersection if there are several.
    #[getter]
    fn timespan(&self) -> PyResult<Option<PyTimespan>> {
        if self.id.group().is_empty() {
            return Ok(None);
        }
        let records = self.wanted_records("timespan")?;
        let temporal = self.id.info().temporal.iter();
        let timespans: Option<Vec<_>> =
            temporal.map(|index| records.get(*index).flatten().and_then(Record::timespan)).collect();
        Ok(timespans
            .and_then(|all| all.into_iter().reduce(armillary_dimensions::Timespan::intersection))
            .map(PyTimespan))
    }

    fn subset(&self, py: Python<'_>, dimensions: &Bound<'_, PyAny>) -> PyResult<Self> {
        let group = group_from_python(py, Some(self.universe_arc()), dimensions)?.1;
        let id = self.id.subset(group).map_err(|error| match error {
            DimensionError::MissingKey { name, .. } => raise(py, ErrorClass::DimensionNameError, &self.no_value(&name)),
            other => to_python(py, &other),
        })?;
        Ok(Self::new(id, self.records.clone()))
    }

    fn union(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        same_universe(py, self.universe_arc(), other.universe_arc())?;
        let group = self.id.group().union(other.id.group());
        let id = combine(self.universe_arc(), group, &[], [Some(&other.id), Some(&self.id)])
            .map_err(|error| to_python(py, &error))?;
        for whole in [self, other] {
            if whole.id == id && (whole.id.has_full() || !id.has_full()) {
                return Ok(whole.clone());
            }
        }
        let records = match (&self.records, &other.records) {
            (Some(mine), Some(theirs)) => merge(&id, mine, theirs),
            _ => None,
        };
        Ok(Self::new(id, records))
    }

    fn expanded(&self, py: Python<'_>, records: &Bound<'_, PyAny>) -> PyResult<Self> {
        let records = records_from_python(&self.id, records)?;
        let values = |index| {
            let known = self.id.get(index).cloned();
            known.or_else(|| records.iter().find_map(|(_, record)| record.and_then(|r| r.dimension_value(index))))
        };
        let id = DataCoordinate::from_lookup(self.universe_arc(), self.id.group(), &mut |index| values(index))
            .map_err(|error| to_python(py, &error))?;
        if !id.has_full() {
            let lacking = self.id.info().implied.iter().find(|index| values(**index).is_none());
            let name = lacking.map_or("", |index| self.universe_arc().get(*index).name.as_str());
            let message = format!("the records do not tell the value of `{name}` for {}", self.id);
            return Err(raise(py, ErrorClass::DimensionNameError, &message));
        }
        Ok(Self::new(id, Some(Arc::new(records))))
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let element = self.universe_arc().find(name).filter(|found| self.id.info().elements.contains(&found.index));
        let Some(element) = element else {
            let names = || self.id.info().elements.iter().map(|index| self.universe_arc().get(*index).name.as_str());
            let hint = nearest(name, names()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(PyAttributeError::new_err(format!("data ID {} has no attribute `{name}`{hint}", self.id)));
        };
        match self.records.as_ref().and_then(|records| records.get(element.index)) {
            Some(Some(record)) => Ok(Bound::new(py, PyDimensionRecord::from(record.clone()))?.into_any()),
            Some(None) => Ok(py.None().into_bound(py)),
            None => Err(PyAttributeError::new_err(format!(
                "the record `{name}` is there on expanded data IDs only, and {} is not; expand it with \
                 `butler.registry.expandDataId`, or query with dimension records",
                self.id
            ))),
        }
    }

    fn __dir__(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let mut names: Vec<String> = py.get_type::<Self>().dir()?.extract()?;
        if self.records.is_some() {
            names.extend(self.id.info().elements.iter().map(|index| self.universe_arc().get(*index).name.clone()));
        }
        Ok(names)
    }

    #[pyo3(signature = (minimal = false))]
    fn to_simple(&self, minimal: bool) -> PySimple {
        PySimple::new("SerializedDataCoordinate", data_id_to_json(self, minimal))
    }

    #[pyo3(signature = (minimal = false))]
    fn to_json(&self, minimal: bool) -> String {
        without_defaults(data_id_to_json(self, minimal)).to_string()
    }

    #[staticmethod]
    #[pyo3(signature = (simple, universe = None, registry = None))]
    fn from_simple(
        py: Python<'_>,
        simple: &Bound<'_, PyAny>,
        universe: Option<&Bound<'_, PyDimensionUniverse>>,
        registry: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let universe = universe_of(universe, registry)?;
        data_id_from_json(py, &universe.get().universe, &simple_to_json(simple)?)
    }

    #[staticmethod]
    #[pyo3(signature = (json_str, universe = None, registry = None))]
    fn from_json(
        py: Python<'_>,
        json_str: &Bound<'_, PyAny>,
        universe: Option<&Bound<'_, PyDimensionUniverse>>,
        registry: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let universe = universe_of(universe, registry)?;
        data_id_from_json(py, &universe.get().universe, &parse_json(json_str)?)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        if let Ok(other) = other.cast::<Self>() {
            return other.get().id == self.id;
        }
        // A mapping that names the same values is the same data ID; one that makes no data ID is another thing.
        other.cast::<PyMapping>().is_ok()
            && standardize(other.py(), Some(other), None, Some(self.universe_arc()), None, None)
                .is_ok_and(|other| other.id == self.id)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.id.hash(&mut hasher);
        hasher.finish()
    }

    fn __lt__(&self, other: &Bound<'_, Self>) -> bool {
        self.id.cmp(&other.get().id) == Ordering::Less
    }

    fn __le__(&self, other: &Bound<'_, Self>) -> bool {
        self.id.cmp(&other.get().id) != Ordering::Greater
    }

    fn __gt__(&self, other: &Bound<'_, Self>) -> bool {
        self.id.cmp(&other.get().id) == Ordering::Greater
    }

    fn __ge__(&self, other: &Bound<'_, Self>) -> bool {
        self.id.cmp(&other.get().id) != Ordering::Less
    }

    fn __repr__(&self) -> String {
        self.id.to_string()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let values = PyTuple::new(py, self.id.values().map(|key| key_to_python(py, key)).collect::<Vec<_>>())?;
        let records = match &self.records {
            Some(records) => Some(PyRecordsView::new(self.id.clone(), records.clone()).dict(py)?),
            None => None,
        };
        Ok((core_item(py, "_data_coordinate")?, (self.dimensions(), values, records).into_pyobject(py)?))
    }
}

impl PyDataCoordinate {
    fn no_value(&self, name: &str) -> String {
        let known = || self.id.iter().map(|(index, _)| self.universe_arc().get(index).name.as_str());
        let implied = self.universe_arc().find(name).filter(|element| self.id.group().contains(element.index));
        match (implied, nearest(name, known())) {
            (Some(_), _) => format!("data ID {} does not know its `{name}`: it is not expanded", self.id),
            (None, Some(near)) => format!("data ID {} has no key `{name}`; did you mean `{near}`?", self.id),
            (None, None) => format!("data ID {} has no key `{name}`", self.id),
        }
    }
}

/// The region of a pixel, if the element is a pixelisation: nobody stores records of those.
fn pixel_region<'py>(py: Python<'py>, id: &DataCoordinate, index: ElementIndex) -> PyResult<Option<Bound<'py, PyAny>>> {
    if id.universe().get(index).has_table() || id.universe().get(index).implied_union_target.is_some() {
        return Ok(None);
    }
    let Some(pixel) = id.get(index) else { return Ok(None) };
    let element = wrap_universe(py, id.universe())?.get().element(py, index)?;
    let pixelization = element.bind(py).getattr("pixelization")?;
    pixelization.call_method1("pixel", (key_to_python(py, pixel),)).map(Some)
}

/// Records of both, if they cover every element of the data ID.
fn merge(id: &DataCoordinate, mine: &Records, theirs: &Records) -> Option<Arc<Records>> {
    let found: Option<Vec<_>> = id
        .info()
        .elements
        .iter()
        .map(|index| theirs.get(*index).or_else(|| mine.get(*index)).map(|record| (*index, record.cloned())))
        .collect();
    found.map(|records| Arc::new(Records::new(records)))
}

/// Records by element name for the elements of a data ID. Refuses one that belongs to another data ID.
fn records_from_python(id: &DataCoordinate, mapping: &Bound<'_, PyAny>) -> PyResult<Records> {
    let py = mapping.py();
    let mut records = Vec::new();
    for index in &id.info().elements {
        let element = id.universe().get(*index);
        let found = mapping.call_method1("get", (&element.name, mapping))?;
        if found.is(mapping) {
            continue; // The mapping itself stands for "not there".
        }
        if found.is_none() {
            records.push((*index, None));
            continue;
        }
        let record = found
            .cast::<PyDimensionRecord>()
            .map_err(|_| PyTypeError::new_err(format!("`{}` is not a `{}` record", shown(&found), element.name)))?;
        let record = record.get().record.clone();
        let agrees = |(at, key): (ElementIndex, &Key)| record.dimension_value(at).is_none_or(|other| other == *key);
        if record.element().name != element.name || !id.iter().all(agrees) {
            let message = format!("the `{}` record given for {id} is not its own: {}", element.name, found.repr()?);
            return Err(raise(py, ErrorClass::InconsistentDataIdError, &message));
        }
        records.push((*index, Some(record)));
    }
    Ok(Records::new(records))
}

fn from_values(
    py: Python<'_>,
    dimensions: &PyDimensionGroup,
    values: &[Bound<'_, PyAny>],
    wanted: usize,
    which: &str,
) -> PyResult<PyDataCoordinate> {
    let info = &dimensions.info;
    let universe = &dimensions.universe;
    if values.len() != wanted {
        let names: Vec<&str> = info.keys().take(wanted).map(|index| universe.get(index).name.as_str()).collect();
        let message = format!("give a value for each {which} dimension ({}), not {}", names.join(", "), values.len());
        return Err(PyValueError::new_err(message));
    }
    let pairs = info.keys().zip(values);
    let keys: PyResult<Vec<Key>> =
        pairs.map(|(index, value)| key_from_python(&universe.get(index).name, value)).collect();
    let id = DataCoordinate::from_keys(universe, info, keys?).map_err(|error| to_python(py, &error))?;
    Ok(PyDataCoordinate::new(id, None))
}

#[pyfunction]
#[pyo3(signature = (dimensions, values, records = None))]
fn _data_coordinate(
    py: Python<'_>,
    dimensions: &PyDimensionGroup,
    values: Vec<Bound<'_, PyAny>>,
    records: Option<&Bound<'_, PyAny>>,
) -> PyResult<PyDataCoordinate> {
    let required = dimensions.info.required.len();
    let wanted = if values.len() > required { required + dimensions.info.implied.len() } else { required };
    let made = from_values(py, dimensions, &values, wanted, "known")?;
    let records = records.map(|records| records_from_python(&made.id, records)).transpose()?;
    Ok(PyDataCoordinate::new(made.id, records.map(Arc::new)))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyDataCoordinate>()?;
    module.add_function(wrap_pyfunction!(_data_coordinate, module)?)
}
