//! Ordered sets of dimension names and of dimension elements.

use crate::{
    element::PyDimensionElement,
    errors::to_python,
    universe::{name_of, wrap_universe},
    values::{Reduced, core_item},
};
use armillary_dimensions::{DimensionError, ElementIndex, Universe, nearest};
use pyo3::{
    basic::CompareOp,
    prelude::*,
    types::{PyFrozenSet, PyList, PySet, PyTuple},
};
use std::sync::Arc;

/// Names of dimensions or elements, in universe order. Works with Python's sets.
#[pyclass(name = "DimensionNames", frozen, module = "armillary._core")]
pub(crate) struct PyNames {
    universe: Arc<Universe>,
    elements: Arc<[ElementIndex]>,
}

impl PyNames {
    pub(crate) fn new(universe: &Arc<Universe>, elements: Arc<[ElementIndex]>) -> Self {
        Self { universe: universe.clone(), elements }
    }

    fn list(&self) -> Vec<&str> {
        self.elements.iter().map(|index| self.universe.get(*index).name.as_str()).collect()
    }

    fn frozenset<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyFrozenSet>> {
        PyFrozenSet::new(py, self.list())
    }

    pub(crate) fn iterate<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(PyList::new(py, self.list())?.try_iter()?.into_any())
    }

    /// The result of a set method with the names of `other`, as a plain `set`.
    fn combine<'py>(&self, method: &str, other: &Bound<'py, PyAny>, reversed: bool) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        let Ok(items) = other.try_iter() else { return Ok(py.NotImplemented().into_bound(py)) };
        let mine = PySet::new(py, self.list())?;
        let other = PySet::empty(py)?;
        for item in items {
            other.add(item?)?;
        }
        let (left, right) = if reversed { (other, mine) } else { (mine, other) };
        left.call_method1(method, (right,))
    }
}

#[pymethods]
impl PyNames {
    #[getter]
    fn names(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __len__(&self) -> usize {
        self.elements.len()
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        name.extract::<&str>().is_ok_and(|name| self.list().contains(&name))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.iterate(py)
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        PyTuple::new(index.py(), self.list())?.as_any().get_item(index)
    }

    fn __richcmp__<'py>(&self, other: &Bound<'py, PyAny>, op: CompareOp) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        let sets = py.import("collections.abc")?.getattr("Set")?;
        if !other.is_instance(&sets)? {
            return Ok(py.NotImplemented().into_bound(py));
        }
        let other = py.get_type::<PyFrozenSet>().call1((other,))?;
        self.frozenset(py)?.rich_compare(other, op)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.frozenset(py)?.hash()
    }

    #[pyo3(signature = (other, /))]
    fn isdisjoint(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.frozenset(py)?.call_method1("isdisjoint", (other,))?.is_truthy()
    }

    fn __and__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.combine("intersection", other, false)
    }

    fn __rand__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.combine("intersection", other, true)
    }

    fn __or__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.combine("union", other, false)
    }

    fn __ror__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.combine("union", other, true)
    }

    fn __sub__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.combine("difference", other, false)
    }

    fn __rsub__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.combine("difference", other, true)
    }

    fn __xor__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.combine("symmetric_difference", other, false)
    }

    fn __rxor__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.combine("symmetric_difference", other, true)
    }

    fn __repr__(&self) -> String {
        format!("{{{}}}", self.list().join(", "))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let arguments = (wrap_universe(py, &self.universe)?, self.list()).into_pyobject(py)?;
        Ok((core_item(py, "_dimension_names")?, arguments))
    }
}

/// Elements of one universe, each once, found by name too.
#[pyclass(name = "DimensionElementSet", frozen, mapping, skip_from_py_object, module = "armillary._core")]
#[derive(Clone)]
pub(crate) struct PyElementSet {
    universe: Arc<Universe>,
    elements: Arc<[ElementIndex]>,
}

impl PyElementSet {
    pub(crate) fn new(universe: &Arc<Universe>, elements: Arc<[ElementIndex]>) -> Self {
        Self { universe: universe.clone(), elements }
    }

    fn objects(&self, py: Python<'_>) -> PyResult<Vec<Py<PyDimensionElement>>> {
        let universe = wrap_universe(py, &self.universe)?;
        self.elements.iter().map(|index| universe.get().element(py, *index)).collect()
    }

