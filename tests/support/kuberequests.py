"""What a request to a Kubernetes API asks for, from its method, path and headers. Pure; used by kubefaults."""

from __future__ import annotations

from dataclasses import dataclass, field

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}


@dataclass(slots=True)
class Request:
    """One that came in. verb: get, list, watch, create, apply, patch, update, delete, deletecollection.

    resource: plural, with a subresource as `workflows/status`; "" = no API object (`/readyz`). status: what the client was
    sent, None = nothing. at: monotonic seconds.
    """

    method: str
    path: str
    verb: str
    resource: str
    namespace: str
    name: str
    query: dict[str, str]
    user_agent: str
    at: float
    status: int | None = None
    faults: list[object] = field(default_factory=list)  # of kubefaults, in the order they came

    @property
    def dry_run(self) -> bool:
        return "dryRun" in self.query


def understood(method: str, path: str, query: dict[str, str], content_type: str) -> tuple[str, str, str, str]:
    """(verb, resource, namespace, name) of a request, as the API server names them in its audit log (apply is ours).

    >>> understood("GET", "/apis/argoproj.io/v1alpha1/namespaces/a/workflows", {"watch": "1"}, "")
    ('watch', 'workflows', 'a', '')
    >>> understood("PATCH", "/api/v1/namespaces/a", {}, "application/apply-patch+yaml")
    ('apply', 'namespaces', '', 'a')
    """
    words = [word for word in path.split("/") if word]
    words = words[2:] if words[:1] == ["api"] else words[3:] if words[:1] == ["apis"] else []
    namespace = ""
    if words[:1] == ["namespaces"] and len(words) > 2 and words[2] not in ("status", "finalize"):
        namespace, words = words[1], words[2:]
    resource, name, subresource = [*words, "", "", ""][:3]
    verb = _VERBS.get(method, method.lower())
    if verb == "get" and resource and not name:
        verb = "watch" if query.get("watch", "").lower() in ("1", "true") else "list"
    elif verb == "patch" and content_type.startswith("application/apply-patch"):
        verb = "apply"
    elif verb == "delete" and resource and not name:
        verb = "deletecollection"
    return verb, f"{resource}/{subresource}" if subresource else resource, namespace, name
