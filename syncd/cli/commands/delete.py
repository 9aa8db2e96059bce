"""`syncd delete`: workflows by name, or all that options describe."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.base.errors import ConfigError, NotFound
from syncd.cli import arguments, output, reach, workflows
from syncd.cli.exits import Exit

ABOUT = "Delete workflows with their logs and artifacts. One that runs is ended first."
EXAMPLES = """
syncd delete my-wf
syncd delete @latest
syncd delete --completed --older 7d
syncd delete --all --dry-run
syncd delete --status Failed,Error --prefix nightly-
syncd delete --context prod -n data --completed --older 7d --dry-run
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("workflow", nargs="*", metavar="WORKFLOW", help="a name, or @latest")
    parser.add_argument("--all", action="store_true", help="all workflows of the namespace")
    arguments.add_all_namespaces(parser)
    arguments.add_filters(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    parser.add_argument("--force", action="store_true", help="as argo's: also what cannot be ended properly")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    filtered = any(
        (
            args.all,
            args.all_namespaces,
            args.completed,
            args.resubmitted,
            args.prefix,
            args.selector,
            args.field_selector,
            args.older,
            args.status,
        )
    )
    if not args.workflow and not filtered:
        raise ConfigError("no workflow is named; name some, or say which: --all, --completed, --older 7d, -l a=b, …")
    missing = False
    with reach.reading(args) if args.dry_run else reach.writing(args) as client:
        found = [(reach.namespace(args) or "default", name) for name in args.workflow]
        if filtered:
            listed = workflows.listed(client, reach.namespace(args), args)
            found += [(str(body["metadata"]["namespace"]), str(body["metadata"]["name"])) for body in listed]
        for namespace, name in dict.fromkeys(found):
            if args.dry_run:
                terminal.say(f"Workflow '{name}' deleted (dry-run)")
                continue
            try:
                client.call("DELETE", workflows.path(namespace, name), query={"force": args.force})
            except NotFound:
                terminal.say(f"Workflow '{name}' not found")
                missing |= name in args.workflow
            else:
                terminal.say(f"Workflow '{name}' deleted")
        if not found:
            terminal.say("No resources found")
    return Exit.NO if missing else Exit.GOOD
