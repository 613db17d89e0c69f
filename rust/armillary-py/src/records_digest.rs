//! A digest of the dimension records that go with data IDs.

use crate::data_coordinate::PyDataCoordinate;
use armillary_dimensions::{Record, Value};
use blake2::{Blake2b, Digest, digest::consts::U16};
use pyo3::prelude::*;
use std::{
    collections::{BTreeSet, HashSet},
    fmt::Write,
};

type Blake = Blake2b<U16>;

/// Adds a value so that different ones never look the same.
fn add(digest: &mut Blake, value: &Value) {
    let mut put = |kind: u8, bytes: &[u8]| {
        digest.update([kind]);
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    match value {
        Value::Null => put(0, &[]),
        Value::Bool(value) => put(1, &[u8::from(*value)]),
        Value::Int(value) => put(2, &value.to_le_bytes()),
        Value::Float(value) => put(3, &value.to_bits().to_le_bytes()),
        Value::Str(value) => put(4, value.as_bytes()),
        Value::Bytes(value) => put(5, value),
        Value::Uuid(value) => put(6, value),
        Value::Timespan(value) => put(7, &[value.begin().to_le_bytes(), value.end().to_le_bytes()].concat()),
    }
}

fn digest_of(record: &Record) -> [u8; 16] {
    let mut digest = Blake::new();
    add(&mut digest, &Value::Str(record.element().name.as_str().into()));
    record.values().iter().for_each(|value| add(&mut digest, value));
    digest.finalize().into()
}

/// Digest of the distinct records of data IDs, in any order; `None` if one of them comes without records.
#[pyfunction]
fn records_digest(data_ids: Vec<PyRef<'_, PyDataCoordinate>>) -> Option<String> {
    // Data IDs share their records, so that most are seen again.
    let mut seen: HashSet<*const Value> = HashSet::new();
    let mut found: BTreeSet<[u8; 16]> = BTreeSet::new();
    for data_id in &data_ids {
        if data_id.id.group().is_empty() {
            continue;
        }
        for (_, record) in data_id.records.as_ref()?.iter() {
            if let Some(record) = record.filter(|record| seen.insert(record.values().as_ptr())) {
                found.insert(digest_of(record));
            }
        }
    }
    let mut digest = Blake::new();
    for one in &found {
        digest.update(one);
    }
    let mut text = String::with_capacity(32);
    for byte in digest.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(records_digest, module)?)
}
