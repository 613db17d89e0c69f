//! The records that come with many data IDs, each once.

use crate::{data_coordinate::PyDataCoordinate, record::PyDimensionRecord};
use armillary_dimensions::{Key, Record, Value};
use pyo3::{exceptions::PyAssertionError, prelude::*};
use std::collections::HashSet;

/// The distinct records of data IDs that have theirs, in the order in which they are met.
#[pyfunction]
#[pyo3(signature = (data_ids, /))]
fn distinct_records(data_ids: Vec<Bound<'_, PyDataCoordinate>>) -> PyResult<Vec<PyDimensionRecord>> {
    let mut found = Vec::new();
    // Data IDs share many records, and those that were seen need not be compared.
    let mut seen: HashSet<*const Value> = HashSet::new();
    let mut known: HashSet<(u8, Vec<Option<Key>>)> = HashSet::new();
    for data_id in &data_ids {
        let data_id = data_id.get();
        let Some(records) = &data_id.records else {
            if data_id.id.group().is_empty() {
                continue;
            }
            return Err(PyAssertionError::new_err(format!("the data ID {} is not expanded", data_id.id)));
        };
        for index in &data_id.id.info().elements {
            let Some(Some(record)) = records.get(*index) else { continue };
            if seen.insert(record.values().as_ptr()) && known.insert((index.0, identity(record))) {
                found.push(record.clone().into());
            }
        }
    }
    Ok(found)
}

/// The values of the required dimensions of a record's element.
fn identity(record: &Record) -> Vec<Option<Key>> {
    record.element().required.iter().map(|index| record.dimension_value(index)).collect()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(distinct_records, module)?)
}
