//! `DatasetType`.

use crate::{
    errors::{ErrorClass, raise},
    group::{PyDimensionGroup, group_from_python},
    simple::{PySimple, parse_json, simple_to_json, universe_of, without_defaults},
    universe::PyDimensionUniverse,
    values::{Reduced, core_item, intern, shown},
};
use armillary_dimensions::{DimensionGroup, GroupInfo, Universe, nearest};
use pyo3::{
    exceptions::{PyRuntimeError, PyTypeError, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::PyString,
};
use serde_json::Value as Json;
use std::{
    cmp::Ordering,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

/// Names of dataset types, their components included.
const NAME_PATTERN: &str = r"^[a-zA-Z_][a-zA-Z0-9_]*(\.[a-zA-Z_][a-zA-Z0-9_]*)*$";

/// Finds a storage class by name; set by the Python layer that defines storage classes.
static RESOLVER: Mutex<Option<Py<PyAny>>> = Mutex::new(None);

/// A storage class: always its name, and the object when it was given or asked for.
struct StorageClass {
    name: Arc<str>,
    object: PyOnceLock<Py<PyAny>>,
}

/// What kind of thing a dataset is: name, dimensions, storage class.
#[pyclass(name = "DatasetType", frozen, module = "armillary._core")]
pub(crate) struct PyDatasetType {
    name: Arc<str>,
    universe: Arc<Universe>,
    info: Arc<GroupInfo>,
    storage_class: StorageClass,
    parent: Option<StorageClass>,
    is_calibration: bool,
}

impl StorageClass {
    fn named(name: &str) -> Self {
        Self { name: intern(name), object: PyOnceLock::new() }
    }

    /// From a name or an object with a `name`.
    fn from_python(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(name) = object.cast::<PyString>() {
            return Ok(Self::named(name.to_str()?));
        }
        let name: Option<String> = object.getattr_opt("name")?.and_then(|name| name.extract().ok());
        let Some(name) = name else {
            let message = format!("`{}` is neither a `StorageClass` nor the name of one", shown(object));
            return Err(PyValueError::new_err(message));
        };
        let made = Self::named(&name);
        let _ = made.object.set(object.py(), object.clone().unbind());
        Ok(made)
    }

    fn copy(&self, py: Python<'_>) -> Self {
        let made = Self { name: self.name.clone(), object: PyOnceLock::new() };
        if let Some(object) = self.object.get(py) {
            let _ = made.object.set(py, object.clone_ref(py));
        }
        made
    }

    /// The object; found by name when first asked for.
    fn resolve<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let found = self.object.get_or_try_init(py, || {
            let resolver = RESOLVER.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|r| r.clone_ref(py));
            let resolver = resolver.ok_or_else(|| {
                PyRuntimeError::new_err("storage classes are not known yet; import `armillary.storage` first")
            })?;
            resolver.call1(py, (&*self.name,))
        });
        Ok(found?.bind(py).clone())
    }
}

/// A dataset type's parts, for other bindings to make one from what a repository says.
pub(crate) struct DatasetTypeParts<'a> {
    pub(crate) name: &'a str,
    pub(crate) universe: &'a Arc<Universe>,
    pub(crate) group: DimensionGroup,
    pub(crate) storage_class: &'a str,
    pub(crate) parent_storage_class: Option<&'a str>,
    pub(crate) is_calibration: bool,
}

impl PyDatasetType {
    /// From parts that a repository or a graph holds; the storage classes are looked up when needed.
    pub(crate) fn new(parts: &DatasetTypeParts<'_>) -> Self {
        Self {
            name: intern(parts.name),
            universe: parts.universe.clone(),
            info: parts.universe.info(parts.group),
            storage_class: StorageClass::named(parts.storage_class),
            parent: parts.parent_storage_class.map(StorageClass::named),
            is_calibration: parts.is_calibration,
        }
    }

