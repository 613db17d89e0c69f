"""Names that can be imported from the peer's modules: each is here under the alias, or left out for a reason."""

import fnmatch
import json
import subprocess
import sys

import pytest

from peer.either_script import ALIAS

THEIRS = """
import importlib, inspect, json, pkgutil, sys, warnings
warnings.simplefilter("ignore")


def modules(name):
    # A module and all public ones below it; some need packages that are not there.
    try:
        module = importlib.import_module(name)
    except ImportError:
        return
    yield name, module
    for found in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if not found.name.startswith("_"):
            yield from modules(f"{name}.{found.name}")


known = {}
for root in ("lsst.pipe.base", "lsst.ctrl.mpexec", "lsst.daf.butler"):
    for name, module in modules(root):
        names = getattr(module, "__all__", None)
        if names is None or isinstance(names, str):
            own = ("lsst.pipe.base", "lsst.ctrl.mpexec", "lsst.daf.butler")
            names = [
                key
                for key, value in vars(module).items()
                if not key.startswith("_")
                and not inspect.ismodule(value)
                and str(getattr(value, "__module__", "")).startswith(own)
            ]
        known[name] = sorted(names)
print(json.dumps(known))
"""
OURS = (
    ALIAS
    + """
import importlib, json, sys
from armillary.lsst_alias import MODULES
known = json.loads(sys.stdin.read())
missing = {name: None for name in known if name not in MODULES}
for name in known:
    if name in MODULES:
        module = importlib.import_module(name)
        missing[name] = [one for one in known[name] if not hasattr(module, one)]
print(json.dumps(missing))
"""
)


