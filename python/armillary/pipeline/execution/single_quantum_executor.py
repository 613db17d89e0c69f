"""Running one quantum: inputs checked, task made and run, log and metadata written."""

from __future__ import annotations

import collections
import contextlib
import errno
import gc
import importlib
import logging
import os
import time
import traceback
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from armillary.errors import OutputExistsError, RegistryError, tells_all
from armillary.pipeline.connections import AdjustQuantumHelper, references_of
from armillary.pipeline.execution.log_capture import attempts_of, capture_logs
from armillary.pipeline.execution.outcome import QuantumOutcome, QuantumState, kinds_of
from armillary.pipeline.execution.quantum_graph_executor import QuantumExecutionResult, QuantumExecutor
from armillary.pipeline.execution.quantum_reports import QuantumReport
from armillary.pipeline.metadata import TaskMetadata
from armillary.pipeline.quantum_context import ExecutionResources, QuantumContext
from armillary.pipeline.reuse.made_from import NAME as MADE_FROM
from armillary.pipeline.reuse.made_from import MadeFrom, TaskOrigins
from armillary.pipeline.status import (
    AnnotatedPartialOutputsError,
    ExceptionInfo,
    InvalidQuantumError,
    NoWorkFound,
    QuantumSuccessCaveats,
    RepeatableQuantumError,
    qualified_name,
)
from armillary.pipeline.task_definition import TaskFactory
from armillary.pipeline.timer import log_resources

if TYPE_CHECKING:
    from armillary.butler import LimitedButler, Quantum
    from armillary.pipeline.pipeline_nodes import TaskNode
    from armillary.pipeline.pipeline_task import PipelineTask
    from armillary.storage.log_records import ButlerLogRecords

__all__ = ["SingleQuantumExecutor"]

_LOG = logging.getLogger(__name__)

_MOST_EARLIER = 100
"""How many quanta before it in its process a log names; all of them would make logs grow with the square of a run."""

_DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
"""Errors of the operating system that are nobody's mistake here."""


class _Attempt:
    """What is gathered while a quantum runs."""

    def __init__(self, quantum_id: uuid.UUID, label: str, quantum: Any) -> None:
        self.adjusted = quantum
        self.outcome = QuantumOutcome(quantum_id, label, QuantumState.FINISHED)
        self.quantum_metadata = TaskMetadata()
        self.task: PipelineTask | None = None
        self.started = time.perf_counter()
        self.error: BaseException | None = None
        self.earlier: list[dict[str, Any]] = []
        self.afresh = False
        self.resources: ExecutionResources | None = None
        self.adjusted_no_work = False
        self.metadata: TaskMetadata | None = None


