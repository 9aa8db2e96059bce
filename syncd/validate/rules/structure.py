"""Fields and types: what `argo.fields` finds, said so that a person can mend it.

The most useful case is lost indentation: tutorials that went through a web page have `container:` beside `- name:`, or every
line at the margin. A field that is unknown where it stands, and known where the lines before it are still open, is told its
home. Called by `lint` first: fields out of place are noted in `report.disturbed`, so that what only follows is not said.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from syncd.argo import fields, labels
from syncd.argo.fields import Fault, FaultKind, Form, Type
from syncd.argo.manifest import Body, Manifest, Path, path_text
from syncd.validate import raw
from syncd.validate.report import Report, nearest
from syncd.validate.rules import deprecated

MAX_OPEN: Final = 12
"""How deep the search for a home goes into what is still open."""

_SAID_ELSEWHERE: Final = frozenset(
    {
        ("Parameter", "name"),
        ("Artifact", "name"),
        ("DAGTask", "name"),
        ("ContainerNode", "name"),
        ("Prometheus", "name"),
        ("Prometheus", "help"),
        ("MetricLabel", "key"),
        ("Counter", "value"),
        ("Gauge", "value"),
        ("Histogram", "value"),
        ("DAGTemplate", "tasks"),
        ("CronWorkflowSpec", "schedules"),
        ("ContainerSetTemplate", "containers"),
        ("ResourceTemplate", "action"),
        ("GitArtifact", "repo"),
        ("HDFSArtifact", "path"),
        ("RetryStrategy", "retryPolicy"),
        ("PodGC", "strategy"),
        ("CronWorkflowSpec", "concurrencyPolicy"),
        ("CronJobSpec", "schedule"),
        ("JobSpec", "template"),
        ("PodSpec", "containers"),
    }
)
"""(struct, field) that a rule of its own judges, in Argo's words."""


def check(manifest: Manifest, report: Report) -> Body:
    """All faults of one manifest's shape. Returns the body to judge further: with `strict` off, as Go's decoder reads it,
    to which `entryPoint` is `entrypoint`."""
    kind = manifest.key.kind
    wanted = labels.API_VERSION_OF[kind]
    version = manifest.body.get("apiVersion")
    if version is not None and version != wanted:
        report.add("V208", ("apiVersion",), f"{kind} has apiVersion {wanted}, not {fields.describe(version)}")
    homes = _Homes(manifest)
    faults = fields.faults(kind, manifest.body)
    for fault in faults:
        _say(fault, manifest, homes, report)
    if report.profile.strict:
        return manifest.body
    return _folded(manifest.body, [fault for fault in faults if fault.kind is FaultKind.UNKNOWN])


def _folded(body: Body, unknown: list[Fault]) -> Body:
    """The body with fields in the wrong case renamed, where nothing else has the name; the same object if there are none."""
    copied = False
    for fault in unknown:
        lowered = str(fault.path[-1]).lower()
        right = next((name for name in fields.shape(fault.struct).fields if name.lower() == lowered), None)
        if right is None:
            continue
        if not copied:
            body, copied = copy.deepcopy(body), True
        parent = raw_at(body, fault.path[:-1])
        if isinstance(parent, dict) and right not in parent and fault.path[-1] in parent:
            parent[right] = parent.pop(str(fault.path[-1]))
    return body


def _say(fault: Fault, manifest: Manifest, homes: _Homes, report: Report) -> None:
    where = path_text(fault.path)
    field = fault.path[-1] if fault.path else ""
    if fault.kind is FaultKind.UNKNOWN:
        _unknown(fault, str(field), homes, report)
        return
    if (fault.struct, field) in _SAID_ELSEWHERE and fault.kind in (FaultKind.REQUIRED, FaultKind.ENUM):
        return
    secret = manifest.key.kind == labels.SECRET
    found = "" if secret else f", not {fault.found}"
    match fault.kind:
        case FaultKind.TYPE:
            report.disturbed.append(fault.path)
            scalar = fault.expected == "a string" and isinstance(raw_at(manifest.body, fault.path), bool | int | float)
            message = f"{where or 'the document'} must be {fault.expected}{found}"
            report.add("V209" if scalar else "V202", fault.path, message, _type_remedy(fault, manifest))
        case FaultKind.ENUM:
            if "{{" not in fault.found:
                report.add("V204", fault.path, f"{where} must be {fault.expected}{found}")
        case FaultKind.REQUIRED:
            report.add("V205", fault.path, f"{where} is required")
        case FaultKind.QUANTITY:
            message = (
                f"{where} must be {fault.expected}{found}: quantities must match the regular expression of Kubernetes"
            )
            report.add("V206", fault.path, message)
        case FaultKind.DEPTH:
            report.add("V207", fault.path, f"{where[:200]} is nested too deeply")


