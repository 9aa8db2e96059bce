"""`syncd doctor`: what keeps syncd from working here, and what to do about it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from syncd.cli import arguments, clusters, output, reach
from syncd.cli.exits import Exit

if TYPE_CHECKING:
    from syncd.cli.checks import Answer
    from syncd.config.model import Config

ABOUT = """Look at this machine: Python, git, sandbox, container engine, state directory, disk, time zones, the daemon and its port.
With --context look at a cluster: the API server, the CRDs of Argo and syncd, what the daemon's account may do, clocks, who
leads, whether Argo's controller runs, and who fires the crons. Exit code 1: something does not work."""
EXAMPLES = """
syncd doctor
syncd doctor --state /var/lib/syncd
syncd doctor -o json
syncd doctor --context prod
"""
_SIGNS: Final = {"good": ("✔", "ok", output.GREEN), "note": ("○", "--", output.YELLOW), "bad": ("✖", "no", output.RED)}


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("-c", "--config", default="", metavar="FILE", help="the configuration ($SYNCD_CONFIG)")
    arguments.add_output(parser, "json", "yaml")


def _answers(args: Namespace) -> Iterator[Answer]:
    from syncd.cli import checks

    if (cluster := clusters.chosen(args)) is not None:
        yield from _of_cluster(cluster)
        return
    config, _ = reach.configuration(args.config, os.environ)
    yield from checks.look(reach.state_directory(args.state or config.state, os.environ), config)


def _of_cluster(config: Config) -> Iterator[Answer]:
    """Each answer as soon as it is there."""
    from syncd.cli import clusterchecks

    with tempfile.TemporaryDirectory(prefix="syncd-doctor-") as scratch, asyncio.Runner() as runner:
        answers = clusterchecks.look(config, Path(scratch))

        async def further() -> Answer | None:
            return await anext(answers, None)

        while (answer := runner.run(further())) is not None:
            yield answer


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    found = []
    for answer in _answers(args):
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
