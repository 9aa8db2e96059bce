"""`syncd backup`: a consistent copy of the store while the daemon runs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from syncd.cli import clusters, output, reach
from syncd.cli.client import OWN
from syncd.cli.exits import Exit

ABOUT = """Copy the store of a running daemon into a new file, whole and consistent. Put back as syncd.db into an empty
state directory, a daemon starts from it. Logs and artifacts are plain files beside it."""
EXAMPLES = """
syncd backup /var/backups/syncd.db
syncd backup "syncd-$(date +%F).db"
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("target", metavar="FILE", help="the file to write; it must not exist yet")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    clusters.refuse(
        args,
        "in a cluster all that syncd knows is objects, which the cluster's own backup holds (etcd snapshots, Velero); for one file: "
        "`kubectl get configmaps,leases,sources.syncd.io -n SYSTEM_NAMESPACE -o yaml`, and git has the rest",
    )
    target = str(Path(args.target).expanduser().absolute())
    with reach.reading(args) as client:
        client.call("POST", f"{OWN}/backup", sent={"target": target}, seconds=3600)
    terminal.say(f"store copied to {target}")
    return Exit.GOOD
