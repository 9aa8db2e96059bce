"""`syncd retry`: run again what failed, within the same workflow."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from syncd.base.errors import ConfigError
from syncd.cli import again
from syncd.cli.again import Named

ABOUT = "Retry workflows that failed: steps that succeeded are kept, the others run again."
EXAMPLES = """
syncd retry my-wf
syncd retry my-wf --watch
syncd retry @latest -p message=other --log
syncd retry my-wf --restart-successful --node-field-selector displayName=build
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    again.add(parser)
    parser.add_argument("--restart-successful", action="store_true", help="also nodes that succeeded, see the selector")
    parser.add_argument("--node-field-selector", default="", metavar="FIELDS", help="which nodes to run again")


def run(args: Namespace) -> int:
    """Run it."""
    if args.restart_successful and not args.node_field_selector:
        raise ConfigError("--restart-successful wants --node-field-selector: say which nodes")

    def sent(named: Named) -> dict[str, Any]:
        return {
            "namespace": named[0],
            "name": named[1],
            "restartSuccessful": args.restart_successful,
            "nodeFieldSelector": args.node_field_selector,
            "parameters": args.parameter,
        }

    return again.run(args, "retry", sent)
