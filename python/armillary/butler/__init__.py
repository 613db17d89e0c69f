"""Find, read and write data by what they are: the names of `lsst.daf.butler`."""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "armillary._core": [
        "DataCoordinate",
        "DatasetRef",
        "DatasetType",
        "Dimension",
        "DimensionElement",
        "DimensionGroup",
        "DimensionRecord",
        "DimensionUniverse",
        "GovernorDimension",
        "SkyPixDimension",
        "SkyPixSystem",
        "Timespan",
    ],
    "armillary.butler.butler": ["Butler"],
    "armillary.butler.collection_type": ["CollectionType", "DatasetExistence", "DatasetIdGenEnum"],
    "armillary.butler.collections": ["ButlerCollections", "CollectionInfo"],
    "armillary.butler.data_coordinate_sets": ["DataCoordinateIterable", "DataCoordinateSequence", "DataCoordinateSet"],
    "armillary.butler.dataset_uris": [
        "LabeledButlerFactory",
        "ParsedButlerDatasetURI",
        "SpecificButlerDataset",
    ],
    "armillary.butler.deferred": ["DeferredDatasetHandle"],
    "armillary.butler.dimension_packer": ["DimensionPacker"],
    "armillary.butler.exporting": ["RepoExportContext"],
    "armillary.butler.limited": ["DatasetRefURIs", "LimitedButler"],
    "armillary.butler.metrics": ["ButlerMetrics"],
    "armillary.butler.named": ["NamedKeyDict", "NamedValueSet"],
    "armillary.butler.quantum_backed": ["Quantum", "QuantumBackedButler"],
    "armillary.butler.record_collections": ["DimensionRecordSet", "DimensionRecordTable"],
    "armillary.butler.registry": ["CollectionSummary", "DatasetAssociation", "Registry", "RegistryDefaults"],
    "armillary.config": ["ButlerConfig", "Config", "ConfigSubset", "RegistryConfig", "StorageClassConfig"],
    "armillary.errors": [
        "AmbiguousDatasetError",
        "ButlerUserError",
        "CalibrationLookupError",
        "CollectionCycleError",
        "CollectionTypeError",
        "DataIdValueError",
        "DatasetNotFoundError",
        "DatasetTypeExpressionError",
        "DatasetTypeNotSupportedError",
        "DimensionNameError",
        "DimensionValueError",
        "EmptyQueryResultError",
        "FileIntegrityError",
        "FormatterNotImplementedError",
        "InconsistentDataIdError",
        "InconsistentUniverseError",
        "InvalidQueryError",
        "MissingCollectionError",
        "MissingDatasetTypeError",
        "NoDefaultCollectionError",
        "UnknownComponentError",
        "ValidationError",
    ],
    "armillary.repository_config": ["ButlerRepoIndex"],
    "armillary.storage": [
        "ButlerLogRecords",
        "DatasetComponent",
        "DatasetProvenance",
        "FileDataset",
        "FileDescriptor",
        "Formatter",
        "FormatterV1inV2",
        "FormatterV2",
        "Location",
        "SerializedDatasetRef",
        "SerializedFileDataset",
        "StorageClass",
        "StorageClassDelegate",
        "StorageClassFactory",
    ],
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    # Names are imported when they are asked for: `import armillary.butler` alone costs next to nothing.
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    importlib.import_module("armillary.storage")  # by which dataset types find their storage class
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