    pub(crate) fn name_arc(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn universe_arc(&self) -> &Arc<Universe> {
        &self.universe
    }

    pub(crate) fn info(&self) -> &Arc<GroupInfo> {
        &self.info
    }

    pub(crate) fn storage_class_str(&self) -> &str {
        &self.storage_class.name
    }

    pub(crate) fn parent_storage_class_str(&self) -> Option<&str> {
        self.parent.as_ref().map(|parent| &*parent.name)
    }

    pub(crate) fn calibration(&self) -> bool {
        self.is_calibration
    }

    /// The name before the first dot, and the component after it.
    pub(crate) fn split(&self) -> (&str, Option<&str>) {
        split_name(&self.name)
    }

    /// What makes two dataset types the same one.
    fn identity(&self) -> (&str, DimensionGroup, &str, Option<&str>, bool) {
        let (storage_class, parent) = (self.storage_class_str(), self.parent_storage_class_str());
        (&self.name, self.info.group, storage_class, parent, self.is_calibration)
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        self.identity() == other.identity() && self.universe == other.universe
    }

    pub(crate) fn order(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }

    fn components<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.storage_class.resolve(py)?.call_method0("allComponents")
    }

    fn checked(&self, py: Python<'_>, component: &str) -> PyResult<()> {
        let components = self.components(py)?;
        if components.contains(component)? {
            return Ok(());
        }
        let known: Vec<String> = components.try_iter()?.map(|name| name?.extract()).collect::<PyResult<_>>()?;
        let start =
            format!("dataset type `{}` ({}) has no component `{component}`", self.name, self.storage_class.name);
        let message = match nearest(component, known.iter().map(String::as_str)) {
            Some(near) => format!("{start}; did you mean `{near}`?"),
            None if known.is_empty() => format!("{start}; it has no components"),
            None => format!("{start}; it has {}", known.join(", ")),
        };
        Err(raise(py, ErrorClass::UnknownComponentError, &message))
    }

    /// The JSON form.
    pub(crate) fn to_json_value(&self, minimal: bool) -> Json {
        let dimensions: Vec<&str> = self.info.required.iter().map(|i| self.universe.get(*i).name.as_str()).collect();
        if minimal {
            return serde_json::json!({
                "name": &*self.name, "storageClass": null, "dimensions": null, "parentStorageClass": null, "isCalibration": false,
            });
        }
        serde_json::json!({
            "name": &*self.name,
            "storageClass": self.storage_class_str(),
            "dimensions": dimensions,
            "parentStorageClass": self.parent_storage_class_str(),
            "isCalibration": self.is_calibration,
        })
    }
}

/// A name cut at its first dot.
pub(crate) fn split_name(name: &str) -> (&str, Option<&str>) {
    name.split_once('.').map_or((name, None), |(parent, component)| (parent, Some(component)))
}

fn is_valid_name(name: &str) -> bool {
    name.split('.').all(|part| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    })
}

/// A dataset type from its JSON form; a minimal one needs the registry.
pub(crate) fn dataset_type_from_json<'py>(
    py: Python<'py>,
    json: &Json,
    universe: Option<&Bound<'py, PyDimensionUniverse>>,
    registry: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDatasetType>> {
    let bad = |what: &str| PyValueError::new_err(format!("the JSON of a dataset type cannot be used: {what}"));
    let name = json.get("name").and_then(Json::as_str).ok_or_else(|| bad("it has no `name`"))?;
    let Some(storage_class) = json.get("storageClass").and_then(Json::as_str) else {
        let registry = registry.ok_or_else(|| bad("it holds the name only, and needs `registry` to find the rest"))?;
        return Ok(registry.call_method1("getDatasetType", (name,))?.cast_into()?);
    };
    let universe = universe_of(universe, registry)?.get().universe.clone();
    let dimensions = json.get("dimensions").and_then(Json::as_array).ok_or_else(|| bad("it has no `dimensions`"))?;
    let names: Option<Vec<&str>> = dimensions.iter().map(Json::as_str).collect();
    let names = names.ok_or_else(|| bad("`dimensions` holds more than names"))?;
    let group = universe.group(names).map_err(|error| crate::errors::to_python(py, &error))?;
    let made = PyDatasetType::new(&DatasetTypeParts {
        name,
        universe: &universe,
        group,
        storage_class,
        parent_storage_class: json.get("parentStorageClass").and_then(Json::as_str),
        is_calibration: json.get("isCalibration").and_then(Json::as_bool).unwrap_or(false),
    });
    check_name(&made.name, made.parent.is_some())?;
    Bound::new(py, made)
}

