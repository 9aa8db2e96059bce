"""`syncd sync`: ask sources for what is new, now."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import arguments, output, reach
from syncd.cli.client import OWN, segment
from syncd.cli.commands import status
from syncd.cli.exits import Exit

ABOUT = """Sync sources now instead of at their next poll, and wait for the end. Exit code 1: one is held or failed."""
EXAMPLES = """
syncd sync
syncd sync jobs
syncd sync jobs --no-wait
syncd sync -o json
syncd sync jobs --context prod
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("source", nargs="*", metavar="SOURCE", help="which; all by default")
    parser.add_argument("--no-wait", action="store_true", help="only ask for it")
    arguments.add_output(parser, "json", "yaml")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    with reach.writing(args) as client:
        names = args.source or [source["name"] for source in client.get(f"{OWN}/sources")["items"]]
        told = [
            client.call(
                "POST",
                f"{OWN}/sources/{segment(name)}/sync",
                query={"wait": not args.no_wait},
                seconds=3600,
            )
            for name in names
        ]
    if args.output:
        terminal.say(output.as_text(told, args.output))
    else:
        for source in told:
            for line in status.source_lines(source, output.now(), terminal):
                terminal.say(line)
        if not told:
            terminal.say("no sources")
    bad = not args.no_wait and any(source.get("result") in ("held", "failed") for source in told)
    return Exit.NO if bad else Exit.GOOD
