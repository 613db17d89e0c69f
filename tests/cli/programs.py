"""Run `butler` and `pipetask` as a shell would, but in a copy of this process, which takes much less time."""

import io
import os
import re
import sys
import tempfile
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

# Imported once, for all the copies.
import armillary.butler
import armillary.cli.pipetask_commands
import armillary.pipeline.all_dimensions_quantum_graph_builder
import armillary.pipeline.execution.with_registry  # noqa: F401

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Ended:
    """How a program ended, and what it said."""

    code: int
    out: str
    err: str

    def told(self, **places):
        """What it said on standard error, without log lines, times and places that differ from run to run."""
        text = self.err
        for name, place in places.items():
            text = text.replace(str(place), f"<{name}>")
        text = re.sub(r"\d{8}T\d{6}Z", "<time>", text)
        text = re.sub(r"\bin \d+(\.\d)? s\b", "in <seconds>", text)
        text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>", text)
        lines = [
            line
            for line in text.splitlines()
            if not re.match(r"(INFO|WARNING|ERROR) |[\w.]+ (INFO|WARNING|ERROR): ", line)
        ]
        return "\n".join(lines).strip()


def run_program(program, *arguments, before=None, path=(HERE / "modules",), directory=None):
    """Run a program with arguments; `before` is called in its process first."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of forking: the threads of numerical libraries are idle here
            process = os.fork()
        if not process:
            _be(program, [str(argument) for argument in arguments], out, err, before, path, directory)
        _, status = os.waitpid(process, 0)
        told = []
        for stream in (out, err):
            stream.seek(0)
            told.append(stream.read().decode(errors="replace"))  # some is binary
    return Ended(os.waitstatus_to_exitcode(status), *told)


def pipetask(*arguments, **options):
    return run_program("pipetask", *arguments, **options)


def butler(*arguments, **options):
    return run_program("butler", *arguments, **options)


def _be(program, arguments, out, err, before, path, directory):
    code = 99
    try:
        import importlib
        import logging

        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", line_buffering=True)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8", line_buffering=True)
        warnings.resetwarnings()
        logging.getLogger().handlers.clear()
        sys.path[:0] = [str(place) for place in path]
        if directory is not None:
            os.chdir(directory)
        if before is not None:
            before()
        code = importlib.import_module(f"armillary.cli.{program}").main(arguments)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
