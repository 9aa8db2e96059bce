"""Which cluster a command is about, if any.

Comes in: the options of a command and the environment. Goes out: the Config with which `app.beside` reaches the cluster, and the
namespace of its context. Called by `reach` and the commands. In this order: --server (then it is no cluster, but a daemon), --context
and --kubeconfig, --state and $SYNCD_SERVER (a daemon again), $SYNCD_CONTEXT, and a configuration whose mode is kubernetes.
"""

from __future__ import annotations

import os
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING

from syncd.base.errors import Unsupported

if TYPE_CHECKING:
    from syncd.config.model import Config


def flagged(args: Namespace) -> bool:
    """Whether the options name a cluster."""
    return bool(getattr(args, "context", "") or getattr(args, "kubeconfig", "")) and not args.server


def chosen(args: Namespace) -> Config | None:
    """How to reach the cluster; None where the command is about a daemon, or this machine. Raises ConfigError."""
    if "cluster" not in vars(args):
        args.cluster = _chosen(args)  # read once: a kubeconfig may be large
    found: Config | None = args.cluster
    return found


def _chosen(args: Namespace) -> Config | None:
    env = os.environ
    named = flagged(args)
    if args.server or (not named and (args.state or env.get("SYNCD_SERVER"))):
        return None
    named = named or bool(env.get("SYNCD_CONTEXT"))
    path = getattr(args, "config", "")
    if not named and not (path or env.get("SYNCD_CONFIG") or env.get("SYNCD_MODE")):
        return None
    from syncd.cli import reach
    from syncd.config.model import Config, Mode

    config, _ = reach.configuration(path, env)
    if config.mode is not Mode.KUBERNETES:
        if not named:
            return None
        config = Config(mode=Mode.KUBERNETES)
    elif not named and reach.daemon_url(reach.state_directory(config.state, env)):
        args.state = config.state  # in the daemon's own pod
        return None
    kubernetes = config.kubernetes
    kubernetes = replace(
        kubernetes,
        kubeconfig=args.kubeconfig or kubernetes.kubeconfig,
        context=args.context or env.get("SYNCD_CONTEXT") or ("" if args.kubeconfig else kubernetes.context),
        namespace=args.system_namespace or env.get("SYNCD_SYSTEM_NAMESPACE") or kubernetes.namespace,
        lease=replace(kubernetes.lease, name=args.installation or kubernetes.lease.name),
    )
    return replace(config, kubernetes=kubernetes)


def namespace(args: Namespace) -> str:
    """The namespace of the context; "" where no cluster is chosen. Raises ConfigError."""
    config = chosen(args)
    if config is None:
        return ""
    from syncd.app import place

    return place.context_namespace(place.access_of(config))


def refuse(args: Namespace, words: str) -> None:
    """Say what to do instead, where a cluster is chosen: `words`. Raises Unsupported."""
    if chosen(args) is not None:
        raise Unsupported(words)
