"""The reader of exports takes YAML as its writers mean it, and makes nothing else of it."""

from __future__ import annotations

import io
import uuid

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from armillary.butler.export_yaml import load
from armillary.errors import ValidationError


def read(text):
    return load(io.StringIO(text))


def same(ours, theirs):
    """Equal, of equal types, and not-a-number is itself."""
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == theirs or (ours != ours and theirs != theirs)


NUMBERS = st.text("0123456789+-._eExXbaFT:", max_size=12)
YES = ["true", "True", "TRUE", "yes", "Yes", "YES", "yES", "on", "y"]
NO = ["~", "null", "Null", "NULL", "nULL", "no", "Off", "false", "n", "=", "0", "00", "08", "0o7", "-0"]
WORDS = st.sampled_from([*YES, *NO])
LARGE = st.integers(-(2**70), 2**70).map(str)


@given(st.one_of(NUMBERS, WORDS, LARGE))
@example("1:30")
@example("-1:30.5")
@example("1e5")
@example("1.e+3")
@example(".5")
@example("-.5")
@example("+.inf")
@example(".nan")
@example("0x_F")
@example("1_000.5_0")
@example("2020-02-29")
@example("2020-1-1 1:02:03.5 +1:30")
@example("20230523T202149Z")
def test_plain_scalars_are_what_the_writers_of_exports_mean(text):
    try:
        theirs = yaml.safe_load(f"- {text}")
    except (yaml.YAMLError, ValueError):  # no YAML, or a date that there is not
        return
    assert same(read(f"- {text}"), theirs)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=70), st.datetimes(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=12,
)


@given(VALUES, st.booleans())
def test_what_another_library_writes_is_read(value, flow):
    text = yaml.safe_dump(value, default_flow_style=flow, sort_keys=False, allow_unicode=False)
    assert same(read(text), yaml.safe_load(text))


def test_aliases_and_merged_mappings():
    text = "a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [{x: 5}, *a]}\n"
    assert read(text) == yaml.safe_load(text)


def test_values_of_exports():
    text = (
        "- !uuid 9f3c1a52-6c1e-4d5f-8f3b-000000000001\n"
        "- !<lsst.sphgeom.ConvexPolygon> {encoded: 00ff}\n"
        "- !butler_time/tai/iso '1970-01-01 00:00:01.5'\n"
        "- !<lsst.daf.butler.Timespan> EMPTY\n"
    )
    first, region, time, span = read(text)
    assert first == uuid.UUID("9f3c1a52-6c1e-4d5f-8f3b-000000000001")
    assert hash(first) == hash(uuid.UUID(str(first)))
    assert first.is_safe is uuid.SafeUUID.unknown
    assert region == b"\x00\xff"
    assert time == 1_500_000_000
    assert span.isEmpty()


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "a: 1\nb: !!python/object/apply:os.system ['touch hacked']",
            r"`export`, line 2: .*`!!python/object/apply:os.sys",
        ),
        ("- !mine {a: 1}", "tag `!mine`, which is not known here"),
        ("- !uuid x", "line 1: `x` is no UUID"),
        ("- !<lsst.sphgeom.Box> {code: 00}", "tag `lsst.sphgeom.Box` cannot be read"),
        ("- !butler_time/tai/iso never", "`never` is not an ISO time"),
        ("- !!int x", "`x` is no integer"),
        ("- !!set {a}", "tag `!!set`"),
        ("a: [1,\nb: ]}", "this is not YAML"),
        ("--- 1\n--- 2\n", "a second document"),
        ("&a [*a]", "contains itself"),
        ("[" * 300, "line 1: "),
        ("\n".join(" " * i + "- - -" for i in range(0, 400, 6)), "nested deeper than 200"),
        ("{[1]: 2}", "neither text nor a number"),
        ("{<<: 1}", "takes in something that is no mapping"),
    ],
)
def test_what_is_no_export_is_refused_in_a_sentence(text, message):
    with pytest.raises(ValidationError, match=message):
        read(text)


def test_aliases_of_aliases_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(ValidationError, match="aliases stand for more than 2000000 values"):
        read("\n".join(lines))


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(ValidationError, match="not text in UTF-8"):
        load(io.BytesIO(b"a: \xff"))


@given(st.text("-[]{}:,!&*<>|'\"%@`#? \nabc01", max_size=40))
def test_no_text_breaks_the_reader(text):
    try:
        read(text)
    except ValidationError as error:
        assert str(error).startswith("`export`, line ")
