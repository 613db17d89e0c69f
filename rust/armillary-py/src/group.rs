//! `DimensionGroup`.

use crate::{
    element::PyTopologicalFamily,
    errors::{ErrorClass, raise, to_python},
    names::PyNames,
    universe::{PyDimensionUniverse, name_of, wrap_universe},
    values::{Reduced, core_item, shown},
};
use armillary_dimensions::{DimensionGroup, ElementIndex, ElementKind, GroupInfo, Universe};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// A set of dimensions, with all that they require or imply.
#[pyclass(name = "DimensionGroup", frozen, skip_from_py_object, module = "armillary._core")]
#[derive(Clone)]
pub(crate) struct PyDimensionGroup {
    pub(crate) universe: Arc<Universe>,
    pub(crate) info: Arc<GroupInfo>,
}

impl PyDimensionGroup {
    /// Wraps a conformed group.
    pub(crate) fn new(universe: &Arc<Universe>, group: DimensionGroup) -> Self {
        Self { universe: universe.clone(), info: universe.info(group) }
    }

    fn group(&self) -> DimensionGroup {
        self.info.group
    }

    fn names_of(&self, elements: &[ElementIndex]) -> PyNames {
        PyNames::new(&self.universe, elements.into())
    }

    fn other(&self, py: Python<'_>, other: &Self) -> PyResult<DimensionGroup> {
        same_universe(py, &self.universe, &other.universe)?;
        Ok(other.group())
    }
}

/// Refuses to mix universes.
pub(crate) fn same_universe(py: Python<'_>, left: &Arc<Universe>, right: &Arc<Universe>) -> PyResult<()> {
    if left == right {
        return Ok(());
    }
    let text = |universe: &Universe| format!("version {} of `{}`", universe.version(), universe.namespace());
    let message = format!("dimensions of two universes cannot be mixed: {} and {}", text(left), text(right));
    Err(raise(py, ErrorClass::InconsistentUniverseError, &message))
}

/// The conformed group that `object` stands for: a group, a name, or names or elements in any iterable.
pub(crate) fn group_from_python(
    py: Python<'_>,
    universe: Option<&Arc<Universe>>,
    object: &Bound<'_, PyAny>,
) -> PyResult<(Arc<Universe>, DimensionGroup)> {
    if let Ok(group) = object.cast::<PyDimensionGroup>() {
        let group = group.get();
        if let Some(universe) = universe {
            same_universe(py, universe, &group.universe)?;
        }
        return Ok((group.universe.clone(), group.group()));
    }
    let Some(universe) = universe else {
        return Err(PyTypeError::new_err("give a universe, or dimensions as a `DimensionGroup`"));
    };
    let unknown = |error| to_python(py, &error);
    if let Ok(name) = object.cast::<PyString>() {
        return Ok((universe.clone(), universe.group([name.to_str()?]).map_err(unknown)?));
    }
    let Ok(items) = object.try_iter() else {
        return Err(PyTypeError::new_err(format!("`{}` is not a group of dimensions", shown(object))));
    };
    let mut group = DimensionGroup::EMPTY;
    for item in items {
        let item = item?;
        let element = match item.cast::<PyString>() {
            Ok(name) => universe.dimension(name.to_str()?),
            Err(_) => universe.dimension(&name_of(&item)?),
        };
        group = group.union(DimensionGroup::single(element.map_err(unknown)?.index));
    }
    Ok((universe.clone(), universe.conform(group)))
}

