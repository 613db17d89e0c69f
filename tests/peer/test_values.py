"""Value objects answer as the peer's do: the same expressions, evaluated on both sides."""

import json
import random
import uuid
import warnings

import pytest
from astropy.time import Time

from armillary import _core
from armillary._core import DatasetRef, DimensionUniverse, Timespan
from armillary.storage.storage_class import find_storage_class

PEER_START = """
import json, logging, sys, uuid, warnings
warnings.simplefilter("ignore")
logging.disable()
from astropy.time import Time
from lsst.daf.butler import DataCoordinate, DatasetRef, DatasetType, DimensionRecord, DimensionUniverse, Timespan
"""

NAMES = """
universe = DimensionUniverse()
standardize = DataCoordinate.standardize
def group(*names): return universe.conform(names)
def data_id(**values): return standardize(values, universe=universe)
VISIT = dict(instrument="HSC", visit=11690, band="g", day_obs=20141118, physical_filter="HSC-G")
full, minimal = data_id(**VISIT, detector=1), data_id(instrument="HSC", visit=11690)
detector = data_id(instrument="HSC", detector=1)
ID = uuid.UUID("01a2034e-8f88-71e5-a232-117c8b4e29d5")
bias = DatasetType("bias", ["detector"], "StructuredDataDict", universe=universe, isCalibration=True)
coadd = DatasetType("coadd", ["patch", "band"], "StructuredDataDict", universe=universe)
part = DatasetType("raw.part", ["detector"], "StructuredDataDict", parentStorageClass="ArrowAstropy", universe=universe)
ref = DatasetRef(bias, detector, "run", id=ID)
def record(element, **fields): return universe[element].RecordClass(**fields)
night = Timespan.from_day_obs(20141118)
def time(text, scale="tai"): return Time(text, scale=scale)
records = dict(
    band=record("band", name="g"), instrument=record("instrument", name="HSC", detector_max=200),
    day_obs=record("day_obs", instrument="HSC", id=20141118, timespan=night),
    detector=record("detector", instrument="HSC", id=1, full_name="1_53"),
    physical_filter=record("physical_filter", instrument="HSC", name="HSC-G", band="g"),
    visit=record("visit", instrument="HSC", id=11690, physical_filter="HSC-G", day_obs=20141118, name="v", seq_num=4,
                 exposure_time=30.5, timespan=night),
    visit_detector_region=None)
expanded = full.expanded(records)
def ordered(values): return sorted(map(str, values))
"""

