"""`syncd resume`: let it go on."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import operate

ABOUT = "Resume workflows that were suspended, or that wait at a suspend step."
EXAMPLES = """
syncd resume my-wf
syncd resume @latest
syncd resume my-wf --node-field-selector displayName=approve
syncd resume my-wf --context prod -n data
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    operate.add(parser, nodes=True)


def run(args: Namespace) -> int:
    """Run it."""
    return operate.run(args, "resume", "resumed")
