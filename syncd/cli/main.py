"""The entry point `syncd`: a table of commands, one of which is loaded and run.

In: the words after `syncd`. Out: the exit code (`exits`). Only the module of the chosen command is imported, so that
`syncd --help` and a call of a running daemon cost no more than they need.

A command's module has ABOUT and EXAMPLES for its help, `add(parser)` for its options and `run(args) -> int`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from syncd import __version__
from syncd.base.errors import ConfigError, Defect, Invalid, SyncdError
from syncd.cli.exits import Exit, of_error

if TYPE_CHECKING:
    from types import ModuleType

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    # command → (module in syncd.cli.commands, what it does)
    "up": ("up", "run a daemon that keeps git repositories or directories in force"),
    "run": ("run", "run the daemon of a configuration file"),
    "submit": ("submit", "submit a workflow"),
    "list": ("list_", "list workflows"),
    "get": ("get", "show a workflow and the tree of its steps"),
    "watch": ("watch", "show a workflow until it has ended"),
    "wait": ("wait", "wait until workflows have ended"),
    "logs": ("logs", "print the logs of a workflow or of one step"),
    "stop": ("stop", "stop workflows, but let their exit handlers run"),
    "terminate": ("terminate", "end workflows at once"),
    "suspend": ("suspend", "start no further steps of workflows"),
    "resume": ("resume", "let suspended workflows go on"),
    "retry": ("retry", "run again what failed in workflows"),
    "resubmit": ("resubmit", "submit workflows once more"),
    "delete": ("delete", "delete workflows"),
    "node set": ("node_set", "set outputs, phase or message of a suspended node"),
    "timeline": ("timeline", "draw what ran when, and what should have"),
    "lint": ("lint", "check manifests before anything runs"),
    "plan": ("plan", "show what a sync would change"),
    "status": ("status", "show the daemon and its sources"),
    "sync": ("sync", "sync a source now"),
    "approve": ("approve", "let a held commit of a source through"),
    "cron list": ("cron_list", "list cron workflows and when they fire"),
    "cron get": ("cron_get", "show a cron workflow"),
    "cron next": ("cron_next", "list the coming times of a cron workflow, or of any schedule"),
    "cron explain": ("cron_explain", "say why a cron workflow ran or did not"),
    "cron suspend": ("cron_suspend", "hold the schedule of cron workflows"),
    "cron resume": ("cron_resume", "let the schedule of cron workflows go on"),
    "cron trigger": ("cron_trigger", "run a cron workflow now"),
    "template list": ("template_list", "list workflow templates"),
    "template get": ("template_get", "show a workflow template"),
    "cluster-template list": ("cluster_template_list", "list cluster workflow templates"),
    "cluster-template get": ("cluster_template_get", "show a cluster workflow template"),
    "reload": ("reload", "let the daemon read its configuration again"),
    "backup": ("backup", "copy the store of a running daemon"),
    "doctor": ("doctor", "look for what keeps syncd from working here"),
    "token": ("token", "print the token of the state directory"),
    "completion": ("completion", "print the completion script for bash, zsh or fish"),
    "version": ("version", "print the version"),
}

SECTIONS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("the daemon", ("up", "run", "status", "sync", "plan", "approve", "reload", "backup")),
    ("workflows", ("submit", "list", "get", "watch", "wait", "logs", "timeline", "delete")),
    ("running workflows", ("stop", "terminate", "suspend", "resume", "retry", "resubmit", "node set")),
    ("schedules", tuple(name for name in COMMANDS if name.startswith("cron "))),
    ("templates", tuple(name for name in COMMANDS if "template " in name)),
    ("this machine", ("lint", "doctor", "token", "completion", "version")),
)
"""How `syncd --help` puts the commands in order."""

ALIASES: Final[dict[str, str]] = {"ls": "list", "rm": "delete", "cron ls": "cron list", "template ls": "template list"}
GROUPS: Final = frozenset(name.split()[0] for name in COMMANDS if " " in name)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. argv: without the program's name, None = of this process. Answers the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _main(words)
        sys.stdout.flush()
        return code
    except SystemExit as ended:  # argparse after --help
        return ended.code if isinstance(ended.code, int) else int(Exit.GOOD)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has enough
        return Exit.GOOD
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return Exit.INTERRUPTED
    except SyncdError as error:
        if os.environ.get("SYNCD_DEBUG"):
            raise
        return _say(error)
    except Exception as error:
        if os.environ.get("SYNCD_DEBUG"):
            raise
        said = f"{type(error).__name__}: {error}"
        return _say(Defect(f"unexpected {said}; SYNCD_DEBUG=1 shows where, please report it"))


def _main(words: list[str]) -> int:
    moved, words = _leading(words)
    if not words or words[0] in ("-h", "--help", "help"):
        if len(words) > 1 and words[0] == "help":
            return _main([*words[1:], "--help"])
        print(overview())
        return Exit.GOOD if words else Exit.WRONG
    if words[0] == "--version":
        words[0] = "version"
    name, rest = find(words)
    if not name:
        print(overview(rest[0]))
        return Exit.GOOD if len(rest) > 1 and rest[1] in ("-h", "--help") else Exit.WRONG
    parser = build(name)
    args = parser.parse_intermixed_args(_booleans([*rest, *moved], parser))
    code: int = load(name).run(args)
    return code


def _leading(words: list[str]) -> tuple[list[str], list[str]]:
    """(options in front of the command, the rest): they mean the same behind it."""
    from syncd.cli import arguments

    moved: list[str] = []
    while words and words[0].startswith("-"):
        if words[0] in arguments.GLOBAL_WITH_VALUE and len(words) > 1:
            moved, words = [*moved, *words[:2]], words[2:]
        elif words[0] in arguments.GLOBAL_FLAGS or words[0].partition("=")[0] in arguments.GLOBAL_WITH_VALUE:
            moved, words = [*moved, words[0]], words[1:]
        else:
            break
    return moved, words


def _booleans(words: list[str], parser: arguments.Parser) -> list[str]:
    """`--flag=true` and `--flag=false`, as argo's users write them, in the words of this parser."""
    found: list[str] = []
    for index, word in enumerate(words):
        if word == "--":
            return [*found, *words[index:]]
        name, _, value = word.partition("=")
        option = parser._option_string_actions.get(name) if value in ("true", "false") else None
        if option is None or option.nargs != 0:
            found.append(word)
        elif value == "true":
            found.append(name)
        elif f"--no-{name[2:]}" in parser._option_string_actions:
            found.append(f"--no-{name[2:]}")
    return found


