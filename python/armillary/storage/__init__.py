"""Where datasets are kept: storage classes, formatters, file names and datastores."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from armillary import _core

if TYPE_CHECKING:
    from armillary.storage.delegate import StorageClassDelegate
    from armillary.storage.file_dataset import FileDataset
    from armillary.storage.file_datastore import FileDatastore
    from armillary.storage.formatter import FormatterV2
    from armillary.storage.in_memory_datastore import InMemoryDatastore
    from armillary.storage.masked_image import Box, MaskedImage
    from armillary.storage.storage_class import StorageClass, StorageClassFactory

_MODULE_OF = {
    "Box": "masked_image",
    "FileDataset": "file_dataset",
    "FileDatastore": "file_datastore",
    "FormatterV2": "formatter",
    "InMemoryDatastore": "in_memory_datastore",
    "MaskedImage": "masked_image",
    "StorageClass": "storage_class",
    "StorageClassDelegate": "delegate",
    "StorageClassFactory": "storage_class",
}

__all__ = [
    "Box",
    "FileDataset",
    "FileDatastore",
    "FormatterV2",
    "InMemoryDatastore",
    "MaskedImage",
    "StorageClass",
    "StorageClassDelegate",
    "StorageClassFactory",
    "make_datastore",
    "storage_class_factory",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


def storage_class_factory() -> StorageClassFactory:
    """All storage classes that the process knows.

    >>> storage_class_factory().getStorageClass("StructuredDataDict").pytype
    <class 'dict'>
    """
    from armillary.storage.storage_class import process_storage_classes

    return process_storage_classes()


def _resolve(name: str) -> StorageClass:
    from armillary.storage.storage_class import find_storage_class

    return find_storage_class(name)


def make_datastore(config: Any, butler_root: str | None, *, universe: Any, writeable: bool) -> FileDatastore:
    """Make the datastore that a repository's configuration describes.

    Raises
    ------
    ConfigurationError
        If its class is not one that can be made.
    """
    from armillary.errors import ConfigurationError
    from armillary.storage.file_datastore import FileDatastore
    from armillary.storage.storage_class import process_storage_classes

    process_storage_classes([config["storageClasses"]] if "storageClasses" in config else [])
    name = str(config[".datastore.cls"])
    if not name.endswith(".FileDatastore"):
        raise ConfigurationError(f"a datastore of class `{name}` cannot be made; only FileDatastore can")
    return FileDatastore(config, butler_root, universe=universe, writeable=writeable)


# Dataset types find their storage classes here.
_core.set_storage_class_resolver(_resolve)
