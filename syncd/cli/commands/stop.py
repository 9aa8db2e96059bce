"""`syncd stop`: no new steps, those that run are ended, exit handlers still run."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import operate

ABOUT = "Stop workflows: what runs is ended, nothing new is started, but exit handlers run."
EXAMPLES = """
syncd stop my-wf
syncd stop @latest --message 'wrong input'
syncd stop -l team=data --dry-run
syncd stop my-wf --context prod -n data
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    operate.add(parser, nodes=True, message=True)


def run(args: Namespace) -> int:
    """Run it."""
    return operate.run(args, "stop", "stopped")
