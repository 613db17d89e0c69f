import doctest
import json
from pathlib import Path

import pytest
import yaml

import armillary._yaml
import armillary.config
from armillary.config import (
    ButlerConfig,
    Config,
    RegistryConfig,
    StorageClassConfig,
    config_search_path,
    default_section,
    to_local_path,
)
from armillary.errors import ConfigurationError

NESTED = {"a": {"b": [1, {"c": 3}], "x.y": 5}}


@pytest.mark.parametrize("key", [".a.b.1.c", "/a/b/1/c", ("a", "b", 1, "c"), "→a→b→1→c"])
def test_a_path_of_keys_reaches_inside(key):
    config = Config(NESTED)
    assert config[key] == 3
    assert key in config
    config[key] = 4
    assert config[key] == 4
    del config[key]
    assert key not in config


@pytest.mark.parametrize("key", ["a.b", "zz", ".a.zz", ("a", "b", 9), ".a.b.x", ".a.x.y"])
def test_an_absent_key_is_a_key_error(key):
    config = Config(NESTED)
    assert key not in config
    assert config.get(key, "default") == "default"
    with pytest.raises(KeyError):
        config[key]
    with pytest.raises(KeyError):
        del config[key]


def test_a_backslash_keeps_the_separator():
    assert Config(NESTED)[r".a.x\.y"] == 5


def test_values_handed_out_do_not_change_the_configuration():
    config = Config(NESTED)
    config["a"]["b"] = 2
    config[".a.b"].append(7)
    config.toDict()["a"].clear()
    assert config == NESTED


def test_names_reach_every_value():
    config = Config(NESTED)
    assert config.nameTuples() == [("a",), ("a", "b"), ("a", "b", 0), ("a", "b", 1), ("a", "b", 1, "c"), ("a", "x.y")]
    for name in config.names():
        assert name in config
    assert config.names(topLevelOnly=True) == ["a"]
    with pytest.raises(ValueError, match=r"`\.` cannot separate"):
        config.names(delimiter=".")


def test_update_overrides_and_merge_does_not():
    config = Config({"a": {"b": [1], "k": 1}})
    config.update({"a": {"b": [2]}, "n": {"q": 1}})
    assert config == {"a": {"b": [2], "k": 1}, "n": {"q": 1}}
    config.merge({"a": {"b": [9], "z": 0}, "n": 5, "m": (1, 2)})
    assert config == {"a": {"b": [2], "k": 1, "z": 0}, "n": {"q": 1}, "m": [1, 2]}


def test_lists_are_set_by_position_only():
    config = Config({"l": [1, 2]})
    config[".l.0"] = 9
    assert config["l"] == [9, 2]
    with pytest.raises(IndexError, match="which holds 2"):
        config[".l.7"] = 1


def test_as_array():
    config = Config({"s": "str", "l": [1], "n": None})
    assert [config.asArray(key) for key in ("s", "l", "n", "absent")] == [["str"], [1], [None], [None]]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "main.yaml").write_text(
        "includeConfigs: [sub/one.yaml, sub/two.yaml]\na: 1\nb:\n  includeConfigs: sub/three.yaml\n  x: main\n"
        "c: !include sub/three.yaml\nd: !include [sub/three.yaml, sub/one.yaml]\ne: !include {p: sub/three.yaml}\n"
    )
    (tmp_path / "sub/one.yaml").write_text("a: one\nk: {m: 1, n: 1}\n")
    (tmp_path / "sub/two.yaml").write_text("k: {m: 2}\nz: !include three.yaml\n")
    (tmp_path / "sub/three.yaml").write_text("x: three\ny: three\n")
    return tmp_path


def test_included_files_come_below_the_file_that_includes(files):
    three = {"x": "three", "y": "three"}
    assert Config(files / "main.yaml") == {
        "a": 1,
        "k": {"m": 2, "n": 1},
        "z": three,
        "b": {"x": "main", "y": "three"},
        "c": three,
        "d": [three, {"a": "one", "k": {"m": 1, "n": 1}}],
        "e": {"p": three},
    }


def test_included_names_expand_variables(files, monkeypatch):
    monkeypatch.setenv("ARMILLARY_TEST_FOLDER", str(files / "sub"))
    (files / "v.yaml").write_text("includeConfigs: $ARMILLARY_TEST_FOLDER/three.yaml\n")
    assert Config(files / "v.yaml")["x"] == "three"


def test_files_that_include_each_other_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("includeConfigs: b.yaml\n")
    (tmp_path / "b.yaml").write_text("x: !include a.yaml\n")
    with pytest.raises(ConfigurationError, match="include each other"):
        Config(tmp_path / "a.yaml")


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
DEEP = "".join(" " * i + "a:\n" for i in range(400))
BAD_TEXT = {
    "code": ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
    "bomb": (BOMB, "too many aliases"),
    "circle": ("a: &a [*a]", "contains itself"),
    "deep": (DEEP, "nests deeper than"),
    "deeper than the parser": ("[" * 100_000, "nesting depth"),
    "broken": ("a: [1", "line 2, column 1"),
    "control": ("a: \x07", "not YAML"),
    "include in text": ("a: !include x.yaml", "cannot be used in text"),
    "two documents": ("a: 1\n---\nb: 2\n", "but found another document"),
}


