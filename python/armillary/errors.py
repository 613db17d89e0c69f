"""Every exception armillary raises, defined once.

Each can be made from one string, the message, and has a `kind`: a stable code that scripts may compare with.
Kinds are added, never renamed. User errors also carry the kind as `error_type`.
Exceptions a *task* raises to steer its execution are in `armillary.pipeline`.

    AmbiguousDatasetError
    ButlerAttributeExistsError  (RuntimeError)
    ButlerUserError
    ├── CalibrationLookupError  (also LookupError)
    ├── CollectionCycleError  (also ValueError)
    ├── ConfigurationError  (also ValueError)
    ├── DatasetNotFoundError  (also LookupError)
    ├── DimensionValueError  (also ValueError)
    ├── InvalidQueryError
    │   ├── QueryTypeError  (also TypeError)
    │   └── QueryValueError  (also ValueError)
    ├── RepositoryNotFoundError  (also FileNotFoundError)
    ├── UnimplementedQueryError  (also NotImplementedError)
    ├── UnknownButlerUserError
    ├── UnknownComponentError  (also KeyError)
    ├── UnknownParameterError  (also KeyError)
    ├── UnknownStorageClassError  (also KeyError)
    ├── UnsafePathError  (also ValueError)
    └── UntrustedContentError  (also RuntimeError)
    ContractError
    DatasetTypeNotSupportedError  (RuntimeError)
    EmptyQueryResultError
    FileIntegrityError  (RuntimeError)
    FormatterNotImplementedError  (NotImplementedError)
    IncompatibleGraphError
    IncompatibleVersionError  (RuntimeError)
    IncompleteQuantumGraphError  (RuntimeError)
    InconsistentUniverseError
    InvalidCacheFilenameError
    InvalidQuantumGraphFileError  (RuntimeError)
    MPGraphExecutorError
    └── MPTimeoutError
    ManagerMismatchError  (RuntimeError)
    MissingDatabaseTableError  (RuntimeError)
    MissingManagerError  (RuntimeError)
    PipelineGraphError  (RuntimeError)
    ├── ConnectionTypeConsistencyError
    ├── DuplicateOutputError
    ├── EdgesChangedError
    ├── IncompatibleDatasetTypeError
    ├── InvalidExpressionError
    ├── InvalidStepsError
    ├── PipelineDataCycleError
    ├── PipelineGraphExceptionSafetyError
    ├── PipelineGraphReadError  (also OSError)
    ├── TaskNotImportedError
    └── UnresolvedGraphError
    QuantumGraphBuilderError
    ├── InitInputMissingError
    ├── OutputExistsError
    └── PrerequisiteMissingError
    ReadOnlyDatabaseError  (RuntimeError)
    RegistryError
    ├── ArgumentError
    ├── CollectionError
    │   ├── CollectionExpressionError
    │   ├── CollectionTypeError  (also ButlerUserError)
    │   ├── MissingCollectionError  (also ButlerUserError)
    │   └── NoDefaultCollectionError
    ├── CommitUnknownError
    ├── ConflictingDefinitionError
    │   └── DatabaseConflictError
    ├── DataIdError
    │   ├── DataIdValueError  (also ButlerUserError)
    │   │   └── MissingRecordError  (also LookupError)
    │   ├── DimensionNameError  (also KeyError, ButlerUserError)
    │   └── InconsistentDataIdError  (also ButlerUserError)
    ├── DatasetTypeError
    │   ├── DatasetTypeExpressionError  (also ButlerUserError)
    │   └── MissingDatasetTypeError  (also KeyError, ButlerUserError)
    ├── MissingSpatialOverlapError
    ├── OrphanedRecordError
    ├── RegistryConsistencyError
    └── UserExpressionError
        └── UserExpressionSyntaxError
    ScalarError  (TypeError)
    SchemaAlreadyDefinedError  (RuntimeError)
    TaskError
    UnsupportedIdGeneratorError  (ValueError)
    ValidationError  (RuntimeError)
    ├── ButlerValidationError
    ├── ConstraintsValidationError
    ├── DatastoreValidationError
    ├── FileTemplateValidationError
    └── SchemaValidationError
"""

from __future__ import annotations

import opcode
from types import TracebackType
from typing import ClassVar

