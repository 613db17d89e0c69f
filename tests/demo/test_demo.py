"""The whole demo, from raw frames to pictures, in a repository of its own."""

import json
import shutil
from xml.etree import ElementTree

import pytest

from armillary.demo.run import PIPELINE, Demo, DemoError
from armillary.demo.simulate import Survey, write_survey
from armillary.demo.summary import summarise
from conftest import shared_path

SIMULATED_QUANTA = {
    "combineBias": 2,
    "combineFlat": 4,
    "removeSignature": 16,
    "measureSources": 16,
    "alignFrames": 1,
    "warpFrame": 16,
    "nightCoadd": 4,
    "coadd": 2,
    "subtractNights": 2,
    "catalogue": 1,
}


def quanta(summary):
    return {label: task.quanta for label, task in summary.tasks.items()}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    demo = Demo(tmp_path_factory.mktemp("demo") / "simulated", jobs=2)
    demo.run()
    return demo, summarise(demo)


def test_the_simulated_survey_runs_every_task_as_often_as_it_must(simulated):
    _, summary = simulated
    assert quanta(summary) == SIMULATED_QUANTA
    assert all(task.cpu_seconds > 0 for task in summary.tasks.values())


def test_the_simulated_moving_object_is_found_in_both_bands(simulated):
    _, summary = simulated
    assert sorted(found.band for found in summary.moving) == ["B", "V"]
    for found in summary.moving:
        assert found.moved_pixels == pytest.approx(Survey().motion_distance, abs=0.5)
    assert summary.objects["tract 0"] > 50