def find(words: Sequence[str]) -> tuple[str, list[str]]:
    """(the command that these words begin with, the other words); ("", words) for a group alone. Raises ConfigError."""
    pair = " ".join(words[:2])
    pair = ALIASES.get(pair, pair)
    if pair in COMMANDS:
        return pair, list(words[2:])
    first = ALIASES.get(words[0], words[0])
    if first in COMMANDS:
        return first, list(words[1:])
    if first in GROUPS and (len(words) == 1 or words[1] in ("-h", "--help")):
        return "", list(words)
    raise ConfigError(_unknown(words))


def _unknown(words: Sequence[str]) -> str:
    import difflib

    known = [name for name in COMMANDS if words[0] not in GROUPS or name.startswith(f"{words[0]} ")]
    said = " ".join(words[:2]) if words[0] in GROUPS else words[0]
    near = difflib.get_close_matches(said, known, n=1)
    return f"there is no command {said[:60]!r}; " + (
        f"did you mean `syncd {near[0]}`" if near else "see `syncd --help`"
    )


def load(name: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"syncd.cli.commands.{COMMANDS[name][0]}")


def build(name: str) -> arguments.Parser:
    """The parser of a command, with all of its options."""
    from syncd.cli import arguments

    module = load(name)
    parser = arguments.parser(name, module.ABOUT, module.EXAMPLES)
    module.add(parser)
    arguments.add_global(parser, short_namespace="-n" not in parser._option_string_actions)
    return parser


def overview(group: str = "") -> str:
    """The help of `syncd`, or of one group of commands."""
    if group:
        names = [name for name in COMMANDS if name.startswith(f"{group} ")]
        lines = [f"usage: syncd {group} COMMAND …", "", *_rows(names)]
        return "\n".join([*lines, "", f"`syncd {group} COMMAND --help` tells more"])
    lines = [
        f"syncd {__version__}: GitOps for Argo Workflows, from a git commit to a finished run",
        "",
        "usage: syncd COMMAND …",
        "",
        "start here:",
        "  syncd up .                       keep the manifests of this repository in force",
        "  syncd submit --watch hello.yaml  run a workflow, with or without a daemon",
        "  syncd lint .                     check manifests",
        "  syncd status --context prod      look at the syncd of a cluster; every command takes --context",
    ]
    for title, section in SECTIONS:
        lines += ["", f"{title}:", *_rows(section)]
    return "\n".join([*lines, "", "`syncd COMMAND --help` tells more, with examples"])


def _rows(names: Sequence[str]) -> list[str]:
    width = max(map(len, names)) + 3
    return [f"  {name:<{width}}{COMMANDS[name][1]}" for name in names]


def _say(error: SyncdError) -> int:
    if isinstance(error, Invalid) and error.problems:
        for problem in error.problems:
            print(problem, file=sys.stderr)
    lines = str(error).splitlines() or [type(error).__name__]
    for line in lines:
        print(f"syncd: error: {line}", file=sys.stderr)
    return of_error(error)


if TYPE_CHECKING:
    from syncd.cli import arguments

if __name__ == "__main__":
    sys.exit(main())
