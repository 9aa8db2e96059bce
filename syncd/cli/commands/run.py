"""`syncd run -c FILE`: the daemon of a configuration file, for a service manager: it logs instead of talking."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from typing import TYPE_CHECKING

from syncd.base.errors import ConfigError
from syncd.cli import output, reach
from syncd.cli.exits import Exit

if TYPE_CHECKING:
    from syncd.config.model import Config

ABOUT = """Run the daemon of a configuration file, as a service manager does: it logs to stderr, reads the file again when it
is saved or on SIGHUP, and drains on SIGTERM; steps that run then go on, and the next daemon adopts them."""
EXAMPLES = """
syncd run -c /etc/syncd/syncd.yaml
syncd run -c syncd.yaml --check
SYNCD_LOG_FORMAT=json syncd run -c syncd.yaml
syncd run -c cluster.yaml --context kind-dev
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
    if args.context or args.kubeconfig:
        config = _at(config, args)
    if args.state:
        config = replace(config, state=str(reach.state_directory(args.state, {})))
    from syncd import app

    return app.serve(
        config, words=False, reread=lambda: reach.configuration(args.config, os.environ)[0], config_file=file
    )


def _at(config: Config, args: Namespace) -> Config:
    """The same, at the cluster that the options name. Raises ConfigError for what runs on this machine."""
    from syncd.config.model import Mode

    if config.mode is not Mode.KUBERNETES:
        raise ConfigError(
            "--context is for a configuration with `mode: kubernetes`; this one runs workflows on this machine"
        )
    chosen = config.kubernetes
    chosen = replace(chosen, context=args.context, kubeconfig=args.kubeconfig or chosen.kubeconfig)
    return replace(config, kubernetes=chosen)
