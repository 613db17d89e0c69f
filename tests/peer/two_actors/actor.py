"""Do one thing after the other to a repository, under either package, and say plainly what came of it.

Used as a module with `armillary.butler`, and as a script by the peer's interpreter: a JSON list
`[repository, operation, arguments]` a line on standard input, its answer a line on standard output.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings

INSTRUMENT = "Cam"


class Actor:
    """One package at work on any number of repositories."""

    def __init__(self, package_name):
        self.package = importlib.import_module(package_name)
        self.butlers = {}

    def do(self, repository, operation, arguments):
        """Answer `{"value": ...}`, or `{"error": class, "classes": [...], "message": ...}`."""
        if repository not in self.butlers:
            self.butlers[repository] = self.package.Butler.from_config(repository, writeable=True)
        butler = self.butlers[repository]
        butler.registry.refresh()  # the other actor may have changed anything
        try:
            return {"value": getattr(self, operation)(butler, *arguments)}
        except Exception as error:
            classes = [cls.__name__ for cls in type(error).__mro__]
            return {"error": type(error).__name__, "classes": classes, "message": str(error)[:400]}

    # -- collections

    def register(self, butler, name, kind):
        return butler.collections.register(name, self.package.CollectionType[kind], doc=f"about {name}")

    def remove_collection(self, butler, name):
        butler.collections.x_remove(name)

    def redefine_chain(self, butler, name, children):
        butler.collections.redefine_chain(name, children)

    def prepend_chain(self, butler, name, children):
        butler.collections.prepend_chain(name, children)

    def extend_chain(self, butler, name, children):
        butler.collections.extend_chain(name, children)

    def remove_from_chain(self, butler, name, children):
        butler.collections.remove_from_chain(name, children)

    def remove_runs(self, butler, names, unlink):
        butler.removeRuns(names, unlink_from_chains=unlink)

    # -- dimension records and dataset types

    def insert(self, butler, element, rows, how):
        butler.registry.insertDimensionData(element, *map(self.record, rows), **how)

    def sync(self, butler, element, row, update):
        changed = butler.registry.syncDimensionData(element, self.record(row), update=update)
        return sorted(changed) if isinstance(changed, dict) else changed

    def record(self, row):
        row = dict(row)
        if "timespan" in row:
            row["timespan"] = self.span(row["timespan"])
        if "region" in row:
            from lsst.sphgeom import Region

            row["region"] = Region.from_ivoa_pos(row["region"])
        return row

    def register_type(self, butler, name, dimensions, storage_class, calibration):
        dataset_type = self.package.DatasetType(
            name, dimensions, storage_class, universe=butler.dimensions, isCalibration=calibration
        )
        return butler.registry.registerDatasetType(dataset_type)

    def remove_type(self, butler, name):
        butler.registry.removeDatasetType(name)

    # -- datasets

    def insert_datasets(self, butler, name, data_ids, run):
        return [self.plain_ref(ref) for ref in butler.registry.insertDatasets(name, data_ids, run)]

    def put(self, butler, value, name, data_id, run):
        return self.plain_ref(butler.put(value, name, data_id, run=run))

    def get(self, butler, name, data_id, collections):
        return butler.get(name, data_id, collections=collections)

    def find(self, butler, name, data_id, collections, span):
        found = butler.find_dataset(
            name, data_id, collections=collections, timespan=None if span is None else self.span(span)
        )
        return None if found is None else self.plain_ref(found)

    def refs(self, butler, name, data_ids, run):
        required = set(butler.get_dataset_type(name).dimensions.required)
        # What an exposure implies is known to one package only; see the list of what is meant.
        whole = [data_id for data_id in data_ids if required <= data_id.keys()]
        found = [butler.find_dataset(name, data_id, collections=[run]) for data_id in whole]
        found = [ref for ref in found if ref is not None]
        if not found:
            raise LookupError("nothing to work on")  # what no datasets do to a wrong collection is of no interest
        return found

    def associate(self, butler, tag, name, data_ids, run):
        butler.registry.associate(tag, self.refs(butler, name, data_ids, run))

    def disassociate(self, butler, tag, name, data_ids, run):
        butler.registry.disassociate(tag, self.refs(butler, name, data_ids, run))

    def certify(self, butler, collection, name, data_ids, run, span):
        butler.registry.certify(collection, self.refs(butler, name, data_ids, run), self.span(span))

    def decertify(self, butler, collection, name, span, data_ids):
        butler.registry.decertify(collection, name, self.span(span), dataIds=data_ids)

    def prune(self, butler, name, data_ids, run, how):
        butler.pruneDatasets(self.refs(butler, name, data_ids, run), **how)

    def span(self, bounds):
        """Bounds are nanoseconds TAI since 1970, or null."""
        import astropy.time

        times = [
            None if bound is None else astropy.time.Time(bound * 1e-9, format="unix_tai", scale="tai")
            for bound in bounds
        ]
        return self.package.Timespan(*times)

    # -- questions

    def query_datasets(self, butler, name, collections, find_first, where):
        found = butler.query_datasets(name, collections, find_first=find_first, where=where, explain=False)
        return sorted({json.dumps(self.plain_ref(ref)) for ref in found})

    def query_data_ids(self, butler, dimensions, where):
        found = butler.query_data_ids(dimensions, where=where, instrument=INSTRUMENT, explain=False)
        return sorted(json.dumps(dict(data_id.required)) for data_id in found)

    def plain_ref(self, ref):
        return [ref.datasetType.name, sorted(dict(ref.dataId.required).items()), ref.run]

    def tell(self, butler):
        """Everything that both actors must see alike."""
        registry = butler.registry
        kinds = {name: registry.getCollectionType(name).name for name in registry.queryCollections()}
        records = {
            element: sorted(
                json.dumps(self.plain_record(record), sort_keys=True)
                for record in registry.queryDimensionRecords(element)
            )
            for element in ("instrument", "physical_filter", "detector", "day_obs", "group", "exposure")
        }
        held, stored = {}, {}
        for dataset_type in registry.queryDatasetTypes():
            rows = registry.queryDatasetAssociations(dataset_type, collections=...)
            rows = [
                [
                    self.plain_ref(row.ref),
                    row.collection,
                    None if row.timespan is None else list(row.timespan.nsec),
                    row.ref,
                ]
                for row in rows
            ]
            held[dataset_type.name] = sorted(json.dumps(row[:3]) for row in rows)
            refs = [row[3] for row in rows if row[1] == row[3].run]
            stored[dataset_type.name] = sorted(
                json.dumps([*self.plain_ref(ref), there]) for ref, there in butler.stored_many(refs).items()
            )
        return {
            "kinds": kinds,
            "docs": {name: registry.getCollectionDocumentation(name) for name in kinds},
            "chains": {n: list(registry.getCollectionChain(n)) for n, kind in kinds.items() if kind == "CHAINED"},
            "types": sorted(
                [t.name, sorted(t.dimensions.required), t.storageClass_name, t.isCalibration()]
                for t in registry.queryDatasetTypes()
            ),
            "records": records,
            "held": held,
            "stored": stored,
        }

    def plain_record(self, record):
        fields = {}
        for name, value in record.toDict().items():
            if hasattr(value, "nsec"):
                value = list(value.nsec)
            elif hasattr(value, "encode") and not isinstance(value, str):
                value = value.encode().hex()
            fields[name] = value
        return fields


def main():
    """Serve as the peer."""
    import logging

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    actor = Actor(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(actor.do(*json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
