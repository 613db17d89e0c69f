"""Calibrations of a run made valid for a span of time."""

from __future__ import annotations

from typing import Any


def certify_calibrations(
    butler: Any,
    input_collection: str,
    output_collection: str,
    dataset_type: str,
    timespan: Any,
    *,
    search_all_inputs: bool = False,
) -> int:
    """Certify the calibrations of one type in `input_collection` as valid in `output_collection` for a timespan.

    `output_collection` is made if it is not there. When the input is a chain, only its first member that has the type
    is used, unless `search_all_inputs`. Gives how many were certified; raises `LookupError` if there is none, and
    `MissingDatasetTypeError` if the repository does not know the type.
    """
    from armillary.butler import CollectionType

    registry = butler.registry
    registry.getDatasetType(dataset_type)  # a name that is unknown everywhere is told with the nearest
    refs: list[Any] = []
    for collection in registry.queryCollections(input_collection, flattenChains=True):
        refs += registry.queryDatasets(dataset_type, collections=[collection], findFirst=True)
        if refs and not search_all_inputs:
            break
    if not refs:
        raise LookupError(f"the collection `{input_collection}` has no `{dataset_type}` to certify")
    registry.registerCollection(output_collection, CollectionType.CALIBRATION)
    registry.certify(output_collection, refs, timespan)
    return len(refs)
