//! From Rust errors to the exception classes of `armillary.errors`.
//!
//! Python owns the classes; here they are only named. No `_` arm anywhere: a new variant must be given a class before it compiles.

use armillary_dimensions::DimensionError;
use pyo3::{
    exceptions::{PyOSError, PyRuntimeError},
    prelude::*,
};
use std::{fmt::Display, io, path::Path};

/// Declares [`ErrorClass`] with the Python name of each class.
macro_rules! error_classes {
    ($($name:ident),* $(,)?) => {
        /// An exception class of `armillary.errors`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(dead_code, reason = "parts of the extension use what they need")]
        #[allow(clippy::enum_variant_names, reason = "the names are those of the classes")]
        pub(crate) enum ErrorClass {
            $(#[allow(missing_docs)] $name),*
        }

        impl ErrorClass {
            /// All of them.
            const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in `armillary.errors`.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name)),*
                }
            }
        }
    };
}

error_classes! {
    AmbiguousDatasetError,
    ArgumentError,
    ButlerAttributeExistsError,
    CalibrationLookupError,
    CollectionCycleError,
    CollectionError,
    CollectionExpressionError,
    CollectionTypeError,
    CommitUnknownError,
    ConfigurationError,
    ConflictingDefinitionError,
    ConnectionTypeConsistencyError,
    DataIdError,
    DataIdValueError,
    DatabaseConflictError,
    DatasetNotFoundError,
    DatasetTypeError,
    DatasetTypeExpressionError,
    DimensionNameError,
    DimensionValueError,
    DuplicateOutputError,
    EdgesChangedError,
    EmptyQueryResultError,
    FileIntegrityError,
    IncompatibleDatasetTypeError,
    IncompatibleGraphError,
    IncompatibleVersionError,
    IncompleteQuantumGraphError,
    InconsistentDataIdError,
    InconsistentUniverseError,
    InitInputMissingError,
    InvalidExpressionError,
    InvalidQuantumGraphFileError,
    InvalidQueryError,
    InvalidStepsError,
    ManagerMismatchError,
    MissingCollectionError,
    MissingDatabaseTableError,
    MissingDatasetTypeError,
    MissingManagerError,
    MissingRecordError,
    MissingSpatialOverlapError,
    NoDefaultCollectionError,
    OrphanedRecordError,
    OutputExistsError,
    PipelineDataCycleError,
    PipelineGraphError,
    PipelineGraphReadError,
    PrerequisiteMissingError,
    QuantumGraphBuilderError,
    QueryTypeError,
    QueryValueError,
    ReadOnlyDatabaseError,
    RegistryConsistencyError,
    RegistryError,
    RepositoryNotFoundError,
    SchemaAlreadyDefinedError,
    SchemaValidationError,
    TaskNotImportedError,
    UnimplementedQueryError,
    UnknownComponentError,
    UnresolvedGraphError,
    UnsafePathError,
    UnsupportedIdGeneratorError,
    UserExpressionError,
    UserExpressionSyntaxError,
    ValidationError,
}

/// An error that knows its Python class; its `Display` is the message.
pub(crate) trait Classify: Display {
    /// The class to raise. The class fixes the `kind` that scripts compare with.
    fn class(&self) -> ErrorClass;
}

impl Classify for DimensionError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::UnknownName { .. } | Self::MissingKey { .. } => ErrorClass::DimensionNameError,
            Self::WrongType { .. } => ErrorClass::DimensionValueError,
            Self::Conflict { .. } => ErrorClass::InconsistentDataIdError,
            Self::BadDocument { .. } => ErrorClass::ConfigurationError,
        }
    }
}

/// The `OSError`, of the class that fits, of what the operating system said about a file.
pub(crate) fn os_error(error: &io::Error, path: &Path) -> PyErr {
    let said = error.to_string();
    let said = said.split(" (os error").next().unwrap_or_default().to_owned();
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, said, path.as_os_str().to_owned())),
        None => PyOSError::new_err(format!("{said}: `{}`", path.display())),
    }
}

/// The exception for an error that knows its class.
pub(crate) fn to_python<E: Classify + ?Sized>(py: Python<'_>, error: &E) -> PyErr {
    raise(py, error.class(), &error.to_string())
}

/// An exception of this class with this message.
pub(crate) fn raise(py: Python<'_>, class: ErrorClass, message: &str) -> PyErr {
    let made = || py.import("armillary.errors")?.getattr(class.name())?.call1((message,));
    match made() {
        Ok(exception) => PyErr::from_value(exception),
        Err(problem) => {
            let error = PyRuntimeError::new_err(format!("{message} (the class `{}` is not to be had)", class.name()));
            error.set_cause(py, Some(problem));
            error
        }
    }
}

/// Names of the classes Rust may raise; a test compares them with `armillary.errors`.
#[pyfunction]
fn _error_classes() -> Vec<&'static str> {
    ErrorClass::ALL.iter().map(|class| class.name()).collect()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(_error_classes, module)?)
}
