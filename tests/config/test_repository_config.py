import doctest

import pytest
import yaml

import armillary.repository_config
from armillary.config import ButlerConfig, Config
from armillary.errors import ConfigurationError, RepositoryNotFoundError
from armillary.repository_config import (
    ButlerRepoIndex,
    create_repository_config,
    database_location,
    datastore_root,
    find_repository,
    repository_index,
    repository_root,
)

ODD_NAMES = ["my.repo", "x.yaml", "ha#sh", "a%20b", "q?m", "with space", "+plus", "ünï", "$HOME", "a;b'c\""]


@pytest.fixture(autouse=True)
def no_index(monkeypatch):
    for name in ("DAF_BUTLER_REPOSITORIES", "DAF_BUTLER_REPOSITORY_INDEX", "DAF_BUTLER_CONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)


def test_a_folder_that_holds_repositories_names_one(tmp_path):
    create_repository_config(tmp_path / "demo" / "repo", None)
    with pytest.raises(RepositoryNotFoundError, match=f"did you mean `{tmp_path}/demo/repo`"):
        find_repository(tmp_path / "demo")


def test_a_new_repository_has_the_file_the_peer_writes(tmp_path, shared_path):
    made = create_repository_config(tmp_path / "repo")
    written = (tmp_path / "repo/butler.yaml").read_bytes()
    assert written == shared_path("contract-fixtures/config/butler_default.yaml").read_bytes()
    assert made.configDir == str(tmp_path / "repo")
    assert [path.name for path in (tmp_path / "repo").iterdir()] == ["butler.yaml"]


def test_standalone_says_everything(tmp_path, shared_path):
    create_repository_config(tmp_path, standalone=True)
    theirs = yaml.safe_load(shared_path("contract-fixtures/config/butler_standalone.yaml").read_text())
    assert yaml.safe_load((tmp_path / "butler.yaml").read_text()) == theirs


@pytest.mark.parametrize(
    "fixture, seed",
    [
        ("butler_composite_disassembly.yaml", None),
        ("butler_postgresql_namespace.yaml", None),
        ("butler_datasets_schema_1.0.0.yaml", None),
    ],
)
def test_a_seed_keeps_its_keys(tmp_path, shared_path, fixture, seed):
    """The peer's own files, used as seeds, come out as they are."""
    path = shared_path("contract-fixtures/config", fixture)
    create_repository_config(tmp_path / "repo", path)
    assert (tmp_path / "repo/butler.yaml").read_bytes() == path.read_bytes()


def test_outfile_holds_the_root(tmp_path):
    made = create_repository_config(tmp_path / "re#po", outfile=tmp_path / "elsewhere.yaml")
    assert not (tmp_path / "re#po/butler.yaml").exists()
    assert Config(tmp_path / "elsewhere.yaml")["root"] == f"file://{tmp_path}/re%23po/"
    root = repository_root(made, made.configFile)
    assert database_location(made, root).path == str(tmp_path / "re#po/gen3.sqlite3")


def test_an_existing_repository_is_not_replaced(tmp_path):
    create_repository_config(tmp_path)
    with pytest.raises(FileExistsError, match="already exists"):
        create_repository_config(tmp_path)
    create_repository_config(tmp_path, {"datastore": {"checksum": True}}, overwrite=True)
    assert Config(tmp_path / "butler.yaml")[".datastore.checksum"] is True


def test_forced_root_replaces_the_seed_s_and_override_keeps_it(tmp_path):
    seed = {"datastore": {"root": "/elsewhere"}, "root": "/dropped"}
    create_repository_config(tmp_path / "a", seed)
    assert Config(tmp_path / "a/butler.yaml")[".datastore.root"] == "<butlerRoot>"
    create_repository_config(tmp_path / "b", seed, force_root=False)
    assert Config(tmp_path / "b/butler.yaml")[".datastore.root"] == "/elsewhere"
    assert "root" not in Config(tmp_path / "b/butler.yaml")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_directory_name_works(tmp_path, name):
    made = create_repository_config(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    place = find_repository(tmp_path / name)
    assert place.config_file == str(tmp_path / name / "butler.yaml")
    config = ButlerConfig(str(tmp_path / name))
    root = repository_root(config, config.configFile)
    assert root == str(tmp_path / name)
    assert database_location(config, root).path == str(tmp_path / name / "gen3.sqlite3")
    assert datastore_root(config[".datastore.root"], root) == str(tmp_path / name)
    assert config == made


def test_labels_come_from_the_index(tmp_path, monkeypatch):
    create_repository_config(tmp_path / "repo")
    with pytest.raises(RuntimeError, match="no repository index"):
        repository_index()
    monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", f"{{dp1: {tmp_path}/repo, gone: {tmp_path}/gone}}")
    assert find_repository("dp1").label == "dp1"
    assert ButlerConfig("dp1").configDir == str(tmp_path / "repo")
    with pytest.raises(RepositoryNotFoundError, match="which the repository index gives for `gone`"):
        find_repository("gone")
    with pytest.raises(FileNotFoundError, match="did you mean `dp1`") as caught:
        find_repository("dp2")
    assert "known labels are `dp1`, `gone`" in str(caught.value)
    index = tmp_path / "index.yaml"
    index.write_text("a: /x\n")
    monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", str(index))
    with pytest.raises(RuntimeError, match="both set"):
        repository_index()
    assert find_repository(tmp_path / "repo").directory == str(tmp_path / "repo")
    monkeypatch.delenv("DAF_BUTLER_REPOSITORIES")
    assert repository_index() == {"a": "/x"}
    monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", str(tmp_path / "none.yaml"))
    with pytest.raises(FileNotFoundError, match=r"none\.yaml"):
        repository_index()
    with pytest.raises(RepositoryNotFoundError, match=r"none\.yaml"):
        find_repository("dp1")


def test_the_index_by_its_other_names(monkeypatch):
    assert ButlerRepoIndex.get_known_repos() == set()
    assert "neither" in ButlerRepoIndex.get_failure_reason()
    with pytest.raises(RuntimeError):
        ButlerRepoIndex.get_repo_uri("a")
    monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", "{a: /x}")
    assert ButlerRepoIndex.get_known_repos() == {"a"}
    assert ButlerRepoIndex.get_failure_reason() == ""
    assert str(ButlerRepoIndex.get_repo_uri("a")) == "file:///x"
    assert str(ButlerRepoIndex.get_repo_uri("b", True)) == "b"
    with pytest.raises(KeyError, match="`b`"):
        ButlerRepoIndex.get_repo_uri("b")


def test_an_empty_file_takes_all_defaults(tmp_path):
    (tmp_path / "butler.yaml").write_text("{}\n")
    config = ButlerConfig(tmp_path)
    root = repository_root(config, config.configFile)
    assert datastore_root(config[".datastore.root"], root) == str(tmp_path / "datastore")


def test_database_urls(tmp_path):
    def place(**registry):
        return database_location(Config({"registry": registry}), "/root")

    assert place(db="sqlite:///<butlerRoot>/x.db").path == "/root/x.db"
    assert place(db="sqlite:////abs/x.db").path == "/abs/x.db"
    assert place(db="sqlite:///:memory:").path is None
    server = place(db="postgresql://h/d", username="u", password="p@:", port=5433).server
    assert (server.url, server.password) == ("postgresql://u@h:5433/d", "p@:")
    server = place(db="postgresql+psycopg://u:p%40%3A@h/d?host=/tmp").server
    assert (server.url, server.password) == ("postgresql://u@h/d?host=/tmp", "p@:")
    assert place(db="postgresql+psycopg://me@h:1/d", namespace="n").namespace == "n"
    with pytest.raises(ConfigurationError, match="`oracle`"):
        place(db="oracle://x")
    with pytest.raises(ConfigurationError, match="needs the place"):
        database_location(Config({"registry": {"db": "sqlite:///<butlerRoot>/x"}}), None)


def test_examples_run():
    result = doctest.testmod(armillary.repository_config, optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0