EXPRESSIONS = """
str(universe)
[str(element) for element in universe.elements]
[repr(universe[name]) for name in ("band", "instrument", "htm7", "visit", "visit_definition")]
[list(universe[name].required.names) for name in universe.elements.names]
[list(universe[name].implied.names) for name in universe.elements.names]
[list(universe[name].minimal_group.names) for name in universe.elements.names]
[list(universe[name].schema.names) for name in universe.elements.names]
[universe.getElementIndex(name) for name in ("band", "visit", "patch", "visit_definition")]
[str(element) for element in universe.sorted(["visit", "band", "detector"], reverse=True)]
list(universe.get_elements_populated_by(universe["visit"]).names)
universe["visit"] == "visit", hash(universe["visit"]) == hash("visit"), universe["detector"] < universe["visit"]
str(universe["htm7"].system), universe["htm7"].level, universe["htm7"].pixelization.getLevel()
repr(group("visit", "detector")), str(group("patch", "band")), repr(group())
[list(getattr(group("exposure", "patch", "band"), part)) for part in ("names", "required", "implied", "elements")]
list(group("visit", "detector").data_coordinate_keys), group("exposure", "visit").lookup_order
group("visit").region_dimension, group("exposure").timespan_dimension, group("visit", "tract").region_dimension
str(group("visit") | group("tract")), str(group("visit") & group("detector")), str(group("visit") - group("detector"))
group("detector") <= group("visit", "detector"), group("detector") < group("detector")
group("visit").isdisjoint(group("tract"))
group("visit").names == {"band", "instrument", "day_obs", "physical_filter", "visit"}
ordered(group("visit").names & {"visit", "tract"}), ordered(group("visit").names | {"tract"})
group("visit").to_simple()
bool(group()), len(group("visit")), "band" in group("visit")
str(full), str(minimal), repr(data_id(instrument='it"s')), str(DataCoordinate.make_empty(universe))
full.hasFull(), minimal.hasFull(), full.hasRecords(), DataCoordinate.make_empty(universe).hasRecords()
full["band"], full.get("tract"), full.get("tract", 3), "visit" in full, "band" in minimal
dict(full.mapping), dict(minimal.required), full.full_values, minimal.required_values
full == standardize(full, band="r"), full == minimal, minimal == data_id(visit=11690, instrument="HSC")
hash(full) == hash(standardize(full, band="r")), full.subset(["visit"]) == minimal
minimal == {"instrument": "HSC", "visit": 11690}
str(sorted([data_id(instrument="HSC", detector=n) for n in (3, 1, 2)]))
str(full.subset(["detector"])), str(full.subset(group("physical_filter")))
str(minimal.union(detector)), str(full.union(data_id(instrument="HSC", exposure=3)))
str(standardize({"instrument": "HSC", "detector": 1}, universe=universe, detector=2))
str(standardize({**VISIT, "detector": 1}, dimensions=["visit"], universe=universe))
str(standardize({"detector": 1}, universe=universe, defaults=data_id(instrument="X")))
str(standardize(instrument="HSC", detector=5, dimensions=group("detector")))
str(standardize(full, detector=5)), str(standardize(full, skymap="x")), str(standardize(full, exposure=7))
str(standardize(full, dimensions=["physical_filter"])), standardize(full) is full
str(DataCoordinate.from_required_values(group("visit"), ("H", 3)))
str(DataCoordinate.from_full_values(group("visit"), ("H", 3, "g", 1, "g")))
full.to_json(), minimal.to_json(minimal=True), minimal.to_simple().model_dump()
str(DataCoordinate.from_json(full.to_json(), universe=universe))
bool(DataCoordinate.make_empty(universe)), bool(full)
expanded.hasRecords(), expanded == full, list(expanded.records), expanded.visit.name, expanded.visit_detector_region
str(expanded.timespan), expanded.region, expanded.subset(["detector"]).hasRecords()
json.loads(expanded.to_json()), json.loads(expanded.to_json(minimal=True))
standardize(expanded, visit=4).hasRecords(), standardize(expanded, dimensions=["visit"]).hasRecords()
DataCoordinate.from_json(expanded.to_json(), universe=universe).visit == records["visit"]
repr(records["detector"]), repr(records["band"]), str(records["detector"])
repr(records["visit"].timespan), records["visit"].exposure_time
str(records["visit"].dataId), records["visit"].dataId.hasFull(), str(records["detector"].dataId)
records["detector"].toDict(), list(records["visit"].toDict(splitTimespan=True))
json.loads(records["visit"].to_json()), records["visit"].serialize_key_value()
records["visit"].get("id"), records["visit"].definition.name, list(universe["visit"].RecordClass.fields.names)
isinstance(records["visit"], DimensionRecord), isinstance(records["visit"], universe["visit"].RecordClass)
isinstance(records["visit"], universe["detector"].RecordClass), universe["visit"].RecordClass.__name__
record("detector", instrument="HSC", detector=1) == record("detector", instrument="HSC", id=1)
DimensionRecord.from_json(records["visit"].to_json(), universe=universe) == records["visit"]
hash(records["detector"]) == hash(record("detector", instrument="HSC", id=1)), records["detector"] == records["band"]
str(bias), str(coadd), str(part), bias.name, str(bias.dimensions), bias.storageClass_name, bias.isCalibration()
bias.component(), part.component(), part.nameAndComponent(), bias.isComponent(), part.isComponent()
str(part.makeCompositeDatasetType()), DatasetType.splitDatasetTypeName("a.b.c"), DatasetType.nameWithComponent("a", "b")
bias == DatasetType("bias", ["detector"], "StructuredDataDict", universe=universe), bias == "bias"
bias.is_compatible_with(bias)
[one.name for one in sorted([part, coadd, bias])]
bias.to_json(), part.to_json(), coadd.to_json(minimal=True), coadd.to_simple().model_dump()
str(DatasetType.from_json(part.to_json(), universe=universe)), DatasetType.VALID_NAME_REGEX.pattern
str(ref), repr(ref), str(ref.id), ref.run, str(ref.dataId), str(ref.dimensions), ref.isComponent()
ref == DatasetRef(bias, detector, "other", id=ID)
hash(ref) == hash(DatasetRef(bias, detector, "other", id=ID)), ref == 3
ref.replace(run="s").id == ref.id, ref.replace(id=ID) == ref, ref.replace(run="s", id=ID).run
DatasetRef(bias, detector, "run").id.version, str(DatasetRef(bias, full, "run", id=ID).dataId)
json.loads(ref.to_json()), json.loads(ref.to_json(minimal=True))
json.loads(DatasetRef(part, detector, "r", id=ID).to_json(minimal=True))
str(DatasetRef.from_json(ref.to_json(), universe=universe))
[(one.name, len(some)) for one, some in DatasetRef.groupByType([ref, DatasetRef(part, detector, "r"), ref]).items()]
ref.is_compatible_with(ref), ref.is_compatible_with(ref.replace(run="s"))
str(night), repr(night), night.nsec, str(Timespan(None, None)), str(Timespan.makeEmpty()), night.isEmpty()
Timespan(time("2025-01-01T00:00:00", "utc"), None).nsec, Timespan(None, time("2025-02-01")).nsec
Timespan(time("2025-01-01"), time("2025-01-01")).nsec, Timespan.fromInstant(time("2025-01-01T12:34:56.789012345")).nsec
Timespan(time("2025-01-02"), time("2025-01-01")).nsec, Timespan(time("1960-01-01"), time("2960-01-01")).nsec
str(Timespan(time("2017-01-01T00:00:36.999999999"), time("2016-12-31T23:59:60.5", "utc")))
night.overlaps(night.begin), night.contains(night.end), night < night.end, night > night.begin, night < night
night.contains(Timespan.makeEmpty()), night.overlaps(Timespan.makeEmpty())
Timespan.makeEmpty().contains(Timespan.makeEmpty())
str(night.intersection(Timespan(time("2014-11-18T06:00:00"), None)))
[str(t) for t in Timespan(None, None).difference(night)]
night.model_dump_json(), str(Timespan.model_validate([1, 2 * 10**18])), str(Timespan.EMPTY), Timespan.yaml_tag
Timespan.from_day_obs(20250101, offset=43200).nsec, Timespan.from_day_obs(20250101, offset=-3600).nsec
""".strip().splitlines()

