//! `DatasetRef`.

use crate::{
    data_coordinate::{PyDataCoordinate, data_id_from_json, data_id_to_json, standardize},
    dataset_rows::RowBlock,
    dataset_type::{PyDatasetType, dataset_type_from_json},
    errors::{ErrorClass, raise},
    group::PyDimensionGroup,
    simple::{PySimple, parse_json, simple_to_json, universe_of, without_defaults},
    universe::PyDimensionUniverse,
    values::{Reduced, core_item, intern, shown, uuid_from_python, uuid_to_python},
};
use armillary_dimensions::{DataCoordinate, Records};
use armillary_registry::{IdMode, dataset_id};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::{PyBytes, PyDict, PyList, PyString},
};
use serde_json::Value as Json;
use std::{
    cmp::Ordering,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, OnceLock},
};
use uuid::Uuid;

/// How ids are made, from a `DatasetIdGenEnum` or its number.
fn id_mode(object: &Bound<'_, PyAny>) -> PyResult<IdMode> {
    let number: Option<i64> = match object.getattr_opt("value")? {
        Some(value) => value.extract().ok(),
        None => object.extract().ok(),
    };
    number
        .and_then(|number| IdMode::from_number(number).ok())
        .ok_or_else(|| PyValueError::new_err(format!("`{}` is not a `DatasetIdGenEnum`", shown(object))))
}

/// One dataset of a repository: type, data ID, run and id.
#[pyclass(name = "DatasetRef", frozen, module = "armillary._core")]
pub(crate) struct PyDatasetRef {
    /// The block of an answer that it is in, and its row there.
    row: Option<(Arc<RowBlock>, u32)>,
    /// What it is made of; of a row, when someone looks at more than its id, run and type.
    parts: OnceLock<Box<Parts>>,
}

struct Parts {
    dataset_type: Py<PyDatasetType>,
    data_id: PyDataCoordinate,
    run: Arc<str>,
    id: [u8; 16],
    id_object: PyOnceLock<Py<PyAny>>,
    data_id_object: PyOnceLock<Py<PyDataCoordinate>>,
}

impl Parts {
    fn new(dataset_type: Py<PyDatasetType>, data_id: PyDataCoordinate, run: Arc<str>, id: [u8; 16]) -> Self {
        Self { dataset_type, data_id, run, id, id_object: PyOnceLock::new(), data_id_object: PyOnceLock::new() }
    }

    fn of_row(block: &RowBlock, row: usize) -> Self {
        let data_id = PyDataCoordinate::new(block.data_id(row), block.records(row));
        let dataset_type = Python::attach(|py| block.dataset_type.clone_ref(py));
        Self::new(dataset_type, data_id, block.run(row).clone(), block.id(row))
    }
}

impl PyDatasetRef {
    /// From parts that fit together: the data ID has the dataset type's dimensions.
    pub(crate) fn new(
        dataset_type: Py<PyDatasetType>,
        data_id: DataCoordinate,
        records: Option<Arc<Records>>,
        run: Arc<str>,
        id: [u8; 16],
    ) -> Self {
        let parts = Parts::new(dataset_type, PyDataCoordinate::new(data_id, records), run, id);
        Self { row: None, parts: OnceLock::from(Box::new(parts)) }
    }

    /// The dataset of a row.
    pub(crate) fn of_row(block: Arc<RowBlock>, row: usize) -> Self {
        Self { row: u32::try_from(row).ok().map(|row| (block, row)), parts: OnceLock::new() }
    }

    fn parts(&self) -> &Parts {
        if let Some(parts) = self.parts.get() {
            return parts;
        }
        // Made before the lock is held: another thread may hold what the making waits for.
        let made = self.at_row().map(|(block, row)| Box::new(Parts::of_row(block, row)));
        self.parts.get_or_init(|| made.unwrap_or_else(|| unreachable!("a reference has parts or a row")))
    }

