"""`syncd plan`: what a sync would change, before it does."""

from __future__ import annotations

import asyncio
import os
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from syncd.base.errors import ConfigError
from syncd.base.problems import Problem, has_errors
from syncd.cli import arguments, clusters, output, reach
from syncd.cli.client import OWN, problem_of, segment
from syncd.cli.exits import Exit
from syncd.cli.output import Terminal

ABOUT = """Show what a sync would create, update and delete, field by field. The name of a source asks the daemon; a directory
or a URL is read here and compared with the store, or with the live objects of a cluster, so that a change can be looked at
before it is committed. In a cluster it is planned on the terms of the installation (its ConfigMap, else --config):
who fires crons, what the source may bring and prune. With --dry-run=server each write is tried out as you, and what
admission, schema or permissions would refuse is shown. Exit code 1: it has errors, or (--check) something would change."""
EXAMPLES = """
syncd plan
syncd plan jobs
syncd plan ./workflows --source-name jobs
syncd plan https://github.com/team/jobs.git#my-branch
syncd plan . -o json
syncd plan . --check
syncd plan ./workflows --source-name jobs --context prod
syncd plan ./workflows --source-name jobs --context prod --dry-run=server
"""
_SIGNS: Final = {
    "create": ("+", output.GREEN),
    "update": ("~", output.YELLOW),
    "delete": ("-", output.RED),
    "refuse": ("!", output.RED),
    "keep": ("=", output.CYAN),
    "offer": ("+", output.GREEN),
    "run": ("+", output.GREEN),
    "withdraw": ("-", output.RED),
    "forget": ("-", output.YELLOW),
}
_OF_DIFFERENCE: Final = {"add": ("+", output.GREEN), "remove": ("-", output.RED), "replace": ("~", output.YELLOW)}
_CHANGES: Final = ("create", "update", "delete", "offer", "run", "withdraw")


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument(
        "source", nargs="*", metavar="SOURCE", help="a source's name, a directory, or a URL as for `up`"
    )
    parser.add_argument(
        "--source-name", default="", metavar="NAME", help="which source the directory or URL stands for"
    )
    parser.add_argument("--ref", default="", help="branch, tag or commit of the URL")
    parser.add_argument("--path", default="", metavar="FOLDER", help="folder with the manifests")
    parser.add_argument("--check", action="store_true", help="exit code 1 where something would change")
    parser.add_argument(
        "--dry-run",
        default="none",
        choices=("none", "server"),
        metavar="HOW",
        help="server: let the cluster judge each write",
    )
    arguments.add_output(parser, "json", "yaml")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, errors = output.standard(args)
    if clusters.chosen(args) is not None:
        plans, found = _in_cluster(args)
        return _tell(args, plans, found, terminal, errors)
    if args.dry_run != "none":
        raise ConfigError(
            "--dry-run=server wants a cluster: --context NAME; without one nothing but lint and plan could refuse"
        )
    daemon = reach.daemon(args)
    known = [source["name"] for source in daemon.get(f"{OWN}/sources")["items"]] if daemon is not None else []
    if not args.source and daemon is None:
        raise ConfigError("no daemon is running that has sources; name a directory or a URL: `syncd plan .`")
    plans, found = [], []
    for word in args.source or known:
        if word in known and daemon is not None:
            plans.append(daemon.get(f"{OWN}/sources/{segment(word)}/plan"))
            given = daemon.get(f"{OWN}/sources/{segment(word)}/problems")["items"]
            found += [problem_of(item) for item in given]
        else:
            told, problems = _here(word, args)
            plans.append(told)
            found += problems
    return _tell(args, plans, found, terminal, errors)


