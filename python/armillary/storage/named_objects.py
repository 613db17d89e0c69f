"""Import what a repository names, if it may be imported.

A repository's files may come from anybody, and importing a module runs it. So names found in a repository are only
followed into packages that storage is built on, and into modules the running program has imported for itself.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import types
from functools import cache
from typing import Any

from armillary.config import default_section
from armillary.errors import UntrustedContentError
from armillary.storage.distributions import how_to_get
from armillary.storage.peer_names import to_own_name

__all__ = ["TRUSTED_MODULES_VARIABLE", "dotted_name", "import_object", "trust_module"]

TRUSTED_MODULES_VARIABLE = "ARMILLARY_TRUSTED_MODULES"
_TRUSTED_PACKAGES = {"armillary", "lsst"}
_PLAIN_TYPES = {
    "bool",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "object",
    "set",
    "str",
    "tuple",
}
# These hold functions that run code or read pickles; only names the packaged defaults use are taken from them.
_LIBRARIES = {"astropy", "dask", "joblib", "matplotlib", "numpy", "pandas", "polars", "pyarrow", "scipy", "yaml"}
_trusted: set[str] = set()


def trust_module(prefix: str) -> None:
    """Let repositories name objects in a module and everything below it, for this process.

    >>> trust_module("my.package")
    """
    _trusted.add(prefix)


def _is_below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


@cache
def _names_in_defaults() -> frozenset[str]:
    """Every dotted name the packaged storage classes use."""
    found: set[str] = set()
    for content in default_section("storageClasses", search_paths=()).values():
        found.update(filter(None, (content.get("pytype"), content.get("delegate"))))
        for source, converter in (content.get("converters") or {}).items():
            found.update((source, converter))
    return frozenset(found)


def _may_import(name: str) -> bool:
    package = name.partition(".")[0]
    if package in _TRUSTED_PACKAGES or name in _names_in_defaults():
        return True
    extra = [part.strip() for part in os.environ.get(TRUSTED_MODULES_VARIABLE, "").split(",")]
    if any(_is_below(name, prefix) for prefix in {*_trusted, *extra} if prefix):
        return True
    if package in sys.stdlib_module_names and package != "__main__":
        return False
    # The program has imported the package itself, so importing it again runs nothing new.
    return package not in _LIBRARIES and package in sys.modules


def import_object(name: str, purpose: str) -> Any:
    """Import the object with a dotted name found in a repository.

    `purpose` says in messages what it is for. Raises `UntrustedContentError` if the name leads outside the trusted
    packages, `ImportError` if there is no such object.

    >>> import_object("lsst.daf.butler.StorageClassDelegate", "a delegate").__module__
    'armillary.storage.delegate'
    """
    if "." not in name:
        if name in _PLAIN_TYPES:
            return getattr(builtins, name)
        raise ImportError(f"{purpose} names `{name}`, which is not a plain Python type and has no module")
    own = to_own_name(name)
    if not _may_import(name):
        module, package = name.rpartition(".")[0], name.partition(".")[0]
        first = "" if package in sys.stdlib_module_names or package in _LIBRARIES else f"`import {module}` first or "
        raise UntrustedContentError(
            f"{purpose} names `{name}`, and a repository may not have just any code run; if you trust it, "
            f"{first}add `{module}` to {TRUSTED_MODULES_VARIABLE}"
        )
    return _resolve(own, purpose, name)


def _stays_inside(found: Any, package: str) -> bool:
    """Whether an object belongs to the package its name begins with: `armillary.config.os.system` does not."""
    home = found.__name__ if isinstance(found, types.ModuleType) else getattr(found, "__module__", None)
    return not isinstance(home, str) or home.partition(".")[0].lstrip("_") == package.lstrip("_")


def _resolve(name: str, purpose: str, stored: str) -> Any:
    """Import the longest beginning that is a module; the rest are attributes.

    Only what the packaged defaults call by the stored name may lead out of the package that the name begins with.
    """
    parts = name.split(".")
    reason: Exception | None = None
    missing = ""
    for split in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:split])
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not _is_below(module_name, error.name):
                hint = how_to_get(error.name or "", error.name or "")
                raise ImportError(f"{purpose} names `{name}`, which needs `{error.name}`: {error}{hint}") from error
            reason, missing = error, error.name
            continue
        try:
            for part in parts[split:]:
                found = getattr(found, part)
                if not _stays_inside(found, parts[0]) and stored not in _names_in_defaults():
                    raise UntrustedContentError(
                        f"{purpose} names `{name}`, which leads out of `{parts[0]}` to code a repository may not name"
                    )
        except AttributeError as error:
            reason = error
            continue
        return found
    told = str(reason)
    if missing and _is_about(reason, missing):
        told = f"there is no module `{missing}`{how_to_get(name, missing)}"
    raise ImportError(f"{purpose} names `{name}`, which cannot be imported: {told}") from reason


def _is_about(reason: Exception | None, module: str) -> bool:
    """Whether an error says that a module is not there; a namespace that others share says it has no such attribute."""
    if isinstance(reason, AttributeError):
        return f"{getattr(reason.obj, '__name__', '')}.{reason.name}" == module
    return isinstance(reason, ModuleNotFoundError)


def dotted_name(cls: type) -> str:
    """The name a class is known by in a repository: without module for plain types.

    >>> dotted_name(dict), dotted_name(importlib.machinery.ModuleSpec)
    ('dict', '_frozen_importlib.ModuleSpec')
    """
    module = cls.__module__
    return cls.__qualname__ if module == "builtins" else f"{module}.{cls.__qualname__}"
