"""Seeded queries, right and wrong, over what a repository holds."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

from armillary.butler import Butler, CollectionType

SHAPES = (
    ["visit"],
    ["visit", "detector"],
    ["exposure"],
    ["exposure", "detector"],
    ["detector"],
    ["physical_filter"],
    ["band"],
    ["instrument"],
    ["day_obs"],
    ["tract"],
    ["patch"],
    ["tract", "patch", "band"],
    ["visit", "tract"],
    ["visit", "detector", "patch"],
    ["visit", "patch"],
    ["skymap"],
    ["exposure", "visit"],
    ["physical_filter", "detector"],
    ["detector", "day_obs"],
    [],
)
ELEMENTS = (
    "instrument", "detector", "physical_filter", "band", "visit", "exposure", "day_obs", "group", "skymap", "tract",
    "patch", "visit_detector_region", "visit_system", "visit_definition", "visit_system_membership", "subfilter",
)  # fmt: skip
FIELDS: dict[str, dict[str, str]] = {
    "visit": {
        "exposure_time": "float", "zenith_angle": "float", "target_name": "str", "science_program": "str",
        "observation_reason": "str", "seq_num": "int", "name": "str", "day_obs": "int", "timespan": "timespan",
        "region": "region",
    },
    "exposure": {
        "exposure_time": "float", "obs_id": "str", "observation_type": "str", "seq_num": "int", "tracking_ra": "float",
        "can_see_sky": "bool", "has_simulated": "bool", "timespan": "timespan", "target_name": "str",
        "dark_time": "float",
    },
    "detector": {"full_name": "str", "raft": "str", "name_in_raft": "str", "purpose": "str"},
    "tract": {"region": "region"},
    "patch": {"cell_x": "int", "cell_y": "int", "region": "region"},
    "visit_detector_region": {"region": "region"},
    "instrument": {"visit_max": "int", "detector_max": "int", "class_name": "str"},
    "skymap": {"tract_max": "int"},
    "day_obs": {"timespan": "timespan"},
}  # fmt: skip
KEYS = {
    "instrument": "str", "detector": "int", "physical_filter": "str", "band": "str", "visit": "int", "exposure": "int",
    "day_obs": "int", "group": "str", "skymap": "str", "tract": "int", "patch": "int", "htm7": "int",
    "visit_system": "int", "subfilter": "int",
}  # fmt: skip


@dataclasses.dataclass
class Facts:
    """What may be asked about one repository: known values of keys and fields, collections, dataset types."""

    keys: dict[str, list[Any]]
    fields: dict[tuple[str, str], list[Any]]
    chains: list[str]
    collections: list[str]
    types: dict[str, list[str]]
    held: dict[str, list[str]]
    dataset_ids: list[str]
    places: list[tuple[float, float]]
    times: list[str]
    large: bool
    universe: Any
    timed: set[str]


def facts_of(repository: str) -> Facts:
    """Read them through the plain parts of the butler, so that queries hit as often as they miss."""
    butler = Butler.from_config(repository, writeable=False)
    timed: set[str] = set()
    keys: dict[str, list[Any]] = {}
    fields: dict[tuple[str, str], list[Any]] = {}
    places, times = [(10.0, 0.0)], ["2025-01-01T12:00:00"]
    n_records = 0
    for name in ELEMENTS:
        if name not in {element.name for element in butler.dimensions.elements}:
            continue  # an older universe
        records = sorted(butler.registry.queryDimensionRecords(name), key=lambda record: record.dataId)
        n_records += len(records)
        if name in KEYS:
            keys[name] = sorted({record.dataId[name] for record in records})
        spans = [getattr(record, "timespan", None) for record in records]
        if None not in spans:  # what a missing timespan means has a test of its own
            timed.add(name)
        for field, kind in FIELDS.get(name, {}).items():
            values = [getattr(record, field, None) for record in records]
            if kind in ("timespan", "region"):
                continue
            fields[name, field] = sorted({value for value in values if value is not None})
        for record in records[:: max(1, len(records) // 20)]:
            if name in ("visit", "tract", "patch") and record.region is not None:
                centre = record.region.getBoundingCircle().getCenter()
                import lsst.sphgeom

                lonlat = lsst.sphgeom.LonLat(centre)
                # Never on an edge, where the last bit of a number decides.
                places.append(
                    (round(lonlat.getLon().asDegrees(), 2) + 0.0037, round(lonlat.getLat().asDegrees(), 2) + 0.0029)
                )
            if name in ("visit", "exposure") and record.timespan is not None and record.timespan.begin is not None:
                times.append(record.timespan.begin.tai.isot[:19])
    collections = sorted(butler.collections.query("*"))
    types = {found.name: list(found.dimensions.names) for found in butler.registry.queryDatasetTypes()}
    held = {
        name: sorted(butler.collections.get_info(name, include_summary=True).dataset_types or ())
        for name in collections
    }
    ids = []
    for name in sorted(types):
        for run in sorted(butler.collections.query("*", CollectionType.RUN)):
            ids += [ref.id.hex for ref in butler.query_datasets(name, run, explain=False, limit=2, order_by=[])]
    chains = sorted(butler.collections.query("*", CollectionType.CHAINED, include_chains=True))
    universe = butler.dimensions
    butler.close()
    return Facts(
        keys,
        fields,
        chains,
        collections,
        types,
        held,
        sorted(ids),
        sorted(set(places)),
        sorted(set(times)),
        n_records > 3000,
        universe,
        timed,
    )


class Generator:
    """Makes one query after the other; equal seeds make equal queries."""

    def __init__(self, facts: Facts, seed: int):
        self.facts = facts
        self.chance = random.Random(seed)
        self.binds: dict[str, Any] = {}

    # -- small choices

    def maybe(self, probability: float) -> bool:
        return self.chance.random() < probability

    def pick(self, items: Any) -> Any:
        items = list(items)
        return self.chance.choice(items) if items else None

    def key_value(self, key: str) -> Any:
        values = self.facts.keys.get(key) or []
        if not values or self.maybe(0.08):
            return {"int": 77, "str": "Nope"}[KEYS.get(key, "int")]
        return self.pick(values)

    def field_value(self, element: str, field: str, kind: str) -> Any:
        values = self.facts.fields.get((element, field))
        return self.pick(values) if values else {"int": 5, "float": 12.5, "str": "x", "bool": True}[kind]

    def literal(self, value: Any, kind: str) -> str:
        """Write a value in the expression language, or bind it."""
        if self.maybe(0.25):
            return self.bind({"$numpy": ["int64", value]} if kind == "int" and self.maybe(0.3) else value)
        if kind == "str":
            return f"'{value}'"
        if kind == "int" and self.maybe(0.05):
            return f"{value}.0"
        return repr(value)

    def bind(self, value: Any) -> str:
        name = f"b{len(self.binds)}"
        self.binds[name] = value
        return f":{name}"

    # -- expressions

    def condition(self, dimensions: list[str], types: list[str]) -> str:
        """One comparison on something that the dimensions know."""
        elements = [name for name in FIELDS if name in dimensions]
        if {"visit", "detector"} <= set(dimensions):
            elements.append("visit_detector_region")
        choices = [self.key_condition] * 5 + [self.field_condition] * 4 + [self.temporal, self.spatial, self.function]
        if types:
            choices += [self.dataset_condition]
        choice = self.pick(choices)
        text = choice(dimensions, elements, types)
        return text or self.key_condition(dimensions, elements, types) or "visit > 0"

    def key_condition(self, dimensions: list[str], elements: list[str], types: list[str]) -> str | None:
        keys = [key for key in KEYS if key in dimensions] or ["instrument"]
        key = self.pick(keys)
        kind = KEYS[key]
        spelled = key
        if key in ("detector", "visit", "exposure", "tract", "patch", "day_obs") and self.maybe(0.1):
            spelled = f"{key}.id"
        if key == "instrument" and self.maybe(0.2):
            spelled = (
                self.pick([f"{name}.instrument" for name in ("visit", "detector", "exposure") if name in dimensions])
                or key
            )
        form = self.chance.random()
        value = self.key_value(key)
        if form < 0.45:
            operator = self.pick(["=", "=", "=", "!=", "<", "<=", ">", ">="])
            if self.maybe(0.1):
                return f"{self.literal(value, kind)} {operator} {spelled}"
            return f"{spelled} {operator} {self.literal(value, kind)}"
        if form < 0.85:
            return self.membership(spelled, key, kind)
        if kind == "int":
            arithmetic = self.pick(
                [
                    "{k} % 2 = {v}",
                    "{k} + 1 > {v}",
                    "{k} * 2 <= {v}",
                    "-{k} < -{v}",
                    "{k} / 2 >= {v}",
                    "({k} - {v}) % 3 = 1",
                ]
            )
            return arithmetic.format(k=spelled, v=value if "%" not in arithmetic else self.chance.randint(0, 1))
        return f"GLOB({spelled}, '{self.glob(str(value))}')"

    def glob(self, text: str) -> str:
        cut = self.chance.randint(0, len(text))
        return self.pick([text[:cut] + "*", "*" + text[cut:], text[:cut] + "?" + text[cut + 1 :], text])

    def membership(self, spelled: str, key: str, kind: str) -> str:
        negation = "NOT " if self.maybe(0.25) else ""
        values = [self.key_value(key) for _ in range(self.chance.randint(1, 4))]
        if self.maybe(0.25):
            collection = {self.pick(["$tuple", "$set"]): values} if self.maybe(0.6) else values
            if self.maybe(0.1):
                collection = []
            return f"{spelled} {negation}IN ({self.bind(collection)})"
        items = [self.literal(value, kind) for value in values]
        if kind == "int" and self.maybe(0.5):
            low = values[0]
            items.append(
                f"{low}..{low + self.chance.randint(0, 40)}"
                + (f":{self.chance.randint(1, 4)}" if self.maybe(0.3) else "")
            )
        return f"{spelled} {negation}{self.pick(['IN', 'in'])} ({', '.join(items)})"

    def field_condition(self, dimensions: list[str], elements: list[str], types: list[str]) -> str | None:
        if not elements:
            return None
        element = self.pick(elements)
        field, kind = self.pick(FIELDS[element].items())
        if kind == "timespan":
            return self.temporal(dimensions, elements, types)
        if kind == "region":
            return self.spatial(dimensions, elements, types)
        spelled = f"{element}.{field}"
        if self.maybe(0.1):
            spelled = field
        if kind == "bool":
            return self.pick([spelled, f"NOT {spelled}", f"{spelled} = NULL", f"{spelled} != NULL"])
        if self.maybe(0.15):
            return f"{spelled} {self.pick(['=', '!='])} {self.pick(['NULL', 'null'])}"
        value = self.field_value(element, field, kind)
        if kind == "str" and self.maybe(0.3):
            return f"GLOB({spelled}, '{self.glob(value)}')"
        if kind == "float" and self.maybe(0.3):
            return self.pick(
                [
                    f"{spelled} * 2 > {value} + 1",
                    f"{spelled} % 4 < 2.0",
                    f"{spelled} - {value} >= -1",
                    f"+{spelled} < {value}",
                ]
            )
        if kind in ("int", "str") and self.maybe(0.2):
            others = [self.literal(self.field_value(element, field, kind), kind) for _ in range(2)]
            return f"{spelled} {'NOT ' if self.maybe(0.3) else ''}IN ({', '.join(others)})"
        return f"{spelled} {self.pick(['=', '!=', '<', '<=', '>', '>='])} {self.literal(value, kind)}"

    def temporal(self, dimensions: list[str], elements: list[str], types: list[str]) -> str | None:
        found = [name for name in elements if name in self.facts.timed]
        if not found:
            return None
        column = f"{self.pick(found)}.timespan"
        early, late = sorted(self.pick(self.facts.times) for _ in range(2))
        point = self.pick(
            [f"T'{early}'", self.bind({"$time": early}), self.bind({"$datetime": early}), f"T'{early[:10]}'"]
        )
        interval = self.pick(
            [
                f"(T'{early}', T'{late}')",
                f"(T'{early}', NULL)",
                f"(null, T'{late}')",
                self.bind({"$timespan": [early, late]}),
                self.bind({"$timespan": [None, late]}),
            ]
        )
        form = self.chance.random()
        if form < 0.4:
            return f"{column}.{self.pick(['begin', 'end'])} {self.pick(['<', '<=', '>', '>=', '=', '!='])} {point}"
        if form < 0.5:
            return f"{interval} OVERLAPS {column}"
        if form < 0.6 and len(found) > 1:
            return f"{found[0]}.timespan OVERLAPS {found[1]}.timespan"
        if form < 0.66:
            return f"{column} {self.pick(['=', '!='])} NULL"
        if form < 0.72:
            return f"{column} {self.pick(['<', '>'])} {interval}"
        return f"{column} {self.pick(['OVERLAPS', 'overlaps'])} {self.pick([point, interval])}"

    def place(self) -> str:
        ra, dec = self.pick(self.facts.places)
        size = self.pick([0.05, 0.3, 1.0])
        forms = [
            f"POINT({ra}, {dec})",
            f"POINT({self.bind(ra)}, {self.bind(dec)})",
            f"BOX({ra}, {dec}, {size}, {size})",
            f"POLYGON({ra - size}, {dec - size}, {ra + size}, {dec - size}, {ra}, {dec + size})",
            f"REGION('CIRCLE {ra} {dec} {size}')",
            f"REGION('POLYGON {ra - size} {dec - size} {ra + size} {dec - size} {ra} {dec + size}')",
            f"REGION('RANGE {ra - size} {ra + size} {dec - size} {dec + size}')",
            self.bind({"$region": f"CIRCLE {ra} {dec} {size}"}),
            self.bind({"$sky": [ra, dec]}),
            self.bind({"$lonlat": [ra, dec]}),
        ]
        return self.pick(forms)

    def spatial(self, dimensions: list[str], elements: list[str], types: list[str]) -> str | None:
        found = [name for name in elements if "region" in FIELDS[name]]
        if not found:
            return None
        if len(found) > 1 and self.maybe(0.2):
            left, right = self.chance.sample(found, 2)
            return f"{left}.region OVERLAPS {right}.region"
        column = f"{self.pick(found)}.region"
        return self.pick([f"{column} OVERLAPS {self.place()}", f"{self.place()} OVERLAPS {column}"])

    def function(self, dimensions: list[str], elements: list[str], types: list[str]) -> str | None:
        strings = [f"{name}.{field}" for name in elements for field, kind in FIELDS[name].items() if kind == "str"]
        if not strings:
            return None
        spelled = self.pick(strings)
        value = self.field_value(*spelled.split("."), "str")
        return (
            f"glob({spelled}, '{self.glob(value)}')"
            if self.maybe(0.2)
            else f"GLOB({spelled}, {self.bind(self.glob(value))})"
        )

    def dataset_condition(self, dimensions: list[str], elements: list[str], types: list[str]) -> str | None:
        name = self.pick(types)
        prefix = f"{name}." if self.maybe(0.6) else ""
        form = self.chance.random()
        if form < 0.35 and self.facts.dataset_ids:
            wanted = self.pick(self.facts.dataset_ids)
            spelled = f"UUID('{wanted}')" if self.maybe(0.6) else self.bind({"$uuid": wanted})
            return f"{prefix}dataset_id = {spelled}"
        if form < 0.7:
            field, operator = self.pick(["run", "collection"]), self.pick(["=", "!="])
            return f"{prefix}{field} {operator} '{self.pick(self.facts.collections)}'"
        if form < 0.85:
            return f"{prefix}ingest_date {self.pick(['<', '>'])} T'2026-01-01'"
        return f"{prefix}run IN ('{self.pick(self.facts.collections)}', 'x')"

    def expression(self, dimensions: list[str], types: list[str], depth: int = 0) -> str:
        if depth > 2 or self.maybe(0.45):
            return self.condition(dimensions, types)
        inner = [self.expression(dimensions, types, depth + 1) for _ in range(2)]
        joiner = self.pick([" AND ", " AND ", " AND ", " OR ", " and "])
        text = joiner.join(f"({part})" if self.maybe(0.5) or " OR " in part else part for part in inner)
        return f"NOT ({text})" if self.maybe(0.12) else text

    # -- the rest of a query

    def governors(self, dimensions: list[str]) -> dict[str, Any]:
        """Values of the governors, mostly given, so that most queries mean something."""
        given: dict[str, Any] = {}
        for name in ("instrument", "skymap"):
            if name in dimensions and self.maybe(0.85):
                given[name] = self.pick(self.facts.keys.get(name) or ["Nope"])
        return given

    def whole(self, names: list[str]) -> list[str]:
        """Dimensions with those they require or imply."""
        return list(self.facts.universe.conform(names).names)

    def constraint(self, dimensions: list[str]) -> tuple[str, dict[str, Any]]:
        """A where, and keywords with bind, data ID and governors."""
        self.binds = {}
        where = self.expression(dimensions, []) if self.maybe(0.8) else ""
        return where, self.keywords(dimensions)

    def keywords(self, dimensions: list[str], data_id_name: str = "data_id") -> dict[str, Any]:
        keywords: dict[str, Any] = {}
        governors = self.governors(dimensions)
        if self.maybe(0.2):
            key = self.pick([name for name in dimensions if name in KEYS] or ["instrument"])
            governors[key] = self.key_value(key)
        if governors and self.maybe(0.3):
            keywords[data_id_name] = governors
        else:
            keywords.update(governors)
        if self.binds:
            keywords["bind"] = dict(self.binds)
        return keywords

    def order(self, dimensions: list[str], *, total: bool) -> list[str]:
        keys = [name for name in dimensions if name in KEYS or name.startswith(("htm", "healpix"))]
        terms = list(keys) if total else keys[: self.chance.randint(0, len(keys))]
        self.chance.shuffle(terms)
        fields = [
            f"{name}.{field}"
            for name in FIELDS
            if name in dimensions
            for field, kind in FIELDS[name].items()
            if kind not in ("region", "timespan", "bool")
        ]
        fields += [f"{name}.timespan.begin" for name in ("visit", "exposure") if name in dimensions]
        if fields and self.maybe(0.4):
            terms.insert(0, self.pick(fields))
        return [("-" if self.maybe(0.3) else "") + term for term in terms]

    def search(self, *, ordered: bool) -> Any:
        """Collections to search, as a name, a list or a glob."""
        form = self.chance.random()
        if form < 0.35:
            return self.pick(self.facts.chains or self.facts.collections)
        if form < 0.6 or ordered:
            return self.chance.sample(
                self.facts.collections, min(len(self.facts.collections), self.chance.randint(1, 3))
            )
        if form < 0.8:
            return self.pick(
                [
                    "*",
                    self.glob(self.pick(self.facts.collections)),
                    ["run*", self.pick(self.facts.collections)],
                    {"$everything": 0},
                ]
            )
        return self.pick(self.facts.collections)

    def shape(self) -> list[str]:
        while True:
            shape = self.pick(SHAPES)
            if not set(shape) <= set(self.facts.universe.dimensions.names):
                continue
            heavy = {"visit", "detector", "patch"} <= set(shape) or (
                len(shape) > 1 and "patch" in shape and "visit" in shape
            )
            if not (self.facts.large and heavy):
                return shape

    # -- whole queries

    def query(self) -> dict[str, Any]:
        makers = [
            (self.data_ids, 22), (self.datasets, 22), (self.records, 14), (self.legacy_data_ids, 14),
            (self.legacy_datasets, 12), (self.legacy_records, 6), (self.built, 14), (self.collections, 8),
            (self.dataset_types, 4), (self.all_datasets, 6), (self.wrong, 26),
        ]  # fmt: skip
        maker = self.chance.choices([found for found, _ in makers], [weight for _, weight in makers])[0]
        query = maker()
        if self.maybe(0.1) and "open" not in query and self.facts.collections:
            query["open"] = {"collections": [self.pick(self.facts.collections)]}
        return query

    def finish(self, keywords: dict[str, Any], dimensions: list[str]) -> bool:
        """Add order and limit; return whether the order is total."""
        total = False
        if self.maybe(0.5):
            total = self.maybe(0.7)
            keywords["order_by"] = self.order(dimensions, total=total)
            if self.maybe(0.1) and len(keywords["order_by"]) == 1:
                keywords["order_by"] = keywords["order_by"][0]
        if self.maybe(0.3):
            keywords["limit"] = self.pick([1, 3, 10, -2, 0])
        keywords["explain"] = self.maybe(0.2)
        return total

    def data_ids(self) -> dict[str, Any]:
        shape = self.shape()
        dimensions = self.whole(shape)
        where, keywords = self.constraint(dimensions)
        ordered = self.finish(keywords, dimensions)
        asked: Any = shape[0] if len(shape) == 1 and self.maybe(0.5) else shape
        if where:
            keywords["where"] = where
        if self.maybe(0.1):
            keywords["with_dimension_records"] = True
        return {"on": "butler", "steps": [["query_data_ids", [asked], keywords]], "ordered": ordered}

    def datasets(self) -> dict[str, Any]:
        name = self.pick(self.facts.types) or "raw"
        dimensions = self.whole(self.facts.types.get(name, []))
        self.binds = {}
        where = self.expression(dimensions, [name]) if self.maybe(0.6) else ""
        keywords = self.keywords(dimensions)
        find_first = self.maybe(0.6)
        if where:
            keywords["where"] = where
        ordered = self.finish(keywords, dimensions) and find_first
        if not find_first or self.maybe(0.2):
            keywords["find_first"] = find_first
        if self.maybe(0.85):
            keywords["collections"] = self.search(ordered=find_first)
        return {"on": "butler", "steps": [["query_datasets", [name], keywords]], "ordered": ordered}

    def all_datasets(self) -> dict[str, Any]:
        self.binds = {}
        keywords: dict[str, Any] = {"find_first": self.maybe(0.5)}
        if self.maybe(0.7):
            keywords["name"] = self.pick(
                ["*", "c*", ["bias", "c*"], "*_*", "nothing*", self.pick(self.facts.types) or "raw"]
            )
        if self.maybe(0.4):
            keywords["where"] = self.key_condition(["instrument"], [], [])
            keywords["instrument"] = self.pick(self.facts.keys["instrument"] or ["Nope"])
            if self.binds:
                keywords["bind"] = dict(self.binds)
        if self.maybe(0.2):
            keywords["limit"] = self.pick([1, 5, -3, 0])
        return {
            "on": "butler",
            "steps": [
                [
                    "query_all_datasets",
                    [self.search(ordered=True) if keywords["find_first"] or self.maybe(0.5) else "*"],
                    keywords,
                ]
            ],
            "ordered": False,
        }

    def records(self) -> dict[str, Any]:
        known = {element.name for element in self.facts.universe.elements}
        element = self.pick([name for name in ELEMENTS if name in known])
        dimensions = self.whole(
            [element]
            if element in KEYS
            else {
                "visit_detector_region": ["visit", "detector"],
                "visit_definition": ["visit", "exposure"],
                "visit_system_membership": ["visit", "visit_system"],
            }[element]
        )
        where, keywords = self.constraint(dimensions)
        ordered = self.finish(keywords, dimensions)
        if where:
            keywords["where"] = where
        return {"on": "butler", "steps": [["query_dimension_records", [element], keywords]], "ordered": ordered}

    def chain_steps(self, steps: list[Any], dimensions: list[str], *, expandable: bool = False) -> bool:
        """Add methods of results; return whether the order is total."""
        ordered = False
        if self.maybe(0.4):
            ordered = self.maybe(0.6)
            steps.append(["order_by", self.order(dimensions, total=ordered), {}])
            if ordered and self.maybe(0.4):
                steps.append(["limit", [self.pick([0, 1, 3, 20])], {}])
        if self.maybe(0.1) and steps[-1][0] != "limit":
            steps.append([self.pick(["count", "any"]), [], {}])
        elif self.maybe(0.1) and expandable and len(steps) == 1:
            steps.append(["expanded", [], {}])
        return ordered

    def legacy_data_ids(self) -> dict[str, Any]:
        shape = self.shape()
        dimensions = self.whole(shape)
        joined: list[str] = []
        if self.facts.types and self.maybe(0.4):
            joined = [self.pick(self.facts.types)]
        self.binds = {}
        known = sorted({*dimensions, *(name for one in joined for name in self.whole(self.facts.types[one]))})
        where = self.expression(known if self.maybe(0.5) else dimensions, joined) if self.maybe(0.7) else ""
        keywords = self.keywords(dimensions, "dataId")
        if where:
            keywords["where"] = where
        if joined:
            keywords["datasets"] = joined[0] if self.maybe(0.5) else joined
            if self.maybe(0.9):
                keywords["collections"] = self.search(ordered=False)
        steps = [["queryDataIds", [shape], keywords]]
        ordered = self.chain_steps(steps, dimensions, expandable=True)
        if self.maybe(0.1) and len(shape) > 1 and len(steps) == 1:
            steps.append(["subset", [shape[:1]], {"unique": True}])
            ordered = False
        elif self.facts.types and self.maybe(0.1) and len(steps) == 1:
            name = self.pick(self.facts.types)
            steps.append([self.pick(["findDatasets", "findRelatedDatasets"]), [name, self.search(ordered=True)], {}])
        return {"on": "registry", "steps": steps, "ordered": ordered}

    def legacy_datasets(self) -> dict[str, Any]:
        name = self.pick(self.facts.types) or "raw"
        dimensions = self.whole(self.facts.types.get(name, []))
        self.binds = {}
        where = self.expression(dimensions, [name]) if self.maybe(0.5) else ""
        keywords = self.keywords(dimensions, "dataId")
        if where:
            keywords["where"] = where
        keywords["findFirst"] = self.maybe(0.4)
        keywords["collections"] = self.search(ordered=keywords["findFirst"])
        asked: Any = name
        if self.maybe(0.25):
            asked = self.pick([[name, "b*"], "c*", {"$everything": 0}, "*a*", ["nope*"]])
            keywords.pop("where", None)
            keywords.pop("bind", None)
        steps = [["queryDatasets", [asked], keywords]]
        if self.maybe(0.15) and keywords["findFirst"]:
            steps.append([self.pick(["count", "any"]), [], {}])
        return {"on": "registry", "steps": steps, "ordered": False}

    def legacy_records(self) -> dict[str, Any]:
        query = self.records()
        _, arguments, keywords = query["steps"][0]
        for gone in ("order_by", "limit", "explain"):
            keywords.pop(gone, None)
        if "data_id" in keywords:
            keywords["dataId"] = keywords.pop("data_id")
        if self.facts.types and self.maybe(0.3):
            keywords["datasets"] = self.pick(self.facts.types)
            keywords["collections"] = self.search(ordered=False)
        steps = [["queryDimensionRecords", arguments, keywords]]
        return {
            "on": "registry",
            "steps": steps,
            "ordered": self.chain_steps(steps, self.whole(arguments if arguments[0] in KEYS else ["instrument"]))
            and arguments[0] in KEYS,
        }

    def built(self) -> dict[str, Any]:
        """`with butler.query() as query` and a few steps."""
        shape = self.shape()
        dimensions = self.whole(shape)
        steps: list[Any] = []
        joined = []
        if self.facts.types and self.maybe(0.4):
            joined = [self.pick(self.facts.types)]
            steps.append(["join_dataset_search", [joined[0], self.search(ordered=True)], {}])
        if self.maybe(0.3):
            steps.append(["join_dimensions", [self.shape() if not self.facts.large else shape], {}])
        self.binds = {}
        if self.maybe(0.8):
            where = self.expression(dimensions, joined)
            steps.append(["where", [where], self.keywords(dimensions) | {}])
            self.move_data_id(steps[-1])
        form = self.chance.random()
        ordered = False
        if form < 0.45:
            steps.append(["data_ids", [shape], {}])
            ordered = self.chain_steps(steps, dimensions)
        elif form < 0.75 and self.facts.types:
            name = joined[0] if joined and self.maybe(0.4) else self.pick(self.facts.types)
            find_first = self.maybe(0.6)
            path = [] if name in joined else [self.search(ordered=find_first)]
            steps.append(["datasets", [name, *path], {"find_first": find_first}])
        elif form < 0.9:
            steps.append(
                [
                    "dimension_records",
                    [
                        self.pick(
                            [
                                "visit",
                                "detector",
                                "instrument",
                                "exposure",
                                "tract",
                                "physical_filter",
                                "visit_definition",
                                "visit_detector_region",
                                "patch",
                            ]
                        )
                    ],
                    {},
                ]
            )
        else:
            steps.append([self.pick(["any"]), [], {}])
        if (steps[-1][0] == "dimension_records" or steps[-1][-1].get("find_first")) and self.maybe(0.3):
            steps.append([self.pick(["count", "any"]), [], {}])
        return {"on": "query", "steps": steps, "ordered": ordered}

    @staticmethod
    def move_data_id(step: list[Any]) -> None:
        if "data_id" in step[2]:
            step[1].append(step[2].pop("data_id"))

    def collections(self) -> dict[str, Any]:
        kinds = {"$kinds": self.chance.sample([kind.name for kind in CollectionType], self.chance.randint(1, 3))}
        asked = self.search(ordered=False)
        if self.maybe(0.5):
            keywords: dict[str, Any] = {}
            if self.maybe(0.4):
                keywords["collectionTypes"] = kinds
            if self.maybe(0.4):
                keywords["flattenChains"] = self.maybe(0.7)
            if self.maybe(0.3):
                keywords["includeChains"] = self.maybe(0.5)
            return {
                "on": "registry",
                "steps": [["queryCollections", [asked] if self.maybe(0.9) else [], keywords]],
                "ordered": False,
            }
        keywords = {}
        if self.maybe(0.4):
            keywords["collection_types"] = kinds
        if self.maybe(0.4):
            keywords["flatten_chains"] = self.maybe(0.7)
        if self.maybe(0.3):
            keywords["include_chains"] = self.maybe(0.5)
        if isinstance(asked, dict):
            asked = "*"
        return {"on": "collections", "steps": [["query", [asked], keywords]], "ordered": False}

    def dataset_types(self) -> dict[str, Any]:
        asked = self.pick(
            [
                "*",
                "c*",
                {"$everything": 0},
                ["b*", "raw"],
                "nope",
                ["nope*"],
                "c[ao]*",
                "?ias",
                self.pick(self.facts.types) or "raw",
            ]
        )
        return {"on": "registry", "steps": [["queryDatasetTypes", [asked], {}]], "ordered": False}

    # -- wrong ones

    def wrong(self) -> dict[str, Any]:
        """A query with one mistake that people make."""
        from peer.queries_asked.mistakes import mistakes

        return self.pick(mistakes(self))
