"""A Slurm cluster of two nodes on this machine, from Debian's `slurm-wlm` and `munge`, without systemd."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
NODES = ("n1", "n2")


def missing() -> list[str]:
    """Programs that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [one.getsockname()[1] for one in sockets]


class Cluster:
    """The cluster, and questions to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self._services: list[subprocess.Popen[bytes]] = []

    def ask(self, *command: str) -> str:
        """Run a command of Slurm and give what it prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def configure(self) -> None:
        """Write the key of munge and the configuration of Slurm."""
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        control, *ports = free_ports(3)
        host = socket.gethostname()
        lines = [
            "ClusterName=test",
            f"SlurmctldHost={host}(127.0.0.1)",
            f"SlurmctldPort={control}",
            "SlurmUser=root",
            "AuthType=auth/munge",
            f"AuthInfo=socket={self.folder}/munge.socket",
            f"StateSaveLocation={self.folder}/state",
            f"SlurmdSpoolDir={self.folder}/spool-%n",
            f"SlurmctldPidFile={self.folder}/slurmctld.pid",
            f"SlurmdPidFile={self.folder}/slurmd-%n.pid",
            "ProctrackType=proctrack/pgid",
            "TaskPlugin=task/none",
            "SelectType=select/linear",
            "SlurmdParameters=config_overrides",
            "ReturnToService=2",
            "MpiDefault=none",
            "KillWait=2",
            *(
                f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 State=UNKNOWN"
                for node, port in zip(NODES, ports, strict=True)
            ),
            f"PartitionName=test Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE State=UP",
        ]
        (self.folder / "slurm.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "state").mkdir()

    def start(self) -> None:
        """Start everything and wait until both nodes are idle."""
        own = f"{self.folder}/munge"
        files = ("key-file=.key", "socket=.socket", "pid-file=.pid", "log-file=.log", "seed-file=.seed")
        options = [f"--{one.replace('=', f'={own}')}" for one in files]
        self._serve("munged", "--foreground", "--force", *options)
        self._wait(lambda: (self.folder / "munge.socket").exists())
        self._serve("slurmctld", "-D", "-f", self.environment["SLURM_CONF"])
        for node in NODES:
            self._serve("slurmd", "-D", "-N", node, "-f", self.environment["SLURM_CONF"])
        self._wait(lambda: self._states().count("idle") == len(NODES))

    def _states(self) -> list[str]:
        done = subprocess.run(
            ["sinfo", "-h", "-N", "-o", "%t"], env=self.environment, capture_output=True, text=True, timeout=30
        )
        return done.stdout.split()

    def _serve(self, name: str, *options: str) -> None:
        program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None
        log = (self.folder / f"{name}-{len(self._services)}.out").open("wb")
        self._services.append(
            subprocess.Popen([program, *options], env=self.environment, stdout=log, stderr=subprocess.STDOUT)
        )
        log.close()

    def _wait(self, condition: object, seconds: float = 30) -> None:
        assert callable(condition)
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                told = "\n".join(path.read_text(errors="replace")[-1500:] for path in self.folder.glob("*.out"))
                raise AssertionError(f"Slurm did not start:\n{told}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End all jobs and services."""
        subprocess.run(["scancel", "--user", "root"], env=self.environment, capture_output=True, timeout=30)
        time.sleep(1)
        for service in reversed(self._services):
            service.terminate()
        for service in self._services:
            try:
                service.wait(10)
            except subprocess.TimeoutExpired:
                service.kill()
                service.wait()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Give a running cluster."""
    cluster = Cluster(folder)
    cluster.configure()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
