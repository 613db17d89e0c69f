"""What can be done with the objects of a storage class beyond reading and writing them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.storage.storage_class import StorageClass

__all__ = ["DatasetComponent", "StorageClassDelegate"]


@dataclass(frozen=True, slots=True)
class DatasetComponent:
    """One part of a composite: its name, its storage class and the object."""

    name: str
    storageClass: StorageClass
    component: Any


class StorageClassDelegate:
    """Take composites apart, put them together, and apply read parameters in memory.

    The parts of an object are its attributes, items or `get_x`/`getX` methods; subclass this where they are not.
    """

    def __init__(self, storageClass: StorageClass) -> None:
        self.storageClass = storageClass

    def can_accept(self, inMemoryDataset: Any) -> bool:
        """Tell whether an object can be stored although it is not of the storage class's Python type."""
        return isinstance(inMemoryDataset, self.storageClass.pytype)

    @staticmethod
    def _attribute_names(component: str, verb: str) -> tuple[str, str, str]:
        return component, f"{verb}_{component}", f"{verb}{component[:1].upper()}{component[1:]}"

    def getComponent(self, composite: Any, componentName: str) -> Any:
        """Get one part of an object. Raises `AttributeError` if it has no such part."""
        if isinstance(composite, Mapping) and componentName in composite:
            return composite[componentName]
        for name in self._attribute_names(componentName, "get"):
            if hasattr(composite, name):
                found = getattr(composite, name)
                return found() if name != componentName and callable(found) else found
        raise AttributeError(f"`{type(composite).__name__}` has no component `{componentName}`")

    def disassemble(
        self, composite: Any, subset: Iterable[str] | None = None, override: Any | None = None
    ) -> dict[str, DatasetComponent]:
        """Take an object apart; parts that are None are left out.

        `override` is an object to take the parts from instead. Raises `TypeError` for a wrong type, `ValueError` if
        `subset` names parts that the storage class does not have.
        """
        if not self.storageClass.validateInstance(composite):
            raise TypeError(
                f"a `{type(composite).__name__}` cannot be taken apart as storage class `{self.storageClass.name}`"
            )
        source = composite if override is None else override
        components = self.storageClass.components
        names = list(components if subset is None else subset)
        unknown = sorted(set(names) - components.keys())
        if unknown:
            raise ValueError(f"storage class `{self.storageClass.name}` has no components {unknown}")
        parts = {}
        for name in names:
            found = self.getComponent(source, name)
            if found is not None:
                parts[name] = DatasetComponent(name, components[name], found)
        return parts

    def assemble(self, components: dict[str, Any], pytype: type | None = None) -> Any:
        """Put parts together: set them as items of a mapping or attributes of a new object.

        Raises `ValueError` if a part is not one of the storage class, `AttributeError` if it cannot be set.
        """
        unknown = sorted(components.keys() - self.storageClass.components.keys())
        if unknown:
            raise ValueError(f"storage class `{self.storageClass.name}` has no components {unknown}")
        cls = pytype or self.storageClass.pytype
        made = cls()
        for name, part in components.items():
            if isinstance(made, dict):
                made[name] = part
                continue
            for attribute in self._attribute_names(name, "set"):
                if hasattr(made, attribute):
                    if attribute == name:
                        setattr(made, attribute, part)
                    else:
                        getattr(made, attribute)(part)
                    break
            else:
                raise AttributeError(f"component `{name}` cannot be set on a `{cls.__name__}`")
        return made

    def handleParameters(self, inMemoryDataset: Any, parameters: Mapping[str, Any] | None = None) -> Any:
        """Apply read parameters to an object in memory; this class knows none and raises `ValueError` for any."""
        if parameters:
            names = ", ".join(f"`{name}`" for name in sorted(parameters))
            raise ValueError(f"storage class `{self.storageClass.name}` cannot apply {names} to an object in memory")
        return inMemoryDataset

    def copy(self, inMemoryDataset: Any) -> Any:
        """Copy an object so deep that changing the copy leaves the original alone."""
        return copy.deepcopy(inMemoryDataset)

    def add_provenance(self, inMemoryDataset: Any, ref: Any, provenance: Any | None = None) -> Any:
        """Note in the object where it comes from; this class has no place for it."""
        return inMemoryDataset

    @staticmethod
    def selectResponsibleComponent(derivedComponent: str, fromComponents: set[str | None]) -> str:
        """Choose the stored part from which a derived component can be computed."""
        raise NotImplementedError(f"no component is known to give `{derivedComponent}`")
