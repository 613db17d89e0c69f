"""The search for earlier quanta that made what quanta of a new graph would make."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from armillary.pipeline.packages import Packages
from armillary.pipeline.reuse.earlier_quanta import DataIdKey, EarlierQuanta, EarlierQuantum
from armillary.pipeline.reuse.made_from import MadeFrom, TaskOrigin, TaskOrigins
from armillary.pipeline.reuse.report import ReuseReport, TaskReuse
from armillary.pipeline.reuse.reused_datasets import KEY, packed

if TYPE_CHECKING:
    from armillary.butler import Butler, DataCoordinate, DatasetRef
    from armillary.pipeline.pipeline_graph import PipelineGraph
    from armillary.pipeline.pipeline_nodes import TaskNode

__all__ = ["ReuseSearch"]

_MOST_OLDER = 5
"""Runs that are looked at to tell whether another one has the same; that is for people, and must not take long."""


@dataclasses.dataclass
class _Wanted:
    """A quantum of the new graph: what it would be made from, and the outputs it would write."""

    row: int
    data_id: DataCoordinate
    made: MadeFrom
    outputs: list[DatasetRef]
    reason: str | None = None


class ReuseSearch:
    """Finds quanta of earlier runs with the same task, config, code and inputs, task by task in order.

    Parameters
    ----------
    pipeline_graph
        The pipeline, resolved, with its tasks imported.
    butler
        The repository; only read.
    output_run
        RUN of the new graph.
    input_collections
        Where its overall inputs are found.
    collections
        Names or globs of where earlier quanta are looked for; all runs by default.

    Attributes
    ----------
    refs
        Everything that is used again.

    Raises
    ------
    MissingCollectionError
        A name is that of no collection.
    """

    def __init__(
        self,
        pipeline_graph: PipelineGraph,
        butler: Butler,
        *,
        output_run: str,
        input_collections: Sequence[str],
        collections: Sequence[str] = (),
    ) -> None:
        self._pipeline_graph = pipeline_graph
        self._registry: Any = butler._core_registry
        self._output_run = output_run
        self._inputs = list(input_collections)
        self._earlier = EarlierQuanta(butler, collections, besides=output_run)
        self._origins = TaskOrigins()
        self._tasks: dict[str, TaskReuse] = {}
        self._registered: dict[str, datetime.datetime] = {}
        self._compared: dict[tuple[str, str], str | None] = {}
        self.refs: list[DatasetRef] = []

    @property
    def report(self) -> ReuseReport:
        """What was found."""
        runs = list(dict.fromkeys(run for task in self._tasks.values() for run in task.reused))
        present = Packages.fromSystem() if runs else Packages()
        different = {run: Packages(self._earlier.packages(run)).difference(present) for run in runs}
        return ReuseReport(self._tasks.values(), {run: found for run, found in different.items() if found})

    # -- one task

    def settle(self, core: Any, label: str) -> None:
        """Take the quanta of a task for which there are outputs out of a graph that is being built."""
        task = self._tasks[label] = TaskReuse(label)
        batch = core.batch(label)
        node = self._pipeline_graph.tasks[label]
        origin = self._origins.of(node) if batch else None
        if origin is None:
            for _, data_id, _, _ in batch:
                task.add_reason("its code has no files, or they changed after they were imported", data_id)
            return
        waiting = self._waiting(node, origin, batch, task)
        found: list[tuple[int, list[tuple[DatasetRef, DatasetRef | None]]]] = []
        taken: dict[str, tuple[DataIdKey, _Wanted]] = {}
        looked_at = 0
        for run in self._earlier.of(node).runs if waiting else ():
            looked_at += bool(taken)
            if not waiting and (looked_at > _MOST_OLDER or not taken.keys() - task.older.keys()):
                break
            self._note_older(node, run, taken, task)
            matches = self._search(node, run, waiting)
            for key, pairs in matches.items():
                taken.setdefault(run, (key, waiting[key]))
                found.append((waiting.pop(key).row, pairs))
                self.refs.extend(ref for _, ref in pairs if ref is not None)
            if matches:
                task.reused[run] = len(matches)
        for wanted in waiting.values():
            task.add_reason(wanted.reason or "no earlier quantum", wanted.data_id)
        core.reuse(label, found, list(task.reused))

    def _waiting(
        self, node: TaskNode, origin: TaskOrigin, batch: Iterable[Any], task: TaskReuse
    ) -> dict[DataIdKey, _Wanted]:
        """Quanta that may have been made before; those that read something new are told at once."""
        quanta = list(batch)
        prerequisites = set(node.prerequisite_inputs)
        plain = {
            ref.dataId: None
            for _, _, inputs, _ in quanta
            for name, refs in inputs.items()
            if name not in prerequisites
            for ref in refs
        }
        full = dict(zip(plain, self._registry.expand_data_ids(list(plain)), strict=True))
        names = {edge.connection_name: edge.dataset_type_name for edge in node.iter_all_inputs()}
        names |= {edge.connection_name: edge.dataset_type_name for edge in node.iter_all_outputs()}
        waiting = {}
        for row, data_id, inputs, outputs in quanta:
            new = [names[name] for name, refs in inputs.items() if any(ref.run == self._output_run for ref in refs)]
            if new:
                task.add_reason(f"reads `{new[0]}`, which is made anew", data_id)
                continue
            described = {
                name: refs if name in prerequisites else [ref.expanded(full[ref.dataId]) for ref in refs]
                for name, refs in inputs.items()
            }
            made = MadeFrom.of(node, origin, data_id, {}, _by_type(described, names), _by_type(outputs, names))
            if made is None:
                task.add_reason("it has no dimension records", data_id)
                continue
            every = [ref for refs in outputs.values() for ref in refs]
            waiting[tuple(data_id.required_values)] = _Wanted(row, data_id, made, every)
        if waiting:
            read = (ref for _, _, inputs, _ in quanta for refs in inputs.values() for ref in refs)
            self._registered.update(self._earlier.registered(read))
        return waiting

    # -- one run

    def _search(
        self, node: TaskNode, run: str, waiting: Mapping[DataIdKey, _Wanted]
    ) -> dict[DataIdKey, list[tuple[DatasetRef, DatasetRef | None]]]:
        """Find quanta of a run that made what is wanted; give their outputs beside those foretold."""
        keys = [key for key in waiting if key in self._earlier.of(node).runs[run]]
        if not keys:
            return {}
        task_differs = self._task_differs(node.label, run)
        read = {} if task_differs else self._earlier.of(node).read(run, keys)
        same: dict[DataIdKey, EarlierQuantum] = {}
        for key in keys:
            quantum = read.get(key)
            if task_differs is not None or quantum is None:
                reason: str | None = task_differs or "the metadata of the earlier quantum cannot be read"
            else:
                reason = self._differs(node, run, waiting[key], quantum)
            if reason is None and quantum is not None:
                same[key] = quantum
            else:
                waiting[key].reason = waiting[key].reason or reason
        return self._complete(node, run, waiting, same)

    def _complete(
        self,
        node: TaskNode,
        run: str,
        waiting: Mapping[DataIdKey, _Wanted],
        same: Mapping[DataIdKey, EarlierQuantum],
    ) -> dict[DataIdKey, list[tuple[DatasetRef, DatasetRef | None]]]:
        """Of quanta that made the same, those of which all is still there."""
        earlier = self._earlier.of(node)
        datasets = self._earlier.datasets([key for quantum in same.values() for key in quantum.put])
        left: dict[DataIdKey, list[DatasetRef]] = {}
        for key, quantum in same.items():
            log = earlier.log(run, key)
            if any(one not in datasets for one in quantum.put) or (log is None and earlier.has_logs):
                waiting[key].reason = waiting[key].reason or f"an output in `{run}` was removed"
                continue
            left[key] = [earlier.runs[run][key], *([] if log is None else [log])]
            left[key] += [datasets[one] for one in quantum.put]
        stored = self._earlier.stored([ref for refs in left.values() for ref in refs])
        found = {}
        for key, refs in left.items():
            gone = next((ref for ref in refs if ref.id not in stored), None)
            pairs = _pairs(waiting[key].outputs, refs)
            if gone is not None or pairs is None:
                name = "an output" if gone is None else f"the file of `{gone.datasetType.name}`"
                waiting[key].reason = waiting[key].reason or f"{name} in `{run}` is gone"
            else:
                found[key] = pairs
        return found

    def _note_older(
        self, node: TaskNode, run: str, taken: Mapping[str, tuple[DataIdKey, _Wanted]], task: TaskReuse
    ) -> None:
        """Tell of newer runs from which quanta are taken that this one has the same."""
        for newer, (key, wanted) in taken.items():
            if newer not in task.older and key in self._earlier.of(node).runs[run]:
                trial = dataclasses.replace(wanted)
                if self._search(node, run, {key: trial}):
                    task.older[newer] = run

    # -- comparing

    def _differs(self, node: TaskNode, run: str, wanted: _Wanted, quantum: EarlierQuantum) -> str | None:
        """Say how an earlier quantum differs from a wanted one."""
        made = quantum.made
        if made is None:
            return f"`{run}` does not note what its quanta were made from"
        if quantum.is_partial:
            return f"the quantum in `{run}` had given up in part"
        reason = self._origin_differs(node, wanted.made.origin, made.origin, run)
        reason = reason or self._init_differs(node, made.init_inputs)
        if reason is not None:
            return reason
        for name in sorted({*wanted.made.inputs, *made.inputs}):
            if wanted.made.inputs.get(name) != made.inputs.get(name):
                return f"input `{name}` differs"
            dates = [self._registered[one] for one in made.inputs[name] if one in self._registered]
            if dates and (quantum.began is None or max(dates) > quantum.began):
                return f"input `{name}` was registered anew"
        if wanted.made.asked != made.asked:
            return "other outputs are asked for"
        return None if wanted.made.records == made.records else "dimension records changed"

    def _task_differs(self, label: str, run: str) -> str | None:
        """Say how a task differs from what it was in a run: class, config, code, init-inputs; None if it does not."""
        if (label, run) not in self._compared:
            self._compared[label, run] = self._find_difference(self._pipeline_graph.tasks[label], run)
        return self._compared[label, run]

    def _find_difference(self, node: TaskNode, run: str) -> str | None:
        own = self._origins.of(node)
        samples = self._earlier.of(node).samples(run)
        if own is None or not samples:
            return f"nothing is known of `{node.label}` in `{run}`"
        for sample in samples:
            if sample.made is None:
                return f"`{run}` does not note what its quanta were made from"
            reason = self._origin_differs(node, own, sample.made.origin, run)
            reason = reason or self._init_differs(node, sample.made.init_inputs)
            if reason is not None:
                return reason
        written = [self._earlier.single(edge.parent_dataset_type_name, [run]) for edge in node.init.outputs.values()]
        there = self._earlier.stored([ref for ref in written if ref is not None])
        if any(ref is None or ref.id not in there for ref in written):
            return f"an init-output in `{run}` was removed"
        return None

    def _origin_differs(self, node: TaskNode, own: TaskOrigin, other: TaskOrigin, run: str) -> str | None:
        if own == other:
            return None
        if own.task != other.task:
            return f"another class: {other.task} → {own.task}"
        if own.config != other.config:
            return self._config_differs(node, run)
        for name in sorted({*own.code, *other.code}):
            before, after = other.code.get(name, "- -"), own.code.get(name, "- -")
            if before != after:
                versions = (before.split()[0], after.split()[0])
                if versions[0] != versions[1]:
                    return "task version: `{}` {} → {}".format(name, *versions)
                return f"the code of `{name}` changed"
        return "the task differs"

    def _config_differs(self, node: TaskNode, run: str) -> str:
        from armillary.pipeline.planning.difference import config_changes

        try:
            text = self._earlier.config_text(node, run)
            changes = [] if text is None else config_changes(text, node.get_config_str())
        except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):  # of a file that is no config
            changes = []
        if not changes:
            return "config changed"
        more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
        return f"{changes[0]}{more}"

    def _init_differs(self, node: TaskNode, noted: Mapping[str, str]) -> str | None:
        """Say how what the making of a task reads differs from what was noted.

        Init-outputs get new ids in each run: they are the same if they were made by the same task.
        """
        edges = {edge.dataset_type_name: edge.parent_dataset_type_name for edge in node.init.inputs.values()}
        for name in sorted({*edges, *noted}):
            if name not in edges or name not in noted:
                return f"init-input `{name}` differs"
            producer = self._pipeline_graph._core.producer_of(edges[name])
            if producer is None:
                own = self._earlier.single(edges[name], self._inputs)
                if own is None or str(own.id) != noted[name]:
                    return f"init-input `{name}` differs"
                continue
            earlier = self._earlier.datasets([uuid.UUID(noted[name])])
            for ref in earlier.values():
                reason = self._task_differs(producer[0], ref.run)
                if reason is not None:
                    return f"init-input `{name}` is made by `{producer[0]}`, which differs: {reason}"
            if not earlier:
                return f"init-input `{name}` was removed"
        return None

    # -- all tasks

    def add_init_outputs(self, core: Any) -> None:
        """Add configs and init-outputs of tasks of which nothing is left to run; after the last task."""
        left = {label: core.counts(label)["remaining"] for label in self._tasks}
        for label, task in self._tasks.items():
            if task.reused and not left[label]:
                init = self._pipeline_graph.tasks[label].init
                names = [edge.parent_dataset_type_name for edge in init.iter_all_outputs()]
                self._add_singles(names, list(task.reused))
        if not any(left.values()):
            runs = [run for task in self._tasks.values() for run in task.reused]
            self._add_singles([self._pipeline_graph.packages_dataset_type.name], sorted(set(runs), reverse=True))

    def header_metadata(self) -> dict[str, str]:
        """What the header of the graph tells of it."""
        return {KEY: packed(self.refs)} if self.refs else {}

    def _add_singles(self, names: Iterable[str], runs: Sequence[str]) -> None:
        for name in names:
            ref = self._earlier.single(name, runs) if runs else None
            if ref is not None:
                self.refs.append(ref)


def _by_type(side: Mapping[str, Sequence[DatasetRef]], names: Mapping[str, str]) -> dict[str, list[DatasetRef]]:
    """Key references by dataset type; connections on one type share them."""
    by_type: dict[str, list[DatasetRef]] = {}
    for connection, refs in side.items():
        by_type.setdefault(names[connection], []).extend(refs)
    return by_type


def _pairs(
    foretold: Iterable[DatasetRef], found: Iterable[DatasetRef]
) -> list[tuple[DatasetRef, DatasetRef | None]] | None:
    """Put what there is beside what was foretold; None if there is something else."""
    there = {(ref.datasetType.name, tuple(ref.dataId.required_values)): ref for ref in found}
    pairs = [(ref, there.pop((ref.datasetType.name, tuple(ref.dataId.required_values)), None)) for ref in foretold]
    return None if there else pairs
