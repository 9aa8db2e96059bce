"""stop, terminate, suspend, resume: what they have in common. A verb and its options in, a line for each run out."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from syncd.base.errors import Conflict, NotFound
from syncd.cli import arguments, output, reach, workflows
from syncd.cli.exits import Exit, of_error


def add(parser: ArgumentParser, *, nodes: bool = False, message: bool = False) -> None:
    """The options. nodes: single nodes can be meant; message: nodes get a message."""
    parser.add_argument("workflow", nargs="*", metavar="WORKFLOW", help="a name, or @latest")
    arguments.add_selectors(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    if nodes:
        parser.add_argument("--node-field-selector", default="", metavar="FIELDS", help="only nodes so: displayName=a")
    if message:
        parser.add_argument("--message", default="", help="a message for the nodes that are ended")


def run(args: Namespace, verb: str, done: str) -> int:
    """Do it to every workflow that is meant. done: the verb's participle."""
    terminal, errors = output.standard(args)
    code: int = Exit.GOOD
    sent: dict[str, Any] = {
        "nodeFieldSelector": getattr(args, "node_field_selector", ""),
        "message": getattr(args, "message", ""),
    }
    with reach.reading(args) if args.dry_run else reach.writing(args) as client:
        for namespace, name in workflows.named_or_selected(client, args):
            if args.dry_run:
                terminal.say(f"workflow {name} {done} (dry-run)")
                continue
            try:
                body = client.call(
                    "PUT",
                    workflows.path(namespace, name, verb),
                    sent={"namespace": namespace, "name": name, **{k: v for k, v in sent.items() if v}},
                )
            except (Conflict, NotFound) as refusal:  # the others can be done all the same
                errors.say(f"syncd: error: workflow {name}: {refusal}")
                code = of_error(refusal)
                continue
            terminal.say(f"workflow {body['metadata']['name']} {done}")
    return code