__all__ = [
    "AmbiguousDatasetError",
    "ArgumentError",
    "ButlerAttributeExistsError",
    "ButlerUserError",
    "ButlerValidationError",
    "CalibrationLookupError",
    "CollectionCycleError",
    "CollectionError",
    "CollectionExpressionError",
    "CollectionTypeError",
    "CommitUnknownError",
    "ConfigurationError",
    "ConflictingDefinitionError",
    "ConnectionTypeConsistencyError",
    "ConstraintsValidationError",
    "ContractError",
    "DataIdError",
    "DataIdValueError",
    "DatabaseConflictError",
    "DatasetNotFoundError",
    "DatasetTypeError",
    "DatasetTypeExpressionError",
    "DatasetTypeNotSupportedError",
    "DatastoreValidationError",
    "DimensionNameError",
    "DimensionValueError",
    "DuplicateOutputError",
    "EdgesChangedError",
    "EmptyQueryResultError",
    "FileIntegrityError",
    "FileTemplateValidationError",
    "FormatterNotImplementedError",
    "IncompatibleDatasetTypeError",
    "IncompatibleGraphError",
    "IncompatibleVersionError",
    "IncompleteQuantumGraphError",
    "InconsistentDataIdError",
    "InconsistentUniverseError",
    "InitInputMissingError",
    "InvalidCacheFilenameError",
    "InvalidExpressionError",
    "InvalidQuantumGraphFileError",
    "InvalidQueryError",
    "InvalidStepsError",
    "MPGraphExecutorError",
    "MPTimeoutError",
    "ManagerMismatchError",
    "MissingCollectionError",
    "MissingDatabaseTableError",
    "MissingDatasetTypeError",
    "MissingManagerError",
    "MissingRecordError",
    "MissingSpatialOverlapError",
    "NoDefaultCollectionError",
    "OrphanedRecordError",
    "OutputExistsError",
    "PipelineDataCycleError",
    "PipelineGraphError",
    "PipelineGraphExceptionSafetyError",
    "PipelineGraphReadError",
    "PrerequisiteMissingError",
    "QuantumGraphBuilderError",
    "QueryTypeError",
    "QueryValueError",
    "ReadOnlyDatabaseError",
    "RegistryConsistencyError",
    "RegistryError",
    "RepositoryNotFoundError",
    "ScalarError",
    "SchemaAlreadyDefinedError",
    "SchemaValidationError",
    "TaskError",
    "TaskNotImportedError",
    "UnimplementedQueryError",
    "UnknownButlerUserError",
    "UnknownComponentError",
    "UnknownParameterError",
    "UnknownStorageClassError",
    "UnresolvedGraphError",
    "UnsafePathError",
    "UnsupportedIdGeneratorError",
    "UntrustedContentError",
    "UserExpressionError",
    "UserExpressionSyntaxError",
    "ValidationError",
]


class _PlainMessage(KeyError):
    """A `KeyError` shows the `repr` of its message; people read this one."""

    def __str__(self) -> str:
        return str(self.args[0]) if len(self.args) == 1 else super().__str__()


class ButlerUserError(Exception):
    """Something the caller can put right.

    >>> from armillary.errors import DatasetNotFoundError
    >>> DatasetNotFoundError("no `bias` for detector 3").error_type
    'dataset_not_found'
    """

    kind: ClassVar[str] = "user"
    error_type: ClassVar[str | None] = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.error_type = cls.kind


class CalibrationLookupError(LookupError, ButlerUserError):
    """A calibration collection holds no single answer for the time asked."""

    kind: ClassVar[str] = "calibration_lookup"


class CollectionCycleError(ValueError, ButlerUserError):
    """A chain would contain itself."""

    kind: ClassVar[str] = "collection_cycle"


class DatasetNotFoundError(LookupError, ButlerUserError):
    """No dataset of this type and data ID in the collections searched."""

    kind: ClassVar[str] = "dataset_not_found"


class DimensionValueError(ValueError, ButlerUserError):
    """A value cannot be used for its dimension."""

    kind: ClassVar[str] = "dimension_value"


class InvalidQueryError(ButlerUserError):
    """A query cannot be understood."""

    kind: ClassVar[str] = "invalid_query"


class QueryTypeError(InvalidQueryError, TypeError):
    """A query was given a value of a type that it cannot use."""

    kind: ClassVar[str] = "query_type"


class QueryValueError(InvalidQueryError, ValueError):
    """A function in a query is unknown, or cannot use its arguments."""

    kind: ClassVar[str] = "query_value"


