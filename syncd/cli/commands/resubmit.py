"""`syncd resubmit`: a new workflow from an old one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from syncd.cli import again
from syncd.cli.again import Named

ABOUT = "Submit workflows once more: new ones with the old ones' manifests and parameters."
EXAMPLES = """
syncd resubmit my-wf
syncd resubmit my-wf --watch
syncd resubmit @latest -p message=other
syncd resubmit -l team=data
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    again.add(parser)
    parser.add_argument("--memoized", action="store_true", help="keep the outputs of steps that succeeded")
    parser.add_argument("--priority", type=int, default=None, help="the priority of the new workflow")


def run(args: Namespace) -> int:
    """Run it."""

    def sent(named: Named) -> dict[str, Any]:
        return {
            "namespace": named[0],
            "name": named[1],
            "memoized": args.memoized,
            "parameters": args.parameter,
            "priority": args.priority,
        }

    return again.run(args, "resubmit", sent)
