"""Configuration of pipeline tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from armillary.pipeline.connections import PipelineTaskConnections
from armillary.pipeline.pex_config import Config, ConfigField, ConfigMeta, Field

if TYPE_CHECKING:
    from armillary.pipeline.config_overrides import ConfigOverrides
    from armillary.pipeline.pipeline_yaml import ConfigIR, ParametersIR

__all__ = ["PipelineTaskConfig"]


class TemplateField(Field):  # type: ignore[misc]  # an untyped base
    """A template: any value, kept as text."""

    def __set__(self, instance: Config, value: Any, at: Any = None, label: str = "assignment") -> None:
        super().__set__(instance, None if value is None else str(value), at, label)


def _connections_config(name: str, module: str, connections: type[PipelineTaskConnections]) -> type[Config]:
    """Make the config class with a field for the dataset type name of each connection and for each template."""
    fields: dict[str, Any] = {
        key: Field(
            dtype=str,
            doc=f"Name of the dataset type of connection `{key}`.",
            default=value.name,
            deprecated=value.deprecated,
        )
        for key, value in connections.allConnections.items()
    }
    for key, value in connections.defaultTemplates.items():
        fields[key] = TemplateField(
            dtype=str,
            doc=f"What stands for `{{{key}}}` in the names of dataset types.",
            default=value,
            deprecated=connections.deprecatedTemplates.get(key),
        )
    # The task's own module, so that saved configs import nothing but it, whoever reads them.
    made: type[Config] = type(f"{name}Connections", (Config,), {"__module__": module, **fields})
    made.ConnectionsClass = connections
    return made


class PipelineTaskConfigMeta(ConfigMeta):  # type: ignore[misc]  # an untyped base
    """Adds the `connections` field that the connections class asks for."""

    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        pipelineConnections: type[PipelineTaskConnections] | None = None,
        **kwargs: Any,
    ) -> PipelineTaskConfigMeta:
        """Make the class; `pipelineConnections` is required unless a base class has it."""
        if pipelineConnections is not None:
            if not isinstance(pipelineConnections, type) or not issubclass(
                pipelineConnections, PipelineTaskConnections
            ):
                raise ValueError(
                    f"`pipelineConnections` of `{name}` is {pipelineConnections!r}, "
                    "not a class derived from PipelineTaskConnections"
                )
            made = _connections_config(name, namespace.get("__module__", __name__), pipelineConnections)
            namespace = {
                **namespace,
                "connections": ConfigField(
                    dtype=made, doc="Names of the dataset types that the task reads and writes."
                ),
                "ConnectionsConfigClass": made,
                "ConnectionsClass": pipelineConnections,
            }
        elif bases != (Config,) and not any(hasattr(base, "ConnectionsClass") for base in bases):
            raise NameError(
                f"config class `{name}` needs connections: `class {name}(..., pipelineConnections=SomeConnections)`"
            )
        return super().__new__(mcs, name, bases, namespace)  # type: ignore[no-any-return]

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> None:
        # ConfigMeta collects the fields of the namespace it is given: this must be the one with `connections`.
        super().__init__(
            name, bases, {**namespace, **{key: cls.__dict__[key] for key in _GIVEN if key in cls.__dict__}}
        )


_GIVEN = ("connections",)


class PipelineTaskConfig(Config, metaclass=PipelineTaskConfigMeta):  # type: ignore[misc]  # an untyped base
    """Configuration of a pipeline task, with a field `connections` for the names of its dataset types.

    Raises
    ------
    NameError
        On defining a subclass: neither it nor a base has `pipelineConnections`.
    ValueError
        On defining a subclass: `pipelineConnections` is no connections class.

    Examples
    --------
    >>> from armillary.pipeline import PipelineTaskConfig, PipelineTaskConnections, connectionTypes as cT
    >>> from lsst.pex.config import Field
    >>> class CountConnections(PipelineTaskConnections, dimensions=("visit",), defaultTemplates={"kind": "deep"}):
    ...     table = cT.Output(name="{kind}_table", storageClass="ArrowAstropy", doc="Table.", dimensions=("visit",))
    >>> class CountConfig(PipelineTaskConfig, pipelineConnections=CountConnections):
    ...     threshold = Field(doc="Detection threshold.", dtype=float, default=5.0)
    >>> config = CountConfig()
    >>> config.connections.kind = "shallow"
    >>> CountConnections(config=config).table.name
    'shallow_table'

    """

    ConnectionsClass: ClassVar[type[PipelineTaskConnections]]
    ConnectionsConfigClass: ClassVar[type[Config]]

    saveLogOutput = Field(
        dtype=bool,
        default=True,
        optional=False,
        doc="Whether the log of the task is saved as a dataset.",
    )

    def applyConfigOverrides(
        self,
        instrument: Any,
        taskDefaultName: str,
        pipelineConfigs: Iterable[ConfigIR] | None,
        parameters: ParametersIR | Mapping[str, Any],
        label: str,
    ) -> None:
        """Apply the overrides of the instrument, then those of a pipeline, in order.

        Parameters
        ----------
        instrument
            Instrument with `applyConfigOverrides(name, config)`, or None.
        taskDefaultName
            The task's `_DefaultName`, under which the instrument looks for overrides.
        pipelineConfigs
            Config blocks of the pipeline, first to last.
        parameters
            Values of the pipeline's parameters.
        label
            Label of the task, for messages.

        """
        overrides_of(instrument, taskDefaultName, pipelineConfigs, parameters).applyTo(self, label=label)


def overrides_of(
    instrument: Any,
    task_default_name: str,
    blocks: Iterable[ConfigIR] | None,
    parameters: ParametersIR | Mapping[str, Any],
) -> ConfigOverrides:
    """Gather the overrides of an instrument, then those of a pipeline, in the order in which they apply."""
    from armillary.pipeline.config_overrides import ConfigOverrides

    overrides = ConfigOverrides()
    overrides.addParameters(parameters if isinstance(parameters, Mapping) else parameters.mapping)
    if instrument is not None:
        overrides.addInstrumentOverride(instrument, task_default_name)
    for block in blocks or ():
        overrides.add_block(block)
    return overrides
