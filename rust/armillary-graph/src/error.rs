//! What can be wrong with pipelines and quantum graphs.

use crate::{Id, id_text};
use armillary_dimensions::DimensionError;
use armillary_registry::RegistryError;
use std::fmt;

/// Why a pipeline or quantum graph could not be made, read or written.
#[derive(Debug)]
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
    /// A graph file cannot be understood.
    InvalidFile { reason: String },
    /// A graph file is of a version that came later.
    NewerFile { version: u64, known: u64 },
    /// A graph file holds another sort of graph.
    WrongGraphType { found: String },
    /// A file cannot be read or written.
    Io { path: std::path::PathBuf, error: std::io::Error },
    /// A graph file has no quanta with these ids.
    NoSuchQuantum { ids: Vec<Id> },
    /// A graph was read only in part and cannot be written as a whole.
    Incomplete { label: String, said: usize, found: usize },
    /// Two quanta write one dataset.
    DuplicateDataset { dataset: String, first: String, second: String },
    /// A graph cannot be built as asked.
    Build { reason: String },
    /// An output would replace one that exists.
    OutputExists { dataset: String, run: String },
    /// A quantum lacks what it cannot do without.
    MissingPrerequisite { connection: String, dataset_type: String, found: usize, minimum: usize, data_id: String },
    /// A task cannot be made without this.
    MissingInitInput { dataset_type: String, task: String, collections: Vec<String> },
    /// A connection for one dataset has several.
    NotOne { connection: String, count: usize, data_id: String },
    /// Several calibrations are valid at once.
    AmbiguousCalibration {
        dataset_type: String,
        collection: String,
        task: String,
        data_id: String,
        candidates: Vec<String>,
    },
    /// A quantum that does not run cannot finish.
    NotRunning { index: usize, state: String },
    /// There are fewer quanta.
    NotInGraph { index: usize, len: usize },
    /// The repository could not answer.
    Registry(Box<RegistryError>),
    /// The graph must be resolved first.
    Unresolved { what: String },
}

impl GraphError {
    /// What the system says about a file.
    pub(crate) fn io(path: &std::path::Path, error: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }
}

impl From<RegistryError> for GraphError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(Box::new(error))
    }
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
            Self::InvalidFile { reason } => write!(f, "the quantum graph file is damaged: {reason}"),
            Self::NewerFile { version, known } => write!(
                f,
                "the quantum graph file has format version {version}, and version {known} is the latest that is known here; \
                 read it with the program that wrote it, or with a newer armillary"
            ),
            Self::WrongGraphType { found } => {
                write!(f, "the file holds a graph of type `{found}` where a `predicted` one is wanted")
            }
            Self::Io { path, error } => write!(f, "`{}`: {error}", path.display()),
            Self::NoSuchQuantum { ids } => {
                let shown: Vec<String> = ids.iter().take(3).map(id_text).collect();
                write!(f, "the graph has no quantum with id {}", shown.join(", "))?;
                if ids.len() > shown.len() { write!(f, " and {} more", ids.len() - shown.len()) } else { Ok(()) }
            }
            Self::Incomplete { label, said, found } => write!(
                f,
                "the graph was read in part and cannot replace the whole: {found} of {said} quanta of task `{label}`"
            ),
            Self::DuplicateDataset { dataset, first, second } => {
                write!(f, "dataset {dataset} would be written by both {first} and {second}")
            }
            Self::Build { reason } => f.write_str(reason),
            Self::OutputExists { dataset, run } => write!(
                f,
                "output {dataset} already exists in run `{run}`; replace it with `--clobber-outputs`, or skip finished quanta \
                 with `--skip-existing`"
            ),
            Self::MissingPrerequisite { connection, dataset_type, found, minimum, data_id } => write!(
                f,
                "not enough datasets ({found}) found for non-optional connection {connection} ({dataset_type}) with \
                 minimum={minimum} for quantum data ID {data_id}"
            ),
            Self::MissingInitInput { dataset_type, task, collections } => write!(
                f,
                "init-input `{dataset_type}` of task `{task}` is in none of the collections `{}`",
                collections.join("`, `")
            ),
            Self::NotOne { connection, count, data_id } => write!(
                f,
                "connection {connection} takes one dataset and has {count} for quantum data ID {data_id}; declare it with \
                 `multiple=True` or narrow its dimensions"
            ),
            Self::AmbiguousCalibration { dataset_type, collection, task, data_id, candidates } => write!(
                f,
                "several datasets `{dataset_type}` in collection `{collection}` are valid for task `{task}` with data ID \
                 {data_id}: {}; decertify all but one",
                candidates.join("; ")
            ),
            Self::NotRunning { index, state } => write!(f, "quantum {index} is {state}, not running"),
            Self::NotInGraph { index, len } => write!(f, "there is no quantum {index} among {len}"),
            Self::Registry(error) => error.fmt(f),
            Self::Unresolved { what } => write!(f, "{what} is not resolved; call `resolve` first"),
        }
    }
}

impl std::error::Error for GraphError {}
