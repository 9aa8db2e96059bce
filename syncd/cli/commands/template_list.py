"""`syncd template list`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import templates

ABOUT = "List workflow templates. Without a daemon it reads the store."
EXAMPLES = """
syncd template list
syncd template list -o name
syncd template list -o wide
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    templates.add_list(parser, templates.TEMPLATE)


def run(args: Namespace) -> int:
    """Run it."""
    return templates.run_list(args, templates.TEMPLATE)
