"""The kinds of connections between a task and the datasets it reads and writes.

>>> from armillary.pipeline import connectionTypes as cT
>>> raw = cT.Input(name="raw", storageClass="Exposure", doc="Raw image.", dimensions=("exposure", "detector"))
>>> raw.multiple
False
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing import Self

__all__ = ["BaseConnection", "InitInput", "InitOutput", "Input", "Output", "PrerequisiteInput"]


@dataclasses.dataclass(frozen=True)
class BaseConnection:
    """What every connection has.

    Parameters
    ----------
    name
        Name of the dataset type. `{word}` in it stands for the template of that name.
    storageClass
        Name of the storage class the task wants.
    doc
        What the dataset is.
    multiple
        Whether the task gets or gives a list of datasets, not one.
    deprecated
        Why the connection should not be used any more, when that is so.

    Examples
    --------
    >>> from armillary.pipeline import connectionTypes as cT
    >>> cT.InitOutput(name="schema", storageClass="StructuredDataDict", doc="Columns.").name
    'schema'

    """

    name: str
    storageClass: str
    doc: str = ""
    multiple: bool = False
    deprecated: str | None = dataclasses.field(default=None, kw_only=True)
    _deprecation_context: str = ""

    _connection_kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.deprecated and not self._deprecation_context:
            object.__setattr__(self, "_deprecation_context", _place_of_definition())

    def __get__(self, instance: Any, owner: type | None = None) -> Self:
        # Reached for an instance only when the instance has no connection of its own: see `connections.py`.
        refuse = getattr(owner, "_refuse_removed_connection", None)
        if instance is not None and refuse is not None:
            refuse(instance, self)
        return self


def _place_of_definition() -> str:
    """Return `file:line` of the first caller outside this file and outside generated `__init__` methods."""
    import sys

    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename in (__file__, "<string>"):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


@dataclasses.dataclass(frozen=True)
class DimensionedConnection(BaseConnection):
    """A connection to datasets that exist once per data ID.

    Parameters
    ----------
    dimensions
        Names of the dimensions that identify a dataset of this type.
    isCalibration
        Whether the dataset type has validity ranges.

    Raises
    ------
    TypeError
        `dimensions` is one string.

    """

    dimensions: Iterable[str] = ()
    isCalibration: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.dimensions, str):
            raise TypeError(
                f"the dimensions of connection `{self.name}` are one string, `{self.dimensions}`; "
                f'write `("{self.dimensions}",)` with a comma'
            )
        if not isinstance(self.dimensions, Iterable):
            raise TypeError(
                f"the dimensions of connection `{self.name}` are {self.dimensions!r}, not a sequence of names"
            )


@dataclasses.dataclass(frozen=True)
class BaseInput(DimensionedConnection):
    """A connection to datasets that a quantum reads.

    Parameters
    ----------
    deferLoad
        Whether the task gets handles, which load when asked, in place of the datasets.
    minimum
        The least number of datasets with which a quantum makes sense.

    Raises
    ------
    TypeError
        `minimum` is above 1 for a connection that is not `multiple`.

    """

    deferLoad: bool = False
    minimum: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.minimum > 1 and not self.multiple:
            raise TypeError(f"connection `{self.name}` wants at least {self.minimum} datasets but is not `multiple`")


@dataclasses.dataclass(frozen=True)
class Input(BaseInput):
    """Datasets that a quantum reads and that decide which quanta there are.

    Parameters
    ----------
    deferGraphConstraint
        Do not limit the quanta of the graph to data IDs for which this dataset exists.
    deferBinding
        Leave this input out of the pipeline graph.

    Examples
    --------
    >>> from armillary.pipeline import connectionTypes as cT
    >>> cT.Input(name="warp", storageClass="Exposure", dimensions=("patch", "visit"), multiple=True, minimum=2).minimum
    2

    """

    deferGraphConstraint: bool = False
    deferBinding: bool = False

    _connection_kind: ClassVar[str] = "inputs"


@dataclasses.dataclass(frozen=True)
class PrerequisiteInput(BaseInput):
    """Datasets that must exist before the graph is built: calibrations, reference catalogues.

    Parameters
    ----------
    lookupFunction
        Called as `lookupFunction(dataset_type, registry, quantum_data_id, collections)` for each quantum in place of
        the usual search; returns dataset references.

    Examples
    --------
    >>> from armillary.pipeline import connectionTypes as cT
    >>> cT.PrerequisiteInput(name="bias", storageClass="Exposure", dimensions=("detector",), isCalibration=True).minimum
    1

    """

    lookupFunction: Callable[[Any, Any, Any, Sequence[str]], Iterable[Any]] | None = None

    _connection_kind: ClassVar[str] = "prerequisiteInputs"


@dataclasses.dataclass(frozen=True)
class Output(DimensionedConnection):
    """Datasets that a quantum writes.

    Examples
    --------
    >>> from armillary.pipeline import connectionTypes as cT
    >>> cT.Output(name="src", storageClass="ArrowAstropy", dimensions=("visit", "detector")).storageClass
    'ArrowAstropy'

    """

    _connection_kind: ClassVar[str] = "outputs"


@dataclasses.dataclass(frozen=True)
class InitInput(BaseConnection):
    """A dataset without dimensions that a task reads when it is made.

    Examples
    --------
    >>> from armillary.pipeline import connectionTypes as cT
    >>> cT.InitInput(name="src_schema", storageClass="StructuredDataDict").name
    'src_schema'

    """

    _connection_kind: ClassVar[str] = "initInputs"


@dataclasses.dataclass(frozen=True)
class InitOutput(BaseConnection):
    """A dataset without dimensions that a task writes when it is made, from its attribute of the connection's name.

    Examples
    --------
    >>> from armillary.pipeline import connectionTypes as cT
    >>> cT.InitOutput(name="src_schema", storageClass="StructuredDataDict").multiple
    False

    """

    _connection_kind: ClassVar[str] = "initOutputs"
