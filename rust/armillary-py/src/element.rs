//! `DimensionElement` and its subclasses.

use crate::{
    errors::to_python,
    group::PyDimensionGroup,
    names::{PyElementSet, PyNames},
    record::PyRecordClass,
    schema::{PyColumnSpec, PyColumnSpecs, PyRecordSchema},
    universe::wrap_universe,
    values::Reduced,
};
use armillary_dimensions::{Element, ElementIndex, ElementKind, Field, FieldRole, Universe};
use pyo3::{
    exceptions::{PyKeyError, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyString},
};
use std::sync::Arc;

/// A dimension, or a join between dimensions.
#[pyclass(name = "DimensionElement", frozen, subclass, module = "armillary._core")]
pub(crate) struct PyDimensionElement {
    universe: Arc<Universe>,
    index: ElementIndex,
    record_class: PyOnceLock<Py<PyRecordClass>>,
}

/// An element that identifies data.
#[pyclass(name = "Dimension", frozen, subclass, extends = PyDimensionElement, module = "armillary._core")]
pub(crate) struct PyDimension;

/// A dimension that names a whole set of others.
#[pyclass(name = "GovernorDimension", frozen, extends = PyDimension, module = "armillary._core")]
pub(crate) struct PyGovernorDimension;

/// One level of a pixelisation of the sky.
#[pyclass(name = "SkyPixDimension", frozen, extends = PyDimension, module = "armillary._core")]
pub(crate) struct PySkyPixDimension {
    pixelization: PyOnceLock<Py<PyAny>>,
}

/// A pixelisation of the sky, with all its levels.
#[pyclass(name = "SkyPixSystem", frozen, module = "armillary._core")]
pub(crate) struct PySkyPixSystem {
    universe: Arc<Universe>,
    name: String,
}

/// Elements whose regions or timespans relate to each other.
#[pyclass(name = "TopologicalFamily", frozen, module = "armillary._core")]
pub(crate) struct PyTopologicalFamily {
    universe: Arc<Universe>,
    name: String,
    space: &'static str,
}

/// Makes the Python object of an element; the universe's object keeps it.
pub(crate) fn wrap_element(
    py: Python<'_>,
    universe: &Arc<Universe>,
    element: &Element,
) -> PyResult<Py<PyDimensionElement>> {
    let base = PyDimensionElement { universe: universe.clone(), index: element.index, record_class: PyOnceLock::new() };
    let base = PyClassInitializer::from(base);
    let object = match element.kind {
        ElementKind::Join => return Py::new(py, base),
        ElementKind::Dimension => Bound::new(py, base.add_subclass(PyDimension))?.into_any(),
        ElementKind::Governor => {
            Bound::new(py, base.add_subclass(PyDimension).add_subclass(PyGovernorDimension))?.into_any()
        }
        ElementKind::SkyPix { .. } => {
            let skypix = PySkyPixDimension { pixelization: PyOnceLock::new() };
            Bound::new(py, base.add_subclass(PyDimension).add_subclass(skypix))?.into_any()
        }
    };
    Ok(object.cast_into::<PyDimensionElement>().map_err(PyErr::from)?.unbind())
}

impl PyDimensionElement {
    pub(crate) fn element(&self) -> &Element {
        self.universe.get(self.index)
    }

    fn object(&self, py: Python<'_>, index: ElementIndex) -> PyResult<Py<PyDimensionElement>> {
        wrap_universe(py, &self.universe)?.get().element(py, index)
    }

    fn columns(&self, wanted: impl Fn(&Field) -> bool) -> PyColumnSpecs {
        PyColumnSpecs(self.element().fields.iter().filter(|field| wanted(field)).cloned().map(PyColumnSpec).collect())
    }

    fn family(&self, space: &'static str, name: Option<&String>) -> Option<PyTopologicalFamily> {
        name.map(|name| PyTopologicalFamily::new(&self.universe, name, space))
    }
}

#[pymethods]
impl PyDimensionElement {
    #[getter]
    fn name(&self) -> &str {
        &self.element().name
    }

