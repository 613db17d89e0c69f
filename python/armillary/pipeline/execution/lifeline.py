"""How processes elsewhere learn that the driver of a run is gone: a connection that lasts as long as it lives."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["DriverGone", "Lifeline", "LifelineAddress", "hold"]

_LOOPBACK = "127.0.0.1"
_PATIENCE = 5.0
"""Seconds that connecting may take: another node of the cluster answers sooner or never."""


class DriverGone(RuntimeError):
    """The driver of a run has ended.

    Examples
    --------
    >>> str(DriverGone("the run has ended"))
    'the run has ended'
    """


class LifelineAddress(NamedTuple):
    """Where the driver listens, and how it makes itself known."""

    host: str
    port: int
    token: str


class Lifeline:
    """The driver's end: it repeats its token to whoever says it, hangs up on all others, and takes and gives no more.

    Parameters
    ----------
    here
        Whether only processes of this machine connect; else it listens on all its interfaces.

    Examples
    --------
    >>> with Lifeline(here=True) as lifeline:
    ...     hold(lifeline.address, on_loss=lambda: None)
    True
    """

    def __init__(self, *, here: bool) -> None:
        self._server = socket.create_server((_LOOPBACK if here else "", 0))
        self._held: list[socket.socket] = []
        self._closed = False
        port = self._server.getsockname()[1]
        self.address = LifelineAddress(socket.gethostname(), port, secrets.token_hex(16))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._closed:
            with contextlib.suppress(OSError):
                channel, _ = self._server.accept()
                threading.Thread(target=self._greet, args=(channel,), daemon=True).start()

    def _greet(self, channel: socket.socket) -> None:
        token = self.address.token.encode("ascii")
        try:
            channel.settimeout(_PATIENCE)
            if secrets.compare_digest(channel.recv(len(token), socket.MSG_WAITALL), token) and not self._closed:
                self._held.append(channel)
                channel.sendall(token)
                return
        except OSError:
            pass
        channel.close()

    def __enter__(self) -> Lifeline:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for channel in self._held:
            channel.close()


def hold(address: LifelineAddress, on_loss: Callable[[], None]) -> bool:
    """Connect to a driver and call a function when it is gone.

    Returns
    -------
    held
        False when it cannot be reached from this node, because a firewall is between, say: nobody watches then.

    Raises
    ------
    DriverGone
        It runs on this node no more.
    """
    here = address.host == socket.gethostname()
    try:
        channel = socket.create_connection((_LOOPBACK if here else address.host, address.port), _PATIENCE)
        channel.sendall(address.token.encode("ascii"))
        told = channel.recv(len(address.token), socket.MSG_WAITALL).decode("ascii", "replace")
    except OSError as error:
        if here:
            raise DriverGone("the run has ended") from error
        return False
    if told != address.token:  # someone else's port by now
        channel.close()
        raise DriverGone("the run has ended")
    channel.settimeout(None)
    threading.Thread(target=_watch, args=(channel, on_loss), daemon=True).start()
    return True


def _watch(channel: socket.socket, on_loss: Callable[[], None]) -> None:
    with contextlib.suppress(OSError), channel:
        while channel.recv(1):
            pass
    on_loss()
