"""What a pipeline in steps needs and makes, against what its authors say."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any
from unittest import TestCase

from armillary.pipeline.pipeline import Pipeline

if TYPE_CHECKING:
    from armillary.butler import Butler
    from armillary.pipeline.pipeline_graph import PipelineGraph

__all__ = ["PipelineStepTester"]


@dataclasses.dataclass
class PipelineStepTester:
    """Goes through the steps of a pipeline and notes which datasets each reads that none before it has made.

    Attributes
    ----------
    filename
        File or URI of the pipeline.
    step_suffixes
        What follows the file name for each step, in order, such as `#step1`; `""` is the whole pipeline.
    initial_dataset_types
        Dataset types to register first: name, dimensions, storage class, and whether it is a calibration.
    expected_inputs
        Dataset types that may be needed from outside.
    expected_outputs
        Dataset types that must be made.
    pipeline_patches
        Values to set in configs first, by `label:field`.

    Examples
    --------
    In a test case with a new repository::

        tester = PipelineStepTester("drp.yaml", ["#step1", "#step2"], [], {"raw"}, {"coadd"})
        tester.run(butler, self)
    """

    filename: str | os.PathLike[str]
    step_suffixes: list[str]
    initial_dataset_types: list[tuple[str, Any, str, bool]]
    expected_inputs: set[str]
    expected_outputs: set[str]
    pipeline_patches: dict[str, Any] = dataclasses.field(default_factory=dict)

    def register_dataset_types(self, butler: Butler) -> None:
        """Register the dataset types that the steps find in a repository."""
        from armillary.butler import DatasetType

        for name, dimensions, storage_class, is_calibration in self.initial_dataset_types:
            butler.registry.registerDatasetType(
                DatasetType(name, dimensions, storage_class, isCalibration=is_calibration, universe=butler.dimensions)
            )

    def load_pipeline_graph(self, uri: str | os.PathLike[str]) -> PipelineGraph:
        """Read a pipeline, or a step of it, and set what `pipeline_patches` says."""
        pipeline = Pipeline.from_uri(uri)
        for place, value in self.pipeline_patches.items():
            label, _, field = place.partition(":")
            if label in pipeline.task_labels:  # other steps have other tasks
                pipeline.addConfigOverride(label, field, value)
        return pipeline.to_graph()

    def run(self, butler: Butler, test_case: TestCase) -> None:
        """Go through the steps.

        Parameters
        ----------
        butler
            A repository, opened for writing; the dataset types of the steps are registered in it.
        test_case
            Whose failure it is.

        Raises
        ------
        AssertionError
            A dataset type is needed that is not expected, or one that is expected is not made.
        """
        self.register_dataset_types(butler)
        made: set[str] = set()
        needed: dict[str, str] = {}
        for suffix in self.step_suffixes:
            graph = self.load_pipeline_graph(f"{os.fspath(self.filename)}{suffix}")
            graph.resolve(butler.registry)
            graph.register_dataset_types(butler)
            for name, _ in graph.iter_overall_inputs():
                if name not in made:
                    labels = ", ".join(f"`{node.label}`" for node in graph.consumers_of(name))
                    needed.setdefault(name, f"`{name}` (by {labels} of `{suffix}`)")
            made.update(name for name in graph.dataset_types if graph.producer_of(name) is not None)
        surprises = [told for name, told in sorted(needed.items()) if name not in self.expected_inputs]
        if surprises:
            test_case.fail(f"the steps need inputs that are not among those expected: {', '.join(surprises)}")
        missing = sorted(self.expected_outputs - made)
        if missing:
            test_case.fail(f"no step makes what is expected: {', '.join(f'`{name}`' for name in missing)}")
