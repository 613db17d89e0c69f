"""What a task reads and writes, declared as a class."""

from __future__ import annotations

import dataclasses
import itertools
import string
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from armillary._words import did_you_mean
from armillary.errors import ScalarError
from armillary.pipeline.connection_types import (
    BaseConnection,
    BaseInput,
    InitInput,
    InitOutput,
    Input,
    Output,
    PrerequisiteInput,
)
from armillary.pipeline.quanta_adjuster import QuantaAdjuster
from armillary.pipeline.status import NoWorkFound

if TYPE_CHECKING:
    from armillary.pipeline.config import PipelineTaskConfig

    DatasetRef: TypeAlias = Any
    DataCoordinate: TypeAlias = Any
    Quantum: TypeAlias = Any

__all__ = [
    "AdjustQuantumHelper",
    "DeferredDatasetRef",
    "InputQuantizedConnection",
    "OutputQuantizedConnection",
    "PipelineTaskConnections",
    "QuantaAdjuster",
    "QuantizedConnection",
    "ScalarError",
    "iterConnections",
]

KINDS = ("initInputs", "prerequisiteInputs", "inputs", "initOutputs", "outputs")
"""The sets of connection names that a connections object has, in the order in which all of them are listed."""


class QuantizedConnection(SimpleNamespace):
    """The dataset references of one quantum by connection name: one reference, or a list where `multiple`.

    Iterating gives `(name, references)` pairs.

    Examples
    --------
    >>> from armillary.pipeline import QuantizedConnection
    >>> references = QuantizedConnection()
    >>> references.raw = "a reference"
    >>> list(references)
    [('raw', 'a reference')]
    >>> list(references.keys())
    ['raw']

    """

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        yield from list(vars(self).items())

    def __len__(self) -> int:
        return len(vars(self))

    def __bool__(self) -> bool:
        return True  # as it was before it had a length

    def keys(self) -> Iterator[str]:
        """Iterate over the connection names."""
        yield from list(vars(self))


class InputQuantizedConnection(QuantizedConnection):
    """The inputs of one quantum by connection name.

    Examples
    --------
    >>> from armillary.pipeline import InputQuantizedConnection
    >>> list(InputQuantizedConnection())
    []

    """


class OutputQuantizedConnection(QuantizedConnection):
    """The outputs of one quantum by connection name.

    Examples
    --------
    >>> from armillary.pipeline import OutputQuantizedConnection
    >>> list(OutputQuantizedConnection())
    []

    """


@dataclasses.dataclass(frozen=True)
class DeferredDatasetRef:
    """A reference whose dataset the task loads itself, when it wants to.

    Examples
    --------
    >>> from armillary.pipeline import DeferredDatasetRef
    >>> DeferredDatasetRef("a reference").datasetRef
    'a reference'

    """

    datasetRef: DatasetRef

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(object.__getattribute__(self, "datasetRef"), name)


def _template_names(connections: Mapping[str, BaseConnection]) -> set[str]:
    parse = string.Formatter().parse
    return {field for connection in connections.values() for _, field, _, _ in parse(connection.name) if field}


def _class_connections(bases: tuple[type, ...], namespace: Mapping[str, Any]) -> dict[str, BaseConnection]:
    """Return the connections of a class as declared: those of its bases, replaced and extended by its own."""
    found: dict[str, BaseConnection] = {}
    for base in reversed(bases):
        found.update(getattr(base, "allConnections", {}))
    found.update({name: value for name, value in namespace.items() if isinstance(value, BaseConnection)})
    return found


def _class_dimensions(name: str, bases: tuple[type, ...], given: Any) -> set[str]:
    inherited = next((base.dimensions for base in bases if hasattr(base, "dimensions")), None)
    dimensions = inherited if given is None else given
    if dimensions is None:
        raise TypeError(f'connections class `{name}` needs dimensions: `class {name}(..., dimensions=("visit",))`')
    if isinstance(dimensions, str) or not isinstance(dimensions, Iterable):
        raise TypeError(
            f"the dimensions of connections class `{name}` are {dimensions!r}, not a sequence of names; "
            'one name is written `("visit",)`, with a comma'
        )
    return set(dimensions)


