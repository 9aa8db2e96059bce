"""`syncd cron get`: one cron workflow, as `argo cron get` shows it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from syncd.base.clock import rfc3339
from syncd.base.errors import Invalid
from syncd.cli import arguments, describe, output, reach, schedules
from syncd.cli.client import API, segment
from syncd.cli.exits import Exit
from syncd.cli.output import Terminal

ABOUT = "Show cron workflows: schedule, last and next run, what runs now."
EXAMPLES = """
syncd cron get nightly
syncd cron get nightly -o yaml
syncd cron get nightly --context prod -n data
"""
_WIDTH = 30


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("cron", nargs="+", metavar="CRON", help="a name")
    arguments.add_output(parser)


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    with reach.reading(args) as client:
        for name in args.cron:
            body = client.get(f"{API}/cron-workflows/{segment(reach.namespace(args))}/{segment(name)}")
            if args.output in ("json", "yaml"):
                terminal.say(output.as_text(body, args.output))
            elif args.output == "name":
                terminal.say(body["metadata"]["name"])
            else:
                for line in _facts(body, terminal):
                    terminal.say(line)
                if client.cluster:
                    terminal.say(describe.fact("Scheduler:", schedules.scheduler(body), _WIDTH))
    return Exit.GOOD


def _facts(body: dict[str, Any], terminal: Terminal) -> list[str]:
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    at = output.now()
    given = spec.get("schedules") or ([spec["schedule"]] if spec.get("schedule") else [])
    facts: list[tuple[str, Any]] = [
        ("Name:", metadata.get("name", "")),
        ("Namespace:", metadata.get("namespace", "")),
        ("Created:", output.timestamp(metadata.get("creationTimestamp"), at)),
        ("Schedules:", ",".join(map(str, given))),
        ("Suspended:", "true" if spec.get("suspend") else "false"),
        ("Timezone:", spec.get("timezone")),
        ("StartingDeadlineSeconds:", spec.get("startingDeadlineSeconds")),
        ("ConcurrencyPolicy:", spec.get("concurrencyPolicy")),
        ("LastScheduledTime:", output.timestamp(status.get("lastScheduledTime"), at)),
    ]
    lines = [describe.fact(name, value, _WIDTH) for name, value in facts if value not in (None, "")]
    if not spec.get("suspend"):
        try:
            found = schedules.coming(body, at, 1)
        except Invalid as fault:
            lines.append(describe.fact("NextScheduledTime:", f"never: {fault}", _WIDTH))
        else:
            if found:
                lines.append(describe.fact("NextScheduledTime:", output.timestamp(rfc3339(found[0].at), at), _WIDTH))
    if active := status.get("active"):
        lines.append(describe.fact("Active Workflows:", ", ".join(str(ref.get("name", "")) for ref in active), _WIDTH))
    lines += describe.conditions(status.get("conditions") or (), terminal, _WIDTH)
    lines += describe.provenance(metadata, _WIDTH)
    arguments_ = (spec.get("workflowSpec") or {}).get("arguments") or {}
    return [*lines, *describe.parameters("Workflow Parameters:", arguments_.get("parameters") or (), _WIDTH)]
