"""Many datasets in one zip file, with an index that says what each member is.

Members are stored as they are, so that a dataset is read from the zip file without unpacking the rest.
"""

from __future__ import annotations

import json
import os
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from armillary._core import DataCoordinate, DatasetRef, DatasetType, DimensionRecord
from armillary._files import new_file
from armillary.config import local_place
from armillary.errors import ValidationError
from armillary.storage.file_ingest import PreparedFile, PreparedIngest
from armillary.storage.file_record import ZIP_MARK, FileRecord
from armillary.storage.remote import is_remote

if TYPE_CHECKING:
    from armillary.storage.file_datastore import FileDatastore

__all__ = ["INDEX_NAME", "ZipIndex", "prepare_zip", "read_zip_index", "write_zip"]

INDEX_NAME = "_butler_zip_index.json"
MAX_INDEX_BYTES = 1_000_000_000
# The namespace of deterministic dataset ids; the peer names zip files in it, too.
_NAMESPACE = uuid.UUID("840b31d9-05cd-5161-b2c8-00d32b280d0f")
# Members get no time of their own, so that equal datasets make equal zip files.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class ZipIndex:
    """What a zip file holds: datasets, dimension records, and for each member its record and whose it is."""

    refs: dict[uuid.UUID, DatasetRef]
    records: dict[str, list[DimensionRecord]]
    members: dict[str, tuple[dict[str, Any], list[uuid.UUID]]]


def _zip_name(members: Iterable[str]) -> str:
    """The name of a zip file, which follows from the names of its members."""
    return f"{uuid.uuid5(_NAMESPACE, ','.join(sorted(members)))}.zip"


def _member_name(record: FileRecord, taken: Iterable[str]) -> str:
    """The beginning of the id and the file's name; the whole id where that is taken.

    Ids begin with the time, so their beginnings are often equal.
    """
    stored = record.path.partition(ZIP_MARK)
    base = (stored[2] or stored[0]).rpartition("/")[2]
    short = f"{str(record.dataset_id)[:8]}-{base}"
    return f"{record.dataset_id}-{base}" if short in taken else short


