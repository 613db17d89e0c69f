import doctest
import json
import pickle
import sys
import types

import numpy as np
import pytest
from astropy.table import QTable, Table

import armillary.storage.named_objects as named_objects
import armillary.storage.peer_names as peer_names
import armillary.storage.storage_class as storage_class
from armillary.errors import (
    UnknownComponentError,
    UnknownParameterError,
    UnknownStorageClassError,
    UntrustedContentError,
)
from armillary.storage.named_objects import import_object
from armillary.storage.peer_names import PEER_TO_OWN, to_own_name, to_peer_name
from armillary.storage.storage_class import StorageClass, StorageClassFactory


@pytest.fixture
def factory():
    return StorageClassFactory()


def test_all_default_classes_are_as_the_peer_resolves_them(factory, shared_path):
    expected = json.loads(shared_path("contract-fixtures/vectors/storageclasses.json").read_text())
    assert len(expected) == 122
    for facts in expected:
        made = factory.getStorageClass(facts["name"])
        assert made.pytype_name == facts["pytype"]
        assert sorted(made.parameters) == sorted(facts["parameters"])
        assert {name: part.name for name, part in made.components.items()} == facts["components"]
        assert {name: part.name for name, part in made.derivedComponents.items()} == facts["derived"]
        assert dict(made.converters) == facts["converters"]
        assert (made._delegate_name or "lsst.daf.butler.StorageClassDelegate") == facts["delegate"]


@pytest.mark.parametrize(
    "pytype, name",
    [
        (dict, "StructuredDataDict"),
        (list, "StructuredDataList"),
        (int, "int"),
        (np.ndarray, "ArrowNumpy"),
        (Table, "ArrowAstropy"),
        (QTable, "AstropyQTable"),
    ],
)
def test_a_python_type_has_a_storage_class(factory, pytype, name):
    assert factory.findStorageClass(pytype).name == name


@pytest.mark.parametrize("pytype", [object, float, types.SimpleNamespace])
def test_a_python_type_nobody_stores(factory, pytype):
    with pytest.raises(KeyError, match="no storage class holds"):
        factory.findStorageClass(pytype)


def test_an_unknown_name_gets_the_nearest(factory):
    with pytest.raises(UnknownStorageClassError, match="`ArrowAstropi`; did you mean `ArrowAstropy`"):
        factory.getStorageClass("ArrowAstropi")
    with pytest.raises(KeyError):
        factory.getStorageClass("")


def test_conversion(factory):
    get = factory.getStorageClass
    assert get("ArrowAstropy").can_convert(get("DataFrame"))
    assert get("AstropyTable").can_convert(get("AstropyQTable"))
    assert not get("AstropyQTable").can_convert(get("AstropyTable"))
    assert not get("int").can_convert(get("StructuredDataDict"))
    assert get("StructuredDataDict").can_convert(get("TaskMetadata"))
    assert not get("Wcs").can_convert(get("int"))
    table = get("ArrowAstropy").coerce_type({"a": [1, 2]})
    assert isinstance(table, Table)
    assert get("ArrowAstropy").coerce_type(table) is table
    assert get("int").coerce_type(None) is None
    with pytest.raises(TypeError, match="Type does not match and no valid converter"):
        get("int").coerce_type("3")


def test_instances_are_checked_by_type(factory):
    assert factory.getStorageClass("int").validateInstance(True)
    assert not factory.getStorageClass("int").is_type(bool)
    assert factory.getStorageClass("ArrowAstropy").is_type(Table, compare_types=True)
    with pytest.raises(ImportError, match="afw"):
        factory.getStorageClass("Wcs").validateInstance(3)


def test_parameters(factory):
    table = factory.getStorageClass("ArrowAstropy")
    table.validateParameters({"columns": 1})
    with pytest.raises(UnknownParameterError, match="Parameter `colums` is not understood by storage class"):
        table.validateParameters(["colums"])
    with pytest.raises(KeyError):
        factory.getStorageClass("int").validateParameters(["bbox"])
    assert table.filterParameters({"columns": 3, "z": 4}) == {"columns": 3}
    assert "bbox" in factory.getStorageClass("ExposureF").knownParameters()


