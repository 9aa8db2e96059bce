"""`syncd status`: the daemon and each of its sources, on one screen."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import datetime
from typing import Any, Final

from syncd.base import units
from syncd.cli import arguments, output, reach
from syncd.cli.client import OWN, Client, problem_of, segment
from syncd.cli.exits import Exit
from syncd.cli.output import Terminal

ABOUT = "Show the daemon and its sources: which commit is in force, what holds a newer one back, and its problems."
EXAMPLES = """
syncd status
syncd status jobs
syncd status -o json
syncd status --check && echo 'all sources are as git says'
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
            told["sources"] = [client.get(f"{OWN}/sources/{segment(name)}") for name in args.source]
        if args.output in ("json", "yaml"):
            terminal.say(output.as_text(told["sources"] if args.source else told, args.output))
        elif args.output == "name":
            for source in told["sources"]:
                terminal.say(source["name"])
        else:
            _show(client, told, terminal, every=bool(args.source) or args.output == "wide")
    bad = [source for source in told["sources"] if source.get("result") not in _GOOD]
    return Exit.NO if args.check and (bad or client.offline) else Exit.GOOD


def _show(client: Client, told: dict[str, Any], terminal: Terminal, *, every: bool) -> None:
    at = output.now()
    if client.offline:
        terminal.say(f"no daemon is running; state {told.get('state', '')}")
        return
    terminal.say(
        f"syncd {told['version']} · {told.get('mode', '')} · state {told.get('state', '')} · {told.get('runtime', '')}"
    )
    terminal.say(f"API {client.where}   unfinished runs {told.get('unfinished', 0)}")
    for reason in (*told.get("notLive", ()), *told.get("notReady", ()), *_complaints(told)):
        terminal.say(terminal.paint(f"! {output.clean(reason)}", output.YELLOW))
    if not told["sources"]:
        terminal.say("no sources; `syncd up SOURCE` keeps one in force")
    for source in told["sources"]:
        terminal.say()
        for line in source_lines(source, at, terminal):
            terminal.say(line)
        _problems(client, source, terminal, every)


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
