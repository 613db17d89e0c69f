import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.config import default_section
from armillary.errors import FileTemplateValidationError, UnsafePathError
from armillary.storage.file_template import FileTemplate, FileTemplates, safe_relative_path

INSTRUMENT, FILTER, GROUP = "My Cam/1", "r:é<x>|y~1.2%20+&", "2025-01-01T00:00:00.000"
VALUES = {
    "instrument": INSTRUMENT,
    "detector": 7,
    "physical_filter": FILTER,
    "band": "r",
    "day_obs": 20250101,
    "group": GROUP,
    "exposure": 1,
    "visit": 1,
    "visit_system": 0,
    "htm9": 2099999,
    "healpix5": 3,
    "ssp_hypothesis_table": "tbl.1",
    "ssp_hypothesis_bundle": 4,
    "ssp_balanced_index": 5,
    "skymap": "sm",
    "tract": 1,
    "patch": 2,
}


@pytest.fixture(scope="module")
def templates(universe):
    return FileTemplates(default_section("datastore")["templates"], universe=universe)


@pytest.fixture(scope="module")
def ref_for(universe, make_ref):
    """References of the repository in which the vectors were made."""

    def make(name, dimensions, *, run="u/so me/tag:1?/2025.01A", **changed):
        values = {**VALUES, **changed}
        full_name = {7: "R.0/S#1*?", 8: None}.get(values["detector"], "plain")
        records = {
            "detector": {"full_name": changed.get("full_name", full_name)},
            "exposure": {"obs_id": changed.get("obs_id", "AT.O_#1 x")},
            "visit": {"name": "v"},
        }
        group = universe.conform(dimensions)
        return make_ref(
            "StructuredDataDict",
            name=name,
            run=run,
            dimensions=dimensions,
            mapping={str(one): values[str(one)] for one in group.names},
            records=records,
        )

    return make


def test_paths_are_the_peer_s(templates, ref_for, shared_path):
    """All 23 paths but those where the peer loses what follows a hash or decodes a percent sign."""
    vectors = json.loads(shared_path("contract-fixtures/vectors/template_paths.json").read_text())
    assert len(vectors) == 23
    compared = 0
    for name, dimensions, path, _ in vectors:
        detector = 8 if name.endswith("nofull") else 7
        ours = templates.getTemplate(ref_for(name, dimensions).datasetType).format(
            ref_for(name, dimensions, detector=detector)
        )
        ours = ours.replace("PERCENT20", " ")  # the peer decodes it
        if "exposure" in dimensions:  # the observation's name holds a hash, where the peer cuts the path
            assert "AT.O_HASH1_x" in ours or "AT_O_HASH1_x" in ours
            assert ours.startswith(path.removesuffix("AT.yaml"))
            continue
        assert ours + ".yaml" == path, name
        compared += 1
    assert compared == 19


@pytest.mark.parametrize(
    "dimensions, changes",
    [
        (["physical_filter"], [{"physical_filter": one} for one in ("a", "a#", "a%41", "aA", "a$HOME", "aHASH.")]),
        (["exposure"], [{"obs_id": f"AT.O_#{number}"} for number in range(4)]),
        (["group"], [{"group": one} for one in ("..", ".", "...", "x")]),
    ],
)
def test_distinct_values_give_distinct_paths(templates, ref_for, dimensions, changes):
    paths = set()
    for change in changes:
        ref = ref_for("t", dimensions, **change)
        paths.add(templates.getTemplate(ref).format(ref))
    assert len(paths) == len(changes)
    for path in paths:
        assert ".." not in path.split("/")
        assert "#" not in path
        safe_relative_path(path)


@pytest.mark.parametrize("run", ["u/../../x", "..", "a/./b/..", "u/\nx", "u/\x00", "u/" + "x" * 300, "./.."])
def test_a_run_that_leads_elsewhere_is_refused(templates, ref_for, run):
    ref = ref_for("t", ["detector"], run=run)
    with pytest.raises(UnsafePathError):
        templates.getTemplate(ref).format(ref)


