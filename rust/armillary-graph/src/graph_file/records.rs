//! Dimension records in graph files.

use super::{addresses::invalid, assembler::parse, scan::digit};
use crate::{GraphError, QuantumGraph};
use armillary_dimensions::{Element, FieldType, Timespan, Value};
use std::sync::Arc;

/// Reads the records of all elements.
pub(super) fn read_records(graph: &mut QuantumGraph, text: &[u8]) -> Result<(), GraphError> {
    let model: indexmap::IndexMap<String, Vec<Vec<serde_json::Value>>> = parse("dimension_data", text)?;
    for (name, rows) in model {
        let element = graph.universe.element(&name)?.clone();
        let rows = rows.into_iter().map(|row| record(&element, row)).collect::<Result<Vec<_>, _>>()?;
        graph.records.insert(element.index, rows);
    }
    Ok(())
}

/// One record from the values of its fields.
pub(super) fn record(element: &Element, row: Vec<serde_json::Value>) -> Result<Arc<[Value]>, GraphError> {
    if row.len() != element.fields.len() {
        return Err(invalid(format!(
            "a record of `{}` has {} values where {} are wanted",
            element.name,
            row.len(),
            element.fields.len()
        )));
    }
    let bad = |field: &str| invalid(format!("a value of `{}.{field}` of the wrong type", element.name));
    element
        .fields
        .iter()
        .zip(row)
        .map(|(field, value)| value_of(field.kind, value).ok_or_else(|| bad(&field.name)))
        .collect()
}

fn value_of(kind: FieldType, value: serde_json::Value) -> Option<Value> {
    use serde_json::Value as Json;
    if value.is_null() {
        return Some(Value::Null);
    }
    Some(match kind {
        FieldType::Int => Value::Int(value.as_i64()?),
        FieldType::Float => Value::Float(value.as_f64()?),
        FieldType::Bool => Value::Bool(value.as_bool()?),
        FieldType::String { .. } => Value::Str(value.as_str()?.into()),
        FieldType::Hash { .. } | FieldType::Region => Value::Bytes(from_hex(value.as_str()?)?.into()),
        FieldType::Timespan => {
            let Json::Array(bounds) = value else { return None };
            let [begin, end] = bounds.as_slice() else { return None };
            Value::Timespan(Timespan::new(begin.as_i64()?, end.as_i64()?))
        }
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    bytes.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