def _index_text(refs: Iterable[DatasetRef], members: Mapping[str, tuple[FileRecord, list[uuid.UUID]]]) -> str:
    ordered = sorted(refs, key=lambda ref: (ref.datasetType.name, str(ref.run), str(ref.id)))
    universe = ordered[0].dataId.universe
    types = {ref.datasetType.name: ref.datasetType for ref in ordered}
    content = {
        "index_version": "V1",
        "refs": {
            "container_version": "V1",
            "universe_version": universe.version,
            "universe_namespace": universe.namespace,
            "dataset_types": {name: types[name].to_simple().model_dump() for name in sorted(types)},
            "compact_refs": {
                str(ref.id): {
                    "dataset_type_name": ref.datasetType.name,
                    "run": ref.run,
                    "data_id": {str(name): value for name, value in ref.dataId.mapping.items()},
                }
                for ref in ordered
            },
            "dimension_records": _compact_records(ordered),
        },
        "artifact_map": {
            name: {
                "info": {
                    "formatter": record.formatter,
                    "path": record.path,
                    "storage_class": record.storage_class,
                    "component": record.component or None,
                    "checksum": record.checksum,
                    "file_size": record.file_size,
                },
                "ids": [str(one) for one in ids],
            }
            for name, (record, ids) in members.items()
        },
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _compact_records(refs: list[DatasetRef]) -> dict[str, list[list[Any]]] | None:
    """All dimension records of expanded data IDs, by element; None if they are not expanded."""
    if not all(ref.dataId.hasRecords() for ref in refs):
        return None
    found: dict[str, dict[Any, list[Any]]] = {}
    for ref in refs:
        for name in ref.dataId.dimensions.elements.names:
            own = found.setdefault(str(name), {})
            record = ref.dataId.records.get(name)
            if record is not None and record.dataId not in own:
                own[record.dataId] = record.serialize_key_value()
    return {name: [own[key] for key in sorted(own)] for name, own in sorted(found.items())}


def _read_records(content: Mapping[str, Any] | None, universe: Any) -> dict[str, list[DimensionRecord]]:
    records = {}
    for name, rows in (content or {}).items():
        made = universe[name].RecordClass
        records[name] = [made.deserialize_value(*made.deserialize_key(row)) for row in rows]
    return records


def write_zip(
    datastore: FileDatastore,
    refs: Iterable[DatasetRef],
    records: Iterable[FileRecord],
    destination: str,
    *,
    overwrite: bool = True,
) -> str:
    """Put the files of datasets into a zip file in a directory; returns its path.

    The file's name follows from the names of its members. Raises `FileNotFoundError` if a dataset has no file,
    `ValueError` without datasets, `FileExistsError` if the zip file exists and `overwrite` is false.
    """
    refs = list(refs)
    if not refs:
        raise ValueError("no datasets were given, so there is nothing to put into a zip file")
    members: dict[str, tuple[FileRecord, list[uuid.UUID]]] = {}
    by_file: dict[tuple[str, str | None], str] = {}
    for record in sorted(records, key=lambda one: (one.path, str(one.dataset_id))):
        name = by_file.get((record.path, record.component))
        if name is None:
            name = by_file[record.path, record.component] = _member_name(record, members)
            members[name] = (record, [])
        members[name][1].append(record.dataset_id)
    found = {one for _, ids in members.values() for one in ids}
    for ref in refs:
        if ref.id not in found:
            raise FileNotFoundError(f"{ref} has no file in datastore `{datastore.name}`")
    text = _index_text(refs, members)
    destination = local_place(destination, "the directory for a zip file")
    os.makedirs(destination, exist_ok=True)
    target = os.path.join(destination, _zip_name(members))
    with (
        new_file(target, ".zip", overwrite=overwrite) as temporary,
        zipfile.ZipFile(temporary, "w", allowZip64=True) as archive,
    ):
        archive.writestr(zipfile.ZipInfo(INDEX_NAME, _NO_TIME), text, zipfile.ZIP_DEFLATED)
        for name, (record, _) in members.items():
            _add_member(archive, datastore, record, name)
    return target


def _add_member(archive: zipfile.ZipFile, datastore: FileDatastore, record: FileRecord, name: str) -> None:
    entry = zipfile.ZipInfo(name, _NO_TIME)
    with datastore.open_file(record) as source, archive.open(entry, "w", force_zip64=True) as sink:
        while chunk := source.read(1 << 20):
            sink.write(chunk)


def read_zip_index(path: str, universe: Any) -> ZipIndex:
    """Read what a zip file holds. Raises `ValidationError` if it has no sound index."""
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(INDEX_NAME)
            if entry.file_size > MAX_INDEX_BYTES:
                raise ValidationError(f"the index of `{path}` has {entry.file_size} bytes, which is too many")
            content = json.loads(archive.read(entry))
            names = set(archive.namelist())
        index = _parse_index(content, universe)
    except KeyError as error:
        raise ValidationError(f"`{path}` is not a zip file of datasets: it has no {error}") from error
    except (zipfile.BadZipFile, ValueError, TypeError, AttributeError) as error:
        raise ValidationError(f"`{path}` is not a zip file of datasets: {error}") from error
    missing = sorted(index.members.keys() - names)
    if missing:
        raise ValidationError(f"the index of `{path}` names members it does not hold: {missing[:3]}")
    return index


def _parse_index(content: Any, universe: Any) -> ZipIndex:
    if content["index_version"] != "V1" or content["refs"]["container_version"] != "V1":
        raise ValidationError("the index has a version this release does not know")
    container = content["refs"]
    types = {
        name: DatasetType.from_json(json.dumps(one), universe=universe)
        for name, one in container["dataset_types"].items()
    }
    refs = {}
    for text, one in container["compact_refs"].items():
        dataset_type = types[one["dataset_type_name"]]
        data_id = DataCoordinate.standardize(one["data_id"], dimensions=dataset_type.dimensions)
        dataset_id = uuid.UUID(text)
        refs[dataset_id] = DatasetRef(dataset_type, data_id, run=one["run"], id=dataset_id)
    members = {}
    for name, one in content["artifact_map"].items():
        ids = [uuid.UUID(text) for text in one["ids"]]
        if any(dataset_id not in refs for dataset_id in ids):
            raise ValidationError(f"member `{name}` belongs to a dataset that is not in the index")
        members[name] = (dict(one["info"]), ids)
    return ZipIndex(refs, _read_records(container.get("dimension_records"), universe), members)


def prepare_zip(datastore: FileDatastore, path: str, index: ZipIndex, transfer: str | None) -> PreparedIngest:
    """Prepare a zip file of datasets for ingest; it is kept whole, under `zips/`.

    With transfer `direct` it stays where it is, with None it is below the root already.
    """
    remote = is_remote(path)
    source = path if remote else os.path.abspath(path)
    if datastore.is_remote:
        inside = datastore.remote_root.path_below(source)
    else:
        below = None if remote else os.path.relpath(source, datastore.root)
        inside = None if below is None or below.partition(os.sep)[0] == ".." else below
    if transfer == "auto":
        transfer = None if inside is not None else "copy" if remote or datastore.is_remote else "link"
    if transfer is None:
        if inside is None:
            raise RuntimeError(f"`{path}` is not inside `{datastore.root}`; give a transfer mode such as `copy`")
        stored = inside
    elif transfer == "direct":
        stored, transfer = source if remote else "file://" + quote(source), None
    else:
        name = _zip_name(index.members)  # whatever it was called on its way here
        stored = f"zips/{name[:4]}/{name}"
    records = [
        FileRecord(
            dataset_id,
            f"{stored}{ZIP_MARK}{name}",
            str(info["formatter"]),
            str(info["storage_class"]),
            info.get("component"),
            info.get("checksum"),
            int(info["file_size"]),
        )
        for name, (info, ids) in index.members.items()
        for dataset_id in ids
    ]
    return PreparedIngest([PreparedFile(source, stored, transfer, "", list(index.refs.values()), True, records)])
