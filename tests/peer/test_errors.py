"""The exception classes have the peer's bases and codes."""

import json

import armillary.errors as errors

TREE = """
import importlib, json, pkgutil, sys, warnings
warnings.simplefilter("ignore")
import lsst.daf.butler, lsst.pipe.base
for package in (lsst.daf.butler, lsst.pipe.base):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not any(part in module.name for part in (".tests", ".remote_butler", ".cli.", ".ply")):
            try:
                importlib.import_module(module.name)
            except ImportError:
                pass
found = {}
for name, module in list(sys.modules.items()):
    if name.startswith(("lsst.daf.butler", "lsst.pipe.base")):
        for value in list(vars(module).values()):
            if isinstance(value, type) and issubclass(value, BaseException) and value.__module__.startswith("lsst"):
                found[value.__name__] = [[base.__name__ for base in value.__mro__], getattr(value, "error_type", None)]
print(json.dumps(found))
"""
OURS_ALONE = {
    "CommitUnknownError",
    "ConfigurationError",
    "MissingRecordError",
    "QueryTypeError",
    "QueryValueError",
    "RepositoryNotFoundError",
    "UnknownParameterError",
    "UnknownStorageClassError",
    "UnsafePathError",
    "UntrustedContentError",
}


def test_same_bases_and_codes_as_the_peer(run_peer):
    theirs = json.loads(run_peer(TREE))
    assert len(theirs) > 60
    shared = [name for name in errors.__all__ if name in theirs]
    assert set(errors.__all__) - set(shared) == OURS_ALONE
    for name in shared:
        ours = getattr(errors, name)
        bases, code = theirs[name]
        assert [base.__name__ for base in ours.__mro__ if base is not errors._PlainMessage] == bases, name
        assert getattr(ours, "error_type", None) == code, name
