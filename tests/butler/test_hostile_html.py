"""What a notebook shows of a hostile repository: its names and values are text, whatever they look like."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from armillary.butler import Butler, DatasetType

HOSTILE = [
    "<script>alert(1)</script>",
    "</td></table><img src=x onerror=alert(1)>",
    "\"' onmouseover='alert(1)",
    "&lt;b&gt;&#60;",
    "]]><svg/onload=alert(1)>",
    "<!-- ",
]
ELEMENTS = {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}


class Shown(HTMLParser):
    """Elements, and the text of each cell."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.attributes, self.cells = set(), [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes += attrs
        if tag in ("td", "th", "p"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")


@pytest.fixture(scope="module")
def butler(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    Butler.makeRepo(root)
    with Butler(root, writeable=True) as opened:
        opened.registry.registerDatasetType(
            DatasetType("thing", ["instrument"], "StructuredDataDict", universe=opened.dimensions)
        )
        for number, text in enumerate(HOSTILE):
            opened.registry.insertDimensionData("instrument", {"name": text[:32], "class_name": text})
            run = f"run {number} {text}"
            opened.collections.register(run)
            opened.put({"a": 1}, "thing", instrument=text[:32], run=run)
        yield opened


def check(shown, texts):
    found = Shown(shown)
    assert found.elements <= ELEMENTS
    assert not found.attributes
    for text in texts:
        assert any(text in cell for cell in found.cells), f"`{text}` is not shown as it is: {found.cells}"


def test_datasets(butler):
    refs = butler.query_datasets("thing", collections="*", find_first=False)
    check(refs._repr_html_(), [ref.run for ref in refs] + [ref.dataId["instrument"] for ref in refs])
    with butler.query() as query:
        results = query.datasets("thing", collections=[ref.run for ref in refs])
        check(results._repr_html_(), [text[:32] for text in HOSTILE])
    check(butler.registry.queryDatasets("thing", collections=...)._repr_html_(), [text[:32] for text in HOSTILE])


def test_data_ids_and_records(butler):
    names = [text[:32] for text in HOSTILE]
    check(butler.query_data_ids(["instrument"])._repr_html_(), names)
    check(butler.query_dimension_records("instrument")._repr_html_(), [*names, *HOSTILE])
    check(butler.registry.queryDataIds(["instrument"])._repr_html_(), names)
    check(butler.registry.queryDimensionRecords("instrument")._repr_html_(), names)
