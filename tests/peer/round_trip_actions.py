"""What both packages do to one repository.

Run as `round_trip_actions.py PACKAGE TASK_PACKAGE ACTION REPOSITORY [WRITER]`, or imported.
"""

import importlib
import json
import sys
import warnings

import numpy as np
from astropy.table import Table
from astropy.time import Time

warnings.simplefilter("ignore")


def moment(text):
    return Time(text, scale="tai", format="isot")


def dimensions(butler, package):
    registry = butler.registry
    camera = {"instrument": "Cam/1"}
    registry.insertDimensionData("instrument", {"name": "Cam/1", "visit_max": 9, "exposure_max": 9, "detector_max": 9})
    registry.insertDimensionData("physical_filter", camera | {"name": "R", "band": "r"})
    registry.insertDimensionData("detector", *(camera | {"id": i, "full_name": f"S{i}"} for i in range(3)))
    span = package.Timespan(moment("2025-01-01T00:00:00"), moment("2025-01-02T00:00:00"))
    registry.insertDimensionData("day_obs", camera | {"id": 20250101, "timespan": span})
    registry.insertDimensionData("group", camera | {"name": "g"})
    registry.insertDimensionData(
        "exposure",
        camera | {"id": 5, "obs_id": "o5", "physical_filter": "R", "group": "g", "day_obs": 20250101, "timespan": span},
    )
    for name, group, storage_class, calibration in (
        ("parameters", ["detector"], "StructuredDataDict", False),
        ("table", ["detector"], "ArrowAstropy", False),
        ("array", ["detector"], "NumpyArray", False),
        ("task_metadata", ["detector"], "TaskMetadata", False),
        ("task_log", ["detector"], "ButlerLogRecords", False),
        ("flat", ["detector", "physical_filter"], "StructuredDataDict", True),
    ):
        registry.registerDatasetType(
            package.DatasetType(name, group, storage_class, universe=butler.dimensions, isCalibration=calibration)
        )


def write(butler, package, tasks, by):
    """Put one of everything into runs named after the writer."""
    import logging

    registry, kinds = butler.registry, package.CollectionType
    run = f"{by}/run"
    registry.registerRun(run, doc=f"written by {by}")
    here = {"instrument": "Cam/1", "run": run}
    table = Table({"x": [1, 2], "name": ["a", "b"]})
    table["x"].unit = "m"
    metadata = tasks.TaskMetadata()
    metadata["by"] = by
    metadata["numbers"] = [1, 2, 3]
    records = package.logging.ButlerLogRecords if hasattr(package, "logging") else package.ButlerLogRecords
    log = records.from_records([])
    record = logging.LogRecord("task", logging.INFO, "here.py", 3, "hello from %s", (by,), None)
    log.append(record)
    refs = [butler.put({"by": by, "detector": i}, "parameters", detector=i, **here) for i in range(3)]
    butler.put(table, "table", detector=0, **here)
    butler.put(np.arange(6).reshape(2, 3), "array", detector=0, **here)
    butler.put(metadata, "task_metadata", detector=0, **here)
    butler.put(log, "task_log", detector=0, **here)
    flats = [butler.put({"flat": i}, "flat", detector=i, physical_filter="R", **here) for i in range(2)]
    registry.registerCollection(f"{by}/tag", kinds.TAGGED)
    registry.associate(f"{by}/tag", refs[:2])
    registry.registerCollection(f"{by}/calib", kinds.CALIBRATION)
    registry.certify(f"{by}/calib", flats, package.Timespan(moment("2025-01-01T00:00:00"), None))
    registry.decertify(
        f"{by}/calib", "flat", package.Timespan(moment("2025-03-01T00:00:00"), moment("2025-04-01T00:00:00"))
    )
    registry.registerCollection(f"{by}/chain", kinds.CHAINED)
    registry.setCollectionChain(f"{by}/chain", [f"{by}/tag", run, f"{by}/calib"])


