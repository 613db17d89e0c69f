"""Names for some of the tasks of a graph, and the steps in which it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet, Sequence
from typing import TYPE_CHECKING, Any

from armillary._words import did_you_mean

if TYPE_CHECKING:
    from armillary.butler import DimensionGroup
    from armillary.pipeline.pipeline_graph import PipelineGraph

__all__ = ["StepDefinitions", "TaskSubset"]


class TaskSubset(MutableSet[str]):
    """Some tasks of a graph, under a name; changes go to the graph.

    Attributes
    ----------
    label
        Name of the subset.
    description
        What it is for.
    """

    def __init__(self, graph: PipelineGraph, label: str) -> None:
        self._graph = graph
        self.label = label

    def _entry(self) -> tuple[str, list[str], list[str]]:
        return self._graph._core.subsets[self.label]

    @property
    def description(self) -> str:
        """What the subset is for."""
        return self._entry()[0]

    @property
    def is_step(self) -> bool:
        """Whether the subset is one of the steps."""
        return self.label in self._graph.steps

    @property
    def dimensions(self) -> DimensionGroup:
        """Dimensions along which the step can be cut."""
        return self._graph.steps.get_dimensions(self.label)

    def _replace(self, members: set[str]) -> None:
        description, _, dimensions = self._entry()
        steps = self._graph._core.steps
        self._graph._core.remove_subset(self.label)
        self._graph._core.add_subset(self.label, members, description, set(dimensions))
        self._graph._core.set_steps(steps)

    def add(self, value: str) -> None:
        """Add a task.

        Raises
        ------
        KeyError
            The graph has no such task.
        """
        self._graph._core.task(value)
        self._replace({*self, value})

    def discard(self, value: str) -> None:
        """Take a task out, if it is in."""
        if value in self:
            self._replace(set(self) - {value})

    def __contains__(self, value: object) -> bool:
        return value in self._entry()[1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entry()[1])

    def __len__(self) -> int:
        return len(self._entry()[1])

    def __repr__(self) -> str:
        return f"{self.label}: {self.description!r}, tasks={{{', '.join(self)}}}"


class StepDefinitions(Sequence[str]):
    """The steps of a pipeline: subsets, in the order in which they run, with the dimensions that cut them."""

    def __init__(self, graph: PipelineGraph) -> None:
        self._graph = graph

    @property
    def verified(self) -> bool:
        """Whether the steps were found to divide the pipeline."""
        return bool(self._graph._core.steps_verified)

    def append(self, label: str, dimensions: Iterable[str] = ()) -> None:
        """Make a subset the last step.

        Raises
        ------
        KeyError
            There is no such subset.
        """
        self.set_dimensions(label, dimensions)
        self.assign([*self._graph._core.steps, label])

    def assign(self, labels: Iterable[str]) -> None:
        """Make these subsets the steps, in this order."""
        self._graph._core.set_steps(list(labels))

    def remove(self, label: str) -> None:
        """Take a step out; the subset stays."""
        self.assign([step for step in self if step != label])

    def clear(self) -> None:
        """Have no steps."""
        self.assign([])

    def set_dimensions(self, label: str, dimensions: Iterable[str]) -> None:
        """Set the dimensions along which a step can be cut."""
        subsets = self._graph._core.subsets
        if label not in subsets:
            raise KeyError(f"the graph has no subset `{label}`{did_you_mean(label, subsets)}")
        description, members, _ = subsets[label]
        steps = self._graph._core.steps
        self._graph._core.remove_subset(label)
        names = dimensions if not hasattr(dimensions, "names") else dimensions.names
        self._graph._core.add_subset(label, set(members), description, set(names))
        self._graph._core.set_steps(steps)

    def get_dimensions(self, label: str) -> DimensionGroup:
        """Return the dimensions along which a step can be cut.

        Raises
        ------
        UnresolvedGraphError
            The graph is not resolved.
        """
        return self._graph.universe.conform(self._graph._core.subsets[label][2])

    def __getitem__(self, index: Any) -> Any:
        return self._graph._core.steps[index]

    def __len__(self) -> int:
        return len(self._graph._core.steps)

    def __repr__(self) -> str:
        return repr(self._graph._core.steps)
