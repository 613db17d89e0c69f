"""Random queries have the answers of the peer on repositories that the peer made on a PostgreSQL server.

One database compares text byte by byte, as the tests' servers do; the other as most observatories' servers do.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from peer.conftest import peer_python
from peer.queries_asked import repositories
from peer.queries_asked.comparison import MEANT, ask_here, ask_peer, difference, read_peer, report
from peer.queries_asked.generator import Generator, facts_of

COLLATIONS = ["bytes", "words"]
# How many of a hundred queries are asked of each repository.
SHARE = 15


@pytest.fixture(scope="module", params=COLLATIONS)
def answers(request, cluster, tmp_path_factory):
    """(query, our answer, the peer's answer)."""
    seed, number = request.config.getoption("--seed"), request.config.getoption("--queries") * SHARE // 100
    config = cluster.seed(cluster.new_namespace())
    if request.param == "words":
        config["registry"]["db"] = cluster.add_database(
            "words", "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'"
        )
    root = str(tmp_path_factory.mktemp("server") / request.param)
    subprocess.run([peer_python(), repositories.__file__, root, json.dumps(config)], check=True)
    generator = Generator(facts_of(root), seed + COLLATIONS.index(request.param))
    queries = [generator.query() for _ in range(number)]
    process = ask_peer(peer_python(), root, queries)
    ours = ask_here(root, queries)
    return list(zip(queries, ours, read_peer(process), strict=True))


def test_answers_are_those_of_the_peer(answers):
    differences = []
    for query, ours, theirs in answers:
        text = difference(query, ours, theirs)
        if text is not None:
            differences.append(report(query, ours, theirs, text))
    assert not differences, "\n".join(differences)


def test_the_queries_are_neither_all_wrong_nor_all_empty(answers):
    wrong = sum("error" in theirs for _, _, theirs in answers)
    full = sum(bool(theirs.get("items")) for _, _, theirs in answers)
    assert wrong < len(answers) / 2
    assert full > len(answers) / 4


def test_most_queries_need_no_excuse(answers):
    excused = [query for query, ours, theirs in answers if any(meant(query, ours, theirs) for _, _, meant in MEANT)]
    assert len(excused) < len(answers) / 8
