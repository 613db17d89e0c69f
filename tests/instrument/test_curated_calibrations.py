"""Calibrations made by hand go in from a folder, each valid until the next of its kind."""

import pytest
from astropy.table import Table

from armillary.butler import Butler
from armillary.cli.butler import main
from armillary.testing import fill_small_repository


@pytest.fixture
def repo(tmp_path):
    Butler.makeRepo(tmp_path / "repo")
    with Butler(tmp_path / "repo", writeable=True) as butler:
        fill_small_repository(butler)
    return str(tmp_path / "repo")


@pytest.fixture
def camera(tmp_path, repo, capfd):
    (tmp_path / "cam.yaml").write_text(
        "name: Snap\nmatch: {INSTRUME: Snap}\ndetectors: {3: S03, 4: S04}\n"
        "header: {datetime_begin: DATE-OBS, exposure_time: EXPTIME}\n"
    )
    assert main(["register-instrument", repo, str(tmp_path / "cam.yaml")]) == 0
    capfd.readouterr()
    folder = tmp_path / "curated"
    for place, number in (
        ("defects/s03/20190901T000000", 1),
        ("defects/s03/20200301", 2),
        ("defects/4/20190901T000000", 3),
    ):
        path = folder / f"{place}.ecsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        Table({"x0": [number]}).write(path)
    (folder / "linearity").mkdir()
    (folder / "linearity" / "19700101.yaml").write_text("gain: 1.5\n")
    (folder / "README").write_text("by hand")
    return folder


def test_each_is_valid_until_the_next(repo, camera, capfd):
    assert main(["write-curated-calibrations", repo, "Snap", "hand", "--from", str(camera)]) == 0
    assert capfd.readouterr().out == (
        "3 `defects` are certified in `Snap/calib/hand`\n1 `linearity` are certified in `Snap/calib/hand`\n"
    )
    with Butler(repo) as butler:
        found = {
            (item.ref.run, item.ref.dataId["detector"], str(item.timespan))
            for item in butler.registry.queryDatasetAssociations("defects", ["Snap/calib/hand"])
        }
        run = "Snap/calib/hand/curated/"
        assert found == {
            (f"{run}20190901T000000Z", 3, "[2019-09-01T00:00:00, 2020-03-01T00:00:00)"),
            (f"{run}20200301T000000Z", 3, "[2020-03-01T00:00:00, ∞)"),
            (f"{run}20190901T000000Z", 4, "[2019-09-01T00:00:00, ∞)"),
        }
        table = butler.get("defects", instrument="Snap", detector=3, collections=f"{run}20200301T000000Z")
        assert list(table["x0"]) == [2]
        held = butler.get("linearity", instrument="Snap", collections=f"{run}19700101T000000Z")
        assert held == {"gain": 1.5}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("defects/S05/20190901.ecsv", "`Snap` has no detector `S05`; did you mean `S0"),
        ("defects/S03/monday.ecsv", "must be named for the date"),
        ("defects/S03/20190902.pickle", "is of no kind known here"),
    ],
)
def test_one_bad_file_keeps_all_out(repo, camera, capfd, name, reason):
    (camera / name).parent.mkdir(exist_ok=True)
    (camera / name).write_text("")
    assert main(["write-curated-calibrations", repo, "Snap", "--from", str(camera)]) == 1
    assert reason in capfd.readouterr().err
    with Butler(repo) as butler:
        assert list(butler.collections.query("Snap/*")) == []


def test_an_empty_folder_is_told(repo, camera, tmp_path, capfd):
    assert main(["write-curated-calibrations", repo, "Snap", "--from", str(tmp_path / "nothing")]) == 1
    assert "there are no calibrations in" in capfd.readouterr().err
