"""The public classes of the butler have the members and arguments that code written for the peer uses."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import importlib, inspect, json, sys
daf = importlib.import_module(sys.argv[1])
found = {}
for name in json.loads(sys.argv[2]):
    made = getattr(daf, name)
    members = {}
    for key in [*(key for key in dir(made) if not key.startswith("_")), "__init__"]:
        function = made if key == "__init__" else getattr(made, key)
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            members[key] = None
            continue
        members[key] = [
            [one.name, one.kind.name, one.default is not inspect.Parameter.empty]
            for one in parameters
            if one.name not in ("self", "cls")
        ]
    found[name] = members
print(json.dumps(found))
"""
CLASSES = [
    "Butler",
    "ButlerCollections",
    "ButlerConfig",
    "Config",
    "ConfigSubset",
    "DatasetComponent",
    "DatasetProvenance",
    "DatasetRef",
    "DatasetType",
    "DeferredDatasetHandle",
    "FileDataset",
    "FileDescriptor",
    "Formatter",
    "FormatterV2",
    "LabeledButlerFactory",
    "LimitedButler",
    "Location",
    "ParsedButlerDatasetURI",
    "SpecificButlerDataset",
    "StorageClass",
    "StorageClassDelegate",
    "StorageClassFactory",
]
MODEL = "a method of the model library that the peer's class is built on; ours is a plain class"
INSTANCES = "the peer's class shows it as a property; here each object has it"
# What the peer has and armillary leaves out, with the reason.
LEFT_OUT = {
    "Butler.GENERATION": "tells the second generation of butlers from the third; there is only one here",
    "LimitedButler.GENERATION": "tells the second generation of butlers from the third; there is only one here",
    "Config.resourcesPackage": "names the package that holds the peer's own defaults",
    "Config.updateParameters": "writes one kind of configuration over another; `update` and `merge` do that",
    "ConfigSubset.resourcesPackage": "names the package that holds the peer's own defaults",
    "ConfigSubset.updateParameters": "writes one kind of configuration over another; `update` and `merge` do that",
    "ConfigSubset.defaultConfigFile": "where the peer's own defaults are",
    "ConfigSubset.defaultSearchPaths": "where the peer's own defaults are",
    "ButlerConfig.resourcesPackage": "names the package that holds the peer's own defaults",
    "ButlerConfig.updateParameters": "writes one kind of configuration over another; `update` and `merge` do that",
    "ButlerConfig.get_butler_type": "chooses between the peer's two implementations",
    "DeferredDatasetHandle.storageClass": INSTANCES,
    "Formatter.dataId": INSTANCES,
    "Formatter.fileDescriptor": INSTANCES,
    "Formatter.writeParameters": INSTANCES,
    "Formatter.writeRecipes": INSTANCES,
    "FileDataset.path": INSTANCES,
    "FileDataset.refs": INSTANCES,
}
# Arguments of the peer's that are left out, with the reason.
ARGUMENTS_LEFT_OUT = {
    "Butler.__init__(kwargs)": "the same catch-all, called `dataId` here",
    "DatasetRef.__init__(datastore_records)": "records travel beside references here, never in them",
    "DatasetRef.replace(datastore_records)": "records travel beside references here, never in them",
}


@pytest.fixture(scope="module")
def public(run_peer):
    theirs = json.loads(run_peer(SCRIPT, "lsst.daf.butler", json.dumps(CLASSES)))
    arguments = ["armillary.butler", json.dumps(CLASSES)]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), theirs


def is_of_the_model_library(key):
    return key.startswith("model_") or key in {
        "construct",
        "copy",
        "dict",
        "from_orm",
        "json",
        "parse_file",
        "parse_obj",
        "parse_raw",
        "schema",
        "schema_json",
        "update_forward_refs",
        "validate",
        "populate_cache",
    }


def test_every_member_is_here_or_left_out_for_a_reason(public):
    ours, theirs = public
    missing = {
        f"{name}.{key}"
        for name, members in theirs.items()
        for key in members
        if key not in ours[name] and not (name == "DatasetProvenance" and is_of_the_model_library(key))
    }
    assert missing == set(LEFT_OUT)


def test_every_argument_is_here_or_left_out_for_a_reason(public):
    ours, theirs = public
    missing, wrong = set(), []
    compared = 0
    for name, members in theirs.items():
        for key, arguments in members.items():
            own = ours[name].get(key)
            if arguments is None or own is None:
                continue
            compared += 1
            mine = {argument[0]: argument for argument in own}
            catches_all = any(argument[1] == "VAR_KEYWORD" for argument in own)
            for argument, kind, has_default in arguments:
                if argument not in mine:
                    if not (kind == "POSITIONAL_ONLY" or (catches_all and kind == "KEYWORD_ONLY")):
                        missing.add(f"{name}.{key}({argument})")
                elif has_default and not mine[argument][2]:
                    wrong.append(f"{name}.{key}({argument}) needs a default")
                elif kind == "POSITIONAL_OR_KEYWORD" and mine[argument][1] == "KEYWORD_ONLY":
                    wrong.append(f"{name}.{key}({argument}) must be taken by position, too")
    assert compared > 200
    assert wrong == []
    assert missing == set(ARGUMENTS_LEFT_OUT)