def _class_templates(
    name: str, bases: tuple[type, ...], given: Mapping[str, str] | None, connections: Mapping[str, BaseConnection]
) -> dict[str, str]:
    templates: dict[str, str] = {}
    for base in reversed(bases):
        templates.update(getattr(base, "defaultTemplates", {}))
    templates.update(given or {})
    used = _template_names(connections)
    missing = sorted(used - templates.keys())
    if missing:
        raise TypeError(
            f"connection names of `{name}` use the template `{missing[0]}`, for which `defaultTemplates` has no value"
        )
    clashing = sorted(templates.keys() & connections.keys())
    if used and clashing:
        raise TypeError(f"`{clashing[0]}` is both a template and a connection of `{name}`; rename one of them")
    return templates


class PipelineTaskConnectionsMetaclass(type):
    """Collects the connections of a class, checks them, and freezes its instances once they are made."""

    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        dimensions: Iterable[str] | None = None,
        defaultTemplates: Mapping[str, str] | None = None,
        deprecatedTemplates: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> PipelineTaskConnectionsMetaclass:
        """Make the class; `dimensions` are required unless a base class has them."""
        if not any(isinstance(base, PipelineTaskConnectionsMetaclass) for base in bases):
            return super().__new__(mcs, name, bases, namespace, **kwargs)
        connections = _class_connections(bases, namespace)
        deprecated: dict[str, str] = {}
        for base in reversed(bases):
            deprecated.update(getattr(base, "deprecatedTemplates", {}))
        made = {
            "dimensions": _class_dimensions(name, bases, dimensions),
            "defaultTemplates": _class_templates(name, bases, defaultTemplates, connections),
            "deprecatedTemplates": {**deprecated, **(deprecatedTemplates or {})},
            "allConnections": connections,
        }
        for kind in KINDS:
            made[kind] = frozenset(key for key, value in connections.items() if value._connection_kind == kind)
        return super().__new__(mcs, name, bases, {**namespace, **made}, **kwargs)

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(name, bases, namespace)

    def __call__(cls, *, config: PipelineTaskConfig | None = None) -> Any:
        """Make an instance for a config: set up before, and frozen after, the class's own `__init__`."""
        from armillary.pipeline.config import PipelineTaskConfig

        if not isinstance(config, PipelineTaskConfig):
            raise ValueError(f"`{cls.__name__}` is made for a task's config: `{cls.__name__}(config=config)`")
        instance: Any = cls.__new__(cls)  # type: ignore[call-arg, arg-type]  # the class's own, not the metaclass's
        instance._set_up(config)
        instance.__init__(config=config)
        instance._freeze()
        return instance


