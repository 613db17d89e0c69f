"""Task metadata: what it takes, what it refuses, and its stored form."""

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from armillary.pipeline import TaskMetadata


def test_stored_form_is_compact_and_in_three_groups():
    metadata = TaskMetadata()
    metadata["a"] = 1
    metadata["x.y.z"] = 2.5
    metadata["b"] = True
    metadata["list"] = [1, 2]
    metadata.add("a", 3)
    assert metadata.model_dump_json() == (
        '{"scalars":{"b":true},"arrays":{"list":[1,2],"a":[1,3]},"metadata":{"x":{"scalars":{},"arrays":{},'
        '"metadata":{"y":{"scalars":{"z":2.5},"arrays":{},"metadata":{}}}}}}'
    )


def test_numbers_keep_their_kind_when_read():
    metadata = TaskMetadata.model_validate_json('{"scalars":{"i":3,"b":true,"f":3.0},"arrays":{"l":[1,2]}}')
    assert [type(metadata[name]) for name in ("i", "b", "f")] == [int, bool, float]
    assert metadata.getArray("l") == [1, 2]


def test_not_a_number_and_infinity_survive():
    metadata = TaskMetadata(scalars={"nan": math.nan, "inf": math.inf})
    text = metadata.model_dump_json()
    assert '"nan":NaN,"inf":Infinity' in text
    assert math.isnan(TaskMetadata.model_validate_json(text)["nan"])


@pytest.mark.parametrize("value", [None, object(), {1, 2}, b"x", [None], [1, "a"], [1, 2.5], [True, 1], [[1]], [{}]])
def test_values_of_other_kinds_are_refused(value):
    metadata = TaskMetadata()
    with pytest.raises(ValueError):
        metadata["k"] = value
    assert len(metadata) == 0


@pytest.mark.parametrize(
    ("value", "kind"), [(np.int32(3), int), (np.float32(1.5), float), (np.bool_(True), bool), (np.str_("a"), str)]
)
def test_numpy_scalars_become_plain(value, kind):
    metadata = TaskMetadata()
    metadata["k"] = value
    assert type(metadata["k"]) is kind


@pytest.mark.parametrize(("first", "second"), [(1, "a"), (1, 2.5), (True, 2)])
def test_add_keeps_one_type(first, second):
    metadata = TaskMetadata()
    metadata.add("k", first)
    with pytest.raises(ValueError, match="holds"):
        metadata.add("k", second)


def test_setting_replaces_whatever_was_there():
    metadata = TaskMetadata()
    metadata["a"] = 1
    metadata["a.b"] = 2
    assert metadata.to_dict() == {"a": {"b": 2}}
    metadata["a"] = [3]
    assert metadata.to_dict() == {"a": [3]}


def test_names_reach_into_nested_metadata():
    metadata = TaskMetadata.from_dict({"a": {"b": {"c": 1}}, "d": [2]})
    assert metadata.names() == {"a", "a.b", "a.b.c", "d"}
    assert metadata.paramNames(topLevelOnly=False) == {"a.b.c", "d"}
    assert metadata.paramNames(topLevelOnly=True) == {"d"}
    assert "a.b" in metadata
    assert "a.x" not in metadata


def test_missing_name_is_a_key_error_that_names_it():
    with pytest.raises(KeyError, match=r"`a\.b`"):
        TaskMetadata()["a.b"]
    with pytest.raises(KeyError):
        del TaskMetadata()["a"]
    with pytest.raises(KeyError, match="strings"):
        TaskMetadata()[3]


def test_deleting_reaches_into_nested_metadata():
    metadata = TaskMetadata.from_dict({"a": {"b": 1, "c": 2}})
    del metadata["a.b"]
    assert metadata.to_dict() == {"a": {"c": 2}}


@pytest.mark.parametrize(
    "text", ["[]", "3", '{"scalars": []}', '{"arrays": {"a": 3}}', '{"scalars": {"a": null}}', "{"]
)
def test_other_json_is_refused(text):
    with pytest.raises(ValueError):
        TaskMetadata.model_validate_json(text)


PRIMITIVE = st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.text(alphabet='ab é"\\', max_size=5))
NAMES = st.text(alphabet="abc_:1", min_size=1, max_size=4)


@settings(suppress_health_check=[HealthCheck.too_slow])  # other work on the machine is not the test's fault
@given(
    st.recursive(
        st.dictionaries(NAMES, PRIMITIVE, max_size=3),
        lambda inner: st.dictionaries(
            NAMES, st.one_of(PRIMITIVE, st.lists(st.integers(), max_size=3), inner), max_size=3
        ),
        max_leaves=8,
    )
)
def test_round_trip(values):
    metadata = TaskMetadata.from_dict(values)
    again = TaskMetadata.model_validate_json(metadata.model_dump_json())
    assert again == metadata
    assert again.to_dict() == values
    assert json.loads(metadata.model_dump_json()).keys() == {"scalars", "arrays", "metadata"}