    /// The block that it is in and its row there.
    fn at_row(&self) -> Option<(&RowBlock, usize)> {
        self.row.as_ref().map(|(block, row)| (&**block, *row as usize))
    }

    fn type_object(&self) -> &Py<PyDatasetType> {
        self.at_row().map_or_else(|| &self.parts().dataset_type, |(block, _)| &block.dataset_type)
    }

    pub(crate) fn dataset_type(&self) -> &PyDatasetType {
        self.type_object().get()
    }

    pub(crate) fn data_id(&self) -> &PyDataCoordinate {
        &self.parts().data_id
    }

    pub(crate) fn run_arc(&self) -> &Arc<str> {
        self.at_row().map_or_else(|| &self.parts().run, |(block, row)| block.run(row))
    }

    pub(crate) fn id_bytes(&self) -> [u8; 16] {
        self.at_row().map_or_else(|| self.parts().id, |(block, row)| block.id(row))
    }

    /// The same dataset as another type.
    fn as_type(&self, dataset_type: Py<PyDatasetType>) -> Self {
        Self::new(
            dataset_type,
            self.data_id().id.clone(),
            self.data_id().records.clone(),
            self.run_arc().clone(),
            self.id_bytes(),
        )
    }

    fn order(&self, other: &Self) -> Ordering {
        self.dataset_type()
            .order(other.dataset_type())
            .then_with(|| self.run_arc().cmp(other.run_arc()))
            .then_with(|| self.data_id().id.cmp(&other.data_id().id))
            .then_with(|| self.id_bytes().cmp(&other.id_bytes()))
    }

    fn to_json_value(&self, minimal: bool) -> Json {
        let id = Uuid::from_bytes(self.id_bytes()).to_string();
        if minimal {
            return serde_json::json!({
                "id": id, "datasetType": null, "dataId": null, "run": null, "component": self.dataset_type().component(),
            });
        }
        serde_json::json!({
            "id": id,
            "datasetType": self.dataset_type().to_json_value(false),
            "dataId": data_id_to_json(self.data_id(), false),
            "run": &**self.run_arc(),
            "component": null,
        })
    }
}

/// A reference from its JSON form; a minimal one needs the registry.
fn ref_from_json<'py>(
    py: Python<'py>,
    json: &Json,
    universe: Option<&Bound<'py, PyDimensionUniverse>>,
    registry: Option<&Bound<'py, PyAny>>,
    dataset_type: Option<&Bound<'py, PyDatasetType>>,
) -> PyResult<Bound<'py, PyAny>> {
    let bad = |what: &str| PyValueError::new_err(format!("the JSON of a dataset reference cannot be used: {what}"));
    let id = json.get("id").and_then(Json::as_str).and_then(|text| Uuid::parse_str(text).ok());
    let id = id.ok_or_else(|| bad("`id` is not a UUID"))?.into_bytes();
    let known = json.get("dataId").filter(|data_id| !data_id.is_null());
    let Some(data_id) = known else {
        let registry = registry.ok_or_else(|| bad("it holds the id only, and needs `registry` to find the rest"))?;
        let found = registry.call_method1("getDataset", (uuid_to_python(py, &id)?,))?;
        if found.is_none() {
            return Err(bad(&format!("the registry has no dataset with id {}", Uuid::from_bytes(id))));
        }
        return match json.get("component").and_then(Json::as_str) {
            Some(component) => found.call_method1("makeComponentRef", (component,)),
            None => Ok(found),
        };
    };
    let dataset_type = match (dataset_type, json.get("datasetType").filter(|found| !found.is_null())) {
        (Some(given), _) => given.clone(),
        (None, Some(found)) => dataset_type_from_json(py, found, universe, registry)?,
        (None, None) => return Err(bad("it has no `datasetType`")),
    };
    let universe = match universe_of(universe, registry) {
        Ok(universe) => universe.get().universe.clone(),
        Err(_) => dataset_type.get().universe_arc().clone(),
    };
    let data_id = data_id_from_json(py, &universe, data_id)?;
    let run = json.get("run").and_then(Json::as_str).ok_or_else(|| bad("it has no `run`"))?;
    if data_id.id.group() != dataset_type.get().info().group {
        return Err(bad(&format!(
            "data ID {} does not have the dimensions of `{}`",
            data_id.id,
            dataset_type.get().name_arc()
        )));
    }
    let made = PyDatasetRef::new(dataset_type.unbind(), data_id.id, data_id.records, intern(run), id);
    Ok(Bound::new(py, made)?.into_any())
}