    pub(crate) fn iterate<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(PyList::new(py, self.objects(py)?)?.try_iter()?.into_any())
    }

    fn find(&self, name: &str) -> Option<ElementIndex> {
        self.universe.find(name).map(|element| element.index).filter(|index| self.elements.contains(index))
    }

    fn sorted(&self) -> Vec<ElementIndex> {
        let mut elements = self.elements.to_vec();
        elements.sort_unstable();
        elements
    }
}

#[pymethods]
impl PyElementSet {
    #[getter]
    fn names(&self) -> PyNames {
        PyNames::new(&self.universe, self.elements.clone())
    }

    fn __len__(&self) -> usize {
        self.elements.len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.iterate(py)
    }

    fn __contains__(&self, element: &Bound<'_, PyAny>) -> bool {
        name_of(element).is_ok_and(|name| self.find(&name).is_some())
    }

    fn __getitem__(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<Py<PyDimensionElement>> {
        let name = name_of(name)?;
        let Some(index) = self.find(&name) else {
            let known: Vec<String> = self.names().list().into_iter().map(str::to_owned).collect();
            let nearest = nearest(&name, known.iter().map(String::as_str));
            return Err(to_python(py, &DimensionError::UnknownName { name, nearest, known }));
        };
        wrap_universe(py, &self.universe)?.get().element(py, index)
    }

    #[pyo3(signature = (name, default = None))]
    fn get(&self, py: Python<'_>, name: &Bound<'_, PyAny>, default: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        match self.find(&name_of(name)?) {
            Some(index) => Ok(Some(wrap_universe(py, &self.universe)?.get().element(py, index)?.into_any())),
            None => Ok(default),
        }
    }

    fn __richcmp__<'py>(&self, other: &Bound<'py, PyAny>, op: CompareOp) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        let mine = PyFrozenSet::new(py, self.objects(py)?)?;
        let sets = py.import("collections.abc")?.getattr("Set")?;
        if !other.is_instance(&sets)? {
            return Ok(py.NotImplemented().into_bound(py));
        }
        mine.rich_compare(py.get_type::<PyFrozenSet>().call1((other,))?, op)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyFrozenSet::new(py, self.objects(py)?)?.hash()
    }

    fn __and__(&self, other: &Self) -> Self {
        Self::new(
            &self.universe,
            self.elements.iter().filter(|index| other.elements.contains(index)).copied().collect(),
        )
    }

    fn __or__(&self, other: &Self) -> Self {
        let mut elements = self.sorted();
        elements.extend(other.elements.iter().filter(|index| !self.elements.contains(index)));
        elements.sort_unstable();
        Self::new(&self.universe, elements.into())
    }

    fn __sub__(&self, other: &Self) -> Self {
        Self::new(
            &self.universe,
            self.elements.iter().filter(|index| !other.elements.contains(index)).copied().collect(),
        )
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let shown: PyResult<Vec<String>> =
            self.objects(py)?.iter().map(|object| Ok(object.bind(py).repr()?.to_string())).collect();
        Ok(format!("NamedValueSet({{{}}})", shown?.join(", ")))
    }

    fn __str__(&self) -> String {
        format!("{{{}}}", self.names().list().join(", "))
    }
}

#[pyfunction]
fn _dimension_names(
    py: Python<'_>,
    universe: &crate::universe::PyDimensionUniverse,
    names: Vec<String>,
) -> PyResult<PyNames> {
    let elements: Result<Vec<ElementIndex>, DimensionError> =
        names.iter().map(|name| universe.universe.element(name).map(|element| element.index)).collect();
    Ok(PyNames::new(&universe.universe, elements.map_err(|error| to_python(py, &error))?.into()))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyNames>()?;
    module.add_class::<PyElementSet>()?;
    module.add_function(wrap_pyfunction!(_dimension_names, module)?)?;
    let sets = module.py().import("collections.abc")?.getattr("Set")?;
    sets.call_method1("register", (module.getattr("DimensionNames")?,))?;
    sets.call_method1("register", (module.getattr("DimensionElementSet")?,))?;
    Ok(())
}
