"""`syncd run -c FILE`: the daemon of a configuration file, for a service manager: it logs instead of talking."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from dataclasses import replace

from syncd.base.errors import ConfigError
from syncd.cli import output, reach
from syncd.cli.exits import Exit

ABOUT = """Run the daemon of a configuration file, as a service manager does: it logs to stderr, reads the file again when it
is saved or on SIGHUP, and drains on SIGTERM; steps that run then go on, and the next daemon adopts them."""
EXAMPLES = """
syncd run -c /etc/syncd/syncd.yaml
syncd run -c syncd.yaml --check
SYNCD_LOG_FORMAT=json syncd run -c syncd.yaml
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("-c", "--config", default="", metavar="FILE", help="the configuration ($SYNCD_CONFIG)")
    parser.add_argument("--check", action="store_true", help="only check the configuration")


def run(args: Namespace) -> int:
    """Run it."""
    config, file = reach.configuration(args.config, os.environ)
    if file is None:
        raise ConfigError("no configuration; name one with -c FILE or $SYNCD_CONFIG, or use `syncd up SOURCE`")
    if args.check:
        output.standard(args)[0].say(f"{args.config or file}: good, {len(config.sources)} sources")
        return Exit.GOOD
    if args.state:
        config = replace(config, state=str(reach.state_directory(args.state, {})))
    from syncd import app

    return app.serve(
        config, words=False, reread=lambda: reach.configuration(args.config, os.environ)[0], config_file=file
    )
