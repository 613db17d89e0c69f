"""A task that the engine runs: it declares its inputs and outputs."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, ClassVar

from armillary.pipeline.task import Task

if TYPE_CHECKING:
    from armillary.pipeline.connections import InputQuantizedConnection, OutputQuantizedConnection
    from armillary.pipeline.quantum_context import QuantumContext
    from armillary.pipeline.struct import Struct

__all__ = ["PipelineTask"]


class PipelineTask(Task):
    """A task whose config declares connections, run once per quantum.

    A subclass sets `ConfigClass` (a `PipelineTaskConfig`) and `_DefaultName` and implements `run`, whose arguments are
    named as the inputs and whose result, a `Struct`, holds a value for each output.

    Parameters
    ----------
    config
        The config.
    log
        Logger under which the task logs.
    initInputs
        The datasets of the init-input connections, by connection name.
    **kwargs
        Passed on to `Task`.

    Examples
    --------
    >>> from armillary.pipeline import PipelineTask, PipelineTaskConfig, PipelineTaskConnections, Struct
    >>> from armillary.pipeline import connectionTypes as cT
    >>> VISIT = ("instrument", "visit")
    >>> class CountConnections(PipelineTaskConnections, dimensions=VISIT):
    ...     table = cT.Input(name="sources", storageClass="ArrowAstropy", doc="Sources.", dimensions=VISIT)
    ...     count = cT.Output(name="count", storageClass="StructuredDataDict", doc="Count.", dimensions=VISIT)
    >>> class CountConfig(PipelineTaskConfig, pipelineConnections=CountConnections):
    ...     pass
    >>> class CountTask(PipelineTask):
    ...     ConfigClass = CountConfig
    ...     _DefaultName = "count"
    ...     def run(self, table):
    ...         return Struct(count={"rows": len(table)})
    >>> CountTask().run([1, 2, 3]).count
    {'rows': 3}

    """

    canMultiprocess: ClassVar[bool] = True
    _defined_at: ClassVar[float] = 0.0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Note when the class was read: files that changed later do not tell what it does."""
        super().__init_subclass__(**kwargs)
        cls._defined_at = time.time()

    def __init__(
        self,
        *,
        config: Any = None,
        log: logging.Logger | logging.LoggerAdapter[Any] | None = None,
        initInputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(config=config, log=log, **kwargs)
        self._init_inputs = initInputs

    # `*args` lets type checkers accept whatever arguments a task declares; the engine passes names only.
    def run(self, *args: Any, **kwargs: Any) -> Struct:
        """Process one quantum in memory.

        Parameters
        ----------
        **kwargs
            The inputs by connection name: a value, a list where `multiple`, handles where `deferLoad`.

        Returns
        -------
        outputs
            A value for each output by connection name; an output that is absent or None is not written.

        """
        raise NotImplementedError(f"`{type(self).__name__}` does not implement `run`")

    def runQuantum(
        self, butlerQC: QuantumContext, inputRefs: InputQuantizedConnection, outputRefs: OutputQuantizedConnection
    ) -> None:
        """Read the inputs, call `run` and write the outputs; override it to read or write otherwise.

        Parameters
        ----------
        butlerQC
            Reads and writes the datasets of this quantum.
        inputRefs, outputRefs
            Dataset references by connection name.

        """
        outputs = self.run(**butlerQC.get(inputRefs))
        butlerQC.put(outputs, outputRefs)

    def _pickle_arguments(self) -> dict[str, Any]:
        return {**super()._pickle_arguments(), "initInputs": self._init_inputs}
