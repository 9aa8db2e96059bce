"""`syncd suspend`: start no further steps."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import operate

ABOUT = "Suspend workflows: steps that run go on, further ones wait for `syncd resume`."
EXAMPLES = """
syncd suspend my-wf
syncd suspend @latest
syncd suspend my-wf --context prod -n data
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    operate.add(parser)


def run(args: Namespace) -> int:
    """Run it."""
    return operate.run(args, "suspend", "suspended")