class PipelineTaskConnections(metaclass=PipelineTaskConnectionsMetaclass):
    """The connections of a task, named as its config says.

    A subclass gives the dimensions of the task's quanta and holds connections as class attributes. Its `__init__`
    may delete connections (`del self.flat`, or `self.inputs.remove("flat")`), replace or add them, and change
    `self.dimensions`, by what `config` says.

    Parameters
    ----------
    config
        Config of the task; `config.connections` holds the names of the dataset types and the templates.

    Raises
    ------
    TypeError
        On defining the class: no dimensions, a string for dimensions, or a template without a default or named as a
        connection.
    ValueError
        On making an instance without a config.

    Examples
    --------
    >>> from armillary.pipeline import PipelineTaskConfig, PipelineTaskConnections, connectionTypes as cT
    >>> class WarpConnections(
    ...     PipelineTaskConnections, dimensions=("visit", "patch"), defaultTemplates={"coadd": "deep"}
    ... ):
    ...     calexp = cT.Input(name="calexp", storageClass="Exposure", doc="Images.", dimensions=("visit", "detector"))
    ...     warp = cT.Output(name="{coadd}_warp", storageClass="Exposure", doc="Warp.", dimensions=("visit", "patch"))
    >>> class WarpConfig(PipelineTaskConfig, pipelineConnections=WarpConnections):
    ...     pass
    >>> config = WarpConfig()
    >>> config.connections.coadd = "goodSeeing"
    >>> connections = WarpConnections(config=config)
    >>> connections.warp.name
    'goodSeeing_warp'
    >>> sorted(connections.inputs)
    ['calexp']

    """

    dimensions: Any  # a set of names: mutable only inside `__init__`
    defaultTemplates: ClassVar[dict[str, str]] = {}
    deprecatedTemplates: ClassVar[dict[str, str]] = {}
    allConnections: Mapping[str, BaseConnection] = MappingProxyType({})
    inputs: Any = frozenset()
    prerequisiteInputs: Any = frozenset()
    outputs: Any = frozenset()
    initInputs: Any = frozenset()
    initOutputs: Any = frozenset()
    config: PipelineTaskConfig
    _frozen: bool

    def __init__(self, *, config: PipelineTaskConfig | None = None) -> None:
        pass  # everything is set up already, so that a subclass may skip this call

    def _set_up(self, config: PipelineTaskConfig) -> None:
        state = self.__dict__
        state["_frozen"] = False
        state["config"] = config
        state["dimensions"] = set(type(self).dimensions)
        state["_connections"] = {}
        for kind in KINDS:
            state[kind] = set()
        names: Any = config.connections  # a field made from the connections class
        templates = {name: getattr(names, name) for name in type(self).defaultTemplates}
        for name, connection in type(self).allConnections.items():
            dataset_type_name = getattr(names, name).format(**templates)
            setattr(self, name, dataclasses.replace(connection, name=dataset_type_name))

    def _freeze(self) -> None:
        state = self.__dict__
        made: dict[str, BaseConnection] = state.pop("_connections")
        kept: dict[str, BaseConnection] = {}
        for kind in KINDS:
            for name in sorted(state[kind] - made.keys()):
                raise AttributeError(f"`{type(self).__name__}.{kind}` holds `{name}`, which is no connection")
            kept.update((name, value) for name, value in made.items() if name in state[kind])
            state[kind] = frozenset(state[kind])
        for name in made.keys() - kept.keys():
            del state[name]
        state["dimensions"] = frozenset(state["dimensions"])
        state["allConnections"] = MappingProxyType(kept)
        state["_frozen"] = True
        for name, connection in kept.items():
            if connection.deprecated:
                warnings.warn(
                    f"connection `{name}` of dataset type `{connection.name}` "
                    f"(from {connection._deprecation_context}) is deprecated: {connection.deprecated}",
                    FutureWarning,
                    stacklevel=3,
                )

    def _refuse_removed_connection(self, connection: BaseConnection) -> None:
        name = next((key for key, value in type(self).allConnections.items() if value is connection), connection.name)
        raise AttributeError(f"connection `{name}` of `{type(self).__name__}` was removed for this config")

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, BaseConnection):
            if self._frozen:
                raise TypeError(f"connections are fixed once made; `{name}` can be set only in `__init__`")
            for kind in KINDS:
                self.__dict__[kind].discard(name)
            self.__dict__[value._connection_kind].add(name)
            self.__dict__["_connections"][name] = value
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if self._frozen:
            raise TypeError(f"connections are fixed once made; `{name}` can be deleted only in `__init__`")
        super().__delattr__(name)
        if self.__dict__["_connections"].pop(name, None) is not None:
            for kind in KINDS:
                self.__dict__[kind].discard(name)

    def buildDatasetRefs(self, quantum: Quantum) -> tuple[InputQuantizedConnection, OutputQuantizedConnection]:
        """Return the references of a quantum by connection name.

        Raises
        ------
        ScalarError
            A connection that is not `multiple` has several datasets.

        """
        inputs, outputs = InputQuantizedConnection(), OutputQuantizedConnection()
        for name in itertools.chain(self.inputs, self.prerequisiteInputs):
            connection = self.allConnections[name]
            references = list(references_of(quantum.inputs, connection.name))
            if isinstance(connection, BaseInput) and connection.deferLoad:
                references = [DeferredDatasetRef(reference) for reference in references]
            _set_references(inputs, name, connection, references, quantum)
        for name in self.outputs:
            connection = self.allConnections[name]
            _set_references(outputs, name, connection, list(references_of(quantum.outputs, connection.name)), quantum)
        return inputs, outputs

    def adjustQuantum(
        self,
        inputs: dict[str, tuple[BaseInput, Collection[DatasetRef]]],
        outputs: dict[str, tuple[Output, Collection[DatasetRef]]],
        label: str,
        data_id: DataCoordinate,
    ) -> tuple[
        Mapping[str, tuple[BaseInput, Collection[DatasetRef]]], Mapping[str, tuple[Output, Collection[DatasetRef]]]
    ]:
        """Check the datasets of one quantum, and leave out what it does not need.

        Called when the graph is built and again before the quantum runs.

        Parameters
        ----------
        inputs, outputs
            Connection and dataset references by connection name.
        label
            Label of the task.
        data_id
            Data ID of the quantum.

        Returns
        -------
        adjusted_inputs, adjusted_outputs
            The connections that changed, with what is left of their references.

        Raises
        ------
        NoWorkFound
            An input has fewer datasets than its `minimum`: the quantum is left out.
        FileNotFoundError
            A prerequisite has fewer datasets than its `minimum`.
        ScalarError
            A connection that is not `multiple` has several datasets.

        """
        for name, (connection, references) in inputs.items():
            if not connection.multiple and len(references) > 1:
                raise ScalarError(_too_many(references, label, name, connection, data_id))
            if len(references) < connection.minimum:
                if isinstance(connection, PrerequisiteInput):
                    raise FileNotFoundError(
                        f"{len(references)} datasets found for prerequisite `{label}.{name}` (`{connection.name}`), "
                        f"which needs at least {connection.minimum}, for quantum data ID {data_id}"
                    )
                raise NoWorkFound(
                    f"{len(references)} datasets for input `{label}.{name}` (`{connection.name}`), "
                    f"which needs at least {connection.minimum}, for quantum data ID {data_id}"
                )
        for name, (output, references) in outputs.items():
            if not output.multiple and len(references) > 1:
                raise ScalarError(_too_many(references, label, name, output, data_id))
        return {}, {}

    def adjust_all_quanta(self, adjuster: Any) -> None:
        """Change the quanta of this task in a graph being built, all at once; this one changes nothing."""

    def getSpatialBoundsConnections(self) -> Iterable[str]:
        """Return names of connections whose regions extend that of the quantum when prerequisites are searched."""
        return ()

    def getTemporalBoundsConnections(self) -> Iterable[str]:
        """Return names of connections whose times extend that of the quantum when prerequisites are searched."""
        return ()


