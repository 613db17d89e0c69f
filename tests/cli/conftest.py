"""A repository with numbers in it, and pipelines that use them."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from armillary import _core
from armillary.butler import Butler, DatasetType
from armillary.testing import fill_small_repository
from databases import Cluster

PIPELINE = """\
description: Squares and their sums.
tasks:
  measure: small_tasks.MeasureTask
  sum: small_tasks.SumTask
"""


@dataclass(frozen=True)
class Workshop:
    """A repository, the folder it is in, and a pipeline; `server` is the cluster and schema of one on PostgreSQL."""

    folder: Path
    server: tuple[Cluster, str] | None = None

    @property
    def repo(self):
        return self.folder / "repo"

    @property
    def pipeline(self):
        return self.folder / "pipeline.yaml"

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def select(self, columns, table):
        """Rows of a table as text, read without armillary; what a writer left in a journal is undone by SQLite."""
        if self.server is not None:
            cluster, namespace = self.server
            lines = cluster.sql(f"SELECT {columns} FROM {namespace}.{table}").splitlines()
            return [tuple(line.split("|")) for line in lines]
        with sqlite3.connect(f"file:{self.repo}/gen3.sqlite3?mode=rw", uri=True) as database:
            rows = [tuple(map(str, row)) for row in database.execute(f"SELECT {columns} FROM {table}")]
        database.close()
        return rows

    def announced(self):
        """Files that somebody announced and neither registered nor removed."""
        if self.server is not None:
            cluster, namespace = self.server
            registry = _core.Registry.open_on_server(cluster.url, writeable=False, namespace=namespace)
        else:
            registry = _core.Registry.open(f"{self.repo}/gen3.sqlite3", writeable=False)
        try:
            return registry.announced_files()
        finally:
            registry.close()

    def state(self):
        """All rows and all files, read without armillary; what a writer left in a journal is undone by SQLite."""
        with sqlite3.connect(f"file:{self.repo}/gen3.sqlite3?mode=rw", uri=True) as database:
            rows = list(database.iterdump())
        database.close()
        files = {str(path.relative_to(self.repo)): path.stat().st_size for path in self.files()}
        return rows, files

    def files(self):
        """All but the database and what is kept beside it while somebody writes."""
        found = (path for path in self.repo.rglob("*") if path.is_file() and ".armillary" not in path.parts)
        return sorted(path for path in found if path.suffix not in (".sqlite3", ".sqlite3-journal"))


def make_workshop(folder, detectors=2, visits=2, cluster=None, seed=None):
    """Make a repository with a number for every visit and detector in the run `in`: in SQLite, or on a cluster.

    `seed` is the configuration of one in SQLite.
    """
    server = cluster and (cluster, cluster.new_namespace())
    workshop = Workshop(Path(folder), server)
    workshop.write("pipeline.yaml", PIPELINE)
    Butler.makeRepo(workshop.repo, config=cluster.seed(server[1]) if cluster else seed)
    with Butler(workshop.repo, writeable=True, run="in") as butler:
        fill_small_repository(butler)
        add_visits(butler, detectors, visits)
        for visit in range(10, 10 + visits):
            for detector in range(1, 1 + detectors):
                butler.put({"v": visit * detector}, "metrics", instrument="Cam", visit=visit, detector=detector)
        butler.registry.registerDatasetType(
            DatasetType("frame", ["instrument", "detector"], "FitsImage", universe=butler.dimensions)
        )
    return workshop


def add_visits(butler, detectors, visits):
    camera = {"instrument": "Cam"}
    for i in range(2, detectors):
        names = {"full_name": f"S0{i}", "raft": "R0", "name_in_raft": f"S0{i}", "purpose": "SCIENCE"}
        butler.registry.insertDimensionData("detector", camera | {"id": i + 1} | names)
    for i in range(12, 10 + visits):
        row = {"id": i, "name": f"v{i}", "physical_filter": "Cam-R", "day_obs": 20250101, "exposure_time": 30.0}
        butler.registry.insertDimensionData("visit", camera | row)


@pytest.fixture(scope="module")
def shared_workshop(tmp_path_factory):
    """A repository that no test changes."""
    return make_workshop(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def workshop(tmp_path):
    """A repository of the test's own."""
    return make_workshop(tmp_path)


def check_files_and_rows(workshop, may_announce=False):
    """Every file has its row, every row its file, and no temporary file or announcement is left."""
    rows = dict(workshop.select("path, file_size", "file_datastore_records"))
    recorded = set(workshop.select("dataset_id", "file_datastore_records"))
    registered = set(workshop.select("id", "dataset"))
    announced = workshop.announced()
    files = {str(path.relative_to(workshop.repo)): str(path.stat().st_size) for path in workshop.files()}
    del files["butler.yaml"]
    assert files == rows
    assert recorded == registered
    assert not announced or may_announce
