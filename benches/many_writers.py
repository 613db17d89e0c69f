"""How long a `put` waits for others: `python benches/many_writers.py WORKDIR [--processes 24] [--puts 40]`.

Makes a repository in WORKDIR (with `--server URL`, in a new schema of that database) and puts small datasets into
it from many processes at once, that begin together. Checks that none is lost; prints the worst and other `put`s, those
of the first of each process apart, and the CPU that the processes took for one. `BENCH_BUTLER_MODULE=lsst.daf.butler`
and an interpreter of the peer measure the peer.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

daf = importlib.import_module(os.environ.get("BENCH_BUTLER_MODULE", "armillary.butler"))
Butler, DatasetType = daf.Butler, daf.DatasetType


def make(root: Path, server: str | None, processes: int, puts: int) -> None:
    """A repository with a dataset type and the records that its datasets need."""
    config = {"registry": {"db": server, "namespace": f"writers_{os.getpid()}"}} if server else None
    Butler.makeRepo(root, config=config)
    with Butler.from_config(root, writeable=True) as butler:
        insert, here = butler.registry.insertDimensionData, {"instrument": "Cam"}
        insert("instrument", {"name": "Cam", "detector_max": puts, "visit_max": processes, "exposure_max": processes})
        insert("detector", *(here | {"id": d, "full_name": f"D{d}", "purpose": "SCIENCE"} for d in range(puts)))
        kind = DatasetType("measured", ["instrument", "detector"], "StructuredDataDict", universe=butler.dimensions)
        butler.registry.registerDatasetType(kind)
        for number in range(processes):
            butler.collections.register(f"run/{number:03d}")


def write(root: str, number: int, puts: int) -> None:
    """What one process does: prints what each `put` took, in seconds, by the clock and of CPU."""
    with Butler.from_config(root, writeable=True, run=f"run/{number:03d}") as butler:
        butler.get_dataset_type("measured")
        print("ready", flush=True)
        sys.stdin.readline()
        taken = []
        for detector in range(puts):
            start, used = time.perf_counter(), time.process_time()
            butler.put({"value": detector}, "measured", instrument="Cam", detector=detector)
            taken.append((time.perf_counter() - start, time.process_time() - used))
    print(json.dumps(taken), flush=True)


def main() -> None:
    """Make the repository, start the processes, look what they left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--processes", type=int, default=24)
    parser.add_argument("--puts", type=int, default=40)
    parser.add_argument("--server", help="postgresql://user@host/database")
    parser.add_argument("--number", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.number is not None:
        write(str(arguments.workdir), arguments.number, arguments.puts)
        return
    arguments.workdir.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="writers-", dir=arguments.workdir)) / "repo"
    make(root, arguments.server, arguments.processes, arguments.puts)
    command = [sys.executable, __file__, str(root), "--puts", str(arguments.puts), "--number"]
    started = [
        subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(arguments.processes)
    ]
    for one in started:
        assert one.stdout and one.stdout.readline() == "ready\n"
    load, start = os.getloadavg()[0], time.perf_counter()
    for one in started:
        assert one.stdin
        print(file=one.stdin, flush=True)
    told = [json.loads(one.communicate()[0]) for one in started]
    wall = time.perf_counter() - start
    taken = sorted(seconds for puts in told for seconds, _ in puts)
    assert [one.returncode for one in started] == [0] * len(started)
    with Butler.from_config(root) as butler:
        refs = list(butler.registry.queryDatasets("measured", collections="run/*"))
        assert len(refs) == len(taken) == arguments.processes * arguments.puts, f"{len(refs)} datasets"
        assert all(butler.get(ref) == {"value": ref.dataId["detector"]} for ref in refs)
    places = {"worst": -1, "99 %": -len(taken) // 100, "median": len(taken) // 2}
    shown = ", ".join(f"{name} {taken[place] * 1e3:.0f} ms" for name, place in places.items())
    print(f"{len(taken)} puts by {len(started)} processes, load {load:.1f}: {shown}; all in {wall:.1f} s")
    for name, puts in (("first", [own[:1] for own in told]), ("later", [own[1:] for own in told])):
        seconds, cpu = zip(*(one for own in puts for one in own), strict=True)
        mean = sum(seconds) / len(seconds)
        print(
            f"  {name}: worst {max(seconds) * 1e3:.0f} ms, mean {mean * 1e3:.0f}, CPU {sum(cpu) / len(cpu) * 1e3:.2f}"
        )


if __name__ == "__main__":
    main()
