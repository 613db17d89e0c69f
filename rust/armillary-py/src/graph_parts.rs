//! Files of graph parts: documents and blocks of JSON that Python makes sense of.

use crate::{graph_errors::enter, values::uuid_from_python};
use armillary_graph::{
    Id,
    graph_file::{PartsReader, PartsWriter},
};
use pyo3::{prelude::*, types::PyBytes};
use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

fn ids_of(ids: &[Bound<'_, PyAny>]) -> PyResult<Vec<Id>> {
    ids.iter().map(uuid_from_python).collect()
}

/// An open file of parts.
#[pyclass(name = "GraphPartsReader", frozen, module = "armillary._core")]
pub(crate) struct PyGraphPartsReader(Mutex<PartsReader>);

impl PyGraphPartsReader {
    fn inner(&self) -> std::sync::MutexGuard<'_, PartsReader> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PyGraphPartsReader {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        enter(py, || PartsReader::open(&path)).map(|reader| Self(Mutex::new(reader)))
    }

    /// Whether there is a document of this name.
    fn has(&self, name: &str) -> bool {
        self.inner().has(name)
    }

    /// The text of a document.
    fn document<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &enter(py, || self.inner().document(name))?))
    }

    /// The texts of all blocks of a member, in their order.
    #[pyo3(signature = (name, int_size = 8))]
    fn blocks<'py>(&self, py: Python<'py>, name: &str, int_size: usize) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let texts = enter(py, || self.inner().blocks(name, int_size))?;
        Ok(texts.iter().map(|text| PyBytes::new(py, text)).collect())
    }

    /// The texts of the blocks that ids have in a member; `None` for an id without one.
    fn find<'py>(
        &self,
        py: Python<'py>,
        table: &str,
        member: &str,
        column: usize,
        ids: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Option<Bound<'py, PyBytes>>>> {
        let ids = ids_of(&ids)?;
        let texts = enter(py, || self.inner().find(table, member, column, &ids))?;
        Ok(texts.iter().map(|text| text.as_ref().map(|text| PyBytes::new(py, text))).collect())
    }
}

/// Writes a file of parts, which appears under its name when it is finished.
#[pyclass(name = "GraphPartsWriter", frozen, module = "armillary._core")]
pub(crate) struct PyGraphPartsWriter(Mutex<PartsWriter>);

impl PyGraphPartsWriter {
    fn inner(&self) -> std::sync::MutexGuard<'_, PartsWriter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PyGraphPartsWriter {
    #[new]
    #[pyo3(signature = (path, *, level = 3, samples = Vec::new(), dictionary_size = 32_768))]
    fn new(py: Python<'_>, path: PathBuf, level: i32, samples: Vec<Vec<u8>>, dictionary_size: usize) -> PyResult<Self> {
        let writer = enter(py, || PartsWriter::create(&path, level, &samples, dictionary_size))?;
        Ok(Self(Mutex::new(writer)))
    }

    /// Writes a document.
    fn document(&self, py: Python<'_>, name: &str, text: &[u8]) -> PyResult<()> {
        enter(py, || self.inner().document(name, text))
    }

    /// Begins a member of blocks.
    fn begin_blocks(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        enter(py, || self.inner().begin_blocks(name))
    }

    /// Writes a block into the member begun last, to be found by each of the ids in this column of the table.
    fn block(&self, py: Python<'_>, column: usize, ids: Vec<Bound<'_, PyAny>>, text: &[u8]) -> PyResult<()> {
        let ids = ids_of(&ids)?;
        enter(py, || self.inner().block(column, &ids, text))
    }

    /// Writes the table of addresses and ends the file.
    fn finish(&self, py: Python<'_>, table: &str, columns: usize) -> PyResult<()> {
        enter(py, || self.inner().finish(table, columns))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyGraphPartsReader>()?;
    module.add_class::<PyGraphPartsWriter>()
}
