"""The Rust core. Users find these names in `armillary.butler` and `armillary.pipeline`."""

from collections.abc import Mapping, Sequence
from typing import Any

def _error_classes() -> list[str]:
    """Names of the exception classes the core may raise."""

class PipelineGraph:
    """The tasks of a pipeline and the dataset types between them; see `armillary.pipeline.PipelineGraph`.

    Everything is plain data: a task is a dictionary with `label`, `task_class`, `dimensions`, `config_str`, `init_inputs`,
    `init_outputs`, `config_output`, `prerequisite_inputs`, `inputs`, `outputs`, `metadata_output`, `log_output` and
    `hooks`; an edge has `connection`, `dataset_type`, `storage_class`, `dimensions`, `is_calibration`,
    `defer_query_constraint`, `multiple`, `minimum` and `lookup`. `universe` is a dimension document (JSON).
    """

    def __init__(
        self,
        universe: str | None = None,
        description: str = "",
        tasks: Sequence[Mapping[str, Any]] | None = None,
        subsets: Mapping[str, Mapping[str, Any]] | None = None,
        steps: Sequence[str] | None = None,
        data_id: Mapping[str, Any] | None = None,
    ) -> None: ...
    @staticmethod
    def from_json(text: str) -> PipelineGraph:
        """From the stored form; nothing named in it is imported or run. Raises `PipelineGraphReadError`."""

    def to_json(self) -> str: ...
    def copy(self) -> PipelineGraph: ...
    description: str
    @property
    def data_id(self) -> dict[str, Any]: ...
    @property
    def universe_document(self) -> str | None: ...
    @property
    def is_sorted(self) -> bool: ...
    @property
    def is_resolved(self) -> bool: ...
    @property
    def steps_verified(self) -> bool: ...
    @property
    def task_labels(self) -> list[str]:
        """In topological order once sorted."""

    @property
    def dataset_type_names(self) -> list[str]:
        """In topological order once sorted."""

    def task(self, label: str) -> dict[str, Any]: ...
    def dataset_type(self, name: str) -> dict[str, Any] | None:
        """`dimensions`, `storage_class`, `is_calibration`, `is_initial_query_constraint`, `is_prerequisite`; None if
        unresolved. Raises `KeyError`.
        """

    def add_tasks(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Add tasks, or none of them: raises `PipelineDataCycleError`, `ValueError` for a label in use."""

    def replace_tasks(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Replace tasks by other forms of them; dataset types of changed edges become unresolved."""

    def remove_tasks(self, labels: Sequence[str], *, drop_from_subsets: bool = True) -> list[tuple[str, set[str]]]:
        """Remove tasks; returns each with the subsets it was in."""

    def add_subset(
        self, label: str, tasks: set[str], description: str = "", dimensions: set[str] | None = None
    ) -> None: ...
    def remove_subset(self, label: str) -> None: ...
    @property
    def subsets(self) -> dict[str, tuple[str, list[str], list[str]]]:
        """Label to (description, members, sharding dimensions)."""

    @property
    def steps(self) -> list[str]: ...
    def set_steps(self, steps: Sequence[str]) -> None: ...
    def sort(self) -> None: ...
    def resolve(
        self, registered: dict[str, dict[str, Any]], universe: str | None = None
    ) -> list[tuple[str, str, str, str | None, str, str]]:
        """Define all dataset types, sort, and check the steps.

        `registered` maps the names of registered types to `dimensions`, `storage_class`, `is_calibration`. Returns
        (label, connection, dataset type, component, from class, to class) for each conversion that the caller must find
        possible; if one is not, call `unresolve` and raise `IncompatibleDatasetTypeError`. For a component, `from` is the
        storage class of the whole (or `to` is it, for an output).
        """

    def unresolve(self) -> None: ...
    def nodes(self) -> list[tuple[str, str]]:
        """All nodes in order: (`dataset_type`, `task_init` or `task`; name)."""

    def edges(self) -> list[tuple[tuple[str, str], tuple[str, str], str]]:
        """All edges between nodes, each with the name of its connection."""

    def producer_of(self, name: str) -> tuple[str, str, bool] | None:
        """(task, connection, whether at its making) of the writer of a dataset type."""

    def consumers_of(self, name: str) -> list[tuple[str, str, bool]]: ...
    def overall_inputs(self) -> list[str]: ...
    def select(self, expression: str) -> set[str]:
        """Labels that an expression selects; raises `InvalidExpressionError`."""

    def range(self, first: str | None = None, last: str | None = None) -> set[str]:
        """Labels downstream of `first` and upstream of `last`, both included."""

    def restricted(self, labels: set[str]) -> PipelineGraph: ...
    def split_independent(self) -> list[PipelineGraph]: ...
    def differences(self, other: PipelineGraph) -> list[str]: ...

def region_relate(a: bytes, b: bytes) -> int:
    """How two encoded regions lie to each other: bits 1 disjoint, 2 `a` contains `b`, 4 `a` is within `b`."""

def region_overlaps(a: bytes, b: bytes) -> bool:
    """Whether two encoded regions may have a point in common."""

def region_relate_pairs(a: list[bytes], b: list[bytes]) -> bytes:
    """`region_relate` of each pair, one byte per pair."""

def region_contains(region: bytes, x: float, y: float, z: float) -> bool:
    """Whether a direction of length one is in an encoded region."""

def region_recode(region: bytes) -> bytes:
    """Decode a region and encode it again: equal bytes for all that the peer writes."""

def region_from_ivoa_pos(pos: str) -> bytes:
    """Encode the region of an SIA `POS` text: `CIRCLE lon lat radius`, `RANGE ...` or `POLYGON ...`, in degrees."""

def skypix_envelope(system: str, level: int, region: bytes) -> list[tuple[int, int]]:
    """Ranges (first, last + 1) of the pixels of `htm` or `healpix` that an encoded region may touch, ascending."""

def skypix_index(system: str, level: int, x: float, y: float, z: float) -> int:
    """Index of the pixel of `htm` or `healpix` that a direction lies in."""
