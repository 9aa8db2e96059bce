"""`syncd cron next`: the coming times of a cron, or of any schedule, daylight saving included."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import datetime
from typing import Any

from syncd.base import units
from syncd.base.clock import parse_rfc3339, rfc3339
from syncd.base.errors import ConfigError
from syncd.cli import arguments, output, reach, schedules
from syncd.cli.client import API, segment
from syncd.cli.exits import Exit

ABOUT = """List the coming times of a cron workflow, or of a schedule that is written here: by its own clock, in UTC, and from
now. What the change of the clocks does to it is said as well."""
EXAMPLES = """
syncd cron next nightly
syncd cron next nightly -n 10 -o json
syncd cron next --schedule '30 2 * * *' --timezone Europe/Paris
syncd cron next --schedule '@every 90m' --from 2026-03-29T00:00:00Z -n 3
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("cron", nargs="?", default="", metavar="CRON", help="a name; or give --schedule")
    parser.add_argument("--schedule", action="append", default=[], metavar="LINE", help="a schedule; may be repeated")
    parser.add_argument("--timezone", default="", metavar="ZONE", help="the zone of --schedule, such as Europe/Paris")
    parser.add_argument("--dst", default="", choices=("skip", "once", "both"), help="as the annotation syncd.io/dst")
    parser.add_argument(
        "--from", dest="since", default="", metavar="TIME", help="after this moment: 2026-03-29T00:00:00Z"
    )
    parser.add_argument("-n", "--count", type=int, default=5, metavar="N", help="how many (5)")
    arguments.add_output(parser, "json", "yaml", "wide")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    if bool(args.cron) == bool(args.schedule):
        raise ConfigError("give either the name of a cron, or --schedule")
    if not 1 <= args.count <= 10_000:
        raise ConfigError(f"-n {args.count} is not between 1 and 10000")
    now = output.now()
    after = _moment(args.since) or now
    cron = _written(args) if args.schedule else _stored(args)
    found = schedules.coming(cron, after, args.count)
    if args.output in ("json", "yaml"):
        terminal.say(output.as_text([rfc3339(one.at) for one in found], args.output))
        return Exit.GOOD if found else Exit.NO
    for one in found:
        far = (
            f"in {units.human_duration(one.at - now)}" if one.at >= now else f"{units.human_duration(now - one.at)} ago"
        )
        note = f"   {one.note}" if one.note else ""
        terminal.say(f"{_local(one.local)}   {rfc3339(one.at)}   {far}{note}")
    if not found:
        terminal.say("never: within five years no moment matches the schedule")
        return Exit.NO
    spec = cron.get("spec") or {}
    if spec.get("suspend"):
        terminal.say("it is suspended, so it does not fire at these times")
    for note in schedules.story(cron, after).notes:
        terminal.say(f"note: {note}")
    return Exit.GOOD


def _moment(text: str) -> datetime | None:
    try:
        return parse_rfc3339(text) if text else None
    except ValueError as fault:
        raise ConfigError(f"--from {text[:40]!r} is not a time ({fault}); write 2026-03-29T00:00:00Z") from None


def _written(args: Namespace) -> dict[str, Any]:
    cron = schedules.body({"name": "schedule", "schedules": args.schedule, "timezone": args.timezone})
    if args.dst:
        cron["metadata"]["annotations"] = {"syncd.io/dst": args.dst}
    return cron


def _stored(args: Namespace) -> dict[str, Any]:
    if args.timezone or args.dst:
        raise ConfigError("--timezone and --dst go with --schedule; a cron has its own")
    with reach.reading(args) as client:
        where = segment(reach.namespace(args))
        found: dict[str, Any] = client.get(f"{API}/cron-workflows/{where}/{segment(args.cron)}")
    return found


def _local(text: str) -> str:
    moment = datetime.fromisoformat(text)
    return moment.strftime("%a %Y-%m-%d %H:%M:%S %z")
