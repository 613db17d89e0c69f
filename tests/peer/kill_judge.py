"""The peer's view of repositories that writers were killed in, one after the other.

Each line of the input is a repository's path; the answer is a line with what it holds, or with the error.
"""

import json
import sys

from lsst.daf.butler import Butler


def see(root):
    seen = []
    with Butler.from_config(root, writeable=False) as butler:
        registry = butler.registry
        for dataset_type in registry.queryDatasetTypes():
            for ref in registry.queryDatasets(dataset_type, collections=...):
                existence = butler.exists(ref, full_check=True)
                content = butler.get(ref) if existence else str(existence)
                seen.append([ref.run, dataset_type.name, dict(ref.dataId.required), content])
        return {"datasets": sorted(seen, key=str), "collections": sorted(registry.queryCollections())}


for line in sys.stdin:
    try:
        answer = see(json.loads(line))
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
