"""`syncd reload`: the daemon reads its configuration again."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from syncd.cli import arguments, clusters, output, reach
from syncd.cli.client import OWN
from syncd.cli.exits import Exit

ABOUT = (
    "Let the daemon read its configuration file again. A file with faults changes nothing and is answered with them."
)
EXAMPLES = """
syncd reload
syncd reload -o json
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    arguments.add_output(parser, "json", "yaml")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    clusters.refuse(
        args,
        "a daemon in a cluster reads its configuration again when its ConfigMap changes, within a minute or so: change it with "
        "`helm upgrade`, or `kubectl edit configmap -n SYSTEM_NAMESPACE syncd`; at once: `kubectl exec deploy/syncd -- syncd reload`",
    )
    with reach.writing(args) as client:
        told = client.call("POST", f"{OWN}/reload")
    if args.output:
        terminal.say(output.as_text(told, args.output))
        return Exit.GOOD
    changes = [f"{word} {', '.join(told[word])}" for word in ("added", "changed", "removed") if told.get(word)]
    terminal.say("sources: " + ("; ".join(changes) if changes else "nothing changed"))
    if told.get("restart"):
        terminal.say(f"these want a restart: {', '.join(told['restart'])}")
    return Exit.GOOD
