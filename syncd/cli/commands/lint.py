"""`syncd lint`: what is wrong with files, directories or a git repository, before anything runs."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from typing import Final

from syncd.base.errors import ConfigError
from syncd.base.problems import Problem, Severity
from syncd.cli import output, reading
from syncd.cli.exits import Exit
from syncd.cli.output import Terminal

ABOUT = """Check manifests offline: all problems at once, each with its place and what to do. Files refer to each other
across everything that is named here. Exit code 1: there are errors
(with --strict: or warnings), or nothing to check."""
EXAMPLES = """
syncd lint .
syncd lint workflows/ templates/build.yaml
cat hello.yaml | syncd lint -
syncd lint https://github.com/team/jobs.git#main:ci
syncd lint . -o json
syncd lint . -o github
syncd lint . --kinds workflowtemplates,cronworkflows
"""
_NAMED: Final = 20
_KINDS: Final = {
    "workflows": "Workflow",
    "workflowtemplates": "WorkflowTemplate",
    "cronworkflows": "CronWorkflow",
    "clusterworkflowtemplates": "ClusterWorkflowTemplate",
    "jobs": "Job",
    "cronjobs": "CronJob",
    "configmaps": "ConfigMap",
    "secrets": "Secret",
}


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("file", nargs="+", metavar="PATH", help="files, directories, SOURCE as for `up`, - = stdin")
    parser.add_argument(
        "--strict",
        action=BooleanOptionalAction,
        default=None,
        help="warnings count as errors do; with no-strict, unknown fields are warnings",
    )
    parser.add_argument("--kinds", default="all", metavar="KINDS", help=f"only of these: {','.join(_KINDS)}")
    parser.add_argument("--ignore-missing", action="store_true", help="templates from elsewhere may be missing")
    parser.add_argument("--offline", action="store_true", help="as argo's; it always is")
    parser.add_argument(
        "-o",
        "--output",
        default="pretty",
        choices=("pretty", "simple", "json", "yaml", "github"),
        metavar="FORM",
        help="one of pretty, simple, json, yaml, github",
    )


def run(args: Namespace) -> int:
    """Run it."""
    terminal, errors_to = output.standard(args)
    kinds = _kinds(args.kinds)
    found = reading.problems(args, ignore_missing=args.ignore_missing, strict=args.strict is not False)
    problems = [p for p in found.problems if not kinds or not p.object or p.object.partition("/")[0] in kinds]
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    if args.output in ("json", "yaml"):
        terminal.say(output.as_text([problem.to_json() for problem in problems], args.output))
    elif args.output == "github":
        for problem in problems:
            terminal.say(_annotation(problem))
    else:
        _show(problems, errors, found, args.output, terminal)
    if not found.manifests and not problems:
        for place, reason in found.ignored[:_NAMED]:
            errors_to.say(f"syncd: {output.clean(place)}: {output.clean(reason)}")
        errors_to.say("syncd: error: found nothing to lint in what is named; is it the right path?")
        return Exit.NO
    bad = errors or (args.strict and problems)
    return Exit.NO if bad else Exit.GOOD


def _kinds(text: str) -> frozenset[str]:
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    if "all" in words or not words:
        return frozenset()
    singular = {kind.lower(): kind for kind in _KINDS.values()}
    found = [_KINDS.get(word) or singular.get(word) for word in words]
    if None in found:
        raise ConfigError(f"--kinds {text[:80]!r}: known are {', '.join(_KINDS)} and all")
    return frozenset(filter(None, found))


def _show(problems: list[Problem], errors: int, found: reading.Found, form: str, terminal: Terminal) -> None:
    file = None
    for problem in problems:
        if form == "simple":
            terminal.say(output.clean(problem))
            continue
        if file is not None and problem.place.file != file:
            terminal.say()
        file = problem.place.file
        colour = output.RED if problem.severity is Severity.ERROR else output.YELLOW
        said = terminal.paint(f"{problem.severity} {problem.code}:", colour)
        about = f"{problem.object}: " if problem.object else ""
        terminal.say(f"{output.clean(problem.place)}: {said} {output.clean(about + problem.message)}")
        if problem.remedy:
            terminal.say(f"    {output.clean(problem.remedy)}")
    if form == "simple":
        return
    if problems:
        terminal.say()
    warnings = len(problems) - errors
    more = f", {warnings} warning{'s' if warnings != 1 else ''}" if warnings else ""
    read = f" ({found.manifests} manifests in {found.files} files{more})"
    if not found.manifests and not errors:
        return
    if errors:
        sign = terminal.paint("✖" if terminal.utf8 else "x", output.RED)
        terminal.say(f"{sign} {errors} linting errors found!{read}")
    else:
        sign = terminal.paint("✔" if terminal.utf8 else "ok:", output.GREEN)
        terminal.say(f"{sign} no linting errors found!{read}")


def _annotation(problem: Problem) -> str:
    """A workflow command of GitHub Actions, which shows it at the line of the file."""

    def data(text: str) -> str:
        return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    def property_(text: str) -> str:
        return data(text).replace(":", "%3A").replace(",", "%2C")

    place = problem.place
    where = f"file={property_(place.file)}"
    if place.line:
        where += f",line={place.line},col={place.column}"
    about = f"{problem.object}: " if problem.object else ""
    remedy = f"; {problem.remedy}" if problem.remedy else ""
    return f"::{problem.severity} {where},title={property_(problem.code)}::{data(about + problem.message + remedy)}"
