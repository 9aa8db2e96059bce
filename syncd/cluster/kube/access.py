"""Where the cluster is and who we are: the official client's configuration, from a kubeconfig or from the pod's service account.

In: what the knobs say. Out: a `Configuration` of `kubernetes.aio` for `door`, and the namespace that is ours. Every fault of such a
file is a ConfigError in words; nothing of a file is quoted, since tokens lie in it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kubernetes.aio import config as official
from kubernetes.aio.client import Configuration

from syncd.base.errors import ConfigError

_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Access:
    """Where the cluster is and who we are. kubeconfig, context: "" = found as the configuration's knobs say."""

    kubeconfig: str = ""
    context: str = ""
    in_flight: int = 16
    per_second: float = 1000.0


async def configured(access: Access) -> Any:
    """The client's configuration, with the credentials read. Raises ConfigError."""
    configuration = Configuration()
    configuration.connection_pool_maxsize = 0  # `pace` limits; watches hold a connection each
    configuration.retries = None
    try:
        if not access.kubeconfig and not access.context and in_cluster():
            official.load_incluster_config(client_configuration=configuration)
        else:
            await official.load_kube_config(
                config_file=kubeconfig_of(access),
                context=access.context or None,
                client_configuration=configuration,
                persist_config=False,
            )
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - libraries of the client raise what they like; it ends here, in words
        raise ConfigError(f"the cluster's credentials cannot be read: {_harmless(error)}") from None
    # the client's session would ask two threads about .netrc and the proxy before each request, half of what a request costs
    configuration.client_session_kwargs = {"trust_env": False}
    configuration.proxy = configuration.proxy or _proxy(str(configuration.host))
    return configuration


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a URL: $HTTPS_PROXY and $HTTP_PROXY, but for the hosts of $NO_PROXY."""
    target = urlsplit(url)
    if proxy_bypass(target.netloc.rpartition("@")[2]):
        return None
    return getproxies().get(target.scheme)


def _harmless(error: Exception) -> str:
    """The words of what a library raises about a kubeconfig: what quotes the file (YAML does) may quote a token."""
    if isinstance(error, official.ConfigException | OSError):
        return str(error)
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f" in line {mark.line + 1}"
    return f"it is no kubeconfig{where} ({type(error).__name__})"


def in_cluster() -> bool:
    """Whether this process runs in a pod with a service account."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (_SERVICE_ACCOUNT / "token").is_file()


def kubeconfig_of(access: Access) -> str:
    """The file that is read: as given, $KUBECONFIG, ~/.kube/config. Raises ConfigError where there is none."""
    text = access.kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    if not any(Path(part).is_file() for part in text.split(os.pathsep)):
        raise ConfigError(
            f"no kubeconfig at {text}, and this is no pod of a cluster; name one with kubernetes.kubeconfig or $KUBECONFIG"
        )
    return text


def home_namespace(access: Access) -> str:
    """The namespace of the pod, else that of the context, else `default`. Raises ConfigError."""
    if not access.kubeconfig and not access.context and in_cluster():
        if found := os.environ.get("POD_NAMESPACE"):
            return found
        with suppress(OSError):
            return (_SERVICE_ACCOUNT / "namespace").read_text(encoding="ascii").strip() or "default"
        return "default"
    try:
        contexts, active = official.list_kube_config_contexts(config_file=kubeconfig_of(access))
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - libraries of the client raise what they like; it ends here, in words
        raise ConfigError(f"the kubeconfig cannot be read: {_harmless(error)}") from None
    chosen = active
    if access.context:
        chosen = next((one for one in contexts if one["name"] == access.context), None)
        if chosen is None:
            names = ", ".join(str(one["name"]) for one in contexts)
            raise ConfigError(f"the kubeconfig has no context {access.context!r}; known: {names}")
    return str((chosen or {}).get("context", {}).get("namespace") or "default")