#[pymethods]
impl PyDimensionGroup {
    #[new]
    #[pyo3(signature = (universe, names = None))]
    fn from_names(py: Python<'_>, universe: &PyDimensionUniverse, names: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let group = match names {
            Some(names) => group_from_python(py, Some(&universe.universe), names)?.1,
            None => DimensionGroup::EMPTY,
        };
        Ok(Self::new(&universe.universe, group))
    }

    #[getter]
    fn universe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDimensionUniverse>> {
        wrap_universe(py, &self.universe)
    }

    #[getter]
    fn names(&self) -> PyNames {
        self.names_of(&self.group().iter().collect::<Vec<_>>())
    }

    #[getter]
    fn required(&self) -> PyNames {
        self.names_of(&self.info.required)
    }

    #[getter]
    fn implied(&self) -> PyNames {
        self.names_of(&self.info.implied)
    }

    #[getter]
    fn elements(&self) -> PyNames {
        self.names_of(&self.info.elements)
    }

    #[getter]
    fn governors(&self) -> PyNames {
        self.names_of(&self.info.governors)
    }

    #[getter]
    fn skypix(&self) -> PyNames {
        let skypix = |index: &ElementIndex| matches!(self.universe.get(*index).kind, ElementKind::SkyPix { .. });
        self.names_of(&self.group().iter().filter(skypix).collect::<Vec<_>>())
    }

    /// Names in the order of the keys of a data ID: required, then implied.
    #[getter]
    fn data_coordinate_keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let keys = PyDict::new(py);
        for index in self.info.keys() {
            keys.set_item(&self.universe.get(index).name, py.None())?;
        }
        keys.call_method0("keys")
    }

    /// Names of elements in an order in which each one's keys are known from those before it.
    #[getter]
    fn lookup_order<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, lookup_order(&self.universe, &self.info).iter().map(|i| self.universe.get(*i).name.as_str()))
    }

    #[getter]
    fn spatial<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let families = self.info.spatial.iter().filter_map(|index| self.universe.get(*index).spatial.as_deref());
        PyTuple::new(
            py,
            families.map(|name| PyTopologicalFamily::new(&self.universe, name, "spatial")).collect::<Vec<_>>(),
        )
    }

    #[getter]
    fn temporal<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let families = self.info.temporal.iter().filter_map(|index| self.universe.get(*index).temporal.as_deref());
        PyTuple::new(
            py,
            families.map(|name| PyTopologicalFamily::new(&self.universe, name, "temporal")).collect::<Vec<_>>(),
        )
    }

    #[getter]
    fn region_dimension(&self) -> Option<&str> {
        the_one(&self.universe, &self.info.spatial)
    }

    #[getter]
    fn timespan_dimension(&self) -> Option<&str> {
        the_one(&self.universe, &self.info.temporal)
    }

    fn __contains__(&self, element: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.universe.find(&name_of(element)?).is_some_and(|found| self.group().contains(found.index)))
    }

    fn __len__(&self) -> usize {
        self.group().len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.names().iterate(py)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| {
            let other = other.get();
            self.group() == other.group() && self.universe == other.universe
        })
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.group().hash(&mut hasher);
        hasher.finish()
    }

    fn __le__(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        Ok(self.group().is_subset(self.other(py, other)?))
    }

    fn __lt__(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        Ok(self.group().is_subset(self.other(py, other)?) && self.group() != other.group())
    }

    fn __ge__(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        Ok(self.other(py, other)?.is_subset(self.group()))
    }

    fn __gt__(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        Ok(self.other(py, other)?.is_subset(self.group()) && self.group() != other.group())
    }

    fn issubset(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        self.__le__(py, other)
    }

    fn issuperset(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        self.__ge__(py, other)
    }

    fn isdisjoint(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        Ok(self.group().is_disjoint(self.other(py, other)?))
    }

    #[pyo3(signature = (*operands))]
    fn union(&self, py: Python<'_>, operands: Vec<PyRef<'_, Self>>) -> PyResult<Self> {
        let group =
            operands.iter().try_fold(self.group(), |sum, other| Ok::<_, PyErr>(sum.union(self.other(py, other)?)))?;
        Ok(Self::new(&self.universe, group))
    }

    #[pyo3(signature = (*others))]
    fn intersection(&self, py: Python<'_>, others: Vec<PyRef<'_, Self>>) -> PyResult<Self> {
        let group = others
            .iter()
            .try_fold(self.group(), |sum, other| Ok::<_, PyErr>(sum.intersection(self.other(py, other)?)))?;
        Ok(Self::new(&self.universe, self.universe.conform(group)))
    }

    fn difference(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        let group = self.group().difference(self.other(py, other)?);
        Ok(Self::new(&self.universe, self.universe.conform(group)))
    }

    fn __or__(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        Ok(Self::new(&self.universe, self.group().union(self.other(py, other)?)))
    }

    fn __and__(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        Ok(Self::new(&self.universe, self.universe.conform(self.group().intersection(self.other(py, other)?))))
    }

    fn __sub__(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        self.difference(py, other)
    }

    fn to_simple(&self) -> Vec<&str> {
        self.universe.names(self.group()).collect()
    }

    #[staticmethod]
    fn from_simple(py: Python<'_>, data: &Bound<'_, PyAny>, universe: &PyDimensionUniverse) -> PyResult<Self> {
        Self::from_names(py, universe, Some(data))
    }

    fn __str__(&self) -> String {
        format!("{{{}}}", self.universe.names(self.group()).collect::<Vec<_>>().join(", "))
    }

    fn __repr__(&self) -> String {
        format!("DimensionGroup({})", self.__str__())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let names: Vec<&str> = self.info.required.iter().map(|index| self.universe.get(*index).name.as_str()).collect();
        let arguments = (wrap_universe(py, &self.universe)?, names).into_pyobject(py)?;
        Ok((core_item(py, "DimensionGroup")?, arguments))
    }
}

/// The only member of `elements`, if there is just one.
fn the_one<'a>(universe: &'a Universe, elements: &[ElementIndex]) -> Option<&'a str> {
    match elements {
        [only] => Some(&universe.get(*only).name),
        _ => None,
    }
}

/// Elements of a group, each after the dimensions whose values its key needs: a required dimension, then at once what its
/// record tells, and the joins last.
pub(crate) fn lookup_order(universe: &Universe, info: &GroupInfo) -> Vec<ElementIndex> {
    fn add(universe: &Universe, index: ElementIndex, order: &mut Vec<ElementIndex>) {
        if !order.contains(&index) {
            order.push(index);
            universe.get(index).implied.iter().for_each(|implied| add(universe, implied, order));
        }
    }
    let mut order = Vec::with_capacity(info.elements.len());
    info.required.iter().for_each(|index| add(universe, *index, &mut order));
    order.extend(info.elements.iter().filter(|index| !universe.get(**index).is_dimension()));
    order
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyDimensionGroup>()
}
