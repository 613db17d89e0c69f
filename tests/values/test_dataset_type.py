"""Dataset types: names, components, storage classes, JSON."""

import pickle
import subprocess
import sys

import pytest

from armillary import _core
from armillary._core import DatasetType, DimensionUniverse
from armillary.errors import DimensionNameError, UnknownComponentError, UnknownStorageClassError
from armillary.storage.storage_class import StorageClass, find_storage_class

UNIVERSE = DimensionUniverse()
DETECTOR = UNIVERSE.conform("detector")


@pytest.fixture(scope="module", autouse=True)
def storage_classes():
    """Classes of these tests beside those of the package."""
    whole = StorageClass("Whole", pytype=dict, components={name: StorageClass("Part", pytype=int) for name in "xy"})
    own = {
        "Whole": whole,
        "Part": StorageClass("Part", pytype=int),
        "Other": StorageClass("Other", pytype=list),
        "FromList": StorageClass("FromList", pytype=dict, converters={"list": "dict"}),
    }
    _core.set_storage_class_resolver(lambda name: own[name] if name in own else find_storage_class(name))
    yield own
    _core.set_storage_class_resolver(find_storage_class)


def dataset_type(name="raw", storage_class="Whole", **options):
    return DatasetType(name, DETECTOR, storage_class, **options)


def test_prints_as_it_is_made():
    assert repr(dataset_type()) == str(dataset_type()) == "DatasetType('raw', {instrument, detector}, Whole)"
    assert str(dataset_type("bias", isCalibration=True)) == (
        "DatasetType('bias', {instrument, detector}, Whole, isCalibration=True)"
    )
    assert str(dataset_type().makeComponentDatasetType("x")) == (
        "DatasetType('raw.x', {instrument, detector}, Part, parentStorageClass=Whole)"
    )


def test_the_storage_class_is_looked_up_when_asked_for(storage_classes):
    unknown = dataset_type(storage_class="Nope")
    assert unknown.storageClass_name == "Nope"
    with pytest.raises(UnknownStorageClassError, match="`Nope`"):
        unknown.storageClass  # noqa: B018
    assert dataset_type().storageClass is storage_classes["Whole"]
    given = dataset_type(storage_class=storage_classes["Other"])
    assert given.storageClass is storage_classes["Other"]
    assert given == dataset_type(storage_class="Other")
    assert hash(given) == hash(dataset_type(storage_class="Other"))


@pytest.mark.parametrize("name", ["", "bad name", "1raw", "rä", "raw\n", "../raw", "raw.", ".x", "a..b", "a-b", "a/b"])
def test_names_that_are_none_are_refused(name):
    with pytest.raises(ValueError, match="cannot be the name of a dataset type"):
        dataset_type(name, parentStorageClass="Whole" if "." in name else None)
    assert DatasetType.VALID_NAME_REGEX.fullmatch(name) is None


def test_a_component_needs_its_parent_and_nothing_else_does():
    with pytest.raises(ValueError, match=r"`raw\.x` is a component"):
        dataset_type("raw.x")
    with pytest.raises(ValueError, match="`raw` is not a component"):
        dataset_type("raw", parentStorageClass="Whole")


@pytest.mark.parametrize("storage_class", [None, 3, object()])
def test_a_storage_class_is_a_name_or_has_one(storage_class):
    with pytest.raises(ValueError, match="`StorageClass`"):
        dataset_type(storage_class=storage_class)


def test_dimensions_need_a_universe_and_must_exist():
    assert DatasetType("raw", ["detector"], "Whole", universe=UNIVERSE) == dataset_type()
    assert DatasetType("raw", "detector", "Whole", universe=UNIVERSE) == dataset_type()
    with pytest.raises(ValueError, match="universe"):
        DatasetType("raw", ["detector"], "Whole")
    with pytest.raises(DimensionNameError, match="did you mean `detector`"):
        DatasetType("raw", ["detectr"], "Whole", universe=UNIVERSE)
    with pytest.raises(TypeError):
        DatasetType("raw", DETECTOR)


def test_components_and_composites():
    whole = dataset_type(isCalibration=True)
    part = whole.makeComponentDatasetType("x")
    assert (whole.isComposite(), whole.isComponent(), whole.component()) == (True, False, None)
    assert (part.isComposite(), part.isComponent(), part.component()) == (False, True, "x")
    assert part.isCalibration()
    assert part.nameAndComponent() == ("raw", "x")
    assert part.makeCompositeDatasetType() == whole
    assert [one.name for one in whole.makeAllComponentDatasetTypes()] == ["raw.x", "raw.y"]
    assert whole.componentTypeName("x") == DatasetType.nameWithComponent("raw", "x") == "raw.x"
    assert DatasetType.splitDatasetTypeName("raw.x.y") == ("raw", "x.y")
    with pytest.raises(UnknownComponentError, match="`z`; it has x, y"):
        whole.makeComponentDatasetType("z")
    with pytest.raises(UnknownComponentError, match="it has no components"):
        part.makeComponentDatasetType("z")
    with pytest.raises(RuntimeError, match="not a component"):
        whole.makeCompositeDatasetType()


