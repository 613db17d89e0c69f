//! `DimensionUniverse`.

use crate::{
    element::{PyDimensionElement, PySkyPixSystem, wrap_element},
    errors::to_python,
    group::{PyDimensionGroup, group_from_python},
    names::PyElementSet,
    values::{Reduced, core_item, shown},
};
use armillary_dimensions::{DimensionError, DimensionGroup, Element, ElementIndex, ElementKind, Universe};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyString, PyTuple},
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

/// All dimension elements of a repository, in order.
#[pyclass(name = "DimensionUniverse", frozen, mapping, module = "armillary._core")]
pub(crate) struct PyDimensionUniverse {
    pub(crate) universe: Arc<Universe>,
    elements: PyOnceLock<Vec<Py<PyDimensionElement>>>,
}

/// One Python object for each universe; a process meets a handful.
static OBJECTS: Mutex<Vec<Py<PyDimensionUniverse>>> = Mutex::new(Vec::new());

/// The Python object of a universe: always the same one.
pub(crate) fn wrap_universe<'py>(
    py: Python<'py>,
    universe: &Arc<Universe>,
) -> PyResult<Bound<'py, PyDimensionUniverse>> {
    // Nothing below this line runs Python code while the lock is held but the making of one plain object.
    let mut objects = OBJECTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = objects.iter().find(|object| Arc::ptr_eq(&object.get().universe, universe)) {
        return Ok(found.bind(py).clone());
    }
    let made = Bound::new(py, PyDimensionUniverse { universe: universe.clone(), elements: PyOnceLock::new() })?;
    objects.push(made.clone().unbind());
    Ok(made)
}

impl PyDimensionUniverse {
    /// The Python object of one of its elements: always the same one.
    pub(crate) fn element(&self, py: Python<'_>, index: ElementIndex) -> PyResult<Py<PyDimensionElement>> {
        let elements = self.elements.get_or_try_init(py, || {
            self.universe.elements().iter().map(|element| wrap_element(py, &self.universe, element)).collect()
        });
        elements.map(|elements: &Vec<Py<PyDimensionElement>>| elements[index.get()].clone_ref(py))
    }

    fn set(&self, wanted: impl Fn(&Element) -> bool) -> PyElementSet {
        let elements = self.universe.elements().iter().filter(|element| wanted(element)).map(|element| element.index);
        PyElementSet::new(&self.universe, elements.collect())
    }
}

/// An element's name from the element or the name.
pub(crate) fn name_of(object: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(text.to_str()?.to_owned());
    }
    match object.getattr_opt("name")? {
        Some(name) => name.extract(),
        None => Err(PyTypeError::new_err(format!("`{}` is neither a dimension nor its name", shown(object)))),
    }
}

#[pymethods]
impl PyDimensionUniverse {
    #[new]
    #[pyo3(signature = (*, version = None, namespace = None))]
    fn new(py: Python<'_>, version: Option<i64>, namespace: Option<&str>) -> PyResult<Py<Self>> {
        let default = Universe::default_universe();
        let version = version.unwrap_or_else(|| default.version());
        let namespace = namespace.unwrap_or_else(|| default.namespace());
        if (version, namespace) != (default.version(), default.namespace()) {
            let reason = format!(
                "only version {} of namespace `{}` is built in, not version {version} of `{namespace}`; make others with `DimensionUniverse.from_json`",
                default.version(),
                default.namespace()
            );
            return Err(to_python(py, &DimensionError::BadDocument { reason }));
        }
        wrap_universe(py, &default).map(Bound::unbind)
    }

    #[staticmethod]
    fn default(py: Python<'_>) -> PyResult<Py<Self>> {
        wrap_universe(py, &Universe::default_universe()).map(Bound::unbind)
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, document: &str) -> PyResult<Py<Self>> {
        let universe = Universe::from_json(document).map_err(|error| to_python(py, &error))?;
        wrap_universe(py, &universe).map(Bound::unbind)
    }

    fn to_json(&self) -> &str {
        self.universe.document()
    }

    #[getter]
    fn version(&self) -> i64 {
        self.universe.version()
    }

    #[getter]
    fn namespace(&self) -> &str {
        self.universe.namespace()
    }

    #[getter]
    fn empty(&self) -> PyDimensionGroup {
        PyDimensionGroup::new(&self.universe, DimensionGroup::EMPTY)
    }

    #[getter]
    #[pyo3(name = "commonSkyPix")]
    fn common_skypix(&self, py: Python<'_>) -> PyResult<Py<PyDimensionElement>> {
        self.element(py, self.universe.common_skypix().index)
    }