def _too_many(
    references: Iterable[DatasetRef], label: str, name: str, connection: BaseConnection, data_id: DataCoordinate
) -> str:
    found = ", ".join(str(reference.dataId) for reference in references)
    return (
        f"several datasets, {found}, for connection `{label}.{name}` (`{connection.name}`), "
        f"which is not `multiple`, for quantum data ID {data_id}"
    )


def _set_references(
    target: QuantizedConnection, name: str, connection: BaseConnection, references: list[Any], quantum: Quantum
) -> None:
    if connection.multiple:
        setattr(target, name, references)
        return
    if len(references) > 1:
        raise ScalarError(_too_many(references, quantum.taskName, name, connection, quantum.dataId))
    if references:
        setattr(target, name, references[0])


def references_of(mapping: Mapping[Any, Sequence[DatasetRef]], dataset_type_name: str) -> Sequence[DatasetRef]:
    """Return the references of a dataset type out of a quantum's mapping, keyed by types or by names; () if none."""
    key = _key_of(mapping, dataset_type_name)
    return () if key is None else mapping[key]


def _key_of(mapping: Mapping[Any, Any], dataset_type_name: str) -> Any:
    for key in mapping:
        if getattr(key, "name", key) == dataset_type_name:
            return key
    return None


def iterConnections(
    connections: PipelineTaskConnections, connectionType: str | Iterable[str]
) -> Iterator[BaseConnection]:
    """Iterate over the connections of one or several kinds, such as `"inputs"` or `("outputs", "initOutputs")`.

    Raises
    ------
    AttributeError
        There is no such kind.

    Examples
    --------
    >>> from armillary.pipeline import PipelineTaskConfig, PipelineTaskConnections, connectionTypes as cT
    >>> from armillary.pipeline import iterConnections
    >>> class OneConnections(PipelineTaskConnections, dimensions=("visit",)):
    ...     table = cT.Output(name="table", storageClass="ArrowAstropy", doc="Table.", dimensions=("visit",))
    >>> class OneConfig(PipelineTaskConfig, pipelineConnections=OneConnections):
    ...     pass
    >>> [connection.name for connection in iterConnections(OneConnections(config=OneConfig()), "outputs")]
    ['table']

    """
    for kind in (connectionType,) if isinstance(connectionType, str) else connectionType:
        if kind not in KINDS:
            raise AttributeError(f"there are no connections of kind `{kind}`{did_you_mean(kind, KINDS)}")
        names = getattr(connections, kind)
        yield from (value for name, value in connections.allConnections.items() if name in names)


