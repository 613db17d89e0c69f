"""Dotted names as repositories hold them, and the objects here that they mean.

Repositories name formatters, Python types and delegates by the peer's dotted names. The peer imports what it reads, so
its names are what is written; this one table says which object of this package each stands for.
"""

from __future__ import annotations

__all__ = ["to_own_name", "to_peer_name"]

_BUTLER = "lsst.daf.butler."
_BASE = "lsst.pipe.base."
_FORMATTERS = "armillary.storage.formatters."

# The peer's name of an object -> the name of the object here. A name stands for everything below it, too.
PEER_TO_OWN: dict[str, str] = {
    # formatters
    _BUTLER + "formatters.astropyTable.AstropyTableFormatter": _FORMATTERS + "astropy_table.AstropyTableFormatter",
    _BUTLER + "formatters.json.JsonFormatter": _FORMATTERS + "json.JsonFormatter",
    _BUTLER + "formatters.logs.ButlerLogRecordsFormatter": _FORMATTERS + "logs.ButlerLogRecordsFormatter",
    _BUTLER + "formatters.matplotlib.MatplotlibFormatter": _FORMATTERS + "matplotlib.MatplotlibFormatter",
    _BUTLER + "formatters.packages.PackagesFormatter": _FORMATTERS + "packages.PackagesFormatter",
    _BUTLER + "formatters.parquet": _FORMATTERS + "parquet",
    _BUTLER + "formatters.pickle.PickleFormatter": _FORMATTERS + "pickle.PickleFormatter",
    _BUTLER + "formatters.yaml.YamlFormatter": _FORMATTERS + "yaml.YamlFormatter",
    _BASE + "formatters.pexConfig.PexConfigFormatter": _FORMATTERS + "pex_config.PexConfigFormatter",
    _BASE
    + "quantum_graph.formatter.ProvenanceFormatter": "armillary.pipeline.provenance_formatter.ProvenanceFormatter",
    # delegates
    _BUTLER + "StorageClassDelegate": "armillary.storage.delegate.StorageClassDelegate",
    _BUTLER + "delegates.arrowtable.ArrowTableDelegate": "armillary.storage.delegates.arrow_table.ArrowTableDelegate",
    _BASE
    + "tests.mocks.MockStorageClassDelegate": "armillary.pipeline.tests.mocks.storage_class.MockStorageClassDelegate",
    # datastores
    _BUTLER + "datastores.chainedDatastore.ChainedDatastore": "armillary.storage.chained_datastore.ChainedDatastore",
    _BUTLER + "datastores.fileDatastore.FileDatastore": "armillary.storage.file_datastore.FileDatastore",
    _BUTLER
    + "datastores.inMemoryDatastore.InMemoryDatastore": "armillary.storage.in_memory_datastore.InMemoryDatastore",
    # Python types of storage classes
    _BUTLER + "ButlerLogRecords": "armillary.storage.log_records.ButlerLogRecords",
    _BUTLER + "logging.ButlerLogRecords": "armillary.storage.log_records.ButlerLogRecords",
    _BUTLER + "Timespan": "armillary._core.Timespan",
    _BASE + "TaskMetadata": "armillary.pipeline.metadata.TaskMetadata",
    _BASE + "quantum_graph.ProvenanceQuantumGraph": "armillary.pipeline.provenance.ProvenanceQuantumGraph",
    _BASE + "tests.mocks.MockDataset": "armillary.pipeline.tests.mocks.dataset.MockDataset",
    _BASE + "utils.RegionTimeInfo": "armillary.storage.region_time_info.RegionTimeInfo",
    "lsst.analysis.tools.interfaces.MetricMeasurementBundle": "armillary.storage.metrics.MetricMeasurementBundle",
    "lsst.utils.packages.Packages": "armillary.pipeline.packages.Packages",
}
# Where two names of the peer mean one object here, the first is the one written.
OWN_TO_PEER: dict[str, str] = {}
for _peer, _own in PEER_TO_OWN.items():
    OWN_TO_PEER.setdefault(_own, _peer)


def _translate(name: str, table: dict[str, str]) -> str:
    """The longest entry that is `name` or a dotted beginning of it decides."""
    head, tail = name, ""
    while head:
        found = table.get(head)
        if found is not None:
            return found + tail
        head, dot, last = head.rpartition(".")
        tail = dot + last + tail
    return name


def to_own_name(name: str) -> str:
    """Translate a name found in a repository; names the table does not know stay as they are.

    >>> to_own_name("lsst.daf.butler.formatters.parquet.ArrowNumpySchema.from_arrow")
    'armillary.storage.formatters.parquet.ArrowNumpySchema.from_arrow'
    >>> to_own_name("my.package.MyFormatter")
    'my.package.MyFormatter'
    """
    return _translate(name, PEER_TO_OWN)


def to_peer_name(name: str) -> str:
    """Translate a name of an object here into the one repositories hold.

    >>> to_peer_name("armillary.storage.formatters.json.JsonFormatter")
    'lsst.daf.butler.formatters.json.JsonFormatter'
    """
    return _translate(name, OWN_TO_PEER)
