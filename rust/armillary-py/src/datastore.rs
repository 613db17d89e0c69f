//! What datastores keep in a `Registry`.

use crate::{
    call::enter,
    registry::PyRegistry,
    values::{uuid_from_python, uuid_to_python},
};
use armillary_registry::{FileRecord, Trashed};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyDict},
};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What a datastore knows of one file of a dataset.
#[pyclass(name = "FileRecord", frozen, skip_from_py_object, module = "armillary._core")]
#[derive(Clone)]
pub(crate) struct PyFileRecord {
    pub(crate) record: FileRecord,
    shared: bool,
}

impl From<FileRecord> for PyFileRecord {
    fn from(record: FileRecord) -> Self {
        Self { record, shared: false }
    }
}

impl From<Trashed> for PyFileRecord {
    fn from(trashed: Trashed) -> Self {
        Self { record: trashed.file, shared: trashed.shared }
    }
}

/// The arguments that make a record again.
type Arguments<'py> = (Bound<'py, PyAny>, String, String, String, Option<String>, Option<String>, i64);

#[pymethods]
impl PyFileRecord {
    #[new]
    #[pyo3(signature = (dataset_id, path, formatter, storage_class, component = None, checksum = None, file_size = None))]
    fn new(
        dataset_id: &Bound<'_, PyAny>,
        path: String,
        formatter: String,
        storage_class: String,
        component: Option<String>,
        checksum: Option<String>,
        file_size: Option<i64>,
    ) -> PyResult<Self> {
        let dataset_id = uuid_from_python(dataset_id)?;
        let file_size = file_size.unwrap_or(-1);
        Ok(FileRecord { dataset_id, path, formatter, storage_class, component, checksum, file_size }.into())
    }

    #[getter]
    fn dataset_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        uuid_to_python(py, &self.record.dataset_id)
    }

    #[getter]
    fn path(&self) -> &str {
        &self.record.path
    }

    #[getter]
    fn formatter(&self) -> &str {
        &self.record.formatter
    }

    #[getter]
    fn storage_class(&self) -> &str {
        &self.record.storage_class
    }

    #[getter]
    fn component(&self) -> Option<&str> {
        self.record.component.as_deref()
    }

    #[getter]
    fn checksum(&self) -> Option<&str> {
        self.record.checksum.as_deref()
    }

    #[getter]
    fn file_size(&self) -> i64 {
        self.record.file_size
    }

    #[getter]
    fn shared(&self) -> bool {
        self.shared
    }

    fn __repr__(&self) -> String {
        let component = self.record.component.as_ref().map_or(String::new(), |name| format!(", component='{name}'"));
        format!(
            "FileRecord('{}', {}{component}, {} bytes)",
            self.record.path, self.record.storage_class, self.record.file_size
        )
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().record == self.record)
    }

    fn __hash__(&self) -> u64 {
        let mut state = DefaultHasher::new();
        (self.record.dataset_id, &self.record.component, &self.record.path).hash(&mut state);
        state.finish()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Arguments<'py>)> {
        let this = slf.get();
        let record = this.record.clone();
        let arguments = (
            this.dataset_id(slf.py())?,
            record.path,
            record.formatter,
            record.storage_class,
            record.component,
            record.checksum,
            record.file_size,
        );
        Ok((slf.get_type().into_any(), arguments))
    }
}

/// The ids of datasets as [`ids`] takes them, or sixteen bytes for each in one object.
pub(crate) struct DatasetIds(pub(crate) Vec<[u8; 16]>);

impl<'py> FromPyObject<'_, 'py> for DatasetIds {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(packed) = object.cast::<PyBytes>() {
            let (ids, []) = packed.as_bytes().as_chunks() else {
                return Err(PyValueError::new_err("ids of datasets have sixteen bytes each"));
            };
            return Ok(Self(ids.to_vec()));
        }
        ids(&object.extract::<Vec<_>>()?).map(Self)
    }
}

/// The ids of datasets, given as such or by the records of their files.
pub(crate) fn ids(objects: &[Bound<'_, PyAny>]) -> PyResult<Vec<[u8; 16]>> {
    let one = |object: &Bound<'_, PyAny>| match object.cast_exact::<PyFileRecord>() {
        Ok(record) => Ok(record.get().record.dataset_id),
        Err(_) => uuid_from_python(object),
    };
    objects.iter().map(one).collect()
}

/// Names of datastores by id; ids no datastore has are left out.
pub(crate) fn locations<'py>(
    registry: &PyRegistry,
    py: Python<'py>,
    objects: &[Bound<'py, PyAny>],
    only: Option<&str>,
) -> PyResult<Bound<'py, PyDict>> {
    let keys = ids(objects)?;
    let found = enter(py, || registry.registry.locations(&keys))?;
    let by_id = PyDict::new(py);
    for (object, mut names) in objects.iter().zip(found) {
        names.retain(|name| only.is_none_or(|only| only == name));
        if !names.is_empty() {
            by_id.set_item(object, names)?;
        }
    }
    Ok(by_id)
}
