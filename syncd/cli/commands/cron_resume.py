"""`syncd cron resume`: let the schedule go on."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import output, reach, schedules
from syncd.cli.exits import Exit

ABOUT = "Let the schedule of cron workflows go on that was held by hand."
EXAMPLES = """
syncd cron resume nightly
syncd cron resume nightly weekly --namespace data
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("cron", nargs="+", metavar="CRON", help="a name")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    with reach.writing(args) as client:
        for name in args.cron:
            client.call("POST", schedules.path(reach.namespace(args), name, "resume"))
            terminal.say(f"CronWorkflow '{name}' resumed")
    return Exit.GOOD
