//! What can be wrong with pipelines and quantum graphs.

use armillary_dimensions::DimensionError;
use std::fmt;

/// Why a pipeline or quantum graph could not be made, read or written.
#[derive(Clone, Debug, PartialEq)]
pub enum GraphError {
    /// A data ID or a group of dimensions is wrong.
    Dimensions(DimensionError),
    /// Two tasks have one label.
    DuplicateTask { label: String },
    /// No task has this label.
    UnknownTask { label: String, nearest: Option<String> },
    /// No task reads or writes this dataset type.
    UnknownDatasetType { name: String, nearest: Option<String> },
    /// No subset has this label.
    UnknownSubset { label: String, nearest: Option<String> },
    /// A subset cannot have this label or these members.
    BadSubset { label: String, reason: String },
    /// A task is still in subsets.
    StillInSubsets { label: String, subsets: Vec<String> },
    /// Two tasks write one dataset type.
    DuplicateOutput { dataset_type: String, first: String, second: String },
    /// A task needs what it makes, possibly through others.
    Cycle { path: Vec<String> },
    /// Tasks connect to a dataset type in ways that exclude each other.
    InconsistentConnection { dataset_type: String, reason: String },
    /// Definitions of a dataset type differ.
    IncompatibleDatasetType { dataset_type: String, reason: String },
    /// A dataset type must be registered and is not.
    MissingDatasetType { dataset_type: String, reason: String },
    /// The steps do not divide the pipeline.
    InvalidSteps { reason: String },
    /// A selection expression is wrong.
    InvalidExpression { expression: String, reason: String, at: usize },
    /// A stored pipeline cannot be understood.
    UnreadablePipeline { reason: String },
    /// The graph must be resolved first.
    Unresolved { what: String },
}

impl From<DimensionError> for GraphError {
    fn from(error: DimensionError) -> Self {
        Self::Dimensions(error)
    }
}

/// `; did you mean `x`?`, if there is an `x`.
fn hint(f: &mut fmt::Formatter<'_>, nearest: Option<&String>) -> fmt::Result {
    nearest.into_iter().try_for_each(|near| write!(f, "; did you mean `{near}`?"))
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dimensions(error) => error.fmt(f),
            Self::DuplicateTask { label } => write!(f, "the pipeline already has a task labelled `{label}`"),
            Self::UnknownTask { label, nearest } => {
                write!(f, "no task is labelled `{label}`")?;
                hint(f, nearest.as_ref())
            }
            Self::UnknownDatasetType { name, nearest } => {
                write!(f, "no task reads or writes dataset type `{name}`")?;
                hint(f, nearest.as_ref())
            }
            Self::UnknownSubset { label, nearest } => {
                write!(f, "no subset is labelled `{label}`")?;
                hint(f, nearest.as_ref())
            }
            Self::BadSubset { label, reason } => write!(f, "subset `{label}` cannot be added: {reason}"),
            Self::StillInSubsets { label, subsets } => {
                write!(f, "task `{label}` is still in subsets `{}`", subsets.join("`, `"))
            }
            Self::DuplicateOutput { dataset_type, first, second } => {
                write!(f, "dataset type `{dataset_type}` is written by both task `{first}` and task `{second}`")
            }
            Self::Cycle { path } => write!(f, "the pipeline has a cycle: {}", path.join(" -> ")),
            Self::InconsistentConnection { dataset_type, reason } => {
                write!(f, "connections to dataset type `{dataset_type}` exclude each other: {reason}")
            }
            Self::IncompatibleDatasetType { dataset_type, reason } => {
                write!(f, "definitions of dataset type `{dataset_type}` do not agree: {reason}")
            }
            Self::MissingDatasetType { dataset_type, reason } => {
                write!(f, "dataset type `{dataset_type}` is not registered and no task makes it; {reason}")
            }
            Self::InvalidSteps { reason } => write!(f, "the steps do not divide the pipeline: {reason}"),
            Self::InvalidExpression { expression, reason, at } => {
                write!(f, "{reason}\n  {expression}\n  {}^", " ".repeat(*at))
            }
            Self::UnreadablePipeline { reason } => write!(f, "the stored pipeline cannot be read: {reason}"),
            Self::Unresolved { what } => write!(f, "{what} is not resolved; call `resolve` first"),
        }
    }
}

impl std::error::Error for GraphError {}
