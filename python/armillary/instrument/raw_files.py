"""Raw frames on disk: finding them, reading their headers, telling broken ones apart."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armillary.instrument.observation_info import ObservationInfo, Translator
from armillary.instrument.raw_headers import DETECTOR_KEYS, RawImage, check_size, image_of_detector, read_images

FITS_NAMES = r"\.fit[s]?\b"
INDEX_NAME = "_index.json"


@dataclass(frozen=True)
class RawFile:
    """A frame whose header was understood."""

    path: str
    info: ObservationInfo


@dataclass(frozen=True)
class BadFile:
    """A file that could not be used, and why."""

    path: str
    reason: str


def find_files(locations: Iterable[str | os.PathLike[str]], pattern: str = FITS_NAMES) -> list[str]:
    """Give absolute paths of files, and of the files below directories whose name `pattern` matches, sorted.

    A named file is taken whatever its name. Raises `FileNotFoundError` for a location that does not exist and
    `PermissionError` for a directory that cannot be listed.

    >>> find_files([])
    []
    """
    matches = re.compile(pattern)
    found: set[str] = set()
    for location in locations:
        path = _absolute(location)
        if path.is_dir():
            for folder, _, names in os.walk(path, onerror=_raise, followlinks=True):
                found.update(str(Path(folder, name)) for name in names if matches.search(name))
        elif path.exists():
            found.add(str(path))
        else:
            raise FileNotFoundError(f"there is no file or directory `{location}`")
    return sorted(found)


def _absolute(location: str | os.PathLike[str]) -> Path:
    """One path for a place however it is written, as `../raw`, unless `..` is behind a link and means another place."""
    path = Path(location).absolute()
    plain = Path(os.path.normpath(path))
    return plain if path.exists() and plain.exists() and plain.samefile(path) else path


def untracked(items: Sequence[Any], text: str) -> Iterable[Any]:
    """Go through items and show nothing.

    >>> list(untracked([1, 2], "counting"))
    [1, 2]
    """
    return items


def read_frames(
    paths: Sequence[str],
    translators: Sequence[Translator],
    *,
    jobs: int = 1,
    check_data: bool = True,
    search_indexes: bool = False,
    track: Callable[[Sequence[Any], str], Iterable[Any]] = untracked,
) -> tuple[list[RawFile], list[BadFile]]:
    """Read the headers of files; those that are broken or come from no known camera are told apart.

    A file whose first image has no pixels holds a frame in each of its extensions that is an image. With
    `check_data`, a file that ends before its pixels do is broken too. `jobs` files are read at a time. A header in
    a sidecar file is taken instead of the file's own, and with `search_indexes` one in the folder's index. `track` goes
    through items and shows how far it has come.
    """
    indexes = (
        {folder: read_index(folder) for folder in {str(Path(path).parent) for path in paths}} if search_indexes else {}
    )

    def read(path: str) -> list[RawFile] | BadFile:
        try:
            given = indexes.get(str(Path(path).parent), {}).get(Path(path).name) or read_sidecar(path)
            images = [RawImage(0, given)] if given else read_images(path)
            check_raw(images[0].header)
            if check_data:
                check_size(path, images[-1])
            return _frames(path, images, translators)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            return BadFile(path, " ".join(str(error).split()) or type(error).__name__)
        except Exception as error:  # a translator is its camera's own code
            return BadFile(path, f"{type(error).__name__}: {' '.join(str(error).split())}")

    results = _map(read, paths, jobs, track)
    frames = [frame for result in results if isinstance(result, list) for frame in result]
    return frames, [result for result in results if isinstance(result, BadFile)]


def _frames(path: str, images: Sequence[RawImage], translators: Sequence[Translator]) -> list[RawFile]:
    """The frames of a file; `ValueError` if the formatter would take another extension for one of their detectors."""
    frames = [RawFile(path, _translate(image.header, translators)) for image in images]
    for frame, image in zip(frames, images, strict=True):
        detector = frame.info.detector_num
        if len(images) > 1 and image_of_detector(images, detector) is not image:
            raise ValueError(
                f"extension {image.place} is understood as detector {detector}, by which it cannot be told from the "
                f"file's others: each needs its own whole number under one of {', '.join(DETECTOR_KEYS)}"
            )
    return frames


def read_sidecar(path: str) -> Mapping[str, Any] | None:
    """Give the header that stands in for that of `x.fits` in `x.json`, as `astrometadata write-sidecar` writes it.

    None if there is no such file, or it holds a translated header; `ValueError` if it is no JSON mapping.
    """
    name = re.sub(r"(\.fits?|\.fz|\.gz)+$", "", path)
    place = Path(f"{name}.json")
    if name == path or not place.is_file():
        return None
    return _metadata(_read_json(place))


def read_index(folder: str) -> Mapping[str, Mapping[str, Any]]:
    """Give the headers by file name in the `_index.json` of a folder, as `astrometadata write-index` writes it.

    Nothing if there is no such file, or it holds translated headers; `ValueError` if it is no JSON mapping.

    >>> read_index("/no/such/folder")
    {}
    """
    place = Path(folder, INDEX_NAME)
    if not place.is_file():
        return {}
    content = _metadata(_read_json(place))
    if content is None:
        return {}
    common = content.get("__COMMON__") or {}
    return {name: {**common, **own} for name, own in content.items() if isinstance(own, dict) and name[:2] != "__"}


def _read_json(place: Path) -> dict[str, Any]:
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"`{place}` is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"`{place}` must hold a JSON mapping")
    return content


def _metadata(content: dict[str, Any]) -> dict[str, Any] | None:
    """What a file holds if that is headers as they are in FITS files."""
    if content.get("__CONTENT__") != "metadata":
        return None
    return {key: value for key, value in content.items() if key != "__CONTENT__"}


def check_raw(header: Mapping[str, Any]) -> None:
    """Raise `ValueError` for a header that says by itself that its pixels are no longer those of the camera.

    The community pipeline of NOIRLab writes the level of processing; Rubin's writes an archive of objects, and with it
    the magnitude zero point or the version of what it knows of the exposure.
    """
    level = str(header.get("PROCTYPE", "raw")).strip()
    if level.lower() not in ("raw", ""):
        raise ValueError(
            f"the frame is not raw: its header says `PROCTYPE` is `{level}`; "
            "ingest it as another type, as with `butler ingest-files`"
        )
    marks = [key for key in ("FLUXMAG0", "EXPINFO_V") if key in header]
    if "AR_HDU" in header and marks:
        raise ValueError(
            f"the frame is not raw: `AR_HDU` and `{marks[0]}` in its header are of a calibrated exposure of Rubin's "
            "pipelines; ingest it as another type, as with `butler ingest-files`"
        )


def _translate(header: Mapping[str, Any], translators: Sequence[Translator]) -> ObservationInfo:
    for translator in translators:
        if translator.can_translate(header):
            return translator.translate(header)
    camera = str(header.get("INSTRUME", "")).strip()
    told = f"the camera `{camera}`" if camera else "an unnamed camera"
    raise ValueError(f"the frame comes from {told}, which no registered instrument knows")


def _map(
    function: Callable[[str], list[RawFile] | BadFile],
    paths: Sequence[str],
    jobs: int,
    track: Callable[[Sequence[Any], str], Iterable[Any]],
) -> list[list[RawFile] | BadFile]:
    if jobs <= 1:
        return [function(path) for path in track(paths, "reading headers")]
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(function, path) for path in paths]
        return [future.result() for future in track(waiting, "reading headers")]


def _raise(error: OSError) -> None:
    raise error