@dataclasses.dataclass
class AdjustQuantumHelper:
    """Runs `adjustQuantum` on the mappings of a quantum and checks what it returns.

    Parameters
    ----------
    inputs, outputs
        References by dataset type, as a quantum holds them.

    Examples
    --------
    `AdjustQuantumHelper(quantum.inputs, quantum.outputs).adjust_in_place(connections, label, data_id)`.

    """

    inputs: Any
    outputs: Any
    inputs_adjusted: bool = False
    outputs_adjusted: bool = False

    def adjust_in_place(self, connections: PipelineTaskConnections, label: str, data_id: DataCoordinate) -> None:
        """Call the hook and replace `inputs` and `outputs` where it changed them.

        Raises
        ------
        NoWorkFound, FileNotFoundError, ScalarError
            See `PipelineTaskConnections.adjustQuantum`.
        RuntimeError
            The hook returned an unknown connection, or datasets it had not been given.

        """
        given_inputs = {
            name: (connections.allConnections[name], self._given(self.inputs, connections.allConnections[name]))
            for name in connections.allConnections
            if name in connections.inputs or name in connections.prerequisiteInputs
        }
        given_outputs = {
            name: (connections.allConnections[name], self._given(self.outputs, connections.allConnections[name]))
            for name in connections.allConnections
            if name in connections.outputs
        }
        changed_inputs, changed_outputs = connections.adjustQuantum(
            dict(given_inputs),  # type: ignore[arg-type]
            dict(given_outputs),  # type: ignore[arg-type]
            label,
            data_id,
        )
        self.inputs, self.inputs_adjusted = _changed(self.inputs, given_inputs, changed_inputs, label, data_id)
        self.outputs, self.outputs_adjusted = _changed(self.outputs, given_outputs, changed_outputs, label, data_id)

    @staticmethod
    def _given(mapping: Mapping[Any, Sequence[DatasetRef]], connection: BaseConnection) -> tuple[DatasetRef, ...]:
        return tuple(references_of(mapping, connection.name))


def _changed(
    mapping: Any, given: Mapping[str, tuple[Any, Sequence[Any]]], changed: Mapping[str, Any], label: str, data_id: Any
) -> tuple[Any, bool]:
    """Return `mapping` with the references that a hook changed, checked to be a part of those given."""
    if not changed:
        return mapping, False
    result = dict(mapping.items())
    for name, (_, references) in changed.items():
        if name not in given:
            raise RuntimeError(
                f"`adjustQuantum` of task `{label}` returned a connection `{name}` it was not given"
                + did_you_mean(name, given)
            )
        connection, before = given[name]
        if not set(references).issubset(before):
            raise RuntimeError(
                f"`adjustQuantum` of task `{label}` returned datasets of `{name}` (`{connection.name}`) "
                f"that it was not given, for data ID {data_id}"
            )
        result[_key_of(mapping, connection.name)] = list(references)
    return (result if isinstance(mapping, dict) else _same_kind(mapping, result)), True


def _same_kind(mapping: Any, result: dict[Any, Any]) -> Any:
    try:
        return type(mapping)(result)
    except TypeError:  # a read-only view
        return result


CONNECTION_CLASSES: dict[str, type[BaseConnection]] = {
    "initInputs": InitInput,
    "prerequisiteInputs": PrerequisiteInput,
    "inputs": Input,
    "initOutputs": InitOutput,
    "outputs": Output,
}
"""The class of the connections of each kind."""
