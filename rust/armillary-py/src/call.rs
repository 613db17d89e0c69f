//! The one way into long work.

use crate::errors::{Classify, to_python};
use pyo3::{marker::Ungil, prelude::*};

/// Runs `work` without the GIL, lets a pending Ctrl-C win, and turns the error into the Python exception.
///
/// ```ignore
/// enter(py, || self.0.query(&request)).map(PyDatasetRefs)
/// ```
pub(crate) fn enter<T, E, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    T: Ungil + Send,
    E: Ungil + Send + Classify,
    F: Ungil + Send + FnOnce() -> Result<T, E>,
{
    let outcome = py.detach(work);
    py.check_signals()?;
    outcome.map_err(|error| to_python(py, &error))
}
