"""`syncd cron trigger`: run it now, as if it were due."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import arguments, following, output, reach, schedules, workflows
from syncd.cli.exits import Exit

ABOUT = "Run a cron workflow now. Its ledger says who asked; its schedule goes on as before."
EXAMPLES = """
syncd cron trigger nightly
syncd cron trigger nightly --watch
syncd cron trigger nightly --wait -o json
syncd cron trigger nightly --context prod -n data
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("cron", metavar="CRON", help="a name")
    arguments.add_following(parser)
    arguments.add_output(parser)


def run(args: Namespace) -> int:
    """Run it."""
    terminal, errors = output.standard(args)
    follows = args.wait or args.watch or args.log
    with reach.writing(args) as client:
        body = client.call("POST", schedules.path(reach.namespace(args), args.cron, "trigger"))
        if not (follows and args.output in ("json", "yaml")) and not args.watch:
            workflows.show(body, terminal, args.output)
        good = not follows or following.follow(client, [body], args, terminal, errors)
    return Exit.GOOD if good else Exit.NO
