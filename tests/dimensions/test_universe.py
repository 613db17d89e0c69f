"""The universe, its elements and groups, against the vectors of the repository format."""

import json
import pickle
import threading

import pytest

from armillary._core import (
    Dimension,
    DimensionElement,
    DimensionGroup,
    DimensionNames,
    DimensionUniverse,
    GovernorDimension,
    SkyPixDimension,
)
from armillary.errors import ConfigurationError, DimensionNameError

UNIVERSE = DimensionUniverse()


@pytest.fixture(scope="module")
def vectors(shared_path):
    return json.loads(shared_path("contract-fixtures", "vectors", "universe8.json").read_text())


def test_one_object_for_one_universe():
    assert DimensionUniverse() is DimensionUniverse.default() is UNIVERSE
    assert DimensionUniverse.from_json(UNIVERSE.to_json()) is UNIVERSE
    assert pickle.loads(pickle.dumps(UNIVERSE)) is UNIVERSE
    spaced = json.dumps(json.loads(UNIVERSE.to_json()), indent=3)
    assert DimensionUniverse.from_json(spaced) is UNIVERSE


def test_another_document_makes_another_universe():
    document = json.loads(UNIVERSE.to_json())
    document["version"] = 77
    other = DimensionUniverse.from_json(json.dumps(document))
    assert (other.version, other == UNIVERSE) == (77, False)
    assert DimensionUniverse.from_json(json.dumps(document)) is other
    assert pickle.loads(pickle.dumps(other)) is other
    assert other.conform(["visit"]) != UNIVERSE.conform(["visit"])


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"version": 1}', '{"version": 1, "elements": 3, "skypix": {}}'])
def test_a_bad_document_is_refused(document):
    with pytest.raises(ConfigurationError):
        DimensionUniverse.from_json(document)


def test_only_the_built_in_version_needs_no_document():
    assert DimensionUniverse(version=8, namespace="daf_butler") is UNIVERSE
    with pytest.raises(ConfigurationError, match="version 7"):
        DimensionUniverse(version=7)


def test_elements_are_those_of_the_format(vectors):
    assert list(UNIVERSE.elements.names) == vectors["all_elements"]
    assert list(UNIVERSE.dimensions.names) == vectors["dimension_order"]
    assert list(UNIVERSE.governor_dimensions.names) == vectors["governors"]
    assert UNIVERSE.commonSkyPix.name == vectors["common_skypix"]
    assert len(vectors["elements"]) > 15
    for wanted in vectors["elements"]:
        element = UNIVERSE[wanted["name"]]
        assert UNIVERSE.getElementIndex(element.name) == wanted["index"]
        assert {
            "required": list(element.required.names),
            "implied": list(element.implied.names),
            "has_own_table": element.has_own_table,
            "is_cached": element.is_cached,
            "implied_union_target": element.implied_union_target and element.implied_union_target.name,
            "always_join": element.alwaysJoin,
            "defines_relationships": element.defines_relationships,
            "populated_by": element.populated_by and element.populated_by.name,
            "spatial": element.spatial and element.spatial.name,
            "temporal": element.temporal and element.temporal.name,
            "governor": element.governor and element.governor.name,
            "alternate_keys": [[key.name, key.type, key.length or key.nbytes] for key in element.alternate_keys],
            "schema_names": list(element.schema.names),
            "group_names": list(element.minimal_group.names),
            "group_required": list(element.minimal_group.required),
            "group_elements": list(element.minimal_group.elements),
        } == {
            key: value
            for key, value in wanted.items()
            if key not in ("name", "kind", "primary_key", "metadata", "record_field_order", "index")
        }


def test_groups_are_those_of_the_format(vectors):
    assert len(vectors["groups"]) > 10
    for names, wanted in vectors["groups"].items():
        group = UNIVERSE.conform([name for name in names.split("+") if name in UNIVERSE.dimensions.names])
        for part in ("names", "required", "implied", "elements", "governors", "skypix", "lookup_order"):
            assert list(getattr(group, part)) == wanted[part], (names, part)
        for part in ("spatial", "temporal"):
            families = {family.name for family in getattr(group, part)}  # a set in the peer: its order tells nothing
            assert families == set(wanted[part]), (names, part)
        assert group.region_dimension == wanted["region_dimension"], names
        assert group.timespan_dimension == wanted["timespan_dimension"], names


def test_classes_tell_what_an_element_is():
    assert isinstance(UNIVERSE["instrument"], GovernorDimension)
    assert isinstance(UNIVERSE["htm7"], SkyPixDimension)
    assert isinstance(UNIVERSE["visit"], Dimension)
    assert not isinstance(UNIVERSE["visit_definition"], Dimension)
    assert all(isinstance(element, DimensionElement) for element in UNIVERSE.elements)
    assert UNIVERSE["visit"] is UNIVERSE["visit"]
    assert pickle.loads(pickle.dumps(UNIVERSE["visit"])) is UNIVERSE["visit"]


