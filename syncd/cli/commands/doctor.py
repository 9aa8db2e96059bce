"""`syncd doctor`: what keeps syncd from working here, and what to do about it."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import Final

from syncd.cli import arguments, output, reach
from syncd.cli.exits import Exit

ABOUT = "Look at this machine: Python, git, sandbox, container engine, state directory, disk, time zones, the daemon and its port."
EXAMPLES = """
syncd doctor
syncd doctor --state /var/lib/syncd
syncd doctor -o json
"""
_SIGNS: Final = {"good": ("✔", "ok", output.GREEN), "note": ("○", "--", output.YELLOW), "bad": ("✖", "no", output.RED)}


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("-c", "--config", default="", metavar="FILE", help="the configuration ($SYNCD_CONFIG)")
    arguments.add_output(parser, "json", "yaml")


def run(args: Namespace) -> int:
    """Run it."""
    from syncd.cli import checks

    terminal, _ = output.standard(args)
    config, _ = reach.configuration(args.config, os.environ)
    state = reach.state_directory(args.state or config.state, os.environ)
    found = []
    for answer in checks.look(state, config):
        found.append(answer)
        if not args.output:
            icon, plain, colour = _SIGNS[answer.verdict]
            sign = terminal.paint(icon if terminal.utf8 else plain, colour)
            terminal.say(f"{sign} {answer.subject}: {output.clean(answer.finding)}")
            if answer.remedy:
                terminal.say(f"    {answer.remedy}")
    if args.output:
        fields = ("subject", "verdict", "finding", "remedy")
        told = [{name: getattr(answer, name) for name in fields} for answer in found]
        terminal.say(output.as_text(told, args.output))
    return Exit.NO if any(answer.verdict == "bad" for answer in found) else Exit.GOOD
