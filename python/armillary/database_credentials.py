"""Names and passwords for database servers: from the URL, `db-auth.yaml`, or PostgreSQL's own password file."""

from __future__ import annotations

import fnmatch
import json
import os
import stat
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from armillary import _yaml
from armillary.errors import ConfigurationError

__all__ = ["ServerAddress", "find_credentials"]

FILE_VARIABLE = "LSST_DB_AUTH"
TEXT_VARIABLE = "LSST_DB_AUTH_CREDENTIALS"
DEFAULT_FILE = "~/.lsst/db-auth.yaml"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A database on a server, and the password for it, which no message and no `repr` shows."""

    url: str
    password: str | None = field(default=None, repr=False)


def find_credentials(url: str, password: str | None = None) -> ServerAddress:
    """Take the password out of a URL, or find it and the user name where people keep them.

    They are looked for in the URL; in the JSON list `LSST_DB_AUTH_CREDENTIALS`; in the file that `LSST_DB_AUTH` names,
    by default `~/.lsst/db-auth.yaml`, where the first entry counts whose `url` (host and database may be globs) fits;
    in `PGPASSWORD`; and in the file `PGPASSFILE`, by default `~/.pgpass`.

    Raises
    ------
    ConfigurationError
        If a file of credentials may be read by others, or an entry lacks something.

    Examples
    --------
    >>> find_credentials("postgresql+psycopg://me:secret@db.example.org/butler")
    ServerAddress(url='postgresql://me@db.example.org/butler')
    """
    parts = urlsplit(url)
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else password
    host, port = _host_and_port(url)
    database = parts.path.lstrip("/")
    if password is None:
        entry = _matching_entry(host, port, database, user)
        if entry is not None:
            user, password = user or str(entry["username"]), str(entry["password"])
        else:
            password = os.environ.get("PGPASSWORD") or _from_password_file(host, port, database, user)
    plain_host = parts.netloc.rpartition("@")[2]
    netloc = f"{quote(user, safe='')}@{plain_host}" if user else plain_host
    query = f"?{parts.query}" if parts.query else ""
    scheme = parts.scheme.partition("+")[0]
    return ServerAddress(f"{scheme}://{netloc}{parts.path}{query}", password)


def _host_and_port(url: str) -> tuple[str, int]:
    """The host, which may be a folder of sockets given as `?host=`, and the port."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    host = parts.hostname or query.get("host", ["localhost"])[0]
    return host, parts.port or int(query.get("port", ["5432"])[0])


def _matching_entry(host: str, port: int, database: str, user: str | None) -> Mapping[str, Any] | None:
    for source, entry in _entries():
        missing = [key for key in ("url", "username", "password") if not entry.get(key)]
        if missing:
            raise ConfigurationError(f"an entry of `{source}` lacks `{missing[0]}`")
        parts = urlsplit(str(entry["url"]))
        if parts.scheme.partition("+")[0] not in ("postgresql", "postgres"):
            continue
        wanted_host = parts.hostname or ""
        wanted_database = parts.path.lstrip("/")
        if (
            fnmatch.fnmatchcase(host.lower(), wanted_host)
            and parts.port in (None, port)
            and (not wanted_database or fnmatch.fnmatchcase(database, wanted_database))
            and user in (None, str(entry["username"]))
        ):
            return entry
    return None


def _entries() -> Iterator[tuple[str, Mapping[str, Any]]]:
    text = os.environ.get(TEXT_VARIABLE)
    if text:
        try:
            content = json.loads(text)
        except ValueError:
            # Without its cause: that would show the text, and in it passwords.
            raise ConfigurationError(f"`{TEXT_VARIABLE}` is not JSON") from None
        source = TEXT_VARIABLE
    else:
        source = os.environ.get(FILE_VARIABLE) or os.path.expanduser(DEFAULT_FILE)
        if not os.path.isfile(source):
            return
        if os.stat(source).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(
                f"`{source}` holds passwords and others may use it, so it is not read; say `chmod 600 {source}`"
            )
        try:
            content = _yaml.load(Path(source).read_text(encoding="utf-8"), source=source)
        except Exception:
            raise ConfigurationError(f"`{source}` is not YAML") from None
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise ConfigurationError(f"`{source}` must be a list of mappings with `url`, `username` and `password`")
    for entry in content:
        yield source, entry


def _from_password_file(host: str, port: int, database: str, user: str | None) -> str | None:
    """The password of the first line `host:port:database:user:password` that fits; `*` fits anything."""
    path = os.environ.get("PGPASSFILE") or os.path.expanduser("~/.pgpass")
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return None
    if not stat.S_ISREG(mode):
        return None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        warnings.warn(f"`{path}` holds passwords and others may use it, so it is not read", stacklevel=2)
        return None
    wanted = (host, str(port), database, user)
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        fields = _split_line(line)
        if len(fields) < 5 or line.startswith("#"):
            continue
        if all(known in ("*", value) for known, value in zip(fields[:4], wanted, strict=True)):
            return fields[4]
    return None


def _split_line(line: str) -> list[str]:
    """Split at colons; a backslash keeps the next character as it is."""
    fields = [""]
    characters = iter(line)
    for character in characters:
        if character == ":":
            fields.append("")
        else:
            fields[-1] += next(characters, "") if character == "\\" else character
    return fields
