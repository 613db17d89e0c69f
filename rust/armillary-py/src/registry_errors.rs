//! The Python class of each thing that can go wrong in a repository's database.

use crate::errors::{Classify, ErrorClass};
use armillary_registry::{RegistryError, query::QueryProblem};

impl Classify for RegistryError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Dimension(error) => error.class(),
            Self::Query(error) => query_class(&error.problem),
            Self::Database { .. } | Self::Busy { .. } | Self::NoTransaction => ErrorClass::RegistryError,
            Self::CommitUnknown { .. } => ErrorClass::CommitUnknownError,
            Self::Corrupt { .. } | Self::MissingAttribute { .. } => ErrorClass::RegistryConsistencyError,
            Self::ReadOnly { .. } => ErrorClass::ReadOnlyDatabaseError,
            Self::NotARepository { .. } => ErrorClass::MissingDatabaseTableError,
            Self::AlreadyExists { .. } => ErrorClass::SchemaAlreadyDefinedError,
            Self::MissingManager { .. } => ErrorClass::MissingManagerError,
            Self::ManagerMismatch { .. } => ErrorClass::ManagerMismatchError,
            Self::IncompatibleVersion { .. } | Self::BadVersion { .. } => ErrorClass::IncompatibleVersionError,
            Self::WrongTable { .. } | Self::RecordConflict { .. } => ErrorClass::DatabaseConflictError,
            Self::BadName { .. } | Self::BadArgument { .. } | Self::NoTable { .. } => ErrorClass::ArgumentError,
            Self::NoSuchCollection { .. } => ErrorClass::MissingCollectionError,
            Self::CollectionKind { .. } => ErrorClass::CollectionTypeError,
            Self::CollectionCycle { .. } => ErrorClass::CollectionCycleError,
            Self::CollectionInChains { .. }
            | Self::CollectionHasFiles { .. }
            | Self::DatasetTypeInUse { .. }
            | Self::DatasetsHaveFiles { .. } => ErrorClass::OrphanedRecordError,
            Self::NoSuchDatasetType { .. } => ErrorClass::MissingDatasetTypeError,
            Self::NotACalibration { .. } => ErrorClass::DatasetTypeError,
            Self::DatasetTypeConflict { .. } | Self::DatasetConflict { .. } | Self::CertificationConflict { .. } => {
                ErrorClass::ConflictingDefinitionError
            }
            Self::BadRecord { .. } => ErrorClass::DimensionValueError,
            Self::MissingRecord { .. } => ErrorClass::MissingRecordError,
            Self::DataIdValue { .. } => ErrorClass::DataIdValueError,
            Self::InconsistentDataId { .. } => ErrorClass::InconsistentDataIdError,
            Self::AmbiguousDataset { .. } => ErrorClass::CalibrationLookupError,
            Self::NoSuchDataset { .. } => ErrorClass::DatasetNotFoundError,
        }
    }
}

fn query_class(problem: &QueryProblem) -> ErrorClass {
    match problem {
        QueryProblem::Unsupported { .. } => ErrorClass::UnimplementedQueryError,
        QueryProblem::AmbiguousCalibration { .. } => ErrorClass::CalibrationLookupError,
        QueryProblem::UnknownFunction { .. } => ErrorClass::QueryValueError,
        // The peer leaves the text of a region to Python, which raises a `ValueError`.
        QueryProblem::BadArguments { function, .. }
            if matches!(function.as_str(), "REGION" | "POINT" | "CIRCLE" | "BOX" | "POLYGON") =>
        {
            ErrorClass::QueryValueError
        }
        QueryProblem::Syntax(_)
        | QueryProblem::BadArguments { .. }
        | QueryProblem::BadKey { .. }
        | QueryProblem::UnknownName { .. }
        | QueryProblem::UnknownField { .. }
        | QueryProblem::AmbiguousName { .. }
        | QueryProblem::NotACondition { .. }
        | QueryProblem::NotAValue { .. }
        | QueryProblem::WrongTypes { .. }
        | QueryProblem::NotADay { .. }
        | QueryProblem::UnknownBind { .. }
        | QueryProblem::ShadowedBind { .. }
        | QueryProblem::NotJoined { .. }
        | QueryProblem::NoGovernor { .. }
        | QueryProblem::NeedlessJoin { .. }
        | QueryProblem::Disconnected { .. }
        | QueryProblem::BadOrder { .. }
        | QueryProblem::Unordered { .. } => ErrorClass::InvalidQueryError,
    }
}
