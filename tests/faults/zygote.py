"""A process that has imported everything and begun nothing, and forks the children that are hurt.

The process of the tests cannot fork them itself where files are on other machines: the client of an object store has
threads, and a fork has none of them.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

FAILED = 7
"""The code of a child whose function raised an error."""


def be_child(run: Callable[[], None], said: str, *, stop: bool = True) -> None:
    """Wait to be traced, run a function, write its error to a file; never returns."""
    descriptor = os.open(said, os.O_WRONLY | os.O_CREAT, 0o600)
    if stop:
        os.kill(os.getpid(), 19)  # SIGSTOP
    try:
        run()
    except BaseException as error:
        os.pwritev(descriptor, [f"{type(error).__name__}: {error}".encode()], 0)
        os._exit(FAILED)
    os._exit(0)


class Zygote:
    """The other end of that process."""

    def __init__(self) -> None:
        own, its = socket.socketpair()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-c", f"from faults.zygote import serve; serve({its.fileno()})"]
        self._process = subprocess.Popen(command, env=environment, pass_fds=[its.fileno()])
        its.close()
        self._connection = Connection(own.detach())

    def start(self, run: Callable[[], None], said: str, environment: dict[str, str]) -> int:
        """Fork a child that stops before it runs a function; returns its number."""
        self._connection.send((run, said, environment))
        return int(self._connection.recv())

    def wait(self) -> int:
        """The status with which the child ended."""
        self._connection.send(None)
        return int(self._connection.recv())

    def close(self) -> None:
        """End it."""
        self._connection.close()
        self._process.wait()


def serve(descriptor: int) -> None:
    """Fork as told, until nobody is there."""
    import obstore.store  # noqa: F401

    import armillary.butler
    import armillary.storage.remote_writing  # noqa: F401
    from faults import operations  # noqa: F401

    connection = Connection(descriptor)
    child = 0
    while True:
        try:
            asked: Any = connection.recv()
        except EOFError:
            return
        if asked is None:
            connection.send(os.waitpid(child, 0)[1])
            continue
        run, said, environment = asked
        child = os.fork()
        if child == 0:
            os.environ.update(environment)
            be_child(run, said)
        os.waitpid(child, os.WUNTRACED)
        connection.send(child)