def test_an_element_equals_its_name():
    assert UNIVERSE["visit"] == "visit"
    assert {UNIVERSE["visit"]: 1}["visit"] == 1
    assert UNIVERSE["detector"] < UNIVERSE["visit"]


def test_unknown_names_bring_the_nearest():
    with pytest.raises(DimensionNameError, match="`vist`; did you mean `visit`"):
        UNIVERSE["vist"]
    with pytest.raises(KeyError, match="`detectr`"):
        UNIVERSE.conform(["detectr"])
    with pytest.raises(DimensionNameError, match="`visit_definition`"):
        UNIVERSE.conform(["visit_definition"])
    assert UNIVERSE.get("vist") is None
    with pytest.raises(TypeError, match="`7`"):
        UNIVERSE.conform(7)


def test_groups_compare_as_sets():
    visit, detector = UNIVERSE.conform("visit"), UNIVERSE.conform([UNIVERSE["detector"]])
    both = visit | detector
    assert both == visit.union(detector) == UNIVERSE.conform(["visit", "detector"])
    assert visit < both >= detector
    assert visit & detector == UNIVERSE.conform(["instrument"])
    assert not visit.isdisjoint(detector)
    assert both - visit == detector
    assert bool(visit)
    assert not UNIVERSE.empty
    assert len(both) == 6
    assert hash(both) == hash(pickle.loads(pickle.dumps(both)))
    assert DimensionGroup.from_simple(both.to_simple(), UNIVERSE) == both
    assert (str(detector), repr(detector)) == ("{instrument, detector}", "DimensionGroup({instrument, detector})")


def test_names_are_a_set_with_an_order():
    names = UNIVERSE.conform(["visit", "detector"]).names
    assert isinstance(names, DimensionNames)
    assert list(names) == ["band", "instrument", "day_obs", "detector", "physical_filter", "visit"]
    assert names == set(names) == frozenset(names)
    assert hash(names) == hash(frozenset(names))
    assert names & {"visit", "tract"} == {"visit"}
    assert {"visit", "tract"} - names == {"tract"}
    assert {"visit"} <= names
    assert names >= {"visit"}
    assert not names.isdisjoint(["visit"])
    assert "tract" not in names
    assert 3 not in names
    assert names[0] == "band"
    assert pickle.loads(pickle.dumps(names)) == names
    assert names != ["band"]


def test_element_sets_are_found_by_name():
    elements = UNIVERSE["visit"].dimensions
    assert elements["visit"] is UNIVERSE["visit"]
    assert UNIVERSE["visit"] in elements
    assert "tract" not in elements
    assert list(elements.names) == ["instrument", "visit", "day_obs", "physical_filter"]
    with pytest.raises(KeyError, match="`tract`"):
        elements["tract"]
    assert UNIVERSE["visit"].required == {UNIVERSE["instrument"], UNIVERSE["visit"]}


def test_pixelisations_are_sphgeom_objects():
    htm7 = UNIVERSE.skypix_dimensions["htm7"]
    assert htm7.pixelization.getLevel() == 7
    assert UNIVERSE.skypix["healpix"][5].pixelization.nside == 32
    assert UNIVERSE.commonSkyPix is htm7


def test_schema_tells_fields_and_types():
    schema = UNIVERSE["detector"].schema
    assert schema.names == ("instrument", "id", "full_name", "name_in_raft", "raft", "purpose")
    assert schema.all["full_name"].length == 32
    assert "  full_name: string" in str(schema)
    assert UNIVERSE["skymap"].schema.all["hash"].nbytes == 40
    with pytest.raises(KeyError, match="`nope`"):
        schema.all["nope"]


def test_threads_get_the_same_objects():
    seen: list[object] = []
    document = json.loads(UNIVERSE.to_json()) | {"version": 4321}

    def work() -> None:
        universe = DimensionUniverse.from_json(json.dumps(document))
        seen.append((id(universe), id(universe["visit"]), hash(universe.conform(["visit", "tract"]))))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 16
    assert len(set(seen)) == 1


def test_columns_that_must_have_values_may_be_null_in_tables():
    """As in the peer, where the older names give columns of tables."""

    def nullable(columns):
        return {column.name: column.nullable for column in columns}

    patch, detector = UNIVERSE["patch"], UNIVERSE["detector"]
    assert nullable(patch.metadata_columns) == {"cell_x": False, "cell_y": False}
    assert nullable(patch.metadata) == {"cell_x": True, "cell_y": True}
    assert nullable(detector.alternate_keys) == {"full_name": False}
    assert nullable(detector.alternateKeys) == {"full_name": True}
    assert nullable(detector.unique_keys) == {"id": False, "full_name": False}
    assert nullable(detector.uniqueKeys) == {"id": False, "full_name": True}
    assert nullable(detector.metadata) == {"name_in_raft": True, "raft": True, "purpose": True}
    assert nullable(detector.schema.all)["full_name"] is False
