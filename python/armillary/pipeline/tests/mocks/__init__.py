"""Mocks: tasks that run nothing and datasets that say who made them from what, so that a pipeline can be tried out.

The names are those of `lsst.pipe.base.tests.mocks`, and the files are read by either program. Tasks and configs are
stored under those names; activate `armillary.lsst_alias` before graphs or configs with mocks are read, as `pipetask`
does.
"""

from __future__ import annotations

from armillary.pipeline.tests.mocks.dataset import ConvertedUnmockedDataset, MockDataset, MockDatasetQuantum
from armillary.pipeline.tests.mocks.graph import ForcedFailure, mock_pipeline_graph
from armillary.pipeline.tests.mocks.matching import DataIdMatch
from armillary.pipeline.tests.mocks.names import get_mock_name, get_original_name, is_mock_name
from armillary.pipeline.tests.mocks.repository import DirectButlerRepo, InMemoryRepo, MockRepo
from armillary.pipeline.tests.mocks.storage_class import MockStorageClass, MockStorageClassDelegate
from armillary.pipeline.tests.mocks.task import (
    DynamicConnectionConfig,
    DynamicTestPipelineTask,
    DynamicTestPipelineTaskConfig,
    MockAlgorithmError,
    MockPipelineTask,
    MockPipelineTaskConfig,
)

__all__ = [
    "ConvertedUnmockedDataset",
    "DataIdMatch",
    "DirectButlerRepo",
    "DynamicConnectionConfig",
    "DynamicTestPipelineTask",
    "DynamicTestPipelineTaskConfig",
    "ForcedFailure",
    "InMemoryRepo",
    "MockAlgorithmError",
    "MockDataset",
    "MockDatasetQuantum",
    "MockPipelineTask",
    "MockPipelineTaskConfig",
    "MockRepo",
    "MockStorageClass",
    "MockStorageClassDelegate",
    "get_mock_name",
    "get_original_name",
    "is_mock_name",
    "mock_pipeline_graph",
]