def test_storage_classes_are_overridden_where_something_converts(storage_classes):
    whole = dataset_type()
    assert whole.overrideStorageClass("Whole") is whole
    assert dataset_type(storage_class="FromList").overrideStorageClass("Other").storageClass_name == "Other"
    assert dataset_type(storage_class="Other").overrideStorageClass("FromList").storageClass_name == "FromList"
    with pytest.raises(ValueError, match=r"`Part`.*`Whole`"):
        whole.overrideStorageClass("Part")
    with pytest.raises(UnknownStorageClassError):
        whole.overrideStorageClass("Nope")
    part = whole.makeComponentDatasetType("x").overrideStorageClass(storage_classes["Part"])
    assert part.parentStorageClass is storage_classes["Whole"]


def test_compatible_means_other_storage_class_at_most():
    reader, writer = dataset_type(storage_class="FromList"), dataset_type(storage_class="Other")
    assert reader.is_compatible_with(writer)
    assert not writer.is_compatible_with(reader)
    assert reader.is_compatible_with(reader)
    assert not reader.is_compatible_with(dataset_type("other", "FromList"))
    assert not reader.is_compatible_with(dataset_type(storage_class="FromList", isCalibration=True))
    assert not reader.is_compatible_with(3)


def test_equality_and_order():
    assert dataset_type() == dataset_type()
    assert len({dataset_type(), dataset_type(), dataset_type("bias")}) == 2
    for other in (dataset_type("a"), dataset_type(storage_class="Part"), dataset_type(isCalibration=True), "raw", None):
        assert dataset_type() != other
    assert dataset_type() != DatasetType("raw", UNIVERSE.empty, "Whole")
    assert [one.name for one in sorted([dataset_type("c"), dataset_type("a"), dataset_type("b")])] == ["a", "b", "c"]
    with pytest.raises(TypeError):
        dataset_type() < "raw"  # noqa: B015


def test_json_is_the_format(shared_path):
    import json

    vectors = json.loads(shared_path("contract-fixtures", "vectors", "serialisations.json").read_text())
    for name in ("DatasetType", "DatasetType calib", "DatasetType coadd"):
        made = DatasetType.from_simple(vectors[name], universe=UNIVERSE)
        assert made.to_simple().model_dump() == vectors[name]
        assert DatasetType.from_json(made.to_json(), universe=UNIVERSE) == made
    meta = DatasetType.from_simple(vectors["DatasetType"], universe=UNIVERSE)
    assert meta.to_simple(minimal=True).model_dump() == vectors["DatasetType minimal"]
    assert meta.to_json(minimal=True) == '{"name":"meta"}'
    component = dataset_type().makeComponentDatasetType("x")
    assert DatasetType.from_json(component.to_json(), universe=UNIVERSE) == component


def test_a_minimal_form_asks_the_registry():
    class Registry:
        dimensions = UNIVERSE

        def getDatasetType(self, name):
            return dataset_type(name)

    assert DatasetType.from_json('{"name":"raw"}', registry=Registry()) == dataset_type()
    with pytest.raises(ValueError, match="`registry`"):
        DatasetType.from_json('{"name":"raw"}', universe=UNIVERSE)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"name": 3}', '{"name": "a b", "storageClass": "X", "dimensions": []}',
     '{"name": "a", "storageClass": "X", "dimensions": ["nope"]}', '{"name": "a", "storageClass": "X"}',
     '{"name": "a.b", "storageClass": "X", "dimensions": []}'],
)  # fmt: skip
def test_bad_json_is_refused(text):
    with pytest.raises((ValueError, KeyError)):
        DatasetType.from_json(text, universe=UNIVERSE)


def test_copies_are_equal():
    for made in (dataset_type(), dataset_type(isCalibration=True), dataset_type().makeComponentDatasetType("x")):
        assert pickle.loads(pickle.dumps(made)) == made


def test_a_resolver_can_be_called():
    with pytest.raises(TypeError, match="`3`"):
        _core.set_storage_class_resolver(3)


def test_storage_classes_are_known_as_soon_as_there_is_a_dataset_type():
    program = (
        "from armillary.butler import DatasetType, DimensionUniverse\n"
        "made = DatasetType('picture', ('detector',), 'FitsImage', universe=DimensionUniverse())\n"
        "print(made.storageClass.name, made.makeComponentDatasetType('wcs').storageClass_name)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "FitsImage FitsWcs\n"), ended.stderr
