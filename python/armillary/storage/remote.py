"""Files on other machines: object stores (`s3`, `gs`) and WebDAV or plain web servers (`http`, `https`), by obstore.

Settings come from the environment, by the names `lsst.resources` uses: `S3_ENDPOINT_URL`, `AWS_*`,
`LSST_RESOURCES_S3_PROFILE_<name>` for `s3://name@bucket/`, `LSST_HTTP_*`, `GOOGLE_APPLICATION_CREDENTIALS`.
Requests that fail for a moment are repeated a few times; what is written is there whole or not at all.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import quote, unquote, urlsplit

from armillary._files import TEMPORARY_PREFIX, temporary_path
from armillary.errors import ConfigurationError

__all__ = ["RemoteFiles", "RemoteReader", "in_parallel", "is_remote", "remote_files"]

_SCHEMES = ("s3", "gs", "http", "https", "dav", "davs")
_MAX_RETRIES = 5
_RETRY_SECONDS = 60
# Above this size a file goes in parts and gets its name when it is whole.
_SINGLE_PUT_BYTES = 32 << 20
_BLOCK_BYTES = 1 << 16
_BLOCKS_KEPT = 64
_PAGE_KEYS = 1000
_WORKERS_VARIABLE = "LSST_RESOURCES_NUM_WORKERS"
_SETTINGS = ("AWS_", "S3_", "GOOGLE_", "LSST_HTTP_", "LSST_RESOURCES_")

Item = TypeVar("Item")
Result = TypeVar("Result")


def is_remote(path: str) -> bool:
    """Tell whether a path is a URI of another machine.

    >>> is_remote("s3://bucket/a"), is_remote("/data/a"), is_remote("file:///data/a")
    (True, False, False)
    """
    scheme, mark, _ = path.partition("://")
    return bool(mark) and scheme != "file"


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Do something for many files at a time; `LSST_RESOURCES_NUM_WORKERS` says how many (8).

    The first error is raised when all that had begun has ended.
    """
    items = list(items)
    workers = int(os.environ.get(_WORKERS_VARIABLE, "8"))
    if len(items) < 2 or workers < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(max_workers=min(workers, len(items))) as pool:
        futures = [pool.submit(function, item) for item in items]
    return [future.result() for future in futures]


def remote_files(uri: str) -> tuple[RemoteFiles, str]:
    """The store that a URI is in, and the key it has there.

    Raises
    ------
    ConfigurationError
        If the kind of URI is not known, or obstore is not installed.
    ValueError
        If the key has an empty part, or one of dots, which obstore cannot ask for.
    """
    parts = urlsplit(uri)
    if parts.scheme not in _SCHEMES or not parts.netloc:
        raise ConfigurationError(f"`{uri}` is not on a kind of store that can be used: {', '.join(_SCHEMES)}")
    settings = tuple(sorted((name, text) for name, text in os.environ.items() if name.startswith(_SETTINGS)))
    key = uri.split("://", 1)[1].partition("/")[2].partition("#zip-path=")[0]
    if not {".", ".."}.isdisjoint(unquote(key).split("/")):
        raise ValueError(f"`{uri}` has a part `.` or `..`, which an object store has no meaning for")
    if "//" in key.strip("/"):
        raise ValueError(
            f"`{uri}` has nothing between two slashes, and such keys cannot be reached; copy the object to another key"
        )
    return _open(parts.scheme, parts.netloc, settings), unquote(key)


@lru_cache(maxsize=64)
def _open(scheme: str, netloc: str, settings: tuple[tuple[str, str], ...]) -> RemoteFiles:
    return RemoteFiles(scheme, netloc)


def _obstore() -> Any:
    try:
        import obstore
        import obstore.store
    except ImportError as error:
        raise ConfigurationError(
            "files on other machines need the package `obstore`; install it with `pip install obstore`"
        ) from error
    return obstore


