"""The task without dimensions, and drawings under the names that users' code knows."""

import io

import pytest

from armillary.errors import DimensionNameError
from armillary.lsst_alias import MODULES
from armillary.pipeline import (
    PipelineGraph,
    PipelineTask,
    PipelineTaskConfig,
    PipelineTaskConnections,
    TaskMetadata,
    connectionTypes,
)
from armillary.pipeline.conversions import refusal_of_conversion
from armillary.pipeline.graph_drawing import pipeline_dot, pipeline_mermaid, pipeline_svg, pipeline_text
from armillary.pipeline.importing import import_class
from armillary.pipeline.tests.no_dimensions import NoDimensionsTestConfig, NoDimensionsTestTask
from armillary.pipeline.visualization import show, show_dot, show_mermaid


@pytest.fixture(name="pipeline")
def pipeline_fixture():
    made = PipelineGraph()
    made.add_task("add", NoDimensionsTestTask)
    return made


@pytest.mark.parametrize("given", [{"a": 5}, TaskMetadata.from_dict({"a": 5})])
def test_task_adds_its_item_and_leaves_what_it_was_given(given):
    config = NoDimensionsTestConfig()
    config.key, config.value = "two", 2
    assert NoDimensionsTestTask(config=config).run(given).output == {"a": 5, "two": 2}
    config = NoDimensionsTestConfig()
    config.key, config.value, config.outputSC = "two", 2, "TaskMetadata"
    assert NoDimensionsTestTask(config=config).run(given).output == TaskMetadata.from_dict({"a": 5, "two": 2})
    assert "two" not in given


def test_graphs_name_it_as_the_peer_does(pipeline):
    name = pipeline.tasks["add"].task_class_name
    assert name == "lsst.pipe.base.tests.no_dimensions.NoDimensionsTestTask"
    module, _, own = name.rpartition(".")
    assert import_class(f"{MODULES[module]}.{own}") is NoDimensionsTestTask


def test_a_misspelt_module_of_a_package_is_told_with_the_nearest():
    with pytest.raises(ImportError, match=r"`json` has no `decodr` .* did you mean `decoder`"):
        import_class("json.decodr.JSONDecoder")
    with pytest.raises(ImportError, match=r"`armillary.demo` has no `frametasks` .* did you mean `frame_tasks`"):
        import_class("armillary.demo.frametasks.MeasureSourcesTask")


def test_a_storage_class_that_does_not_convert_is_told_of_who_writes_and_who_reads():
    told = refusal_of_conversion("a", "out", "x", None, "ArrowAstropy", "StructuredDataDict", writes=True)
    assert told == (
        "task `a` writes `x` as `ArrowAstropy` by connection `out`, which does not convert to `StructuredDataDict`, "
        "as it is registered"
    )
    told = refusal_of_conversion("a", "image", "x", None, "FitsImage", "StructuredDataDict")
    assert told is not None
    assert told.startswith("task `a` reads `x` as `StructuredDataDict` by connection `image`, but it is a `FitsImage`")


def test_a_misspelt_dimension_is_told_with_its_connection():
    class Connections(PipelineTaskConnections, dimensions=("instrument", "visit")):
        image = connectionTypes.Input(
            doc="d", name="image", storageClass="FitsImage", dimensions=("instrument", "vist")
        )

    class Config(PipelineTaskConfig, pipelineConnections=Connections):
        pass

    class Task(PipelineTask):
        ConfigClass = Config
        _DefaultName = "misspelt"

    made = PipelineGraph()
    made.add_task("first", Task)
    with pytest.raises(DimensionNameError, match="did you mean `visit`") as told:
        made.resolve()
    assert told.value.__notes__ == ["in the dimensions of connection `image` of task `first`"]


def test_streams_get_the_drawings(pipeline, capsys):
    show(pipeline, dataset_types=True)
    assert capsys.readouterr().out == pipeline_text(pipeline) + "\n"
    for draw, text, options in (
        (show_dot, pipeline_dot(pipeline), {}),
        (show_mermaid, pipeline_mermaid(pipeline), {}),
        (show_mermaid, pipeline_svg(pipeline), {"output_format": "svg"}),
    ):
        stream = io.StringIO()
        draw(pipeline, stream, **options)
        assert stream.getvalue() == text


def test_a_picture_of_pixels_is_refused(pipeline):
    with pytest.raises(ValueError, match="cannot be made as `png`"):
        show_mermaid(pipeline, io.StringIO(), "png")
