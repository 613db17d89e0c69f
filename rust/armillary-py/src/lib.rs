//! The extension module `armillary._core`: what Python sees of the Rust crates.

// Arguments of `#[pymethods]` arrive owned, whatever the method does with them.
#![allow(clippy::needless_pass_by_value)]
// Until every part of the extension stands.
#![allow(dead_code)]

mod call;
mod errors;
mod graph_errors;
mod json;
mod pipeline_graph;
mod sphere;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    errors::register(module)?;
    pipeline_graph::register(module)?;
    sphere::register(module)?;
    Ok(())
}
