"""`syncd get`: a workflow and the tree of its steps, as `argo get` draws it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import arguments, output, reach, workflows
from syncd.cli.exits import Exit

ABOUT = "Show workflows: their facts, and the tree of their steps. Without a daemon it reads the store."
EXAMPLES = """
syncd get my-wf
syncd get @latest
syncd get my-wf -o json
syncd get my-wf --node-field-selector phase=Failed
syncd get my-wf --no-color --no-utf8
syncd get my-wf --context prod -n data
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("workflow", nargs="+", metavar="WORKFLOW", help="a name, or @latest")
    arguments.add_node_filters(parser)
    arguments.add_output(parser, "json", "yaml", "name", "short", "wide")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    wanted = workflows.wanted_nodes(args)
    with reach.reading(args) as client:
        for name in args.workflow:
            body = client.get(workflows.path(reach.namespace(args), name))
            workflows.show(body, terminal, args.output, wanted)
    return Exit.GOOD
