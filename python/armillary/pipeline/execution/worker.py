"""The processes of the pool: a template that has everything imported, and workers that are copies of it.

The template is started as a program of its own, so that nothing of the driver (threads, database connections) is
copied. Workers are forked from it in no time. Every process ends when the driver's end of its socket closes.
"""

from __future__ import annotations

import array
import contextlib
import importlib
import logging
import os
import pickle
import queue
import signal
import socket
import struct
import sys
import threading
import traceback
from typing import Any, NoReturn

from armillary._console import ConsoleFormatter
from armillary.pipeline.execution.worker_limits import offer_to_kernel, resident_memory

__all__ = ["end_group", "main", "receive", "send"]

_LENGTH = struct.Struct(">Q")
_CRASH = 70
"""Exit code of a worker whose own machinery failed."""


def send(channel: socket.socket, message: Any) -> None:
    """Send one message between the processes of this program."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    channel.sendall(_LENGTH.pack(len(data)) + data)


def receive(channel: socket.socket) -> Any:
    """Receive one message; raises `EOFError` when the other end is closed."""
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    return pickle.loads(_exactly(channel, length))  # from the driver, over its own socket


def _exactly(channel: socket.socket, length: int) -> bytes:
    parts: list[bytes] = []
    while length:
        part = channel.recv(min(length, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def main(descriptor: int) -> None:
    """Be the template: import what the driver names, then fork a worker for every socket it sends."""
    control = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business
    setup = receive(control)
    sys.path[:] = setup["path"]
    os.chdir(setup["directory"])
    context = _prepare(setup)
    send(control, {"ready": os.getpid()})
    control.settimeout(0.2)
    children: set[int] = set()
    while True:
        _report_dead(control, children)
        try:
            data, channels = _receive_socket(control)
        except TimeoutError:
            continue
        except OSError:  # the driver closed its end with messages unread
            _end(children)
        if not data:
            _end(children)
        for channel in channels:
            process = os.fork()
            if not process:
                control.close()
                _work(channel, context)
            channel.close()
            children.add(process)
            try:
                send(control, {"started": process})
            except OSError:
                _end(children)


def _receive_socket(control: socket.socket) -> tuple[bytes, list[socket.socket]]:
    size = array.array("i").itemsize
    data, ancillary, _, _ = control.recvmsg(1, socket.CMSG_SPACE(size))
    channels: list[socket.socket] = []
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors = array.array("i")
            descriptors.frombytes(content[: len(content) - len(content) % size])
            channels.extend(socket.socket(fileno=number) for number in descriptors)
    return data, channels


def _end(children: set[int]) -> NoReturn:
    """End with all workers: one that holds the interpreter's lock cannot see by itself that the driver is gone."""
    for process in children:
        end_group(process)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    os._exit(0)


def end_group(process: int) -> None:
    """End a worker and everything it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)  # one so young that it has no group yet


def _report_dead(control: socket.socket, children: set[int]) -> None:
    """Tell the driver which workers have ended."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not process:
            return
        children.discard(process)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process, signal.SIGKILL)  # what it started, if anything: the group outlives its leader
        with contextlib.suppress(OSError):  # a driver that is gone is noticed in a moment
            send(control, {"ended": process, "status": status})


def _prepare(setup: dict[str, Any]) -> Any:
    """Open the graph and the datastore and import the task classes, once for all workers."""
    if setup["log_level"] is not None:
        handler = logging.StreamHandler()
        handler.setFormatter(ConsoleFormatter())
        logging.basicConfig(level=setup["log_level"], handlers=[handler])
    for module, function in setup["preload"]:
        getattr(importlib.import_module(module), function)()
    factory = setup["factory"]
    context = factory(*setup["arguments"])
    for label in setup["labels"]:
        context.task(label)
    return context


def _work(channel: socket.socket, context: Any) -> None:
    """Be a worker: run what comes, tell how it ended, and exit when the driver is gone."""
    try:
        os.setpgid(0, 0)  # what a task starts is ended together with its worker
        offer_to_kernel()
        if "numpy" in sys.modules:  # else all workers would draw the same numbers
            sys.modules["numpy"].random.seed()
        jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(channel, jobs), daemon=True).start()
        while True:
            job = jobs.get()
            send(channel, (context.run_job(job), resident_memory()))
    except BaseException:
        traceback.print_exc()
        os._exit(_CRASH)


def _listen(channel: socket.socket, jobs: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            jobs.put(receive(channel))
    except (EOFError, OSError):
        os._exit(0)  # the driver is gone: whatever runs here is of no use any more