class RemoteFiles:
    """One bucket or server. Keys are not percent-encoded."""

    def __init__(self, scheme: str, netloc: str) -> None:
        self._obstore = _obstore()
        self._where = f"{scheme}://{netloc}"
        # A server of plain files or WebDAV cannot create on condition; it can rename so.
        self._conditional = scheme in ("s3", "gs")
        # WebDAV makes folders one by one, and two writers who make the same one are in each other's way.
        self.takes_many = self._conditional
        make = {"s3": self._s3, "gs": self._gs}.get(scheme, self._http)
        self._store = make(scheme, netloc)

    def __repr__(self) -> str:
        return f"RemoteFiles({self._where!r})"

    @staticmethod
    def _options(endpoint: str) -> dict[str, Any]:
        connect = float(os.environ.get("LSST_HTTP_TIMEOUT_CONNECT", "30"))
        read = float(os.environ.get("LSST_HTTP_TIMEOUT_READ", "300"))
        return {
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=connect),
            "timeout": timedelta(seconds=read),
        }

    @staticmethod
    def _retries() -> dict[str, Any]:
        return {
            "max_retries": _MAX_RETRIES,
            "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=10),
                "base": 2,
            },
        }

    def _s3(self, scheme: str, netloc: str) -> Any:
        profile, _, bucket = netloc.rpartition("@")
        config = _s3_settings(profile)
        return self._obstore.store.S3Store(
            bucket,
            config={**config, "virtual_hosted_style_request": False, "copy_if_not_exists": "multipart"},
            client_options=self._options(config.get("endpoint", "")),
            retry_config=self._retries(),
        )

    def _gs(self, scheme: str, netloc: str) -> Any:
        return self._obstore.store.GCSStore(
            netloc, client_options=self._options(os.environ.get("GOOGLE_BASE_URL", "")), retry_config=self._retries()
        )

    def _http(self, scheme: str, netloc: str) -> Any:
        secure = {"dav": "http", "davs": "https"}.get(scheme, scheme)
        options = self._options(f"{secure}://")
        token = _http_token()
        if token:
            if secure != "https":
                raise ConfigurationError(
                    f"LSST_HTTP_AUTH_BEARER_TOKEN is set, and it is not sent to `{self._where}`, which is not encrypted"
                )
            options["default_headers"] = {"Authorization": f"Bearer {token}"}
        bundle = os.environ.get("LSST_HTTP_CACERT_BUNDLE")
        if bundle and os.path.isfile(bundle):
            options["root_certificate"] = Path(bundle).read_bytes()
        return self._obstore.store.HTTPStore.from_url(
            f"{secure}://{netloc}", client_options=options, retry_config=self._retries()
        )

    @contextmanager
    def _named(self, key: str) -> Iterator[None]:
        """Say in errors which file they are about."""
        uri = f"{self._where}/{quote(key)}"
        known = self._obstore.exceptions
        try:
            yield
        except FileNotFoundError as error:
            raise self._no_bucket(error) or FileNotFoundError(f"`{uri}` does not exist") from error
        except known.AlreadyExistsError as error:
            raise FileExistsError(f"`{uri}` already exists") from error
        except (known.PermissionDeniedError, known.UnauthenticatedError) as error:
            raise PermissionError(f"`{uri}` may not be used with the credentials at hand") from error
        except known.BaseError as error:
            if missing := self._no_bucket(error):
                raise missing from error
            reason = str(error).partition("\n")[0]
            raise OSError(f"`{uri}` cannot be reached: {reason}") from error

    def _no_bucket(self, error: Exception) -> FileNotFoundError | None:
        """What to raise if the server said that there is not even the bucket."""
        if "<Code>NoSuchBucket</Code>" not in str(error):
            return None
        return FileNotFoundError(f"there is no bucket `{self._where}`; make it first, or correct its name")

    # Reading

    def size(self, key: str) -> int | None:
        """The size of a file in bytes; None if there is none."""
        try:
            with self._named(key):
                return int(self._obstore.head(self._store, key)["size"])
        except FileNotFoundError:
            return None

    def read(self, key: str) -> bytes:
        """The content of a file. Raises `FileNotFoundError`."""
        with self._named(key):
            return bytes(self._obstore.get(self._store, key).bytes())

    def fetch(self, key: str, target: str) -> int:
        """Copy a file to a local path that does not exist; returns its size.

        Raises `OSError` if fewer bytes arrive than the server announced.
        """
        with self._named(key):
            answer = self._obstore.get(self._store, key)
            expected, written = int(answer.meta["size"]), 0
            with open(target, "xb") as sink:
                for chunk in answer.stream(min_chunk_size=1 << 20):
                    written += sink.write(chunk)
        if written != expected:
            raise OSError(f"`{self._where}/{quote(key)}` came with {written} of {expected} bytes")
        return written

    def changed(self, key: str) -> float | None:
        """When a file was written last, in seconds since 1970; None if there is none."""
        try:
            with self._named(key):
                return float(self._obstore.head(self._store, key)["last_modified"].timestamp())
        except FileNotFoundError:
            return None

    def checksum(self, key: str) -> str:
        """The BLAKE2b checksum of a file as records hold it, in hexadecimal digits. Raises `FileNotFoundError`."""
        import hashlib

        digest = hashlib.blake2b()
        with self._named(key):
            for chunk in self._obstore.get(self._store, key).stream(min_chunk_size=1 << 20):
                digest.update(chunk)
        return digest.hexdigest()

    def walk(self, folder: str) -> Iterator[tuple[str, int]]:
        """Keys and sizes of all files below a folder, page by page."""
        with self._named(folder):
            if self._conditional:
                for page in self._obstore.list(self._store, folder or None, chunk_size=_PAGE_KEYS):
                    yield from ((str(one["path"]), int(one["size"])) for one in page)
                return
            waiting = [folder]
            while waiting:  # one answer of WebDAV may hold a folder, not a whole tree
                listed = self._obstore.list_with_delimiter(self._store, waiting.pop() or None)
                waiting += map(str, listed["common_prefixes"])
                yield from ((str(one["path"]), int(one["size"])) for one in listed["objects"])

    def open(self, key: str) -> RemoteReader:
        """Open a file to read parts of it."""
        with self._named(key):
            return RemoteReader(self._obstore, self._store, key)

    # Writing

    def put(self, key: str, source: bytes | str, *, overwrite: bool = False) -> None:
        """Write bytes, or a local file given by its path.

        Raises `FileExistsError` if the key is taken and `overwrite` is false: of two writers exactly one succeeds.
        """
        size = len(source) if isinstance(source, bytes) else os.path.getsize(source)
        content: Any = source if isinstance(source, bytes) else Path(source)
        with self._named(key):
            if size <= _SINGLE_PUT_BYTES and (overwrite or self._conditional):
                mode = "overwrite" if overwrite else "create"
                self._obstore.put(self._store, key, content, mode=mode, use_multipart=False)
                return
            temporary = temporary_path(key)
            try:
                in_parts = size > _SINGLE_PUT_BYTES and self._conditional
                self._obstore.put(self._store, temporary, content, use_multipart=in_parts)
                self._obstore.rename(self._store, temporary, key, overwrite=overwrite)
            except BaseException:
                with suppress(OSError):
                    self.delete([temporary])
                raise

    def copy(self, source: str, target: str) -> None:
        """Copy a file within the store. Raises `FileExistsError` if the key `target` is taken."""
        with self._named(target):
            self._obstore.copy(self._store, source, target, overwrite=False)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files; those already gone are no error."""
        for key in keys:
            with suppress(FileNotFoundError), self._named(key):
                self._obstore.delete(self._store, key)

    def temporary_files(self, folder: str) -> list[str]:
        """Keys in a folder under names that writers use before a file is whole."""
        prefix = f"{folder.rstrip('/')}/" if folder else ""
        with self._named(folder):
            listed = self._obstore.list_with_delimiter(self._store, prefix or None)
        names = [str(one["path"]) for one in listed["objects"]]
        return [name for name in names if name.rpartition("/")[2].startswith(TEMPORARY_PREFIX)]


def _s3_settings(profile: str) -> dict[str, Any]:
    """Endpoint, region and keys: from the profile's variable, the environment or the credentials file."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    config: dict[str, Any] = {"region": region}
    endpoint = os.environ.get("S3_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT_URL")
    given = os.environ.get(f"LSST_RESOURCES_S3_PROFILE_{profile}") if profile else None
    if given:
        parts = urlsplit(given)
        endpoint = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        if parts.username and parts.password:
            config["access_key_id"], config["secret_access_key"] = unquote(parts.username), unquote(parts.password)
    if endpoint:
        config["endpoint"] = endpoint.rstrip("/")
    if "access_key_id" not in config and (profile or "AWS_ACCESS_KEY_ID" not in os.environ):
        config.update(_shared_credentials(profile or os.environ.get("AWS_PROFILE", "default")))
    return config


