//! Which quanta can run now.

use crate::graph_errors::to_python as raise;
use armillary_graph::{QuantumState, Scheduler};
use pyo3::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Hands out quanta as those before them finish.
#[pyclass(name = "Scheduler", frozen, module = "armillary._core")]
pub(crate) struct PyScheduler(Mutex<Scheduler>);

impl PyScheduler {
    fn lock(&self) -> MutexGuard<'_, Scheduler> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn state_name(state: QuantumState) -> &'static str {
    match state {
        QuantumState::Waiting => "waiting",
        QuantumState::Ready => "ready",
        QuantumState::Running => "running",
        QuantumState::Finished => "finished",
        QuantumState::Failed => "failed",
        QuantumState::Blocked => "blocked",
    }
}

#[pymethods]
impl PyScheduler {
    /// `quanta` are (id, label); only labels and positions matter here.
    #[new]
    fn new(py: Python<'_>, quanta: Vec<(Bound<'_, PyAny>, String)>, edges: Vec<(usize, usize)>) -> PyResult<Self> {
        let labels: Vec<&str> = quanta.iter().map(|(_, label)| label.as_str()).collect();
        let scheduler = Scheduler::new(&labels, &edges).map_err(|error| raise(py, &error))?;
        Ok(Self(Mutex::new(scheduler)))
    }

    fn take(&self, count: usize) -> Vec<usize> {
        self.lock().take(count)
    }

    fn finish(&self, py: Python<'_>, index: usize) -> PyResult<()> {
        self.lock().finish(index).map_err(|error| raise(py, &error))
    }

    fn fail(&self, py: Python<'_>, index: usize) -> PyResult<Vec<usize>> {
        self.lock().fail(index).map_err(|error| raise(py, &error))
    }

    fn retry(&self, py: Python<'_>, index: usize) -> PyResult<()> {
        self.lock().retry(index).map_err(|error| raise(py, &error))
    }

    fn state(&self, index: usize) -> PyResult<&'static str> {
        let state = self.lock().state(index);
        state
            .map(state_name)
            .ok_or_else(|| pyo3::exceptions::PyIndexError::new_err(format!("there is no quantum {index}")))
    }

    fn __len__(&self) -> usize {
        self.lock().len()
    }

    #[getter]
    fn pending(&self) -> usize {
        self.lock().pending()
    }

    #[getter]
    fn running(&self) -> usize {
        self.lock().running()
    }

    #[getter]
    fn done(&self) -> bool {
        self.lock().is_done()
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyScheduler>()
}