    #[getter]
    fn elements(&self) -> PyElementSet {
        self.set(|_| true)
    }

    #[getter]
    fn dimensions(&self) -> PyElementSet {
        self.set(Element::is_dimension)
    }

    #[getter]
    fn database_elements(&self) -> PyElementSet {
        self.set(|element| matches!(element.kind, ElementKind::Dimension | ElementKind::Join))
    }

    #[getter]
    fn governor_dimensions(&self) -> PyElementSet {
        self.set(|element| element.kind == ElementKind::Governor)
    }

    #[getter]
    fn skypix_dimensions(&self) -> PyElementSet {
        self.set(|element| matches!(element.kind, ElementKind::SkyPix { .. }))
    }

    /// Each pixelisation by name.
    #[getter]
    fn skypix<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let systems = PyDict::new(py);
        for element in self.universe.elements() {
            if let ElementKind::SkyPix { system, .. } = &element.kind {
                systems.set_item(system, PySkyPixSystem::new(&self.universe, system))?;
            }
        }
        Ok(systems)
    }

    fn conform(&self, py: Python<'_>, dimensions: &Bound<'_, PyAny>) -> PyResult<PyDimensionGroup> {
        let group = group_from_python(py, Some(&self.universe), dimensions)?.1;
        Ok(PyDimensionGroup::new(&self.universe, group))
    }

    fn __getitem__(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyDimensionElement>> {
        let element = self.universe.element(name).map_err(|error| to_python(py, &error))?;
        self.element(py, element.index)
    }

    #[pyo3(signature = (name, default = None))]
    fn get(&self, py: Python<'_>, name: &str, default: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        match self.universe.find(name) {
            Some(element) => Ok(Some(self.element(py, element.index)?.into_any())),
            None => Ok(default),
        }
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.universe.find(&name_of(name)?).is_some())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.elements().iterate(py)
    }

    fn __len__(&self) -> usize {
        self.universe.elements().len()
    }

    #[pyo3(name = "getElementIndex")]
    fn element_index(&self, py: Python<'_>, name: &str) -> PyResult<u8> {
        Ok(self.universe.element(name).map_err(|error| to_python(py, &error))?.index.0)
    }

    #[pyo3(name = "getDimensionIndex")]
    fn dimension_index(&self, py: Python<'_>, name: &str) -> PyResult<usize> {
        let wanted = self.universe.dimension(name).map_err(|error| to_python(py, &error))?.index;
        let before = self.universe.elements().iter().take(wanted.get());
        Ok(before.filter(|element| element.is_dimension()).count())
    }

    fn get_elements_populated_by(&self, py: Python<'_>, dimension: &Bound<'_, PyAny>) -> PyResult<PyElementSet> {
        let name = name_of(dimension)?;
        let wanted = self.universe.dimension(&name).map_err(|error| to_python(py, &error))?.index;
        Ok(self.set(|element| element.index == wanted || element.populated_by == Some(wanted)))
    }

    #[pyo3(signature = (elements, *, reverse = false))]
    fn sorted(
        &self,
        py: Python<'_>,
        elements: &Bound<'_, PyAny>,
        reverse: bool,
    ) -> PyResult<Vec<Py<PyDimensionElement>>> {
        let mut found = Vec::new();
        for object in elements.try_iter()? {
            let name = name_of(&object?)?;
            found.push(self.universe.element(&name).map_err(|error| to_python(py, &error))?.index);
        }
        found.sort_unstable();
        if reverse {
            found.reverse();
        }
        found.into_iter().map(|index| self.element(py, index)).collect()
    }

    #[pyo3(name = "isCompatibleWith")]
    fn is_compatible_with(&self, other: &Self) -> bool {
        // As far as data IDs go: every element of the older one is in the newer one, with the same keys.
        let (older, newer) =
            if self.universe.version() <= other.universe.version() { (self, other) } else { (other, self) };
        self.universe.namespace() == other.universe.namespace()
            && older.universe.elements().iter().all(|element| newer.universe.find(&element.name).is_some())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| self.universe == other.get().universe)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.universe.hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self) -> String {
        format!("DimensionUniverse({}, {})", self.universe.version(), self.universe.namespace())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let class = core_item(py, "DimensionUniverse")?;
        if Arc::ptr_eq(&self.universe, &Universe::default_universe()) {
            return Ok((class, PyTuple::empty(py)));
        }
        Ok((class.getattr("from_json")?, PyTuple::new(py, [self.universe.document()])?))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyDimensionUniverse>()
}
