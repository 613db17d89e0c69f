//! Copies of files into a datastore.

use crate::errors::os_error;
use armillary_registry::{Copy, CopyError};
use pyo3::{exceptions::PyKeyboardInterrupt, prelude::*};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Between two looks for Ctrl-C, which take the GIL.
const PATIENCE: Duration = Duration::from_millis(50);

/// The sizes of the copies that got their names, and why the next one did not.
#[pyfunction]
#[pyo3(signature = (pairs, /, *, durable))]
fn copy_files(py: Python<'_>, pairs: Vec<(PathBuf, PathBuf)>, durable: bool) -> (Vec<u64>, Option<PyErr>) {
    let copies: Vec<Copy> = pairs.into_iter().map(|(source, target)| Copy { source, target }).collect();
    let mut interrupt = None;
    let outcome = py.detach(|| {
        let mut looked = Instant::now();
        armillary_registry::copy_files(&copies, durable, || {
            if looked.elapsed() > PATIENCE {
                looked = Instant::now();
                interrupt = Python::attach(|py| py.check_signals().err());
            }
            interrupt.is_none()
        })
    });
    let failure = outcome.failure.map(|failure| match failure {
        CopyError::File { error, path } => os_error(&error, &path),
        CopyError::Stopped => interrupt.unwrap_or_else(|| PyKeyboardInterrupt::new_err(())),
    });
    (outcome.sizes, failure)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(copy_files, module)?)
}
