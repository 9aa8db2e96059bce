"""`syncd token`: the token that opens the API of this state directory, for other clients."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from syncd.cli import clusters, output, reach
from syncd.cli.exits import Exit
from syncd.server import tokens

ABOUT = """Print the token of the state directory, for other clients of the API, or (--link) an address that lets one
browser in. Whoever has the token runs programs as the daemon's user."""
EXAMPLES = """
syncd token
curl -H "Authorization: Bearer $(syncd token)" http://127.0.0.1:2746/api/v1/workflows/default
ARGO_TOKEN="Bearer $(syncd token)" ARGO_SERVER=127.0.0.1:2746 ARGO_HTTP1=true ARGO_SECURE=false argo list
syncd token --link
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--link", action="store_true", help="an address for a browser, good once for ten minutes")


def run(args: Namespace) -> int:
    """Run it."""
    terminal, _ = output.standard(args)
    clusters.refuse(
        args,
        "commands with --context need no token: their rights are those of the kubeconfig; the tokens of the daemon's own API are in the "
        "Secret that its chart names (`helm get notes`)",
    )
    if args.link:
        with reach.writing(args) as client:
            path = client.call("POST", "/api/syncd/v1/login-link")["path"]
            terminal.say(f"{client.where}{path}")
        return Exit.GOOD
    terminal.say(tokens.load(reach.state_directory(args.state, os.environ) / "token"))
    return Exit.GOOD
