"""One repository shared: by threads, by clones, by labels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from armillary.butler import Butler, ButlerRepoIndex
from armillary.errors import ArgumentError, DatasetNotFoundError
from armillary.testing import small_repository


def test_one_butler_serves_many_threads():
    with small_repository(run="u/me") as butler:
        for n in range(8):
            butler.collections.register(f"u/{n}")
        refs = [butler.put({"n": n}, "summary", instrument="Cam", run=f"u/{n}") for n in range(8)]

        def work(turn: int) -> tuple[int, int, list[int]]:
            ref = refs[turn % len(refs)]
            value = butler.get("summary", instrument="Cam", collections=ref.run)["n"]
            found = butler.query_datasets("summary", collections="u/*", find_first=False)
            with butler.query() as query:
                detectors = [data_id["detector"] for data_id in query.where(instrument="Cam").data_ids("detector")]
            return value, len(found), sorted(detectors)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(work, range(160)))
    assert answers == [(turn % 8, 8, [1, 2]) for turn in range(160)]


def test_threads_write_at_the_same_time():
    with small_repository(run="u/me") as butler:
        for n in range(4):
            butler.collections.register(f"w/{n}")
        with ThreadPoolExecutor(4) as pool:
            written = list(
                pool.map(lambda n: butler.put({"n": n}, "summary", instrument="Cam", run=f"w/{n}"), range(4))
            )
        assert {butler.get(ref)["n"] for ref in written} == {0, 1, 2, 3}
        assert len(butler.query_datasets("summary", "w/*", find_first=False)) == 4


def test_closing_a_butler_leaves_its_clones_open():
    with small_repository(run="u/me") as butler:
        first, second = butler.clone(), butler.clone(collections="u/me")
        butler.close()
        butler.close()
        assert len(first.query_data_ids("detector", instrument="Cam")) == 2
        first.close()
        assert second.put({"a": 1}, "summary", instrument="Cam").run == "u/me"
        assert second.get("summary", instrument="Cam") == {"a": 1}
        for closed in (butler, first):
            with pytest.raises(RuntimeError, match="closed"):
                closed.query_data_ids("detector", instrument="Cam")
        core = second._core_registry
        second.close()
        with pytest.raises(ArgumentError, match="closed"):
            core.query_collections(None)


def test_a_missing_dataset_is_looked_for_everywhere_at_once():
    with small_repository(run="u/me") as butler:
        for n in range(5):
            butler.collections.register(f"u/{n}")
            butler.put({"n": n}, "summary", instrument="Cam", run=f"u/{n}")
        with pytest.raises(DatasetNotFoundError) as caught:
            butler.get("summary", instrument="Cam")
        assert str(caught.value) == (
            "no `summary` with data ID {instrument: 'Cam'} in `u/me`; it is in `u/0`, `u/1`, `u/2`, ..."
        )


def test_labels_of_repositories_have_one_source(tmp_path, monkeypatch):
    index = tmp_path / "index.yaml"
    index.write_text(f"main: {tmp_path}/repo\n")
    monkeypatch.delenv("DAF_BUTLER_REPOSITORIES", raising=False)
    monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", str(index))
    assert Butler.get_known_repos() == ButlerRepoIndex.get_known_repos() == {"main"}
    assert Butler.get_repo_uri("main") == ButlerRepoIndex.get_repo_uri("main")
    assert Butler.get_repo_uri("main").ospath == f"{tmp_path}/repo"
    assert str(Butler.get_repo_uri("other", return_label=True)) == "other"
    with pytest.raises(KeyError, match=r"no repository has the label `man`; did you mean `main`\?"):
        Butler.get_repo_uri("man")
    monkeypatch.delenv("DAF_BUTLER_REPOSITORY_INDEX")
    assert Butler.get_known_repos() == set()
    with pytest.raises(RuntimeError, match="no repository index is defined"):
        Butler.get_repo_uri("main")
