"""Every subcommand of the peer's `pipetask` is here, with its arguments and the options it has there."""

import json

import click
import pytest

from armillary.cli.pipetask import cli

TREE = """\
import json, click
from lsst.ctrl.mpexec.cli.pipetask import cli

context = click.Context(cli)
print(json.dumps({
    name: [
        {"opts": [*p.opts, *p.secondary_opts], "argument": isinstance(p, click.Argument), "required": p.required}
        for p in cli.get_command(context, name).params
    ]
    for name in cli.list_commands(context)
}))
"""


@pytest.fixture(scope="module")
def theirs(run_peer):
    return json.loads(run_peer(TREE))


def ours(name):
    return cli.get_command(click.Context(cli), name)


def test_every_subcommand_has_the_options_of_the_peers(theirs):
    assert len(theirs) >= 10, "the peer has lost its subcommands: is it the right program?"
    missing = {}
    for name, parameters in theirs.items():
        command = ours(name)
        assert command is not None, name
        known = {spelling for parameter in command.params for spelling in [*parameter.opts, *parameter.secondary_opts]}
        wanted = {spelling for one in parameters if not one["argument"] for spelling in one["opts"]}
        lacking = {spelling for spelling in wanted - known if "-section-" not in spelling}
        if lacking:
            missing[name] = lacking
    assert missing == {}


def test_every_subcommand_has_an_example():
    for name in cli.list_commands(click.Context(cli)):
        assert getattr(ours(name), "example", "").startswith(f"pipetask {name} "), name
