"""The text of an export says what was exported, whatever the values are."""

from __future__ import annotations

import io
import uuid

from hypothesis import given
from hypothesis import strategies as st

from armillary.butler.export_yaml import dump, load

VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(codec="utf-8", exclude_characters="\x85", exclude_categories=("Cc", "Cs"))),
    st.sampled_from(
        ["yes", "No", "null", "~", "1e3", "2020-01-01", "a: b", "- x", "#", "*a", "&a", "!t", "0x10", "é", ""]
    ),
)


@given(
    st.lists(
        st.tuples(
            st.lists(st.dictionaries(st.sampled_from(["visit", "band"]), VALUES), min_size=1, max_size=2), VALUES
        ),
        max_size=4,
    )
)
def test_what_is_written_is_read(files):
    records = []
    for data_ids, path in files:
        ids = [uuid.uuid4() for _ in data_ids]
        records.append({"dataset_id": ids, "data_id": data_ids, "path": str(path), "formatter": "a.b.C"})
    items = [
        {"type": "collection", "collection_type": "RUN", "name": "run", "host": None},
        {"type": "dataset", "dataset_type": "x", "run": "u/é: #1", "records": records},
        {"type": "associations", "collection": "t", "collection_type": "TAGGED", "dataset_ids": []},
    ]
    head = {"description": "d", "version": "1.0.2"}
    stream = io.StringIO()
    dump(head, items, stream)
    assert load(io.StringIO(stream.getvalue())) == {**head, "data": items}
    empty = io.StringIO()
    dump(head, [], empty)
    assert load(io.StringIO(empty.getvalue())) == {**head, "data": []}