MISTAKES = """
universe["nope"]
group("nope")
data_id(detector=1)
data_id(nope=1)
standardize(instrument="HSC")
minimal["band"]
full["tract"]
minimal.full_values
minimal.records
minimal.region
minimal.visit
full.nope
full.subset(["tract"])
minimal < 3
len(minimal)
record("detector", id=1)
record("detector", instrument="H")
record("detector", instrument="H", id=1, detector=2)
record("detector", instrument="H", id=1, nope=2)
records["detector"].nope
records["detector"].get("nope")
records["detector"] < records["detector"]
DatasetType("bad name", group(), "StructuredDataDict")
DatasetType("a.b", group(), "StructuredDataDict")
DatasetType("a", group(), "StructuredDataDict", parentStorageClass="X")
DatasetType("a", ["visit"], "StructuredDataDict")
DatasetType("a", group(), None)
DatasetType("a", group(), "NoSuchClass").storageClass
bias.makeComponentDatasetType("nope")
bias.makeCompositeDatasetType()
bias < 3
DatasetRef(bias, {"instrument": "H"}, "run")
Timespan(3, None)
Timespan.from_day_obs(20251301)
Timespan(time("2960-01-01"), None)
DataCoordinate.from_json(minimal.to_json())
""".strip().splitlines()

