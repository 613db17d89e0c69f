"""Several datastores as one: data are written to each that takes them, and read from the first that has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import UUID

from armillary.errors import ConfigurationError, DatasetTypeNotSupportedError
from armillary.storage.datastore_config import Constraints
from armillary.storage.file_datastore import FileDatastore
from armillary.storage.file_record import FileRecord
from armillary.storage.in_memory_datastore import InMemoryDatastore

if TYPE_CHECKING:
    from lsst.resources import ResourcePath

    from armillary._core import Registry
    from armillary.storage.file_dataset import FileDataset
    from armillary.storage.file_ingest import PreparedIngest
    from armillary.storage.storage_class import StorageClass
    from armillary.storage.zip_files import ZipIndex

__all__ = ["ChainedDatastore", "ChainedIngest", "ChainedWrite", "PlacedRecord"]

Child = FileDatastore | InMemoryDatastore


@dataclass(frozen=True, slots=True)
class PlacedRecord:
    """A record, and the datastore of the chain it belongs to. It has the attributes of the record."""

    record: Any
    datastore: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.record, name)


@dataclass(slots=True)
class ChainedWrite:
    """One dataset prepared for each datastore of files that takes it, and the datastores in memory that keep it."""

    ref: Any
    value: Any
    parts: list[tuple[FileDatastore, Any]]
    in_memory: list[InMemoryDatastore] = field(default_factory=list)


@dataclass(slots=True)
class ChainedIngest:
    """Files prepared for each datastore that takes them; the last one may move them."""

    refs: list[Any]
    parts: list[tuple[FileDatastore, PreparedIngest]]


class ChainedDatastore:
    """A chain of datastores.

    Parameters
    ----------
    children
        The datastores, in the order in which they are read.
    constraints
        What each child takes as a member of this chain; None for everything.
    """

    is_chain = True

    def __init__(self, children: Sequence[Child], constraints: Sequence[Constraints | None] = ()) -> None:
        if not children:
            raise ConfigurationError("a chain of datastores needs at least one")
        self.children = list(children)
        self._constraints = list(constraints) or [None] * len(self.children)
        if len(self._constraints) != len(self.children):
            raise ConfigurationError(
                f"`datastore_constraints` has {len(self._constraints)} entries for {len(self.children)} datastores"
            )
        tables: dict[str, str] = {}
        for child in self.file_stores:
            other = tables.setdefault(child.records_table, child.name)
            if other != child.name:
                raise ConfigurationError(
                    f"datastores `{other}` and `{child.name}` both keep their records in table "
                    f"`{child.records_table}`; give each a `records.table` of its own"
                )
        self.name = f"ChainedDatastore[{','.join(self.names)}]"

    def __repr__(self) -> str:
        return f"ChainedDatastore({', '.join(map(repr, self.children))})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the datastores, in order."""
        return tuple(child.name for child in self.children)

    @property
    def roots(self) -> dict[str, ResourcePath | None]:
        """The root of each datastore; None for those in memory."""
        return {name: root for child in self.children for name, root in child.roots.items()}

    @property
    def file_stores(self) -> list[FileDatastore]:
        """The datastores of files, in order."""
        return [child for child in self.children if isinstance(child, FileDatastore)]

    @property
    def file_datastore(self) -> FileDatastore:
        """The first datastore of files: the one that quanta write to, from which others get what they take."""
        if not self.file_stores:
            raise ConfigurationError(f"`{self.name}` has no datastore of files, and a run needs one")
        return self.file_stores[0]

    @property
    def trusts_requests(self) -> bool:
        """Whether a dataset without records is looked for where it would have been written."""
        return any(child.trusts_requests for child in self.file_stores)

    @property
    def writeable(self) -> bool:
        """Whether anything may be written."""
        return any(child.writeable for child in self.children)

    def _takers(self, dataset_type: Any, instrument: str | None = None) -> list[Child]:
        return [
            child
            for child, constraints in zip(self.children, self._constraints, strict=True)
            if (constraints is None or constraints.accepts(dataset_type, instrument))
            and child.accepts(dataset_type, instrument)
        ]

    def takers(self, ref: Any) -> list[Child]:
        """The datastores that take a dataset, in order."""
        return self._takers(ref.datasetType, ref.dataId.get("instrument"))

    def accepts(self, dataset_type: Any, instrument: str | None = None) -> bool:
        """Tell whether any datastore takes datasets of a type."""
        return bool(self._takers(dataset_type, instrument))

    def needs_records(self, dataset_type: Any) -> bool:
        """Tell whether naming the files of a dataset type takes expanded data IDs."""
        return any(child.needs_records(dataset_type) for child in self.file_stores)

    def problems(self, dataset_type: Any) -> list[str]:
        """Why datasets of a type could not be stored, if so."""
        takers = self._takers(dataset_type)
        if not takers:
            return [f"no datastore of `{self.name}` takes dataset type `{dataset_type.name}`"]
        return list(dict.fromkeys(problem for child in takers for problem in child.problems(dataset_type)))

    # Records

    def records(self, registry: Registry, ids: Sequence[Any]) -> list[PlacedRecord]:
        """What is known of datasets in every datastore, in the order of the chain."""
        return [PlacedRecord(record, child) for child in self.children for record in child.records(registry, ids)]

    def find_records(
        self, registry: Registry, name: str, data_id: Any, collections: Sequence[str], timespan: Any
    ) -> tuple[Any, list[PlacedRecord]] | None:
        """Find the first dataset in collections, and what is known of its files."""
        ref = registry.find_dataset(name, data_id, collections, timespan=timespan)
        return None if ref is None else (ref, self.records(registry, [ref.id]))

    def file_records(self, registry: Registry, ids: Sequence[Any]) -> list[PlacedRecord]:
        """Records of each dataset's files in the first datastore of files that has them."""
        found: list[PlacedRecord] = []
        left = list(ids)
        for child in self.file_stores:
            own = child.records(registry, left)
            found += [PlacedRecord(record, child) for record in own]
            have = {record.dataset_id for record in own}
            left = [one for one in left if one not in have]
        return found

    def worker_records(self, registry: Registry, ids: Sequence[Any]) -> list[FileRecord]:
        """Records as `file_datastore` alone can read them: files of other datastores are named by URI."""
        main = self.file_datastore
        found = []
        for placed in self.file_records(registry, ids):
            record = placed.record
            if placed.datastore is not main:
                record = FileRecord(
                    record.dataset_id,
                    str(placed.datastore.uri(record)),
                    record.formatter,
                    record.storage_class,
                    record.component,
                    record.checksum,
                    record.file_size,
                )
            found.append(record)
        return found

    @staticmethod
    def one_copy(records: Sequence[PlacedRecord]) -> list[PlacedRecord]:
        """The records of one dataset in one datastore; one of files if there is any."""
        chosen = next((one.datastore for one in records if isinstance(one.datastore, FileDatastore)), None)
        if chosen is None:
            return list(records[:1])
        return [one for one in records if one.datastore is chosen]

    def predict_records(self, ref: Any) -> list[PlacedRecord]:
        """The records a dataset would get if it were written now, in the first datastore of files that takes it."""
        for child in self._takers(ref.datasetType, ref.dataId.get("instrument")):
            if isinstance(child, FileDatastore):
                return [PlacedRecord(record, child) for record in child.predict_records(ref)]
        return []

    def trusted_records(self, ref: Any) -> list[PlacedRecord]:
        """Records of files that are there although the database does not know them; see `trust_get_request`."""
        for child in self.file_stores:
            found = child.trusted_records(ref)
            if found:
                return [PlacedRecord(record, child) for record in found]
        return []

    # Writing

    def prepare(self, obj: Any, ref: Any, *, provenance: Any = None, overwrite: bool = False) -> ChainedWrite:
        """Check and convert an object for each datastore that takes it; nothing is written.

        Raises `DatasetTypeNotSupportedError` if none does.
        """
        takers = self._takers(ref.datasetType, ref.dataId.get("instrument"))
        if not takers:
            raise DatasetTypeNotSupportedError(
                f"none of the datastores of `{self.name}` is configured to take dataset type `{ref.datasetType.name}`"
            )
        parts = [
            (child, child.prepare(obj, ref, provenance=provenance, overwrite=overwrite))
            for child in takers
            if isinstance(child, FileDatastore)
        ]
        in_memory = [child for child in takers if isinstance(child, InMemoryDatastore)]
        for child in in_memory:
            child.check(obj, ref)
        return ChainedWrite(ref, obj, parts, in_memory)

    def prepare_ingest(
        self, files: Iterable[FileDataset], transfer: str | None = "auto", record_validation_info: bool = True
    ) -> ChainedIngest:
        """Check files and choose where they go in each datastore that takes them.

        With transfer `move` all but the last datastore get copies.
        """
        files = list(files)
        takers: list[tuple[FileDatastore, list[FileDataset]]] = []
        for child in self.file_stores:
            own = [one for one in files if child in self._takers(one.refs[0].datasetType)]
            if own:
                takers.append((child, own))
        taken = {id(one) for _, own in takers for one in own}
        for one in files:
            if id(one) not in taken:
                raise DatasetTypeNotSupportedError(
                    f"none of the datastores of files of `{self.name}` takes `{one.path}`, whose dataset type is "
                    f"`{one.refs[0].datasetType.name}`"
                )
        last = {id(one): child for child, own in takers for one in own}
        parts: list[tuple[FileDatastore, PreparedIngest]] = []
        for child, own in takers:
            moved = [one for one in own if transfer != "move" or last[id(one)] is child]
            copied = [one for one in own if transfer == "move" and last[id(one)] is not child]
            for group, mode in ((copied, "copy"), (moved, transfer)):
                if group:
                    parts.append((child, child.prepare_ingest(group, mode, record_validation_info)))
        parts.sort(key=lambda part: any(item.mode == "move" for item in part[1]))
        return ChainedIngest([ref for one in files for ref in one.refs], parts)

    def prepare_transfer(
        self, files: Iterable[tuple[str, list[tuple[FileRecord, Any]]]], transfer: str | None
    ) -> ChainedIngest:
        """Choose the places of files of another datastore in every one of these that takes their datasets."""
        files = list(files)
        parts = []
        taken: set[int] = set()
        for child in self.file_stores:
            own = [
                one
                for one in files
                if all(child in self._takers(ref.datasetType, ref.dataId.get("instrument")) for _, ref in one[1])
            ]
            taken.update(id(one) for one in own)
            if own:
                parts.append((child, child.prepare_transfer(own, transfer)))
        for one in files:
            if id(one) not in taken:
                raise DatasetTypeNotSupportedError(
                    f"none of the datastores of `{self.name}` takes dataset type `{one[1][0][1].datasetType.name}`"
                )
        return ChainedIngest(list({ref.id: ref for _, held in files for _, ref in held}.values()), parts)

    def prepare_zip(self, path: str, index: ZipIndex, transfer: str | None) -> ChainedIngest:
        """Prepare a zip file of datasets for ingest into every datastore of files."""
        *others, last = self.file_stores
        modes = [(child, "copy" if transfer == "move" else transfer) for child in others]
        parts = [(child, child.prepare_zip(path, index, mode)) for child, mode in [*modes, (last, transfer)]]
        return ChainedIngest(list(index.refs.values()), parts)

    # Reading

    def get(
        self,
        ref: Any,
        records: Sequence[PlacedRecord],
        *,
        component: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        storage_class: StorageClass | str | None = None,
    ) -> Any:
        """Read a dataset, or one component of it, from the first datastore whose files are there."""
        missing: FileNotFoundError | None = None
        for child, own in _by_datastore(records):
            try:
                return child.get(ref, own, component=component, parameters=parameters, storage_class=storage_class)
            except FileNotFoundError as error:
                missing = missing or error
        raise missing or FileNotFoundError(f"Could not retrieve dataset {ref}: it is not in `{self.name}`")

    def exists(self, records: Iterable[PlacedRecord]) -> bool:
        """Tell whether all files of a dataset are there in one of the datastores."""
        return any(child.exists(own) for child, own in _by_datastore(records))

    def uri(self, record: PlacedRecord) -> ResourcePath:
        """The URI of a file."""
        found: ResourcePath = record.datastore.uri(record.record)
        return found

    def local_path(self, record: PlacedRecord) -> str:
        """Where a file is: its path on this machine, otherwise its URI."""
        found: str = record.datastore.local_path(record.record)
        return found

    @contextmanager
    def open_file(self, record: PlacedRecord) -> Iterator[BinaryIO]:
        """Open a dataset's file for reading."""
        with record.datastore.open_file(record.record) as stream:
            yield stream

    def store_of(self, record: PlacedRecord) -> FileDatastore:
        """The datastore that has a record's file."""
        found: FileDatastore = record.datastore
        return found

    def forget(self, ids: Iterable[Any] | bytes) -> None:
        """Drop datasets that are kept in memory; `ids` has them as such, or sixteen bytes for each."""
        if isinstance(ids, bytes):
            ids = [UUID(bytes=ids[start : start + 16]) for start in range(0, len(ids), 16)]
        ids = list(ids)
        for child in self.children:
            if isinstance(child, InMemoryDatastore):
                child.remove(ids)


def _by_datastore(records: Iterable[PlacedRecord]) -> list[tuple[Any, list[FileRecord]]]:
    groups: dict[int, tuple[Any, list[FileRecord]]] = {}
    for one in records:
        groups.setdefault(id(one.datastore), (one.datastore, []))[1].append(one.record)
    return list(groups.values())
