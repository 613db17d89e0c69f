"""Dataset references without a registry; servers of files, with `--all-servers` SeaweedFS and WebDAV, too."""

from __future__ import annotations

import pytest

from armillary._core import DataCoordinate, DatasetRef, DatasetType, DimensionUniverse
from armillary.butler import Butler
from remote_servers import s3_server, seaweed_server, webdav_server

FILES = "lsst.daf.butler.datastores.fileDatastore.FileDatastore"


@pytest.fixture(scope="session")
def universe():
    return DimensionUniverse()


def _record(universe, element, values, fields):
    """A record of an element, its identity and implied values taken from `values`."""
    definition = universe[element]
    known = {str(name): values[str(name)] for name in definition.required.names if str(name) != element}
    known |= {str(name): values[str(name)] for name in definition.implied.names if str(name) in values}
    key = "name" if isinstance(values[element], str) else "id"
    return definition.RecordClass(**known, **{key: values[element]}, **fields)


@pytest.fixture(scope="session")
def make_ref(universe):
    """Make a reference: `make_ref("int", run="r", dimensions=[...], mapping={...}, records={element: fields})`.

    With `records` the data ID is expanded: every dimension gets a record, with these fields.
    """

    def make(storage_class, *, name="thing", run="run", dimensions=(), mapping=None, records=None, parent=None):
        dataset_type = DatasetType(name, dimensions, storage_class, universe=universe, parentStorageClass=parent)
        group = dataset_type.dimensions
        data_id = DataCoordinate.standardize(mapping or {}, dimensions=group)
        if records is not None:
            made = {}
            for element in map(str, group.elements):
                is_dimension = element in mapping and not element.startswith(("htm", "healpix"))
                made[element] = _record(universe, element, mapping, records.get(element, {})) if is_dimension else None
            data_id = data_id.expanded(made)
        return DatasetRef(dataset_type, data_id, run=run)

    return make


def pytest_generate_tests(metafunc):
    if "server" in metafunc.fixturenames:
        every = ["moto", *(["seaweed", "webdav"] if metafunc.config.getoption("--all-servers") else [])]
        metafunc.parametrize("server", every, indirect=True, scope="module")


@pytest.fixture(scope="module")
def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    started = {
        "moto": s3_server,
        "seaweed": lambda: seaweed_server(folder),
        "webdav": lambda: webdav_server(folder),
    }[request.param]
    with started() as running:
        yield running


@pytest.fixture
def bucket(server, monkeypatch, tmp_path):
    """The URI of a new bucket, with the settings to reach it."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAF_BUTLER_CACHE_DIRECTORY", str(tmp_path / "cache"))
    return server.new_bucket()


@pytest.fixture
def make_butler(bucket, tmp_path):
    def make(name="repo", **datastore):
        root = str(tmp_path / name)
        config = {"datastore": {"cls": FILES, "root": f"{bucket}/some where/{name}", **datastore}}
        Butler.makeRepo(root, config=config, forceConfigRoot=False)
        butler = Butler(root, writeable=True, run="run")
        butler.registry.insertDimensionData("instrument", {"name": "Cam"})
        for dataset_type, storage_class in (
            ("summary", "StructuredDataDict"),
            ("image", "FitsMaskedImage"),
            ("table", "ArrowAstropy"),
        ):
            butler.registry.registerDatasetType(
                DatasetType(dataset_type, ["instrument"], storage_class, universe=butler.dimensions)
            )
        return butler

    return make