fn check_name(name: &str, has_parent: bool) -> PyResult<()> {
    if !is_valid_name(name) {
        let name = name.escape_debug();
        let message = format!(
            "`{name}` cannot be the name of a dataset type: use letters, digits and `_`, with `.` before a component"
        );
        return Err(PyValueError::new_err(message));
    }
    match (split_name(name).1, has_parent) {
        (Some(_), false) => Err(PyValueError::new_err(format!(
            "`{name}` is a component; give the storage class of its parent as `parentStorageClass`"
        ))),
        (None, true) => {
            Err(PyValueError::new_err(format!("`{name}` is not a component, so it has no `parentStorageClass`")))
        }
        (Some(_), true) | (None, false) => Ok(()),
    }
}

#[pymethods]
impl PyDatasetType {
    #[new]
    #[pyo3(signature = (name, dimensions, storageClass, parentStorageClass = None, *, universe = None, isCalibration = false))]
    #[allow(non_snake_case, reason = "the keywords' names")]
    fn from_python(
        py: Python<'_>,
        name: &str,
        dimensions: &Bound<'_, PyAny>,
        storageClass: &Bound<'_, PyAny>,
        parentStorageClass: Option<&Bound<'_, PyAny>>,
        universe: Option<&PyDimensionUniverse>,
        isCalibration: bool,
    ) -> PyResult<Self> {
        check_name(name, parentStorageClass.is_some())?;
        if universe.is_none() && !dimensions.is_instance_of::<PyDimensionGroup>() {
            return Err(PyValueError::new_err("give `universe`, or dimensions as a `DimensionGroup`"));
        }
        let (universe, group) = group_from_python(py, universe.map(|universe| &universe.universe), dimensions)?;
        Ok(Self {
            name: intern(name),
            info: universe.info(group),
            universe,
            storage_class: StorageClass::from_python(storageClass)?,
            parent: parentStorageClass.map(StorageClass::from_python).transpose()?,
            is_calibration: isCalibration,
        })
    }

