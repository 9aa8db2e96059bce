"""Where everything is constructed, and nowhere else.

`serve(config)` is the daemon, until a signal: embedded (`parts`, `daemon`), or one replica of a cluster's (`cluster`, `replica`), as
the configuration's mode says. `offline(state)` is the embedded application on a private socket while no daemon runs, `at_cluster(config)`
that of a cluster for one command. `real` holds the real clock and randomness, `common` and `faces` what both modes share.
"""

from __future__ import annotations

import importlib.util
from contextlib import AbstractContextManager
from pathlib import Path

from syncd.app.common import Reread
from syncd.app.real import state_directory
from syncd.base.errors import Unsupported
from syncd.config.model import Config, Mode

__all__ = ["at_cluster", "offline", "serve", "state_directory"]


def serve(config: Config, *, words: bool, reread: Reread | None = None, config_file: Path | None = None) -> int:
    """Run until SIGTERM or SIGINT; answers the exit code. words: speak to a person on stdout, else log."""
    if config.mode is Mode.KUBERNETES:
        need_kubernetes()
        from syncd.app import replica  # neither mode pays for the other's libraries

        return replica.serve(config, reread=reread, config_file=config_file)
    from syncd.app import daemon

    return daemon.serve(config, words=words, reread=reread, config_file=config_file)


def offline(state: Path, *, act: bool, config: Config | None = None) -> AbstractContextManager[tuple[Path, str]]:
    """As `alone.offline`."""
    from syncd.app import alone

    return alone.offline(state, act=act, config=config)


def need_kubernetes() -> None:
    """Raises Unsupported where the client of Kubernetes, which embedded mode does without, is not installed."""
    if importlib.util.find_spec("kubernetes") is None:
        raise Unsupported(
            "the Kubernetes client is not installed; install syncd with it: pip install 'syncd[kubernetes]'"
        )


def at_cluster(config: Config) -> AbstractContextManager[tuple[Path, str]]:
    """As `beside.beside`."""
    from syncd.app import beside

    return beside.beside(config)