    #[getter]
    #[pyo3(name = "universe")]
    fn universe_object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(wrap_universe(py, &self.universe)?.into_any())
    }

    #[getter]
    fn required(&self) -> PyElementSet {
        PyElementSet::new(&self.universe, self.element().required.iter().collect())
    }

    #[getter]
    fn implied(&self) -> PyElementSet {
        PyElementSet::new(&self.universe, self.element().implied.iter().collect())
    }

    #[getter]
    fn dimensions(&self) -> PyElementSet {
        let element = self.element();
        PyElementSet::new(&self.universe, element.required.iter().chain(element.implied.iter()).collect())
    }

    #[getter]
    fn minimal_group(&self) -> PyDimensionGroup {
        PyDimensionGroup::new(&self.universe, self.universe.element_group(self.element()))
    }

    #[getter]
    fn governor(&self, py: Python<'_>) -> PyResult<Option<Py<PyDimensionElement>>> {
        let governor =
            self.element().required.iter().find(|index| self.universe.get(*index).kind == ElementKind::Governor);
        governor.map(|index| self.object(py, index)).transpose()
    }

    #[getter]
    fn spatial(&self) -> Option<PyTopologicalFamily> {
        self.family("spatial", self.element().spatial.as_ref())
    }

    #[getter]
    fn temporal(&self) -> Option<PyTopologicalFamily> {
        self.family("temporal", self.element().temporal.as_ref())
    }

    /// Families by space, `"spatial"` or `"temporal"`.
    #[getter]
    fn topology<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let topology = PyDict::new(py);
        for family in [self.spatial(), self.temporal()].into_iter().flatten() {
            topology.set_item(family.space, family)?;
        }
        Ok(topology)
    }

    #[getter]
    fn alternate_keys(&self) -> PyColumnSpecs {
        self.columns(|field| field.role == FieldRole::AlternateKey)
    }

    #[getter]
    fn metadata_columns(&self) -> PyColumnSpecs {
        self.columns(|field| field.role == FieldRole::Metadata)
    }

    #[getter]
    fn metadata(&self) -> PyColumnSpecs {
        self.metadata_columns().as_stored()
    }

    #[getter]
    fn schema(&self) -> PyRecordSchema {
        PyRecordSchema::new(&self.universe, self.index)
    }

    #[getter]
    #[pyo3(name = "RecordClass")]
    fn record_class(&self, py: Python<'_>) -> PyResult<Py<PyRecordClass>> {
        let made =
            self.record_class.get_or_try_init(py, || Py::new(py, PyRecordClass::new(&self.universe, self.index)));
        Ok(made?.clone_ref(py))
    }

    #[getter]
    fn implied_union_target(&self, py: Python<'_>) -> PyResult<Option<Py<PyDimensionElement>>> {
        self.element().implied_union_target.map(|index| self.object(py, index)).transpose()
    }

    #[getter]
    #[pyo3(name = "viewOf")]
    fn view_of(&self) -> Option<&str> {
        self.element().implied_union_target.map(|index| self.universe.get(index).name.as_str())
    }

    #[pyo3(name = "hasTable")]
    fn has_table(&self) -> bool {
        !matches!(self.element().kind, ElementKind::SkyPix { .. })
    }

    #[getter]
    fn has_own_table(&self) -> bool {
        self.element().has_table()
    }

    #[getter]
    fn populated_by(&self, py: Python<'_>) -> PyResult<Option<Py<PyDimensionElement>>> {
        let element = self.element();
        let own = element.is_dimension().then_some(self.index);
        element.populated_by.or(own).map(|index| self.object(py, index)).transpose()
    }

    #[getter]
    #[pyo3(name = "alwaysJoin")]
    fn always_join(&self) -> bool {
        self.element().always_join
    }

    #[getter]
    fn defines_relationships(&self) -> bool {
        self.element().defines_relationships()
    }

    #[getter]
    fn is_cached(&self) -> bool {
        self.element().is_cached
    }

    #[getter]
    fn documentation(&self) -> &str {
        &self.element().doc
    }

    #[pyo3(signature = (minimal = false))]
    fn to_simple(&self, minimal: bool) -> &str {
        let _ = minimal;
        self.name()
    }

    #[pyo3(signature = (minimal = false))]
    fn to_json(&self, minimal: bool) -> String {
        let _ = minimal;
        format!("\"{}\"", self.name())
    }

    #[staticmethod]
    #[pyo3(signature = (simple, universe = None, registry = None))]
    fn from_simple(
        py: Python<'_>,
        simple: &str,
        universe: Option<&Bound<'_, crate::universe::PyDimensionUniverse>>,
        registry: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let _ = py;
        let universe = crate::simple::universe_of(universe, registry)?;
        Ok(universe.get_item(simple)?.unbind())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        if let Ok(text) = other.cast::<PyString>() {
            return Ok(text.to_str()? == self.name());
        }
        Ok(other.cast::<Self>().is_ok_and(|other| self.name() == other.get().name()))
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyString::new(py, self.name()).hash()
    }

    fn __lt__(&self, other: &Bound<'_, Self>) -> bool {
        self.index < other.get().index
    }

    fn __le__(&self, other: &Bound<'_, Self>) -> bool {
        self.index <= other.get().index
    }

    fn __gt__(&self, other: &Bound<'_, Self>) -> bool {
        self.index > other.get().index
    }

    fn __ge__(&self, other: &Bound<'_, Self>) -> bool {
        self.index >= other.get().index
    }

    fn __str__(&self) -> &str {
        self.name()
    }

    fn __repr__(&self) -> String {
        let class = match self.element().kind {
            ElementKind::Governor => "GovernorDimension",
            ElementKind::Dimension => "DatabaseDimension",
            ElementKind::SkyPix { .. } => "SkyPixDimension",
            ElementKind::Join => "DatabaseDimensionCombination",
        };
        format!("{class}({})", self.name())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let arguments = (wrap_universe(py, &self.universe)?, self.name()).into_pyobject(py)?;
        Ok((py.import("operator")?.getattr("getitem")?, arguments))
    }
}

