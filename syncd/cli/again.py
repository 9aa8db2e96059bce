"""retry and resubmit: what they have in common. A verb and its options in; the runs are shown, and followed if asked."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any

from syncd.base.errors import ConfigError
from syncd.cli import arguments, following, output, reach, workflows
from syncd.cli.exits import Exit

Named = tuple[str, str]
"""namespace, name"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("workflow", nargs="*", metavar="WORKFLOW", help="a name, or @latest")
    arguments.add_selectors(parser)
    parser.add_argument("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", help="a parameter anew")
    arguments.add_following(parser)
    arguments.add_output(parser)


def run(args: Namespace, verb: str, sent: Callable[[Named], dict[str, Any]]) -> int:
    """Do it to every workflow that is meant. sent: the body of the request for one of them."""
    check_parameters(args.parameter)
    if args.watch and args.wait:
        raise ConfigError("--wait and --watch exclude each other; give one of them")
    terminal, errors = output.standard(args)
    follows = args.wait or args.watch or args.log
    with reach.writing(args) as client:
        made = []
        for named in workflows.named_or_selected(client, args):
            body = client.call("PUT", workflows.path(*named, verb), sent=sent(named))
            made.append(body)
            if not (follows and args.output in ("json", "yaml")) and not (args.watch and args.output != "name"):
                workflows.show(body, terminal, args.output)
        good = not follows or following.follow(client, made, args, terminal, errors)
    return Exit.GOOD if good else Exit.NO


def check_parameters(given: list[str]) -> None:
    """Raise ConfigError for what is not NAME=VALUE."""
    for text in given:
        name, sign, _ = text.partition("=")
        if not sign or not name:
            raise ConfigError(f"parameter {text[:60]!r} is not NAME=VALUE; write -p message=hello")
