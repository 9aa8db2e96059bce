"""WorkflowTemplates and ClusterWorkflowTemplates for commands: list them, show one. Called by the template commands."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from typing import Any, Final

from syncd.cli import arguments, describe, output, reach, workflows
from syncd.cli.client import API, segment
from syncd.cli.exits import Exit


@dataclass(frozen=True, slots=True)
class Kind:
    """route: below the API; namespaced: whether its objects lie in namespaces."""

    route: str
    namespaced: bool


TEMPLATE: Final = Kind(f"{API}/workflow-templates", True)
CLUSTER_TEMPLATE: Final = Kind(f"{API}/cluster-workflow-templates", False)


def add_list(parser: ArgumentParser, kind: Kind) -> None:
    """The options of `list`."""
    if kind.namespaced:
        arguments.add_all_namespaces(parser)
    parser.add_argument("-l", "--selector", default="", metavar="LABELS", help="only those with these labels")
    arguments.add_output(parser)


def add_get(parser: ArgumentParser) -> None:
    """The options of `get`."""
    parser.add_argument("template", nargs="+", metavar="TEMPLATE", help="a name")
    arguments.add_output(parser)


def run_list(args: Namespace, kind: Kind) -> int:
    """List them."""
    terminal, _ = output.standard(args)
    everywhere = getattr(args, "all_namespaces", False)
    route = f"{kind.route}/{segment(reach.namespace(args))}" if kind.namespaced else kind.route
    query: dict[str, Any] = {"listOptions.labelSelector": args.selector}
    with reach.reading(args) as client:
        found = list(workflows.pages(client, route, query))
    if args.output in ("json", "yaml"):
        terminal.say(output.as_text(found, args.output))
        return Exit.GOOD
    if args.output == "name":
        for body in found:
            terminal.say(body["metadata"]["name"])
        return Exit.GOOD
    wide = args.output == "wide"
    head = (["NAMESPACE"] if everywhere else []) + ["NAME"] + (["AGE", "SOURCE", "REVISION", "PATH"] if wide else [])
    rows = [head]
    for body in found:
        metadata = body["metadata"]
        cells = [str(metadata.get("namespace", ""))] if everywhere else []
        cells.append(str(metadata["name"]))
        if wide:
            notes = metadata.get("annotations") or {}
            cells += [
                output.age(metadata.get("creationTimestamp"), output.now()),
                str((metadata.get("labels") or {}).get("syncd.io/source", "")),
                output.clean(notes.get("syncd.io/revision", "")),
                output.clean(notes.get("syncd.io/path", "")),
            ]
        rows.append(cells)
    for line in output.table(rows):
        terminal.say(line)
    return Exit.GOOD


def run_get(args: Namespace, kind: Kind) -> int:
    """Show some."""
    terminal, _ = output.standard(args)
    route = f"{kind.route}/{segment(reach.namespace(args))}" if kind.namespaced else kind.route
    with reach.reading(args) as client:
        for name in args.template:
            body = client.get(f"{route}/{segment(name)}")
            metadata = body["metadata"]
            if args.output in ("json", "yaml"):
                terminal.say(output.as_text(body, args.output))
            elif args.output == "name":
                terminal.say(metadata["name"])
            else:
                terminal.say(describe.fact("Name:", metadata["name"]))
                if kind.namespaced:
                    terminal.say(describe.fact("Namespace:", metadata.get("namespace", "")))
                created = output.timestamp(metadata.get("creationTimestamp"), output.now())
                terminal.say(describe.fact("Created:", created))
                for line in describe.provenance(metadata):
                    terminal.say(line)
                names = ", ".join(str(t.get("name", "")) for t in (body.get("spec") or {}).get("templates") or ())
                terminal.say(describe.fact("Templates:", names))
    return Exit.GOOD
