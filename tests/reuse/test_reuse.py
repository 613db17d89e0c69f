"""`--reuse`: what an earlier run made from the same is used, everything else is run, and both are explained."""

import json
import re
import shutil
import sys

import pytest

from armillary.butler import Butler, DatasetIdGenEnum, DatasetRef, FileDataset
from armillary.pipeline.reuse.code_versions import CodeVersions
from armillary.pipeline.reuse.made_from import MadeFrom
from armillary.pipeline.tests.no_dimensions import NoDimensionsTestTask
from cli.programs import butler as butler_program
from cli.programs import pipetask
from reuse.stock import INIT_OUTPUTS, OUTPUTS, Shop, make_shop, told

MODE = DatasetIdGenEnum.DATAID_TYPE_RUN
ALL_WEIGHED = [("weigh", night, detector) for night in (20250101, 20250102) for detector in (1, 2)]
ALL = [("total", 1), ("total", 2), *ALL_WEIGHED]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A shop in which everything has been run once, into `u/out/1`."""
    shop = make_shop(tmp_path_factory.mktemp("shop"))
    shop.run("1")
    assert shop.ran("1") == ALL
    return shop


@pytest.fixture
def shop(first, tmp_path):
    """A copy of it."""
    shutil.copytree(first.folder, tmp_path / "shop")
    return Shop(tmp_path / "shop")


def metadata(shop, run, name="weigh_metadata"):
    with Butler(shop.repo) as butler:
        return [butler.get(ref) for ref in butler.query_datasets(name, f"u/out/{run}")]


def test_nothing_runs_if_nothing_changed_and_the_chain_shows_the_same_datasets(shop):
    before = shop.found()
    assert {name for name, _ in before} == {*OUTPUTS, *INIT_OUTPUTS}
    said = shop.run("2", "--reuse")
    assert told(said) == [
        "all 6 quanta are taken from earlier runs",
        "weigh: 4 from `u/out/1`",
        "total: 2 from `u/out/1`",
    ]
    assert "nothing to do" in said
    assert shop.ran("2") == []
    assert shop.found() == before
    assert shop.found("u/out/2/reused") == before
    with Butler(shop.repo) as butler:
        assert butler.collections.get_info("u/out").children[:3] == ("u/out/2", "u/out/2/reused", "u/out/1")


def test_without_the_option_everything_runs_again(shop):
    shop.run("2")
    assert shop.ran("2") == ALL


def test_a_changed_config_runs_its_task_and_what_comes_after_it(shop):
    before = shop.found()
    said = shop.run("2", "--reuse", "-c", "total:offset=5")
    assert told(said) == [
        "4 of 6 quanta are taken from earlier runs",
        "weigh: 4 from `u/out/1`",
        "total: 2 to run: config offset: 0 → 5",
    ]
    assert shop.ran("2") == [("total", 1), ("total", 2)]
    after = shop.found()
    changed = {name for (name, _), key in after.items() if before[name, _] != key}
    assert changed == {"total", "total_metadata", "total_log", "total_config", "packages"}
    with Butler(shop.repo) as butler:
        assert butler.get("total", instrument="Cam", detector=2, collections="u/out") == {"sum": 17, "unit": "kg"}
    said = shop.run("3", "--reuse", "-c", "weigh:factor=3")
    assert told(said)[1:] == [
        "weigh: 4 to run: config factor: 2 → 3",
        "total: 2 to run: reads `weighed`, which is made anew",
    ]
    assert shop.ran("3") == ALL


def test_a_replaced_input_runs_only_what_comes_from_it(shop):
    with Butler(shop.repo, writeable=True, run="better") as butler:
        butler.put({"v": 40}, "numbers", instrument="Cam", day_obs=20250102, detector=2)
    said = shop.run("2", "--reuse", "--rebase", inputs="better,in")
    assert told(said) == [
        "4 of 6 quanta are taken from earlier runs",
        "weigh: 3 from `u/out/1`; 1 to run: input `numbers` differs "
        "(first {instrument: 'Cam', day_obs: 20250102, detector: 2})",
        "total: 1 from `u/out/1`; 1 to run: reads `weighed`, which is made anew "
        "(first {instrument: 'Cam', detector: 2})",
    ]
    assert shop.ran("2") == [("total", 2), ("weigh", 20250102, 2)]
    with Butler(shop.repo) as butler:
        totals = [butler.get("total", instrument="Cam", detector=n, collections="u/out")["sum"] for n in (1, 2)]
    assert totals == [6, 84]


def test_a_file_that_was_taken_in_anew_under_its_old_id_is_another_input(tmp_path):
    shop = make_shop(tmp_path)
    data_id = {"instrument": "Cam", "day_obs": 20250101, "detector": 1}

    def take_in(value):
        path = tmp_path / "one.yaml"
        path.write_text(f"v: {value}\n")
        with Butler(shop.repo, writeable=True, run="files") as butler:
            dataset_type = butler.get_dataset_type("numbers")
            ref = DatasetRef(dataset_type, butler.registry.expandDataId(data_id), "files", id_generation_mode=MODE)
            butler.pruneDatasets(butler.query_datasets("numbers", "files", explain=False), purge=True, unstore=True)
            butler.ingest(FileDataset(str(path), [ref]), transfer="copy")
            return ref.id

    first = take_in(1)
    shop.run("1", inputs="files,in")
    assert told(shop.run("2", "--reuse"))[0] == "all 6 quanta are taken from earlier runs"
    assert take_in(3) == first
    said = shop.run("3", "--reuse")
    assert told(said)[1].startswith("weigh: 3 from `u/out/1`; 1 to run: input `numbers` was registered anew")
    assert shop.ran("3") == [("total", 1), ("weigh", 20250101, 1)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (('__version__ = "1.0"', '__version__ = "1.1"'), "task version: `stock_tasks` 1.0 → 1.1"),
        (("value * self.config.factor", "self.config.factor * value"), "the code of `stock_tasks` changed"),
    ],
)
def test_changed_code_runs_again(shop, change, reason):
    shop.edit(*change)
    assert told(shop.run("2", "--reuse"))[1] == f"weigh: 4 to run: {reason}"
    assert shop.ran("2") == ALL


def test_a_helper_that_a_package_gains_counts_as_its_code(shop):
    (shop.folder / "modules" / "stock_tasks" / "helper.py").write_text("LIMIT = 3\n")
    assert told(shop.run("2", "--reuse"))[1] == "weigh: 4 to run: the code of `stock_tasks` changed"


def test_code_that_changed_after_it_was_imported_is_not_noted(monkeypatch):
    versions = CodeVersions().of(NoDimensionsTestTask, "")
    assert list(versions) == ["armillary"]
    monkeypatch.setattr(NoDimensionsTestTask, "_defined_at", 1.0)  # long before the files were written
    assert CodeVersions().of(NoDimensionsTestTask, "") is None


def test_the_modules_of_a_config_count_as_code_of_its_task():
    text = "import yaml.loader\nassert type(config) is yaml.loader.Loader\n"
    assert "yaml.loader" in sys.modules
    assert list(CodeVersions().of(NoDimensionsTestTask, text)) == ["armillary", "yaml"]
    assert CodeVersions().of(NoDimensionsTestTask, "import nowhere.at_all\n") is None


def test_a_failed_quantum_is_not_used(tmp_path):
    shop = make_shop(tmp_path)
    shop.run("1", "-c", "weigh:bad=20250101", code=1)
    assert shop.ran("1") == [("weigh", 20250102, 1), ("weigh", 20250102, 2)]
    said = shop.run("2", "--reuse", "-c", "weigh:bad=20250101", code=1)
    assert told(said)[1] == (
        "weigh: 2 from `u/out/1`; 2 to run: no earlier quantum (first {instrument: 'Cam', day_obs: 20250101, "
        "detector: 1})"
    )


def test_a_quantum_that_gave_up_in_part_is_not_used(tmp_path):
    shop = make_shop(tmp_path)
    shop.run("1", "-c", "weigh:tired=20250101", "--no-raise-on-partial-outputs")
    said = shop.run("2", "--reuse", "-c", "weigh:tired=20250101", "--no-raise-on-partial-outputs")
    assert "2 to run: the quantum in `u/out/1` had given up in part" in told(said)[1]
    assert told(said)[1].startswith("weigh: 2 from")


@pytest.mark.parametrize("name", ["weighed", "weigh_log", "weigh_metadata"])
def test_a_deleted_file_is_made_again(shop, name):
    with Butler(shop.repo) as butler:
        data_id = {"instrument": "Cam", "day_obs": 20250101, "detector": 1}
        path = butler.getURI(name, data_id, collections="u/out/1").ospath
    shutil.os.remove(path)
    said = shop.run("2", "--reuse")
    what = "the metadata of the earlier quantum cannot be read" if name == "weigh_metadata" else f"the file of `{name}`"
    assert what in told(said)[1]
    assert shop.ran("2") == [("total", 1), ("weigh", 20250101, 1)]


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("rest", [("total", 1), ("weigh", 20250101, 1)]),
        ("weigh_log", [("total", 1), ("weigh", 20250101, 1)]),
        ("total", [("total", 1)]),
        ("units", ALL),
    ],
)
def test_a_removed_output_is_made_again(shop, name, again):
    with Butler(shop.repo, writeable=True) as butler:
        refs = butler.query_datasets(name, "u/out/1")
        ref = next(ref for ref in refs if ref.dataId.get("detector") in (1, None))
        butler.pruneDatasets([ref], purge=True, unstore=True, disassociate=True)
    shop.run("2", "--reuse")
    assert shop.ran("2") == again


def test_an_output_that_was_never_written_is_not_missed(shop):
    written = [values for name, values in shop.found("u/out/1") if name == "rest"]
    assert 0 < len(written) < 4
    shop.run("2", "--reuse")
    assert shop.ran("2") == []


def test_of_two_runs_the_newer_one_is_taken_and_that_is_said(shop):
    shop.run("2")
    said = shop.run("3", "--reuse")
    assert told(said)[1:] == [
        "weigh: 4 from `u/out/2` (`u/out/1`, older, has the same)",
        "total: 2 from `u/out/2`",
    ]
    assert shop.found("u/out/3/reused") == shop.found("u/out/2")
    said = shop.run("4", "--reuse-from", "u/*/1")
    assert told(said)[1:] == ["weigh: 4 from `u/out/1`", "total: 2 from `u/out/1`"]


def test_what_was_used_again_can_be_used_once_more(shop):
    shop.run("2", "--reuse", "-c", "total:offset=5")
    said = shop.run("3", "--reuse", "-c", "total:offset=5")
    assert told(said)[1:] == ["weigh: 4 from `u/out/1`", "total: 2 from `u/out/2`"]
    before = shop.found()
    said = shop.run("4", "--reuse-from", "u/out", "-c", "total:offset=5")
    assert told(said)[1:] == ["weigh: 4 from `u/out/1`", "total: 2 from `u/out/2`"]
    assert shop.found() == before


def test_more_data_are_added_to_what_there_is(shop):
    shop.run("2", "-d", "instrument='Cam' AND day_obs=20250101", "-c", "weigh:factor=3")
    said = shop.run("3", "--reuse", "-c", "weigh:factor=3")
    assert told(said)[1].startswith("weigh: 2 from `u/out/2`; 2 to run: config factor: 2 → 3")
    # Sums of fewer nights are others, and their init-input has another id.
    assert told(said)[2] == "total: 2 to run: reads `weighed`, which is made anew"
    said = shop.run("4", "--reuse", "-c", "weigh:factor=3", "-d", "instrument='Cam' AND day_obs=20250101")
    assert told(said)[1:] == [
        "weigh: 2 from `u/out/2`",
        "total: 2 from `u/out/2`",
    ]


def test_changed_dimension_records_run_again(shop):
    with Butler(shop.repo, writeable=True) as butler:
        (record,) = butler.query_dimension_records("detector", instrument="Cam", detector=1)
        plain = {**record.toDict(), "purpose": "ENGINEERING"}
        butler.registry.syncDimensionData("detector", plain, update=True)
    said = shop.run("2", "--reuse")
    assert told(said)[1].startswith("weigh: 2 from `u/out/1`; 2 to run: dimension records changed")


def test_runs_that_do_not_note_what_they_read_are_not_used(shop):
    for path in (shop.repo / "u" / "out" / "1").rglob("*_metadata_*.json"):
        path.write_text(path.read_text().replace("made_from", "made_fron"))
    said = shop.run("2", "--reuse")
    assert told(said)[1] == "weigh: 4 to run: `u/out/1` does not note what its quanta were made from"


def test_a_run_that_uses_outputs_again_is_gone_on_with(shop):
    with Butler(shop.repo, writeable=True, run="better") as butler:
        butler.put({"v": 40}, "numbers", instrument="Cam", day_obs=20250102, detector=2)
    words = ["-i", "better,in", "-o", "u/more", "--output-run", "u/more/1", "--register-dataset-types"]
    ended = shop.pipetask("run", *words, "--reuse", "--init-only")
    assert ended.code == 0, ended.err
    ended = shop.pipetask("run", "-o", "u/more", "--extend-run", "-c", "total:offset=1")
    assert ended.code == 1
    assert "differs from `total_config` in `u/more/1`" in ended.err
    ended = shop.pipetask("run", "-o", "u/more", "--extend-run")
    assert ended.code == 0, ended.err
    assert "2 quanta for 2 tasks: weigh 1, total 1; 4 already succeeded" in ended.err
    with Butler(shop.repo) as butler:
        assert butler.collections.get_info("u/more").children == ("u/more/1", "u/more/1/reused", "better", "in")
        totals = [butler.get("total", instrument="Cam", detector=n, collections="u/more")["sum"] for n in (1, 2)]
    assert totals == [6, 84]


def test_a_saved_graph_runs_later(shop):
    before = shop.found()
    path = shop.folder / "later.qg"
    words = ["-i", "in", "-o", "u/out", "--output-run", "u/out/2", "--reuse", "-c", "total:offset=5"]
    ended = shop.pipetask("qgraph", *words, "-q", path)
    assert ended.code == 0, ended.err
    assert "weigh: 4 from `u/out/1`" in ended.err
    with Butler(shop.repo) as butler:
        assert not butler.collections.query("u/out/2*")
    ended = shop.pipetask("run", "-g", path, "-o", "u/out", "--register-dataset-types", "-j", "2")
    assert ended.code == 0, ended.err
    assert shop.ran("2") == [("total", 1), ("total", 2)]
    after = shop.found()
    assert set(after) == set(before)
    assert {name for (name, _), key in after.items() if before[name, _] == key} >= {"weighed", "weigh_log", "units"}


def test_a_saved_graph_with_nothing_to_run_still_makes_the_chain(shop):
    before = shop.found()
    path = shop.folder / "later.qg"
    words = ["-i", "in", "-o", "u/out", "--output-run", "u/out/2", "--reuse"]
    assert shop.pipetask("qgraph", *words, "-q", path).code == 0
    ended = shop.pipetask("run", "-g", path, "-o", "u/out")
    assert ended.code == 0, ended.err
    assert "all is taken from earlier runs" in ended.err
    assert shop.found("u/out/2/reused") == before


def test_a_saved_graph_runs_without_a_registry(shop):
    before = shop.found()
    path = shop.folder / "batch.qg"
    words = ["-i", "in", "-o", "u/out", "--output-run", "u/out/2", "--reuse", "-c", "total:offset=5"]
    ended = shop.pipetask("qgraph", *words, "-q", path, "--qgraph-datastore-records")
    assert ended.code == 0, ended.err
    modules = {"path": (shop.folder / "modules",)}
    for command in ("pre-exec-init-qbb", "run-qbb"):
        ended = pipetask(command, shop.repo, path, **modules)
        assert ended.code == 0, ended.err
    for _ in range(2):  # it may be repeated
        ended = butler_program(
            "transfer-from-graph", path, shop.repo, "--register-dataset-types", "--update-output-chain", **modules
        )
        assert ended.code == 0, ended.err
    after = shop.found()
    assert set(after) == set(before)
    with Butler(shop.repo) as butler:
        assert butler.collections.get_info("u/out").children[:2] == ("u/out/2", "u/out/2/reused")
        assert butler.get("total", instrument="Cam", detector=1, collections="u/out")["sum"] == 11
    said = shop.run("3", "--reuse", "-c", "total:offset=5")
    assert told(said)[1:] == ["weigh: 4 from `u/out/1`", "total: 2 from `u/out/2`"]


def test_a_graph_that_counts_on_what_is_gone_is_refused(shop):
    path = shop.folder / "later.qg"
    words = ["-i", "in", "-o", "u/out", "--output-run", "u/out/2", "--reuse", "-c", "total:offset=5"]
    assert shop.pipetask("qgraph", *words, "-q", path).code == 0
    with Butler(shop.repo, writeable=True) as butler:
        refs = butler.query_datasets("weighed", "u/out/1")
        butler.pruneDatasets(refs[:1], purge=True, unstore=True, disassociate=True)
    ended = shop.pipetask("run", "-g", path, "-o", "u/out")
    assert ended.code == 1
    assert "of the datasets" in ended.err.replace("16 ", "").replace("15 ", "") or "were removed since" in ended.err
    with Butler(shop.repo) as butler:
        assert not butler.collections.query("u/out/2*")


def test_metadata_in_a_provenance_graph_are_read_there(shop):
    path, provenance = shop.folder / "again.qg", shop.folder / "provenance.qg"
    shop.run("2", "-q", path, "-c", "weigh:factor=3")
    assert butler_program("aggregate-graph", path, shop.repo, "-o", provenance).code == 0
    assert butler_program("ingest-graph", shop.repo, provenance).code == 0
    assert not list((shop.repo / "u" / "out" / "2").rglob("*_metadata_*.json"))
    said = shop.run("3", "--reuse", "-c", "weigh:factor=3", "-c", "total:offset=1")
    assert told(said)[1:] == ["weigh: 4 from `u/out/2`", "total: 2 to run: config offset: 0 → 1"]


def test_a_plan_tells_what_is_used_again(shop):
    words = ["-i", "in", "-o", "u/out", "--reuse", "-c", "total:offset=5"]
    ended = shop.pipetask("plan", *words, "--format", "json")
    assert ended.code == 0, ended.err
    plan = json.loads(ended.out)
    assert [(task["task"], task["new"], task["reused"]) for task in plan["tasks"]] == [("weigh", 0, 4), ("total", 2, 0)]
    assert plan["reuse"]["tasks"][0]["reused"] == {"u/out/1": 4}
    assert plan["reuse"]["tasks"][1]["to_run"][0]["reason"] == "config offset: 0 → 5"
    ended = shop.pipetask("plan", *words)
    assert "  total: 2 to run: config offset: 0 → 5" in ended.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--reuse", "--skip-existing-in", "u/out/1"], "`--reuse` and `--skip-existing-in` both say"),
        (["--reuse", "--extend-run"], "`--reuse` and `--extend-run` both say"),
        (["--reuse", "--replace-run", "--prune-replaced", "purge"], "would remove what `--reuse` takes"),
        (["--reuse-from", "u/uot"], "no collection is called `u/uot`"),
    ],
)
def test_what_does_not_go_together_is_refused(first, words, message):
    ended = first.pipetask("run", "-i", "in", "-o", "u/out", *words)
    assert ended.code in (1, 2)
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_a_collection_without_quanta_gives_nothing(shop):
    assert told(shop.run("2", "--reuse-from", "in"))[1] == "weigh: 4 to run: no earlier quantum"
    assert shop.ran("2") == ALL


def test_a_config_of_an_earlier_run_is_never_executed(shop):
    (path,) = (shop.repo / "u" / "out" / "1").rglob("total_config*.py")
    path.write_text(path.read_text() + "\nraise SystemExit(77)\n")
    assert told(shop.run("2", "--reuse", "-c", "total:offset=5"))[2] == "total: 2 to run: config offset: 0 → 5"


def test_other_software_is_told(shop):
    (path,) = (shop.repo / "u" / "out" / "1").rglob("packages*.*")
    (version,) = re.findall(r"(?m)^numpy: (\S+)$", path.read_text())
    path.write_text(path.read_text().replace(f"numpy: {version}", f"numpy: {version[:-1]}x"))  # of the same length
    said = shop.run("2", "--reuse", "-c", "total:offset=5")
    assert f"made with other software, which is not compared: `u/out/1` (numpy {version[:-1]}x → " in said


def test_purge_and_cleanup_know_the_collection_of_a_run(shop):
    shop.run("2", "--reuse")
    before = shop.found("u/out/1")
    with Butler(shop.repo, writeable=True) as butler:
        butler.collections.redefine_chain("u/out", ["u/out/1", "in"])
    words = ["-b", shop.repo, "--no-confirm", "u/out"]
    ended = pipetask("cleanup", *words)
    assert ended.code == 0, ended.err
    assert shop.found("u/out") == before
    shop.run("2", "--reuse")
    ended = pipetask("purge", *words)
    assert ended.code == 0, ended.err
    with Butler(shop.repo) as butler:
        assert butler.collections.query("u/*") == []


@pytest.mark.parametrize("text", [b"\xff\xfe", b"config.offset = " + b"(" * 5000, b"\0", b"not python at all", b""])
def test_a_config_that_is_none_is_not_explained(shop, text):
    (path,) = (shop.repo / "u" / "out" / "1").rglob("total_config*.py")
    path.write_bytes(text)
    said = shop.run("2", "--reuse", "-c", "total:offset=5")
    assert told(said)[2].startswith("total: 2 to run: config")


def test_a_replaced_run_takes_its_collection_along(shop):
    shop.run("2", "--reuse", "-c", "total:offset=5")
    shop.run("3", "--replace-run", "--reuse", "-c", "total:offset=5")
    with Butler(shop.repo) as butler:
        assert butler.collections.get_info("u/out").children == ("u/out/3", "u/out/3/reused", "u/out/1", "in")


def test_it_works_on_a_server(tmp_path, cluster):
    shop = make_shop(tmp_path, cluster.seed(cluster.new_namespace()))
    shop.run("1")
    before = shop.found()
    assert told(shop.run("2", "--reuse"))[0] == "all 6 quanta are taken from earlier runs"
    assert shop.found() == before
    said = shop.run("3", "--reuse", "-c", "total:offset=5")
    assert told(said)[1:] == ["weigh: 4 from `u/out/1`", "total: 2 to run: config offset: 0 → 5"]
    assert set(shop.found()) == set(before)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "[]",
        '{"version":2}',
        '{"version":1,"origin":{"task":"a","config":"b","code":{"c":"d"}},"init_inputs":{},"inputs":{},"asked":"","records":""}',
        '{"version":1,"origin":{"task":"a","config":"b","code":{}},"init_inputs":{"x":"1"},"inputs":{},"asked":"","records":""}',
        '{"version":1,"origin":{"task":"a","config":"b","code":[]},"init_inputs":{},"inputs":{},"asked":"","records":""}',
    ],
)
def test_a_note_that_makes_no_sense_counts_as_none(note):
    assert MadeFrom.from_text(note) is None


def test_damaged_metadata_are_passed_over(shop):
    for path, text in zip(
        sorted((shop.repo / "u" / "out" / "1").rglob("weigh_metadata_*.json")),
        ["", "[1]", '{"scalars": {}, "arrays": {}, "metadata": {"quantum": {"scalars": {"caveats": "many"}}}}'],
        strict=False,
    ):
        path.write_text(text)
    said = shop.run("2", "--reuse")
    assert told(said)[1].startswith("weigh: 1 from `u/out/1`") or "to run" in told(said)[1]
    assert len([one for one in shop.ran("2") if one[0] == "weigh"]) >= 3
