//! Mappings that a data ID shows: its values, and its records.

use crate::{
    errors::{ErrorClass, raise},
    record::PyDimensionRecord,
    values::{Reduced, key_to_python},
};
use armillary_dimensions::{DataCoordinate, Records};
use pyo3::{
    basic::CompareOp,
    prelude::*,
    types::{PyDict, PyMapping, PyTuple},
};
use std::sync::Arc;

/// The values of a data ID as a mapping: the required ones, or all that are known.
#[pyclass(name = "DataIdMapping", frozen, mapping, module = "armillary._core")]
pub(crate) struct PyDataIdView {
    id: DataCoordinate,
    length: usize,
}

/// The records of a data ID by the name of their element.
#[pyclass(name = "RecordMapping", frozen, mapping, module = "armillary._core")]
pub(crate) struct PyRecordsView {
    id: DataCoordinate,
    records: Arc<Records>,
}

/// Implements the methods of a read-only mapping from a method `dict` that makes a plain one.
macro_rules! mapping_methods {
    ($class:ident) => {
        #[pymethods]
        impl $class {
            fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
                Ok(self.dict(py)?.len())
            }

            fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                Ok(self.dict(py)?.try_iter()?.into_any())
            }

            fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
                Ok(self.lookup(key)?.is_some())
            }

            fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                let py = key.py();
                self.lookup(key)?.ok_or_else(|| {
                    let message = format!("data ID {} has no `{key}` here", self.id);
                    raise(py, ErrorClass::DimensionNameError, &message)
                })
            }

            #[pyo3(signature = (key, default = None))]
            fn get<'py>(
                &self,
                key: &Bound<'py, PyAny>,
                default: Option<Bound<'py, PyAny>>,
            ) -> PyResult<Option<Bound<'py, PyAny>>> {
                Ok(self.lookup(key)?.or(default))
            }

            fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                self.dict(py)?.call_method0("keys")
            }

            fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                self.dict(py)?.call_method0("values")
            }

            fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                self.dict(py)?.call_method0("items")
            }

            #[getter]
            fn names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                self.keys(py)
            }

            fn __richcmp__<'py>(&self, other: &Bound<'py, PyAny>, op: CompareOp) -> PyResult<Bound<'py, PyAny>> {
                let py = other.py();
                if other.cast::<PyMapping>().is_err() {
                    return Ok(py.NotImplemented().into_bound(py));
                }
                self.dict(py)?.rich_compare(py.get_type::<PyDict>().call1((other,))?, op)
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                let items: PyResult<Vec<String>> =
                    self.dict(py)?.iter().map(|(key, value)| Ok(format!("{key}: {}", value.repr()?))).collect();
                Ok(format!("{{{}}}", items?.join(", ")))
            }

            fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
                Ok((py.get_type::<PyDict>().into_any(), PyTuple::new(py, [self.dict(py)?])?))
            }
        }
    };
}

mapping_methods!(PyDataIdView);
mapping_methods!(PyRecordsView);

impl PyDataIdView {
    /// The first `length` values of a data ID.
    pub(crate) fn new(id: DataCoordinate, length: usize) -> Self {
        Self { id, length }
    }

    /// The value of a key, without making the whole dict.
    #[allow(clippy::unnecessary_wraps, reason = "the other view's look-up can fail")]
    fn lookup<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Ok(name) = key.extract::<&str>() else { return Ok(None) };
        let universe = self.id.universe();
        let mut known = self.id.iter().take(self.length);
        let found = known.find(|(index, _)| universe.get(*index).name == name);
        Ok(found.map(|(_, value)| key_to_python(key.py(), value)))
    }

    fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (index, key) in self.id.iter().take(self.length) {
            dict.set_item(&self.id.universe().get(index).name, key_to_python(py, key))?;
        }
        Ok(dict)
    }
}

impl PyRecordsView {
    pub(crate) fn new(id: DataCoordinate, records: Arc<Records>) -> Self {
        Self { id, records }
    }

    /// The record of an element, without making the others.
    fn lookup<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = key.py();
        let Ok(name) = key.extract::<&str>() else { return Ok(None) };
        let element = self.id.universe().find(name).filter(|found| self.id.info().elements.contains(&found.index));
        match element.and_then(|element| self.records.get(element.index)) {
            Some(Some(record)) => Ok(Some(Bound::new(py, PyDimensionRecord::from(record.clone()))?.into_any())),
            Some(None) => Ok(Some(py.None().into_bound(py))),
            None => Ok(None),
        }
    }

    /// Element names and records, None where there is none.
    pub(crate) fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for index in &self.id.info().elements {
            if let Some(record) = self.records.get(*index) {
                let object = record.cloned().map(PyDimensionRecord::from);
                dict.set_item(&self.id.universe().get(*index).name, object)?;
            }
        }
        Ok(dict)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyDataIdView>()?;
    module.add_class::<PyRecordsView>()?;
    let mappings = module.py().import("collections.abc")?.getattr("Mapping")?;
    mappings.call_method1("register", (module.getattr("DataIdMapping")?,))?;
    mappings.call_method1("register", (module.getattr("RecordMapping")?,))?;
    Ok(())
}