def test_the_demo_leaves_collections_pictures_drawings_and_a_summary(simulated):
    demo, summary = simulated
    assert {"Nickel/raw/all", "Nickel/calib", "Nickel/defaults", "skymaps", "demo"} <= set(summary.collections)
    for name in summary.files:
        assert name.startswith(str(demo.directory))
    pictures = sorted(demo.pictures.iterdir())
    assert [path.name for path in pictures] == [
        "coadd_demo_0_B.png",
        "coadd_demo_0_V.png",
        "difference_demo_0_B.png",
        "difference_demo_0_V.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    assert ElementTree.parse(demo.directory / "pipeline.svg").getroot().tag.endswith("svg")
    mermaid = (demo.directory / "pipeline.mmd").read_text()
    assert "flowchart" in mermaid
    assert "subtractNights" in mermaid
    stored = json.loads((demo.directory / "summary.json").read_text())
    assert stored["tasks"]["coadd"]["quanta"] == 2


def test_calibrations_are_certified_for_one_night_each(simulated):
    demo, _ = simulated
    with demo.open() as butler:
        found = list(butler.registry.queryDatasetAssociations("bias", collections=["Nickel/calib"]))
        nights = {record.timespan for record in butler.registry.queryDimensionRecords("day_obs")}
    assert {association.timespan for association in found} == nights
    assert len(found) == 2


def test_a_finished_demo_runs_again_without_doing_it_again(simulated):
    demo, summary = simulated
    told = []
    again = Demo(demo.directory, jobs=1, tell=told.append)
    again.run()
    repeated = summarise(again)
    assert quanta(repeated) == quanta(summary)
    assert repeated.collections == summary.collections
    assert not any(line.startswith("simulated") for line in told)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    demo = Demo(tmp_path_factory.mktemp("demo") / "real", shared_path("data", "frames", "nickel2019"), jobs=2)
    demo.run()
    return demo, summarise(demo)


def test_real_frames_run_through_all_tasks(real):
    _, summary = real
    assert quanta(summary) == {
        "combineBias": 2,
        "combineFlat": 3,
        "removeSignature": 28,
        "measureSources": 28,
        "alignFrames": 3,
        "warpFrame": 28,
        "nightCoadd": 6,
        "coadd": 5,
        "subtractNights": 1,
        "catalogue": 3,
    }
    assert list(summary.objects) == ["tract 0", "tract 1", "tract 2"]


def test_pluto_moved_as_measured(real):
    _, summary = real
    expected = json.loads(shared_path("data", "frames", "nickel2019", "reference_measurements.json").read_text())
    assert len(summary.moving) == 1
    assert summary.moving[0].moved_pixels == pytest.approx(expected["pluto"]["motion_pix"], abs=1.0)


def test_shifts_and_source_counts_of_real_frames_agree_with_the_reference(real):
    demo, _ = real
    expected = json.loads(shared_path("data", "frames", "nickel2019", "reference_measurements.json").read_text())
    with demo.open() as butler:
        ref = butler.registry.findDataset("alignment", instrument="Nickel", skymap="demo", tract=0, collections="demo")
        rows = {int(row["visit"]) % 10_000: row for row in butler.get(ref)}
    origin = rows[2090]
    compared = 0
    for name, entry in expected["exposures"].items():
        if entry.get("shift_reference") != "2090":
            continue
        row = rows[int(name)]
        shift = row["shift_x"] - origin["shift_x"], row["shift_y"] - origin["shift_y"]
        assert shift == pytest.approx(tuple(entry["shift_pix"]), abs=0.5), name
        assert abs(row["sources"] - entry["n_sources"]) <= 1, name
        compared += 1
    assert compared == 18


def test_the_coadd_of_ten_real_frames_is_deep(real):
    demo, _ = real
    with demo.open() as butler:
        coadd = butler.get(
            "night_coadd",
            instrument="Nickel",
            day_obs=20190922,
            skymap="demo",
            tract=0,
            patch=0,
            band="V",
            collections="demo",
        )
    assert int(coadd.header["NFRAMES"]) == 10
    assert 1.0 < float(coadd.header["NOISE"]) < 2.7


def test_a_broken_frame_is_named_and_the_demo_goes_on(tmp_path, capfd):
    small = Survey(size=256, stars=80, science=(("V", 3),), motion=(30.0, 12.0), night_offset=(5.0, -12.0))
    files = write_survey(tmp_path / "raw", small)
    files[7].write_bytes(files[7].read_bytes()[:30_000])
    demo = Demo(tmp_path / "demo", tmp_path / "raw")
    demo.run()
    summary = summarise(demo)
    assert files[7].name in capfd.readouterr().err
    assert quanta(summary)["removeSignature"] == 5
    assert summary.moving[0].moved_pixels == pytest.approx(small.motion_distance, abs=1.0)


def test_a_directory_with_another_demo_is_refused(tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    demo = Demo(tmp_path / "demo", frames)
    demo._claim_directory()
    with pytest.raises(DemoError, match="holds a demo of other frames"):
        Demo(tmp_path / "demo").run()


def test_a_directory_with_another_repository_is_refused(tmp_path):
    (tmp_path / "demo" / "repo").mkdir(parents=True)
    with pytest.raises(DemoError, match="exists and is no demo"):
        Demo(tmp_path / "demo").run()


def test_frames_that_are_not_there_are_refused_before_anything_is_made(tmp_path):
    with pytest.raises(DemoError, match=r"no directory `.*nowhere`"):
        Demo(tmp_path / "demo", tmp_path / "nowhere").run()
    assert not (tmp_path / "demo").exists()


def test_a_directory_without_science_frames_is_told(tmp_path):
    files = write_survey(tmp_path / "raw", Survey(size=64, stars=1, science=(("V", 1),), biases=1, flats=1))
    for path in files:
        if "s1003" in path.name or "s1006" in path.name:
            path.unlink()
    with pytest.raises(DemoError, match="no science frames"):
        Demo(tmp_path / "demo", tmp_path / "raw").run()


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DemoError, match="cannot write to"):
        Demo(tmp_path / "file" / "demo").run()


def test_the_command_tells_what_is_missing_and_prints_a_summary(simulated, monkeypatch):
    from click.testing import CliRunner

    from armillary.demo import command

    demo, _ = simulated
    result = CliRunner().invoke(command.demo, [str(demo.directory), "-j", "1"])
    assert result.exit_code == 0, result.output
    for text in ("removeSignature", "collections:", "moved between the nights", "pipeline.svg", "done in"):
        assert text in result.output
    monkeypatch.setattr(command, "NEEDED", ("sep", "no_such_package"))
    result = CliRunner().invoke(command.demo, [str(demo.directory)])
    assert result.exit_code == 1
    assert "`no_such_package`" in result.output
    assert "`pip install no_such_package` brings them" in result.output


def test_nothing_of_the_demo_is_run_twice(simulated, capfd):
    """Raw files, calibrations by night, regions of visits and patches: each is what it was."""
    demo, _ = simulated
    words = ["-b", demo.repository, "-p", f"{PIPELINE}#science", "-i", "Nickel/defaults", "-o", "again", "--reuse"]
    words += ["-d", "instrument='Nickel' AND skymap='demo'"]
    demo.command("pipetask", "qgraph", *words)
    assert "all 58 quanta are taken from earlier runs" in capfd.readouterr().err
    demo.command("pipetask", "qgraph", *words, "-c", "coadd:clip=3.5", "-c", "nightCoadd:clip=3.5")
    said = capfd.readouterr().err
    assert "  warpFrame: 16 from `demo/" in said
    assert "  coadd: 2 to run: config clip: 4.0 → 3.5" in said


def test_half_a_demo_goes_on(simulated, tmp_path):
    """A demo that was stopped after its calibrations takes up from there."""
    source, _ = simulated
    target = tmp_path / "demo"
    shutil.copytree(source.raw, target / "raw")
    first = Demo(target)
    first._claim_directory()
    for step in (first._find_frames, first._make_repository, first._ingest, first._make_sky_map):
        step()
    first._make_calibrations()
    second = Demo(target)
    second.run()
    assert quanta(summarise(second)) == SIMULATED_QUANTA
