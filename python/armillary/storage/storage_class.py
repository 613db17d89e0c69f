"""Storage classes: what a dataset is in memory, its parts, and what can be turned into it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from types import MappingProxyType
from typing import Any

from armillary._words import did_you_mean
from armillary.config import Config, default_section
from armillary.errors import ConfigurationError, UnknownComponentError, UnknownParameterError, UnknownStorageClassError
from armillary.storage.delegate import StorageClassDelegate
from armillary.storage.named_objects import dotted_name, import_object
from armillary.storage.peer_names import to_own_name, to_peer_name

__all__ = ["StorageClass", "StorageClassFactory", "find_storage_class", "storage_class_factory"]

_DEFAULT_DELEGATE = "lsst.daf.butler.StorageClassDelegate"


MOCK_PREFIX = "_mock_"
"""Begins the names of storage classes whose datasets stand for others, in tests of pipelines."""

MOCK_PYTYPE = "lsst.pipe.base.tests.mocks.MockDataset"
MOCK_DELEGATE = "lsst.pipe.base.tests.mocks.MockStorageClassDelegate"


class StorageClass:
    """The kind of object a dataset is.

    Parameters
    ----------
    name
        What dataset types call it.
    pytype
        The Python type of its objects: a type, or its dotted name, imported when first needed.
    components
        Parts that may be stored apart, by name; one alone is refused with `ValueError`.
    derivedComponents
        Parts that are computed when asked for.
    parameters
        Names of the parameters that reading understands.
    delegate
        Dotted name of the `StorageClassDelegate` that takes objects apart.
    converters
        Dotted name of a Python type -> dotted name of what turns it into `pytype`.

    Examples
    --------
    >>> number = StorageClass("Number", pytype="int")
    >>> number.validateInstance(3), str(number)
    (True, 'Number')

    """

    __slots__ = (
        "_components",
        "_converters",
        "_delegate_class",
        "_delegate_name",
        "_derived",
        "_parameters",
        "_pytype",
        "_pytype_name",
        "name",
    )

    def __init__(
        self,
        name: str = "",
        pytype: type | str | None = None,
        components: Mapping[str, StorageClass] | None = None,
        derivedComponents: Mapping[str, StorageClass] | None = None,
        parameters: Sequence[str] | AbstractSet[str] | None = None,
        delegate: str | None = None,
        converters: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._pytype: type | None = None
        self._delegate_class: type[StorageClassDelegate] | None = None
        if pytype is None:
            pytype = object
        if isinstance(pytype, str):
            self._pytype_name = pytype
        else:
            self._pytype = pytype
            self._pytype_name = to_peer_name(dotted_name(pytype))
        self._components = dict(components or {})
        self._derived = dict(derivedComponents or {})
        if len(self._components) == 1:
            only = next(iter(self._components))
            raise ConfigurationError(
                f"storage class `{name}` cannot have the one component `{only}`; make it a derived component"
            )
        both = sorted(self._components.keys() & self._derived.keys())
        if both:
            raise ConfigurationError(f"storage class `{name}` has {both} both as stored and as derived components")
        self._parameters = frozenset(parameters or ())
        self._delegate_name = delegate
        self._converters = dict(converters or {})

    @property
    def pytype(self) -> type:
        """The Python type of its objects; raises `ImportError` where the package that has it is not installed."""
        if self._pytype is None:
            found = import_object(self._pytype_name, f"storage class `{self.name}`")
            if not isinstance(found, type):
                raise ImportError(f"storage class `{self.name}` names `{self._pytype_name}`, which is not a type")
            self._pytype = found
        return self._pytype

    @property
    def pytype_name(self) -> str:
        """The dotted name of the Python type, as repositories hold it."""
        return self._pytype_name

    @property
    def components(self) -> Mapping[str, StorageClass]:
        """Parts that may be stored apart, by name."""
        return MappingProxyType(self._components)

    @property
    def derivedComponents(self) -> Mapping[str, StorageClass]:
        """Parts computed when asked for, by name."""
        return MappingProxyType(self._derived)

    @property
    def parameters(self) -> set[str]:
        """Names of the parameters its own definition gives."""
        return set(self._parameters)

    @property
    def converters(self) -> Mapping[str, str]:
        """Dotted name of a Python type -> dotted name of what turns it into the Python type."""
        return MappingProxyType(self._converters)

    @property
    def delegateClass(self) -> type[StorageClassDelegate]:
        """The class of its delegate."""
        if self._delegate_class is None:
            name = self._delegate_name or _DEFAULT_DELEGATE
            found = import_object(name, f"the delegate of storage class `{self.name}`")
            self._delegate_class = found
        return self._delegate_class

    def delegate(self) -> StorageClassDelegate:
        """Make the object that takes apart, puts together and subsets objects of this class."""
        return self.delegateClass(self)

    def allComponents(self) -> Mapping[str, StorageClass]:
        """All parts, stored and derived, by name."""
        return {**self._components, **self._derived}

    def component(self, name: str) -> StorageClass:
        """Find the storage class of a part. Raises `UnknownComponentError` with the nearest name."""
        found = self._components.get(name) or self._derived.get(name)
        if found is None:
            known = self.allComponents()
            raise UnknownComponentError(
                f"storage class `{self.name}` has no component `{name}`{did_you_mean(name, known)}"
            )
        return found

    def isComposite(self) -> bool:
        """Tell whether it has parts that may be stored apart."""
        return bool(self._components)

    def knownParameters(self) -> set[str]:
        """Names of parameters that reading it, or any part of it, understands."""
        known = set(self._parameters)
        for part in self._components.values():
            known |= part.knownParameters()
        return known

    def validateParameters(self, parameters: Collection[str] | None = None) -> None:
        """Raise `UnknownParameterError` (a `KeyError`) if a parameter is not understood."""
        if not parameters:
            return
        known = self.knownParameters()
        for name in parameters:
            if name not in known:
                say = f"; it understands {', '.join(f'`{one}`' for one in sorted(known))}" if known else ""
                raise UnknownParameterError(
                    f"Parameter `{name}` is not understood by storage class `{self.name}`"
                    f"{did_you_mean(name, known) or say}"
                )

    def filterParameters(
        self, parameters: Mapping[str, Any] | None, subset: Collection[str] | None = None
    ) -> Mapping[str, Any]:
        """Keep the parameters that are understood and, if `subset` is given, named in it."""
        if not parameters or (subset is not None and not subset):
            return {}
        wanted = self.knownParameters() if subset is None else self.knownParameters() & set(subset)
        return {name: value for name, value in parameters.items() if name in wanted}

    def validateInstance(self, instance: Any) -> bool:
        """Tell whether an object is of the Python type."""
        if self._pytype is not None:
            return isinstance(instance, self._pytype)
        return self.is_type(type(instance)) or isinstance(instance, self.pytype)

    def is_type(self, other: type, compare_types: bool = False) -> bool:
        """Tell whether `other` is the Python type, by name unless that takes an import.

        With `compare_types` the Python type is imported and compared; one that cannot be imported is not equal.
        """
        if self._pytype is not None:
            return self._pytype is other
        if to_own_name(self._pytype_name) == dotted_name(other):
            return True
        if not compare_types:
            return False
        try:
            return self.pytype is other
        except ImportError:
            return False

    def can_convert(self, other: StorageClass) -> bool:
        """Tell whether objects of `other` can be turned into objects of this class."""
        if other.name == self.name or other._pytype_name == self._pytype_name:
            return True
        try:
            other_type = other.pytype
        except ImportError:
            return other._pytype_name in self._converters
        try:
            if issubclass(other_type, self.pytype):
                return True
        except ImportError:
            return False
        return self._converter_for(other_type) is not None

    def _converter_for(self, source: type) -> str | None:
        """The first converter whose type is `source` or a base of it; only types already imported can match."""
        bases = {dotted_name(base) for base in source.__mro__}
        for name, converter in self._converters.items():
            own = to_own_name(name)
            if own in bases or self._imported_base(own, source):
                return converter
        return None

    @staticmethod
    def _imported_base(name: str, source: type) -> bool:
        """Whether a type known by a shorter name than its own (`pandas.Index`) is a base of `source`."""
        package = name.partition(".")[0]
        if not any(base.__module__.partition(".")[0] == package for base in source.__mro__):
            return False
        try:
            found = import_object(name, "a converter")
        except ImportError:
            return False
        return isinstance(found, type) and issubclass(source, found)

    def coerce_type(self, incorrect: Any) -> Any:
        """Turn an object into one of this class; None and objects of it come back as they are.

        Raises `TypeError` if nothing can turn it.
        """
        if incorrect is None or self.validateInstance(incorrect):
            return incorrect
        converter = self._converter_for(type(incorrect))
        if converter is None:
            raise TypeError(
                f"Type does not match and no valid converter found to convert `{dotted_name(type(incorrect))}` to "
                f"`{self._pytype_name}`, the Python type of storage class `{self.name}`"
            )
        convert: Callable[[Any], Any] = import_object(converter, f"a converter of storage class `{self.name}`")
        return convert(incorrect)

    def _definition(self) -> tuple[Any, ...]:
        return (
            self.name,
            to_own_name(self._pytype_name),
            {name: part.name for name, part in self._components.items()},
            {name: part.name for name, part in self._derived.items()},
            self._parameters,
            to_own_name(self._delegate_name or _DEFAULT_DELEGATE),
            self._converters,
        )

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, StorageClass) and self._definition() == other._definition())

    def __hash__(self) -> int:
        return hash(self.name)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"StorageClass({self.name!r}, pytype={self._pytype_name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        pytype = self._pytype_name if self._pytype is None or "<locals>" not in self._pytype_name else self._pytype
        return type(self), (
            self.name,
            pytype,
            self._components,
            self._derived,
            sorted(self._parameters),
            self._delegate_name,
            self._converters,
        )


class StorageClassFactory:
    """All storage classes known, made from their definitions when first asked for.

    `config` adds definitions to the packaged ones. Safe to use from several threads.

    >>> StorageClassFactory().getStorageClass("StructuredDataDict").pytype
    <class 'dict'>
    """

    def __init__(self, config: Any = None) -> None:
        self._lock = threading.RLock()
        self._definitions: dict[str, dict[str, Any]] = {}
        self._made: dict[str, StorageClass] = {}
        self.reset()
        if config is not None:
            self.addFromConfig(config)

    def reset(self) -> None:
        """Forget everything but the packaged definitions."""
        with self._lock:
            self._made = {}
            self._definitions = default_section("storageClasses")

    def __contains__(self, item: object) -> bool:
        if isinstance(item, StorageClass):
            return item.name in self and self.getStorageClass(item.name) == item
        return item in self._made or item in self._definitions

    def keys(self) -> list[str]:
        """List the names known, in alphabetical order."""
        return sorted({*self._definitions, *self._made})

    def values(self) -> Iterator[StorageClass]:
        """Make every storage class known, in the order of their names."""
        return (self.getStorageClass(name) for name in self.keys())

    def items(self) -> Iterator[tuple[str, StorageClass]]:
        """Pairs of name and storage class, in the order of the names."""
        return ((name, self.getStorageClass(name)) for name in self.keys())

    def getStorageClass(self, storageClassName: str) -> StorageClass:
        """Find a storage class. Raises `UnknownStorageClassError` (a `KeyError`) with the nearest name."""
        found = self._made.get(storageClassName)
        if found is not None:
            return found
        with self._lock:
            return self._make(storageClassName, ())

    def _make(self, name: str, path: tuple[str, ...]) -> StorageClass:
        found = self._made.get(name)
        if found is not None:
            return found
        if name in path:
            raise ConfigurationError(f"storage class `{name}` is defined by itself: {' -> '.join((*path, name))}")
        own = self._definition(name)
        if own is None:
            by = f", which `{path[-1]}` names" if path else ""
            raise UnknownStorageClassError(f"no storage class is called `{name}`{by}{did_you_mean(name, self.keys())}")
        content = self._inherited(name, path)
        made = StorageClass(
            name,
            pytype=content.get("pytype"),
            components=self._parts(name, content, "components", path),
            derivedComponents=self._parts(name, content, "derivedComponents", path),
            parameters=content.get("parameters"),
            delegate=content.get("delegate"),
            converters=content.get("converters"),
        )
        self._made[name] = made
        return made

    def _definition(self, name: str) -> dict[str, Any] | None:
        """The definition of a storage class; that of a mock follows from what it stands for."""
        own = self._definitions.get(name)
        if own is not None or not name.startswith(MOCK_PREFIX):
            return own
        original = self._definition(name.removeprefix(MOCK_PREFIX))
        if original is None:
            return None
        mocked: dict[str, Any] = {"pytype": MOCK_PYTYPE, "delegate": MOCK_DELEGATE}
        for key in ("components", "derivedComponents"):
            if original.get(key):
                mocked[key] = {part: MOCK_PREFIX + cls for part, cls in original[key].items()}
        if "parameters" in original:
            mocked["parameters"] = original["parameters"]
        if "inheritsFrom" in original:
            mocked["inheritsFrom"] = MOCK_PREFIX + original["inheritsFrom"]
        return mocked

    def _parts(self, name: str, content: Mapping[str, Any], key: str, path: tuple[str, ...]) -> dict[str, StorageClass]:
        return {part: self._make(cls, (*path, name)) for part, cls in (content.get(key) or {}).items()}

    def _inherited(self, name: str, path: tuple[str, ...]) -> dict[str, Any]:
        """A definition with everything it takes over from the class it inherits from."""
        own = self._definition(name)
        if own is None:
            raise UnknownStorageClassError(
                f"no storage class is called `{name}`, which `{path[-1]}` inherits from"
                f"{did_you_mean(name, self.keys())}"
            )
        parent = own.get("inheritsFrom")
        if parent is None:
            return own
        if name in path:
            raise ConfigurationError(f"storage class `{name}` inherits from itself")
        merged = dict(self._inherited(parent, (*path, name)))
        for key, value in own.items():
            if key == "parameters":
                merged[key] = sorted({*(merged.get(key) or ()), *value})
            elif isinstance(value, Mapping):
                merged[key] = {**(merged.get(key) or {}), **value}
            else:
                merged[key] = value
        return merged

    def findStorageClass(self, pytype: type, compare_types: bool = False) -> StorageClass:
        """Find the storage class of a Python type; plain dicts and lists are structured data.

        Types are compared by name first, which imports nothing. Raises `KeyError` if there is none.
        """
        for compare in (False, True) if compare_types else (False,):
            found = [made for made in self.values() if made.is_type(pytype, compare_types=compare)]
            if found:
                return min(found, key=lambda made: not made.name.startswith("StructuredData"))
        # A library's public name of a type (`astropy.table.Table`) is often not the one the type itself has.
        package = dotted_name(pytype).partition(".")[0]
        for made in self.values():
            if made.pytype_name.partition(".")[0] == package and made.is_type(pytype, compare_types=True):
                return made
        raise UnknownStorageClassError(f"no storage class holds objects of type `{dotted_name(pytype)}`")

    def registerStorageClass(self, storageClass: StorageClass, msg: str | None = None) -> None:
        """Add a storage class. Raises `ValueError` if the name is taken by another definition."""
        with self._lock:
            if storageClass.name in self:
                self._refuse_change(storageClass, self.getStorageClass(storageClass.name), msg)
                return
            self._made[storageClass.name] = storageClass

    @staticmethod
    def _refuse_change(new: StorageClass, known: StorageClass, msg: str | None) -> None:
        if new != known:
            where = f" ({msg})" if msg else ""
            raise ConfigurationError(f"storage class `{new.name}` is already defined differently{where}")

    def addFromConfig(self, config: Any) -> None:
        """Add the definitions of a configuration; its key `storageClasses` or the whole of it.

        A definition of a known name must be the same definition, or `ValueError` is raised.
        """
        content = Config(config).toDict()
        content = content.get("storageClasses", content)
        if not isinstance(content, dict):
            raise ConfigurationError("`storageClasses` must be a mapping of names to definitions")
        self._check_shapes(content)
        with self._lock:
            for name, definition in content.items():
                if name not in self or self._definitions.get(name) == definition:
                    self._definitions.setdefault(name, definition)
                    continue
                alternative = StorageClassFactory.__new__(StorageClassFactory)
                alternative._lock, alternative._made = self._lock, {}
                alternative._definitions = {**self._definitions, **content}
                self._refuse_change(alternative.getStorageClass(name), self.getStorageClass(name), None)

    @staticmethod
    def _check_shapes(content: Mapping[str, Any]) -> None:
        shapes = {
            "pytype": str,
            "inheritsFrom": str,
            "delegate": str,
            "components": dict,
            "derivedComponents": dict,
            "parameters": list,
            "converters": dict,
        }
        for name, definition in content.items():
            if not isinstance(definition, dict):
                raise ConfigurationError(f"the definition of storage class `{name}` must be a mapping")
            for key, value in definition.items():
                if key in shapes and value is not None and not isinstance(value, shapes[key]):
                    raise ConfigurationError(
                        f"`{key}` of storage class `{name}` must be a {shapes[key].__name__}, not `{value}`"
                    )

    def _unregisterStorageClass(self, storageClassName: str) -> None:
        """Forget one storage class; for tests."""
        with self._lock:
            self._made.pop(storageClassName, None)
            self._definitions.pop(storageClassName, None)


@cache
def storage_class_factory() -> StorageClassFactory:
    """The storage classes known to the whole process; repositories add theirs to it.

    >>> "int" in storage_class_factory()
    True
    """
    return StorageClassFactory()


def find_storage_class(name: str) -> StorageClass:
    """Find a storage class among those known to the whole process.

    >>> find_storage_class("int").pytype
    <class 'int'>
    """
    return storage_class_factory().getStorageClass(name)
