"""Pickle files, read without running what they ask for.

A pickle is a program. This reader knows only the steps that rebuild numpy arrays and plain values; a class outside
that list is taken from a pickle only if its module is named in `ARMILLARY_TRUSTED_PICKLES`.
"""

from __future__ import annotations

import importlib
import io
import os
import pickle
from typing import Any

from armillary.errors import UntrustedContentError
from armillary.storage.formatter import BytesFormatter

__all__ = ["TRUSTED_PICKLES_VARIABLE", "PickleFormatter", "restricted_loads"]

TRUSTED_PICKLES_VARIABLE = "ARMILLARY_TRUSTED_PICKLES"

# Functions and classes that build values and do nothing else. numpy renamed `core` to `_core` in version 2.
_SAFE: dict[str, frozenset[str]] = {
    "numpy": frozenset({"dtype", "ndarray"}),
    "numpy._core.multiarray": frozenset({"_reconstruct", "scalar"}),
    "numpy.core.multiarray": frozenset({"_reconstruct", "scalar"}),
    "numpy._core.numeric": frozenset({"_frombuffer"}),
    "numpy.core.numeric": frozenset({"_frombuffer"}),
    "numpy.ma.core": frozenset({"_mareconstruct", "MaskedArray"}),
    "builtins": frozenset({"bytearray", "complex", "frozenset", "range", "set", "slice"}),
    "collections": frozenset({"OrderedDict"}),
    "datetime": frozenset({"date", "datetime", "time", "timedelta", "timezone"}),
    "decimal": frozenset({"Decimal"}),
    "fractions": frozenset({"Fraction"}),
    "uuid": frozenset({"UUID"}),
    "_codecs": frozenset({"encode"}),
}
_found: dict[tuple[str, str], Any] = {}
"""Those of the safe ones that were asked for."""


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = _found.get((module, name))
        if known is not None:
            return known
        if name in _SAFE.get(module, ()):
            own = module
            if module.startswith("numpy.core."):
                own = "numpy._core." + module.removeprefix("numpy.core.")
            return _found.setdefault((module, name), getattr(importlib.import_module(own), name))
        trusted = (part.strip() for part in os.environ.get(TRUSTED_PICKLES_VARIABLE, "").split(","))
        if any(module == prefix or module.startswith(prefix + ".") for prefix in trusted if prefix):
            return super().find_class(module, name)
        raise UntrustedContentError(
            f"the pickle asks for `{module}.{name}`, and a pickle can run any code it names; if you trust where it "
            f"comes from, add `{module}` to {TRUSTED_PICKLES_VARIABLE}"
        )

    def persistent_load(self, pid: Any) -> Any:
        raise UntrustedContentError("the pickle refers to objects outside itself")


def restricted_loads(content: bytes) -> Any:
    """Read a pickle of arrays and plain values.

    Raises `UntrustedContentError` if it asks for anything else, `ValueError` if it is not a pickle.

    >>> restricted_loads(pickle.dumps({"a": [1, 2.5]}))
    {'a': [1, 2.5]}
    """
    try:
        return _RestrictedUnpickler(io.BytesIO(content)).load()
    except UntrustedContentError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise ValueError(f"the file is not a pickle that can be read: {error}") from error


class PickleFormatter(BytesFormatter):
    """Write any object as a pickle; read back arrays, plain values and trusted classes."""

    default_extension = ".pickle"
    supported_extensions = frozenset({".pickle", ".pkl"})

    def to_bytes(self, in_memory_dataset: Any) -> bytes:
        """Pickle by the highest protocol."""
        return pickle.dumps(in_memory_dataset, protocol=pickle.HIGHEST_PROTOCOL)

    def from_bytes(self, content: bytes) -> Any:
        """Read what may be read."""
        return restricted_loads(content)
