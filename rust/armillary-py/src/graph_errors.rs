//! Errors of pipelines and quantum graphs, some of which are exceptions of Python itself.

use crate::errors::{self, Classify, ErrorClass};
use armillary_graph::GraphError;
use pyo3::{
    exceptions::{PyFileNotFoundError, PyKeyError, PyLookupError, PyTypeError, PyValueError},
    prelude::*,
};
use std::{io, path::Path};

/// The exception for an error of the graph crate.
pub(crate) fn to_python(py: Python<'_>, error: &GraphError) -> PyErr {
    match class(error) {
        Class::Ours(class) => errors::raise(py, class, &error.to_string()),
        Class::Key => PyKeyError::new_err(error.to_string()),
        Class::Value => PyValueError::new_err(error.to_string()),
        Class::Type => PyTypeError::new_err(error.to_string()),
        Class::Lookup => PyLookupError::new_err(error.to_string()),
        Class::NotFound => PyFileNotFoundError::new_err(error.to_string()),
        Class::Os(path, error) => errors::os_error(error, path),
        Class::Scalar => in_python(py, "ScalarError", error),
    }
}

/// Runs `work` without the GIL; see [`crate::call::enter`].
pub(crate) fn enter<T, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    T: pyo3::marker::Ungil + Send,
    F: pyo3::marker::Ungil + Send + FnOnce() -> Result<T, GraphError>,
{
    let outcome = py.detach(work);
    py.check_signals()?;
    outcome.map_err(|error| to_python(py, &error))
}

/// An exception of `armillary.errors` that only graphs raise.
fn in_python(py: Python<'_>, name: &str, error: &GraphError) -> PyErr {
    match py.import("armillary.errors").and_then(|module| module.getattr(name)?.call1((error.to_string(),))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(problem) => problem,
    }
}

enum Class<'e> {
    Ours(ErrorClass),
    Key,
    Value,
    Type,
    Lookup,
    NotFound,
    Os(&'e Path, &'e io::Error),
    Scalar,
}

fn class(error: &GraphError) -> Class<'_> {
    Class::Ours(match error {
        GraphError::Dimensions(error) => error.class(),
        GraphError::UnknownTask { .. } | GraphError::UnknownDatasetType { .. } | GraphError::UnknownSubset { .. } => {
            return Class::Key;
        }
        GraphError::DuplicateTask { .. }
        | GraphError::BadSubset { .. }
        | GraphError::NotRunning { .. }
        | GraphError::NotInGraph { .. } => return Class::Value,
        GraphError::StillInSubsets { .. } => ErrorClass::PipelineGraphError,
        GraphError::DuplicateOutput { .. } => ErrorClass::DuplicateOutputError,
        GraphError::Cycle { .. } => ErrorClass::PipelineDataCycleError,
        GraphError::InconsistentConnection { .. } => ErrorClass::ConnectionTypeConsistencyError,
        GraphError::IncompatibleDatasetType { .. } => ErrorClass::IncompatibleDatasetTypeError,
        GraphError::MissingDatasetType { .. } => ErrorClass::MissingDatasetTypeError,
        GraphError::InvalidSteps { .. } => ErrorClass::InvalidStepsError,
        GraphError::InvalidExpression { .. } => ErrorClass::InvalidExpressionError,
        GraphError::UnreadablePipeline { .. } => ErrorClass::PipelineGraphReadError,
        GraphError::InvalidFile { .. } | GraphError::NewerFile { .. } => ErrorClass::InvalidQuantumGraphFileError,
        GraphError::WrongGraphType { .. } => return Class::Type,
        GraphError::MissingPrerequisite { .. } => return Class::NotFound,
        GraphError::Io { path, error } => return Class::Os(path, error),
        GraphError::NoSuchQuantum { .. } => return Class::Lookup,
        GraphError::Incomplete { .. } => ErrorClass::IncompleteQuantumGraphError,
        GraphError::DuplicateDataset { .. } | GraphError::Build { .. } => ErrorClass::QuantumGraphBuilderError,
        GraphError::OutputExists { .. } => ErrorClass::OutputExistsError,
        GraphError::MissingInitInput { .. } => ErrorClass::InitInputMissingError,
        GraphError::NotOne { .. } => return Class::Scalar,
        GraphError::AmbiguousCalibration { .. } => ErrorClass::CalibrationLookupError,
        GraphError::Registry(error) => error.class(),
        GraphError::Unresolved { .. } => ErrorClass::UnresolvedGraphError,
    })
}
