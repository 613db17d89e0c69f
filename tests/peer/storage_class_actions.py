"""What both packages do with every storage class: `storage_class_actions.py WHO ACTION FOLDER [WRITER ...]`.

Run under the peer's interpreter. With `armillary` as WHO the names `lsst.*` are armillary's. A folder holds the
vectors of storage classes (`classes.json`), a provenance graph (`graph.qg`), and a folder for each writer. Answers go
to `WHO-ACTION.json` in the folder.
"""

import io
import json
import os
import sqlite3
import sys
import traceback
import warnings

warnings.simplefilter("ignore")
if sys.argv[1] == "armillary":
    from armillary.lsst_alias import activate

    activate()

import lsst.daf.butler as daf  # noqa: E402 (whose they are is known only now)
from lsst.utils import doImportType  # noqa: E402
from matplotlib.image import imread  # noqa: E402
from storage_class_values import MAKERS, OWN, WITHOUT_FORMATTER, same, shown  # noqa: E402

# What is stored is one file, or a copy in memory and two in files, of which one has composites in parts.
OWN_CLASSES = """
storageClasses:
  Pair:
    pytype: dict
    components: {left: StructuredDataDict, right: StructuredDataDict}
"""
LAYOUTS = {
    "one": """
datastore:
  formatters: {Pair: lsst.daf.butler.formatters.yaml.YamlFormatter}
""",
    "chained": """
datastore:
  cls: lsst.daf.butler.datastores.chainedDatastore.ChainedDatastore
  datastores:
    - datastore: {cls: lsst.daf.butler.datastores.inMemoryDatastore.InMemoryDatastore}
    - datastore:
        cls: lsst.daf.butler.datastores.fileDatastore.FileDatastore
        records: {table: records_whole}
        formatters: {Pair: lsst.daf.butler.formatters.yaml.YamlFormatter}
    - datastore:
        cls: lsst.daf.butler.datastores.fileDatastore.FileDatastore
        records: {table: records_parts}
        composites: {default: true}
        checksum: true
""",
}
GRAPH = "ProvenanceQuantumGraph"
VALUES = MAKERS | OWN
NAMES = [*VALUES, GRAPH]
HERE = {"instrument": "C/é"}


def make(root, layout):
    """A new repository with an instrument and a dataset type for every storage class."""
    daf.Butler.makeRepo(root, config=daf.Config.fromString(OWN_CLASSES + LAYOUTS[layout]))
    butler = daf.Butler.from_config(root, writeable=True, run="run/1")
    butler.registry.insertDimensionData("instrument", {"name": HERE["instrument"]})
    for name in NAMES:
        kind = daf.DatasetType(f"a_{name}", ["instrument"], name, universe=butler.dimensions)
        butler.registry.registerDatasetType(kind)
    return butler


def attempt(action, *arguments, **more):
    """What a call gives, or the class of its error."""
    try:
        return action(*arguments, **more)
    except Exception as error:
        traceback.print_exc()
        return f"{type(error).__name__}"


def classify(folder):
    """For each default storage class `held`, or what is missing to hold it."""
    with open(f"{folder}/classes.json") as stream:
        classes = json.load(stream)
    butler = make(f"{folder}/classify-{sys.argv[1]}", "one")
    found = {}
    for facts in classes:
        name = facts["name"]
        try:
            assert butler.storageClasses.getStorageClass(name).pytype is not None
        except ImportError:
            found[name] = f"no type {facts['pytype']}"
            continue
        if facts["formatter"] is None:
            kind = daf.DatasetType("untold", ["instrument"], name, universe=butler.dimensions)
            butler.registry.registerDatasetType(kind)
            found[name] = f"no formatter: {attempt(butler.put, WITHOUT_FORMATTER[name](), kind, **HERE)}"
            butler.registry.removeDatasetType("untold")
            continue
        try:
            doImportType(facts["formatter"])
        except ImportError:
            found[name] = f"no formatter {facts['formatter']}"
            continue
        found[name] = "held"
    return found


