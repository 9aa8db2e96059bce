"""`syncd template get`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import templates

ABOUT = "Show workflow templates: where they come from, and what they hold."
EXAMPLES = """
syncd template get build
syncd template get build -o yaml
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    templates.add_get(parser)


def run(args: Namespace) -> int:
    """Run it."""
    return templates.run_get(args, templates.TEMPLATE)