def prune(butler, by):
    """Take away part of what `by` wrote."""
    registry = butler.registry
    run = f"{by}/run"
    one = butler.find_dataset("parameters", instrument="Cam/1", detector=2, collections=run)
    butler.pruneDatasets([one], purge=True, unstore=True, disassociate=True)
    two = butler.find_dataset("array", instrument="Cam/1", detector=0, collections=run)
    butler.pruneDatasets([two], unstore=True, disassociate=False)
    three = butler.find_dataset("parameters", instrument="Cam/1", detector=0, collections=f"{by}/tag")
    registry.disassociate(f"{by}/tag", [three])
    butler.collections.remove_from_chain(f"{by}/chain", f"{by}/calib")


def see(butler):
    """Everything about the repository that both must agree on."""
    registry = butler.registry
    seen = {"collections": {}, "types": sorted(map(str, registry.queryDatasetTypes())), "datasets": [], "found": []}
    for name in sorted(registry.queryCollections()):
        info = butler.collections.get_info(name, include_parents=True, include_summary=True)
        seen["collections"][name] = [
            info.type.name,
            info.doc or "",
            list(info.children),
            sorted(info.parents or ()),
            sorted(info.dataset_types or ()),
        ]
    for dataset_type in sorted(registry.queryDatasetTypes(), key=lambda found: found.name):
        for item in registry.queryDatasetAssociations(dataset_type, collections=...):
            span = None if item.timespan is None else list(item.timespan.nsec)
            seen["datasets"].append([item.collection, str(item.ref), item.ref.id.hex, span, butler.stored(item.ref)])
    seen["datasets"].sort(key=str)
    for chain in sorted(registry.queryCollections("*/chain")):
        for when in ("2025-01-05", "2025-03-05"):
            for detector in range(3):
                for name, more in (("parameters", {}), ("flat", {"physical_filter": "R"})):
                    span = butler.dimensions and type(registry.expandDataId(instrument="Cam/1", exposure=5).timespan)
                    ref = butler.find_dataset(
                        name,
                        instrument="Cam/1",
                        detector=detector,
                        collections=chain,
                        timespan=span.fromInstant(moment(f"{when}T00:00:00")),
                        **more,
                    )
                    seen["found"].append([chain, when, detector, name, None if ref is None else ref.id.hex])
    seen["data ids"] = sorted(str(item) for item in registry.queryDataIds(["exposure", "detector"]).expanded())
    records = sorted(registry.queryDimensionRecords("exposure"), key=lambda record: record.dataId)
    seen["records"] = [
        {key: list(value.nsec) if hasattr(value, "nsec") else value for key, value in record.toDict().items()}
        for record in records
    ]
    return seen


def read(butler, by):
    """What the datasets of one writer hold."""
    here = {"instrument": "Cam/1", "collections": f"{by}/run"}
    table = butler.get("table", detector=0, **here)
    metadata = butler.get("task_metadata", detector=0, **here)
    return {
        "parameters": [butler.get("parameters", detector=i, **here) for i in range(2)],
        "table": [[int(x) for x in table["x"]], str(table["x"].unit), [str(x) for x in table["name"]]],
        "array": butler.get("array", detector=0, **here).tolist()
        if butler.exists("array", detector=0, **here)
        else None,
        "metadata": [metadata["by"], list(metadata.getArray("numbers"))],
        "log": [[entry.levelname, entry.message] for entry in butler.get("task_log", detector=0, **here)],
    }


def main(name, task_name, action, root, by=""):
    package, tasks = importlib.import_module(name), importlib.import_module(task_name)
    if action == "create":
        package.Butler.makeRepo(root)
    with package.Butler.from_config(
        root, writeable=action in ("create", "write", "prune"), inferDefaults=False
    ) as butler:
        if action == "create":
            dimensions(butler, package)
        elif action == "write":
            if name.startswith("lsst"):
                importlib.import_module("lsst.daf.butler.logging")
            write(butler, package, tasks, by)
        elif action == "prune":
            prune(butler, by)
        elif action == "see":
            return see(butler)
        elif action == "read":
            return read(butler, by)
    return None


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
