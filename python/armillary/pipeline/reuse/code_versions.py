"""Which code a task is: versions and digests of the packages that hold its class and those it is put together from."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["CodeVersions"]

_CODE = (".py", ".so", ".pyd")

_SUFFIXES = (*_CODE, ".yaml", ".yml", ".json", ".toml", ".csv", ".ecsv")
"""Endings of the files of a package that may change what its tasks do."""

_ENGINE = ("armillary", "lsst.pipe.base", "lsst.pex.config", "lsst.daf.butler")
"""Packages of base classes that run tasks and are no part of them."""

_IMPORT = re.compile(r"^import ([\w.]+)$", re.MULTILINE)


class CodeVersions:
    """Tells which code tasks are made of; what was found is kept, so use one object for each run.

    Counted are the packages of the class and of the classes it derives from, of its connections, and of the classes
    that its config names: subtasks and their configs. What these import from yet other packages is not.

    Examples
    --------
    >>> from armillary.pipeline.tests.no_dimensions import NoDimensionsTestTask
    >>> list(CodeVersions().of(NoDimensionsTestTask, ""))
    ['armillary']
    """

    def __init__(self) -> None:
        self._packages: dict[str, tuple[str, str, float] | None] = {}

    def of(self, task_class: Any, config_text: str) -> dict[str, str] | None:
        """Tell the code of a task.

        Parameters
        ----------
        task_class
            The class, imported.
        config_text
            Its config as Python text.

        Returns
        -------
        code
            Version and digest by name of the package; None if nobody can tell: a module has no file, or a file has
            changed since the class was imported.
        """
        code = {}
        for module in _modules(task_class, config_text):
            found = self._package(module)
            if found is None:
                return None
            name, version, changed = found
            if changed > getattr(task_class, "_defined_at", 0.0):
                return None
            code[name] = version
        return dict(sorted(code.items()))

    def _package(self, module: str) -> tuple[str, str, float] | None:
        """Name of the package that holds a module, its version with a digest, and when it was changed last.

        A module that is in no package counts with all that stand beside it.
        """
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):
            name = ".".join(parts[:depth])
            if name in self._packages:
                return self._packages[name]
            package = sys.modules.get(name)
            folders = list(getattr(package, "__path__", ()))
            file = getattr(package, "__file__", None)
            if file is None or not os.path.exists(file):
                continue  # a namespace
            if folders and (len(folders) > 1 or _is_shared(file)):
                continue
            files = _files_below(folders[0]) if folders else _files_beside(file)
            version = str(getattr(package, "__version__", "") or "-").replace(" ", "")
            self._packages[name] = None
            with contextlib.suppress(OSError):  # a file that cannot be read tells nothing
                code, changed = _digest(files)
                self._packages[name] = name, f"{version} {code}", changed
            return self._packages[name]
        return None


def _modules(task_class: Any, config_text: str) -> Iterator[str]:
    """Names of the modules that a task is put together from."""
    connections = getattr(getattr(task_class, "ConfigClass", None), "ConnectionsClass", None)
    classes = [*task_class.__mro__[1:], *(() if connections is None else connections.__mro__)]
    named = [*map(_module_of, classes), *_IMPORT.findall(config_text)]
    yield _module_of(task_class)
    yield from (name for name in dict.fromkeys(named) if name != "builtins" and not _is_engine(name))


def _module_of(one: Any) -> str:
    """Name under which the module of a class was imported: classes may give themselves out as those of another."""
    module = sys.modules.get(one.__module__)
    if module is not None:
        return str(module.__name__)
    names = (getattr(value, "__globals__", {}).get("__name__") for value in vars(one).values())
    return str(next((name for name in names if name is not None), one.__module__))


def _is_engine(module: str) -> bool:
    return module in _ENGINE or module.startswith(tuple(f"{name}." for name in _ENGINE))


def _is_shared(file: str) -> bool:
    """Whether a package says that other distributions may add to it."""
    with open(file, "rb") as stream:
        return b"extend_path" in stream.read()


def _files_beside(file: str) -> Iterator[tuple[str, str]]:
    folder = os.path.dirname(file)
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name.endswith(_CODE) and entry.is_file())
    for name in names:
        yield name, os.path.join(folder, name)


def _files_below(folder: str) -> Iterator[tuple[str, str]]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            if name.endswith(_SUFFIXES):
                path = os.path.join(place, name)
                yield os.path.relpath(path, folder), path


def _digest(files: Iterator[tuple[str, str]]) -> tuple[str, float]:
    """Digest of files, and when the last of them was changed, in seconds since 1970."""
    total = hashlib.blake2b(digest_size=16)
    changed = 0.0
    for name, path in files:
        with open(path, "rb") as stream:
            changed = max(changed, os.fstat(stream.fileno()).st_mtime)
            content = hashlib.file_digest(stream, "blake2b").digest()
        total.update(name.encode() + b"\0" + content)
    return total.hexdigest(), changed
