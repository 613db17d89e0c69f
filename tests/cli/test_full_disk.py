"""A disk that runs full, a real one: nothing is lost, nothing half-made stays, and the same command finishes later."""

import contextlib
import os
import re
import resource
import subprocess

import pytest

from armillary.butler import Butler
from armillary.demo.simulate import Survey, write_survey
from armillary.instrument import Nickel
from cli.conftest import check_files_and_rows, make_workshop
from cli.programs import butler as butler_program
from cli.programs import pipetask

KIB = 1024
DATA_ID = {"instrument": "Cam", "visit": 10, "detector": 1}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of four MiB; without the right to mount one the test fails."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@contextlib.contextmanager
def nearly_full(place, left):
    """Fill a disk but for some bytes; make room again at the end of the block."""
    filler = place / "filler"
    room = os.statvfs(place)
    filler.write_bytes(b"x" * (room.f_bavail * room.f_bsize - left))
    try:
        yield
    finally:
        filler.unlink()


@pytest.mark.parametrize("left", [0, 8 * KIB, 64 * KIB, 300 * KIB])
def test_a_dataset_that_does_not_fit_leaves_no_trace(small_disk, left):
    workshop = make_workshop(small_disk)
    with Butler(workshop.repo, writeable=True, run="in2") as butler:
        before = workshop.state()
        with nearly_full(small_disk, left), pytest.raises(Exception, match=r"(?i)no space left|full") as caught:
            butler.put({"v": "x" * 400 * KIB}, "metrics", DATA_ID)
        assert "x" * 100 not in str(caught.value)
        assert not isinstance(caught.value, OSError) or str(workshop.repo / "in2" / "metrics") in str(caught.value)
        assert workshop.state() == before
    with Butler(workshop.repo, writeable=True, run="in2") as butler:
        butler.put({"v": "x" * 400 * KIB}, "metrics", DATA_ID)
        assert len(butler.get("metrics", DATA_ID)["v"]) == 400 * KIB
    check_files_and_rows(workshop)


def run(workshop, *arguments, **options):
    return pipetask("run", "-b", workshop.repo, "-p", workshop.pipeline, "-o", "out", "-i", "in", *arguments, **options)


def check_complete(workshop, power=2):
    with Butler(workshop.repo, collections="out") as butler:
        for detector in (1, 2):
            wanted = sum((visit * detector) ** power for visit in (10, 11))
            assert butler.get("all_total", instrument="Cam", detector=detector) == {"sum": wanted}
        (run_name, *_) = butler.collections.get_info("out").children
        assert len(butler.query_datasets("measure_metadata", run_name)) == 4
        assert len(butler.query_datasets("sum_log", run_name)) == 2
    check_files_and_rows(workshop)


@pytest.mark.parametrize(
    ("left", "processes"), [(0, 1), (150 * KIB, 1), (400 * KIB, 1), (400 * KIB, 2), (1000 * KIB, 1), (1000 * KIB, 2)]
)
def test_a_run_goes_on_when_there_is_room_again(small_disk, left, processes):
    workshop = make_workshop(small_disk)
    config = ("-c", f"measure:size={200 * KIB}")
    prepared = run(workshop, "--register-dataset-types", "--init-only", *config)
    assert prepared.code == 0, prepared.err
    options = ("--extend-run", "--skip-existing", *config, "-j", processes)
    with nearly_full(small_disk, left):
        full = run(workshop, *options)
    print(full.err)
    assert full.code == 1
    assert len(re.findall(r"^error: ", full.err, re.MULTILINE)) == 1
    assert "Traceback" not in full.err
    check_files_and_rows(workshop)
    again = run(workshop, *options)
    assert again.code == 0, again.err
    check_complete(workshop)


@pytest.mark.parametrize(
    ("spare", "told"), [(-200 * KIB, "disk I/O error"), (200 * KIB, "File too large")], ids=["database", "files"]
)
def test_a_limit_on_the_size_of_files_is_told_like_a_full_disk(tmp_path, spare, told):
    workshop = make_workshop(tmp_path)
    config = ("-c", f"measure:size={2048 * KIB}")
    prepared = run(workshop, "--register-dataset-types", "--init-only", *config)
    assert prepared.code == 0, prepared.err
    options = ("--extend-run", "--skip-existing", *config)
    size = (workshop.repo / "gen3.sqlite3").stat().st_size + spare
    limited = run(workshop, *options, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    assert limited.code == 1
    assert told in limited.err
    assert "Traceback" not in limited.err
    check_files_and_rows(workshop, may_announce=spare < 0)  # nothing can be withdrawn in a database nobody can change
    again = run(workshop, *options)
    assert again.code == 0, again.err
    check_complete(workshop)


@pytest.mark.parametrize("left", [0, 24 * KIB, 60 * KIB, 120 * KIB])
def test_a_run_that_does_not_begin_can_be_started_again(small_disk, left):
    workshop = make_workshop(small_disk)
    with nearly_full(small_disk, left):
        full = run(workshop, "--register-dataset-types")
    assert full.code == 1
    assert len(re.findall(r"^error: ", full.err, re.MULTILINE)) == 1
    assert "Traceback" not in full.err
    check_files_and_rows(workshop)
    with Butler(workshop.repo) as butler:
        begun = butler.collections.query("out*")
        assert not begun or butler.query_datasets("measure_config", "out"), "a run without its configs"
    again = run(workshop, "--register-dataset-types", *(["--extend-run", "--skip-existing"] if begun else []))
    assert again.code == 0, again.err
    check_complete(workshop)


@pytest.mark.parametrize("left", [0, 40 * KIB])
def test_a_repository_that_does_not_fit_is_not_half_made(small_disk, left):
    with nearly_full(small_disk, left):
        full = butler_program("create", small_disk / "new")
        assert full.code == 1
        assert len(re.findall(r"^error: ", full.err, re.MULTILINE)) == 1
        assert not (small_disk / "new").exists()
    again = butler_program("create", small_disk / "new")
    assert again.code == 0, again.err


@pytest.mark.parametrize("left", [0, 30 * KIB, 100 * KIB])
def test_frames_that_do_not_fit_are_named_and_go_in_later(small_disk, tmp_path, left):
    frames = write_survey(tmp_path / "raw", Survey(size=64, stars=3, science=(("V", 2),), biases=1, flats=1))
    workshop = make_workshop(small_disk)
    with Butler(workshop.repo, writeable=True) as butler:
        Nickel().register(butler.registry)
    command = ("ingest-raws", workshop.repo, tmp_path / "raw", "-t", "copy")
    with nearly_full(small_disk, left):
        full = butler_program(*command)
    assert full.code == 1
    assert re.search(r"no space left on device|disk is full", full.err, re.IGNORECASE)
    assert "Traceback" not in full.err
    check_files_and_rows(workshop)
    again = butler_program(*command)
    assert again.code == 0, again.err
    check_files_and_rows(workshop)
    with Butler(workshop.repo, collections="Nickel/raw/all") as butler:
        assert len(butler.query_datasets("raw")) == len(frames)