def _in_cluster(args: Namespace) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The plans of directories and URLs against a cluster. What its own sources hold only the leader knows, and that is said."""
    if not args.source:
        raise ConfigError(
            "name a directory or a URL, and which source it stands for: `syncd plan . --source-name jobs`"
        )
    plans: list[dict[str, Any]] = []
    found: list[Problem] = []
    for word in args.source:
        if "/" not in word and not Path(word).exists():
            with reach.reading(args) as client:
                if word in [source["name"] for source in client.get(f"{OWN}/sources")["items"]]:
                    client.get(f"{OWN}/sources/{segment(word)}/plan")
        told, problems = _here(word, args)
        plans.append(told)
        found += problems
    return plans, found


def _tell(
    args: Namespace, plans: list[dict[str, Any]], found: list[Problem], terminal: Terminal, errors: Terminal
) -> int:
    for problem in found:
        errors.say(output.clean(problem))
    if args.output:
        terminal.say(output.as_text(plans[0] if len(plans) == 1 else plans, args.output))
    else:
        for told in plans:
            _show(told, terminal)
    changes = any(told["counts"].get(verb) for told in plans for verb in _CHANGES)
    refused = any(told["counts"].get("refuse") or told.get("rejected") for told in plans)
    return Exit.NO if has_errors(found) or refused or (args.check and changes) else Exit.GOOD


def _here(word: str, args: Namespace) -> tuple[dict[str, Any], list[Problem]]:
    from syncd.cli import planning
    from syncd.source import written

    config = clusters.chosen(args) or reach.configuration(args.config, os.environ)[0]
    source = written.parse(
        word,
        directory=str(Path.cwd()),
        is_path=lambda name: Path(name).expanduser().exists(),
        name=args.source_name,
        ref=args.ref,
        folder=args.path,
    )
    if source.path and not Path(source.path).exists():
        raise ConfigError(f"there is no source and no directory {word!r}; `syncd status` names the sources")
    source = replace(source, namespace=reach.namespace(args) or "default")
    given = bool(args.namespace or os.environ.get("SYNCD_NAMESPACE") or os.environ.get("ARGO_NAMESPACE"))
    state = reach.state_directory(args.state, os.environ)
    asked = planning.Asked(source, config, state, namespace_given=given, rehearse=args.dry_run == "server")
    seen = asyncio.run(planning.preview(asked))
    return seen.told, seen.problems


def _show(told: dict[str, Any], terminal: Terminal) -> None:
    held = told.get("held") or {}
    note = f"   held: {held['reason']}" if held else ""
    terminal.say(f"{terminal.paint(told['source'], output.BOLD)}  {told['revision']}{note}")
    fires, rejected = told.get("fires") or {}, told.get("rejected") or {}
    for note in told.get("notes") or ():
        terminal.say(f"  note: {output.clean(note)}")
    for change in told["changes"]:
        key = "/".join(filter(None, (change["kind"], change["namespace"], change["name"])))
        sign, colour = _SIGNS.get(change["verb"], (" ", 0))
        where = f"   {change['path']}" if change["path"] else ""
        reason = f"   {output.clean(change['reason'])}" if change["reason"] else ""
        verb = terminal.paint(f"{sign} {change['verb']}", colour)
        terminal.say(f"  {verb}  {key}{where}{reason}")
        for difference in change["diff"]:
            terminal.say(f"      {_difference(difference, terminal)}")
        if rejected.get(key):
            sign = "✖" if terminal.utf8 else "x"
            terminal.say(f"      {terminal.paint(f'{sign} refused', output.RED)}: {output.clean(rejected[key])}")
        if fires.get(key):
            terminal.say(f"      fires next {', '.join(fires[key])}")
    if told.get("more"):
        terminal.say(f"  … and {told['more']} more")
    counts = told["counts"]
    words = [
        f"{counts.get('create', 0)} to create, {counts.get('update', 0)} to update, {counts.get('delete', 0)} to delete"
    ]
    words += [f"{counts[verb]} {said}" for verb, said in _OTHERS if counts.get(verb)]
    if told.get("rehearsed"):
        words.append(
            f"{len(rejected)} that the cluster would refuse" if rejected else "and the cluster would take all of it"
        )
    terminal.say(f"  {', '.join(words)}")


_OTHERS: Final = (
    ("offer", "to offer"),
    ("run", "to run"),
    ("withdraw", "to withdraw"),
    ("refuse", "refused"),
)


def _difference(difference: dict[str, str], terminal: Terminal) -> str:
    sign, colour = _OF_DIFFERENCE.get(difference["op"], ("~", 0))
    before, after = output.clean(difference["before"]), output.clean(difference["after"])
    values = f"{before} → {after}" if difference["op"] == "replace" else before or after
    return f"{terminal.paint(sign, colour)} {difference['path']}: {values}"
