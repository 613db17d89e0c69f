"""Several processes write one repository; some of them die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

from armillary import _core

STORE = "FileDatastore@<butlerRoot>"
TABLES = {STORE: "file_datastore_records"}

OPEN = """
import json, sys, time
from armillary import _core
place = json.loads(sys.argv[1])
registry = getattr(_core.Registry, place["method"])(*place["arguments"], **place["options"], writeable=True)
"""

WRITER = """
name, count = sys.argv[2], int(sys.argv[3])
registry.register_collection(name, 1)
longest = 0.0
for number in range(count):
    start = time.monotonic()
    ref = registry.insert_datasets("raw", name, [{"instrument": "Cam", "exposure": 11, "detector": number % 4}]
                                   if number < 4 else [])
    registry.register_collection(f"{name}/{number}", 2)
    registry.set_collection_doc(f"{name}/{number}", "said")
    longest = max(longest, time.monotonic() - start)
print(json.dumps(longest))
"""

ANNOUNCE = """
registry.begin_write("FileDatastore@<butlerRoot>", ["run/a/left.yaml", "run/a/kept.yaml"])
print("announced", flush=True)
time.sleep(60)
"""

HALF = """
registry.begin()
registry.register_collection("half", 1)
registry.insert_datasets("bias", "half", [{"instrument": "Cam", "detector": i} for i in range(4)])
print("half", flush=True)
time.sleep(60)
"""


def start(code, *arguments):
    command = [sys.executable, "-c", OPEN + code, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": ":".join(sys.path)}
    )


def kill_after_first_line(process):
    assert process.stdout.readline().strip()
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    process.stdout.close()


def test_writers_wait_for_each_other_and_lose_nothing(filled, place):
    registry, writers, count = filled.registry, 4, 10
    before = registry.row_counts()
    processes = [start(WRITER, place, f"run/{number}", str(count)) for number in range(writers)]
    longest = [json.loads(process.communicate(timeout=300)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * writers
    after = registry.row_counts()
    assert after["dataset"] - before["dataset"] == 4 * writers
    assert after["collection"] - before["collection"] == (count + 1) * writers
    # Three transactions of 40 for the slowest of four: a starved writer would wait for all others.
    assert max(longest) < 60
    assert registry.collection("run/3/9")[2] == "said", "this process sees what the others did"


def test_files_of_a_killed_writer_are_told_to_the_next(filled, place):
    registry = filled.registry
    ref = registry.insert_datasets("bias", "run/a", [{"instrument": "Cam", "detector": 1}])[0]
    record = _core.FileRecord(ref.id, "run/a/kept.yaml", "f", "StructuredDataDict")
    registry.finish_write(None, STORE, [ref], [record], register=False)
    kill_after_first_line(start(ANNOUNCE, place))
    assert registry.announced_files() == [(STORE, f"run/a/{name}.yaml", True) for name in ("left", "kept")]
    (intent, datastore, orphans), *more = registry.begin_recovery(TABLES)
    assert (datastore, orphans, more) == (STORE, ["run/a/left.yaml"], [])
    registry.end_recovery([])
    assert len(registry.begin_recovery(TABLES)) == 1, "what was not undone stays for later"
    registry.end_recovery([intent])
    assert registry.begin_recovery(TABLES) == [] and registry.announced_files() == []


def test_a_transaction_of_a_killed_writer_never_happened(filled, place):
    registry = filled.registry
    before = registry.row_counts()
    kill_after_first_line(start(HALF, place))
    began = time.monotonic()
    registry.register_collection("after", 1)
    assert time.monotonic() - began < 30
    assert registry.row_counts() == before | {"collection": before["collection"] + 1, "run": before["run"] + 1}


def test_a_forked_child_is_told_to_open_its_own(filled):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            filled.registry.query_collections()
            text = "no error"
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    told = os.read(reader, 1000).decode()
    os.waitpid(child, 0)
    os.close(reader)
    assert "open it again in the child" in told
    filled.registry.register_collection("still/works", 1)