class SingleQuantumExecutor(QuantumExecutor):
    """Runs quanta, one at a time.

    Parameters
    ----------
    butler
        Reads the inputs and writes the outputs, unless `execute` is given another.
    task_factory
        Makes tasks.
    limited_butler_factory
        Makes the butler for a quantum, in place of `butler`.
    skip_existing
        Leave out quanta whose metadata is there, or whose outputs all are.
    skip_existing_in
        Collections; with the run that is written to among them, this stands for `skip_existing`.
    clobber_outputs
        Remove outputs of an earlier, unfinished attempt. Its log alone never needs this.
    assume_no_existing_outputs
        Do not look for outputs that are there already.
    raise_on_partial_outputs
        Whether partial outputs are a failure.
    resources
        What a quantum may use.
    job_metadata
        Facts about the process, noted in the metadata of every quantum.
    enable_lsst_debug
        Import the module `debug`, in which people set up what tasks show of their work; without one, that is logged.
    hand_over_metadata
        Do not write the metadata; they are in the outcome, for somebody else to write when the other outputs stay.

    Examples
    --------
    `SingleQuantumExecutor(butler=butler).execute(task_node, quantum)` raises what the task raises. `run_quantum` takes
    the same, and tells an error in the `QuantumOutcome` that it returns.
    """

    def __init__(
        self,
        *,
        butler: LimitedButler | None = None,
        limited_butler_factory: Callable[[Any], LimitedButler] | None = None,
        task_factory: TaskFactory | None = None,
        skip_existing: bool = False,
        clobber_outputs: bool = False,
        assume_no_existing_outputs: bool = False,
        raise_on_partial_outputs: bool = True,
        resources: ExecutionResources | None = None,
        job_metadata: Mapping[str, int | str | float] | None = None,
        skip_existing_in: Iterable[str] | str | None = None,
        enable_lsst_debug: bool = False,
        hand_over_metadata: bool = False,
    ) -> None:
        self.butler = butler
        self._butler_factory = limited_butler_factory
        self._task_factory = TaskFactory() if task_factory is None else task_factory
        self._skip_existing = skip_existing or _is_among(getattr(butler, "run", None), skip_existing_in)
        self._clobber_outputs = clobber_outputs
        self._assume_no_existing_outputs = assume_no_existing_outputs
        self._raise_on_partial_outputs = raise_on_partial_outputs
        self._resources = resources
        self._job_metadata = dict(job_metadata or {})
        self._earlier_quanta: collections.deque[str] = collections.deque(maxlen=_MOST_EARLIER)
        self._debug = enable_lsst_debug
        self._hand_over_metadata = hand_over_metadata
        self._origins = TaskOrigins()
        if enable_lsst_debug:
            _import_debug()

    def note_code(self, task_node: TaskNode) -> None:
        """Find out which code a task is, before anybody changes the files of it that were imported."""
        self._origins.of(task_node)

    @property
    def options(self) -> dict[str, Any]:
        """The options that `run_graph` takes, too."""
        return {
            "skip_existing": self._skip_existing,
            "clobber_outputs": self._clobber_outputs,
            "raise_on_partial_outputs": self._raise_on_partial_outputs,
            "resources": self._resources,
            "task_factory": self._task_factory,
            "debug": self._debug,
        }

    def execute(
        self,
        task_node: TaskNode,
        /,
        quantum: Quantum,
        quantum_id: uuid.UUID | None = None,
        *,
        log_records: ButlerLogRecords | None = None,
    ) -> QuantumExecutionResult:
        """Run a quantum; raise what its task raises.

        Parameters
        ----------
        task_node, quantum, quantum_id
            The task, the quantum and its identifier.
        log_records
            Gets what is logged, in addition to what it holds; all of it is written.

        Raises
        ------
        Exception
            Whatever the task, or reading and writing for it, raises. The log has been written.
        """
        attempt = self._run_attempt(task_node, quantum, quantum_id, None, log_records=log_records)
        if attempt.error is not None:
            raise attempt.error
        return QuantumExecutionResult(
            attempt.adjusted,
            QuantumReport(quantum.dataId, task_node.label, quantumId=attempt.outcome.quantum_id),
            task_metadata=attempt.metadata,
            skipped_existing=attempt.outcome.state is QuantumState.SKIPPED,
            adjusted_no_work=attempt.adjusted_no_work,
        )

    def run_quantum(
        self,
        task_node: TaskNode,
        quantum: Any,
        quantum_id: uuid.UUID | None = None,
        butler: LimitedButler | None = None,
        *,
        earlier_attempts: Iterable[dict[str, Any]] = (),
        afresh: bool = False,
        memory: int | None = None,
    ) -> QuantumOutcome:
        """Run a quantum; an error is told in what is returned.

        Parameters
        ----------
        task_node
            The task.
        quantum
            Data ID, inputs and outputs.
        quantum_id
            Identifier of the quantum.
        butler
            Reads the inputs and writes the outputs.
        earlier_attempts
            What the log of an earlier attempt, removed before this call, told; kept in the new log.
        afresh
            Whether everything that an attempt before has left is removed first, whatever the options say.
        memory
            Bytes that this quantum may use, in place of what `resources` says.
        """
        return self._run_attempt(
            task_node, quantum, quantum_id, butler, earlier_attempts=earlier_attempts, afresh=afresh, memory=memory
        ).outcome

    def _run_attempt(
        self,
        task_node: TaskNode,
        quantum: Any,
        quantum_id: uuid.UUID | None,
        butler: LimitedButler | None,
        *,
        earlier_attempts: Iterable[dict[str, Any]] = (),
        afresh: bool = False,
        memory: int | None = None,
        log_records: ButlerLogRecords | None = None,
    ) -> _Attempt:
        quantum_id = quantum_id or quantum.quantum_id or uuid.uuid4()
        if butler is None:
            butler = self.butler if self._butler_factory is None else self._butler_factory(quantum)
        if butler is None:
            raise ValueError("nothing reads and writes the datasets: give a butler to the executor or to `execute`")
        attempt = _Attempt(quantum_id, task_node.label, quantum)
        attempt.earlier.extend(earlier_attempts)
        attempt.afresh = afresh
        attempt.resources = self._resources if memory is None else _with_memory(self._resources, memory)
        log_resources(attempt.quantum_metadata, "prep")
        run = next((ref.run for refs in quantum.outputs.values() for ref in refs), None)
        with capture_logs(task_node.label, quantum.dataId, run, log_records) as records:
            try:
                if not self._already_done(task_node, quantum, butler, attempt):
                    self._attempt(task_node, quantum, butler, attempt)
                    self._finish(task_node, quantum, butler, attempt, records)
            except Exception as error:  # of the engine or the storage: the task's own are handled below
                self._failed(attempt, quantum, error)
        if isinstance(attempt.error, OSError) and attempt.error.errno in _DISK_TROUBLE:
            _take_back(task_node, quantum, butler)
        attempt.outcome.seconds = time.perf_counter() - attempt.started
        written = getattr(butler, "written", {})
        outputs = [ref.id for refs in quantum.outputs.values() for ref in refs]
        attempt.outcome.written = {key: written[key][1] for key in outputs if key in written}
        self._earlier_quanta.append(str(quantum_id))
        return attempt

    # What is there already ------------------------------------------------------------------------------------------

    def _already_done(self, task_node: TaskNode, quantum: Any, butler: LimitedButler, attempt: _Attempt) -> bool:
        """Whether nothing is to be done; removes what an unfinished attempt left behind."""
        if self._assume_no_existing_outputs and not attempt.afresh:
            return False
        refs = [ref for group in quantum.outputs.values() for ref in group]
        stored = [ref for ref, there in butler.stored_many(refs).items() if there]
        if not stored:
            return False
        names = {ref.datasetType.name for ref in stored}
        log_name = None if task_node.log_output is None else task_node.log_output.dataset_type_name
        complete = task_node.metadata_output.dataset_type_name in names or len(stored) == len(refs)
        if complete and self._skip_existing and not attempt.afresh:
            _LOG.info("Skipping already-successful quantum for label=%s dataId=%s.", task_node.label, quantum.dataId)
            attempt.outcome.state = QuantumState.SKIPPED
            return True
        if not (self._clobber_outputs or attempt.afresh) and names != {log_name}:
            found = ", ".join(f"`{name}`" for name in sorted(names))
            raise OutputExistsError(
                f"outputs {found} of task `{task_node.label}` for {quantum.dataId} are there already; "
                "`--clobber-outputs` replaces them"
            )
        attempt.earlier.extend(
            one for ref in stored if ref.datasetType.name == log_name for one in attempts_of(butler.get(ref))
        )
        butler.pruneDatasets(stored, disassociate=True, unstore=True, purge=True)
        attempt.outcome.removed = [ref.id for ref in stored]
        return False

    # Running --------------------------------------------------------------------------------------------------------

    def _attempt(self, task_node: TaskNode, quantum: Any, butler: LimitedButler, attempt: _Attempt) -> None:
        label = task_node.label
        _LOG.info("Preparing execution of quantum for label=%s dataId=%s.", label, quantum.dataId)
        try:
            attempt.adjusted = quantum = _available(task_node, quantum, butler)
        except NoWorkFound as nothing:
            _LOG.info("No work for label=%s dataId=%s: %s", label, quantum.dataId, nothing)
            attempt.outcome.caveats = QuantumSuccessCaveats.from_adjust_quantum_no_work()
            attempt.outcome.state = QuantumState.NO_WORK
            attempt.adjusted_no_work = True
            return
        except Exception as error:
            self._failed(attempt, quantum, error)
            return
        self._run(task_node, quantum, butler, attempt)

    def _run(self, task_node: TaskNode, quantum: Any, butler: LimitedButler, attempt: _Attempt) -> None:
        label, outcome = task_node.label, attempt.outcome
        log_resources(attempt.quantum_metadata, "init")
        _LOG.info("Constructing task and executing quantum for label=%s dataId=%s.", label, quantum.dataId)
        context = QuantumContext(butler, quantum, resources=attempt.resources, quantum_id=outcome.quantum_id)
        collector = _GarbageNotes()
        with butler.record_metrics() as butler_metrics:
            try:
                attempt.task = self._task_factory.makeTask(task_node, butler, quantum.initInputs.values())
                inputs, outputs = task_node.get_connections().buildDatasetRefs(quantum)
                log_resources(attempt.quantum_metadata, "start")
                process = os.getpid()
                try:
                    attempt.task.runQuantum(context, inputs, outputs)
                finally:
                    if os.getpid() != process:  # the task has forked: the copy has no business with what follows
                        os._exit(0)
            except NoWorkFound as nothing:
                _LOG.info("Task '%s' on quantum %s found no work: %s", label, quantum.dataId, nothing)
                outcome.caveats |= nothing.FLAGS
                outcome.state = QuantumState.NO_WORK
            except AnnotatedPartialOutputsError as error:
                if self._raise_on_partial_outputs:
                    self._failed(attempt, quantum, error.__cause__ or error)
                else:
                    _LOG.warning(
                        "Task '%s' on quantum %s wrote partial outputs.", label, quantum.dataId, exc_info=error
                    )
                    outcome.caveats |= error.FLAGS
            except (Exception, SystemExit) as error:
                self._failed(attempt, quantum, error)
        put = [ref.id for refs in quantum.outputs.values() for ref in refs if _was_put(context, ref)]
        attempt.quantum_metadata["outputs"] = [str(dataset_id) for dataset_id in put]
        outcome.caveats |= _missing_outputs(task_node, quantum, context)
        if attempt.error is None:
            attempt.quantum_metadata["butler_metrics"] = butler_metrics.to_dict()
            attempt.quantum_metadata["gc_metrics"] = collector.finish()
            seconds = time.perf_counter() - attempt.started
            _LOG.info("Execution of task '%s' on quantum %s took %.3f seconds", label, quantum.dataId, seconds)

    def _failed(self, attempt: _Attempt, quantum: Any, error: BaseException) -> None:
        outcome = attempt.outcome
        attempt.error = error
        outcome.state = QuantumState.FAILED
        outcome.caveats = QuantumSuccessCaveats.NO_CAVEATS
        outcome.exception = ExceptionInfo.from_exception(error)
        outcome.kinds = kinds_of(error)
        outcome.error = error
        codes = error if isinstance(error, RepeatableQuantumError | InvalidQuantumError) else None
        outcome.exit_code = 1 if codes is None else codes.EXIT_CODE
        _LOG.error(
            "Execution of task '%s' on quantum %s failed. Exception %s: %s",
            outcome.label,
            quantum.dataId,
            qualified_name(type(error)).rpartition(".")[2],
            error,
            exc_info=error if not isinstance(error, SystemExit) else None,
            extra={"told": _is_told(error, attempt.task)},
        )

    # Log and metadata -----------------------------------------------------------------------------------------------

    def _finish(
        self, task_node: TaskNode, quantum: Any, butler: LimitedButler, attempt: _Attempt, records: ButlerLogRecords
    ) -> None:
        """Write the log, then, if all is well, the metadata: this file says that the quantum is done."""
        log_resources(attempt.quantum_metadata, "end")
        full = TaskMetadata() if attempt.task is None else attempt.task.getFullMetadata()
        if attempt.error is None:
            attempt.quantum_metadata["caveats"] = attempt.outcome.caveats.value
            self._note_origin(task_node, attempt)
        full["quantum"] = attempt.quantum_metadata
        attempt.metadata = full
        if self._job_metadata:
            full["job"] = self._job_metadata
        failed = attempt.error is not None
        if task_node.log_output is not None:
            records.extra = {
                "exception": attempt.outcome.exception.model_dump() if attempt.outcome.exception else None,
                "metadata": full.model_dump() if failed else None,
                "previous_process_quanta": list(self._earlier_quanta),
                "logs": [],
                "previous_attempts": attempt.earlier,
            }
            (ref,) = references_of(quantum.outputs, task_node.log_output.dataset_type_name)
            butler.put(records, ref)
        if self._hand_over_metadata:
            attempt.outcome.metadata = None if failed else full
        elif not failed:
            _sync(butler)
            (ref,) = references_of(quantum.outputs, task_node.metadata_output.dataset_type_name)
            butler.put(full, ref)
        _sync(butler)

    def _note_origin(self, task_node: TaskNode, attempt: _Attempt) -> None:
        """Note what a quantum was made from, if its task was run and it can be told."""
        origin = None if attempt.task is None else self._origins.of(task_node)
        made = None if origin is None else MadeFrom.of_quantum(task_node, origin, attempt.adjusted)
        if made is not None:
            attempt.quantum_metadata.scalars[MADE_FROM] = made.to_text()


