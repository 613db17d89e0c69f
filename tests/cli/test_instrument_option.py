"""`pipetask ... --instrument`: config files of a camera, and data IDs that are its own."""

import os

import pytest

from armillary.butler import Butler
from cli.programs import pipetask


@pytest.fixture
def configs(workshop):
    folder = workshop.folder / "configs"
    folder.mkdir()
    (folder / "measure.py").write_text("config.power = 3\n")
    (folder / "nobody.py").write_text("raise SystemExit('no task has this name')\n")
    return folder


def call(workshop, configs, command, *words, camera="Cam"):
    return pipetask(
        command,
        *["-p", workshop.pipeline, "--instrument", f"small_cameras.{camera}", *words],
        before=lambda: os.environ.update(CAMERA_CONFIGS=str(configs)),
    )


@pytest.mark.parametrize(
    ("words", "power"),
    [([], 3), (["-c", "measure:power=4"], 4), (["-c", "sum:scale=2.0"], 3)],
)
def test_config_files_of_the_camera_come_before_other_changes(workshop, configs, words, power):
    ended = call(workshop, configs, "build", *words, "--show", "config=measure::power")
    assert ended.code == 0, ended.err
    assert f"config.power={power}" in ended.out
    assert "config.scale" not in ended.out


def test_a_run_uses_them(workshop, configs):
    words = ["-b", workshop.repo, "-i", "in", "--output-run", "out", "--register-dataset-types"]
    ended = call(workshop, configs, "run", *words)
    assert ended.code == 0, ended.err
    with Butler(workshop.repo, collections="out") as butler:
        refs = butler.query_datasets("measured", "out")
        assert {ref.dataId["visit"] * ref.dataId["detector"]: butler.get(ref)["v"] for ref in refs} == {
            n: n**3 for n in (10, 20, 11, 22)
        }
        assert "config.power=3" in butler.getURI("measure_config").read().decode()


def test_a_saved_pipeline_keeps_its_camera(workshop, configs):
    path = workshop.folder / "with.yaml"
    assert call(workshop, configs, "build", "-s", path).code == 0
    assert "instrument: small_cameras.Cam" in path.read_text()
    before = {"before": lambda: os.environ.update(CAMERA_CONFIGS=str(configs))}
    ended = pipetask("build", "-p", path, "--show", "config=measure::power", **before)
    assert "config.power=3" in ended.out


def test_data_ids_are_those_of_the_camera(workshop, configs):
    words = ["-b", workshop.repo, "-i", "in", "--output-run", "out"]
    ended = call(workshop, configs, "qgraph", *words)
    assert ended.code == 0
    assert "6 quanta" in ended.err
    ended = call(workshop, configs, "qgraph", *words, camera="Other")
    assert ended.code == 1
    assert "the quantum graph is empty" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("camera", "message"),
    [("Camm", "small_cameras.Camm"), ("os", "small_cameras.os")],
)
def test_a_camera_that_is_none_is_refused(workshop, configs, camera, message):
    ended = call(workshop, configs, "build", "--show", "tasks", "--show", "config=measure::power", camera=camera)
    assert ended.code == 1
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_a_config_file_with_a_mistake_is_told(workshop, configs):
    (configs / "measure.py").write_text("config.powr = 3\n")
    ended = call(workshop, configs, "build", "--show", "config=measure::power")
    assert ended.code == 1
    assert "powr" in ended.err
    assert "`measure`" in ended.err
    assert "Traceback" not in ended.err
