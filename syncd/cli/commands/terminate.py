"""`syncd terminate`: end at once, without exit handlers."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import operate

ABOUT = "Terminate workflows: what runs is ended at once, and exit handlers do not run."
EXAMPLES = """
syncd terminate my-wf
syncd terminate @latest
syncd terminate -l team=data
syncd terminate my-wf --context prod -n data
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    operate.add(parser)


def run(args: Namespace) -> int:
    """Run it."""
    return operate.run(args, "terminate", "terminated")