@pytest.mark.parametrize("text, message", BAD_TEXT.values(), ids=BAD_TEXT)
def test_hostile_yaml_is_refused(text, message):
    with pytest.raises(ConfigurationError, match=message):
        Config.fromString(text)


def test_a_file_that_is_no_configuration(tmp_path):
    with pytest.raises(FileNotFoundError):
        Config(tmp_path / "nope.yaml")
    (tmp_path / "x.txt").write_text("a: 1")
    with pytest.raises(ConfigurationError, match="must end in"):
        Config(tmp_path / "x.txt")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ConfigurationError, match="not JSON"):
        Config(tmp_path / "x.json")
    with pytest.raises(ConfigurationError, match="`int`"):
        Config(3)


def test_dump_and_read_back(tmp_path):
    config = Config({"b": 1, "a": {"z": [1, 2], "y": None}})
    assert config.dump() == "a:\n  y: null\n  z:\n  - 1\n  - 2\nb: 1\n"
    assert json.loads(config.dump(format="json")) == config.toDict()
    for name in ("x.yaml", "x.json"):
        config.dumpToUri(tmp_path / name)
        assert Config(tmp_path / name) == config
    config.dumpToUri(tmp_path)
    assert (tmp_path / "butler.yaml").exists()
    with pytest.raises(FileExistsError):
        config.dumpToUri(tmp_path, overwrite=False)


def test_plain_paths_are_not_decoded_and_uris_are(tmp_path, monkeypatch):
    monkeypatch.setenv("ARMILLARY_TEST_FOLDER", "/somewhere")
    assert to_local_path("/a#b?c%20d") == "/a#b?c%20d"
    assert to_local_path("file:///a%23b") == "/a#b"
    assert to_local_path("file://localhost/a") == "/a"
    assert to_local_path("$ARMILLARY_TEST_FOLDER/x") == "/somewhere/x"
    assert to_local_path("s3://b/x") is None
    odd = tmp_path / "$ARMILLARY_TEST_FOLDER"
    odd.mkdir()
    assert to_local_path(odd) == str(odd)


def test_search_path_folders_override_each_other(tmp_path, monkeypatch):
    for name, value in (("strong", 1), ("weak", 2), ("given", 3)):
        folder = tmp_path / name / "datastores"
        folder.mkdir(parents=True)
        (folder / "fileDatastore.yaml").write_text(f"datastore:\n  {name}: {value}\n  same: {value}\n")
    monkeypatch.setenv("DAF_BUTLER_CONFIG_PATH", f"{tmp_path}/strong:{tmp_path}/weak:{tmp_path}/nowhere")
    assert config_search_path(["x"])[0] == "x"
    section = default_section("datastore")
    assert (section["strong"], section["weak"], section["same"]) == (1, 2, 1)
    assert "templates" in section
    assert default_section("datastore", search_paths=[tmp_path / "given"])["same"] == 3


def test_defaults_are_not_shared_between_configurations():
    first = ButlerConfig({})
    first._data["datastore"]["templates"]["default"] = "changed"
    assert ButlerConfig({})["datastore", "templates", "default"] != "changed"


def test_defaults_hold_what_the_peer_writes_as_standalone(shared_path):
    theirs = yaml.safe_load(shared_path("contract-fixtures/config/butler_standalone.yaml").read_text())
    theirs["datastore"]["root"] = "<butlerRoot>/datastore"
    for section, content in theirs.items():
        assert default_section(section, additions=False) == content, section


@pytest.mark.parametrize("key", ["run", "collection"])
def test_collections_cannot_be_set_for_everybody(key):
    with pytest.raises(ValueError, match=f"`{key}`"):
        ButlerConfig({key: "u/me"})


@pytest.mark.parametrize("module", [armillary.config, armillary._yaml])
def test_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_packaged_files_are_all_read_somewhere():
    folder = Path(armillary.config.__file__).parent / "configs"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.yaml") if "dimensions" not in path.name)
    assert files == [
        "additions.yaml",
        "datastore.yaml",
        "datastores/chainedDatastore.yaml",
        "datastores/fileDatastore.yaml",
        "datastores/formatters.yaml",
        "datastores/inMemoryDatastore.yaml",
        "datastores/writeRecipes.yaml",
        "registry.yaml",
        "registry_data/base.yaml",
        "registry_data/spatial.yaml",
        "repo_transfer_formats.yaml",
        "storageClasses.yaml",
    ]


def test_one_section_has_its_defaults():
    registry = RegistryConfig({"registry": {"namespace": "mine"}, "datastore": {}})
    assert registry["db"] == "sqlite:///<butlerRoot>/gen3.sqlite3"
    assert RegistryConfig({"namespace": "mine"}) == registry
    with pytest.raises(ConfigurationError, match=r"lacks \['db'\]"):
        RegistryConfig({}, mergeDefaults=False)
    assert StorageClassConfig()[".int.pytype"] == "int"
