//! Collections of a `Registry`.

use crate::errors::{ErrorClass, raise};
use armillary_registry::{CollectionKind, Registry, RegistryError};
use pyo3::prelude::*;

/// Name, kind, what is said about it, and the names of its children.
pub(crate) type Described = (String, i64, Option<String>, ChildNames);

/// A tuple of names in Python.
#[derive(Debug, Default)]
pub(crate) struct ChildNames(Vec<String>);

impl<'py> IntoPyObject<'py> for ChildNames {
    type Target = pyo3::types::PyTuple;
    type Output = Bound<'py, Self::Target>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        pyo3::types::PyTuple::new(py, self.0)
    }
}

pub(crate) fn kind_from_number(py: Python<'_>, number: i64) -> PyResult<CollectionKind> {
    CollectionKind::from_number(number).ok_or_else(|| {
        let message = format!("{number} is no kind of collection; kinds are 1 (RUN) to 4 (CALIBRATION)");
        raise(py, ErrorClass::CollectionTypeError, &message)
    })
}

pub(crate) fn describe(registry: &Registry, name: &str) -> Result<Described, RegistryError> {
    let catalog = registry.catalog()?;
    let collection = catalog.require_collection(name)?;
    let children = collection
        .children
        .iter()
        .filter_map(|id| catalog.collection_by_id(*id))
        .map(|child| child.name.to_string())
        .collect();
    Ok((collection.name.to_string(), collection.kind.number(), collection.doc.clone(), ChildNames(children)))
}

pub(crate) fn flatten(registry: &Registry, names: &[String]) -> Result<Vec<String>, RegistryError> {
    let catalog = registry.catalog()?;
    let ids = catalog.flatten(names)?;
    Ok(ids.iter().filter_map(|id| catalog.collection_by_id(*id)).map(|found| found.name.to_string()).collect())
}

pub(crate) fn parents(registry: &Registry, name: &str) -> Result<Vec<String>, RegistryError> {
    let catalog = registry.catalog()?;
    let id = catalog.require_collection(name)?.id;
    Ok(catalog.parents(id).map(|parent| parent.name.to_string()).collect())
}
