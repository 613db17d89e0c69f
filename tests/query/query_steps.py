"""Questions to a query built in steps, as Python that both packages understand, and their answers as plain JSON.

Each is an expression of `q`, a query of CamA; `x`, its expression factory; `b`, the butler; and `m`, the package.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

CONDITIONS = [
    "x.visit.exposure_time > 33",
    "x.visit == 103",
    "103 == x.visit",
    "33 < x.visit.exposure_time",
    "x.all(x.visit > 101, x.visit < 104)",
    "x.any(x.visit == 101, x.visit == 104)",
    "x.not_(x.visit == 101)",
    "x.all(x.any(x.visit == 101, x.visit > 104), x.not_(x.visit == 106))",
    "x.visit.in_range(100, 106, 2)",
    "x.visit.in_range(104)",
    "x.visit.in_range(stop=103)",
    "x.visit.in_range(101, 101)",
    "x.visit.in_iterable([100, x.detector, 102])",
    "x.visit.in_iterable({100, 102})",
    "x.visit.in_iterable([])",
    "x.exposure.in_query(x.exposure, q.where(x.exposure.seq_num < 2))",
    "x.visit.in_query(x.visit, q.where(x.visit.exposure_time < 32))",
    "x.physical_filter.in_query(x.physical_filter, q.where(x.visit == 100))",
    "x.physical_filter.glob('a-r*')",
    "x.visit.region.is_null",
    "x.exposure.can_see_sky.as_boolean()",
    "(x.visit + x.visit.seq_num * 2) % 2 == 1",
    "2 * x.visit.seq_num - 1 > 3",
    "-x.visit < -103",
    "x.visit.seq_num / 2 == 1",
    "x.visit.timespan.begin > time('2020-01-02T00:00:00')",
    "x.visit.timespan.overlaps(m.Timespan(None, time('2020-01-02T00:00:00')))",
    "x.visit.timespan.overlaps(time('2020-01-01T21:00:00'))",
    "x.visit.region.overlaps(sphgeom.LonLat.fromDegrees(10, -5))",
    "x.visit.region.overlaps(sphgeom.Region.from_ivoa_pos('CIRCLE 10 -5 0.1'))",
    "x.literal(103) == x.visit",
    "x.instrument == 'CamA'",
    "x.visit.name == 'v101'",
    "x.visit.id == 101",
    # refused
    "x.visit.in_range(105, 100)",
    "x.visit.in_range(100, 105, 0)",
    "x.visit == 'a'",
    "x.visit.in_iterable([1, 'a'])",
    "x.literal(None)",
    "x.vist",
    "x.visit.exposre",
    "x['raw'].nope",
    "x['raw'].run == 'raw/a'",
    "x.visit.exposure_time.as_boolean()",
    "x.visit.timespan.overlaps(x.day_obs.timespan)",
]

ORDERS = [
    "x.visit.desc",
    "x.visit.exposure_time.desc, x.visit",
    "-x.visit",
    "x.visit % 2, x.visit",
    "x.visit.timespan.begin.desc",
    "'-visit.exposure_time'",
    "x.visit.region",
]

CALEXP = "q.join_dataset_search('calexp', ['run1', 'run2'])"

QUESTIONS = [
    *(f"q.where({condition}).data_ids(['visit']).order_by('visit')" for condition in CONDITIONS),
    *(f"q.data_ids(['visit']).order_by({order})" for order in ORDERS),
    f"{CALEXP}.where(x['calexp'].run == 'run1').datasets('calexp').order_by('visit', 'detector')",
    "q.general(['visit'], 'visit.exposure_time').order_by('visit')",
    "q.general(['visit']).order_by('visit')",
    "q.general(['visit'], 'visit', 'detector.full_name').order_by('visit', 'detector')",
    "q.general(['visit'], dimension_fields={'visit': {'exposure_time', 'timespan', 'region'}}).order_by('visit')",
    "q.general(['visit', 'detector'], 'visit.exposure_time').count()",
    "q.general(['visit', 'detector'], 'visit.exposure_time').any()",
    f"{CALEXP}.general(['visit', 'detector'], dataset_fields={{'calexp': ...}}, find_first=True).order_by('visit', 'detector')",  # noqa: E501
    f"{CALEXP}.general(['visit'], dataset_fields={{'calexp': ...}}, find_first=False).order_by('visit', 'detector', 'calexp.run')",  # noqa: E501
    f"{CALEXP}.general(['visit', 'detector'], 'calexp.run', 'calexp.collection', find_first=False)"
    ".order_by('visit', 'detector', 'calexp.run')",
    f"{CALEXP}.general(['visit', 'detector'], dataset_fields={{'calexp': {{'run'}}}})",
    f"{CALEXP}.general(['visit', 'detector'], 'calexp.timespan', find_first=True)",
    "q.general(['visit', 'detector'], 'calexp.run')",
    "q.general(['visit', 'detector'], dataset_fields={'calexp': {'run'}})",
    f"{CALEXP}.join_dataset_search('visit_summary', ['run3']).general(['visit', 'detector'], 'calexp.run', "
    "'visit_summary.run', find_first=True)",
    f"list(map(tuple, {CALEXP}.general(['visit', 'detector'], dataset_fields={{'calexp': ...}}, find_first=True)"
    ".order_by('visit', 'detector').iter_tuples(b.get_dataset_type('calexp'))))",
    "q.join_dataset_search('bias', ['calib']).general(['detector'], dataset_fields={'bias': ...}, find_first=False)"
    ".order_by('detector', 'bias.run')",
    "q.join_dataset_search('bias', ['calib']).general(['detector'], dataset_fields={'bias': ...}, find_first=True)",
    "q.join_data_coordinates(q.data_ids(['visit']).order_by('visit').limit(2)).data_ids(['visit', 'detector'])"
    ".order_by('visit', 'detector')",
    "q.join_data_coordinates(q.data_ids(['visit']).order_by('-visit').limit(2)).dimension_records('visit').order_by('visit')",
    "q.join_data_coordinates([])",
    "q.join_data_coordinates([*q.data_ids(['visit']).limit(1), *q.data_ids(['detector']).limit(1)])",
    "q.join_data_coordinate_table(Table({'instrument': ['CamA', 'CamA'], 'visit': [100, 103]})).data_ids(['visit'])"
    ".order_by('visit')",
    "q.join_data_coordinate_table(Table({'visit': [100, 103]})).data_ids(['visit', 'detector']).order_by('visit', 'detector')",  # noqa: E501
    "q.join_data_coordinate_table(Table({'instrument': ['CamA'], 'foo': [1]}))",
    "q.where('visit < 103').materialize().data_ids(['visit']).order_by('visit')",
    f"{CALEXP}.where('visit < 103').materialize().datasets('calexp').order_by('visit', 'detector')",
    f"{CALEXP}.where('visit < 103').materialize(datasets=['calexp']).general(['visit'], 'calexp.run', find_first=False)"
    ".order_by('visit', 'detector', 'calexp.run')",
    f"{CALEXP}.materialize(dimensions=['visit'])",
    "q.materialize(dimensions=['visit'], datasets=['calexp'])",
    "[len(page) for page in q.dimension_records('visit').iter_set_pages()]",
    "[page.column('exposure_time').to_pylist() for page in q.dimension_records('visit').order_by('visit').iter_table_pages()]",  # noqa: E501
    "sorted(q.join_dimensions('patch').constraint_dimensions.names)",
    f"sorted({CALEXP}.constraint_dataset_types)",
    f"{CALEXP}.any()",
    "q.where('visit = 999').any()",
]


def plain(value: Any) -> Any:
    """Give what must be equal in both packages."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return sorted([key, plain(item)] for key, item in value.items())
    if hasattr(value, "datasetType"):
        return [value.datasetType.name, plain(value.dataId), value.run, value.id.hex]
    if hasattr(value, "toDict"):
        return plain(value.toDict())
    if hasattr(value, "mapping"):
        return plain(dict(value.mapping))
    if hasattr(value, "nsec"):
        return list(value.nsec)
    if hasattr(value, "isot"):
        return value.tai.isot
    if hasattr(value, "hex"):
        return value.hex() if isinstance(value, bytes) else value.hex
    if hasattr(value, "getBoundingCircle"):
        return value.encode().hex()
    return [plain(item) for item in value]


def answers(package: str, root: str) -> list[Any]:
    """Give the answer to each question: rows, or the classes of the error."""
    import lsst.sphgeom
    from astropy.table import Table
    from astropy.time import Time

    module = importlib.import_module(package)
    found: list[Any] = []
    with module.Butler.from_config(root) as butler, butler.query() as query:
        query = query.where(instrument="CamA")
        names = {
            "q": query,
            "x": query.expression_factory,
            "b": butler,
            "m": module,
            "sphgeom": lsst.sphgeom,
            "Table": Table,
            "time": lambda text: Time(text, scale="tai", format="isot"),
        }
        for question in QUESTIONS:
            try:
                found.append({"rows": plain(eval(question, names))})
            except Exception as error:
                found.append({"error": [cls.__name__ for cls in type(error).__mro__], "message": str(error)})
    return found


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    json.dump(answers(sys.argv[1], sys.argv[2]), sys.stdout)
