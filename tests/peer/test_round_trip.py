"""One repository, two owners: what either writes, tags, certifies, chains or prunes is the same to both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from peer.round_trip_actions import main

ACTIONS = Path(__file__).with_name("round_trip_actions.py")


@pytest.fixture(scope="module")
def both(tmp_path_factory, run_peer):
    """Callables that do an action as armillary and as the peer."""

    def here(*arguments):
        return json.loads(json.dumps(main("armillary.butler", "armillary.pipeline", *arguments)))

    def there(*arguments):
        return json.loads(run_peer(ACTIONS.read_text(), "lsst.daf.butler", "lsst.pipe.base", *arguments))

    return {"armillary": here, "peer": there}


@pytest.fixture(scope="module", params=["armillary", "peer"])
def repository(request, both, tmp_path_factory):
    """Made by one, then written to by both."""
    root = str(tmp_path_factory.mktemp("both") / "repo")
    both[request.param]("create", root)
    for writer in ("armillary", "peer"):
        both[writer]("write", root, writer)
    return root


def test_both_see_the_same(repository, both):
    ours, theirs = both["armillary"]("see", repository), both["peer"]("see", repository)
    assert len(ours["collections"]) == 8
    assert len(ours["datasets"]) == 30
    for part in theirs:
        assert ours[part] == theirs[part], part


@pytest.mark.parametrize("writer", ["armillary", "peer"])
def test_both_read_the_same(repository, both, writer):
    ours, theirs = both["armillary"]("read", repository, writer), both["peer"]("read", repository, writer)
    assert ours == theirs
    assert ours["parameters"][1] == {"by": writer, "detector": 1}
    assert ours["table"] == [[1, 2], "m", ["a", "b"]]
    assert ours["array"] == [[0, 1, 2], [3, 4, 5]]
    assert ours["metadata"] == [writer, [1, 2, 3]]
    assert ours["log"] == [["INFO", f"hello from {writer}"]]


def test_each_prunes_what_the_other_wrote(repository, both):
    both["armillary"]("prune", repository, "peer")
    both["peer"]("prune", repository, "armillary")
    ours, theirs = both["armillary"]("see", repository), both["peer"]("see", repository)
    for part in theirs:
        assert ours[part] == theirs[part], part
    for writer in ("armillary", "peer"):
        assert ours["collections"][f"{writer}/chain"][2] == [f"{writer}/tag", f"{writer}/run"]
        assert both["armillary"]("read", repository, writer)["array"] is None
        files = {path.name for path in Path(repository, writer, "run").rglob("*") if path.is_file()}
        assert not any(name.startswith("array") for name in files)
        assert sum(name.startswith("parameters") for name in files) == 2
