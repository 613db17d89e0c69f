"""One script under the peer and under armillary's alias: what it says must be equal."""

from __future__ import annotations

import json
import subprocess
import sys

from peer.conftest import peer_python

ALIAS = "from armillary import lsst_alias; lsst_alias.activate()\n"
HELPERS = """
import json, logging, sys, warnings
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
facts = []


def note(call, *args, **kwargs):
    # What a call gives, or the classes that its error is of.
    try:
        facts.append(call(*args, **kwargs))
    except Exception as error:
        facts.append({"raises": [one.__name__ for one in type(error).__mro__]})
"""
END = "\nprint(json.dumps(facts, default=str))\n"


def assert_equal_under_both(script: str, *arguments: str, at_least: int) -> None:
    """Run a script that notes facts under armillary and under the peer; an error must be of the peer's class, too."""
    found: list[list] = []
    for command in (
        [sys.executable, "-c", ALIAS + HELPERS + script + END],
        [peer_python(), "-c", HELPERS + script + END],
    ):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        found.append(json.loads(done.stdout.splitlines()[-1]))
    ours, theirs = found
    assert len(ours) == len(theirs) >= at_least
    for number, (own, their) in enumerate(zip(ours, theirs, strict=True)):
        if isinstance(own, dict) and isinstance(their, dict) and "raises" in own and "raises" in their:
            assert their["raises"][0] in own["raises"], f"fact {number}"
        else:
            assert own == their, f"fact {number}"
