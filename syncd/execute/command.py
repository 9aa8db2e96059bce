"""From a container of a template to an argument list and an environment, as Kubernetes makes them.

In: Argo's container or script object, with every tag replaced, and the values that its references stand for.
Out: `argv` and `environment`. No I/O. Called by `staging`.
Source: k8s.io/kubernetes third_party/forked/golang/expansion, pkg/kubelet/kubelet_pods.go makeEnvironmentVariables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from syncd.base.errors import Invalid, NotFound

SCRIPT_PATH: Final = "/argo/staging/script"
"""Where a script's source lies inside; Argo v4.1.2 workflow/common ExecutorScriptSourcePath."""

_REFERENCE: Final = re.compile(r"\$(\$|\(([^()]*)\))")
_ENV_NAME: Final = re.compile(r"[^=\x00]+")


class KeyLookup:
    """The values behind `configMapKeyRef`, `secretKeyRef` and their whole-object forms, fetched before.

    config_maps, secrets: name → {key: value}; a name that is absent was not found.
    used: every secret value that was handed out, to be masked in the logs.
    """

    def __init__(
        self,
        config_maps: Mapping[str, Mapping[str, str]],
        secret: Callable[[str], Mapping[str, str]],
    ) -> None:
        self._config_maps = config_maps
        self._secret = secret
        self.used: list[str] = []

    def config_map(self, name: str) -> Mapping[str, str]:
        """The data of a ConfigMap. Raises NotFound."""
        try:
            return self._config_maps[name]
        except KeyError:
            raise NotFound(f"configmap {name!r} not found") from None

    def secret(self, name: str) -> Mapping[str, str]:
        """The data of a Secret. Raises NotFound."""
        data = self._secret(name)
        self.used.extend(data.values())
        return data


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by the variable's value; `$$` is a plain `$`, an unknown name stays as it is written.

    >>> expand("$(A) $$(A) $(B) $A", {"A": "1"})
    '1 $(A) $(B) $A'
    """
    if "$" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return environment.get(match[2], match[0])

    return _REFERENCE.sub(value, text)


def environment(
    container: Mapping[str, Any], base: Mapping[str, str], lookup: KeyLookup, fields: Mapping[str, str]
) -> dict[str, str]:
    """All variables of a container: `base`, then envFrom, then env in order, each seeing those before it.

    fields: values of `fieldRef.fieldPath`. Raises Invalid or NotFound for a reference that leads nowhere.
    """
    result = dict(base)
    for source in container.get("envFrom") or ():
        prefix = str(source.get("prefix") or "")
        for key, read in (("configMapRef", lookup.config_map), ("secretRef", lookup.secret)):
            if reference := source.get(key):
                try:
                    data = read(str(reference.get("name", "")))
                except NotFound:
                    if reference.get("optional"):
                        continue
                    raise
                result.update({prefix + name: value for name, value in data.items()})
    for item in container.get("env") or ():
        name = str(item.get("name", ""))
        if not _ENV_NAME.fullmatch(name):
            raise Invalid(f"env name {name!r} must not be empty or hold '='; rename the variable")
        if (origin := item.get("valueFrom")) is not None:
            found = _referenced(name, origin, lookup, fields)
            if found is not None:
                result[name] = found
        else:
            result[name] = expand(_text(item.get("value")), result)
    for name, value in result.items():
        if "\0" in value:
            raise Invalid(f"env {name} holds a NUL byte; a process cannot be given one")
    return result


def argv(container: Mapping[str, Any], variables: Mapping[str, str], entrypoint: Sequence[str] | None) -> list[str]:
    """The command line. entrypoint: of the image, None = not known; used where the container sets no `command`.

    A script's source follows its own arguments as the path of a file. Raises Invalid.
    """
    command = [expand(_text(word), variables) for word in container.get("command") or ()]
    if not command:
        if entrypoint is None:
            image = container.get("image") or "(none)"
            raise Invalid(
                f"the template sets no command, and the entrypoint of image {image} is known to a container engine only; "
                "set `command`, or name the entrypoint of the image under sandbox.images"
            )
        command = list(entrypoint)
    words = command + [expand(_text(word), variables) for word in container.get("args") or ()]
    if "source" in container:
        words.append(SCRIPT_PATH)
    if any("\0" in word for word in words):
        raise Invalid("command or args hold a NUL byte; a process cannot be given one")
    return words


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _referenced(name: str, origin: Mapping[str, Any], lookup: KeyLookup, fields: Mapping[str, str]) -> str | None:
    """The value of a `valueFrom`; None = optional and absent."""
    for key, read in (("configMapKeyRef", lookup.config_map), ("secretKeyRef", lookup.secret)):
        if (reference := origin.get(key)) is None:
            continue
        kind = "configmap" if key == "configMapKeyRef" else "secret"
        try:
            data = read(str(reference.get("name", "")))
            if reference.get("key") not in data:
                raise NotFound(f"{kind} {reference.get('name')!r} has no key {reference.get('key')!r} (env {name})")
        except NotFound:
            if reference.get("optional"):
                return None
            raise
        return data[str(reference["key"])]
    if (reference := origin.get("fieldRef")) is not None:
        path = str(reference.get("fieldPath", ""))
        if path not in fields:
            raise Invalid(f"env {name}: fieldRef {path!r} has no meaning outside a cluster; known: {', '.join(fields)}")
        return fields[path]
    if "resourceFieldRef" in origin:
        return "0"  # no limit, as Kubernetes says of a container without one
    raise Invalid(f"env {name}: valueFrom is one of configMapKeyRef, secretKeyRef, fieldRef; got {', '.join(origin)}")