class EmptyQueryResultError(Exception):
    """A query that had to find something found nothing; `reasons` holds one line for each cause."""

    kind: ClassVar[str] = "empty_query_result"

    def __init__(self, reasons: str | list[str]) -> None:
        super().__init__(reasons)
        self.reasons = [reasons] if isinstance(reasons, str) else list(reasons)

    def __str__(self) -> str:
        if isinstance(self.args[0], str):
            return self.args[0]
        return "\n".join(["Possible reasons for empty result:", *self.reasons])


class UnimplementedQueryError(NotImplementedError, ButlerUserError):
    """A query is well formed but not supported."""

    kind: ClassVar[str] = "unimplemented_query"


class UnknownButlerUserError(ButlerUserError):
    """A user error of a kind this version does not know."""

    kind: ClassVar[str] = "unknown"


class UnknownComponentError(_PlainMessage, ButlerUserError):
    """A storage class has no such component."""

    kind: ClassVar[str] = "unknown_component"


class RegistryError(Exception):
    """The registry refuses an operation."""

    kind: ClassVar[str] = "registry"


class CommitUnknownError(RegistryError):
    """The database did not confirm a change and cannot be asked: it may have happened."""

    kind: ClassVar[str] = "commit_unknown"


class ArgumentError(RegistryError):
    """Arguments contradict each other or are missing."""

    kind: ClassVar[str] = "argument"


class CollectionError(RegistryError):
    """A collection cannot be used as asked."""

    kind: ClassVar[str] = "collection"


class CollectionExpressionError(CollectionError):
    """A collection pattern cannot be used here."""

    kind: ClassVar[str] = "collection_expression"


class CollectionTypeError(CollectionError, ButlerUserError):
    """A collection is of the wrong type for the operation."""

    kind: ClassVar[str] = "collection_type"


class MissingCollectionError(CollectionError, ButlerUserError):
    """No collection has this name."""

    kind: ClassVar[str] = "missing_collection"


class NoDefaultCollectionError(CollectionError):
    """No collection or run was given and the butler has no default."""

    kind: ClassVar[str] = "no_default_collection"


class ConflictingDefinitionError(RegistryError):
    """Something of this name or identity exists with another definition."""

    kind: ClassVar[str] = "conflicting_definition"


class DatabaseConflictError(ConflictingDefinitionError):
    """A row contradicts the one already stored."""

    kind: ClassVar[str] = "database_conflict"


class DataIdError(RegistryError):
    """A data ID cannot be used."""

    kind: ClassVar[str] = "data_id"


class DataIdValueError(DataIdError, ButlerUserError):
    """A data ID holds a value no record has."""

    kind: ClassVar[str] = "data_id_value"


class MissingRecordError(DataIdValueError, LookupError):
    """Something new names a record that is not there."""

    kind: ClassVar[str] = "missing_record"


class DimensionNameError(_PlainMessage, DataIdError, ButlerUserError):
    """A dimension is unknown, or missing from a data ID."""

    kind: ClassVar[str] = "dimension_name"


class InconsistentDataIdError(DataIdError, ButlerUserError):
    """Values of a data ID contradict each other."""

    kind: ClassVar[str] = "inconsistent_data_id"


class DatasetTypeError(RegistryError):
    """A dataset type cannot be used as asked."""

    kind: ClassVar[str] = "dataset_type"


class DatasetTypeExpressionError(DatasetTypeError, ButlerUserError):
    """A dataset type pattern cannot be used here."""

    kind: ClassVar[str] = "dataset_type_expression"


class MissingDatasetTypeError(DatasetTypeError, _PlainMessage, ButlerUserError):
    """No dataset type has this name."""

    kind: ClassVar[str] = "missing_dataset_type"


class MissingSpatialOverlapError(RegistryError):
    """Two dimensions have no spatial relation to join on."""

    kind: ClassVar[str] = "missing_spatial_overlap"


class OrphanedRecordError(RegistryError):
    """Deleting this would leave other records pointing at nothing."""

    kind: ClassVar[str] = "orphaned_record"


class RegistryConsistencyError(RegistryError):
    """The registry contradicts itself."""

    kind: ClassVar[str] = "registry_consistency"


class UserExpressionError(RegistryError):
    """An expression given by the user is wrong."""

    kind: ClassVar[str] = "user_expression"


class UserExpressionSyntaxError(UserExpressionError):
    """An expression given by the user cannot be parsed."""

    kind: ClassVar[str] = "user_expression_syntax"


class AmbiguousDatasetError(Exception):
    """A dataset reference lacks what identifies one dataset."""

    kind: ClassVar[str] = "ambiguous_dataset"


