"""Subcommands of packages that are installed: found by their entry points, told when they are broken."""

import os
import subprocess
import sys

import pytest

GREET = """\
import click

@click.command("greet")
@click.argument("repo")
def greet(repo):
    "Greet a repository."
    click.echo(f"good day, {repo}")

@click.command("create")
def create():
    "Takes the name of a command that is here."
    click.echo("not me")

def commands():
    return [greet, create, "no command"]
"""


def install(site, name, code, entry):
    """Put a package on the path as an installer leaves it."""
    (site / f"{name}.py").write_text(code)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[butler.cli]\n{name} = {entry}\n")


@pytest.fixture
def butler(tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    install(site, "greetings", GREET, "greetings:commands")
    install(site, "torn", "import no_such_module\n", "torn:commands")

    def run(*arguments):
        code = f"import sys; from armillary.cli.butler import main; sys.exit(main({list(arguments)!r}))"
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
        )

    return run


def test_a_command_of_an_installed_package_runs_and_is_listed(butler):
    done = butler("greet", "here")
    assert (done.returncode, done.stdout, done.stderr) == (0, "good day, here\n", "")
    listed = butler("--help").stdout.partition("Commands of other packages")[2]
    assert "greet" in listed
    assert "create" not in listed  # the name of a command that is here is not taken away


def test_a_broken_package_is_told_and_takes_nothing_away(butler):
    done = butler("greed")
    assert done.returncode == 2
    assert "warning: the commands of `torn:commands` cannot be used: ModuleNotFoundError" in done.stderr
    assert "no command is called `greed`" in done.stderr
    assert butler("create", "--help").stdout.startswith("Usage: butler create [OPTIONS] REPO")
