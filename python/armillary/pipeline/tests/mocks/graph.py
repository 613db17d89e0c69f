"""The mock of a whole pipeline."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from armillary.pipeline.importing import class_name
from armillary.pipeline.pipeline_graph import PipelineGraph
from armillary.pipeline.tests.mocks.names import get_mock_name
from armillary.pipeline.tests.mocks.task import MockPipelineTask, MockPipelineTaskConfig

if TYPE_CHECKING:
    from astropy.units import Quantity

__all__ = ["ForcedFailure", "mock_pipeline_graph"]


@dataclasses.dataclass
class ForcedFailure:
    """Which quanta of a mock task fail, and how.

    Attributes
    ----------
    condition
        Expression on data IDs.
    exception_type
        What they raise; `ValueError` if not given.
    memory_required
        Memory with which they do not fail.
    """

    condition: str
    exception_type: type[BaseException] | None = None
    memory_required: Quantity | None = None

    def set_config(self, config: MockPipelineTaskConfig) -> None:
        """Put it into the config of a mock task."""
        config.fail_condition = self.condition
        if self.exception_type is not None:
            config.fail_exception = class_name(self.exception_type)
        if self.memory_required is not None:
            config.memory_required = str(self.memory_required)


def mock_pipeline_graph(
    original_graph: PipelineGraph,
    unmocked_dataset_types: Iterable[str] = (),
    force_failures: Mapping[str, ForcedFailure] | None = None,
) -> PipelineGraph:
    """Make a pipeline of the mocks of all tasks.

    Parameters
    ----------
    original_graph
        A pipeline whose tasks are imported.
    unmocked_dataset_types
        Overall inputs that are used as they are.
    force_failures
        By label of the original task, which quanta fail.

    Returns
    -------
    mocked
        The pipeline, not resolved. Its labels are the names of mocks.

    Raises
    ------
    LookupError
        `force_failures` names a task that is not there.
    """
    from armillary._words import did_you_mean

    failures = dict(force_failures or {})
    for label in failures:
        if label not in original_graph.tasks:
            raise LookupError(f"no task is labelled `{label}`{did_you_mean(label, list(original_graph.tasks))}")
    unmocked = [*unmocked_dataset_types]
    for node in original_graph.tasks.values():
        unmocked.append(node.init.config_output.dataset_type_name)
        if node.log_output is not None:
            unmocked.append(node.log_output.dataset_type_name)
        unmocked.append(node.metadata_output.dataset_type_name)
    data_id: Any = original_graph.data_id
    mocked = PipelineGraph(description=original_graph.description, universe=original_graph.universe, data_id=data_id)
    for label, node in original_graph.tasks.items():
        config: Any = MockPipelineTaskConfig()
        config.original.retarget(node.task_class)
        config.original = node.config
        config.unmocked_dataset_types.extend(unmocked)
        if label in failures:
            failures[label].set_config(config)
        mocked.add_task(get_mock_name(label), MockPipelineTask, config)
    for name, subset in original_graph.task_subsets.items():
        mocked.add_task_subset(get_mock_name(name), {get_mock_name(label) for label in subset}, subset.description)
    return mocked