    #[classattr]
    #[pyo3(name = "VALID_NAME_REGEX")]
    fn valid_name_regex(py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.import("re")?.call_method1("compile", (NAME_PATTERN,))?.unbind())
    }

    #[staticmethod]
    #[pyo3(name = "splitDatasetTypeName")]
    #[allow(non_snake_case, reason = "the keyword's name")]
    fn split_dataset_type_name(datasetTypeName: &str) -> (&str, Option<&str>) {
        split_name(datasetTypeName)
    }

    #[staticmethod]
    #[pyo3(name = "nameWithComponent")]
    #[allow(non_snake_case, reason = "the keywords' names")]
    fn name_with_component(datasetTypeName: &str, componentName: &str) -> String {
        format!("{datasetTypeName}.{componentName}")
    }

    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    #[getter]
    fn dimensions(&self) -> PyDimensionGroup {
        PyDimensionGroup { universe: self.universe.clone(), info: self.info.clone() }
    }

    #[getter]
    #[pyo3(name = "storageClass_name")]
    fn storage_class_name(&self) -> &str {
        self.storage_class_str()
    }

    #[getter]
    #[pyo3(name = "storageClass")]
    fn storage_class<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.storage_class.resolve(py)
    }

    #[getter]
    #[pyo3(name = "parentStorageClass")]
    fn parent_storage_class<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.parent.as_ref().map(|parent| parent.resolve(py)).transpose()
    }

    #[pyo3(name = "isCalibration")]
    fn is_calibration(&self) -> bool {
        self.is_calibration
    }

    #[pyo3(name = "isComponent")]
    pub(crate) fn is_component(&self) -> bool {
        self.split().1.is_some()
    }

    #[pyo3(name = "isComposite")]
    pub(crate) fn is_composite(&self, py: Python<'_>) -> PyResult<bool> {
        self.storage_class.resolve(py)?.call_method0("isComposite")?.is_truthy()
    }

    pub(crate) fn component(&self) -> Option<&str> {
        self.split().1
    }

    #[pyo3(name = "nameAndComponent")]
    fn name_and_component(&self) -> (&str, Option<&str>) {
        self.split()
    }

    #[pyo3(name = "componentTypeName")]
    fn component_type_name(&self, py: Python<'_>, component: &str) -> PyResult<String> {
        self.checked(py, component)?;
        Ok(format!("{}.{component}", self.name))
    }

    #[pyo3(name = "makeComponentDatasetType")]
    pub(crate) fn make_component(&self, py: Python<'_>, component: &str) -> PyResult<Self> {
        self.checked(py, component)?;
        Ok(Self {
            name: intern(&format!("{}.{component}", self.name)),
            universe: self.universe.clone(),
            info: self.info.clone(),
            storage_class: StorageClass::from_python(&self.components(py)?.get_item(component)?)?,
            parent: Some(self.storage_class.copy(py)),
            is_calibration: self.is_calibration,
        })
    }

    #[pyo3(name = "makeAllComponentDatasetTypes")]
    fn make_all_components(&self, py: Python<'_>) -> PyResult<Vec<Self>> {
        self.components(py)?.try_iter()?.map(|name| self.make_component(py, name?.extract()?)).collect()
    }

    #[pyo3(name = "makeCompositeDatasetType")]
    pub(crate) fn make_composite(&self, py: Python<'_>) -> PyResult<Self> {
        let (Some(parent), (name, Some(_))) = (&self.parent, self.split()) else {
            return Err(PyRuntimeError::new_err(format!(
                "dataset type `{}` is not a component, so it is part of no other",
                self.name
            )));
        };
        Ok(Self {
            name: intern(name),
            universe: self.universe.clone(),
            info: self.info.clone(),
            storage_class: parent.copy(py),
            parent: None,
            is_calibration: self.is_calibration,
        })
    }

    #[pyo3(name = "overrideStorageClass")]
    #[allow(non_snake_case, reason = "the keyword's name")]
    pub(crate) fn override_storage_class<'py>(
        slf: &Bound<'py, Self>,
        storageClass: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        let py = slf.py();
        let this = slf.get();
        let new = StorageClass::from_python(storageClass)?;
        if new.name == this.storage_class.name {
            return Ok(slf.clone());
        }
        let (old_class, new_class) = (this.storage_class.resolve(py)?, new.resolve(py)?);
        // One way is enough: a dataset may be only read, or only written, as the new class.
        let converts = |from: &Bound<'py, PyAny>, to: &Bound<'py, PyAny>| -> PyResult<bool> {
            to.call_method1("can_convert", (from,))?.is_truthy()
        };
        if !converts(&old_class, &new_class)? && !converts(&new_class, &old_class)? {
            return Err(PyValueError::new_err(format!(
                "dataset type `{}` cannot be used as `{}`: nothing converts that from or to its storage class `{}`",
                this.name, new.name, this.storage_class.name
            )));
        }
        let made = Self {
            name: this.name.clone(),
            universe: this.universe.clone(),
            info: this.info.clone(),
            storage_class: new,
            parent: this.parent.as_ref().map(|parent| parent.copy(py)),
            is_calibration: this.is_calibration,
        };
        Bound::new(py, made)
    }

    /// Whether datasets of this type can be read as `other`: the storage class may differ, if it converts.
    pub(crate) fn is_compatible_with(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else { return Ok(false) };
        let other = other.get();
        if self.same(other) {
            return Ok(true);
        }
        let (mine, theirs) = (self.identity(), other.identity());
        if (mine.0, mine.1, mine.3, mine.4) != (theirs.0, theirs.1, theirs.3, theirs.4) {
            return Ok(false);
        }
        let class = other.storage_class.resolve(py)?;
        self.storage_class.resolve(py)?.call_method1("can_convert", (class,))?.is_truthy()
    }

    fn conform_to<'py>(slf: &Bound<'py, Self>, universe: &PyDimensionUniverse) -> PyResult<Bound<'py, Self>> {
        let this = slf.get();
        if this.universe == universe.universe {
            return Ok(slf.clone());
        }
        let py = slf.py();
        let group = universe.universe.group(this.universe.names(this.info.group));
        let group = group.map_err(|error| crate::errors::to_python(py, &error))?;
        let made = Self {
            name: this.name.clone(),
            universe: universe.universe.clone(),
            info: universe.universe.info(group),
            storage_class: this.storage_class.copy(py),
            parent: this.parent.as_ref().map(|parent| parent.copy(py)),
            is_calibration: this.is_calibration,
        };
        Bound::new(py, made)
    }

    #[pyo3(signature = (minimal = false))]
    fn to_simple(&self, minimal: bool) -> PySimple {
        PySimple::new("SerializedDatasetType", self.to_json_value(minimal))
    }

    #[pyo3(signature = (minimal = false))]
    fn to_json(&self, minimal: bool) -> String {
        without_defaults(self.to_json_value(minimal)).to_string()
    }

    #[staticmethod]
    #[pyo3(signature = (simple, universe = None, registry = None))]
    fn from_simple<'py>(
        py: Python<'py>,
        simple: &Bound<'py, PyAny>,
        universe: Option<&Bound<'py, PyDimensionUniverse>>,
        registry: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        dataset_type_from_json(py, &simple_to_json(simple)?, universe, registry)
    }

    #[staticmethod]
    #[pyo3(signature = (json_str, universe = None, registry = None))]
    fn from_json<'py>(
        py: Python<'py>,
        json_str: &Bound<'py, PyAny>,
        universe: Option<&Bound<'py, PyDimensionUniverse>>,
        registry: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        dataset_type_from_json(py, &parse_json(json_str)?, universe, registry)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| self.same(other.get()))
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.identity().hash(&mut hasher);
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

    pub(crate) fn __repr__(&self) -> String {
        let names: Vec<&str> = self.universe.names(self.info.group).collect();
        let parent = self.parent_storage_class_str().map(|name| format!(", parentStorageClass={name}"));
        let calibration = if self.is_calibration { ", isCalibration=True" } else { "" };
        format!(
            "DatasetType('{}', {{{}}}, {}{}{calibration})",
            self.name,
            names.join(", "),
            self.storage_class.name,
            parent.unwrap_or_default()
        )
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let parts = (
            &*self.name,
            self.dimensions(),
            self.storage_class_str(),
            self.parent_storage_class_str(),
            self.is_calibration,
        );
        Ok((core_item(py, "_dataset_type")?, parts.into_pyobject(py)?))
    }
}

