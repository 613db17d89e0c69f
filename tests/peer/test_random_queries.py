"""Random queries, right and wrong, have the answers of the peer on the same repository.

`--seed` and `--queries` ask others, or more.
"""

from __future__ import annotations

import shutil

import pytest

from peer.queries_asked.comparison import MEANT, ask_here, ask_peer, difference, read_peer, report
from peer.queries_asked.generator import Generator, facts_of
from peer.queries_asked.repositories import make_from_export, make_rc2, make_survey

# How many of a hundred queries are asked of each repository.
REPOSITORIES = {
    "survey": 40,
    "rich": 17,
    "rc2": 12,
    "obs_lsst_imsim": 4,
    "obs_lsst_latiss": 4,
    "transfer_embargo_from": 4,
    "verify_metricvalue1": 2,
    "skycatalogs_ci": 2,
    "rc2_subset_coaddDatasetDump": 6,
    "ap_verify_ci_hits2015": 5,
    "daf_butler_ci_hsc-subset": 2,
    "pipelines_check": 2,
}
EXPORTS = ("rc2_subset_coaddDatasetDump", "ap_verify_ci_hits2015", "daf_butler_ci_hsc-subset", "pipelines_check")


@pytest.fixture(scope="module")
def repositories(tmp_path_factory, shared_path):
    """Where each repository is; each is a copy, or made here."""
    folder = tmp_path_factory.mktemp("queries")
    found = {
        "survey": make_survey(str(folder / "survey")),
        "rc2": make_rc2(str(folder / "rc2"), str(shared_path("data", "exports", "daf_butler_hsc-rc2-subset.yaml"))),
    }
    for name in EXPORTS:
        found[name] = make_from_export(str(folder / name), str(shared_path("data", "exports", f"{name}.yaml")))
    for name in REPOSITORIES.keys() - found.keys():
        source = (
            shared_path("contract-fixtures", "repos", name) if name == "rich" else shared_path("data", "repos", name)
        )
        found[name] = shutil.copytree(source, folder / name, copy_function=shutil.copyfile)
        (folder / name).chmod(0o755)
    return {name: str(found[name]) for name in REPOSITORIES}


@pytest.fixture(scope="module")
def questions(repositories, request):
    seed, number = request.config.getoption("--seed"), request.config.getoption("--queries")
    found = {}
    for name, share in REPOSITORIES.items():
        generator = Generator(facts_of(repositories[name]), seed)
        found[name] = [generator.query() for _ in range(max(1, number * share // 100))]
    return found


@pytest.fixture(scope="module")
def answers(repositories, questions):
    """For each repository, (query, our answer, the peer's answer); the peer starts once per repository."""
    from peer.conftest import peer_python

    started = {}
    found = {}
    for name, queries in questions.items():
        started[name] = ask_peer(peer_python(), repositories[name], queries)
        if len(started) % 2 == 0:  # two peers at a time
            for waiting in started.keys() - found.keys():
                ours = ask_here(repositories[waiting], questions[waiting])
                theirs = read_peer(started[waiting])
                found[waiting] = list(zip(questions[waiting], ours, theirs, strict=True))
    return found


@pytest.mark.parametrize("name", REPOSITORIES)
def test_answers_are_those_of_the_peer(answers, name):
    differences = []
    for query, ours, theirs in answers[name]:
        text = difference(query, ours, theirs)
        if text is not None:
            differences.append(report(query, ours, theirs, text))
    assert not differences, "\n".join(differences)


def test_the_queries_are_neither_all_wrong_nor_all_empty(answers):
    everything = [theirs for name in answers for _, _, theirs in answers[name]]
    wrong = sum("error" in answer for answer in everything)
    full = sum(bool(answer.get("items")) for answer in everything)
    assert wrong < len(everything) / 2
    assert full > len(everything) / 4


def test_most_queries_need_no_excuse(answers):
    excused = [
        name
        for repository in answers
        for query, ours, theirs in answers[repository]
        for name, _, meant in MEANT
        if meant(query, ours, theirs)
    ]
    assert len(excused) < sum(len(found) for found in answers.values()) / 10


def test_nothing_is_given_twice(answers):
    for repository in answers:
        for query, ours, _ in answers[repository]:
            if query["steps"][-1][0] in ("findRelatedDatasets", "findDatasets"):
                continue
            items = [str(item) for item in ours.get("items", ())]
            assert len(items) == len(set(items)), query


def test_counts_are_those_of_the_results(repositories, questions, answers):
    """`count` and `any` agree with what is found, on every right query that has results of its own kind."""
    counted = []
    for query in questions["survey"]:
        name = query["steps"][0][0]
        if query["on"] == "registry" and len(query["steps"]) == 1 and name in ("queryDataIds", "queryDatasets"):
            counted.append(query)
    found = ask_here(repositories["survey"], counted)
    for method, expected in (("count", len), ("any", bool)):
        asked = [query | {"steps": [*query["steps"], [method, [], {}]]} for query in counted]
        for query, answer, given in zip(counted, found, ask_here(repositories["survey"], asked), strict=True):
            if "items" in answer and "items" in given:
                assert given["items"] == [expected(answer["items"])], query
