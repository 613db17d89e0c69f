"""Command lines of `pipetask` and `butler`, one after another in one process: run by the peer and by us.

Argument: `peer` or `ours`. Standard input: a JSON list of command lines. The last line of output: exit codes, with the
end of what each said.
"""

import json
import logging
import sys
import traceback

import click.testing

who = sys.argv[1]
if who == "peer":
    from lsst.ctrl.mpexec.cli.pipetask import cli as pipetask
    from lsst.daf.butler.cli.butler import cli as butler
else:
    from armillary.cli.butler import cli as butler
    from armillary.cli.pipetask import cli as pipetask
    from armillary.lsst_alias import activate

    activate()
programs = {"pipetask": pipetask, "butler": butler}


def ended(program, *words):
    result = click.testing.CliRunner().invoke(programs[program], words)
    code = result.return_value if isinstance(result.return_value, int) and not result.exit_code else result.exit_code
    why = "".join(traceback.format_exception(*result.exc_info)) if result.exc_info and code else ""
    return code, (result.output + why)[-3000:]


results = [ended(*line) for line in json.load(sys.stdin)]
logging.shutdown()
print("\n" + json.dumps(results))
