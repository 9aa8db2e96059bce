"""`syncd approve`: let a commit through that was held because it would delete too much."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import output, reach
from syncd.cli.client import OWN, segment
from syncd.cli.commands import status
from syncd.cli.exits import Exit

ABOUT = """Let a held commit of a source through. A commit that empties a source, or would delete more than half of its
objects, is held until this is said. The revision is named, so that nothing newer slips through with it."""
EXAMPLES = """
syncd plan jobs
syncd approve jobs main@sha1:3f2c9e0a1b2c3d4e5f60718293a4b5c6d7e8f901
syncd approve jobs 3f2c9e0
syncd approve jobs 3f2c9e0 --context prod
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("source", metavar="SOURCE", help="the source")
    parser.add_argument("revision", metavar="REVISION", help="as `syncd status` shows it, or 7 digits of its commit")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    with reach.writing(args) as client:
        route = f"{OWN}/sources/{segment(args.source)}"
        client.call("POST", f"{route}/approve", sent={"revision": args.revision})
        told = client.call("POST", f"{route}/sync", query={"wait": True}, seconds=3600)
    for line in status.source_lines(told, output.now(), terminal):
        terminal.say(line)
    return Exit.NO if told.get("result") in ("held", "failed") else Exit.GOOD
