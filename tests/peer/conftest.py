"""Run code under the peer's interpreter."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import armillary
from pipeline.package_directories import package_directories

# Packages whose types both can hold, for the peer's interpreter.
PACKAGES = [
    "lsst-images==30.2026.4300",
    "astro-metadata-translator==30.2026.4300",
    "matplotlib",
    # what these need and the peer's environment does not have
    *("fsspec", "shapely", "starlink-pyast", "scipy", "requests", "idna", "charset-normalizer"),
    *("rich", "markdown-it-py", "mdurl", "pygments"),
    *("pillow", "contourpy", "cycler", "fonttools", "kiwisolver", "pyparsing"),
]
REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
STUBS = Path(__file__).with_name("stubs")


@cache
def peer_python() -> str:
    """The peer's interpreter: `ARMILLARY_PEER_PYTHON`, or an environment made once beside the shared inputs' tool."""
    given = os.environ.get("ARMILLARY_PEER_PYTHON")
    if given:
        return given
    shared = Path(os.environ.get("ARMILLARY_SHARED", REPOSITORY_ROOT.parent / "shared"))
    cache_root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    made = subprocess.run(
        [shared / "tools" / "make-peer-venv", cache_root / "armillary-peer", "boto3"],
        check=True,
        capture_output=True,
        text=True,
    )
    return made.stdout.strip().splitlines()[-1]


def run_peer(code: str, *arguments: str, check: bool = True) -> str:
    """Standard output of `code` under the peer; `arguments` are its `sys.argv[1:]`."""
    done = subprocess.run([peer_python(), "-c", code, *arguments], capture_output=True, text=True, timeout=600)
    if check and done.returncode != 0:
        raise AssertionError(f"the peer failed with code {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


@pytest.fixture(name="run_peer", scope="session")
def run_peer_fixture():
    return run_peer


@pytest.fixture(name="peer_python", scope="session")
def peer_python_fixture():
    return peer_python()


@pytest.fixture(scope="session")
def peer_command(peer_python):
    """Run a command of the peer with modules of a folder; give its exit code, output and messages."""

    def call(modules: Path, command: str, *arguments: object) -> tuple[int, str, str]:
        environment = {**os.environ, "PYTHONPATH": str(modules)}
        words = [str(argument) for argument in arguments]
        program = Path(peer_python).with_name(command)
        done = subprocess.run([program, *words], capture_output=True, text=True, env=environment)
        return done.returncode, done.stdout, done.stderr

    return call


@pytest.fixture(name="peer_packages", scope="session")
def peer_packages_fixture(peer_python):
    """A folder with packages that the peer's environment lacks, made once beside it."""
    stamp = hashlib.sha256("\n".join(PACKAGES).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / f"armillary-peer-packages-{stamp}"
    if not (folder / "lsst" / "images").is_dir():
        making = folder.with_name(f"{folder.name}-{os.getpid()}")
        command = [peer_python, "-m", "pip", "install", "-q", "--no-deps", "--target", str(making), *PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            message = f"the packages cannot be installed: {done.stderr[-300:]}"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        making.rename(folder)
    return folder


@pytest.fixture(name="run_either", scope="session")
def run_either_fixture(peer_packages, peer_python, tmp_path_factory):
    """Run a file under the peer's interpreter, with all those packages and with armillary at hand."""
    own = tmp_path_factory.mktemp("own")  # the package alone: what is installed beside it is another interpreter's
    (own / "armillary").symlink_to(Path(armillary.__file__).parent)

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": f"{own}{os.pathsep}{peer_packages}"}
        command = [peer_python, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


def make_survey(python: str, bench: Path, target: Path, *, camera: str = "toy", visits: int = 3) -> Path:
    """Make a repository with raw frames, calibrations, reference catalogs and a sky map."""
    environment = {**os.environ, "BENCH_RESULTS": str(target / "results.jsonl")}
    survey, repository = target / "survey.npz", target / "repo"
    for arguments in (
        ["survey.py", "--camera", camera, "--visits", str(visits), "--out", str(survey)],
        ["build_repo.py", str(survey), str(repository), "--scale", camera, "--put"],
    ):
        subprocess.run(
            [python, *arguments], cwd=bench, env=environment, check=True, capture_output=True, text=True, timeout=600
        )
    return repository


def copied_bench(shared: Path, target: Path) -> Path:
    """Copy the scripts, whose folder may be read-only, to where Python can keep its bytecode."""
    return Path(shutil.copytree(shared, target / "bench", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture(scope="session")
def survey(shared_path, peer_python, tmp_path_factory):
    """Scripts with a pipeline of ten tasks, and a toy survey that the peer made; nobody changes it."""
    folder = tmp_path_factory.mktemp("survey")
    bench = copied_bench(shared_path("bench"), folder)
    return bench, make_survey(peer_python, bench, folder)


@pytest.fixture(scope="session")
def stub_environment(shared_path, tmp_path_factory):
    """Give a function that gives the variables with which the real pipelines are read, and `stub_tasks` found."""
    folder = tmp_path_factory.mktemp("packages")
    packages = package_directories(folder)

    def environment(who: str, storage_class: str = "") -> dict[str, str]:
        ours = who == "ours"
        settings = {
            "STUB_TABLE": str(shared_path("data", "task_connections.json")),
            "STUB_PIPE_MODULE": "armillary.pipeline" if ours else "lsst.pipe.base",
            "STUB_STORAGE_CLASS": storage_class,
            "PYTHONPATH": os.pathsep.join([str(STUBS), *(sys.path if ours else [])]),
        }
        return {**os.environ, **packages, **settings}

    return environment
