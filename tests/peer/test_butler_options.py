"""Every subcommand of the peer's `butler` is here, with its arguments and the options it has there."""

import json

import click
import pytest

from armillary.cli.butler import cli

TREE = """\
import json, click
from lsst.daf.butler.cli.butler import cli

def parameters(command):
    return [
        {
            "opts": p.opts, "secondary": p.secondary_opts, "argument": isinstance(p, click.Argument), "nargs": p.nargs,
            "required": p.required, "flag": getattr(p, "is_flag", False),
            "choices": sorted(str(getattr(c, "name", c)).lower() for c in getattr(p.type, "choices", ())),
        }
        for p in command.params if getattr(p, "opts", None)
    ]

context = click.Context(cli)
tree = {name: parameters(cli.get_command(context, name)) for name in cli.list_commands(context)}
print(json.dumps({"": parameters(cli), **tree}))
"""

# What is not here, and why.
MISSING: dict[str, str] = {}


@pytest.fixture(scope="module")
def theirs(run_peer):
    return json.loads(run_peer(TREE))


def ours(name):
    return cli.get_command(click.Context(cli), name) if name else cli


def test_every_subcommand_has_the_options_of_the_peers(theirs):
    assert len(theirs) >= 30, "the peer has lost its subcommands: is it the right program?"
    missing = set()
    for name, parameters in theirs.items():
        command = ours(name)
        if command is None:
            missing.add(name)
            continue
        known = {spelling for p in command.params for spelling in [*p.opts, *p.secondary_opts]}
        for parameter in parameters:
            if not parameter["argument"]:
                spellings = {*parameter["opts"], *parameter["secondary"]}
                missing |= {
                    f"{name} {spelling}".strip() for spelling in spellings - known if "-section-" not in spelling
                }
    assert missing == set(MISSING)


def test_arguments_come_in_the_same_order_and_number(theirs):
    for name, parameters in theirs.items():
        if name in MISSING:
            continue
        wanted = [(p["nargs"] == -1, p["required"]) for p in parameters if p["argument"]]
        found = [(p.nargs == -1, p.required) for p in ours(name).params if isinstance(p, click.Argument)]
        if name in ("remove-collections", "remove-runs"):  # several globs are taken here, the peer takes one
            assert found == [(False, True), (True, True)]
            continue
        assert found == wanted, name


def test_flags_and_choices_are_the_same(theirs):
    for name, parameters in theirs.items():
        if name in MISSING:
            continue
        known = {spelling: p for p in ours(name).params for spelling in p.opts}
        for parameter in parameters:
            found = known.get(parameter["opts"][-1])
            if parameter["argument"] or found is None:
                continue
            assert found.is_flag == parameter["flag"], f"{name} {parameter['opts']}"
            choices = {choice.lower() for choice in getattr(found.type, "choices", ())}
            if choices:
                assert choices >= set(parameter["choices"]), f"{name} {parameter['opts']}"
