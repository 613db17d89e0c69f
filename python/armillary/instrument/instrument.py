"""The base of every camera: its name, its collections, its configuration overrides."""

from __future__ import annotations

import datetime
import importlib
from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing import Self

    from armillary.instrument.camera_geometry import CameraGeometry
    from armillary.instrument.observation_info import Translator

TIMESTAMP_FORMAT = "%Y%m%dT%H%M%S%z"


class Instrument(metaclass=ABCMeta):
    """One camera: how it is registered, how its raw frames are read, where its data go.

    `collection_prefix` begins the names of its collections; it is the camera's name unless given. Subclasses give
    `getName`, `register`, `getRawFormatter` and, to ingest raw frames, `translator`.

    >>> from armillary.instrument import Nickel
    >>> Nickel().makeDefaultRawIngestRunName(), Nickel(collection_prefix="lick").makeUmbrellaCollectionName()
    ('Nickel/raw/all', 'lick/defaults')
    """

    configPaths: Sequence[str] = ()
    """Directories searched for `<task name>.py` overrides."""

    policyName: str | None = None
    """Kept for tasks that ask for it; nothing here uses it."""

    raw_definition: ClassVar[tuple[str, tuple[str, ...], str] | None] = None
    """Name, dimensions and storage class of the raw dataset type; None for the usual `raw`."""

    camera_geometry: CameraGeometry | None = None
    """Where the detectors lie in the focal plane; None if the headers of raw frames tell what each sees."""

    def __init__(self, collection_prefix: str | None = None):
        self.collection_prefix = self.getName() if collection_prefix is None else collection_prefix

    @classmethod
    @abstractmethod
    def getName(cls) -> str:
        """The camera's name, as in the `instrument` dimension."""
        raise NotImplementedError

    @abstractmethod
    def register(self, registry: Any, *, update: bool = False) -> None:
        """Insert the camera's records (instrument, detectors, filters); with `update`, change what differs."""
        raise NotImplementedError

    @abstractmethod
    def getRawFormatter(self, dataId: Any) -> Any:
        """The formatter class that reads the raw frame of a data ID."""
        raise NotImplementedError

    @property
    def translator(self) -> Translator:
        """What reads this camera's headers; `NotImplementedError` if its raw frames cannot be ingested here."""
        raise NotImplementedError(f"`{self.getName()}` does not say how its headers are read")

    @classmethod
    def fromName(cls, name: str, registry: Any, collection_prefix: str | None = None) -> Self:
        """Make the camera that is registered under a name.

        Raises `LookupError` if none is, `TypeError` if its class is no `Instrument`.
        """
        records = list(registry.queryDimensionRecords("instrument", instrument=name))
        if not records:
            from armillary._words import nearest

            known = sorted(record.name for record in registry.queryDimensionRecords("instrument"))
            near = nearest(name, known)
            hint = f"; did you mean `{near}`?" if near else "; `butler register-instrument` adds one"
            raise LookupError(f"no registered instrument with name `{name}`{hint}")
        from armillary.instrument.described import DescribedInstrument

        if records[0].class_name == f"{DescribedInstrument.__module__}.DescribedInstrument":
            return DescribedInstrument.of_repository(name, registry, collection_prefix)  # type: ignore[return-value]
        return cls._make(records[0].class_name, collection_prefix)

    @classmethod
    def from_string(cls, name: str, registry: Any = None, collection_prefix: str | None = None) -> Self:
        """Make a camera from the dotted name of its class, or from its registered name if a registry is given.

        A registered name may have dots, too. Raises `RuntimeError` if there is neither.
        """
        if registry is not None and ("." not in name or _is_registered(name, registry)):
            try:
                return cls.fromName(name, registry, collection_prefix)
            except Exception as error:
                raise RuntimeError(f"could not get the instrument `{name}`: {error}") from error
        try:
            return cls._make(name, collection_prefix)
        except ImportError as error:
            elsewhere = registry is not None and isinstance(error, ModuleNotFoundError)
            registered = "; no camera is registered under that name either" if elsewhere else ""
            raise RuntimeError(f"could not import the instrument `{name}`: {error}{registered}") from error

    @classmethod
    def from_data_id(cls, data_id: Any, collection_prefix: str | None = None) -> Self:
        """Make the camera of an expanded data ID."""
        return cls._make(data_id.records["instrument"].class_name, collection_prefix)

    @staticmethod
    def importAll(registry: Any) -> dict[str, type[Instrument]]:
        """Import the classes of all registered cameras; those that cannot be imported are left out."""
        return Instrument._import_registered(registry)[0]

    @staticmethod
    def _import_registered(registry: Any) -> tuple[dict[str, type[Instrument]], dict[str, str]]:
        """The classes of registered cameras, and why those that are left out cannot be imported."""
        found: dict[str, type[Instrument]] = {}
        reasons: dict[str, str] = {}
        for record in registry.queryDimensionRecords("instrument"):
            if record.class_name is None:
                continue
            try:
                found[record.name] = _import_class(record.class_name)
            except (ImportError, TypeError) as error:
                reasons[record.name] = str(error)
        return found, reasons

    @classmethod
    def _make(cls, class_name: str | None, collection_prefix: str | None) -> Self:
        if class_name is None:
            raise TypeError("it is registered without the name of a class")
        instrument_class = _import_class(class_name)
        if not issubclass(instrument_class, cls):
            raise TypeError(f"`{class_name}` is no `{cls.__name__}`")
        return instrument_class(collection_prefix=collection_prefix)

    def applyConfigOverrides(self, name: str, config: Any) -> None:
        """Apply the camera's override file for a task, `<name>.py` in each of `configPaths`, if there is one."""
        for directory in self.configPaths:
            path = Path(directory) / f"{name}.py"
            if path.exists():
                config.load(str(path))

    @staticmethod
    def make_default_dimension_packer(data_id: Any, is_exposure: bool | None = None) -> Any:
        """Make the packer of visits (or exposures) and detectors that the camera of an expanded data ID chooses."""
        from armillary.instrument.dimension_packer import DefaultPackerConfig

        return DefaultPackerConfig().packer.apply(data_id, is_exposure=is_exposure)

    def _make_default_dimension_packer(
        self, config_dict: Any, data_id: Any, is_exposure: bool | None = None, default: str = "observation"
    ) -> Any:
        """Make the packer of this camera; cameras that number things in a way of their own override this.

        `config_dict` is the field of the config, whose entries are settings of each packer by name.
        """
        return config_dict.apply_with(default, data_id, is_exposure=is_exposure)

    @staticmethod
    def make_dimension_packer_config_field(
        doc: str = "How visit and detector, or exposure and detector, become a number; None: as the camera chooses.",
    ) -> Any:
        """Make a config field whose `apply(data_id, is_exposure=...)` gives a packer.

        Parameters
        ----------
        doc
            What the field is for.

        Examples
        --------
        >>> from lsst.pex.config import Config
        >>> class Numbering(Config):
        ...     packer = Instrument.make_dimension_packer_config_field()
        >>> config = Numbering()
        >>> config.packer.name = "observation"
        >>> config.packer["observation"].n_detectors = 100
        """
        from armillary.instrument.dimension_packer import make_packer_field

        return make_packer_field(doc)

    @staticmethod
    def makeCollectionTimestamp() -> str:
        """Now, as it stands in collection names.

        >>> len(Instrument.makeCollectionTimestamp())
        16
        """
        return Instrument.formatCollectionTimestamp(datetime.datetime.now(tz=datetime.UTC))

    @staticmethod
    def formatCollectionTimestamp(timestamp: str | datetime.datetime) -> str:
        """A time as it stands in collection names: UTC, to the second; without a time zone it is taken as UTC.

        >>> Instrument.formatCollectionTimestamp("2024-01-02T03:04:05+01:00")
        '20240102T020405Z'
        """
        if isinstance(timestamp, str):
            timestamp = _parse_timestamp(timestamp)
        if not isinstance(timestamp, datetime.datetime):
            raise TypeError(f"a time or its text is needed, not `{timestamp}`")
        if timestamp.tzinfo is None:
            timestamp = timestamp.replace(tzinfo=datetime.UTC)
        return timestamp.astimezone(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")

    def makeCollectionName(self, *labels: str) -> str:
        """Join labels behind the camera's prefix."""
        return "/".join((self.collection_prefix, *labels))

    def makeDefaultRawIngestRunName(self) -> str:
        """The run that raw frames go to."""
        return self.makeCollectionName("raw", "all")

    def makeUnboundedCalibrationRunName(self, *labels: str) -> str:
        """The run for calibrations that are always valid."""
        return self.makeCollectionName("calib", *labels, "unbounded")

    def makeCuratedCalibrationRunName(self, calibDate: str, *labels: str) -> str:
        """The run for curated calibrations that begin to be valid on a date."""
        return self.makeCollectionName("calib", *labels, "curated", self.formatCollectionTimestamp(calibDate))

    def makeCalibrationCollectionName(self, *labels: str) -> str:
        """The calibration collection with these labels."""
        return self.makeCollectionName("calib", *labels)

    @staticmethod
    def makeRefCatCollectionName(*labels: str) -> str:
        """The collection of reference catalogues; they belong to no camera."""
        return "/".join(("refcats", *labels))

    def makeUmbrellaCollectionName(self) -> str:
        """The chain of everything that processing usually needs."""
        return self.makeCollectionName("defaults")


def _is_registered(name: str, registry: Any) -> bool:
    return any(record.name == name for record in registry.queryDimensionRecords("instrument"))


def _import_class(name: str) -> type[Any]:
    """The `Instrument` class of a dotted name; `ImportError` if there is none, `TypeError` if it is another class."""
    module_name, _, class_name = name.rpartition(".")
    if not all(part.isidentifier() for part in name.split(".")) or not module_name:
        raise ModuleNotFoundError(f"`{name}` is no dotted name of a class")
    found = getattr(_import_module(module_name, name), class_name, None)
    if found is None:
        raise ImportError(f"the module `{module_name}` has no `{class_name}`")
    if not (isinstance(found, type) and issubclass(found, Instrument)):
        raise TypeError(f"`{name}` is no instrument class")
    return found


def _import_module(module_name: str, wanted: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ImportError as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{module_name}.".startswith(f"{missing}."):
            raise ModuleNotFoundError(
                f"no module is called `{missing}` (for the instrument class `{wanted}`); "
                "install its package, or put its folder on PYTHONPATH",
                name=missing,
            ) from error
        # The module is there, but something it imports is not.
        raise ImportError(f"`{module_name}` cannot be imported for the instrument class `{wanted}`: {error}") from error


def _parse_timestamp(text: str) -> datetime.datetime:
    """ISO forms, with the stricter forms of collection names; eight digits alone could be anything."""
    if "-" in text:
        try:
            return datetime.datetime.fromisoformat(text)
        except ValueError:
            pass
    return datetime.datetime.strptime(text, TIMESTAMP_FORMAT)
