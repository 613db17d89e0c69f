"""Steps of a pipeline against what they are expected to read and to make."""

from unittest import TestCase

import pytest

from armillary.butler import Butler
from armillary.pipeline.tests.step_tester import PipelineStepTester

TASK = "armillary.pipeline.tests.no_dimensions.NoDimensionsTestTask"
PIPELINE = f"""
description: two steps
tasks:
  a: {{class: {TASK}, config: {{connections.output: middle}}}}
  b: {{class: {TASK}, config: {{connections.input: middle}}}}
subsets: {{one: [a], two: [b]}}
"""
INPUT = ("input", (), "StructuredDataDict", False)


@pytest.fixture(name="check")
def check_fixture(tmp_path):
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    Butler.makeRepo(tmp_path / "repo")

    def check(steps, inputs, outputs, **options):
        tester = PipelineStepTester(tmp_path / "pipeline.yaml", steps, [INPUT], inputs, outputs, **options)
        with Butler(tmp_path / "repo", writeable=True) as butler:
            tester.run(butler, TestCase())
            return {one.name for one in butler.registry.queryDatasetTypes()}

    return check


@pytest.mark.parametrize("steps", [["#one", "#two"], [""]])
def test_what_a_step_makes_the_next_may_read(check, steps):
    assert {"input", "middle", "output", "a_log", "b_metadata"} <= check(steps, {"input", "more"}, {"output", "a_log"})


def test_an_unexpected_input_is_told_with_its_reader(check):
    with pytest.raises(AssertionError, match=r"`middle` .by `b` of `#two`."):
        check(["#two", "#one"], {"input"}, {"output"})


def test_an_output_that_nothing_makes_is_told(check):
    with pytest.raises(AssertionError, match="no step makes what is expected: `final`"):
        check(["#one", "#two"], {"input"}, {"output", "final"})


def test_patches_are_set_where_their_tasks_are(check):
    patches = {"b:connections.output": "final"}
    assert "final" in check(["#one", "#two"], {"input"}, {"final"}, pipeline_patches=patches)
