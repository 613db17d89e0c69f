"""The classes that run pipelines have the members and arguments of the peer's."""

import json
import subprocess
import sys

import pytest

from armillary.lsst_alias import MODULES
from peer.test_public_names import SCRIPT, is_of_the_model_library

CLASSES = {
    "lsst.pipe.base.execution_graph_fixup": ["ExecutionGraphFixup"],
    "lsst.pipe.base.mp_graph_executor": ["MPGraphExecutor", "MPGraphExecutorError", "MPTimeoutError"],
    "lsst.pipe.base.quantum_graph_executor": ["QuantumExecutionResult", "QuantumExecutor", "QuantumGraphExecutor"],
    "lsst.pipe.base.quantum_reports": ["ExceptionInfo", "ExecutionStatus", "QuantumReport"],
    "lsst.pipe.base.separable_pipeline_executor": ["SeparablePipelineExecutor"],
    "lsst.pipe.base.simple_pipeline_executor": ["SimplePipelineExecutor"],
    "lsst.pipe.base.single_quantum_executor": ["SingleQuantumExecutor"],
    "lsst.pipe.base.taskFactory": ["TaskFactory"],
}
NAMELESS = ("POSITIONAL_ONLY", "VAR_KEYWORD", "VAR_POSITIONAL")
LEFT_OUT = {"ExecutionGraphFixup.fixupQuanta": "the older hook, on graphs of a class that is no longer run"}


@pytest.mark.parametrize("module", CLASSES)
def test_members_and_arguments_are_the_peers(run_peer, module):
    names = json.dumps(CLASSES[module])
    theirs = json.loads(run_peer(SCRIPT, module, names))
    done = subprocess.run([sys.executable, "-c", SCRIPT, MODULES[module], names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours = json.loads(done.stdout)
    lacking = []
    n_compared = 0
    for name, members in theirs.items():
        for key, arguments in members.items():
            if is_of_the_model_library(key) or f"{name}.{key}" in LEFT_OUT:
                continue
            if key not in ours[name]:
                lacking.append(f"{name}.{key}")
                continue
            n_compared += 1
            mine = ours[name][key]
            known = {argument for argument, _, _ in mine or ()}
            takes_all = any(kind == "VAR_KEYWORD" for _, kind, _ in mine or ())
            lacking += [
                f"{name}.{key}({argument})"
                for argument, kind, _ in arguments or ()
                if not (argument in known or kind in NAMELESS or takes_all)
            ]
    assert lacking == []
    assert n_compared


def test_names_of_the_older_package_are_at_the_door(run_peer):
    program = """
import json, inspect, lsst.ctrl.mpexec as package
print(json.dumps(sorted(name for name, value in vars(package).items() if inspect.isclass(value))))
"""
    import armillary.pipeline

    theirs = set(json.loads(run_peer(program)))
    older = {
        "PipelineGraphFactory": "makes the graph of a pipeline once for several commands in one process",
        "PreExecInit": "what `initialise_run` does",
        "PreExecInitBase": "what `initialise_run` does",
        "Report": "what `getReport` returns is the RunReport here",
    }
    assert len(theirs) > 10
    assert theirs - set(armillary.pipeline.__all__) == set(older)
