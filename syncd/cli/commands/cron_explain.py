"""`syncd cron explain`: the ledger, read aloud: why a job ran, or why not."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.base.clock import parse_rfc3339, rfc3339
from syncd.base.errors import ConfigError
from syncd.cli import arguments, output, reach, schedules
from syncd.cli.exits import Exit

ABOUT = """Say why a cron workflow ran or did not: its rule, what stands in its way now, what became of its last slots, when
it fires next, and what the change of the clocks will do. With --slot: what became of that moment. Of a cron that Argo
fires in a cluster there is no ledger: that is said."""
EXAMPLES = """
syncd cron explain nightly
syncd cron explain nightly --slot 2026-01-31T02:30:00Z
syncd cron explain nightly --rows 20
syncd cron explain nightly -o json
syncd cron explain nightly --context prod -n data
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("cron", metavar="CRON", help="a name")
    parser.add_argument("--slot", default="", metavar="TIME", help="the moment in question: 2026-01-31T02:30:00Z")
    parser.add_argument("--rows", type=int, default=0, metavar="N", help="also list the last N decisions")
    arguments.add_output(parser, "json", "yaml")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    try:
        slot = rfc3339(parse_rfc3339(args.slot)) if args.slot else ""
    except ValueError as fault:
        raise ConfigError(f"--slot {args.slot[:40]!r} is not a time ({fault}); write 2026-01-31T02:30:00Z") from None
    if not 0 <= args.rows <= 1000:
        raise ConfigError(f"--rows {args.rows} is not between 0 and 1000")
    with reach.reading(args) as client:
        query = {"slot": slot, "limit": args.rows or (10 if args.output else 3)}
        told = client.get(schedules.path(reach.namespace(args), args.cron, "explain"), query)
    if args.output:
        terminal.say(output.as_text(told, args.output))
        return Exit.GOOD
    for sentence in told.get("sentences") or ():
        terminal.say(output.clean(sentence))
    if args.rows:
        rows = [["SLOT", "OUTCOME", "REASON", "DECIDED", "RUN", "MESSAGE"]]
        for row in told.get("rows") or ():
            many = f" (+{row['count'] - 1} until {row['until']})" if row["count"] > 1 else ""
            rows.append(
                [
                    row["slot"] + many,
                    row["outcome"],
                    row["reason"],
                    row["decidedAt"],
                    row["run"] or "",
                    output.clean(row["message"] or ""),
                ]
            )
        terminal.say()
        for line in output.table(rows):
            terminal.say(line)
    return Exit.GOOD