def _shared_credentials(profile: str) -> dict[str, str]:
    """Keys of a profile in the file AWS tools share; none if there is no such file."""
    import configparser

    path = os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.expanduser("~/.aws/credentials")
    parser = configparser.ConfigParser()
    if not parser.read(path) or not parser.has_section(profile):
        return {}
    names = {
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
    }
    return {own: parser.get(profile, name) for name, own in names.items() if parser.has_option(profile, name)}


def _http_token() -> str | None:
    """The bearer token for web servers: the text, or the content of the file, in `LSST_HTTP_AUTH_BEARER_TOKEN`.

    Raises `PermissionError` if others may read the file.
    """
    given = os.environ.get("LSST_HTTP_AUTH_BEARER_TOKEN")
    if not given or not os.path.isfile(given):
        return given
    if os.stat(given).st_mode & 0o077:
        raise PermissionError(f"others may read the token in `{given}`; make it private with `chmod 600`")
    return Path(given).read_text(encoding="utf-8").strip()


class RemoteReader(io.RawIOBase):
    """A remote file opened for reading: only the parts that are read are transferred.

    `bytes_read` counts what was asked of the server.
    """

    def __init__(self, obstore: Any, store: Any, key: str) -> None:
        super().__init__()
        self._obstore, self._store, self._key = obstore, store, key
        self.size = int(obstore.head(store, key)["size"])
        self._position = 0
        self._blocks: dict[int, memoryview] = {}
        self._lock = threading.Lock()
        self.bytes_read = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The place of the next byte to read."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read as many bytes as the buffer takes, or as there are."""
        view = memoryview(buffer).cast("B")
        with self._lock:
            end = min(self._position + len(view), self.size)
            done = 0
            while self._position < end:
                number, offset = divmod(self._position, _BLOCK_BYTES)
                block = self._block(number, (end - 1) // _BLOCK_BYTES)
                part = block[offset : offset + end - self._position]
                view[done : done + len(part)] = part
                done += len(part)
                self._position += len(part)
            return done

    def _block(self, number: int, last: int) -> memoryview:
        """One block of the file; when it is not here, it comes with those up to `last` in one request."""
        found = self._blocks.pop(number, None)
        if found is None:
            last = min(last, number + _BLOCKS_KEPT - 1)
            start, end = number * _BLOCK_BYTES, min((last + 1) * _BLOCK_BYTES, self.size)
            content = memoryview(self._obstore.get_range(self._store, self._key, start=start, end=end))
            if len(content) != end - start:
                raise OSError(f"{len(content)} bytes came where {end - start} were asked for")
            self.bytes_read += len(content)
            for position in range(number, last + 1):
                beginning = (position - number) * _BLOCK_BYTES
                self._blocks[position] = content[beginning : beginning + _BLOCK_BYTES]
            found = self._blocks.pop(number)
        self._blocks[number] = found  # the one used last goes last
        while len(self._blocks) > _BLOCKS_KEPT:
            del self._blocks[next(iter(self._blocks))]
        return found

    def buffered(self) -> BinaryIO:
        """The file as libraries like it."""
        return cast("BinaryIO", io.BufferedReader(self))
