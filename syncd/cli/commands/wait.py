"""`syncd wait`: until workflows have ended; the exit code is their verdict."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.base.errors import NotFound
from syncd.cli import following, output, reach, workflows
from syncd.cli.exits import Exit

ABOUT = "Wait until workflows have ended. Exit code 0: all succeeded; 1: one failed."
EXAMPLES = """
syncd wait my-wf
syncd wait @latest
syncd wait --ignore-not-found my-wf other-wf
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("workflow", nargs="+", metavar="WORKFLOW", help="a name, or @latest")
    parser.add_argument("--ignore-not-found", action="store_true", help="a workflow that is not there is no failure")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    good = True
    with reach.reading(args) as client:
        for name in args.workflow:
            try:
                body = following.wait(client, reach.namespace(args), name)
            except NotFound:
                if not args.ignore_not_found:
                    raise
                continue
            terminal.say(following.ended_line(body))
            good &= not workflows.failed(body)
    return Exit.GOOD if good else Exit.NO
