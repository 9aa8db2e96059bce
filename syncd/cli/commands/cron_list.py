"""`syncd cron list`: cron workflows and CronJobs, and when they fire."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from syncd.base import units
from syncd.base.errors import Refused, Unsupported
from syncd.cli import arguments, output, reach, schedules
from syncd.cli.client import OWN, Client
from syncd.cli.exits import Exit

ABOUT = """List cron workflows (and CronJobs): when they ran last, and when they fire next. In a cluster also who fires them:
syncd; argo: a CronWorkflow without syncd's label; kubernetes: a CronJob."""
EXAMPLES = """
syncd cron list
syncd cron list -A
syncd cron list -o json
syncd cron list -l team=data -o wide
syncd cron list --context prod -A
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    arguments.add_all_namespaces(parser)
    parser.add_argument("-l", "--selector", default="", metavar="LABELS", help="only those with these labels")
    arguments.add_output(parser)


def run(args: Namespace) -> int:
    """Run it."""
    terminal, errors = output.standard(args)
    query = {"namespace": reach.namespace(args), "labelSelector": args.selector}
    with reach.reading(args) as client:
        found = _found(client, query, errors)
    at = output.now()
    if client.offline:
        found = [{**item, "nextFire": schedules.next_fire(item, at) or None} for item in found]
    if args.output in ("json", "yaml"):
        terminal.say(output.as_text(found, args.output))
        return Exit.GOOD
    if args.output == "name":
        for item in found:
            terminal.say(item["name"])
        return Exit.GOOD
    head = ["NAME", "AGE", "LAST RUN", "NEXT RUN", "SCHEDULES", "TIMEZONE", "SUSPENDED"]
    wide = args.output == "wide"
    told = client.cluster or any(item.get("scheduler", "syncd") != "syncd" for item in found)
    more = (["SCHEDULER"] if told else []) + (["ACTIVE", "SUCCEEDED", "FAILED", "SOURCE"] if wide else [])
    rows = [(["NAMESPACE"] if args.all_namespaces else []) + head + more]
    for item in found:
        fires = output.moment(item.get("nextFire"))
        cells = [
            item["name"],
            output.age(item.get("createdAt"), at),
            output.age(item.get("lastScheduledTime"), at),
            units.human_duration(fires - at) if fires else "N/A",
            output.clean(",".join(item.get("schedules") or ())),
            output.clean(item.get("timezone") or ""),
            "true" if item.get("suspended") else "false",
        ]
        if told:
            cells.append(item.get("scheduler", "syncd"))
        if wide:
            cells += [str(item.get(name, 0)) for name in ("active", "succeeded", "failed")]
            cells.append(output.clean(item.get("source") or ""))
        rows.append([*([item["namespace"]] if args.all_namespaces else []), *cells])
    for line in output.table(rows):
        terminal.say(line)
    return Exit.GOOD


def _found(client: Client, query: dict[str, Any], errors: output.Terminal) -> list[dict[str, Any]]:
    """All crons. Not everybody who may list a cluster's CronWorkflows may list its CronJobs: then those are left out."""
    if not client.cluster:
        return list(client.get(f"{OWN}/crons", query)["items"])
    found = list(client.get(f"{OWN}/crons", {**query, "kind": "CronWorkflow"})["items"])
    try:
        found += client.get(f"{OWN}/crons", {**query, "kind": "CronJob"})["items"]
    except (Refused, Unsupported) as error:
        errors.say(f"syncd: CronJobs are left out: {output.clean(error)}")
    return sorted(found, key=lambda item: (item["namespace"], item["name"]))