def test_components(factory):
    exposure = factory.getStorageClass("ExposureF")
    assert exposure.isComposite()
    assert exposure.component("mask").name == "MaskX"
    assert exposure.component("bbox").name == "Box2I"
    with pytest.raises(UnknownComponentError, match="did you mean `wcs`"):
        exposure.component("wsc")
    with pytest.raises(ValueError, match="one component `a`"):
        StorageClass("X", components={"a": exposure})


def test_a_name_has_one_definition(factory):
    with pytest.raises(ValueError, match="`int` is already defined differently"):
        factory.registerStorageClass(StorageClass("int", pytype=float))
    factory.registerStorageClass(StorageClass("int", pytype=int))
    factory.addFromConfig({"storageClasses": {"A": {"pytype": "dict", "inheritsFrom": "ExposureF"}}})
    assert factory.getStorageClass("A").component("wcs").name == "Wcs"
    factory.addFromConfig({"A": {"pytype": "dict", "inheritsFrom": "ExposureF"}})
    with pytest.raises(ValueError, match="already defined differently"):
        factory.addFromConfig({"A": {"pytype": "list"}})


@pytest.mark.parametrize(
    "definition, message",
    [
        ("text", "must be a mapping"),
        ({"pytype": ["a"]}, "`pytype` of storage class `B` must be a str"),
        ({"parameters": "bbox"}, "`parameters` of storage class `B` must be a list"),
        ({"components": {"a": "int"}}, "the one component `a`"),
        ({"components": {"a": "int", "b": "inn"}}, "`inn`, which `B` names; did you mean `int`"),
        ({"inheritsFrom": "B"}, "inherits from itself"),
        ({"components": {"a": "int", "b": "B"}}, "is defined by itself"),
        ({"inheritsFrom": "nope"}, "no storage class is called `nope`"),
    ],
)
def test_bad_definitions_are_refused(factory, definition, message):
    with pytest.raises((ValueError, KeyError), match=message):
        factory.addFromConfig({"B": definition})
        factory.getStorageClass("B")


def test_equality_and_copies(factory):
    table = factory.getStorageClass("ArrowAstropy")
    copy = pickle.loads(pickle.dumps(table))
    assert copy == table
    assert hash(copy) == hash(table)
    assert table != factory.getStorageClass("DataFrame")
    assert repr(table) == "StorageClass('ArrowAstropy', pytype='astropy.table.Table')"


def test_composites_are_taken_apart_and_put_together(factory):
    part = factory.getStorageClass("StructuredDataDict")
    composite = StorageClass("C", pytype=dict, components={"a": part, "b": part})
    delegate = composite.delegate()
    parts = delegate.disassemble({"a": {"x": 1}, "b": {}})
    assert {name: one.component for name, one in parts.items()} == {"a": {"x": 1}, "b": {}}
    assert delegate.assemble({"a": 1, "b": 2}) == {"a": 1, "b": 2}
    with pytest.raises(ValueError, match="no components"):
        delegate.assemble({"c": 1})
    with pytest.raises(TypeError, match="cannot be taken apart"):
        delegate.disassemble([1])
    with pytest.raises(AttributeError, match="`q`"):
        delegate.getComponent({}, "q")


class Without:
    """A finder of modules that hides some, wherever the test runs."""

    def __init__(self, *names: str):
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


