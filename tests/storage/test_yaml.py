"""Plain values are written as PyYAML writes them, letter for letter, or left to it."""

from __future__ import annotations

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from armillary import _core
from armillary.storage.formatters import yaml as formatters

WORDS = [
    "yes",
    "No",
    "null",
    "y",
    "on",
    "~",
    "=",
    "<<",
    "a: b",
    "a #b",
    "a:b",
    "a:",
    "- a",
    "-a",
    "2020-01-01",
    "12:30",
]
WORDS += [
    "2020-1-x",
    "0x1f",
    "1_000",
    "1e5",
    "1.5",
    ".5",
    ".inf",
    "1.0e+3",
    "017",
    "09",
    "",
    " a",
    "a ",
    "a  b",
    "---",
    "...",
]
TEXTS = st.one_of(
    st.sampled_from(WORDS),
    st.text("abcXYZ019 _./-:+#,'{}\n", max_size=12),
    st.text(max_size=5),
    st.text("ab ", min_size=60, max_size=140),
    st.text("ab", min_size=60, max_size=140),
)
SCALARS = st.one_of(TEXTS, st.integers(), st.floats(), st.booleans(), st.none())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(SCALARS, inner, max_size=3)),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(VALUES)
@example([[], {}, [[]], [{}], [[1, [2, {"a": [3]}]], {"b": {"c": []}}]])
@example({"a": {"b": [{"c": 1, "d": [1, 2]}, "x"]}, "e": 1e16, "f": 1e-7, "g": -0.0})
@example({"a" * 79: "b c", "k": "a b " * 19 + "a"})
def test_plain_values(value):
    written = _core.write_yaml(value)
    if written is not None:
        expected = yaml.dump(value, Dumper=formatters._SafeDumper, sort_keys=False, default_flow_style=False)
        assert written == expected


def test_what_is_common_is_written_here():
    value = {"name": "a word", "n": 3, "x": 1.5, "none": None, "day": "20250101", "list": [1, {"k": True}], "t": (1, 2)}
    assert _core.write_yaml(value) == yaml.safe_dump(value | {"t": [1, 2]}, sort_keys=False, default_flow_style=False)


def test_what_is_not_plain_is_left_to_the_library():
    deep: list[object] = []
    deep.append(deep)

    class Text(str):
        __slots__ = ()

    for value in (3, "a", [], {}, {"a": object()}, {"a": Text("b")}, {"a": {1}}, {(1, 2): 3}, deep, {"a": 2**70}):
        assert _core.write_yaml(value) is None
