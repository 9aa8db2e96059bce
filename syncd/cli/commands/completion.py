"""`syncd completion`: scripts for shells, made from the table of commands and their options."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import completing, output
from syncd.cli.exits import Exit

ABOUT = "Print the completion script of a shell: commands, options, and the names of workflows, crons and templates."
EXAMPLES = """
source <(syncd completion bash)
syncd completion zsh > "${fpath[1]}/_syncd"
syncd completion fish > ~/.config/fish/completions/syncd.fish
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("shell", choices=tuple(completing.SHELLS), help="the shell")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    terminal.write(completing.SHELLS[args.shell](completing.words()))
    return Exit.GOOD
