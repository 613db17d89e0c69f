"""A private PostgreSQL server for tests, in a temporary folder, and a schema of its own for each repository."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

DATABASE = "armillary"
USER = "armillary"


def find_programs() -> Path | None:
    """The newest server programs of Debian's packages, or those on the path."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if installed:
        return installed[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@dataclass
class Cluster:
    """A running server: `url` connects to its one database."""

    folder: str
    programs: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)
    port: int = 5432
    """The port of the network, and the number of the socket."""

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@/{DATABASE}?host={self.folder}"

    def new_namespace(self) -> str:
        """A name that no schema has yet."""
        return f"repo_{os.getpid()}_{next(self.numbers)}"

    def seed(self, namespace: str) -> dict[str, dict[str, str]]:
        """The configuration from which a repository in a schema is made."""
        return {"registry": {"db": self.url, "namespace": namespace}}

    def sql(self, statement: str, database: str = DATABASE) -> str:
        """The output of a statement, run by PostgreSQL's own client: columns by `|`, rows by line."""
        command = [self.programs / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        command += ["-h", self.folder, "-p", str(self.port), "-U", USER, "-d", database, "-c", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def add_database(self, name: str, options: str = "") -> str:
        """Make another database that a repository can be in; gives its URL."""
        self.sql(f"CREATE DATABASE {name} {options}", "postgres")
        self.sql("CREATE EXTENSION btree_gist", name)
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def listen(self, certificate: tuple[Path, Path] | None, clients: Path | None = None) -> str:
        """Start again, on `localhost`, too, encrypted if there are a certificate and its key; gives host and port.

        `clients` is the authority whose certificates of clients count.
        """
        self.stop()
        with socket.create_server(("localhost", 0)) as free:
            self.port = free.getsockname()[1]
        options = f"-c listen_addresses=localhost -c port={self.port}"
        if certificate is not None:
            files = dict(zip(("ssl_cert_file", "ssl_key_file"), certificate, strict=True))
            if clients is not None:
                files["ssl_ca_file"] = clients
            for name, file in files.items():
                mine = Path(self.folder) / "data" / f"server-{name}"
                shutil.copyfile(file, mine)
                mine.chmod(0o600)
                if os.getuid() == 0:
                    os.chown(mine, _as_server_user()["user"], _as_server_user()["group"])
                options += f" -c {name}={mine}"
            options += " -c ssl=on"
        self.start(options=options)
        return f"localhost:{self.port}"

    def stop(self) -> None:
        """Stop the server; sessions end."""
        _run([self.programs / "pg_ctl", "-D", f"{self.folder}/data", "-m", "fast", "-w", "stop"], _as_server_user())

    def start(self, *, durable: bool = False, options: str = "-c listen_addresses=''") -> None:
        """Start the server, again if it was killed; what a durable one has committed outlives that."""
        options = (
            f"-k {self.folder} {options} -c fsync=off -c full_page_writes={'on' if durable else 'off'} "
            f"-c synchronous_commit={'on' if durable else 'off'} -c shared_buffers=32MB -c max_connections=200"
        )
        command = [
            self.programs / "pg_ctl",
            "-D",
            f"{self.folder}/data",
            "-w",
            "-l",
            f"{self.folder}/log",
            "-o",
            options,
        ]
        _run([*command, "start"], _as_server_user())

    def postmaster(self) -> int:
        """The number of the server's first process."""
        return int((Path(self.folder) / "data" / "postmaster.pid").read_text().splitlines()[0])


def _as_server_user() -> dict[str, int]:
    """The server refuses to run as root; then Debian's `postgres` user runs it."""
    if os.getuid() != 0:
        return {}
    found = pwd.getpwnam("postgres")
    return {"user": found.pw_uid, "group": found.pw_gid}


def _run(command: list[str | Path], user: dict[str, int]) -> None:
    done = subprocess.run(
        command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **user
    )
    if done.returncode != 0:
        raise RuntimeError(f"`{Path(command[0]).name}` failed: {done.stderr.strip()}")


@contextmanager
def running_cluster(*, durable: bool = False) -> Iterator[Cluster | None]:
    """A server for the time of the block; None if none is installed."""
    programs = find_programs()
    if programs is None:
        yield None
        return
    user = _as_server_user()
    folder = tempfile.mkdtemp(prefix="armillary-pg-", dir="/tmp")  # a socket's path may have 107 bytes
    if user:
        os.chown(folder, user["user"], user["group"])
    os.chmod(folder, 0o755)
    data = f"{folder}/data"
    try:
        initdb = ["-D", data, "-U", USER, "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions"]
        _run([programs / "initdb", *initdb], user)
        rules = Path(data, "pg_hba.conf")
        rules.write_text("local all guarded scram-sha-256\n" + rules.read_text())
        cluster = Cluster(folder, programs)
        cluster.start(durable=durable)
        cluster.sql(f"CREATE DATABASE {DATABASE}", "postgres")
        cluster.sql("CREATE EXTENSION btree_gist")
        yield cluster
    finally:
        with suppress(OSError, ValueError, IndexError):
            os.kill(Cluster(folder, programs).postmaster(), signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)
