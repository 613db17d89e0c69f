"""The Rust core. Users find these names in `armillary.butler` and `armillary.pipeline`."""

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping, Sequence
from collections.abc import Set as AbstractSet
from os import PathLike
from typing import Any, ClassVar, Final, TypeAlias, TypeVar, final

from typing_extensions import disjoint_base

def _error_classes() -> list[str]:
    """Names of the exception classes the core may raise."""

_DataIdValue: TypeAlias = int | str
_DataId: TypeAlias = DataCoordinate | Mapping[str, Any]
_DatasetIds: TypeAlias = Sequence[uuid.UUID | str | FileRecord] | bytes  # bytes: sixteen for each
_Dimensions: TypeAlias = DimensionGroup | str | Iterable[str | DimensionElement]
_Time: TypeAlias = Any  # astropy.time.Time
_Region: TypeAlias = Any  # lsst.sphgeom.Region
_StorageClass: TypeAlias = Any  # armillary.storage.StorageClass
_Registry: TypeAlias = Any  # anything with `dimensions`, `getDatasetType` and `getDataset`

@final
class DimensionUniverse:
    """All dimension elements of a repository, in the order that fixes columns, data ID keys and sorting.

    Without arguments, the universe of a new repository: version 8 of namespace `daf_butler`. Universes are equal if
    data IDs and records are the same in both; their documents may differ in prose.

    >>> universe = DimensionUniverse()
    >>> universe
    DimensionUniverse(8, daf_butler)
    >>> universe["visit"].required
    NamedValueSet({GovernorDimension(instrument), DatabaseDimension(visit)})
    """

    def __new__(cls, *, version: int | None = None, namespace: str | None = None) -> DimensionUniverse:
        """Raises `ConfigurationError` for a version that is not built in."""

    @staticmethod
    def default() -> DimensionUniverse:
        """The universe of a new repository."""

    @staticmethod
    def from_json(document: str) -> DimensionUniverse:
        """The universe a dimension document describes. Raises `ConfigurationError` if it describes none."""

    def to_json(self) -> str:
        """The dimension document."""

    @property
    def version(self) -> int: ...
    @property
    def namespace(self) -> str: ...
    @property
    def empty(self) -> DimensionGroup:
        """The group without dimensions."""

    @property
    def commonSkyPix(self) -> SkyPixDimension:
        """The pixelisation through which other spatial elements are related in the database."""

    @property
    def elements(self) -> DimensionElementSet[DimensionElement]: ...
    @property
    def dimensions(self) -> DimensionElementSet[Dimension]: ...
    @property
    def database_elements(self) -> DimensionElementSet[DimensionElement]:
        """Elements that are neither governors nor pixelisations."""

    @property
    def governor_dimensions(self) -> DimensionElementSet[GovernorDimension]: ...
    @property
    def skypix_dimensions(self) -> DimensionElementSet[SkyPixDimension]: ...
    @property
    def skypix(self) -> dict[str, SkyPixSystem]: ...
    def conform(self, dimensions: _Dimensions) -> DimensionGroup:
        """The group of these dimensions and of all they require or imply. Raises `DimensionNameError`.

        >>> DimensionUniverse().conform(["visit"])
        DimensionGroup({band, instrument, day_obs, physical_filter, visit})
        """

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getitem__(self, name: str, /) -> DimensionElement: ...
    def get(self, name: str, default: Any = None) -> Any: ...
    def __contains__(self, name: object, /) -> bool: ...
    def __iter__(self) -> Iterator[DimensionElement]: ...
    def __len__(self) -> int: ...
    def getElementIndex(self, name: str) -> int: ...
    def getDimensionIndex(self, name: str) -> int: ...
    def get_elements_populated_by(self, dimension: str | DimensionElement) -> DimensionElementSet[DimensionElement]:
        """The dimension, and the joins whose records are inserted with its own."""

    def sorted(self, elements: Iterable[str | DimensionElement], *, reverse: bool = False) -> list[DimensionElement]:
        """In the order of the universe."""

    def isCompatibleWith(self, other: DimensionUniverse) -> bool:
        """Whether the newer of the two has every element of the older."""

    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class DimensionGroup:
    """A set of dimensions, with all that they require or imply.

    >>> group = DimensionGroup(DimensionUniverse(), ["visit", "detector"])
    >>> group.required, group.implied
    ({instrument, detector, visit}, {band, day_obs, physical_filter})
    >>> "band" in group
    True
    """

    def __new__(cls, universe: DimensionUniverse, names: _Dimensions | None = None) -> DimensionGroup: ...
    @property
    def universe(self) -> DimensionUniverse: ...
    @property
    def names(self) -> DimensionNames: ...
    @property
    def required(self) -> DimensionNames:
        """Dimensions whose values identify data; no other dimension here implies them."""

    @property
    def implied(self) -> DimensionNames:
        """Dimensions whose values follow from those of the required ones."""

    @property
    def elements(self) -> DimensionNames:
        """Every element whose required dimensions are all here, joins included."""

    @property
    def governors(self) -> DimensionNames: ...
    @property
    def skypix(self) -> DimensionNames: ...
    @property
    def data_coordinate_keys(self) -> KeysView[str]:
        """Names in the order of a data ID: required, then implied."""

    @property
    def lookup_order(self) -> tuple[str, ...]:
        """Names of elements in an order in which each one's keys are known from those before it."""

    @property
    def spatial(self) -> tuple[TopologicalFamily, ...]: ...
    @property
    def temporal(self) -> tuple[TopologicalFamily, ...]: ...
    @property
    def region_dimension(self) -> str | None:
        """The element that has the region, if just one does."""

    @property
    def timespan_dimension(self) -> str | None:
        """The element that has the timespan, if just one does."""

    def __contains__(self, element: object, /) -> bool: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def __le__(self, other: DimensionGroup, /) -> bool: ...
    def __lt__(self, other: DimensionGroup, /) -> bool: ...
    def __ge__(self, other: DimensionGroup, /) -> bool: ...
    def __gt__(self, other: DimensionGroup, /) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def issubset(self, other: DimensionGroup) -> bool: ...
    def issuperset(self, other: DimensionGroup) -> bool: ...
    def isdisjoint(self, other: DimensionGroup) -> bool: ...
    def union(self, *operands: DimensionGroup) -> DimensionGroup: ...
    def intersection(self, *others: DimensionGroup) -> DimensionGroup: ...
    def difference(self, other: DimensionGroup) -> DimensionGroup: ...
    def __or__(self, other: DimensionGroup, /) -> DimensionGroup: ...
    def __ror__(self, other: DimensionGroup, /) -> DimensionGroup: ...
    def __and__(self, other: DimensionGroup, /) -> DimensionGroup: ...
    def __rand__(self, other: DimensionGroup, /) -> DimensionGroup: ...
    def __sub__(self, other: DimensionGroup, /) -> DimensionGroup: ...
    def __rsub__(self, other: DimensionGroup, /) -> DimensionGroup: ...
    def to_simple(self) -> list[str]: ...
    @staticmethod
    def from_simple(data: Iterable[str], universe: DimensionUniverse) -> DimensionGroup: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class DimensionNames(AbstractSet[str]):
    """Names of dimensions or elements, in the order of the universe.

    Operators with other sets give plain sets.

    >>> names = DimensionUniverse().conform(["detector"]).names
    >>> list(names), names == {"instrument", "detector"}
    (['instrument', 'detector'], True)
    """

    def __len__(self) -> int: ...
    def __contains__(self, name: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __getitem__(self, index: int, /) -> str: ...
    @property
    def names(self) -> DimensionNames:
        """Itself: where others have a set of elements, its names are one attribute away."""

    def isdisjoint(self, other: Iterable[Any], /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

_Element = TypeVar("_Element", bound=DimensionElement, covariant=True)

@final
class DimensionElementSet(AbstractSet[_Element]):
    """Elements of a universe, in its order, found by name too."""

    @property
    def names(self) -> DimensionNames: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_Element]: ...
    def __contains__(self, element: object, /) -> bool: ...
    def __getitem__(self, name: str | DimensionElement, /) -> _Element: ...
    def get(self, name: str | DimensionElement, default: Any = None) -> Any: ...
    def __hash__(self) -> int: ...

@disjoint_base
class DimensionElement:
    """A dimension, or a join between dimensions. Equals its name, and sorts in the order of the universe."""

    @property
    def name(self) -> str: ...
    @property
    def universe(self) -> DimensionUniverse: ...
    @property
    def required(self) -> DimensionElementSet[Dimension]:
        """Dimensions whose values make the key of its records, its own included."""

    @property
    def implied(self) -> DimensionElementSet[Dimension]:
        """Dimensions whose values a record determines directly."""

    @property
    def dimensions(self) -> DimensionElementSet[Dimension]: ...
    @property
    def minimal_group(self) -> DimensionGroup:
        """The group of all dimensions whose values its records determine."""

    @property
    def governor(self) -> GovernorDimension | None: ...
    @property
    def spatial(self) -> TopologicalFamily | None: ...
    @property
    def temporal(self) -> TopologicalFamily | None: ...
    @property
    def topology(self) -> dict[str, TopologicalFamily]: ...
    @property
    def alternate_keys(self) -> ColumnSpecs: ...
    @property
    def metadata_columns(self) -> ColumnSpecs: ...
    @property
    def metadata(self) -> ColumnSpecs:
        """As `metadata_columns`, with `nullable` as tables have it, where only keys must have values."""
    @property
    def schema(self) -> DimensionRecordSchema: ...
    @property
    def RecordClass(self) -> RecordClass:
        """Makes records of this element.

        >>> DimensionUniverse()["detector"].RecordClass(instrument="HSC", id=50, full_name="1_53").full_name
        '1_53'
        """

    @property
    def implied_union_target(self) -> DimensionElement | None:
        """The element whose table holds the values, when this one has no table of its own."""

    @property
    def viewOf(self) -> str | None: ...
    def hasTable(self) -> bool: ...
    @property
    def has_own_table(self) -> bool: ...
    @property
    def populated_by(self) -> Dimension | None: ...
    @property
    def alwaysJoin(self) -> bool: ...
    @property
    def defines_relationships(self) -> bool: ...
    @property
    def is_cached(self) -> bool: ...
    @property
    def documentation(self) -> str: ...
    def to_simple(self, minimal: bool = False) -> str: ...
    def to_json(self, minimal: bool = False) -> str: ...
    @staticmethod
    def from_simple(
        simple: str, universe: DimensionUniverse | None = None, registry: _Registry | None = None
    ) -> DimensionElement: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __lt__(self, other: DimensionElement, /) -> bool: ...
    def __le__(self, other: DimensionElement, /) -> bool: ...
    def __gt__(self, other: DimensionElement, /) -> bool: ...
    def __ge__(self, other: DimensionElement, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

class Dimension(DimensionElement):
    """An element that identifies data."""

    @property
    def primary_key(self) -> ColumnSpec: ...
    @property
    def primaryKey(self) -> ColumnSpec: ...
    @property
    def unique_keys(self) -> ColumnSpecs: ...
    @property
    def uniqueKeys(self) -> ColumnSpecs: ...
    @property
    def alternateKeys(self) -> ColumnSpecs: ...

@final
class GovernorDimension(Dimension):
    """A dimension that names a whole set of others: an instrument, a sky map."""

@final
class SkyPixDimension(Dimension):
    """One level of a pixelisation of the sky."""

    @property
    def system(self) -> SkyPixSystem: ...
    @property
    def level(self) -> int: ...
    @property
    def pixelization(self) -> Any:
        """The `lsst.sphgeom` object that knows the pixels."""

@final
class SkyPixSystem:
    """A pixelisation of the sky; `system[level]` is a dimension."""

    @property
    def name(self) -> str: ...
    @property
    def maxLevel(self) -> int: ...
    def __getitem__(self, level: int, /) -> SkyPixDimension: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class TopologicalFamily:
    """Elements whose regions, or whose timespans, relate to each other."""

    @property
    def name(self) -> str: ...
    @property
    def space(self) -> str:
        """`spatial` or `temporal`."""

    @property
    def members(self) -> DimensionNames: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class ColumnSpec:
    """One field of the records of an element."""

    @property
    def name(self) -> str: ...
    @property
    def doc(self) -> str: ...
    @property
    def type(self) -> str:
        """`int`, `float`, `bool`, `string`, `hash`, `region` or `timespan`."""

    @property
    def nullable(self) -> bool: ...
    @property
    def length(self) -> int | None:
        """The most characters of a string."""

    @property
    def nbytes(self) -> int | None:
        """The most bytes of a hash."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class ColumnSpecs:
    """Fields in column order, found by name too."""

    @property
    def names(self) -> tuple[str, ...]: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[ColumnSpec]: ...
    def __contains__(self, name: object, /) -> bool: ...
    def __getitem__(self, name: str, /) -> ColumnSpec: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class DimensionRecordSchema:
    """All fields of the records of an element; `print` tells the type of each and what it is."""

    @property
    def all(self) -> ColumnSpecs: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    def __len__(self) -> int: ...

@final
class DataCoordinate:
    """A data ID: values for the dimensions of a group, and their records when it is expanded.

    Equality, hash and order look at the values of the required dimensions only. On an expanded data ID, the record of
    an element is an attribute: `data_id.exposure.day_obs`.

    >>> data_id = DataCoordinate.standardize(instrument="HSC", detector=50, universe=DimensionUniverse())
    >>> data_id
    {instrument: 'HSC', detector: 50}
    >>> data_id["detector"], "visit" in data_id
    (50, False)
    """

    @staticmethod
    def standardize(
        mapping: _DataId | None = None,
        *,
        dimensions: _Dimensions | None = None,
        universe: DimensionUniverse | None = None,
        defaults: _DataId | None = None,
        **kwargs: Any,
    ) -> DataCoordinate:
        """A data ID from a mapping, keywords, or both; keywords win.

        With `dimensions`, other keys are left out; without, the keys decide. Implied values are kept if all are given.
        `defaults` fills in what is missing. A value inherited from `mapping` or `defaults` for an implied dimension is
        dropped if the dimension that implies it is given another value.

        Raises `DimensionNameError` for a key that is missing or no dimension, `DimensionValueError` for a value of the
        wrong type, `TypeError` if nothing tells the universe.

        >>> DataCoordinate.standardize({"instrument": "HSC"}, visit=903334, universe=DimensionUniverse())
        {instrument: 'HSC', visit: 903334}
        """

    @staticmethod
    def make_empty(universe: DimensionUniverse) -> DataCoordinate: ...
    @staticmethod
    def makeEmpty(universe: DimensionUniverse) -> DataCoordinate: ...
    @staticmethod
    def from_required_values(dimensions: DimensionGroup, values: Sequence[Any]) -> DataCoordinate:
        """From values in the order of `dimensions.required`. Raises `ValueError` for another number of them."""

    @staticmethod
    def from_full_values(dimensions: DimensionGroup, values: Sequence[Any]) -> DataCoordinate:
        """From values in the order of `dimensions.data_coordinate_keys`."""

    def __getitem__(self, key: str, /) -> Any: ...
    def get(self, key: str, default: Any = None) -> Any: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __bool__(self) -> bool: ...
    def __getattribute__(self, name: str, /) -> Any: ...
    def __dir__(self) -> list[str]: ...
    @property
    def dataId(self) -> DataCoordinate: ...
    @property
    def universe(self) -> DimensionUniverse: ...
    @property
    def dimensions(self) -> DimensionGroup: ...
    @property
    def required(self) -> DataIdMapping:
        """The values of the required dimensions."""

    @property
    def mapping(self) -> DataIdMapping:
        """All values that are known."""

    @property
    def required_values(self) -> tuple[_DataIdValue, ...]: ...
    @property
    def full_values(self) -> tuple[_DataIdValue, ...]:
        """Required, then implied values. Raises `ValueError` if the implied ones are not known."""

    def hasFull(self) -> bool:
        """Whether the values of the implied dimensions are known."""

    def hasRecords(self) -> bool:
        """Whether it is expanded."""

    @property
    def records(self) -> RecordMapping:
        """Records by element name. Raises `AssertionError` unless expanded, as `region` and `timespan` do."""

    @property
    def region(self) -> _Region | None:
        """The region of the finest element that has one; the intersection if there are several families."""

    @property
    def timespan(self) -> Timespan | None:
        """The timespan of the finest element that has one."""

    def subset(self, dimensions: _Dimensions) -> DataCoordinate:
        """The values of fewer dimensions, records kept. Raises `DimensionNameError` if one is not known."""

    def union(self, other: DataCoordinate) -> DataCoordinate:
        """The values of both; those of `other` win."""

    def expanded(self, records: Mapping[str, DimensionRecord | None]) -> DataCoordinate:
        """With records by element name. Raises `InconsistentDataIdError` for a record of another data ID."""

    def to_simple(self, minimal: bool = False) -> Simple: ...
    def to_json(self, minimal: bool = False) -> str:
        """As JSON; `minimal` leaves the records out."""

    @staticmethod
    def from_simple(
        simple: Any, universe: DimensionUniverse | None = None, registry: _Registry | None = None
    ) -> DataCoordinate: ...
    @staticmethod
    def from_json(
        json_str: str | bytes, universe: DimensionUniverse | None = None, registry: _Registry | None = None
    ) -> DataCoordinate: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __lt__(self, other: DataCoordinate, /) -> bool: ...
    def __le__(self, other: DataCoordinate, /) -> bool: ...
    def __gt__(self, other: DataCoordinate, /) -> bool: ...
    def __ge__(self, other: DataCoordinate, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class DataIdMapping(Mapping[str, _DataIdValue]):
    """Values of a data ID by dimension name."""

    @property
    def names(self) -> KeysView[str]: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def __getitem__(self, key: str, /) -> Any: ...
    def get(self, key: str, default: Any = None) -> Any: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class RecordMapping(Mapping[str, DimensionRecord | None]):
    """Records of a data ID by element name."""

    @property
    def names(self) -> KeysView[str]: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def __getitem__(self, key: str, /) -> DimensionRecord | None: ...
    def get(self, key: str, default: Any = None) -> Any: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class DimensionRecord:
    """One row of a dimension element; each field is an attribute, `region` and `timespan` among them.

    >>> record = DimensionUniverse()["day_obs"].RecordClass(instrument="HSC", id=20141118)
    >>> record.id, record.timespan, record.dataId
    (20141118, None, {instrument: 'HSC', day_obs: 20141118})
    """

    @property
    def definition(self) -> DimensionElement: ...
    @property
    def fields(self) -> DimensionRecordSchema: ...
    @property
    def dataId(self) -> DataCoordinate:
        """The data ID of the required dimensions."""

    def __getattribute__(self, name: str, /) -> Any: ...
    def __dir__(self) -> list[str]: ...
    def get(self, name: str) -> Any:
        """The value of a field. Raises `DimensionNameError`, with the nearest name."""

    def toDict(self, splitTimespan: bool = False) -> dict[str, Any]:
        """Values by field name; `splitTimespan` gives `datetime_begin` and `datetime_end` instead of `timespan`."""

    def to_simple(self, minimal: bool = False) -> Simple: ...
    def to_json(self, minimal: bool = False) -> str: ...
    @staticmethod
    def from_simple(
        simple: Any,
        universe: DimensionUniverse | None = None,
        registry: _Registry | None = None,
        cacheKey: object = None,
    ) -> DimensionRecord: ...
    @staticmethod
    def from_json(
        json_str: str | bytes, universe: DimensionUniverse | None = None, registry: _Registry | None = None
    ) -> DimensionRecord: ...
    def serialize_key_value(self) -> list[Any]:
        """The compact form: all values in field order."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class RecordClass:
    """Makes records of one element; `isinstance(record, element.RecordClass)` works."""

    def __call__(self, **fields: Any) -> DimensionRecord:
        """A record of these fields; the others are None.

        Raises `TypeError` for an unknown field, `DimensionValueError` for a value of the wrong type,
        `DimensionNameError` for a key left out.
        """

    @property
    def definition(self) -> DimensionElement: ...
    @property
    def fields(self) -> DimensionRecordSchema: ...
    @property
    def __name__(self) -> str: ...
    @property
    def __qualname__(self) -> str: ...
    def __instancecheck__(self, instance: object) -> bool: ...
    def from_simple(
        self, simple: Any, universe: DimensionUniverse | None = None, registry: _Registry | None = None
    ) -> DimensionRecord: ...
    def from_json(
        self, json_str: str | bytes, universe: DimensionUniverse | None = None, registry: _Registry | None = None
    ) -> DimensionRecord: ...
    def deserialize_key(self, raw: Sequence[Any]) -> tuple[tuple[Any, ...], list[Any]]: ...
    def deserialize_value(self, key: tuple[Any, ...], raw_value: Sequence[Any]) -> DimensionRecord: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class _SpecialTimespanBound:
    """The bound of a timespan that holds no time."""

    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Timespan:
    """A half-open interval of time, in whole nanoseconds TAI between 1970 and 2100.

    Bounds are `astropy.time.Time`, or None for unbounded. Equal bounds make an instant: one nanosecond.

    >>> night = Timespan.from_day_obs(20141118)
    >>> str(night), night.nsec
    ('[2014-11-18T00:00:00, 2014-11-19T00:00:00)', (1416268800000000000, 1416355200000000000))
    >>> night.overlaps(Timespan(None, None)), night.isEmpty()
    (True, False)
    """

    EMPTY: Final[_SpecialTimespanBound]
    yaml_tag: Final[str]
    def __new__(
        cls,
        begin: _Time | _SpecialTimespanBound | None,
        end: _Time | _SpecialTimespanBound | None,
        padInstant: bool = True,
        _nsec: tuple[int, int] | None = None,
    ) -> Timespan: ...
    @staticmethod
    def makeEmpty() -> Timespan: ...
    @staticmethod
    def fromInstant(time: _Time) -> Timespan: ...
    @staticmethod
    def from_day_obs(day_obs: int, offset: int = 0) -> Timespan:
        """The 24 hours of a date as YYYYMMDD that begin `offset` seconds after midnight TAI.

        Raises `DimensionValueError` if it is no date between 1970 and 2100.
        """

    @property
    def begin(self) -> Any:
        """An `astropy.time.Time`, None, or `Timespan.EMPTY`."""

    @property
    def end(self) -> Any: ...
    @property
    def nsec(self) -> tuple[int, int]:
        """Nanoseconds TAI since 1970; 0 and 4102444800000000000 stand for unbounded."""

    def isEmpty(self) -> bool: ...
    def overlaps(self, other: Timespan | _Time) -> bool: ...
    def contains(self, other: Timespan | _Time) -> bool: ...
    def intersection(self, *args: Timespan) -> Timespan: ...
    def difference(self, other: Timespan) -> Iterator[Timespan]:
        """The time here that is not in `other`: none, one or two timespans."""

    def model_dump(self, **_options: Any) -> tuple[int, int]: ...
    def model_dump_json(self, **_options: Any) -> str: ...
    @staticmethod
    def model_validate(obj: Any) -> Timespan: ...
    @staticmethod
    def model_validate_json(json_data: str | bytes) -> Timespan: ...
    def __lt__(self, other: Timespan | _Time, /) -> bool: ...
    def __gt__(self, other: Timespan | _Time, /) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class DatasetType:
    """What kind of thing a dataset is: a name, dimensions and a storage class.

    `storageClass` may be a name, which is looked up when the object is asked for.

    >>> DatasetType("bias", ["detector"], "ExposureF", universe=DimensionUniverse(), isCalibration=True)
    DatasetType('bias', {instrument, detector}, ExposureF, isCalibration=True)
    """

    VALID_NAME_REGEX: Final[re.Pattern[str]]
    def __new__(
        cls,
        name: str,
        dimensions: _Dimensions,
        storageClass: _StorageClass | str,
        parentStorageClass: _StorageClass | str | None = None,
        *,
        universe: DimensionUniverse | None = None,
        isCalibration: bool = False,
    ) -> DatasetType:
        """Raises `ValueError` for a name that is not one, or a component without its parent's storage class."""

    @property
    def name(self) -> str: ...
    @property
    def dimensions(self) -> DimensionGroup: ...
    @property
    def storageClass(self) -> _StorageClass:
        """Raises `UnknownStorageClassError` if no class has the name."""

    @property
    def storageClass_name(self) -> str: ...
    @property
    def parentStorageClass(self) -> _StorageClass | None: ...
    def isCalibration(self) -> bool: ...
    def isComponent(self) -> bool: ...
    def isComposite(self) -> bool: ...
    def component(self) -> str | None: ...
    def nameAndComponent(self) -> tuple[str, str | None]: ...
    @staticmethod
    def splitDatasetTypeName(datasetTypeName: str) -> tuple[str, str | None]: ...
    @staticmethod
    def nameWithComponent(datasetTypeName: str, componentName: str) -> str: ...
    def componentTypeName(self, component: str) -> str:
        """Raises `UnknownComponentError`, with the nearest name."""

    def makeComponentDatasetType(self, component: str) -> DatasetType: ...
    def makeAllComponentDatasetTypes(self) -> list[DatasetType]: ...
    def makeCompositeDatasetType(self) -> DatasetType:
        """The type this is a component of. Raises `RuntimeError` if it is none."""

    def overrideStorageClass(self, storageClass: _StorageClass | str) -> DatasetType:
        """The same type read or written as another class. Raises `ValueError` if nothing converts."""

    def is_compatible_with(self, other: object) -> bool:
        """Whether `other` differs in its storage class at most, and that converts to this one."""

    def conform_to(self, universe: DimensionUniverse) -> DatasetType: ...
    def to_simple(self, minimal: bool = False) -> Simple: ...
    def to_json(self, minimal: bool = False) -> str: ...
    @staticmethod
    def from_simple(
        simple: Any, universe: DimensionUniverse | None = None, registry: _Registry | None = None
    ) -> DatasetType: ...
    @staticmethod
    def from_json(
        json_str: str | bytes, universe: DimensionUniverse | None = None, registry: _Registry | None = None
    ) -> DatasetType: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __lt__(self, other: DatasetType, /) -> bool: ...
    def __le__(self, other: DatasetType, /) -> bool: ...
    def __gt__(self, other: DatasetType, /) -> bool: ...
    def __ge__(self, other: DatasetType, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class DatasetRef:
    """One dataset: its type, data ID, run and id.

    >>> universe = DimensionUniverse()
    >>> flat = DatasetType("flat", ["detector", "physical_filter"], "ExposureF", universe=universe)
    >>> ref = DatasetRef(flat, {"instrument": "HSC", "detector": 50, "physical_filter": "HSC-R"}, "HSC/calib")
    >>> ref.run, ref.id.version, ref.dataId
    ('HSC/calib', 7, {instrument: 'HSC', detector: 50, physical_filter: 'HSC-R'})
    """

    def __new__(
        cls,
        datasetType: DatasetType,
        dataId: _DataId,
        run: str,
        *,
        id: uuid.UUID | None = None,
        conform: bool = True,
        id_generation_mode: Any = None,
    ) -> DatasetRef:
        """`id_generation_mode` is a `DatasetIdGenEnum`; without `id`, it decides how one is made.

        Raises as `DataCoordinate.standardize` does.
        """

    @property
    def datasetType(self) -> DatasetType: ...
    @property
    def dataId(self) -> DataCoordinate: ...
    @property
    def run(self) -> str: ...
    @property
    def id(self) -> uuid.UUID: ...
    @property
    def dimensions(self) -> DimensionGroup: ...
    def isComponent(self) -> bool: ...
    def isComposite(self) -> bool: ...
    def makeComponentRef(self, name: str) -> DatasetRef: ...
    def makeCompositeRef(self) -> DatasetRef: ...
    def overrideStorageClass(self, storageClass: _StorageClass | str) -> DatasetRef: ...
    def replace(
        self,
        *,
        id: uuid.UUID | None = None,
        run: str | None = None,
        storage_class: _StorageClass | str | None = None,
    ) -> DatasetRef:
        """With another id, run or storage class. Another run without an id makes a new id."""

    def expanded(self, dataId: DataCoordinate) -> DatasetRef:
        """With an expanded data ID. Raises `InconsistentDataIdError` if it is another one."""

    def is_compatible_with(self, other: object) -> bool: ...
    def conform_to(self, universe: DimensionUniverse) -> DatasetRef: ...
    @staticmethod
    def groupByType(refs: Iterable[DatasetRef]) -> dict[DatasetType, list[DatasetRef]]: ...
    @staticmethod
    def iter_by_type(refs: Iterable[DatasetRef]) -> Iterator[tuple[DatasetType, list[DatasetRef]]]: ...
    def to_simple(self, minimal: bool = False) -> Simple: ...
    def to_json(self, minimal: bool = False) -> str: ...
    @staticmethod
    def from_simple(
        simple: Any,
        universe: DimensionUniverse | None = None,
        registry: _Registry | None = None,
        datasetType: DatasetType | None = None,
    ) -> DatasetRef: ...
    @staticmethod
    def from_json(
        json_str: str | bytes, universe: DimensionUniverse | None = None, registry: _Registry | None = None
    ) -> DatasetRef: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __lt__(self, other: DatasetRef, /) -> bool: ...
    def __le__(self, other: DatasetRef, /) -> bool: ...
    def __gt__(self, other: DatasetRef, /) -> bool: ...
    def __ge__(self, other: DatasetRef, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Simple:
    """A value object as plain data, with the methods of a pydantic model that other code calls."""

    def model_dump(
        self,
        *,
        exclude_defaults: bool = False,
        exclude_unset: bool = False,
        exclude_none: bool = False,
        **_options: Any,
    ) -> dict[str, Any]: ...
    def model_dump_json(
        self,
        *,
        exclude_defaults: bool = False,
        exclude_unset: bool = False,
        exclude_none: bool = False,
        **_options: Any,
    ) -> str: ...
    def __getattribute__(self, name: str, /) -> Any: ...
    def __getitem__(self, name: str, /) -> Any: ...
    def __eq__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

def read_yaml(text: str, /, *, source: str, constructors: dict[str, Callable[[Any], Any]]) -> Any:
    """Plain values of one YAML document, by the rules of YAML 1.1.

    `constructors` makes the values of tags, by their full names, out of plain values; `!uuid`, `!!binary` and the tags
    of plain values are known. Raises `ValidationError`, naming `source` and the line, for other tags, text that is not
    YAML, several documents, nesting deeper than 200 levels, and aliases that stand for more than 2,000,000 values.

    >>> read_yaml("a: [1, yes]", source="text", constructors={})
    {'a': [1, True]}
    """

def plain_parquet(
    content: bytes,
) -> tuple[int, dict[bytes, bytes], list[tuple[str, int, bytearray]]] | None:
    """Rows, metadata, and name, physical type and bytes of each column of a Parquet file of plain numbers.

    That is one group of rows, each column one page of 32- or 64-bit numbers, none missing, as they are or compressed
    with Snappy. Types are numbered as in the file: 1 INT32, 2 INT64, 4 FLOAT, 5 DOUBLE. None for all other files, and
    for what is no such file.
    """

def write_yaml(value: Any) -> str | None:
    r"""A mapping or list as YAML 1.1, as PyYAML writes it in block style with the keys in their order.

    Takes dicts, lists, tuples, text of ordinary letters, numbers, booleans and None, nothing derived from them, one in
    another to 100 levels; None for all else, which PyYAML may be able to write. What stands in several places is
    written in each.

    >>> write_yaml({"a": [1, 2.5, "x y"], "b": None})
    'a:\n- 1\n- 2.5\n- x y\nb: null\n'
    >>> write_yaml({"a": {1, 2}}) is None
    True
    """

def copy_files(pairs: Sequence[tuple[str, str]], /, *, durable: bool) -> tuple[list[int], BaseException | None]:
    """Copy files, given with their new names, of which none gets its name before it is whole; missing folders are made.

    Returns the sizes of the copies that got their names, which are the first ones, and what stopped the next one: an
    `OSError` that names the source or the copy (`FileExistsError` if the name is taken) or what Ctrl-C raises. None
    with fewer sizes than names says that the others cannot be copied so, for instance because their file system makes
    no files without a name. If `durable`, the named ones stay.
    """

def distinct_records(data_ids: Sequence[DataCoordinate], /) -> list[DimensionRecord]:
    """The records of expanded data IDs, each once. Raises `AssertionError` for a data ID without its records."""

def records_digest(data_ids: Sequence[DataCoordinate]) -> str | None:
    """Digest of the distinct records of data IDs, in any order; None if one of them comes without records.

    Examples
    --------
    >>> from armillary.butler import DataCoordinate, DimensionUniverse
    >>> records_digest([DataCoordinate.make_empty(DimensionUniverse())])
    'cae66941d9efbd404e4d88758ea67670'
    """

def set_storage_class_resolver(resolver: Callable[[str], _StorageClass]) -> None:
    """Set what finds a storage class by name. `armillary.storage` calls this when imported."""

def _new_dataset_id() -> uuid.UUID:
    """An id for a new dataset: a UUID of version 7."""

def _data_coordinate(
    dimensions: DimensionGroup,
    values: Sequence[Any],
    records: Mapping[str, DimensionRecord | None] | None = None,
) -> DataCoordinate: ...
def _dataset_ref(dataset_type: DatasetType, data_id: DataCoordinate, run: str, id: bytes) -> DatasetRef: ...
def _dataset_type(
    name: str,
    dimensions: DimensionGroup,
    storage_class: str,
    parent_storage_class: str | None,
    is_calibration: bool,
) -> DatasetType: ...
def _dimension_names(universe: DimensionUniverse, names: Sequence[str]) -> DimensionNames: ...
def _dimension_record(universe: DimensionUniverse, element: str, values: Sequence[Any]) -> DimensionRecord: ...

@final
@final
class QuantumGraphReader:
    """An open graph file. Nothing that it names is imported or run; what is read adds up.

    Raises `InvalidQuantumGraphFileError` for a damaged file, `TypeError` for a graph of another type.
    """

    def __new__(cls, path: str | PathLike[str]) -> QuantumGraphReader: ...
    @property
    def header(self) -> dict[str, Any]: ...
    @property
    def pipeline(self) -> PipelineGraph: ...
    def read_thin(self) -> QuantumGraph:
        """Quanta and edges without datasets."""

    def read_init(self) -> QuantumGraph:
        """Init datasets and dimension records, without quanta."""

    def read(self, ids: Sequence[uuid.UUID] | None = None) -> QuantumGraph:
        """Everything, or these quanta and those read before; an unknown id raises `LookupError`."""

@final
class QuantumGraph:
    """Quanta and datasets in columns; see `armillary.pipeline.quantum_graph.PredictedQuantumGraph`."""

    @staticmethod
    def from_documents(*, header: str, pipeline: str, init: str, records: str, quanta: Sequence[str]) -> QuantumGraph:
        """Put a graph together from the JSON documents of a file of another format.

        Records are lists of objects by element. Raises `InvalidQuantumGraphFileError`.
        """

    @property
    def header(self) -> dict[str, Any]: ...
    @property
    def pipeline(self) -> PipelineGraph: ...
    def __len__(self) -> int: ...
    @property
    def n_datasets(self) -> int: ...
    @property
    def n_edges(self) -> int: ...
    @property
    def n_task_quanta(self) -> list[tuple[str, int]]: ...
    def quanta(self) -> list[tuple[uuid.UUID, str]]:
        """Return (id, label) of all quanta: tasks in order, then by data ID."""

    def edge_indices(self) -> list[tuple[int, int]]:
        """Pairs of positions in `quanta()` of which the second quantum reads what the first writes."""

    def label(self, quantum_id: uuid.UUID) -> str: ...
    def data_id(self, quantum_id: uuid.UUID) -> DataCoordinate: ...
    def data_ids(self, label: str | None = None) -> list[tuple[str, uuid.UUID, DataCoordinate]]: ...
    def datasets(self, quantum_id: uuid.UUID) -> tuple[dict[str, list[DatasetRef]], dict[str, list[DatasetRef]]]:
        """Inputs and outputs by connection; each reference in the storage class of its connection."""

    def datastore_records(self, quantum_id: uuid.UUID) -> dict[uuid.UUID, list[FileRecord]]: ...
    def init_datastore_records(self, label: str) -> dict[uuid.UUID, list[FileRecord]]: ...
    def init_inputs(self, label: str) -> dict[str, DatasetRef]: ...
    def init_outputs(self, label: str) -> dict[str, DatasetRef]: ...
    def init_quanta(self) -> list[tuple[str, uuid.UUID]]: ...
    def dimension_records(self) -> dict[str, list[DimensionRecord]]: ...
    def refs(self, dataset_type: str) -> list[DatasetRef]: ...
    def with_output_run(self, run: str) -> QuantumGraph:
        """Return the same graph writing to another RUN; all quanta and all that they write get new ids."""

    def write(
        self,
        path: str | PathLike[str],
        *,
        level: int = 1,
        dictionary_size: int = 32768,
        dictionary_samples: int = 128,
    ) -> None:
        """Write a file that appears under its name when it is complete; a graph read in part is refused."""

@final
class GraphPartsReader:
    """An open graph file as named parts: documents of JSON, and blocks of JSON that are found by id.

    Raises `InvalidQuantumGraphFileError` for a damaged file.
    """

    def __new__(cls, path: str | PathLike[str]) -> GraphPartsReader: ...
    def has(self, name: str) -> bool: ...
    def document(self, name: str) -> bytes: ...
    def blocks(self, name: str, int_size: int = 8) -> list[bytes]:
        """All blocks of a member in their order; `int_size` is the width in bytes of its length words."""

    def find(self, table: str, member: str, column: int, ids: Sequence[uuid.UUID]) -> list[bytes | None]:
        """The blocks that ids have in a member, which is a column of the table; None for an id without one."""

@final
class GraphPartsWriter:
    """Writes a file of parts, which appears under its name when it is finished.

    `samples` are blocks to learn a dictionary of at most `dictionary_size` bytes from.
    """

    def __new__(
        cls,
        path: str | PathLike[str],
        *,
        level: int = 3,
        samples: Sequence[bytes] = ...,
        dictionary_size: int = 32768,
    ) -> GraphPartsWriter: ...
    def document(self, name: str, text: bytes) -> None: ...
    def begin_blocks(self, name: str) -> None: ...
    def block(self, column: int, ids: Sequence[uuid.UUID], text: bytes) -> None:
        """Write a block into the member begun last, to be found by each of the ids."""

    def finish(self, table: str, columns: int) -> None:
        """Write the table of addresses, with at least so many columns, and end the file."""

@final
class QuantumGraphBuilder:
    """A quantum graph that is being built, stage by stage; hooks of tasks are called between the stages.

    `constraint` is `"all"`, `"off"` or names of dataset types. See
    `armillary.pipeline.quantum_graph_builder.QuantumGraphBuilder`.
    """

    def __new__(
        cls,
        pipeline: PipelineGraph,
        registry: Registry,
        *,
        input_collections: Sequence[str],
        output_run: str,
        where: str = "",
        bind: Mapping[str, Any] | None = None,
        data_id: _DataId | None = None,
        skip_existing_in: Sequence[str] = ...,
        retained: Sequence[str] | None = None,
        clobber: bool = False,
        constraint: str | Sequence[str] | None = None,
        tables: Sequence[tuple[Sequence[str], Sequence[Sequence[str | int]]]] = ...,
        tract_slicing: bool = True,
        anchor: tuple[str, str] | None = None,
        given: tuple[Sequence[DataCoordinate], Sequence[DatasetRef]] | None = None,
    ) -> QuantumGraphBuilder: ...
    @property
    def labels(self) -> list[str]: ...
    @property
    def reasons(self) -> list[str]: ...
    def counts(self, label: str) -> dict[str, int]:
        """Return the quanta of a task by what became of them.

        `initial`, `skipped`, `reused`, `no_work`, `adjusted_away`, `unanchored` and `remaining`.
        """

    def lacking(self, label: str) -> list[tuple[str, int]]:
        """Connections that quanta of a task had too few datasets of, and how many quanta those were."""

    def batch(
        self, label: str
    ) -> list[tuple[int, DataCoordinate, dict[str, list[DatasetRef]], dict[str, list[DatasetRef]]]]:
        """Return row, data ID with records, inputs and outputs of all quanta of a task that are to run."""

    def found(self, label: str, connection: str, lists: Sequence[tuple[int, Sequence[DatasetRef]]]) -> None: ...
    def give(self, label: str, connection: str, references: Sequence[DatasetRef]) -> None:
        """Take datasets for an input of the only quantum of a task, besides those that its data ID has."""

    def apply(self, label: str, adjustments: Sequence[tuple[int, Any]]) -> None:
        """Take for each row `"no_work"`, `"removed"` or the changed inputs and outputs, all connections of them."""

    def settle(self, label: str) -> None:
        """Remove the quanta of a task that have too little to work on; for every task in order."""

    def reuse(
        self,
        label: str,
        quanta: Sequence[tuple[int, Sequence[tuple[DatasetRef, DatasetRef | None]]]],
        runs: Sequence[str],
    ) -> None:
        """Take outputs of earlier runs in place of quanta: rows, with what there is of each foretold output.

        `runs` are where the init-outputs of the task are looked for, the best first.
        """

    def finish(self, header: Mapping[str, Any], datastore: str | None = None) -> QuantumGraph: ...

@final
class Scheduler:
    """Hands out quanta as those before them finish: by label, then in the order in which they were given."""

    def __new__(cls, quanta: Sequence[tuple[object, str]], edges: Sequence[tuple[int, int]]) -> Scheduler: ...
    def take(self, count: int) -> list[int]:
        """At most `count` quanta that can run now; they count as running."""

    def finish(self, index: int) -> None: ...
    def fail(self, index: int) -> list[int]:
        """Return the quanta that can never run now."""

    def retry(self, index: int) -> None: ...
    def state(self, index: int) -> str: ...
    def __len__(self) -> int: ...
    @property
    def pending(self) -> int: ...
    @property
    def running(self) -> int: ...
    @property
    def done(self) -> bool: ...

@final
class PipelineGraph:
    """The tasks of a pipeline and the dataset types between them; see `armillary.pipeline.PipelineGraph`.

    Everything is plain data: a task is a dictionary with `label`, `task_class`, `dimensions`, `config_str`,
    `init_inputs`, `init_outputs`, `config_output`, `prerequisite_inputs`, `inputs`, `outputs`, `metadata_output`,
    `log_output` and `hooks`; an edge has `connection`, `dataset_type`, `storage_class`, `dimensions`, `is_calibration`,
    `defer_query_constraint`, `multiple`, `minimum` and `lookup`. `universe` is a dimension document (JSON).
    """

    def __new__(
        cls,
        universe: str | None = None,
        description: str = "",
        tasks: Sequence[Mapping[str, Any]] | None = None,
        subsets: Mapping[str, Mapping[str, Any]] | None = None,
        steps: Sequence[str] | None = None,
        data_id: Mapping[str, Any] | None = None,
    ) -> PipelineGraph: ...
    @staticmethod
    def from_json(text: str) -> PipelineGraph:
        """From the stored form; nothing named in it is imported or run. Raises `PipelineGraphReadError`."""

    def to_json(self) -> str: ...
    def copy(self) -> PipelineGraph: ...
    description: str
    @property
    def data_id(self) -> dict[str, Any]: ...
    @property
    def universe_document(self) -> str | None: ...
    @property
    def is_sorted(self) -> bool: ...
    @property
    def is_resolved(self) -> bool: ...
    @property
    def steps_verified(self) -> bool: ...
    @property
    def task_labels(self) -> list[str]:
        """In topological order once sorted."""

    @property
    def dataset_type_names(self) -> list[str]:
        """In topological order once sorted."""

    def task(self, label: str) -> dict[str, Any]: ...
    def dataset_type(self, name: str) -> dict[str, Any] | None:
        """The facts about a dataset type; None if unresolved. Raises `KeyError`.

        They are `dimensions`, `storage_class`, `is_calibration`, `is_initial_query_constraint` and `is_prerequisite`.
        """

    def add_tasks(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Add tasks, or none of them: raises `PipelineDataCycleError`, `ValueError` for a label in use."""

    def replace_tasks(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Replace tasks by other forms of them; dataset types of changed edges become unresolved."""

    def remove_tasks(self, labels: Sequence[str], *, drop_from_subsets: bool = True) -> list[tuple[str, set[str]]]:
        """Remove tasks; returns each with the subsets it was in."""

    def add_subset(
        self, label: str, tasks: set[str], description: str = ..., dimensions: set[str] | None = None
    ) -> None: ...
    def remove_subset(self, label: str) -> None: ...
    @property
    def subsets(self) -> dict[str, tuple[str, list[str], list[str]]]:
        """Label to (description, members, sharding dimensions)."""

    @property
    def steps(self) -> list[str]: ...
    def set_steps(self, steps: Sequence[str]) -> None: ...
    def sort(self) -> None: ...
    def resolve(
        self, registered: dict[str, dict[str, Any]], universe: str | None = None
    ) -> list[tuple[str, str, str, str | None, str, str]]:
        """Define all dataset types, sort, and check the steps.

        `registered` maps the names of registered types to `dimensions`, `storage_class`, `is_calibration`. Returns
        (label, connection, dataset type, component, from class, to class) for each conversion that the caller must find
        possible; if one is not, call `unresolve` and raise `IncompatibleDatasetTypeError`. For a component, `from` is
        the storage class of the whole (or `to` is it, for an output).
        """

    def unresolve(self) -> None: ...
    def nodes(self) -> list[tuple[str, str]]:
        """All nodes in order: (`dataset_type`, `task_init` or `task`; name)."""

    def edges(self) -> list[tuple[tuple[str, str], tuple[str, str], str]]:
        """All edges between nodes, each with the name of its connection."""

    def producer_of(self, name: str) -> tuple[str, str, bool] | None:
        """(task, connection, whether at its making) of the writer of a dataset type."""

    def consumers_of(self, name: str) -> list[tuple[str, str, bool]]: ...
    def overall_inputs(self) -> list[str]: ...
    def select(self, expression: str) -> set[str]:
        """Labels that an expression selects; raises `InvalidExpressionError`."""

    def range(self, first: str | None = None, last: str | None = None) -> set[str]:
        """Labels downstream of `first` and upstream of `last`, both included."""

    def restricted(self, labels: set[str]) -> PipelineGraph: ...
    def split_independent(self) -> list[PipelineGraph]: ...
    def differences(self, other: PipelineGraph) -> list[str]: ...

def region_relate(a: bytes, b: bytes) -> int:
    """How two encoded regions lie to each other: bits 1 disjoint, 2 `a` contains `b`, 4 `a` is within `b`."""

def region_overlaps(a: bytes, b: bytes) -> bool:
    """Whether two encoded regions may have a point in common."""

def region_relate_pairs(a: list[bytes], b: list[bytes]) -> bytes:
    """`region_relate` of each pair, one byte per pair."""

def region_contains(region: bytes, x: float, y: float, z: float) -> bool:
    """Whether a direction of length one is in an encoded region."""

def region_recode(region: bytes) -> bytes:
    """Decode a region and encode it again: equal bytes for all that the peer writes."""

def region_from_ivoa_pos(pos: str) -> bytes:
    """Encode the region of an SIA `POS` text: `CIRCLE lon lat radius`, `RANGE ...` or `POLYGON ...`, in degrees."""

def skypix_envelope(system: str, level: int, region: bytes) -> list[tuple[int, int]]:
    """Ranges (first, last + 1) of the pixels of `htm` or `healpix` that an encoded region may touch, ascending."""

def skypix_index(system: str, level: int, x: float, y: float, z: float) -> int:
    """Index of the pixel of `htm` or `healpix` that a direction lies in."""

@final
class FileRecord:
    """What a datastore knows of one file of a dataset.

    Parameters
    ----------
    path
        Below the datastore's root, or an absolute address.
    formatter
        The class that reads the file, by the name all clients know.
    storage_class
        Name of the storage class it was written with.
    component
        The component it holds; None for the whole dataset.
    checksum
        BLAKE2b-512 of its bytes in hexadecimal digits, if that was recorded.
    file_size
        Bytes; −1 or None if not known.

    Examples
    --------
    >>> from uuid import UUID
    >>> FileRecord(UUID(int=1), "run/a.yaml", "F", "StructuredDataDict", file_size=5)
    FileRecord('run/a.yaml', StructuredDataDict, 5 bytes)
    """

    def __new__(
        cls,
        dataset_id: uuid.UUID | str,
        path: str,
        formatter: str,
        storage_class: str,
        component: str | None = None,
        checksum: str | None = None,
        file_size: int | None = None,
    ) -> FileRecord: ...
    @property
    def dataset_id(self) -> uuid.UUID: ...
    @property
    def path(self) -> str: ...
    @property
    def formatter(self) -> str: ...
    @property
    def storage_class(self) -> str: ...
    @property
    def component(self) -> str | None: ...
    @property
    def checksum(self) -> str | None: ...
    @property
    def file_size(self) -> int: ...
    @property
    def shared(self) -> bool:
        """For trashed files: whether a dataset that is not trashed uses the same file."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Registry:
    """The database of one repository; safe to use from many threads.

    Every method that changes something is one transaction: all of it happens or nothing. Between `begin` and `commit`
    it is one step of the transaction of the calling thread; other threads that write wait until that ends.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/gen3.sqlite3"
    >>> Registry.create(path, DimensionUniverse())
    >>> registry = Registry.open(path, writeable=True)
    >>> registry.register_collection("u/me", 1)
    True
    >>> registry.collection("u/me")
    ('u/me', 1, None, ())
    """

    @staticmethod
    def create(path: str | PathLike[str], universe: DimensionUniverse) -> None:
        """Make a repository database. Raises `SchemaAlreadyDefinedError` where tables are already."""

    @staticmethod
    def open(path: str | PathLike[str], *, writeable: bool, durability: str = "full") -> Registry:
        """Open a repository database; for `durability` see `armillary.durability`.

        Raises
        ------
        MissingDatabaseTableError
            If the file is no repository database.
        IncompatibleVersionError, ManagerMismatchError, MissingManagerError
            If it is one that would be misunderstood.
        """

    @staticmethod
    def create_on_server(
        url: str, universe: DimensionUniverse, *, password: str | None = None, namespace: str | None = None
    ) -> None:
        """Make a repository database in a schema of a PostgreSQL database; the schema is made if it is not there.

        Raises `SchemaAlreadyDefinedError` where tables are already.
        """

    @staticmethod
    def open_on_server(
        url: str,
        *,
        writeable: bool,
        password: str | None = None,
        namespace: str | None = None,
        durability: str = "full",
    ) -> Registry:
        """Open a repository database in a schema of a PostgreSQL database, by default the first of the search path.

        Raises as `open`; the messages do not have the password.
        """

    @property
    def universe(self) -> DimensionUniverse: ...
    @property
    def writeable(self) -> bool: ...
    @property
    def path(self) -> str:
        """The file, or the URL without a password."""

    def close(self) -> None:
        """Give the files back; later calls fail or open them again."""

    def begin(self) -> None:
        """Begin a transaction, or a level of the one this thread has; nothing is locked before the first write."""

    def commit(self) -> None:
        """Keep the innermost level; the outermost one is then on disk."""

    def rollback(self) -> None:
        """Undo the innermost level."""

    def row_counts(self) -> dict[str, int]:
        """How many rows each table has."""

    def register_collection(self, name: str, kind: int, doc: str | None = None) -> bool:
        """Make a collection of kind 1 (RUN), 2 (TAGGED), 3 (CHAINED) or 4 (CALIBRATION); false if the name exists."""

    def collection(self, name: str) -> tuple[str, int, str | None, tuple[str, ...]]:
        """Name, kind, documentation and children. Raises `MissingCollectionError`."""

    def check_collection(self, name: str) -> None:
        """Raise `MissingCollectionError` if there is no such collection.

        The database is not asked about one that was there before: if others removed it a moment ago, it may pass.
        """

    def query_collections(
        self,
        patterns: Sequence[str] | None = None,
        kinds: Sequence[int] | None = None,
        *,
        flatten_chains: bool = False,
        include_chains: bool | None = None,
        dataset_type: str | None = None,
    ) -> list[str]:
        """Names of collections: those that fit the patterns, in their order, or all, in the order they were made."""

    def flatten_collections(self, names: Sequence[str]) -> list[str]:
        """The collections that are no chains behind these names, in search order, each once."""

    def parents(self, name: str) -> list[str]:
        """The chains a collection is a child of."""

    def check_not_chained(self, names: Sequence[str]) -> None:
        """Raise `OrphanedRecordError` if one is a child of a chain that is not among them; names the chains."""

    def set_collection_doc(self, name: str, doc: str | None) -> None: ...
    def set_chain(self, parent: str, children: Sequence[str]) -> None:
        """Replace all children. Raises `CollectionCycleError`, `CollectionTypeError` if `parent` is no chain."""

    def extend_chain(self, parent: str, children: Sequence[str]) -> None: ...
    def prepend_chain(self, parent: str, children: Sequence[str]) -> None: ...
    def remove_from_chain(self, parent: str, children: Sequence[str]) -> None: ...
    def remove_collection(self, name: str) -> None:
        """Remove a collection. Raises `OrphanedRecordError` if chains have it, or a RUN still has files."""

    def collection_summary(self, *names: str) -> tuple[list[str], dict[str, list[str]]]:
        """Dataset types that collections may hold together, and values of the governors of their datasets."""

    def refresh_summaries(self) -> int:
        """Forget dataset types that collections no longer hold; say how many."""

    def register_dataset_type(self, dataset_type: DatasetType) -> bool:
        """Register a dataset type; false if it is registered. Raises `ConflictingDefinitionError` if differently."""

    def dataset_type(self, name: str, *, recent: bool = False) -> DatasetType:
        """The dataset type, or component, of this name. Raises `MissingDatasetTypeError` with the nearest name.

        With `recent` a server is not asked whether others changed a type that was read before: enough for a dataset
        that is to be written, which is refused if the type is gone, and for a query, which looks again.
        """

    def query_dataset_types(self, patterns: Sequence[str] | None = None) -> list[DatasetType]:
        """Dataset types whose names fit; names that no dataset type has are left out."""

    def remove_dataset_type(self, name: str) -> None:
        """Remove a dataset type. Raises `OrphanedRecordError` while it has datasets."""

    def insert_records(
        self,
        element: str,
        rows: Iterable[DimensionRecord | Mapping[str, Any]],
        *,
        replace: bool = False,
        skip_existing: bool = False,
    ) -> None:
        """Insert dimension records, all or none.

        Raises
        ------
        ConflictingDefinitionError
            If a record exists and neither `replace` nor `skip_existing` is set.
        DataIdValueError
            If a record names one that does not exist; says which.
        """

    def sync_record(
        self, element: str, row: DimensionRecord | Mapping[str, Any], *, update: bool = False
    ) -> bool | dict[str, Any]:
        """Insert a record (true), or find it there (false), or change it and return the old values of what differed.

        Raises `ConflictingDefinitionError` if it differs and `update` is not set.
        """

    def expand_data_id(self, data_id: _DataId, *, to_write: bool = False) -> DataCoordinate:
        """The data ID with the values of all its dimensions and their records.

        For a dataset that is to be written a server is not asked whether others changed records that were read before.

        Raises
        ------
        DataIdValueError
            If there is no such record; lists what there is.
        InconsistentDataIdError
            If the records contradict the data ID.
        """

    def expand_data_ids(self, ids: Sequence[_DataId]) -> list[DataCoordinate]:
        """As `expand_data_id`, reading each record once."""

    def insert_datasets(
        self,
        dataset_type: DatasetType | str,
        run: str,
        data_ids: Sequence[_DataId],
        *,
        ids: Sequence[uuid.UUID] | None = None,
        mode: int = 0,
        expand: bool = False,
    ) -> list[DatasetRef]:
        """Enter new datasets into a run.

        Parameters
        ----------
        mode
            How ids are made: 0 never the same twice, 1 from dataset type and data ID, 2 from these and the run.
        expand
            Whether the data IDs of what is given back have implied values and records.

        Raises
        ------
        MissingRecordError
            If a data ID names a record that is not there.
        ConflictingDefinitionError
            If the run has a dataset of the type with one of the data IDs, or an id is taken.
        """

    def import_datasets(self, refs: Sequence[DatasetRef]) -> list[DatasetRef]:
        """Enter datasets with the ids they have; pass over those that are there, refuse contradictions."""

    def find_dataset(
        self,
        dataset_type: str,
        data_id: _DataId,
        collections: Sequence[str],
        *,
        timespan: Timespan | None = None,
    ) -> DatasetRef | None:
        """The dataset in the first collection that has one.

        CALIBRATION collections are searched for one valid at some time of `timespan`, and passed over without it.
        Raises `CalibrationLookupError` if several are valid.
        """

    def find_records(
        self,
        dataset_type: str,
        data_id: _DataId,
        collections: Sequence[str],
        *,
        timespan: Timespan | None = None,
        table: str = "file_datastore_records",
    ) -> tuple[DatasetRef, list[FileRecord]] | None:
        """As `find_dataset`, with the records of its files, in one statement, for reading it.

        Without `timespan`, CALIBRATION collections are searched for one valid at any time.
        """

    def get_dataset(self, id: uuid.UUID | str) -> DatasetRef | None: ...
    def get_datasets(self, ids: Sequence[uuid.UUID | str]) -> list[DatasetRef | None]: ...
    def run_dataset_ids(self, run: str) -> list[uuid.UUID]: ...
    def packed_dataset_ids(self, runs: Sequence[str]) -> bytes:
        """The ids of all datasets of runs, sixteen bytes each: quicker for what takes many."""

    def remove_datasets(self, refs: Sequence[DatasetRef]) -> None:
        """Remove datasets without files. Raises `OrphanedRecordError` if one has some, and then removes none."""

    def associate(self, collection: str, refs: Sequence[DatasetRef]) -> None:
        """Put datasets into a TAGGED collection, which has at most one for each data ID of a dataset type."""

    def disassociate(self, collection: str, refs: Sequence[DatasetRef]) -> None: ...
    def certify(self, collection: str, refs: Sequence[DatasetRef], timespan: Timespan) -> None:
        """Make datasets valid for a time. Raises `ConflictingDefinitionError` where others are valid then."""

    def decertify(
        self,
        collection: str,
        dataset_type: str,
        timespan: Timespan,
        data_ids: Sequence[_DataId] | None = None,
    ) -> None:
        """End the validity of datasets during a time; what lies before and after stays."""

    def dataset_associations(
        self, dataset_type: str, collections: Sequence[str], kinds: Sequence[int] | None = None
    ) -> list[tuple[DatasetRef, str, Timespan | None]]:
        """Every membership of datasets of a type, with the time of validity in CALIBRATION collections."""

    def prepare_datastore(self, table: str = "file_datastore_records") -> None:
        """Make the tables of a datastore, if they are not there."""

    def begin_write(self, datastore_name: str, paths: Sequence[str]) -> int:
        """Announce files that are about to be written; returns the number of the intent."""

    def write_announced(
        self, datastore_name: str, root: str, path: str, content: bytes, *, durable: bool
    ) -> int | None:
        """Announce and write one new file below `root`; returns the number of the intent.

        The file has no name until it is whole. None, and nothing is done, where files cannot be made without a name.
        Raises `OSError`; `FileNotFoundError` if there is no folder for it, `FileExistsError` if the name is taken.
        """

    def finish_write(
        self,
        intent: int | None,
        datastore_name: str,
        refs: Sequence[DatasetRef],
        records: Sequence[FileRecord],
        *,
        register: bool,
        table: str = "file_datastore_records",
    ) -> None:
        """Enter written datasets, their locations and files, and take the intent away: one transaction."""

    def abandon_write(self, intent: int) -> None:
        """Take an intent away after its files were removed."""

    def begin_recovery(self, tables: Mapping[str, str]) -> list[tuple[int, str, list[str]]]:
        """Intents of processes on this machine that no longer run: number, datastore, files nobody else names.

        `tables` has the table of records of each datastore; intents of other datastores are left alone.
        Until `end_recovery` is called, every writer waits.
        """

    def end_recovery(self, undone: Sequence[int]) -> None:
        """End what `begin_recovery` began: the files of the intents `undone` are gone, the others stay for later."""

    def announced_files(self) -> list[tuple[str, str, bool]]:
        """Files that are announced now: datastore, path, and whether the writer is known to be gone."""

    def records(self, ids: _DatasetIds, *, table: str = "file_datastore_records") -> list[FileRecord]: ...
    def file_paths(self, ids: _DatasetIds, *, table: str = "file_datastore_records") -> list[str]:
        """The paths of the files of datasets, in any order; an archive is there once, as `PATH#zip-path=`."""

    def unnamed_files(self, paths: Sequence[str], *, table: str = "file_datastore_records") -> list[str]:
        """Those of some paths, as `file_paths` gives them, that no record names."""

    def locations(self, ids: Sequence[uuid.UUID], datastore_name: str | None = None) -> dict[uuid.UUID, list[str]]:
        """Names of the datastores that have each dataset; datasets in none are left out."""

    def unstore(
        self, datastore_name: str, ids: _DatasetIds, *, purge: bool, table: str = "file_datastore_records"
    ) -> None:
        """Forget that a datastore has datasets, and their files; `purge` removes the datasets, too: one transaction."""

    def trashed(self, datastore_name: str, *, table: str = "file_datastore_records") -> list[FileRecord]:
        """The files that other clients marked for deletion."""

    def empty_trash(self, datastore_name: str, ids: _DatasetIds, *, table: str = "file_datastore_records") -> None:
        """Forget the records of trashed datasets whose files are gone."""

@final
class QueryEngine:
    """Answers queries of one repository; safe to use from many threads.

    Every request takes the same keyword arguments beside its own:

    `data_id`
        A data ID or mapping with values that dimensions must have.
    `defaults`
        Values of governors (`instrument`, `skymap`) that hold where nothing else is said about them.
    `where`
        An expression, or several that must all hold.
    `bind`
        Values of the `:names` in the expressions: numbers, text, bytes, UUIDs, astropy times, `Timespan`, sphgeom
        regions, directions (`LonLat`, a scalar `SkyCoord`), and lists of those for `IN`.
    `joins`
        Pairs of a dataset type and collections; a row needs a dataset of each.
    `uploads`
        Pairs of dimension names and rows of values; a row must match one of each.
    `dimensions_joined`
        Dimensions that take part besides those that the answer and the conditions need.
    `order_by`
        Columns to sort by, such as `visit.exposure_time`; `-visit` sorts downwards.
    `limit`, `offset`
        How many rows at most, and how many to leave out first.
    `with_records`
        Whether the records of all elements come with the data IDs.
    `mode`
        What is wanted: the `rows` (`DataCoordinates`, `DatasetRefs`, `DimensionRecords` or `Rows`), their number
        (`count`), whether there are `any`, why there are none (`explain`, a list of sentences), what each condition and
        search leaves (`funnel`, pairs of a text and a number), the SELECT with values left as parameters (`sql`), or
        the names of all dimensions that the query has to do with (`dimensions`).

    Errors: `InvalidQueryError` with the place in the text, `UnimplementedQueryError`, `MissingCollectionError`,
    `MissingDatasetTypeError`, `CalibrationLookupError`, `DimensionNameError`.

    Examples
    --------
    >>> from armillary._core import QueryEngine, Registry  # doctest: +SKIP
    >>> engine = QueryEngine(Registry.open("repo/gen3.sqlite3", writeable=False))  # doctest: +SKIP
    >>> engine.data_ids(["visit"], where="instrument = 'HSC' AND band = 'i'", limit=1)[0]  # doctest: +SKIP
    {instrument: 'HSC', visit: 1228, band: 'i', day_obs: 20141117, physical_filter: 'HSC-I'}
    """

    def __new__(cls, registry: Registry) -> QueryEngine: ...
    def data_ids(self, dimensions: Any, *, mode: str = "rows", **common: Any) -> Any:
        """Find data IDs of these dimensions."""

    def datasets(
        self,
        dataset_type: str,
        collections: Sequence[str],
        *,
        find_first: bool = True,
        mode: str = "rows",
        **common: Any,
    ) -> Any:
        """Find datasets; with `find_first` only those of the first collection that has one of a data ID."""

    def records(self, element: str, *, mode: str = "rows", **common: Any) -> Any:
        """Find records of an element."""

    def general(
        self,
        dimensions: Any,
        columns: Sequence[str],
        *,
        find_first: str | None = None,
        mode: str = "rows",
        **common: Any,
    ) -> Any:
        """Find data IDs with chosen columns beside them: `visit.exposure_time`, `calexp.run`, `bias.timespan`.

        `find_first` names the joined dataset type of which only the first collection with a data ID counts.
        """

@final
class DataCoordinates(Sequence[DataCoordinate]):
    """Data IDs that a query found, in columns; each becomes an object when it is touched."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[DataCoordinate]: ...
    def columns(self) -> dict[str, list[Any]]:
        """Each column as a list, by name."""

    @property
    def data_ids(self) -> DataCoordinates:
        """The data IDs of the rows."""

    @property
    def names(self) -> list[str]:
        """The names of the columns."""

    def buffers(self) -> tuple[int, list[tuple[str, Any]], list[tuple[str, Any, list[tuple[str, bool, Any]]]]]:
        """Number of rows, name and Arrow buffers of each column, and of each element name, positions and fields."""

    @property
    def reasons(self) -> list[str]:
        """Why there are no rows, if that was clear before looking."""

@final
class DatasetRefs(Sequence[DatasetRef]):
    """Datasets that a query found, in columns; each becomes an object when it is touched."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[DatasetRef]: ...
    def columns(self) -> dict[str, list[Any]]:
        """Each column as a list, by name; `dataset_id` and `run` among them."""

    @property
    def data_ids(self) -> DataCoordinates:
        """The data IDs of the rows."""

    @property
    def names(self) -> list[str]:
        """The names of the columns."""

    def buffers(self) -> tuple[int, list[tuple[str, Any]], list[tuple[str, Any, list[tuple[str, bool, Any]]]]]:
        """Number of rows, name and Arrow buffers of each column, and of each element name, positions and fields."""

    @property
    def reasons(self) -> list[str]:
        """Why there are no rows, if that was clear before looking."""

@final
class DimensionRecords(Sequence[DimensionRecord]):
    """Records that a query found, in columns; each becomes an object when it is touched."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[DimensionRecord]: ...
    def columns(self) -> dict[str, list[Any]]:
        """The keys of the records as lists, by name."""

    @property
    def data_ids(self) -> DataCoordinates:
        """The data IDs of the rows."""

    @property
    def names(self) -> list[str]:
        """The names of the columns."""

    def buffers(self) -> tuple[int, list[tuple[str, Any]], list[tuple[str, Any, list[tuple[str, bool, Any]]]]]:
        """Number of rows, name and Arrow buffers of each column, and of each element name, positions and fields."""

    @property
    def reasons(self) -> list[str]:
        """Why there are no rows, if that was clear before looking."""

@final
class Rows(Sequence[dict[str, Any]]):
    """Rows of chosen columns that a query found; each becomes a dictionary when it is touched."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    def columns(self) -> dict[str, list[Any]]:
        """Each column as a list, by name."""

    @property
    def data_ids(self) -> DataCoordinates:
        """The data IDs of the rows."""

    @property
    def names(self) -> list[str]:
        """The names of the columns."""

    def buffers(self) -> tuple[int, list[tuple[str, Any]], list[tuple[str, Any, list[tuple[str, bool, Any]]]]]:
        """Number of rows, name and Arrow buffers of each column, and of each element name, positions and fields."""

    @property
    def reasons(self) -> list[str]:
        """Why there are no rows, if that was clear before looking."""
