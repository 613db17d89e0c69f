"""The peer's view of repositories that writers were killed in, or whose disk lost its power, one after the other.

Each line of the input is a repository's path, and whether it is opened for writing; the answer is a line with what it
holds, or with the error.
"""

import json
import sys

from lsst.daf.butler import Butler, CollectionType


def see(root, writeable):
    seen = {}  # each once, though it may be in several collections
    with Butler.from_config(root, writeable=writeable) as butler:
        registry = butler.registry
        for dataset_type in registry.queryDatasetTypes():
            for ref in registry.queryDatasets(dataset_type, collections=...):
                existence = butler.exists(ref, full_check=True)
                content = butler.get(ref) if existence else str(existence)
                seen[ref.id] = [ref.run, dataset_type.name, dict(ref.dataId.required), content]
        chains = {name: list(registry.getCollectionChain(name)) for name in names(registry, CollectionType.CHAINED)}
        tagged = {
            name: sorted(
                [ref.run, ref.datasetType.name, ref.dataId["detector"]]
                for ref in registry.queryDatasets(..., collections=name)
            )
            for name in names(registry, CollectionType.TAGGED)
        }
        collections = sorted(registry.queryCollections())
        return {
            "datasets": sorted(seen.values(), key=str),
            "collections": collections,
            "chains": chains,
            "tagged": tagged,
        }


def names(registry, kind):
    return sorted(registry.queryCollections(collectionTypes=kind))


for line in sys.stdin:
    try:
        answer = see(*json.loads(line))
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
