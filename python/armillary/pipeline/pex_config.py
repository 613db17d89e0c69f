"""The classes of `lsst.pex.config` that configs of tasks are made of, without what it imports and most runs never use.

That package imports `lsst.resources`, to load configs by URI, and numpy, to compare numbers: with what these import in
turn, a third of the time before the first quantum. Both are imported when they are first used.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

__all__ = ["Config", "ConfigField", "ConfigMeta", "Field"]


class _Later(ModuleType):
    """Stands for a module until one of its attributes is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # Python's own questions about a module
        return getattr(self._real(), name)

    def _real(self) -> ModuleType:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return importlib.import_module(self.__name__)


class _LaterResources(_Later):
    """Stands for `lsst.resources`, of which `lsst.pex.config` takes two names at once."""

    ResourcePathExpression = Any  # it is for annotations alone

    def ResourcePath(self, *args: Any, **options: Any) -> Any:
        """Make a resource path."""
        return self._real().ResourcePath(*args, **options)


@contextlib.contextmanager
def _standing_in(*modules: _Later) -> Iterator[None]:
    added = [module for module in modules if module.__name__ not in sys.modules]
    sys.modules.update({module.__name__: module for module in added})
    try:
        yield
    finally:
        for module in added:
            if sys.modules.get(module.__name__) is module:
                del sys.modules[module.__name__]


with _standing_in(_Later("numpy"), _LaterResources("lsst.resources")):
    from lsst.pex.config import Config, ConfigField, ConfigMeta, Field
