"""Answer a list of queries on one repository, under either package, as plain JSON.

Used as a module with `armillary.butler`, and as a script by the peer's interpreter:
`python runner.py lsst.daf.butler REPOSITORY < queries.json > answers.json`.
"""

from __future__ import annotations

import importlib
import json
import signal
import sys
import time
import uuid
import warnings

LIMIT_SECONDS = 8


def give_up(*_):
    raise TimeoutError(f"no answer within {LIMIT_SECONDS} s")


class Decoder:
    """Turn what JSON cannot hold into objects of one package."""

    def __init__(self, package):
        self.package = package

    def value(self, coded):
        if isinstance(coded, list):
            return [self.value(item) for item in coded]
        if not isinstance(coded, dict):
            return coded
        if len(coded) == 1:
            ((tag, inner),) = coded.items()
            if tag.startswith("$"):
                return getattr(self, tag[1:])(inner)
        return {key: self.value(item) for key, item in coded.items()}

    def everything(self, _):
        return ...

    def tuple(self, items):
        return tuple(self.value(items))

    def set(self, items):
        return set(self.value(items))

    def uuid(self, text):
        return uuid.UUID(text)

    def numpy(self, parts):
        import numpy

        return getattr(numpy, parts[0])(parts[1])

    def time(self, text):
        import astropy.time

        return astropy.time.Time(text, scale="tai", format="isot")

    def datetime(self, text):
        import datetime

        return datetime.datetime.fromisoformat(text)

    def timespan(self, bounds):
        begin, end = (None if bound is None else self.time(bound) for bound in bounds)
        return self.package.Timespan(begin, end)

    def region(self, text):
        import lsst.sphgeom

        return lsst.sphgeom.Region.from_ivoa_pos(text)

    def sky(self, degrees):
        import astropy.coordinates

        return astropy.coordinates.SkyCoord(*degrees, unit="deg")

    def lonlat(self, degrees):
        import lsst.sphgeom

        return lsst.sphgeom.LonLat.fromDegrees(*degrees)

    def vector(self, degrees):
        import lsst.sphgeom

        return lsst.sphgeom.UnitVector3d(self.lonlat(degrees))

    def encoded(self, text):
        import lsst.sphgeom

        return lsst.sphgeom.Region.decode(bytes.fromhex(text))

    def bytes(self, text):
        return bytes.fromhex(text)

    def date(self, text):
        import datetime

        return datetime.date.fromisoformat(text)

    def pattern(self, text):
        import re

        return re.compile(text)

    def range(self, bounds):
        return range(*bounds)

    def kinds(self, names):
        return {self.package.CollectionType[name] for name in names}


def plain_data_id(data_id):
    mapping = dict(data_id.mapping) if data_id.hasFull() else dict(data_id.required)
    return sorted([key, value] for key, value in mapping.items())


def plain_field(value):
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    if hasattr(value, "nsec"):
        return ["timespan", *value.nsec]
    if hasattr(value, "encode") and not isinstance(value, str):
        return ["region", value.encode().hex()]
    if hasattr(value, "isot"):
        return ["time", round(value.tai.mjd, 9)]
    if hasattr(value, "bytes"):
        return value.hex
    return value


def plain(item):
    """Everything of one result that must be equal in both packages."""
    if item is None or isinstance(item, (bool, int, float, str)):
        return item
    if hasattr(item, "dtype"):
        return item.item()
    if isinstance(item, (list, tuple)):
        return [plain(part) for part in item]
    if hasattr(item, "datasetType"):
        return [
            item.datasetType.name,
            item.datasetType.storageClass_name,
            plain_data_id(item.dataId),
            item.run,
            item.id.hex,
        ]
    if hasattr(item, "definition"):
        return [item.definition.name, sorted([key, plain_field(value)] for key, value in item.toDict().items())]
    if hasattr(item, "storageClass_name"):
        return str(item)
    if hasattr(item, "children"):
        return [item.name, item.type.name, item.doc, list(item.children)]
    return plain_data_id(item)


def run_steps(target, steps, decoder):
    for name, arguments, keywords in steps:
        found = getattr(target, name)
        target = found(*decoder.value(arguments), **decoder.value(keywords)) if callable(found) else found
    return target


def answer(butler, query, decoder):
    """The answer of one query: its items, or the class of the error with its bases."""
    started = time.perf_counter()
    signal.alarm(LIMIT_SECONDS)
    try:
        if query["on"] == "registry":
            found = run_steps(butler.registry, query["steps"], decoder)
        elif query["on"] == "collections":
            found = run_steps(butler.collections, query["steps"], decoder)
        elif query["on"] == "query":
            with butler.query() as start:
                found = run_steps(start, query["steps"], decoder)
                if not isinstance(found, (bool, int)):
                    found = list(found)
        else:
            found = run_steps(butler, query["steps"], decoder)
        single = isinstance(found, (bool, int)) or hasattr(found, "children")
        items = [plain(found)] if single else [plain(item) for item in found]
        result = {"items": items}
    except Exception as error:
        classes = [cls.__name__ for cls in type(error).__mro__]
        result = {"error": type(error).__name__, "classes": classes, "message": str(error)[:600]}
    finally:
        signal.alarm(0)
    result["seconds"] = time.perf_counter() - started
    return result


def answers(package_name, repository, queries):
    package = importlib.import_module(package_name)
    decoder = Decoder(package)
    found = []
    signal.signal(signal.SIGALRM, give_up)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        butlers = {}
        for query in queries:
            key = json.dumps(query.get("open", {}), sort_keys=True)
            if key not in butlers:
                butlers[key] = package.Butler.from_config(repository, writeable=False, **query.get("open", {}))
            found.append(answer(butlers[key], query, decoder))
    return found


if __name__ == "__main__":
    import logging

    logging.disable(logging.CRITICAL)
    json.dump(answers(sys.argv[1], sys.argv[2], json.load(sys.stdin)), sys.stdout)