@pytest.fixture(scope="module")
def missing(run_peer):
    theirs = run_peer(THEIRS).splitlines()[-1]
    done = subprocess.run([sys.executable, "-c", OURS], input=theirs, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


INTERNAL = "how the peer does it inside; nothing here has that shape"
COMMANDS = "how the peer's commands are made: commands are added to `butler` as plain click commands (`butler.cli`)"
STORED = "the peer's models of its stored forms; `to_simple` and `to_json` give the same content"
OWN_TESTS = "what the peer tests itself with"
# Modules, or `module:Name`, as globs, by the reason for which they are left out.
LEFT_OUT = {
    COMMANDS: [
        "lsst.ctrl.mpexec.cli*",
        "lsst.ctrl.mpexec.showInfo",
        "lsst.ctrl.mpexec.util",
        "lsst.daf.butler.cli*",
        "lsst.daf.butler.script*",
        "lsst.pipe.base.cli*",
        "lsst.pipe.base.script*",
    ],
    STORED: [
        "lsst.daf.butler*:Serialized*",
        "lsst.daf.butler*:SerializableDimensionData",
        "lsst.daf.butler.json",
        "lsst.daf.butler.pydantic_utils",
        "lsst.pipe.base.pipeline_graph.io",
        "lsst.pipe.base.quantum_graph:*Model*",
    ],
    "reading and writing blocks of graph files; a graph file is opened by `PredictedQuantumGraph.open`": [
        "lsst.pipe.base.quantum_graph:Address*",
        "lsst.pipe.base.quantum_graph:*ompressor",
        "lsst.pipe.base.quantum_graph:Multiblock*",
        "lsst.pipe.base.quantum_graph:ProvenanceQuantumGraph?eader",
        "lsst.pipe.base.quantum_graph:ProvenanceQuantumGraph?riter",
        "lsst.pipe.base.quantum_graph:ProvenanceQuantumScan*",
    ],
    "what its module only imports": ["lsst.pipe.base.trivial_quantum_graph_builder:*"],
    "types for type checkers only": [
        "lsst.daf.butler:LabeledButlerFactoryProtocol",
        "lsst.pipe.base.pipeline_graph:NodeBipartite",
        "lsst.pipe.base.pipeline_graph.visualization:GetNodeText",
        "lsst.pipe.base.quantum_graph:*Info",
    ],
    "reports are dictionaries and tables": ["lsst.pipe.base.quantum_graph:Provenance*Report"],
    "the two graphs have no common base": ["lsst.pipe.base.quantum_graph:BaseQuantumGraph*"],
    "graphs are laid out and drawn by functions of its own; `show` is the door": [
        "lsst.pipe.base.pipeline_graph.visualization:*",
        "lsst.pipe.base.dot_tools",
        "lsst.pipe.base.mermaid_tools",
        "lsst.pipe.base.quantum_graph.visualization",
    ],
    "queries are built by methods, and texts parsed, in the core": [
        "lsst.daf.butler.queries.*",
        "lsst.daf.butler.queries:Query*Base",
        "lsst.daf.butler.direct_query_driver",
        "lsst.daf.butler.registry.queries",
        "lsst.pipe.base.pipeline_graph.expressions",
    ],
    "tables and columns of databases are the core's": [
        "lsst.daf.butler*:addDimensionForeignKey",
        "lsst.daf.butler.column_spec",
        "lsst.daf.butler.ddl",
        "lsst.daf.butler.name_shrinker",
        "lsst.daf.butler.registry.*",
        "lsst.daf.butler.timespan_database_representation",
    ],
    "datastores are chosen by configuration, under the peer's names, and are no classes to build on": [
        "lsst.daf.butler.datastore*",
        "lsst.daf.butler:Datastore",
        "lsst.daf.butler:FormatterFactory",
        "lsst.daf.butler:LocationFactory",
        "lsst.daf.butler:LookupKey",
    ],
    "one class is made for all kinds of dimensions, from the universe": [
        "lsst.daf.butler*:DatabaseDimension*",
        "lsst.daf.butler*:DatabaseTopologicalFamily",
        "lsst.daf.butler*:DimensionCombination",
        "lsst.daf.butler*:DimensionConfig",
        "lsst.daf.butler*:DimensionData?ttacher",
        "lsst.daf.butler*:DimensionData?xtractor",
        "lsst.daf.butler*:DimensionRecordFactory",
        "lsst.daf.butler*:DimensionRecordSchema",
        "lsst.daf.butler*:DimensionRecordSetDeserializer",
        "lsst.daf.butler:DimensionRecordsAccumulator",
        "lsst.daf.butler:Topological*",
        "lsst.daf.butler.dimensions.*",
    ],
    "containers of the peer's own": [
        "lsst.daf.butler:NameMappingSetView",
        "lsst.daf.butler:Named*",
        "lsst.daf.butler.mapping_factory",
        "lsst.daf.butler.nonempty_mapping",
    ],
    "repositories are exported and imported by `Butler.export` and `Butler.import_`": [
        "lsst.daf.butler:YamlRepo*",
        "lsst.daf.butler.repo_relocation",
        "lsst.daf.butler.transfers",
    ],
    "ids of datasets are made by the core": ["lsst.daf.butler:DatasetIdFactory"],
    "what quanta did is in provenance graphs": ["lsst.daf.butler:QuantumProvenanceData"],
    "progress is shown by the commands; a class for users' loops is not there yet": [
        "lsst.daf.butler:Progress",
        "lsst.daf.butler.progress",
    ],
    "`pipetask` makes graphs and initialises runs by functions": [
        "lsst.ctrl.mpexec:PipelineGraphFactory",
        "lsst.ctrl.mpexec:PreExecInit*",
        "lsst.ctrl.mpexec.preExecInit",
    ],
    "what `getReport` returns is the RunReport": ["lsst.*:Report"],
    "the older hook on the order of quanta": ["lsst.ctrl.mpexec.execFixupDataId", "lsst.pipe.base.exec_fixup_data_id"],
    "logs of quanta are captured by the executors": [
        "lsst.*.log_capture",
        "lsst.pipe.base.log_on_close",
        "lsst.daf.butler.logging:JsonLogFormatter",
    ],
    "bases of formatters before `FormatterV2`": [
        "lsst.daf.butler.formatters.file",
        "lsst.daf.butler.formatters.typeless",
    ],
    "storage classes of examples have formatters of their own, which a repository would have to be made with": [
        "lsst.daf.butler.tests:List*",
        "lsst.daf.butler.tests:Metrics*",
        "lsst.daf.butler.tests:MultiDetectorFormatter",
        "lsst.daf.butler.tests:registerMetricsExample",
    ],
    OWN_TESTS: [
        "lsst.daf.butler.tests:Bad*",
        "lsst.daf.butler.tests:Cli*",
        "lsst.daf.butler.tests:D*",
        "lsst.daf.butler.tests.*",
        "lsst.pipe.base.tests.simpleQGraph",
        "lsst.pipe.base.tests.util",
    ],
    INTERNAL: [
        "lsst.*.version",
        "lsst.daf.butler.arrow_utils",
        "lsst.daf.butler.direct_butler",
        "lsst.daf.butler.formatters.parquet:add_pandas_index_to_astropy",
        "lsst.daf.butler.persistence_context",
        "lsst.daf.butler.time_utils",
        "lsst.daf.butler.utils",
        "lsst.pipe.base.blocking_limited_butler",
        "lsst.pipe.base.execution_reports:lookup_quantum_data_id",
        "lsst.pipe.base.gc_metrics",
        "lsst.pipe.base.graph_walker",
        "lsst.pipe.base.pipeline_graph:compare_packages",
        "lsst.pipe.base.pipeline_graph:log_config_mismatch",
        "lsst.pipe.base.prerequisite_helpers",
        "lsst.pipe.base.quantum_graph.aggregator",
        "lsst.pipe.base.quantum_graph.ingest_graph",
        "lsst.pipe.base.quantum_graph_builder:EmptyDimensionsDatasets",
        "lsst.pipe.base.quantum_graph_skeleton",
        "lsst.pipe.base.quantum_provenance_graph:PrerequisiteDatasetKey",
        "lsst.pipe.base.resource_usage",
    ],
}


def test_every_name_is_here_or_left_out_for_a_reason(missing):
    absent = {name for name, names in missing.items() if names is None}
    absent |= {f"{name}:{one}" for name, names in missing.items() for one in names or ()}
    patterns = [pattern for found in LEFT_OUT.values() for pattern in found]
    of_pattern = {pattern: {name for name in absent if matches(name, pattern)} for pattern in patterns}
    assert len(missing) > 200
    assert absent - set().union(*of_pattern.values()) == set(), "these are neither here nor left out for a reason"
    assert [pattern for pattern, found in of_pattern.items() if not found] == [], "these are no longer missing"


def matches(name, pattern):
    """Whether a name is one of a pattern; names of a module are of patterns with a colon only."""
    return (":" in name) == (":" in pattern) and fnmatch.fnmatchcase(name, pattern)
