//! The extension module `armillary._core`: what Python sees of the Rust crates.

// Arguments of `#[pymethods]` arrive owned, whatever the method does with them.
#![allow(clippy::needless_pass_by_value)]
// Names and receivers of `#[pymethods]` are Python's.
#![allow(clippy::wrong_self_convention, clippy::unused_self, clippy::used_underscore_binding)]

mod call;
mod collections;
mod column_buffers;
mod copies;
mod data_coordinate;
mod dataset_ref;
mod dataset_rows;
mod dataset_type;
mod datasets;
mod datastore;
mod distinct_records;
mod element;
mod errors;
mod graph_builder;
mod graph_errors;
mod graph_parts;
mod group;
mod json;
mod names;
mod pipeline_graph;
mod plain_parquet;
mod quantum_graph;
mod query;
mod query_results;
mod record;
mod records_digest;
mod registry;
mod registry_errors;
mod scheduler;
mod schema;
mod simple;
mod sphere;
mod standardize;
mod timespan;
mod universe;
mod values;
mod views;
mod yaml_reader;
mod yaml_scalars;
mod yaml_writer;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    add_parts(module)?;
    // The list that PyO3 keeps would put private names into `import *`.
    module.delattr("__all__")
}

fn add_parts(module: &Bound<'_, PyModule>) -> PyResult<()> {
    errors::register(module)?;
    pipeline_graph::register(module)?;
    quantum_graph::register(module)?;
    graph_parts::register(module)?;
    graph_builder::register(module)?;
    scheduler::register(module)?;
    sphere::register(module)?;
    universe::register(module)?;
    group::register(module)?;
    names::register(module)?;
    element::register(module)?;
    copies::register(module)?;
    distinct_records::register(module)?;
    schema::register(module)?;
    timespan::register(module)?;
    record::register(module)?;
    records_digest::register(module)?;
    data_coordinate::register(module)?;
    dataset_type::register(module)?;
    dataset_ref::register(module)?;
    views::register(module)?;
    simple::register(module)?;
    registry::register(module)?;
    query::register(module)?;
    yaml_reader::register(module)?;
    yaml_writer::register(module)?;
    plain_parquet::register(module)?;
    Ok(())
}
