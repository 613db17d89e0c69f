"""Whether a file is what its record says: its size is compared at every read, its checksum when that is asked for.

`ARMILLARY_VERIFY_CHECKSUMS=true` asks for it, or `verify_checksums: true` in the section `datastore` of `butler.yaml`.
Only datasets written where `datastore.checksum` is set have a checksum. Comparing takes reading the whole file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from armillary._files import file_checksum
from armillary.errors import ConfigurationError, FileIntegrityError

if TYPE_CHECKING:
    from armillary.storage.file_record import FileRecord

__all__ = ["VERIFY_VARIABLE", "check_checksum", "verifies_checksums"]

VERIFY_VARIABLE = "ARMILLARY_VERIFY_CHECKSUMS"
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def verifies_checksums(config: Mapping[str, Any]) -> bool:
    """Tell whether checksums are compared: what the environment variable says, else the datastore's configuration.

    Raises `ConfigurationError` for what is neither yes nor no.

    >>> verifies_checksums({"verify_checksums": True}), verifies_checksums({})
    (True, False)
    """
    for name, given in (
        (VERIFY_VARIABLE, os.environ.get(VERIFY_VARIABLE)),
        ("verify_checksums", config.get("verify_checksums")),
    ):
        if given is not None and given != "":
            answer = _WORDS.get(str(given).lower())
            if answer is None:
                raise ConfigurationError(f"{name} is `{given}`; use `true` or `false`")
            return answer
    return False


def check_checksum(path: str, record: FileRecord, place: str) -> None:
    """Compare a local file with the checksum in its record, if there is one.

    Parameters
    ----------
    path
        The file, or a copy of it.
    record
        Its record.
    place
        Where the file is, for people.

    Raises
    ------
    FileIntegrityError
        It has another one.
    """
    if not record.checksum:
        return
    found = file_checksum(path)
    if found != record.checksum:
        raise FileIntegrityError(
            f"`{place}` has the checksum {found} and its record says {record.checksum}: the file was changed"
        )