@pytest.mark.parametrize("value", ["a\nb", "a\x00b", "\x1b[31m"])
def test_control_characters_are_refused(templates, ref_for, value):
    ref = ref_for("t", ["group"], group=value)
    with pytest.raises(UnsafePathError, match="control characters"):
        templates.getTemplate(ref).format(ref)


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=15),
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=15),
)
def test_no_value_leaves_the_root(templates, ref_for, group, full_name):
    ref = ref_for("t", ["group", "detector"], group=group, full_name=full_name)
    path = templates.getTemplate(ref).format(ref)
    parts = path.split("/")
    assert not path.startswith(("/", "~"))
    assert parts[:4] == ["u", "so_me", "tag_1_", "2025.01A"]
    assert len(parts) == 7
    assert not {"", ".", ".."} & set(parts)
    assert not set(path) & set(' <>:"\\|?*#')


@pytest.mark.parametrize(
    "template, message",
    [
        ("{datasetType}", "must have `{run}` or `{id}`"),
        ("{run}/{datasetType", "cannot be read"),
        ("/abs/{run}", "must stay below"),
        ("{run}/../{datasetType}", "must stay below"),
        ("{run}/{}", "has no name"),
        ("{run}/{detector[0]}", "has no name"),
        (3, "is a text"),
    ],
)
def test_bad_templates_are_refused(template, message):
    with pytest.raises(FileTemplateValidationError, match=message):
        FileTemplate(template)


def test_datasets_that_a_template_cannot_tell_apart_are_refused(templates, ref_for):
    for dimensions in (["visit_system"], ["htm9", "healpix5"]):
        with pytest.raises(FileTemplateValidationError, match="could not be told apart"):
            templates.getTemplate(ref_for("t", dimensions).datasetType)
    refs = [ref_for("t", ["visit_system"]), ref_for("u", ["tract"]), ref_for("v", ["htm9", "healpix5"])]
    with pytest.raises(FileTemplateValidationError, match=r"type `t` .*`visit_system`.* type `v` .*`healpix5`, `htm9`"):
        templates.validateTemplates(refs)


def test_records_that_are_not_there_are_named(templates, make_ref):
    ref = make_ref("int", dimensions=["detector"], mapping={"instrument": "I", "detector": 3})
    with pytest.raises(KeyError, match=r"needs `detector\.full_name`; look its records up"):
        templates.getTemplate(ref).format(ref)


def test_which_dimensions_need_records(templates, universe):
    def needs(*dimensions):
        return templates._default.needs_records(universe.conform(dimensions))

    assert needs("visit", "detector")
    assert needs("detector")
    assert needs("physical_filter")  # its band is in the path
    assert not needs("tract")
    assert not needs("instrument")
    assert not needs()


def test_the_strongest_entry_decides(universe, make_ref):
    table = FileTemplates(
        {
            "default": "{run}/default_{instrument}",
            "thing": "{run}/name_{instrument}",
            "int": "{run}/class_{instrument}",
            "visit+detector": "{run}/dimensions_{visit}_{detector}_{instrument}",
            "instrument<Cam>": {"thing": "{run}/cam_{instrument}"},
        },
        universe=universe,
    )

    def path(name, dimensions, instrument="Other"):
        ref = make_ref(
            "int",
            name=name,
            dimensions=dimensions,
            mapping={"instrument": instrument, **{one: 1 for one in dimensions if one != "instrument"}},
        )
        return table.getTemplate(ref).format(ref)

    assert path("thing", ["instrument"]) == "run/name_Other"
    assert path("thing", ["instrument"], "Cam") == "run/cam_Cam"
    assert path("other", ["instrument"]) == "run/class_Other"
    assert path("other", ["visit", "detector"]) == "run/dimensions_1_1_Other"
    with pytest.raises(KeyError, match="no file template"):
        FileTemplates({}, universe=universe).getTemplate(make_ref("int"))


def test_format_specifications_apply(make_ref):
    ref = make_ref("int", dimensions=["detector"], mapping={"instrument": "A/b c", "detector": 7})
    assert (
        FileTemplate("{run}/{instrument:/}/{detector:03d}_{instrument!r:>12}").format(ref)
        == "run/A/b_c/007_     'A_b_c'"
    )
    assert FileTemplate("{id}").format(ref) == str(ref.id)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a\0b"])
def test_stored_paths_that_lead_out_are_not_followed(path):
    with pytest.raises(UnsafePathError):
        safe_relative_path(path)