def _unknown(fault: Fault, field: str, homes: _Homes, report: Report) -> None:
    slot = (fault.struct, field)
    if slot in deprecated.ACCEPTED and not report.profile.as_argo:
        report.add(
            "V500", fault.path, f"{path_text(fault.path)} is the spelling of an older Argo", deprecated.ACCEPTED[slot]
        )
        return
    shown = f'unknown field "{path_text(fault.path)}"'
    if fault.struct == "WorkflowStep":
        shown = f'unknown field "{field}" ({path_text(fault.path)})'
    known = fields.shape(fault.struct).fields
    # Argo's own decoder of steps refuses unknown fields of a step, and forgets to be strict below it
    unseen = fault.struct != "WorkflowStep" and "steps" in fault.path
    home = homes.of(fault, field)
    if home is not None:
        place, way = home
        report.disturbed.append(place)
        target = path_text(place) or "the top level"
        line = report.manifest.place(place).line
        report.add(
            "V203", fault.path, f"{shown}: {field!r} belongs to {target}", f"{way} {target} (line {line})", unseen
        )
        return
    if slot in deprecated.REMOVED:
        report.add("V501", fault.path, f"{shown}: Argo does not have it any more", deprecated.REMOVED[slot], unseen)
        return
    remedy = ""
    if near := nearest(field, known):
        report.disturbed.append((*fault.path[:-1], near))
        remedy = f"did you mean {near!r}?"
    else:
        structs = [name for name, type_ in known.items() if type_.form is Form.STRUCT]
        below = [name for name in structs if field in fields.shape(known[name].name).fields]
        if 0 < len(below) <= 6:
            remedy = f"{field!r} is a field of: {', '.join(below)}"
    report.add("V201", fault.path, shown, remedy, unseen)


def _type_remedy(fault: Fault, manifest: Manifest) -> str:
    value = raw_at(manifest.body, fault.path)
    if manifest.key.kind == labels.SECRET:
        return "values of data are base64 text, values of stringData plain text, both in quotes"
    if fault.expected == "a string" and isinstance(value, bool | int | float):
        return f"put it in quotes: {fields_quoted(value)}"
    if fault.expected == "a list" and isinstance(value, str):
        return "write it as a list, each item on a line of its own behind `- `, or in [brackets]"
    if fault.expected == "a list" and isinstance(value, dict):
        if len(fault.path) > 1 and fault.path[-2] == "steps":
            return "steps is a list of lists: write `- - name: …` for what begins a group, `  - name: …` for what runs beside it"
        return "put `- ` before its first field"
    if fault.expected == "a mapping" and isinstance(value, list) and fault.path and isinstance(fault.path[-1], int):
        return "it has one `- ` too many, or lost its indentation: does it belong to the field before?"
    if fault.expected in ("a whole number", "true or false") and isinstance(value, str) and "{{" not in value:
        return "remove the quotes"
    return ""


def fields_quoted(value: object) -> str:
    """A scalar as YAML in quotes."""
    text = raw.scalar(value)
    return f'"{text}"' if text is not None else '"…"'


def raw_at(body: object, path: Path) -> Any:
    """The value at a path; None where the body does not go that far."""
    for step in path:
        if isinstance(body, dict):
            body = body.get(step)
        elif isinstance(body, list) and isinstance(step, int) and step < len(body):
            body = body[step]
        else:
            return None
    return body


@dataclass(frozen=True, slots=True)
class _Lost:
    """A field that was told its home. home: where that stands in the body; struct: what it is; type: of the field."""

    home: Path
    struct: str
    type: Type


class _Homes:
    """Finds out where a lost field belongs. Remembers the lost: `image:` may belong to a `container:` that is lost itself."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._lost: dict[Path, _Lost] = {}

    def of(self, fault: Fault, field: str) -> tuple[Path, str] | None:
        """(home, how to get there), or None. The home is the place of the mapping that the field should be in."""
        before = self._before(fault, field)
        if before is not None:
            return before, "indent it under"
        for depth in range(len(fault.path) - 2, -1, -1):
            outer = fault.path[:depth]
            struct = self._struct_at(outer)
            if struct and struct != fault.struct and field in fields.shape(struct).fields:
                return outer, "move it out, beside the fields of"
        return None

    def _before(self, fault: Fault, field: str) -> Path | None:
        parent_path = fault.path[:-1]
        parent = raw_at(self._manifest.body, parent_path)
        if not isinstance(parent, dict):
            return None
        known = fields.shape(fault.struct).fields
        siblings = list(parent)
        for name in reversed(siblings[: siblings.index(field)] if field in siblings else []):
            path = (*parent_path, name)
            ends: list[tuple[Path, str]] = []
            if path in self._lost:
                lost = self._lost[path]
                ends.append((lost.home, lost.struct))
                ends += _open_ends(lost.type, parent[name], path)
            elif name in known:
                ends += _open_ends(known[name], parent[name], path)
            for home, struct in ends:
                type_ = fields.shape(struct).fields.get(field)
                if type_ is not None and field not in raw.mapping(raw_at(self._manifest.body, home)):
                    self._lost[fault.path] = _Lost(home, struct, type_)
                    return home
        return None

    def _struct_at(self, path: Path) -> str:
        type_: Type | None = Type(Form.STRUCT, name=self._manifest.key.kind)
        for step in path:
            if type_ is None:
                return ""
            if type_.form is Form.STRUCT:
                type_ = fields.shape(type_.name).fields.get(str(step))
            else:
                type_ = type_.of
        return type_.name if type_ is not None and type_.form is Form.STRUCT else ""


def _open_ends(type_: Type, value: object, path: Path) -> Iterator[tuple[Path, str]]:
    """The structs that the last lines of `value` leave open, outermost first, with their place in the body."""
    for _ in range(MAX_OPEN):
        if type_.form is Form.STRUCT:
            yield path, type_.name
            if not isinstance(value, dict) or not value:
                return
            name = next(reversed(value))
            inner = fields.shape(type_.name).fields.get(name)
            if inner is None:
                return
            type_, value, path = inner, value[name], (*path, name)
        elif type_.form is Form.LIST and isinstance(value, list) and value and type_.of is not None:
            last = len(value) - 1
            type_, value, path = type_.of, value[last], (*path, last)
        else:
            return
