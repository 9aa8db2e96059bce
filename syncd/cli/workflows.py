"""Workflows for commands: list them as options ask, read one, show them, tell which nodes are wanted.

Comes in: a client and the options of a command. Goes out: bodies as the API gives them. Called by the commands.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from syncd.argo import labels
from syncd.argo.manifest import Body
from syncd.argo.status import FULFILLED
from syncd.base.errors import ConfigError
from syncd.cli import describe, output
from syncd.cli.client import API, Client, segment
from syncd.cli.output import Terminal

_LISTED: Final = (
    "metadata,items.metadata,items.spec,items.status.phase,items.status.message,items.status.finishedAt,"
    "items.status.startedAt,items.status.estimatedDuration,items.status.progress"
)
_PAGE: Final = 1000


def path(namespace: str, name: str = "", verb: str = "") -> str:
    """The route of workflows, of one, or of something to do with it."""
    route = f"{API}/workflows/{segment(namespace)}"
    for part in (name, verb):
        if part:
            route += f"/{segment(part)}"
    return route


def pages(client: Client, route: str, query: dict[str, Any]) -> Iterator[Body]:
    """All items of a list, page by page."""
    after = ""
    while True:
        page = client.get(route, {**query, "listOptions.limit": _PAGE, "listOptions.continue": after})
        yield from page.get("items") or ()
        after = str((page.get("metadata") or {}).get("continue") or "")
        if not after:
            return


def listed(client: Client, namespace: str, args: Namespace, *, whole: bool = False) -> list[Body]:
    """The workflows that the options of `list` or `delete` describe, in Argo's order: running first, newest first."""
    terms = [args.selector] if args.selector else []
    if getattr(args, "status", ""):
        terms.append(f"{labels.PHASE} in ({args.status})")
    if getattr(args, "completed", False) and getattr(args, "running", False):
        raise ConfigError("--completed and --running exclude each other; give one of them")
    if getattr(args, "completed", False):
        terms.append(f"{labels.COMPLETED}=true")
    if getattr(args, "running", False):
        terms.append(f"{labels.COMPLETED}!=true")
    if getattr(args, "resubmitted", False):
        terms.append(labels.LABEL_RESUBMITTED_FROM)
    at = output.now()
    since = at - output.duration(args.since) if getattr(args, "since", "") else None
    before = at - output.duration(args.older) if getattr(args, "older", "") else None
    query = {
        "listOptions.labelSelector": ",".join(terms),
        "listOptions.fieldSelector": args.field_selector,
        "namePrefix": getattr(args, "prefix", ""),
        "fields": "" if whole else _LISTED,
    }
    found = [
        body
        for body in pages(client, path(namespace), query)
        if _created_after(body, since) and _finished_before(body, before)
    ]
    return sorted(found, key=_order)


def _created_after(body: Body, since: datetime | None) -> bool:
    created = output.moment(body["metadata"].get("creationTimestamp"))
    return since is None or (created is not None and created > since)


def _finished_before(body: Body, before: datetime | None) -> bool:
    finished = output.moment((body.get("status") or {}).get("finishedAt"))
    return before is None or (finished is not None and finished < before)


def _order(body: Body) -> tuple[bool, float, float, str]:
    """Source: Argo v4.1.2 v1alpha1 Workflows.Less."""
    finished = output.moment((body.get("status") or {}).get("finishedAt"))
    created = output.moment(body["metadata"].get("creationTimestamp"))
    ended = -finished.timestamp() if finished else 0.0
    return finished is not None, ended, -created.timestamp() if created else 0.0, str(body["metadata"].get("name"))


def named_or_selected(client: Client, args: Namespace) -> list[tuple[str, str]]:
    """(namespace, name) of those that are named and those that are selected, each once. Raises ConfigError for neither."""
    from syncd.cli import reach

    where = reach.namespace(args)
    found = [(where, name) for name in args.workflow]
    if args.selector or args.field_selector:
        found += [
            (str(body["metadata"].get("namespace", "")), str(body["metadata"]["name"]))
            for body in listed(client, where, args)
        ]
    elif not found:
        raise ConfigError("no workflow is named; name some, or select them with -l")
    return list(dict.fromkeys(found))


