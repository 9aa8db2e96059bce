"""`syncd cron suspend`: hold the schedule by hand."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import output, reach, schedules
from syncd.cli.exits import Exit

ABOUT = (
    "Hold the schedule of cron workflows, until `syncd cron resume`. Slots that come meanwhile are skipped, and say so."
)
EXAMPLES = """
syncd cron suspend nightly
syncd cron suspend nightly weekly --namespace data
syncd cron suspend nightly --context prod
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("cron", nargs="+", metavar="CRON", help="a name")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    with reach.writing(args) as client:
        for name in args.cron:
            client.call("POST", schedules.path(reach.namespace(args), name, "suspend"))
            terminal.say(f"CronWorkflow '{name}' suspended")
    return Exit.GOOD
