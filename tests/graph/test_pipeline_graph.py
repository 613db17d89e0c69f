"""Pipelines as graphs: order, definitions, selection and the stored form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from armillary import errors
from armillary._core import PipelineGraph

FIXTURES = ["ab", "drp_small", "empty", "skip_existing"]


def overall_inputs(pipeline: dict[str, Any]) -> dict[str, Any]:
    made = {
        edge["dataset_type_name"]
        for task in pipeline["tasks"].values()
        for edge in [
            *task["outputs"].values(),
            *task["init"]["outputs"].values(),
            task["metadata_output"],
            task["init"]["config_output"],
            *([task["log_output"]] if task["log_output"] else []),
        ]
    }
    return {name: node for name, node in pipeline["dataset_types"].items() if name not in made}


def build(pipeline, descriptions):
    subsets = pipeline["task_subsets"]
    return PipelineGraph(
        None,
        pipeline["description"],
        list(reversed(descriptions(pipeline))),
        subsets,
        pipeline["step_labels"],
        pipeline["data_id"],
    )


@pytest.mark.parametrize("name", FIXTURES)
def test_descriptions_compile_to_the_stored_form_of_the_peer(name, stored, descriptions):
    pipeline = stored(name)["pipeline_graph.json.zst"]
    graph = build(pipeline, descriptions)
    registered = {
        name: {key: node[key] for key in ("dimensions", "storage_class", "is_calibration")}
        for name, node in overall_inputs(pipeline).items()
    }
    universe = pipeline["dimensions"]
    document = json.dumps(universe) if "elements" in universe else None  # most views leave the universe out
    assert graph.resolve(registered, document) == []
    ours = json.loads(graph.to_json())
    for key in pipeline:
        if key == "dimensions":
            continue
        assert ours[key] == pipeline[key], key
    assert list(ours) == list(pipeline)
    assert list(ours["tasks"]) == list(pipeline["tasks"])
    assert list(ours["dataset_types"]) == list(pipeline["dataset_types"])


def test_the_stored_form_is_read_back_without_change(stored):
    text = json.dumps(stored("ab")["pipeline_graph.json.zst"])
    graph = PipelineGraph.from_json(text)
    assert graph.is_resolved and graph.steps_verified
    assert json.loads(graph.to_json()) == json.loads(text)


def test_a_gap_in_the_stored_order_is_refused(stored):
    pipeline = stored("ab")["pipeline_graph.json.zst"]
    pipeline["dataset_types"]["raw"]["index"] = 99
    with pytest.raises(errors.PipelineGraphReadError, match="no node has index 1"):
        PipelineGraph.from_json(json.dumps(pipeline))


def test_two_writers_in_a_stored_pipeline_are_refused(stored):
    pipeline = stored("ab")["pipeline_graph.json.zst"]
    pipeline["tasks"]["b"]["outputs"]["table"]["dataset_type_name"] = "g_out"
    with pytest.raises(errors.PipelineGraphReadError, match="`g_out` is written by both"):
        PipelineGraph.from_json(json.dumps(pipeline))


def test_text_that_is_no_pipeline_is_refused():
    with pytest.raises(errors.PipelineGraphReadError, match="description"):
        PipelineGraph.from_json("{}")


def task(label, inputs=(), outputs=(), **more):
    def edge(name, dimensions=("instrument",), **options):
        connection = {"connection": name.replace(".", "_"), "dataset_type": name, "storage_class": "Dict"}
        return {**connection, "dimensions": list(dimensions), **options}

    return {
        "label": label,
        "task_class": "package.Task",
        "dimensions": ["instrument"],
        "config_output": edge(f"{label}_config", ()),
        "metadata_output": edge(f"{label}_metadata"),
        "inputs": [edge(name) if isinstance(name, str) else edge(**name) for name in inputs],
        "outputs": [edge(name) if isinstance(name, str) else edge(**name) for name in outputs],
        **{
            kind: [edge(**each) if isinstance(each, dict) else edge(each) for each in edges]
            for kind, edges in more.items()
        },
    }


def test_ready_tasks_come_by_name():
    graph = PipelineGraph(
        tasks=[
            task("zz", ["x"]),
            task("mm", ["z"]),
            task("aa", ["z"]),
            task("bb", ["x"], ["y"]),
            task("cc", ["y"], ["z"]),
        ]
    )
    graph.sort()
    assert graph.task_labels == ["bb", "cc", "aa", "mm", "zz"]


def test_a_cycle_is_shown_from_end_to_end():
    with pytest.raises(errors.PipelineDataCycleError, match="x -> a -> y -> b -> x"):
        PipelineGraph(tasks=[task("a", ["x"], ["y"]), task("b", ["y"], ["x"])])
    with pytest.raises(errors.PipelineDataCycleError, match="x -> a -> x"):
        PipelineGraph(tasks=[task("a", ["x"], ["x"])])


def test_a_failed_addition_leaves_the_graph_as_it_was():
    graph = PipelineGraph(tasks=[task("a", ["x"], ["y"])])
    with pytest.raises(errors.PipelineDataCycleError):
        graph.add_tasks([task("b", ["y"], ["x"])])
    with pytest.raises(ValueError, match="already has a task labelled `a`"):
        graph.add_tasks([task("a")])
    assert graph.task_labels == ["a"]
    graph.sort()


def test_two_writers_are_named():
    graph = PipelineGraph(tasks=[task("a", [], ["y"]), task("b", [], ["y"])])
    with pytest.raises(errors.DuplicateOutputError, match="`y` is written by both task `a` and task `b`"):
        graph.resolve({})


@pytest.mark.parametrize(
    ("tasks", "registered", "error", "message"),
    [
        (
            [task("a", [{"name": "x.part"}])],
            {},
            errors.MissingDatasetTypeError,
            "reads only its component `part`",
        ),
        (
            [task("a", [{"name": "ref", "dimensions": ["skypix"]}])],
            {},
            errors.MissingDatasetTypeError,
            "reference catalog",
        ),
        (
            [task("a", ["x"]), task("b", [{"name": "x", "dimensions": ["visit"]}])],
            {},
            errors.MissingDatasetTypeError,
            "`a` and `b` define it differently",
        ),
        (
            [task("a", [], ["x"]), task("b", [{"name": "x", "dimensions": ["visit"]}])],
            {},
            errors.IncompatibleDatasetTypeError,
            "task `b` gives it dimensions {band, instrument, day_obs, physical_filter, visit}, its producer `a`",
        ),
        (
            [task("a", [{"name": "x", "is_calibration": True}])],
            {"x": {"dimensions": ["instrument"], "storage_class": "Dict"}},
            errors.IncompatibleDatasetTypeError,
            "is a calibration for task `a`",
        ),
        (
            [task("a", [], ["x"]), task("b", prerequisite_inputs=["x"])],
            {},
            errors.ConnectionTypeConsistencyError,
            "a prerequisite of task `b` and an output of task `a`",
        ),
        ([task("a", [{"name": "x", "dimensions": ["visitt"]}])], {}, errors.DimensionNameError, "did you mean `visit`"),
    ],
)
def test_definitions_that_do_not_agree_are_refused(tasks, registered, error, message):
    graph = PipelineGraph(tasks=tasks)
    with pytest.raises(error) as caught:
        graph.resolve(registered)
    assert message in str(caught.value)
    assert not graph.is_resolved


def test_conversions_are_left_to_python_to_judge():
    graph = PipelineGraph(tasks=[task("a", [], ["x"]), task("b", [{"name": "x", "storage_class": "Other"}])])
    assert graph.resolve({}) == [("b", "x", "x", None, "Dict", "Other")]
    assert graph.dataset_type("x")["storage_class"] == "Dict"
    graph = PipelineGraph(tasks=[task("a", [], ["x"])])
    registered = {"x": {"dimensions": ["instrument"], "storage_class": "Registered"}}
    assert graph.resolve(registered) == [("a", "x", "x", None, "Dict", "Registered")]
    assert graph.dataset_type("x")["storage_class"] == "Registered"


def test_the_pixelisation_comes_from_the_registered_type():
    graph = PipelineGraph(tasks=[task("a", prerequisite_inputs=[{"name": "ref", "dimensions": ["skypix"]}])])
    graph.resolve({"ref": {"dimensions": ["htm7"], "storage_class": "Dict"}})
    assert graph.dataset_type("ref")["dimensions"] == ["htm7"]
    assert graph.dataset_type("ref")["is_prerequisite"]


def test_one_deferring_reader_defers_for_all():
    graph = PipelineGraph(tasks=[task("a", ["x"]), task("b", [{"name": "x", "defer_query_constraint": True}])])
    graph.resolve({})
    assert graph.dataset_type("x")["is_initial_query_constraint"] is False


def test_steps_must_divide_the_pipeline_in_order():
    tasks = [task("a", [], ["x"]), task("b", ["x"])]
    subsets = {"one": {"tasks": ["a"]}, "two": {"tasks": ["b"]}}
    good = PipelineGraph(tasks=tasks, subsets=subsets, steps=["one", "two"])
    good.resolve({})
    assert good.steps_verified
    with pytest.raises(errors.InvalidStepsError, match="`x`, which is made in the later step `one`"):
        PipelineGraph(tasks=tasks, subsets=subsets, steps=["two", "one"]).resolve({})
    with pytest.raises(errors.InvalidStepsError, match="task `b` is in none of them"):
        PipelineGraph(tasks=tasks, subsets=subsets, steps=["one"]).resolve({})
    with pytest.raises(KeyError, match="did you mean `one`"):
        PipelineGraph(tasks=tasks, subsets=subsets, steps=["onee"])


def chain():
    return PipelineGraph(
        tasks=[task("isr", ["raw"], ["post_isr"]), task("cal", ["post_isr"], ["src"]), task("con", ["src"], ["table"])],
        subsets={"s": {"tasks": ["isr"]}},
    )


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        ("isr", {"isr"}),
        ("<cal", {"isr"}),
        ("<=cal", {"cal", "isr"}),
        (">isr", {"cal", "con"}),
        (">=isr", {"cal", "isr", "con"}),
        ("~isr", {"cal", "con"}),
        ("S:s", {"isr"}),
        ("D:post_isr", {"isr"}),
        ("<D:post_isr", set()),
        (">D:post_isr", {"cal", "con"}),
        ("<=D:post_isr", {"isr"}),
        ("isr|con", {"isr", "con"}),
        ("isr & <con", {"isr"}),
        ("~(isr | con)", {"cal"}),
        ("T:isr", {"isr"}),
        ("D:post_isr|cal", {"cal", "isr"}),
        (">D:raw", {"isr", "cal", "con"}),
    ],
)
def test_expressions_select_tasks(expression, labels):
    assert chain().select(expression) == labels


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("zzz", "`zzz` is not a task label, subset label or dataset type"),
        ("T:ist", "did you mean `isr`"),
        ("isr|", "ends where a name was expected"),
        ("isr,con", "should end here"),
        ("(isr", "a `)` is missing"),
        ("~" * 5000 + "isr", "nested too deeply"),
        ("", "ends where a name was expected"),
    ],
)
def test_wrong_expressions_say_where(expression, message):
    with pytest.raises(errors.InvalidExpressionError) as caught:
        chain().select(expression)
    assert message in str(caught.value)


def test_a_range_holds_what_lies_between():
    graph = chain()
    assert graph.range("isr", "cal") == {"isr", "cal"}
    assert graph.range(None, "cal") == {"isr", "cal"}
    assert graph.range("cal", None) == {"cal", "con"}
    with pytest.raises(KeyError, match="did you mean `cal`"):
        graph.range("call", None)


def test_parts_share_no_made_dataset_type():
    graph = PipelineGraph(
        tasks=[task("a", ["raw"], ["x"]), task("b", ["x"]), task("c", ["raw"], ["y"]), task("d", ["y"])]
    )
    graph.resolve({})
    parts = graph.split_independent()
    assert [part.task_labels for part in parts] == [["a", "b"], ["c", "d"]]
    assert all(part.is_resolved for part in parts)


def test_removal_and_replacement_unresolve_only_what_they_touch():
    graph = chain()
    graph.resolve({})
    assert graph.remove_tasks(["con"]) == [("con", set())]
    assert "table" not in graph.dataset_type_names
    assert graph.dataset_type("src") is None and graph.dataset_type("raw") is not None
    with pytest.raises(errors.PipelineGraphError, match="`isr` is still in subsets `s`"):
        graph.remove_tasks(["isr"], drop_from_subsets=False)
    graph.resolve({})
    graph.replace_tasks([{**task("cal", ["post_isr"], ["src"]), "config_str": "config.k = 2"}])
    assert graph.is_resolved and graph.task("cal")["config_str"] == "config.k = 2"
    graph.replace_tasks([task("cal", ["post_isr"], ["other"])])
    assert not graph.is_resolved and "src" not in graph.dataset_type_names


def test_differences_are_one_line_each():
    other = PipelineGraph(tasks=[task("isr", ["raw"], ["post"]), task("cal", ["post_isr"], ["src"]), task("new")])
    assert chain().differences(other) == [
        "task `con` is only in the first pipeline",
        "task `new` is only in the second pipeline",
        "connection `isr.post_isr` is only in the first pipeline",
        "connection `isr.post` is only in the second pipeline",
    ]


def test_uses_are_listed():
    graph = chain()
    assert graph.producer_of("src") == ("cal", "src", False)
    assert graph.producer_of("raw") is None
    assert graph.consumers_of("src") == [("con", "src", False)]
    assert graph.producer_of("isr_config") == ("isr", "isr_config", True)
    assert graph.overall_inputs() == ["raw"]
    with pytest.raises(KeyError, match="no task reads or writes"):
        graph.producer_of("nothing")