def rows(found: Iterable[Body], at: datetime, *, namespaces: bool, wide: bool, headers: bool = True) -> list[list[str]]:
    """The table of `list`."""
    head = ["NAMESPACE"] if namespaces else []
    head += ["NAME", "STATUS", "AGE", "DURATION", "PRIORITY", "MESSAGE"]
    lines = [head + (["P/R/C", "PARAMETERS"] if wide else [])] if headers else []
    for body in found:
        metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
        cells = [str(metadata.get("namespace", ""))] if namespaces else []
        cells += [
            str(metadata.get("name", "")),
            describe.workflow_status(body),
            output.age(metadata.get("creationTimestamp"), at),
            output.span(status.get("startedAt"), status.get("finishedAt"), at),
            str(spec.get("priority") or 0),
            output.clean(status.get("message") or ""),
        ]
        if wide:
            given = (spec.get("arguments") or {}).get("parameters") or ()
            cells += [_counts(status), ",".join(_parameter(p) for p in given if p.get("value") is not None)]
        lines.append(cells)
    return lines


def _counts(status: Body) -> str:
    """Pending, running and completed steps. Lists come without nodes; of what has ended the progress tells enough."""
    pods = [node for node in (status.get("nodes") or {}).values() if node.get("type") == "Pod"]
    if not pods and status.get("progress"):
        return f"0/0/{str(status['progress']).partition('/')[0]}"
    running = sum(node.get("phase") == "Running" for node in pods)
    done = sum(node.get("phase") in FULFILLED for node in pods)
    return f"{len(pods) - running - done}/{running}/{done}"


def _parameter(parameter: Body) -> str:
    value = output.clean(parameter["value"])
    if len(value) > 50:
        value = f"{value[:32]}...{value[-15:]}"
    return f"{parameter.get('name', '')}={value}"


def show(body: Body, terminal: Terminal, form: str, wanted: Callable[[Body], bool] = lambda _: True) -> None:
    """One Workflow, as `-o` says."""
    if form == "name":
        terminal.say(str(body["metadata"].get("name", "")))
    elif form in ("json", "yaml"):
        terminal.say(output.as_text(body, form))
    else:
        for line in describe.get(body, output.now(), terminal, form=form, wanted=wanted):
            terminal.say(line)


def failed(body: Body) -> bool:
    """Whether a run has ended badly."""
    return (body.get("status") or {}).get("phase") in ("Failed", "Error")


def wanted_nodes(args: Namespace) -> Callable[[Body], bool]:
    """The test of `--status` and `--node-field-selector`. Raises ConfigError."""
    if args.status and args.node_field_selector:
        raise ConfigError("--status and --node-field-selector exclude each other; give one of them")
    text = f"phase={args.status}" if args.status else args.node_field_selector
    terms: list[tuple[str, bool, str]] = []
    for term in filter(None, (part.strip() for part in text.split(","))):
        name, sign, value = term.partition("!=") if "!=" in term else term.partition("==" if "==" in term else "=")
        if not sign or not (name.strip() in _FIELDS or name.strip().startswith("inputs.parameters.")):
            raise ConfigError(f"node field selector {term!r} is not FIELD=VALUE; known: {', '.join(_FIELDS)}")
        terms.append((name.strip(), sign != "!=", value.strip()))
    return lambda node: all((_field(node, name) == value) is equal for name, equal, value in terms)


_FIELDS: Final = (
    "displayName",
    "name",
    "id",
    "phase",
    "type",
    "templateName",
    "templateRef.name",
    "templateRef.template",
)


def _field(node: Body, name: str) -> str:
    if name.startswith("inputs.parameters."):
        wanted = name.removeprefix("inputs.parameters.").removesuffix(".value")
        given = (node.get("inputs") or {}).get("parameters") or ()
        return next((str(p.get("value", "")) for p in given if p.get("name") == wanted), "")
    value: Any = node
    for word in name.split("."):
        value = value.get(word) if isinstance(value, dict) else None
    return str(value or "")
