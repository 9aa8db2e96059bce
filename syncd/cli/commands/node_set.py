"""`syncd node set`: give a suspended node its outputs, a phase or a message."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from syncd.base.errors import ConfigError
from syncd.cli import again, output, reach, workflows
from syncd.cli.exits import Exit

ABOUT = "Set the outputs, the phase or the message of nodes that are suspended."
EXAMPLES = """
syncd node set my-wf --output-parameter approved=yes --node-field-selector displayName=approve
syncd node set my-wf --phase Failed --message 'not today' --node-field-selector displayName=approve
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("workflow", metavar="WORKFLOW", help="a name, or @latest")
    parser.add_argument("--node-field-selector", default="", metavar="FIELDS", help="which nodes: displayName=approve")
    parser.add_argument("-p", "--output-parameter", action="append", default=[], metavar="NAME=VALUE", help="an output")
    parser.add_argument("--phase", default="", help="the phase: Succeeded, Failed, Error, Skipped")
    parser.add_argument("-m", "--message", default="", help="a message")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    again.check_parameters(args.output_parameter)
    if not (args.output_parameter or args.phase or args.message):
        raise ConfigError("nothing to set; give --output-parameter, --phase or --message")
    outputs = dict(text.split("=", 1) for text in args.output_parameter)
    where = reach.namespace(args)
    sent = {
        "namespace": where,
        "name": args.workflow,
        "nodeFieldSelector": args.node_field_selector,
        "message": args.message,
        "phase": args.phase,
        "outputParameters": json.dumps(outputs) if outputs else "",
    }
    with reach.writing(args) as client:
        client.call("PUT", workflows.path(where, args.workflow, "set"), sent=sent)
    terminal.say("workflow values set")
    return Exit.GOOD
