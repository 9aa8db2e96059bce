"""`syncd version`."""

from __future__ import annotations

import platform
from argparse import ArgumentParser, Namespace

from syncd import __version__
from syncd.cli import arguments, output
from syncd.cli.exits import Exit

ABOUT = "Print the version."
EXAMPLES = """
syncd version
syncd version --short
syncd version -o json
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--short", action="store_true", help="only the number")
    arguments.add_output(parser, "json", "yaml")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    if args.output:
        facts = {"version": __version__, "python": platform.python_version(), "platform": platform.platform()}
        terminal.say(output.as_text(facts, args.output))
    else:
        terminal.say(__version__ if args.short else f"syncd: {__version__}")
    return Exit.GOOD