def _is_among(run: str | None, collections: Iterable[str] | str | None) -> bool:
    return run is not None and run in ([collections] if isinstance(collections, str) else list(collections or ()))


def _import_debug() -> None:
    try:
        importlib.import_module("debug")
    except ModuleNotFoundError as error:
        if error.name != "debug":
            raise
        _LOG.warning("no module is called `debug`, so that tasks show nothing more than usual")


def _sync(butler: LimitedButler) -> None:
    """Make what was written stay after a power cut, where that is left to us."""
    sync_written = getattr(butler, "sync_written", None)
    if sync_written is not None:
        sync_written()


def _with_memory(resources: ExecutionResources | None, memory: int) -> ExecutionResources:
    return ExecutionResources(num_cores=1 if resources is None else resources.num_cores, max_mem=f"{memory} byte")


def _available(task_node: TaskNode, quantum: Any, butler: LimitedButler) -> Any:
    """Return the quantum without the inputs that are not there, as `adjustQuantum` wants it."""
    import dataclasses

    known = set(quantum.datastore_records)
    unsure = [ref for refs in quantum.inputs.values() for ref in refs if ref.id not in known]
    there = butler.stored_many(unsure) if unsure else {}
    inputs = {name: [ref for ref in refs if ref.id in known or there[ref]] for name, refs in quantum.inputs.items()}
    helper = AdjustQuantumHelper(inputs, dict(quantum.outputs))
    helper.adjust_in_place(task_node.get_connections(), task_node.label, quantum.dataId)
    return dataclasses.replace(quantum, inputs=helper.inputs, outputs=helper.outputs)


