"""`pipetask plan`, `check` and `diff`: what a run would do, what stands in its way, and what is different."""

import json

import pytest

from armillary.butler import Butler, CollectionType
from armillary.pipeline.planning.history import TaskCost
from armillary.pipeline.planning.plan import finish_time
from cli.conftest import make_workshop
from cli.programs import pipetask
from reports import moody


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A repository in which one night has been processed, and two graphs."""
    folder = tmp_path_factory.mktemp("plans")
    moody.make_repository(folder / "repo")
    (folder / "moody.yaml").write_text(moody.PIPELINE)
    words = ["-b", folder / "repo", "-p", folder / "moody.yaml", "-i", "in"]
    night = ["-d", "instrument='Cam' AND day_obs = 20250101"]
    ended = pipetask("run", *words, "--output-run", "r", *night, "--register-dataset-types")
    assert ended.code == 0, ended.err
    for name, options in (
        ("whole", []),
        ("again", []),
        ("scaled", ["-c", "second:scale=2.0"]),
        ("moody", ["-c", "first:moods={'20250101/1': 'fail'}"]),
        ("night", night),
    ):
        ended = pipetask("qgraph", *words, "--output-run", "new", "-q", folder / f"{name}.qg", *options)
        assert ended.code == 0, ended.err
    return folder


def rows(ended):
    assert ended.code == 0, ended.err
    return [line.split() for line in ended.out.splitlines()]


def words(folder, *more):
    return ["-b", folder / "repo", "-p", folder / "moody.yaml", *more]


def test_a_plan_counts_what_is_new_and_what_was_done(folder):
    ended = pipetask("plan", *words(folder, "-i", "in", "-o", "u/x", "--skip-existing-in", "r", "--format", "json"))
    assert ended.code == 0, ended.err
    plan = json.loads(ended.out)
    first, second = plan["tasks"]
    assert (first["task"], first["new"], first["skipped"]) == ("first", 4, 2)
    assert (second["new"], second["skipped"]) == (0, 2)
    assert plan["total"]["new"] == 4
    sizes = [path.stat().st_size for path in (folder / "repo" / "in").rglob("*.yaml")]
    assert 0 < plan["total"]["input_bytes"] < sum(sizes)
    assert first["samples"] == 2
    assert first["seconds_per_quantum"] > 0
    assert plan["unknown"] == []


def test_a_plan_knows_the_longest_chain_and_the_end(folder):
    table = rows(pipetask("plan", *words(folder, "-i", "in", "-o", "u/x", "-j", "1", "-j", "3")))
    assert table[2][:4] == ["first", "6", "0", "0"]
    assert table[4][:4] == ["TOTAL", "8", "0", "0"]
    assert ["longest", "chain:", "first", ">", "second,"] in [line[:5] for line in table]
    assert [line[:4] for line in table[-2:]] == [["done", "with", "-j", "1"], ["done", "with", "-j", "3"]]
    with Butler(folder / "repo") as butler:
        assert not butler.collections.query("u/*")  # nothing was written


def test_a_plan_says_of_which_tasks_it_knows_nothing(folder):
    told = pipetask("plan", *words(folder, "-i", "in", "-o", "u/x", "--history", "in")).out
    assert "no earlier run is known of first, second: all times are too short" in told
    assert pipetask("plan", "-b", folder / "repo", "-g", folder / "night.qg").code == 0


def test_playing_a_run_through_respects_what_waits_for_what():
    quanta = [(n, "a") for n in range(4)] + [(4, "b")]
    edges = [(n, 4) for n in range(4)]
    assert finish_time(quanta, edges, {"a": 1.0, "b": 10.0}, 1) == 14.0
    assert finish_time(quanta, edges, {"a": 1.0, "b": 10.0}, 3) == 12.0
    assert finish_time(quanta, edges, {"a": 1.0, "b": 10.0}, 99) == 11.0
    assert finish_time([], [], {}, 1) == 0.0


def test_metadata_without_times_tells_nothing_of_costs():
    assert TaskCost.of([{}, {"metadata": {"quantum": {"arrays": {}}}}]) is None


def test_equal_graphs_do_not_differ_though_all_their_ids_do(folder):
    ended = pipetask("diff", folder / "whole.qg", folder / "again.qg")
    assert ended.out == "no difference: all 8 quanta are the same\n"


def test_a_config_changes_its_own_quanta_and_those_downstream(folder):
    table = rows(pipetask("diff", folder / "whole.qg", folder / "scaled.qg"))
    assert ["second", "0", "0", "2"] in table
    assert ["6", "quanta", "are", "the", "same"] in table
    assert ["second", "2", "config", "scale:", "1.0", "→", "2.0"] in table
    told = pipetask("diff", folder / "whole.qg", folder / "moody.qg").out
    assert "reads what is made differently" in told
    plain = json.loads(pipetask("diff", folder / "whole.qg", folder / "moody.qg", "--format", "json").out)
    assert [one["is_downstream"] for one in plain["changed"]] == [False] * 6 + [True] * 2


def test_quanta_that_only_one_graph_has_are_counted_and_change_their_readers(folder):
    table = rows(pipetask("diff", folder / "whole.qg", folder / "night.qg"))
    assert ["first", "4", "0", "0"] in table
    assert ["second", "0", "0", "2"] in table


def test_other_inputs_are_a_difference(folder, tmp_path):
    moody.make_repository(tmp_path / "repo")
    (tmp_path / "moody.yaml").write_text(moody.PIPELINE)
    for name in ("one", "two"):
        if name == "two":
            with Butler(tmp_path / "repo", writeable=True, run="newer") as butler:
                butler.put({"v": 9}, "numbers", instrument="Cam", day_obs=20250101, detector=1)
        more = ["-i", "in" if name == "one" else "newer,in", "--output-run", "new", "-q", tmp_path / f"{name}.qg"]
        assert pipetask("qgraph", *words(tmp_path, *more)).code == 0
    told = pipetask("diff", tmp_path / "one.qg", tmp_path / "two.qg").out
    assert "input numbers: dataset of `in` → dataset of `newer`" in told
    assert "6 quanta are the same" in told


def test_pipelines_differ_by_fields(folder, tmp_path):
    other = moody.PIPELINE.replace("  second: moody_tasks.SecondTask", "  other: moody_tasks.SecondTask").replace(
        "  first: moody_tasks.FirstTask",
        "  first:\n    class: moody_tasks.FirstTask\n    config: {saveLogOutput: false}",
    )
    (tmp_path / "other.yaml").write_text(other)
    told = pipetask("diff", folder / "moody.yaml", tmp_path / "other.yaml").out
    assert "tasks only in A: second" in told
    assert "tasks only in B: other" in told
    assert ["first", "saveLogOutput", "True", "False"] in [line.split() for line in told.splitlines()]
    mixed = pipetask("diff", folder / "moody.yaml", folder / "whole.qg")
    assert mixed.code == 2
    assert "cannot be compared" in mixed.err


def findings(ended):
    return {(one["level"], one["kind"]): one for one in json.loads(ended.out)}


def test_nothing_wrong_is_said_and_exits_zero(folder):
    ended = pipetask("check", *words(folder, "-i", "in"))
    assert (ended.code, ended.out) == (0, "nothing is wrong\n")


def test_types_overrides_and_collections_are_checked(folder):
    with Butler(folder / "repo", writeable=True, run="front") as butler:
        butler.collections.register("empty")
        for night in (20250101, 20250102, 20250103):
            for detector in (1, 2):
                butler.put({"v": 0}, "numbers", instrument="Cam", day_obs=night, detector=detector)
    more = ["-i", "front,empty,in", "-c", "second:scale=1.0", "-c", "second:connections.second=other_out"]
    ended = pipetask("check", *words(folder, *more, "--format", "json"))
    assert ended.code == 1
    found = findings(ended)
    assert "1 dataset type of outputs is not registered: `other_out`" in found["error", "unregistered"]["message"]
    assert "`--register-dataset-types`" in found["error", "unregistered"]["hint"]
    assert "`-c second:scale=1.0` changes nothing" in found["warning", "override"]["message"]
    assert found["warning", "shadowed"]["message"].startswith("nothing of `in` is used: all its 6 inputs are found in")
    assert "no input of the pipeline is in `empty`" in found["warning", "unused"]["message"]
    assert pipetask("check", *words(folder, *more, "--register-dataset-types")).code == 0


def test_overrides_of_a_pipeline_that_change_nothing_are_told(folder):
    path = folder / "idle.yaml"
    path.write_text(
        "description: Idle.\n"
        "tasks:\n"
        "  first: {class: moody_tasks.FirstTask, config: {moods: {}, connections.first: first_out}}\n"
        "  second:\n"
        "    class: moody_tasks.SecondTask\n"
        "    config: [{scale: 2.0}, {scale: 2}, {scale: 1.0}]\n"
    )
    ended = pipetask("check", "-b", folder / "repo", "-p", path, "-i", "in", "--format", "json")
    messages = [one["message"] for one in json.loads(ended.out) if one["kind"] == "override"]
    assert messages == [
        f"the pipeline sets `{field}` of task `{label}` to what it is already"
        for label, field in (("first", "moods"), ("first", "connections.first"), ("second", "scale"))
    ]


def test_inputs_that_are_not_there_are_told_with_where_they_are(folder):
    with Butler(folder / "repo", writeable=True) as butler:
        butler.collections.register("nothing")
    found = findings(pipetask("check", *words(folder, "-i", "nothing", "--format", "json")))
    assert found["error", "input"]["message"] == "no `numbers` is in the input collections"
    assert "`in`" in found["error", "input"]["hint"]


def test_nights_without_a_valid_calibration_are_told(tmp_path):
    workshop = make_workshop(tmp_path)
    task = ["-b", workshop.repo, "-t", "small_tasks.FlatTask", "--register-dataset-types", "--format", "json"]
    found = findings(pipetask("check", *task, "-i", "in"))
    message = found["error", "calibration"]["message"]
    assert "task `flatten` lacks `flat` for 4 of 4 data IDs: nights 20250101 (4)" in message
    with Butler(workshop.repo, writeable=True, run="flats") as butler:
        from armillary.butler import Timespan

        refs = [butler.put({"f": n}, "flat", instrument="Cam", detector=n, physical_filter="Cam-R") for n in (1,)]
        butler.collections.register("calib", CollectionType.CALIBRATION)
        butler.registry.certify("calib", refs, Timespan(None, None))
    found = findings(pipetask("check", *task, "-i", "in,calib"))
    assert "lacks `flat` for 2 of 4 data IDs" in found["error", "calibration"]["message"]
    assert findings(pipetask("check", *task, "-i", "in,calib", "-d", "instrument='Cam' AND detector = 1")) == {}