class TestTrust:
    """Names out of a repository do not run code nobody asked for."""

    @pytest.mark.parametrize(
        "name",
        [
            "os.system",
            "subprocess.Popen",
            "evil_module.X",
            "builtins.eval",
            "pandas.read_pickle",
            "numpy.load",
            "yaml.load",
        ],
    )
    def test_a_name_that_leads_elsewhere_is_not_imported(self, name):
        with pytest.raises(UntrustedContentError, match="ARMILLARY_TRUSTED_MODULES"):
            import_object(name, "storage class `X`")
        assert "evil_module" not in sys.modules

    @pytest.mark.parametrize(
        "name",
        [
            "armillary.config.os.system",
            "armillary.storage.artifacts.shutil.rmtree",
            "armillary.storage.formatters.pickle.pickle.loads",
            "armillary.config.json.loads",
            "lsst.pex.config.config.os.system",
            "lsst.daf.butler.formatters.parquet.np.load",
        ],
    )
    def test_a_trusted_module_is_no_bridge_to_another(self, name):
        with pytest.raises(UntrustedContentError, match="leads out of"):
            import_object(name, "a converter")

    def test_what_the_defaults_name_is_found(self, factory):
        found = 0
        for made in factory.values():
            for converter in made.converters.values():
                if converter.startswith(("lsst.daf.butler", "lsst.pipe.base", "astropy")):
                    assert callable(import_object(converter, "a converter"))
                    found += 1
        assert found > 25

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            (
                "lsst.images.fits.formatters.ImageFormatter",
                "there is no module `lsst.images`; `pip install lsst-images` brings it",
            ),
            (
                "lsst.obs.base.formatters.fitsExposure.FitsExposureFormatter",
                "there is no module `lsst.obs`; it comes with the LSST Science Pipelines",
            ),
            ("lsst.dax.apdb.Apdb", "there is no module `lsst.dax`; `pip install lsst-dax-apdb` brings it"),
            ("lsst.nowhere.X", "there is no module `lsst.nowhere`$"),
            ("lsst.utils.nope.X", "there is no module `lsst.utils.nope`$"),
            ("lsst.sphgeom.Nope", "module 'lsst.sphgeom' has no attribute 'Nope'$"),
            ("armillary.config.ButlerConfig.nope", "'ButlerConfig' has no attribute 'nope'$"),
        ],
    )
    def test_what_is_missing_is_named_with_what_brings_it(self, name, told, monkeypatch):
        for module in [module for module in sys.modules if f"{module}.".startswith(("lsst.images.", "lsst.obs."))]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setattr(sys, "meta_path", [Without("lsst.images", "lsst.obs", "lsst.dax"), *sys.meta_path])
        with pytest.raises(ImportError, match=f"^the formatter names `{name}`, which cannot be imported: .*{told}"):
            import_object(name, "the formatter")

    def test_what_a_named_module_needs_is_named_with_what_brings_it(self, tmp_path, monkeypatch):
        (tmp_path / "armillary_probe_c.py").write_text("import lsst.afw.image\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(sys, "meta_path", [Without("lsst.afw"), *sys.meta_path])
        monkeypatch.setenv(named_objects.TRUSTED_MODULES_VARIABLE, "armillary_probe_c")
        with pytest.raises(ImportError, match=r"which needs `lsst\.afw`: .*; it comes with the LSST Science Pipelines"):
            import_object("armillary_probe_c.X", "the formatter")

    @pytest.mark.parametrize("name", ["eval", "exec", "print", "nope"])
    def test_builtins_that_are_not_plain_types(self, name):
        with pytest.raises(ImportError):
            import_object(name, "storage class `X`")

    def test_a_module_is_trusted_by_variable_or_by_importing_it(self, tmp_path, monkeypatch):
        (tmp_path / "armillary_probe_a.py").write_text("class X: pass\n")
        (tmp_path / "armillary_probe_b.py").write_text("class X: pass\n")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(UntrustedContentError):
            import_object("armillary_probe_a.X", "test")
        monkeypatch.setenv(named_objects.TRUSTED_MODULES_VARIABLE, "other, armillary_probe_a")
        assert import_object("armillary_probe_a.X", "test").__name__ == "X"
        with pytest.raises(UntrustedContentError):
            import_object("armillary_probe_b.X", "test")
        __import__("armillary_probe_b")
        assert import_object("armillary_probe_b.X", "test").__name__ == "X"

    def test_a_pytype_is_not_imported_before_it_is_used(self, factory):
        factory.addFromConfig({"Evil": {"pytype": "evil_module.X"}})
        made = factory.getStorageClass("Evil")
        assert made.pytype_name == "evil_module.X"
        with pytest.raises(UntrustedContentError, match="storage class `Evil` names `evil_module"):
            made.validateInstance(3)


def test_names_translate_both_ways():
    for peer, own in PEER_TO_OWN.items():
        assert to_own_name(peer) == own
        assert to_own_name(to_peer_name(own)) == own
    assert to_own_name("lsst.daf.butler.Timespans") == "lsst.daf.butler.Timespans"


@pytest.mark.parametrize("module", [storage_class, named_objects, peer_names])
def test_examples_run(module):
    result = doctest.testmod(module, extraglobs={"importlib": __import__("importlib.machinery")})
    assert result.attempted > 0
    assert result.failed == 0