#[pymethods]
impl PyDimension {
    #[getter]
    fn primary_key(slf: &Bound<'_, Self>) -> PyResult<PyColumnSpec> {
        let element = slf.as_super().get().element();
        element
            .own_key()
            .cloned()
            .map(PyColumnSpec)
            .ok_or_else(|| PyValueError::new_err(format!("`{}` has no key of its own", element.name)))
    }

    #[getter]
    #[pyo3(name = "primaryKey")]
    fn primary_key_(slf: &Bound<'_, Self>) -> PyResult<PyColumnSpec> {
        Self::primary_key(slf)
    }

    #[getter]
    fn unique_keys(slf: &Bound<'_, Self>) -> PyColumnSpecs {
        let element = slf.as_super().get();
        element
            .columns(|field| field.role == FieldRole::AlternateKey || field.role == FieldRole::Required(element.index))
    }

    #[getter]
    #[pyo3(name = "uniqueKeys")]
    fn unique_keys_(slf: &Bound<'_, Self>) -> PyColumnSpecs {
        Self::unique_keys(slf).as_stored()
    }

    #[getter]
    #[pyo3(name = "alternateKeys")]
    fn alternate_keys_(slf: &Bound<'_, Self>) -> PyColumnSpecs {
        slf.as_super().get().alternate_keys().as_stored()
    }
}

#[pymethods]
impl PySkyPixDimension {
    #[getter]
    fn system(slf: &Bound<'_, Self>) -> PySkyPixSystem {
        let element = slf.as_super().as_super().get();
        PySkyPixSystem::new(&element.universe, level_of(element.element()).0)
    }

    #[getter]
    fn level(slf: &Bound<'_, Self>) -> u8 {
        level_of(slf.as_super().as_super().get().element()).1
    }

    /// The `lsst.sphgeom` object that knows the pixels.
    #[getter]
    fn pixelization(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let made = slf.get().pixelization.get_or_try_init(py, || {
            let (system, level) = level_of(slf.as_super().as_super().get().element());
            let class = match system {
                "htm" => "HtmPixelization",
                "healpix" => "HealpixPixelization",
                "q3c" => "Q3cPixelization",
                "mq3c" => "Mq3cPixelization",
                other => return Err(PyKeyError::new_err(format!("no pixelisation is called `{other}`"))),
            };
            py.import("lsst.sphgeom")?.getattr(class)?.call1((level,)).map(Bound::unbind)
        });
        Ok(made?.clone_ref(py))
    }
}

fn level_of(element: &Element) -> (&str, u8) {
    match &element.kind {
        ElementKind::SkyPix { system, level } => (system, *level),
        ElementKind::Governor | ElementKind::Dimension | ElementKind::Join => ("", 0),
    }
}

impl PySkyPixSystem {
    pub(crate) fn new(universe: &Arc<Universe>, name: &str) -> Self {
        Self { universe: universe.clone(), name: name.to_owned() }
    }
}

#[pymethods]
impl PySkyPixSystem {
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    #[getter]
    #[pyo3(name = "maxLevel")]
    fn max_level(&self) -> u8 {
        let levels = self.universe.elements().iter().map(level_of).filter(|(system, _)| *system == self.name);
        levels.map(|(_, level)| level).max().unwrap_or(0)
    }

    fn __getitem__(&self, py: Python<'_>, level: u8) -> PyResult<Py<PyDimensionElement>> {
        let element = self.universe.element(&format!("{}{level}", self.name)).map_err(|error| to_python(py, &error))?;
        wrap_universe(py, &self.universe)?.get().element(py, element.index)
    }

    fn __str__(&self) -> &str {
        &self.name
    }

    fn __repr__(&self) -> &str {
        &self.name
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().name == self.name)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyString::new(py, &self.name).hash()
    }
}

impl PyTopologicalFamily {
    pub(crate) fn new(universe: &Arc<Universe>, name: &str, space: &'static str) -> Self {
        Self { universe: universe.clone(), name: name.to_owned(), space }
    }
}

#[pymethods]
impl PyTopologicalFamily {
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// `"spatial"` or `"temporal"`.
    #[getter]
    fn space(&self) -> &str {
        self.space
    }

    /// Elements of the family, finest first.
    #[getter]
    fn members(&self) -> PyNames {
        let families =
            if self.space == "spatial" { self.universe.spatial_families() } else { self.universe.temporal_families() };
        PyNames::new(&self.universe, families.get(&self.name).cloned().unwrap_or_default().into())
    }

    fn __str__(&self) -> &str {
        &self.name
    }

    fn __repr__(&self) -> &str {
        &self.name
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| (&other.get().name, other.get().space) == (&self.name, self.space))
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyString::new(py, &self.name).hash()
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyDimensionElement>()?;
    module.add_class::<PyDimension>()?;
    module.add_class::<PyGovernorDimension>()?;
    module.add_class::<PySkyPixDimension>()?;
    module.add_class::<PySkyPixSystem>()?;
    module.add_class::<PyTopologicalFamily>()
}
