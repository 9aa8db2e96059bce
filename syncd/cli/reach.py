"""Whom a command talks to: the server that is named, a cluster, the daemon of the state directory, or this very process.

Comes in: the options of a command. Goes out: a `Client`, for as long as it is needed. Called by the commands.
A daemon is found by `<state>/daemon.json`; it is believed only while the process it names lives and belongs to whoever
wrote the file, since the token goes to whatever listens there.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syncd.base.errors import ConfigError, Conflict, NotFound, Unreachable
from syncd.cli import clusters
from syncd.cli.client import Address, Client, address
from syncd.server import tokens

if TYPE_CHECKING:
    from syncd.config.model import Config


def state_directory(given: str, env: Mapping[str, str]) -> Path:
    """The state directory: as given, else $SYNCD_STATE, $XDG_STATE_HOME/syncd, ~/.local/state/syncd.

    The same answer as `app.state_directory`, without importing all that `app` constructs.
    """
    if given or env.get("SYNCD_STATE"):
        return Path(given or env["SYNCD_STATE"]).expanduser().absolute()
    base = env.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base).expanduser() / "syncd"


def daemon_url(state: Path) -> str:
    """Where the daemon of this state directory listens; "" = none runs."""
    path = state / "daemon.json"
    try:
        owner = path.stat().st_uid
        told = json.loads(path.read_text(encoding="utf-8"))
        process, url = int(told["pid"]), str(told["url"])
        os.kill(process, 0)
    except PermissionError:
        raise Unreachable(f"{state} belongs to another user; name a state directory of your own with --state") from None
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    with contextlib.suppress(OSError):
        if Path(f"/proc/{process}").stat().st_uid != owner:
            return ""  # the number went to somebody else's process
    return url if _listens(address(url)) else ""


def _listens(where: Address) -> bool:
    try:
        socket.create_connection((where.host, where.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return True  # let the request itself say what is wrong
    return True


def remote(args: Namespace) -> Client | None:
    """The client of the server that is named with --server or $SYNCD_SERVER; None where none is. Raises ConfigError."""
    url = args.server or ("" if clusters.flagged(args) else os.environ.get("SYNCD_SERVER", ""))
    if not url:
        return None
    where = address(url)
    token = given_token(args)
    if not token:
        if where.socket is None:
            raise ConfigError(f"server {where} wants a token; set $SYNCD_TOKEN, or --token-file FILE")
        token = tokens.load(state_directory(args.state, os.environ) / "token")
    return Client(where, token)


def given_token(args: Namespace) -> str:
    """The token of --token, --token-file or $SYNCD_TOKEN, "" = none."""
    if args.token:
        return str(args.token)
    if args.token_file:
        return tokens.load(Path(args.token_file))
    return os.environ.get("SYNCD_TOKEN", "").removeprefix("Bearer ")


def daemon(args: Namespace) -> Client | None:
    """The client of a named server or of the running daemon; None where no daemon runs, or a cluster is meant."""
    named = remote(args)
    if named is not None:
        return named
    if clusters.chosen(args) is not None:
        return None
    state = state_directory(args.state, os.environ)
    url = daemon_url(state)
    if not url:
        return None
    token = given_token(args) or tokens.load(state / "token")
    return Client(address(url), token, remedy="; `syncd doctor` looks for the reason")


@contextlib.contextmanager
def cluster(config: Config) -> Iterator[Client]:
    """A client of this very process, which talks to a cluster. Raises ConfigError, Unreachable, Refused."""
    from syncd import app

    with app.at_cluster(config) as (path, token):
        yield Client(Address(socket=path), token, cluster=True)


@contextlib.contextmanager
def reading(args: Namespace) -> Iterator[Client]:
    """A client for a question: of the daemon, of a cluster, or of the store while no daemon runs."""
    found = daemon(args)
    if found is not None:
        yield found
        return
    if (chosen := clusters.chosen(args)) is not None:
        with cluster(chosen) as client:
            yield client
        return
    state = state_directory(args.state, os.environ)
    from syncd import app

    with contextlib.ExitStack() as stack:
        try:
            path, token = stack.enter_context(app.offline(state, act=False))
        except NotFound:
            raise NotFound(
                f"there is nothing in {state} yet; start a daemon with `syncd up`, or name another --state"
            ) from None
        yield Client(Address(socket=path), token, offline=True, acts=False)


@contextlib.contextmanager
def writing(args: Namespace) -> Iterator[Client]:
    """A client for a change, which wants a daemon or a cluster. Raises Unreachable where none runs."""
    found = daemon(args)
    if found is None and (chosen := clusters.chosen(args)) is not None:
        with cluster(chosen) as client:
            yield client
        return
    if found is None:
        state = state_directory(args.state, os.environ)
        raise Unreachable(f"no daemon is running for {state}; start it with `syncd up`, or name another --state")
    yield found


@contextlib.contextmanager
def acting(args: Namespace, config: Config) -> Iterator[Client]:
    """A client that can run workflows: of the daemon or a cluster, else of this process, which then does the work itself."""
    found = daemon(args)
    if found is not None:
        yield found
        return
    if (chosen := clusters.chosen(args)) is not None:
        with cluster(chosen) as client:
            yield client
        return
    state = state_directory(args.state, os.environ)
    from syncd import app

    with contextlib.ExitStack() as stack:
        try:
            path, token = stack.enter_context(app.offline(state, act=True, config=config))
        except Conflict as held:
            raise Conflict(f"{held}; a daemon that is starting answers in a moment") from None
        yield Client(Address(socket=path), token, offline=True)


def configuration(path: str, env: Mapping[str, str]) -> tuple[Config, Path | None]:
    """The configuration of --config or $SYNCD_CONFIG, else of the environment alone; with the file. Raises ConfigError."""
    from syncd.config import load

    chosen = path or env.get("SYNCD_CONFIG", "")
    cores = os.cpu_count() or 1
    if not chosen:
        return load.load("", env, cores=cores), None
    file = Path(chosen).expanduser().absolute()
    return load.load(read_file(file), env, file=chosen, cores=cores), file


def read_file(path: Path, most_bytes: int = 16 << 20) -> bytes:
    """The bytes of a file that somebody named. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    if len(data) > most_bytes:
        raise ConfigError(f"{path} is larger than {most_bytes} bytes")
    return data


def namespace(args: Namespace) -> str:
    """The namespace that a command is about; "" = all."""
    if getattr(args, "all_namespaces", False):
        return ""
    found: Any = args.namespace or os.environ.get("SYNCD_NAMESPACE") or os.environ.get("ARGO_NAMESPACE")
    return str(found or clusters.namespace(args) or "default")
