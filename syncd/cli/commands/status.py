"""`syncd status`: the daemon and each of its sources, on one screen."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import datetime
from typing import Any, Final

from syncd.base import units
from syncd.base.errors import NotFound
from syncd.cli import arguments, output, reach
from syncd.cli.client import OWN, Client, problem_of, segment
from syncd.cli.exits import Exit
from syncd.cli.output import Terminal

ABOUT = """Show the daemon and its sources: which commit is in force, what holds a newer one back, and its problems. Of a
cluster it shows what the leader has written there: who leads, when the lease was renewed, and the Source objects.
With --check the exit code is 1 where a source is not as git says, or nobody leads."""
EXAMPLES = """
syncd status
syncd status jobs
syncd status -o json
syncd status --check && echo 'all sources are as git says'
syncd status --context prod
syncd status --context prod --system-namespace syncd -o wide
"""
_GOOD: Final = ("applied", "unchanged")
_SHOWN: Final = 20


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("source", nargs="*", metavar="SOURCE", help="only these sources, with all of their problems")
    parser.add_argument("--check", action="store_true", help="exit code 1 where a source is not as git says")
    arguments.add_output(parser, "json", "yaml", "name", "wide")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    with reach.reading(args) as client:
        told: dict[str, Any] = client.get(f"{OWN}/status")
        if args.source:
            if client.cluster and not told.get("installed"):
                raise NotFound("; ".join(told["notReady"]))
            told["sources"] = [client.get(f"{OWN}/sources/{segment(name)}") for name in args.source]
        if args.output in ("json", "yaml"):
            terminal.say(output.as_text(told["sources"] if args.source else told, args.output))
        elif args.output == "name":
            for source in told["sources"]:
                terminal.say(source["name"])
        else:
            _show(client, told, terminal, every=bool(args.source) or args.output == "wide")
    bad = [source for source in told["sources"] if source.get("result") not in _GOOD]
    return Exit.NO if args.check and (bad or client.offline or told.get("dead")) else Exit.GOOD


def _show(client: Client, told: dict[str, Any], terminal: Terminal, *, every: bool) -> None:
    at = output.now()
    if client.offline:
        terminal.say(f"no daemon is running; state {told.get('state', '')}")
        return
    if client.cluster:
        for line in _cluster(told, terminal):
            terminal.say(line)
    else:
        terminal.say(
            f"syncd {told['version']} · {told.get('mode', '')} · state {told.get('state', '')} · {told.get('runtime', '')}"
        )
        terminal.say(f"API {client.where}   unfinished runs {told.get('unfinished', 0)}")
    for reason in (*told.get("notLive", ()), *told.get("notReady", ()), *_complaints(told)):
        terminal.say(terminal.paint(f"! {output.clean(reason)}", output.YELLOW))
    if not told["sources"] and not client.cluster:
        terminal.say("no sources; `syncd up SOURCE` keeps one in force")
    elif not told["sources"] and told.get("installed") and not told.get("notReady"):
        terminal.say("no sources are shown; they are in the daemon's configuration")
    for source in told["sources"]:
        terminal.say()
        for line in source_lines(source, at, terminal):
            terminal.say(line)
        _problems(client, source, terminal, every)


def _cluster(told: dict[str, Any], terminal: Terminal) -> list[str]:
    """Where the installation is, and who leads it."""
    lease = told.get("lease") or {}
    context = f" (context {told['context']})" if told.get("context") else ""
    lines = [f"cluster    {told.get('cluster', '')}{context}"]
    if not told.get("installed"):
        return [*lines, "installed  not found"]
    lines.append(f"installed  in namespace {told.get('namespace', '')}, lease {lease.get('name', '')}")
    if lease.get("holder"):
        age = lease.get("ageSeconds")
        changes = lease.get("transitions") or 0
        times = f", changed hands {changes} time{'s' if changes != 1 else ''}" if changes else ""
        lines.append(f"leader     {output.clean(lease['holder'])}, renewed {age:.0f} s ago{times}")
    if told.get("dead"):
        lines.append(terminal.paint(f"! {output.clean(told['dead'])}; what is below is as it was left", output.RED))
    return lines


def _complaints(told: dict[str, Any]) -> list[str]:
    given = told.get("complaints") or {}
    if isinstance(given, dict):
        return [f"{name}: {said}" for name, said in given.items()]
    return [str(said) for said in given]


def source_lines(source: dict[str, Any], at: datetime, terminal: Terminal) -> list[str]:
    """What there is to say of one source, a line each."""
    result = str(source.get("result") or "")
    colour = output.GREEN if result in _GOOD else output.YELLOW if result in ("starting", "suspended") else output.RED
    reason = f" ({source['reason']})" if source.get("reason") else ""
    lines = [
        f"{terminal.paint(str(source.get('name', '')), output.BOLD)}  {output.clean(source.get('url') or '')}",
        f"  status     {terminal.paint(result, colour)}{reason}",
    ]
    if source.get("message"):
        lines.append(f"             {output.clean(source['message'])}")
    lines.append(f"  in force   {source.get('applied') or 'nothing yet'}")
    if source.get("seen") and source.get("seen") != source.get("applied"):
        lines.append(f"  newest     {source['seen']}")
    if source.get("subject"):
        lines.append(f"  commit     {output.clean(source['subject'])} — {output.clean(source.get('author') or '')}")
    objects = source.get("objects") or {}
    if objects:
        lines.append("  objects    " + ", ".join(f"{count} {kind}" for kind, count in sorted(objects.items())))
    counts = source.get("problems") or {}
    if counts.get("error") or counts.get("warning"):
        lines.append(f"  problems   {counts.get('error', 0)} errors, {counts.get('warning', 0)} warnings")
    if source.get("conflicts"):
        lines.append(f"  conflicts  {source['conflicts']} objects have fields that another manager declares")
    if contact := output.moment(source.get("contactAt")):
        lines.append(f"  verified   {units.human_duration(at - contact)} ago")
    if source.get("uncommitted"):
        lines.append(f"  note       {source['uncommitted']} changed files are not committed, and so not in force")
    lines += [f"  by hand    {output.clean(held)}" for held in source.get("byHand") or ()]
    held = source.get("held") or {}
    if held.get("reason") == "guard":
        lines.append(f"  to do      look at `syncd plan {source['name']}`, then")
        lines.append(f"             syncd approve {source['name']} {held.get('revision', '')}")
    return lines


def _problems(client: Client, source: dict[str, Any], terminal: Terminal, every: bool) -> None:
    counts = source.get("problems") or {}
    if not counts.get("error") and not (every and counts.get("warning")):
        return
    found = client.get(f"{OWN}/sources/{segment(source['name'])}/problems")["items"]
    chosen = [item for item in found if every or item["severity"] == "error"]
    for item in chosen if every else chosen[:_SHOWN]:
        terminal.say(f"  {output.clean(problem_of(item))}")
    if not every and len(chosen) > _SHOWN:
        terminal.say(f"  … and {len(chosen) - _SHOWN} more: `syncd status {source['name']}`")
