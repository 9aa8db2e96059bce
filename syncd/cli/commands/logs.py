"""`syncd logs`: what steps printed, as it comes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from syncd.argo.manifest import Body
from syncd.base.clock import parse_rfc3339
from syncd.base.errors import ConfigError, NotFound
from syncd.cli import describe, following, output, reach, workflows
from syncd.cli.exits import Exit

ABOUT = """Print the logs of a workflow, or of one of its steps, which may be named by its pod, its node, its display name
or its template. Every line begins with its pod. In a cluster they are read from the pods, in order of time, and are gone
with them: then it is said where they were archived (exit code 1)."""
EXAMPLES = """
syncd logs my-wf
syncd logs my-wf --follow
syncd logs my-wf my-step --tail 20
syncd logs @latest --grep 'ERROR|WARN' --since 10m --timestamps
syncd logs my-wf --context prod -n data --follow
syncd logs my-wf --context prod -c wait
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
    terminal, errors = output.standard(args)
    asked = query(args)
    bare = (lambda _, content: content) if args.no_prefix else None
    with reach.reading(args) as client:
        if client.offline:
            asked["logOptions.follow"] = False
        where = reach.namespace(args)
        try:
            following.log(client, where, args.workflow, terminal, step=args.step, query=asked, line=bare)
        except NotFound as error:
            if not client.cluster:
                raise
            return _gone(client.get(workflows.path(where, args.workflow)), error, errors)
    return Exit.GOOD


def _gone(run: Body, error: NotFound, errors: output.Terminal) -> int:
    """A run is there, and no log of it: say why, and where it may be."""
    name, status = run["metadata"]["name"], run.get("status") or {}
    if "has a container" in str(error):
        raise error
    if not status.get("finishedAt"):
        errors.say(
            f"syncd: workflow {name} has no pods yet ({status.get('phase') or 'Pending'}): --follow waits for them"
        )
        return Exit.NO
    ended = output.relative(found, output.now()) if (found := output.moment(status["finishedAt"])) else ""
    errors.say(
        f"syncd: the pods of workflow {name} are gone (or their nodes), and their logs with them; it ended {ended}"
    )
    archived = [
        (str(node.get("displayName") or node.get("name") or ""), describe.location(artifact))
        for node in (status.get("nodes") or {}).values()
        for artifact in (node.get("outputs") or {}).get("artifacts") or ()
        if str(artifact.get("name") or "").endswith("-logs")
    ]
    for step, place in archived:
        errors.say(f"syncd: archived: {output.clean(step)}: {output.clean(place)}")
    if not archived:
        errors.say(
            "syncd: it says of no archived logs; `archiveLogs: true` in Argo's artifact repository keeps them from now on"
        )
    return Exit.NO