#[pyfunction]
#[pyo3(signature = (name, dimensions, storage_class, parent_storage_class, is_calibration))]
fn _dataset_type(
    name: &str,
    dimensions: &PyDimensionGroup,
    storage_class: &str,
    parent_storage_class: Option<&str>,
    is_calibration: bool,
) -> PyDatasetType {
    let (universe, group) = (&dimensions.universe, dimensions.info.group);
    PyDatasetType::new(&DatasetTypeParts { name, universe, group, storage_class, parent_storage_class, is_calibration })
}

/// Sets what finds a storage class by name: a callable from a name to a `StorageClass`.
#[pyfunction]
fn set_storage_class_resolver(resolver: Bound<'_, PyAny>) -> PyResult<()> {
    if !resolver.is_callable() {
        return Err(PyTypeError::new_err(format!("`{}` cannot be called", shown(&resolver))));
    }
    let replaced = RESOLVER.lock().unwrap_or_else(PoisonError::into_inner).replace(resolver.unbind());
    drop(replaced); // After the lock: dropping the last reference may run Python code.
    Ok(())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyDatasetType>()?;
    module.add_function(wrap_pyfunction!(_dataset_type, module)?)?;
    module.add_function(wrap_pyfunction!(set_storage_class_resolver, module)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_identifiers_joined_by_dots() {
        for good in ["raw", "_a1", "a.b", "a.b.c"] {
            assert!(is_valid_name(good), "{good}");
        }
        for bad in ["", "1a", "a.", ".a", "a..b", "a b", "é", "a\n", "a-b", "../a"] {
            assert!(!is_valid_name(bad), "{bad:?}");
        }
    }
}
