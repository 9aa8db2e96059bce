"""`syncd list`: workflows, as `argo list` shows them."""

from __future__ import annotations

import contextlib
from argparse import ArgumentParser, Namespace

from syncd.argo.manifest import Body
from syncd.base.errors import NotFound
from syncd.cli import arguments, output, reach, workflows
from syncd.cli.client import Client
from syncd.cli.exits import Exit

ABOUT = """List workflows: those that run first, then the newest. Without a daemon it reads the store. What syncd made carries labels
that kubectl selects as well: syncd.io/source, workflows.argoproj.io/cron-workflow, workflows.argoproj.io/phase."""
EXAMPLES = """
syncd list
syncd list -A --running
syncd list --status Failed,Error --since 1d
syncd list --completed --older 2h -o name
syncd list -l team=data -o wide
syncd list --context prod -A -l syncd.io/source=jobs
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    arguments.add_all_namespaces(parser)
    arguments.add_filters(parser)
    parser.add_argument("--running", action="store_true", help="only those that have not ended")
    parser.add_argument("--since", default="", metavar="SPAN", help="only those created within: 10m, 3h, 1d")
    parser.add_argument("--no-headers", action="store_true", help="no line of headers")
    parser.add_argument("--chunk-size", type=int, default=0, help="as argo's; lists are read in pages anyhow")
    arguments.add_output(parser)


def _with_nodes(client: Client, body: Body) -> Body:
    """A workflow that runs, with its nodes, which lists leave out: its steps are counted."""
    if (body.get("status") or {}).get("finishedAt"):
        return body
    with contextlib.suppress(NotFound):  # deleted meanwhile
        body = client.get(workflows.path(str(body["metadata"]["namespace"]), str(body["metadata"]["name"])))
    return body


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    with reach.reading(args) as client:
        found = workflows.listed(client, reach.namespace(args), args, whole=args.output in ("json", "yaml", "wide"))
        if args.output == "wide":
            found = [_with_nodes(client, body) for body in found]
    if args.output in ("json", "yaml"):
        terminal.say(output.as_text(found, args.output))
    elif args.output == "name":
        for body in found:
            terminal.say(body["metadata"]["name"])
    elif not found:
        terminal.say("No workflows found")
    else:
        rows = workflows.rows(
            found,
            output.now(),
            namespaces=args.all_namespaces,
            wide=args.output == "wide",
            headers=not args.no_headers,
        )
        for line in output.table(rows):
            terminal.say(line)
    return Exit.GOOD
