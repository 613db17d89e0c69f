"""Servers of files for tests: `moto` for S3 in a thread, SeaweedFS for S3 and rclone for WebDAV as processes."""

from __future__ import annotations

import itertools
import logging
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import boto3

_BUCKETS = itertools.count()
"""Numbers of buckets: all servers of `moto` in one process hold the same ones."""


@dataclass
class S3Server:
    endpoint: str
    one_bucket: bool = False
    environment: dict[str, str] = field(init=False)
    _numbers: itertools.count = field(default_factory=itertools.count)
    _bucket: str = field(default="", init=False)

    def __post_init__(self):
        self.environment = {
            "S3_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def new_bucket(self) -> str:
        """A bucket nobody has used, or a folder in the only one of a server that allots much room to each."""
        number = next(self._numbers)
        if number == 0 or not self.one_bucket:
            self._bucket = f"bucket-{next(_BUCKETS)}"
            client = boto3.client(
                "s3",
                endpoint_url=self.endpoint,
                aws_access_key_id="key",
                aws_secret_access_key="secret",
                region_name="us-east-1",
            )
            client.create_bucket(Bucket=self._bucket)
            client.close()
        return f"s3://{self._bucket}/{number}" if self.one_bucket else f"s3://{self._bucket}"


@contextmanager
def s3_server() -> Iterator[S3Server]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Server(f"http://{host}:{port}")
    finally:
        server.stop()


@dataclass
class WebDavServer:
    endpoint: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    _numbers: itertools.count = field(default_factory=itertools.count)

    def new_bucket(self) -> str:
        name = f"folder-{next(self._numbers)}"
        (self.folder / name).mkdir()
        return f"{self.endpoint}/{name}"


def _free_port(highest: int = 65_535) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port <= highest:
            return port


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            if process.poll() is not None:
                raise AssertionError(f"the server for {url} ended with code {process.returncode}") from None
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"nothing answers at {url}")


@contextmanager
def _running(command: list[str], url: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(url, process)
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@contextmanager
def webdav_server(folder: Path) -> Iterator[WebDavServer]:
    """The server of `rclone serve webdav`; None of it outlives the block."""
    port = _free_port()
    served = folder / "webdav"
    served.mkdir()
    command = [shutil.which("rclone") or "rclone", "serve", "webdav", str(served), "--addr", f"127.0.0.1:{port}"]
    with _running([*command, "--dir-cache-time", "10ms"], f"http://127.0.0.1:{port}/"):
        yield WebDavServer(f"http://127.0.0.1:{port}", served)


@contextmanager
def seaweed_server(folder: Path) -> Iterator[S3Server]:
    """The server of `weed server -s3`."""
    ports = [_free_port(55_535) for _ in range(4)]  # each server takes the port 10,000 above its own, too
    command = [shutil.which("weed") or "weed", "server", "-ip=127.0.0.1", f"-dir={folder}", "-s3", "-filer"]
    command += [
        f"-master.port={ports[0]}",
        f"-volume.port={ports[1]}",
        f"-filer.port={ports[2]}",
        f"-s3.port={ports[3]}",
    ]
    command += ["-volume.max=50", "-master.volumeSizeLimitMB=64"]
    with _running(command, f"http://127.0.0.1:{ports[3]}/"):
        yield S3Server(f"http://127.0.0.1:{ports[3]}", one_bucket=True)


def keys(bucket: str) -> list[str]:
    """Keys of all files below a folder, relative to it."""
    from armillary.storage.remote import remote_files

    files, folder = remote_files(bucket + "/")
    found = files._obstore.list(files._store, prefix=folder.strip("/") or None).collect()
    return sorted(str(one["path"]).removeprefix(folder) for one in found)