def write(folder):
    """Put one of everything into each layout, export it and pack it into a zip file."""
    writer = sys.argv[1]
    records = {}
    for layout in LAYOUTS:
        root = f"{folder}/{writer}/{layout}"
        butler = make(root, layout)
        for name, maker in VALUES.items():
            butler.put(maker(), f"a_{name}", **HERE)
        kind = butler.get_dataset_type(f"a_{GRAPH}")
        graph = daf.DatasetRef(kind, butler.registry.expandDataId(**HERE), run="run/1")
        butler.ingest(daf.FileDataset(f"{folder}/graph.qg", [graph]), transfer="copy")
        records[layout] = records_of(root)
        refs = sorted(butler.registry.queryDatasets(..., collections="run/1"))
        exported, zipped = (f"{folder}/{writer}/{what}-{layout}" for what in ("exported", "zipped"))
        os.mkdir(exported)
        with butler.export(directory=exported, format="yaml", transfer="copy") as export:
            export.saveDatasets(refs)
        os.rename(butler.retrieve_artifacts_zip(refs, zipped).ospath, f"{zipped}/all.zip")
        butler.close()
    return {"classes": classify(folder), "covered": sorted([*MAKERS, GRAPH]), "records": records}


def records_of(root):
    """Rows about files, each with whether the file is as large as the row says."""
    rows = []
    with sqlite3.connect(f"{root}/gen3.sqlite3") as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in sorted(name for name in names if name.startswith(("file_datastore", "records_"))):
            query = f"SELECT path, formatter, storage_class, component, checksum, file_size FROM {table}"
            for path, formatter, storage_class, component, checksum, size in database.execute(query):
                places = [f"{root}/{path}", *(f"{root}/{part}/{path}" for part in os.listdir(root))]
                (place,) = [place for place in places if os.path.exists(place) and path][:1]
                whole = os.path.getsize(place) == size
                rows.append([table, storage_class, path, formatter, component, len(checksum or ""), whole])
    return sorted(rows)


def read(folder, *writers):
    """Get everything that was put, exported and packed; whether it is equal, and what its components hold."""
    return {writer: read_one(f"{folder}/{writer}", sys.argv[1]) for writer in writers}


def read_one(folder, who):
    seen = {}
    for layout, other in zip(LAYOUTS, reversed(LAYOUTS), strict=True):
        imported, unpacked = (f"{folder}/{layout}-{how}-by-{who}" for how in ("imported", "unpacked"))
        with make(imported, other) as butler:
            butler.import_(directory=f"{folder}/exported-{layout}", format="yaml", transfer="copy")
        with make(unpacked, other) as butler:
            butler.ingest_zip(f"{folder}/zipped-{layout}/all.zip", transfer="copy")
        for how, root in (("put", f"{folder}/{layout}"), ("imported", imported), ("unpacked", unpacked)):
            with daf.Butler.from_config(root, collections="run/1") as butler:
                for name in NAMES:
                    told = look(butler, name, f"{root}-pictures-for-{who}")
                    seen |= {f"{layout} {how} {what}": value for what, value in told.items()}
                uri = butler.getURI(butler.find_dataset("a_int", **HERE))
                seen[f"{layout} {how} path"] = f"{uri.unquoted_path}#{uri.unquoted_fragment}".removeprefix(root)
    return seen


def drawn():
    """What the picture of a plot looks like."""
    sink = io.BytesIO()
    MAKERS["Plot"]().savefig(sink, format="png")
    sink.seek(0)
    return imread(sink)


def look(butler, name, pictures):
    """What one dataset and its components hold."""
    if name == "Plot":  # neither reads plots
        ref = butler.find_dataset("a_Plot", **HERE)
        os.mkdir(pictures)
        (picture,) = butler.retrieveArtifacts([ref], pictures)
        assert attempt(butler.get, "a_Plot", **HERE).endswith("Error")
        return {name: shown(imread(picture.ospath)) == shown(drawn())}
    whole = attempt(butler.get, f"a_{name}", **HERE)
    seen = {name: shown(whole) if name == GRAPH else same(VALUES[name](), whole) or shown(whole)}
    for component in sorted(butler.storageClasses.getStorageClass(name).allComponents()):
        parameters = None
        if name == GRAPH and component != "packages":
            parameters = {"quanta": [one for found in whole.quanta_by_task.values() for one in found.values()]}
        part = attempt(butler.get, f"a_{name}.{component}", parameters=parameters, **HERE)
        seen[f"{name}.{component}"] = [type(part).__name__, shown(part)]
    if name == "TaskMetadata":
        seen[f"{name} as a dictionary"] = shown(butler.get(f"a_{name}", storageClass="StructuredDataDict", **HERE))
    return seen


if __name__ == "__main__":
    answer = {"write": write, "read": read}[sys.argv[2]](*sys.argv[3:])
    with open(f"{sys.argv[3]}/{sys.argv[1]}-{sys.argv[2]}.json", "w") as stream:
        json.dump(answer, stream)
