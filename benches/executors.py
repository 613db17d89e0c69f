"""What a quantum costs that does nothing: in the pool of this machine, and through distributed engines.

    PYTHONPATH=benches python benches/executors.py WORKDIR [--visits 34] [--executor local parsl dask] [--kills 0]

Three quanta for each of 100 detectors of a visit, and one for the visit: 34 visits give 10,234. Prints one JSON line
for each executor. With `--kills N`, a process of the engine is ended with SIGKILL N times during the run;
afterwards every quantum must have finished and every output must be registered, once.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import random
import resource
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from executors_tasks import FirstTask, GatherTask, SecondTask, ThirdTask

from armillary.butler import Butler
from armillary.pipeline import PipelineGraph
from armillary.pipeline.all_dimensions_quantum_graph_builder import AllDimensionsQuantumGraphBuilder
from armillary.pipeline.execution import initialise_run, run_graph
from armillary.pipeline.quantum_graph import PredictedQuantumGraph

DETECTORS = 100
MARK = "ARMILLARY_BENCH_EXECUTORS"
OUR_WORKER = b"armillary.pipeline.execution.worker"
PR_SET_CHILD_SUBREAPER = 36


def make_repository(root: Path, visits: int) -> None:
    """Make a repository with visits and detectors, and nothing in it."""
    Butler.makeRepo(root)
    most = {"visit_max": 10**6, "exposure_max": 10**6, "detector_max": 999, "class_name": "x.Cam"}
    with Butler(root, writeable=True, run="in") as butler:
        insert = butler.registry.insertDimensionData
        insert("instrument", {"name": "Cam", **most})
        insert("physical_filter", {"instrument": "Cam", "name": "r", "band": "r"})
        insert("day_obs", {"instrument": "Cam", "id": 20260101})
        names = {"raft": "R", "purpose": "SCIENCE"}
        insert("detector", *({"instrument": "Cam", "id": n, "full_name": f"D{n}", **names} for n in range(DETECTORS)))
        own = {"instrument": "Cam", "physical_filter": "r", "day_obs": 20260101}
        insert("visit", *({**own, "id": n, "name": f"v{n}"} for n in range(visits)))


def build(root: Path, run: str) -> Path:
    """Build the graph, initialise its run, and give the file of the graph."""
    path = root.parent / f"{run.replace('/', '_')}.qg"
    pipeline = PipelineGraph(description="chains and gathers")
    for task in (FirstTask, SecondTask, ThirdTask, GatherTask):
        pipeline.add_task(task._DefaultName, task)
    with Butler(root, writeable=True, run=run) as butler:
        components = AllDimensionsQuantumGraphBuilder(
            pipeline, butler, where="instrument = 'Cam'", input_collections=["in"], output_run=run
        ).finish()
        components.write(path)
        initialise_run(components.assemble(), butler, register_dataset_types=True)
    return path


def engine_processes(mark: str) -> list[int]:
    """Find processes of an engine that have a worker of ours below them."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if OUR_WORKER in (folder / "cmdline").read_bytes() and mark.encode() in (folder / "environ").read_bytes():
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                command = Path(f"/proc/{parent}/cmdline").read_bytes()
                if OUR_WORKER not in command and parent not in (os.getpid(), 1):
                    found.add(parent)
    return sorted(found)


@contextlib.contextmanager
def killing(number: int, mark: str, seconds: float) -> Iterator[list[int]]:
    """End a process of the engine so many times, at random moments within some seconds."""
    killed: list[int] = []
    stop = threading.Event()

    def work() -> None:
        while len(killed) < number and not stop.wait(random.uniform(0.5, 1.5) * seconds / (number + 1)):
            candidates = engine_processes(mark)
            if candidates:
                process = random.choice(candidates)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def cpu_seconds() -> float:
    """Processor time of this process and of all that it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def wait_for_all() -> None:
    """Wait for what an engine has started, also at second hand: this process takes orphans in."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.05)
        except ChildProcessError:
            return


def measure(root: Path, executor: str, kills: int, seconds: float) -> dict[str, Any]:
    """Run the graph in an executor and check what it left."""
    run = f"u/{executor.replace(':', '_')}{kills}"
    path = build(root, run)
    mark = tempfile.mktemp(prefix="run-", dir="")
    os.environ[MARK] = mark
    cpu, wall = cpu_seconds(), time.perf_counter()
    with Butler(root, writeable=True, run=run) as butler, PredictedQuantumGraph.open(path) as reader:
        reader.read_all()
        graph = reader.finish()
        with killing(kills, mark, seconds) as killed:
            report = run_graph(graph, butler, processes=2, executor=executor, progress=False)
        wall = time.perf_counter() - wall
        wait_for_all()
        cpu = cpu_seconds() - cpu
        states = dict(report.counts)
        assert report.exit_code == 0 and all(set(counts) == {"finished"} for counts in states.values()), states
        ids = [outcome.quantum_id for outcome in report.outcomes]
        assert len(ids) == len(set(ids)) == len(graph.quanta())
        predicted = {ref.id for key in ids for refs in graph.get_outputs(key).values() for ref in refs}
        refs = butler.query_all_datasets(run, limit=None)
        registered = [ref.id for ref in refs]
        assert len(registered) == len(set(registered)) and predicted <= set(registered)
        assert butler.stored_many(refs) and all(butler.stored_many(refs).values())
    n = len(ids)
    again = sum(outcome.attempts - 1 for outcome in report.outcomes)
    shutil.rmtree(root / run, ignore_errors=True)
    return {
        "executor": executor,
        "quanta": n,
        "killed": len(killed),
        "tried_again": again,
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
        "wall_us": round(1e6 * wall / n),
        "cpu_us": round(1e6 * cpu / n),
        "load1": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--visits", type=int, default=34)
    parser.add_argument("--executor", nargs="+", default=["local", "parsl", "dask"])
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=25.0, help="over which kills are spread")
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    root = options.folder / "repo"
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    make_repository(root, options.visits)
    for executor in options.executor:
        print(json.dumps(measure(root, executor, options.kills, options.seconds)), flush=True)


if __name__ == "__main__":
    main()
