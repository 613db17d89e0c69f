"""Damage is found, all of it and nothing else; repair deletes nothing."""

from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path

import pytest

from armillary.butler import Butler, DatasetType
from armillary.butler.checking import check_repository
from armillary.testing import small_repository

N = 12


@pytest.fixture
def butler():
    with small_repository(run="u/me") as opened:
        registry = opened.registry
        instrument = next(iter(registry.queryDimensionRecords("instrument"))).name
        detectors = [{"instrument": instrument, "id": 100 + i, "full_name": f"x{i}"} for i in range(N)]
        registry.insertDimensionData("detector", *detectors)
        registry.registerDatasetType(
            DatasetType("piece", ["instrument", "detector"], "StructuredDataDict", universe=opened.dimensions)
        )
        with opened.transaction():
            for i in range(N):
                opened.put({"i": i}, "piece", instrument=instrument, detector=100 + i)
        yield opened


def test_a_link_to_a_folder_of_datasets_is_no_orphan(butler, tmp_path):
    folder = root_of(butler) / "u"
    folder.rename(tmp_path / "other disk")
    folder.symlink_to(tmp_path / "other disk")
    (root_of(butler) / "stray").symlink_to(tmp_path)
    missing = files_of(butler)[0]
    missing.unlink()
    report = check_repository(butler, repair=True, older_than=-60)
    assert report.counts() == {"missing file": 1, "orphan file": 1}
    assert list(report.moved) == ["stray"]
    assert folder.is_symlink()
    assert len([ref for ref in butler.query_datasets("piece") if butler.stored(ref)]) == N - 1


def test_what_may_not_be_looked_at_is_told(butler, monkeypatch):
    folder, file, stat, scan = str(root_of(butler) / "u"), str(files_of(butler)[0]), os.stat, os.scandir

    def refuse(place, *arguments, **options):
        if str(place) in (folder, file):
            raise PermissionError(13, "Permission denied", str(place))
        return (stat if str(place).endswith(".yaml") else scan)(place, *arguments, **options)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr("armillary.butler.checking.os.stat", refuse)
    report = check_repository(butler)
    assert report.counts() == {"unreadable file": 1}
    assert report.n_datasets == N
    (told,) = report.not_walked.values()
    assert folder in told


def root_of(butler):
    return Path(butler._datastore.root)


def files_of(butler):
    return sorted(Path(ref_uri.ospath) for ref_uri in map(butler.getURI, butler.query_datasets("piece")))


def run_sql(butler, sql, *values):
    database = sqlite3.connect(root_of(butler) / "gen3.sqlite3")
    with database:
        database.execute(sql, values)
    database.close()


def everything(butler):
    root = root_of(butler)
    found = [*(root / "u").rglob("*"), *(root / ".armillary/lost").rglob("*")]
    return {str(path.relative_to(root)): path.read_bytes() for path in found if path.is_file()}


def delete(butler, file):
    file.unlink()
    return "missing file"


def truncate(butler, file):
    os.truncate(file, file.stat().st_size - 1)
    return "wrong size"


def grow(butler, file):
    with file.open("ab") as stream:
        stream.write(b"\n")
    return "wrong size"


def duplicate(butler, file):
    file.with_name("copy of " + file.name).write_bytes(file.read_bytes())
    return "orphan file"


def drop_record(butler, file):
    path = str(file.relative_to(root_of(butler)))
    run_sql(butler, "DELETE FROM file_datastore_records WHERE path = ?", path)
    return "no record", "orphan file"


def become_a_directory(butler, file):
    file.unlink()
    file.mkdir()
    return "wrong size"


def half_written(butler, file):
    from armillary._files import _host_mark

    file.with_name(f".armillary-{_host_mark()}-4194305-{random.randbytes(6).hex()}.yaml").write_bytes(b"half")
    return "temporary file"


def trash(butler, file):
    path = str(file.relative_to(root_of(butler)))
    which = "(SELECT dataset_id FROM file_datastore_records WHERE path = ?)"
    run_sql(
        butler,
        "INSERT INTO dataset_location_trash (dataset_id, datastore_name) SELECT dataset_id, datastore_name "
        f"FROM dataset_location WHERE dataset_id = {which}",
        path,
    )
    run_sql(butler, f"DELETE FROM dataset_location WHERE dataset_id = {which}", path)
    return "trash"


DAMAGE = [delete, truncate, grow, duplicate, drop_record, become_a_directory, half_written, trash]


def test_a_healthy_repository_has_no_problems(butler):
    report = check_repository(butler, checksums=True)
    assert not report.problems
    assert report.n_datasets == report.n_files == N
    assert report.n_bytes == sum(file.stat().st_size for file in files_of(butler))


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_one_damage_is_one_problem(butler, damage):
    kinds = damage(butler, files_of(butler)[3])
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    assert check_repository(butler).counts() == dict.fromkeys(kinds, 1)


@pytest.mark.parametrize("seed", range(12))
def test_all_damage_is_found_and_repair_deletes_nothing(butler, seed):
    chosen = random.Random(seed)
    files = chosen.sample(files_of(butler), chosen.randint(1, N - 1))
    expected = {}
    for file in files:
        kinds = chosen.choice(DAMAGE)(butler, file)
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            expected[kind] = expected.get(kind, 0) + 1
    assert check_repository(butler).counts() == expected
    before = everything(butler)
    report = check_repository(butler, repair=True, older_than=0)
    after = check_repository(butler).counts()
    assert after == {k: n for k, n in expected.items() if k not in ("orphan file", "temporary file", "trash")}
    assert len(report.remaining) == sum(after.values())
    moved = everything(butler)
    for old, new in report.moved.items():
        assert moved[new] == before[old]
    lost = len(before) - len(moved)
    assert lost == expected.get("trash", 0), "only what was being removed is gone"


def test_a_changed_file_of_the_same_size_is_found_by_its_checksum(tmp_path):
    Butler.makeRepo(tmp_path, {"datastore": {"checksum": True}})
    with Butler(tmp_path, run="u/me") as butler:
        butler.registry.registerDatasetType(DatasetType("note", [], "StructuredDataDict", universe=butler.dimensions))
        ref = butler.put({"a": 1}, "note")
        file = Path(butler.getURI(ref).ospath)
        content = file.read_bytes()
        file.write_bytes(content.replace(b"1", b"2"))
        assert not check_repository(butler).problems
        (problem,) = check_repository(butler, checksums=True).problems
    assert (problem.kind, problem.dataset_id) == ("wrong checksum", ref.id)
    assert str(problem) == f"wrong checksum: `{file.relative_to(tmp_path)}`"


def test_what_is_being_written_is_no_problem(butler):
    store = butler._datastore
    file = root_of(butler) / "u/me/coming.yaml"
    intent = butler._core_registry.begin_write(store.name, ["u/me/coming.yaml"])
    file.write_text("a: 1")
    assert not check_repository(butler).problems
    butler._core_registry.abandon_write(intent)
    assert check_repository(butler).counts() == {"orphan file": 1}
    report = check_repository(butler, repair=True)
    assert not report.moved and file.exists(), "it is too young to be moved"


def test_a_reader_checks_and_does_not_repair(butler):
    with Butler(root_of(butler)) as reader:
        assert not check_repository(reader).problems
        with pytest.raises(TypeError, match="read-only"):
            check_repository(reader, repair=True)
