//! Errors of pipelines and quantum graphs, some of which are exceptions of Python itself.

use crate::errors::{self, Classify, ErrorClass};
use armillary_graph::GraphError;
use pyo3::{
    exceptions::{PyKeyError, PyValueError},
    prelude::*,
};

/// The exception for an error of the graph crate.
pub(crate) fn to_python(py: Python<'_>, error: &GraphError) -> PyErr {
    match class(error) {
        Class::Ours(class) => errors::raise(py, class, &error.to_string()),
        Class::Key => PyKeyError::new_err(error.to_string()),
        Class::Value => PyValueError::new_err(error.to_string()),
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

enum Class {
    Ours(ErrorClass),
    Key,
    Value,
}

fn class(error: &GraphError) -> Class {
    Class::Ours(match error {
        GraphError::Dimensions(error) => error.class(),
        GraphError::UnknownTask { .. } | GraphError::UnknownDatasetType { .. } | GraphError::UnknownSubset { .. } => {
            return Class::Key;
        }
        GraphError::DuplicateTask { .. } | GraphError::BadSubset { .. } => return Class::Value,
        GraphError::StillInSubsets { .. } => ErrorClass::PipelineGraphError,
        GraphError::DuplicateOutput { .. } => ErrorClass::DuplicateOutputError,
        GraphError::Cycle { .. } => ErrorClass::PipelineDataCycleError,
        GraphError::InconsistentConnection { .. } => ErrorClass::ConnectionTypeConsistencyError,
        GraphError::IncompatibleDatasetType { .. } => ErrorClass::IncompatibleDatasetTypeError,
        GraphError::MissingDatasetType { .. } => ErrorClass::MissingDatasetTypeError,
        GraphError::InvalidSteps { .. } => ErrorClass::InvalidStepsError,
        GraphError::InvalidExpression { .. } => ErrorClass::InvalidExpressionError,
        GraphError::UnreadablePipeline { .. } => ErrorClass::PipelineGraphReadError,
        GraphError::Unresolved { .. } => ErrorClass::UnresolvedGraphError,
    })
}
