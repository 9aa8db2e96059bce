"""`syncd logs`: what steps printed, as it comes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from syncd.base.clock import parse_rfc3339
from syncd.base.errors import ConfigError
from syncd.cli import following, output, reach
from syncd.cli.exits import Exit

ABOUT = """Print the logs of a workflow, or of one of its steps, which may be named by its pod, its node, its display name
or its template. Every line begins with its pod."""
EXAMPLES = """
syncd logs my-wf
syncd logs my-wf --follow
syncd logs my-wf my-step --tail 20
syncd logs @latest --grep 'ERROR|WARN' --since 10m --timestamps
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("workflow", metavar="WORKFLOW", help="a name, or @latest")
    parser.add_argument("step", nargs="?", default="", metavar="STEP", help="only this step")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the workflow has ended")
    parser.add_argument("-c", "--container", default="main", help="the container of the step (main)")
    parser.add_argument("--grep", default="", metavar="REGEX", help="only lines that match (RE2)")
    parser.add_argument("--since", default="", metavar="SPAN", help="only lines younger than: 10s, 5m, 1h")
    parser.add_argument("--since-time", default="", metavar="TIME", help="only lines after: 2026-01-31T02:30:00Z")
    parser.add_argument("--tail", type=int, default=-1, metavar="N", help="only the last N lines")
    parser.add_argument("--timestamps", action="store_true", help="begin each line with its time")
    parser.add_argument("--no-prefix", action="store_true", help="lines as they are, without their pod")


def query(args: Namespace) -> dict[str, Any]:
    """What the options ask of the API. Raises ConfigError."""
    if args.since and args.since_time:
        raise ConfigError("--since and --since-time exclude each other; give one of them")
    if args.since_time:
        try:
            parse_rfc3339(args.since_time)
        except ValueError:
            raise ConfigError(f"{args.since_time[:40]!r} is not a time; write 2026-01-31T02:30:00Z") from None
    seconds = int(output.duration(args.since).total_seconds()) if args.since else 0
    return {
        "grep": args.grep,
        "logOptions.container": args.container,
        "logOptions.follow": args.follow,
        "logOptions.sinceSeconds": max(1, seconds) if args.since else "",
        "logOptions.sinceTime": args.since_time,
        "logOptions.tailLines": str(args.tail) if args.tail >= 0 else "",
        "logOptions.timestamps": args.timestamps,
    }


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    asked = query(args)
    bare = (lambda _, content: content) if args.no_prefix else None
    with reach.reading(args) as client:
        if client.offline:
            asked["logOptions.follow"] = False
        where = reach.namespace(args)
        following.log(client, where, args.workflow, terminal, step=args.step, query=asked, line=bare)
    return Exit.GOOD
