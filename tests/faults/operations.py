"""A small repository and what is done to it: each operation is a function of a folder, the same for every fault."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from armillary.butler import Butler, CollectionType, DatasetRef, DatasetType, FileDataset, Timespan

DETECTORS = 200


def make_repository(root: Path, run: str = "u/there", configuration: dict[str, Any] | None = None) -> None:
    """A repository with a camera, and some datasets in a run."""
    Butler.makeRepo(str(root), config=configuration, forceConfigRoot="datastore" not in (configuration or {}))
    with Butler(str(root), run=run) as butler:
        registry = butler.registry
        registry.insertDimensionData("instrument", {"name": "Cam", "detector_max": 1000, "class_name": "none.Such"})
        registry.insertDimensionData(
            "detector", *({"instrument": "Cam", "id": i, "full_name": f"d{i:03}"} for i in range(DETECTORS))
        )
        for name, calibration in (("piece", False), ("other", False), ("flat", True)):
            dimensions = ["instrument", "detector"]
            registry.registerDatasetType(
                DatasetType(
                    name, dimensions, "StructuredDataDict", universe=butler.dimensions, isCalibration=calibration
                )
            )
        with butler.transaction():
            for i in range(4):
                butler.put({"i": i}, "piece", instrument="Cam", detector=i)
            for i in range(2):
                butler.put({"flat": i}, "flat", instrument="Cam", detector=i)
        registry.registerRun("u/new")
        registry.registerCollection("u/tagged", CollectionType.TAGGED)
        registry.registerCollection("u/calib", CollectionType.CALIBRATION)
        registry.registerCollection("u/chain", CollectionType.CHAINED)
        registry.setCollectionChain("u/chain", [run])


@dataclass(frozen=True)
class Place:
    """Where an operation works: the repository, files to be taken in, another repository, an export of that."""

    folder: Path

    @property
    def repo(self) -> str:
        return str(self.folder / "repo")

    @property
    def incoming(self) -> Path:
        return self.folder / "incoming"

    @property
    def other(self) -> str:
        return str(self.folder / "other")

    @property
    def configuration(self) -> dict[str, Any] | None:
        """What the repository is made from, if that is not the default."""
        return None

    def make(self) -> None:
        """Make everything."""
        make_repository(Path(self.repo), configuration=self.configuration)
        make_repository(Path(self.other), "u/elsewhere")
        self.incoming.mkdir()
        for i in range(3):
            (self.incoming / f"{i}.yaml").write_text(f"came: {i}\n")
        with Butler(self.other, collections="u/elsewhere") as butler:
            (self.folder / "exported").mkdir()
            with butler.export(directory=str(self.folder / "exported"), format="yaml", transfer="copy") as export:
                export.saveDatasets(butler.query_datasets("piece"))
            self._zip(butler, butler.query_datasets("piece"), "coming")
        with Butler(self.other, run="u/zipped") as butler:
            refs = [butler.put({"i": i}, "other", instrument="Cam", detector=i) for i in range(2)]
            there = self._zip(butler, refs, "there")
        with Butler(self.repo, writeable=True) as butler:
            butler.ingest_zip(str(there), transfer="copy")

    def archive(self, name: str) -> Path:
        """A zip file of datasets of the other repository."""
        (found,) = (self.folder / name).iterdir()
        return found

    def _zip(self, butler: Butler, refs: list[DatasetRef], name: str) -> Path:
        (self.folder / name).mkdir()
        butler.retrieve_artifacts_zip(refs, str(self.folder / name))
        return self.archive(name)

    def copy(self, folder: Path) -> Place:
        """The same in another folder."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return replace(self, folder=folder)


def put(place: Place) -> None:
    with Butler(place.repo, run="u/new") as butler:
        butler.put({"a": 1, "text": "x" * 5000}, "piece", instrument="Cam", detector=7)


def put_batch(place: Place) -> None:
    with Butler(place.repo, run="u/new") as butler, butler.transaction():
        for i in range(4):
            butler.put({"i": i, "text": "x" * 500}, "piece", instrument="Cam", detector=10 + i)


def _ingest(place: Place, transfer: str) -> None:
    with Butler(place.repo, run="u/new") as butler:
        piece = butler.get_dataset_type("piece")
        files = []
        for i in range(3):
            data_id = butler.registry.expandDataId(instrument="Cam", detector=20 + i)
            files.append(FileDataset(str(place.incoming / f"{i}.yaml"), [DatasetRef(piece, data_id, run="u/new")]))
        butler.ingest(*files, transfer=transfer)


def ingest_copy(place: Place) -> None:
    _ingest(place, "copy")


def ingest_move(place: Place) -> None:
    _ingest(place, "move")


def ingest_link(place: Place) -> None:
    _ingest(place, "link")


def ingest_direct(place: Place) -> None:
    _ingest(place, "direct")


def prune(place: Place) -> None:
    with Butler(place.repo, writeable=True, collections="u/there") as butler:
        butler.pruneDatasets(butler.query_datasets("piece"), purge=True, unstore=True, disassociate=True)


def unstore(place: Place) -> None:
    with Butler(place.repo, writeable=True, collections="u/there") as butler:
        butler.pruneDatasets(butler.query_datasets("flat"), unstore=True, disassociate=False)


def remove_runs(place: Place) -> None:
    with Butler(place.repo, writeable=True) as butler:
        butler.removeRuns(["u/there"], unlink_from_chains=True)


def transfer_from(place: Place) -> None:
    with Butler(place.other, collections="u/elsewhere") as source, Butler(place.repo, writeable=True) as butler:
        refs = source.query_datasets("flat")
        butler.transfer_from(source, refs, transfer="copy", register_dataset_types=True)


def import_export(place: Place) -> None:
    with Butler(place.repo, writeable=True) as butler:
        butler.import_(
            directory=str(place.folder / "exported"),
            filename=str(place.folder / "exported" / "export.yaml"),
            format="yaml",
            transfer="copy",
        )


def ingest_zip(place: Place) -> None:
    with Butler(place.repo, writeable=True) as butler:
        butler.ingest_zip(str(place.archive("coming")), transfer="copy")


def remove_zipped_run(place: Place) -> None:
    with Butler(place.repo, writeable=True) as butler:
        butler.removeRuns(["u/zipped"])


def associate(place: Place) -> None:
    with Butler(place.repo, writeable=True, collections="u/there") as butler:
        butler.registry.associate("u/tagged", butler.query_datasets("piece"))


def certify(place: Place) -> None:
    with Butler(place.repo, writeable=True, collections="u/there") as butler:
        butler.registry.certify("u/calib", butler.query_datasets("flat"), Timespan(None, None))


def edit_chain(place: Place) -> None:
    with Butler(place.repo, writeable=True) as butler:
        butler.collections.redefine_chain("u/chain", ["u/new", "u/there"])


OPERATIONS: dict[str, Callable[[Place], None]] = {
    function.__name__: function
    for function in (
        put,
        put_batch,
        ingest_copy,
        ingest_move,
        ingest_link,
        ingest_direct,
        prune,
        unstore,
        remove_runs,
        transfer_from,
        import_export,
        ingest_zip,
        remove_zipped_run,
        associate,
        certify,
        edit_chain,
    )
}
"""By name. A store of another kind runs the same ones: `Place.make` is what has to change."""