class InconsistentUniverseError(Exception):
    """Two dimension universes differ where they must agree."""

    kind: ClassVar[str] = "inconsistent_universe"


class UnsupportedIdGeneratorError(ValueError):
    """Dataset IDs cannot be made this way for this dataset type."""

    kind: ClassVar[str] = "unsupported_id_generator"


class ButlerAttributeExistsError(RuntimeError):
    """A repository attribute is already set."""

    kind: ClassVar[str] = "butler_attribute_exists"


class IncompatibleVersionError(RuntimeError):
    """The repository has a schema version this release cannot use."""

    kind: ClassVar[str] = "incompatible_version"


class ManagerMismatchError(RuntimeError):
    """The repository was made with another schema manager than configured."""

    kind: ClassVar[str] = "manager_mismatch"


class MissingManagerError(RuntimeError):
    """The repository does not name a schema manager it must have."""

    kind: ClassVar[str] = "missing_manager"


class MissingDatabaseTableError(RuntimeError):
    """The database lacks a table it must have."""

    kind: ClassVar[str] = "missing_database_table"


class ReadOnlyDatabaseError(RuntimeError):
    """A write was asked of a database opened for reading."""

    kind: ClassVar[str] = "read_only_database"


class SchemaAlreadyDefinedError(RuntimeError):
    """The database already holds a repository."""

    kind: ClassVar[str] = "schema_already_defined"


class ValidationError(RuntimeError):
    """A configuration or a file does not agree with the repository."""

    kind: ClassVar[str] = "validation"


class ButlerValidationError(ValidationError):
    """A butler's configuration does not fit its dataset types."""

    kind: ClassVar[str] = "butler_validation"


class ConstraintsValidationError(ValidationError):
    """A datastore's constraints are not well formed."""

    kind: ClassVar[str] = "constraints_validation"


class DatastoreValidationError(ValidationError):
    """A datastore's configuration does not fit the dataset types."""

    kind: ClassVar[str] = "datastore_validation"


class FileTemplateValidationError(ValidationError):
    """A file template cannot name the files of a dataset type."""

    kind: ClassVar[str] = "file_template_validation"


class SchemaValidationError(ValidationError):
    """A table differs from its declared schema."""

    kind: ClassVar[str] = "schema_validation"


class DatasetTypeNotSupportedError(RuntimeError):
    """A datastore has no way to store this dataset type."""

    kind: ClassVar[str] = "dataset_type_not_supported"


class FileIntegrityError(RuntimeError):
    """A file differs from its record in size or checksum."""

    kind: ClassVar[str] = "file_integrity"


class FormatterNotImplementedError(NotImplementedError):
    """A formatter cannot read or write in this way."""

    kind: ClassVar[str] = "formatter_not_implemented"


class InvalidCacheFilenameError(Exception):
    """A file in the cache directory was not named by the cache."""

    kind: ClassVar[str] = "invalid_cache_filename"


class ContractError(Exception):
    """A pipeline's contract does not hold."""

    kind: ClassVar[str] = "contract"


class ScalarError(TypeError):
    """A connection of one dataset was given several."""

    kind: ClassVar[str] = "scalar"


class TaskError(Exception):
    """A task cannot be set up."""

    kind: ClassVar[str] = "task"


class PipelineGraphError(RuntimeError):
    """A pipeline graph is not sound."""

    kind: ClassVar[str] = "pipeline_graph"


class ConnectionTypeConsistencyError(PipelineGraphError):
    """Tasks use one dataset type in contradicting ways."""

    kind: ClassVar[str] = "connection_type_consistency"


class DuplicateOutputError(PipelineGraphError):
    """Two tasks write the same dataset type."""

    kind: ClassVar[str] = "duplicate_output"


class EdgesChangedError(PipelineGraphError):
    """A new configuration would change a task's connections."""

    kind: ClassVar[str] = "edges_changed"


class IncompatibleDatasetTypeError(PipelineGraphError):
    """Definitions of one dataset type cannot be reconciled."""

    kind: ClassVar[str] = "incompatible_dataset_type"


class InvalidExpressionError(PipelineGraphError):
    """A selection expression cannot be parsed or applied."""

    kind: ClassVar[str] = "invalid_expression"


class InvalidStepsError(PipelineGraphError):
    """The steps of a pipeline do not divide its tasks in order."""

    kind: ClassVar[str] = "invalid_steps"


class PipelineDataCycleError(PipelineGraphError):
    """A task would need its own output."""

    kind: ClassVar[str] = "pipeline_data_cycle"


