"""`syncd cluster-template list`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import templates

ABOUT = "List cluster workflow templates. Without a daemon it reads the store."
EXAMPLES = """
syncd cluster-template list
syncd cluster-template list -o name
syncd cluster-template list -o wide
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    templates.add_list(parser, templates.CLUSTER_TEMPLATE)


def run(args: Namespace) -> int:
    """Run it."""
    return templates.run_list(args, templates.CLUSTER_TEMPLATE)