RUN = """
def plain(value):
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value if isinstance(value, (str, int, float, type(None))) else str(value)

answers = []
for expression in expressions:
    try:
        answers.append([True, plain(eval(expression))])
    except Exception as error:
        answers.append([False, [cls.__name__ for cls in type(error).__mro__]])
"""


def ours(expressions):
    names = {name: value for name, value in vars(_core).items() if not name.startswith("__")}
    _core.set_storage_class_resolver(find_storage_class)
    scope = {**names, "json": json, "uuid": uuid, "Time": Time, "expressions": expressions}
    exec(NAMES + RUN, scope)
    return scope["answers"]


@pytest.fixture(scope="module")
def theirs(run_peer):
    """The peer's answer to each expression; one process for all, it takes seconds to start."""
    code = PEER_START + "expressions = json.loads(sys.argv[1])\n" + NAMES + RUN + "print(json.dumps(answers))"
    expressions = EXPRESSIONS + MISTAKES
    return dict(zip(expressions, json.loads(run_peer(code, json.dumps(expressions))), strict=True))


def test_expressions_have_the_peers_values(theirs):
    assert len(EXPRESSIONS) > 80
    for expression, mine in zip(EXPRESSIONS, ours(EXPRESSIONS), strict=True):
        other = theirs[expression]
        assert mine[0], f"{expression}: {mine[1]}"
        assert mine == other, expression


def test_mistakes_raise_what_can_be_caught_as_the_peers(theirs):
    """Whoever catches the peer's class, or the built-in class it derives from, catches ours."""
    builtins = {
        "KeyError",
        "ValueError",
        "TypeError",
        "AttributeError",
        "AssertionError",
        "RuntimeError",
        "LookupError",
    }
    for expression, mine in zip(MISTAKES, ours(MISTAKES), strict=True):
        other = theirs[expression]
        assert not mine[0], f"{expression}: {mine[1]}"
        assert not other[0], f"{expression}: {other[1]}"
        wanted = {name for name in other[1] if name in builtins}
        assert wanted <= set(mine[1]), f"{expression}: {mine[1][0]} is not a {wanted}"


def test_times_become_the_peers_nanoseconds(run_peer):
    """Times to the nanosecond in every scale, over the whole range."""
    rng = random.Random(20141118)
    days = [(rng.uniform(40588, 88000), rng.uniform(-0.5, 0.5)) for _ in range(3000)]
    code = """
pairs = json.loads(text)
answers = []
for scale in ("tai", "utc", "tt"):
    for day, fraction in pairs:
        answers.append(Timespan(Time(round(day), fraction, format="mjd", scale=scale), None).nsec[0])
"""
    text = json.dumps(days)
    peer_code = PEER_START + "text = sys.argv[1]\n" + code + "print(json.dumps(answers))"
    other = json.loads(run_peer(peer_code, text))
    scope = {"json": json, "Timespan": Timespan, "Time": Time, "text": text}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy's own about dates ahead
        exec(code, scope)
    assert len(other) == 9000
    assert [(a, b) for a, b in zip(scope["answers"], other, strict=True) if a != b] == []


def test_pickled_ids_of_either_side_agree_on_json(run_peer):
    """JSON written by one side is read by the other."""
    written = json.loads(
        run_peer(
            PEER_START
            + NAMES
            + "print(json.dumps([ref.to_json(), DatasetRef(bias, detector.expanded(records), 'r', id=ID).to_json()]))"
        )
    )
    universe = DimensionUniverse()
    for text in written:
        mine = DatasetRef.from_json(text, universe=universe)
        assert json.loads(mine.to_json()) == json.loads(text)
    back = [DatasetRef.from_json(text, universe=universe).to_json() for text in written]
    code = (
        PEER_START
        + NAMES
        + "print(json.dumps([str(DatasetRef.from_json(text, universe=universe)) for text in json.loads(sys.argv[1])]))"
    )
    assert json.loads(run_peer(code, json.dumps(back))) == [
        str(DatasetRef.from_json(t, universe=universe)) for t in written
    ]