def _take_back(task_node: TaskNode, quantum: Any, butler: LimitedButler) -> None:
    """Remove the outputs of a quantum that failed through no fault of its own, so that they do not block its retry."""
    log_name = None if task_node.log_output is None else task_node.log_output.dataset_type_name
    refs = [ref for name, group in quantum.outputs.items() if name != log_name for ref in group]
    with contextlib.suppress(OSError, RegistryError):  # a disk in trouble: what stays is found by the next attempt
        there = [ref for ref, stored in butler.stored_many(refs).items() if stored]
        butler.pruneDatasets(there, disassociate=True, unstore=True, purge=True)


def _is_told(error: BaseException, task: PipelineTask | None) -> bool:
    """Whether the message of an error tells all: it is for people, and does not come from the task's own code."""
    own = None if task is None else type(task).__module__
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return tells_all(error) and all(frame.f_globals.get("__name__") != own for frame in frames)


def _was_put(context: QuantumContext, ref: Any) -> bool:
    return (ref.datasetType.name, ref.dataId) in context.outputsPut


def _missing_outputs(task_node: TaskNode, quantum: Any, context: QuantumContext) -> QuantumSuccessCaveats:
    """Say whether some or all of the declared outputs were not written."""
    predicted: list[Any] = []
    for edge in task_node.outputs.values():
        predicted.extend(references_of(quantum.outputs, edge.dataset_type_name))
    n_put = sum(_was_put(context, ref) for ref in predicted)
    if n_put == len(predicted):
        return QuantumSuccessCaveats.NO_CAVEATS
    if n_put:
        return QuantumSuccessCaveats.ANY_OUTPUTS_MISSING
    return QuantumSuccessCaveats.ANY_OUTPUTS_MISSING | QuantumSuccessCaveats.ALL_OUTPUTS_MISSING


class _GarbageNotes:
    """What Python's garbage collector did."""

    def __init__(self) -> None:
        self._notes = TaskMetadata()
        self._note("start")

    def _note(self, prefix: str) -> None:
        notes, stats = self._notes, gc.get_stats()
        notes.scalars[f"{prefix}_isenabled"] = gc.isenabled()
        notes.arrays[f"{prefix}_threshold"] = list(gc.get_threshold())
        notes.arrays[f"{prefix}_count"] = list(gc.get_count())
        notes.metadata[f"{prefix}_stats"] = nested = TaskMetadata()
        for key in ("collections", "collected", "uncollectable"):
            nested.arrays[key] = [generation[key] for generation in stats]

    def finish(self) -> TaskMetadata:
        self._note("end")
        return self._notes


def output_ids(quantum: Any) -> Iterable[uuid.UUID]:
    """Iterate over the ids of everything a quantum may write."""
    for refs in quantum.outputs.values():
        for ref in refs:
            yield ref.id
