"""`syncd watch`: a workflow, drawn anew whenever it changes, until it has ended."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import arguments, following, output, reach, workflows
from syncd.cli.exits import Exit

ABOUT = """Show a workflow until it has ended. On a screen the tree is drawn anew at every change; elsewhere each step is
told when it begins and ends, and the tree follows at the end."""
EXAMPLES = """
syncd watch my-wf
syncd watch @latest
syncd watch my-wf --node-field-selector displayName=deploy
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("workflow", metavar="WORKFLOW", help="a name, or @latest")
    arguments.add_node_filters(parser)
    arguments.add_output(parser, "short", "wide")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    wanted = workflows.wanted_nodes(args)
    with reach.reading(args) as client:
        following.watch(client, reach.namespace(args), args.workflow, terminal, args.output, wanted)
    return Exit.GOOD