class PipelineGraphExceptionSafetyError(PipelineGraphError):
    """A failed change left a pipeline graph unusable."""

    kind: ClassVar[str] = "pipeline_graph_exception_safety"


class PipelineGraphReadError(PipelineGraphError, OSError):
    """A saved pipeline graph cannot be read."""

    kind: ClassVar[str] = "pipeline_graph_read"
    # Engines that send errors between processes call this by name and would find that of `RuntimeError`, which
    # cannot make what is also an `OSError`.
    __new__ = OSError.__new__  # type: ignore[assignment]


class TaskNotImportedError(PipelineGraphError):
    """A task class is needed but was not imported."""

    kind: ClassVar[str] = "task_not_imported"


class UnresolvedGraphError(PipelineGraphError):
    """A pipeline graph must be resolved first."""

    kind: ClassVar[str] = "unresolved_graph"


class IncompatibleGraphError(Exception):
    """A saved quantum graph does not fit what was asked of it."""

    kind: ClassVar[str] = "incompatible_graph"


class IncompleteQuantumGraphError(RuntimeError):
    """A quantum graph was read in part, and the rest is needed."""

    kind: ClassVar[str] = "incomplete_quantum_graph"


class InvalidQuantumGraphFileError(RuntimeError):
    """A file is not a sound quantum graph."""

    kind: ClassVar[str] = "invalid_quantum_graph_file"


class QuantumGraphBuilderError(Exception):
    """A quantum graph cannot be built."""

    kind: ClassVar[str] = "quantum_graph_builder"


class InitInputMissingError(QuantumGraphBuilderError):
    """A dataset a task needs at construction does not exist."""

    kind: ClassVar[str] = "init_input_missing"


class OutputExistsError(QuantumGraphBuilderError):
    """An output of a quantum is already in the output run."""

    kind: ClassVar[str] = "output_exists"


class PrerequisiteMissingError(QuantumGraphBuilderError):
    """A dataset that must exist before the graph does not."""

    kind: ClassVar[str] = "prerequisite_missing"


class MPGraphExecutorError(Exception):
    """Some tasks failed."""

    kind: ClassVar[str] = "graph_executor"


class MPTimeoutError(MPGraphExecutorError):
    """A task ran out of its time."""

    kind: ClassVar[str] = "graph_timeout"


class ConfigurationError(ValueError, ButlerUserError):
    """A configuration file or key is wrong."""

    kind: ClassVar[str] = "configuration"


class RepositoryNotFoundError(FileNotFoundError, ButlerUserError):
    """No repository is at this place or has this label."""

    kind: ClassVar[str] = "repository_not_found"


class UnknownParameterError(_PlainMessage, ButlerUserError):
    """A storage class does not understand a read parameter."""

    kind: ClassVar[str] = "unknown_parameter"


class UnknownStorageClassError(_PlainMessage, ButlerUserError):
    """No storage class has this name."""

    kind: ClassVar[str] = "unknown_storage_class"


class UnsafePathError(ValueError, ButlerUserError):
    """A name would place a file where no file may go."""

    kind: ClassVar[str] = "unsafe_path"


class UntrustedContentError(RuntimeError, ButlerUserError):
    """A file asks for code to run, and nobody said it may."""

    kind: ClassVar[str] = "untrusted_content"


def tells_all(error: BaseException) -> bool:
    """Whether the message of an error is meant for people, so that the place in the code it came from adds nothing.

    So it is for the errors defined here, for those of the operating system, for values that a task's config refuses,
    for text that is no Python, and for whatever else armillary raised by a `raise` of its own.

    >>> tells_all(FileNotFoundError(2, "no such file")), tells_all(ZeroDivisionError("division by zero"))
    (True, False)
    """
    names = [f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__]
    known = any(name.startswith(f"{__name__}.") or name in _TELLING for name in names)
    return known or isinstance(error, OSError | SyntaxError) or _raised_here(error.__traceback__)


_TELLING = ("lsst.pex.config.config.FieldValidationError",)
_PACKAGE = __name__.partition(".")[0]


def _raised_here(place: TracebackType | None) -> bool:
    """Whether a traceback ends at a `raise` statement of this package."""
    if place is None:
        return False
    while place.tb_next is not None:
        place = place.tb_next
    code = place.tb_frame.f_code.co_code
    ours = str(place.tb_frame.f_globals.get("__name__", "")).partition(".")[0] == _PACKAGE
    return ours and code[place.tb_lasti] == opcode.opmap["RAISE_VARARGS"]
