"""Where datasets are kept: storage classes, formatters, file names and datastores.

Nothing heavy is imported here: each name below loads its module when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

from armillary import _core

_PLACES = {
    "Box": "masked_image",
    "ButlerLogRecord": "log_records",
    "ButlerLogRecords": "log_records",
    "DatasetComponent": "delegate",
    "DatasetProvenance": "provenance",
    "FileDataset": "file_dataset",
    "FileDatastore": "file_datastore",
    "FileDescriptor": "location",
    "FileRecord": "file_record",
    "FileTemplate": "file_template",
    "FileTemplates": "file_template",
    "Formatter": "formatter",
    "FormatterV1inV2": "formatter",
    "FormatterV2": "formatter",
    "Image": "masked_image",
    "InMemoryDatastore": "in_memory_datastore",
    "Location": "location",
    "MaskedImage": "masked_image",
    "Measurement": "metrics",
    "MetricMeasurementBundle": "metrics",
    "SerializedDatasetRef": "serialized",
    "SerializedFileDataset": "file_dataset",
    "StorageClass": "storage_class",
    "StorageClassDelegate": "delegate",
    "StorageClassFactory": "storage_class",
    "find_storage_class": "storage_class",
    "make_datastore": "datastore",
    "storage_class_factory": "storage_class",
    "trust_module": "named_objects",
}
__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    return getattr(importlib.import_module(f"{__name__}.{place}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def _find_storage_class(name: str) -> Any:
    from armillary.storage.storage_class import find_storage_class

    return find_storage_class(name)


# Dataset types know their storage class by name; this is how they get the object.
_core.set_storage_class_resolver(_find_storage_class)