#[pymethods]
impl PyDatasetRef {
    #[new]
    #[pyo3(signature = (datasetType, dataId, run, *, id = None, conform = true, id_generation_mode = None))]
    #[allow(non_snake_case, reason = "the keywords' names")]
    fn from_python<'py>(
        py: Python<'py>,
        datasetType: Bound<'py, PyDatasetType>,
        dataId: &Bound<'py, PyAny>,
        run: &str,
        id: Option<&Bound<'py, PyAny>>,
        conform: bool,
        id_generation_mode: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        let dataset_type = datasetType.get();
        let data_id = match dataId.cast::<PyDataCoordinate>() {
            Ok(data_id) if !conform || data_id.get().id.group() == dataset_type.info().group => data_id.get().clone(),
            _ => {
                let universe = dataset_type.universe_arc();
                let dimensions = PyDimensionGroup::new(universe, dataset_type.info().group).into_pyobject(py)?;
                standardize(py, Some(dataId), Some(dimensions.as_any()), Some(universe), None, None)?
            }
        };
        let mode = id_generation_mode.map_or(Ok(IdMode::Unique), id_mode)?;
        let id = match id {
            Some(id) => uuid_from_python(id)?,
            None => dataset_id(mode, dataset_type.split().0, run, &data_id.id),
        };
        Ok(Self::new(datasetType.unbind(), data_id.id, data_id.records, intern(run), id))
    }

    #[getter]
    #[pyo3(name = "datasetType")]
    fn dataset_type_object(&self, py: Python<'_>) -> Py<PyDatasetType> {
        self.type_object().clone_ref(py)
    }

    #[getter]
    #[pyo3(name = "dataId")]
    fn data_id_object(&self, py: Python<'_>) -> PyResult<Py<PyDataCoordinate>> {
        let parts = self.parts();
        let made = parts.data_id_object.get_or_try_init(py, || Py::new(py, parts.data_id.clone()));
        Ok(made?.clone_ref(py))
    }

    #[getter]
    fn run<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::new(py, self.run_arc())
    }

    #[getter]
    fn id(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let make = || uuid_to_python(py, &self.id_bytes()).map(Bound::unbind);
        match self.parts.get() {
            Some(parts) => Ok(parts.id_object.get_or_try_init(py, make)?.clone_ref(py)),
            None => make(), // to keep it would take more room than the reference
        }
    }

    #[getter]
    fn dimensions(&self) -> PyDimensionGroup {
        PyDimensionGroup::new(self.dataset_type().universe_arc(), self.dataset_type().info().group)
    }

    #[pyo3(name = "isComponent")]
    fn is_component(&self) -> bool {
        self.dataset_type().is_component()
    }

    #[pyo3(name = "isComposite")]
    fn is_composite(&self, py: Python<'_>) -> PyResult<bool> {
        self.dataset_type().is_composite(py)
    }

    #[pyo3(name = "makeComponentRef")]
    fn make_component_ref(&self, py: Python<'_>, name: &str) -> PyResult<Self> {
        Ok(self.as_type(Py::new(py, self.dataset_type().make_component(py, name)?)?))
    }

    #[pyo3(name = "makeCompositeRef")]
    fn make_composite_ref(&self, py: Python<'_>) -> PyResult<Self> {
        Ok(self.as_type(Py::new(py, self.dataset_type().make_composite(py)?)?))
    }

    #[pyo3(name = "overrideStorageClass")]
    #[allow(non_snake_case, reason = "the keyword's name")]
    fn override_storage_class(&self, py: Python<'_>, storageClass: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(self.as_type(PyDatasetType::override_storage_class(self.type_object().bind(py), storageClass)?.unbind()))
    }

    /// The same reference with another id, run or storage class; another run without an id makes a new id.
    #[pyo3(signature = (*, id = None, run = None, storage_class = None))]
    fn replace(
        &self,
        py: Python<'_>,
        id: Option<&Bound<'_, PyAny>>,
        run: Option<&str>,
        storage_class: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let dataset_type = match storage_class {
            Some(class) => PyDatasetType::override_storage_class(self.type_object().bind(py), class)?.unbind(),
            None => self.type_object().clone_ref(py),
        };
        let id = match (id, run) {
            (Some(id), _) => uuid_from_python(id)?,
            (None, Some(run)) => dataset_id(IdMode::Unique, self.dataset_type().split().0, run, &self.data_id().id),
            (None, None) => self.id_bytes(),
        };
        let run = run.map_or_else(|| self.run_arc().clone(), intern);
        Ok(Self::new(dataset_type, self.data_id().id.clone(), self.data_id().records.clone(), run, id))
    }

    #[allow(non_snake_case, reason = "the keyword's name")]
    fn expanded(&self, py: Python<'_>, dataId: &PyDataCoordinate) -> PyResult<Self> {
        if dataId.id != self.data_id().id {
            let message = format!("data ID {} is not that of the dataset, {}", dataId.id, self.data_id().id);
            return Err(raise(py, ErrorClass::InconsistentDataIdError, &message));
        }
        let dataset_type = self.type_object().clone_ref(py);
        Ok(Self::new(dataset_type, dataId.id.clone(), dataId.records.clone(), self.run_arc().clone(), self.id_bytes()))
    }

    fn is_compatible_with(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else { return Ok(false) };
        let other = other.get();
        if (self.id_bytes(), self.run_arc()) != (other.id_bytes(), other.run_arc())
            || self.data_id().id != other.data_id().id
        {
            return Ok(false);
        }
        self.dataset_type().is_compatible_with(py, other.type_object().bind(py).as_any())
    }

    fn conform_to<'py>(
        slf: &Bound<'py, Self>,
        universe: &Bound<'py, PyDimensionUniverse>,
    ) -> PyResult<Bound<'py, Self>> {
        let py = slf.py();
        let this = slf.get();
        if *this.dataset_type().universe_arc() == universe.get().universe {
            return Ok(slf.clone());
        }
        let dataset_type = this.type_object().bind(py).call_method1("conform_to", (universe,))?.cast_into()?;
        let data_id = data_id_from_json(py, &universe.get().universe, &data_id_to_json(this.data_id(), true))?;
        Bound::new(py, Self::new(dataset_type.unbind(), data_id.id, None, this.run_arc().clone(), this.id_bytes()))
    }

    /// References by dataset type, in the order in which types are first met.
    #[staticmethod]
    #[pyo3(name = "groupByType")]
    fn group_by_type<'py>(py: Python<'py>, refs: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let groups = PyDict::new(py);
        for item in refs.try_iter()? {
            let item = item?;
            let Ok(reference) = item.cast::<Self>() else {
                return Err(PyTypeError::new_err(format!("`{}` is not a `DatasetRef`", shown(&item))));
            };
            let dataset_type = reference.get().type_object().bind(py).clone();
            match groups.get_item(&dataset_type)? {
                Some(list) => list.cast::<PyList>()?.append(item)?,
                None => groups.set_item(dataset_type, PyList::new(py, [item])?)?,
            }
        }
        Ok(groups)
    }

    #[staticmethod]
    fn iter_by_type<'py>(py: Python<'py>, refs: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::group_by_type(py, refs)?.call_method0("items")?.try_iter().map(Bound::into_any)
    }

    #[pyo3(signature = (minimal = false))]
    fn to_simple(&self, minimal: bool) -> PySimple {
        PySimple::new("SerializedDatasetRef", self.to_json_value(minimal))
    }

    #[pyo3(signature = (minimal = false))]
    fn to_json(&self, minimal: bool) -> String {
        without_defaults(self.to_json_value(minimal)).to_string()
    }

    #[staticmethod]
    #[pyo3(signature = (simple, universe = None, registry = None, datasetType = None))]
    #[allow(non_snake_case, reason = "the keyword's name")]
    fn from_simple<'py>(
        py: Python<'py>,
        simple: &Bound<'py, PyAny>,
        universe: Option<&Bound<'py, PyDimensionUniverse>>,
        registry: Option<&Bound<'py, PyAny>>,
        datasetType: Option<&Bound<'py, PyDatasetType>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        ref_from_json(py, &simple_to_json(simple)?, universe, registry, datasetType)
    }

    #[staticmethod]
    #[pyo3(signature = (json_str, universe = None, registry = None))]
    fn from_json<'py>(
        py: Python<'py>,
        json_str: &Bound<'py, PyAny>,
        universe: Option<&Bound<'py, PyDimensionUniverse>>,
        registry: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        ref_from_json(py, &parse_json(json_str)?, universe, registry, None)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| {
            let other = other.get();
            self.id_bytes() == other.id_bytes()
                && self.data_id().id == other.data_id().id
                && self.dataset_type().same(other.dataset_type())
        })
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.id_bytes().hash(&mut hasher);
        self.dataset_type().name_arc().hash(&mut hasher);
        hasher.finish()
    }

    fn __lt__(&self, other: &Bound<'_, Self>) -> bool {
        self.order(other.get()).is_lt()
    }

    fn __le__(&self, other: &Bound<'_, Self>) -> bool {
        self.order(other.get()).is_le()
    }

    fn __gt__(&self, other: &Bound<'_, Self>) -> bool {
        self.order(other.get()).is_gt()
    }

    fn __ge__(&self, other: &Bound<'_, Self>) -> bool {
        self.order(other.get()).is_ge()
    }

    fn __str__(&self) -> String {
        let dataset_type = self.dataset_type();
        format!(
            "{}@{} [sc={}] (run={} id={})",
            dataset_type.name_arc(),
            self.data_id().id,
            dataset_type.storage_class_str(),
            self.run_arc(),
            Uuid::from_bytes(self.id_bytes())
        )
    }

    fn __repr__(&self) -> String {
        format!(
            "DatasetRef({}, {}, run='{}', id={})",
            self.dataset_type().__repr__(),
            self.data_id().id,
            self.run_arc(),
            Uuid::from_bytes(self.id_bytes())
        )
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let data_id = self.data_id_object(py)?;
        let arguments =
            (self.type_object().clone_ref(py), data_id, &**self.run_arc(), PyBytes::new(py, &self.id_bytes()));
        Ok((core_item(py, "_dataset_ref")?, arguments.into_pyobject(py)?))
    }
}

#[pyfunction]
fn _dataset_ref(
    dataset_type: Bound<'_, PyDatasetType>,
    data_id: &PyDataCoordinate,
    run: &str,
    id: [u8; 16],
) -> PyDatasetRef {
    PyDatasetRef::new(dataset_type.unbind(), data_id.id.clone(), data_id.records.clone(), intern(run), id)
}

/// An id for a new dataset, as bytes of a UUID of version 7.
#[pyfunction]
fn _new_dataset_id(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    uuid_to_python(py, &Uuid::now_v7().into_bytes())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyDatasetRef>()?;
    module.add_function(wrap_pyfunction!(_dataset_ref, module)?)?;
    module.add_function(wrap_pyfunction!(_new_dataset_id, module)?)
}
