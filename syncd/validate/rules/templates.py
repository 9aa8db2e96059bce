"""What every template has: exactly one type, timeouts, deadlines, parallelism, resources.

Source: Argo v4.1.2 workflow/validate/validate.go (validateTemplateType, validateTemplate, validateNonLeaf, validateLeaf).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from syncd.argo.manifest import Path
from syncd.base import units
from syncd.validate import raw
from syncd.validate.rules import containers
from syncd.validate.settled import UNKNOWN, Values, settle
from syncd.validate.template import NAMES, Template

if TYPE_CHECKING:
    from syncd.validate.findings import Say

CHOICES: Final = "choose one of: container, containerSet, steps, script, resource, dag, suspend, template, template ref"
_NUMBER: Final = re.compile(r"[+-]?[0-9]+")

Settled = Callable[[str, Path, str], None]
"""How a settled fault is said: code, path, message."""


def check(template: Template, say: Say) -> None:
    """The faults that the text alone shows."""
    body, name, path = template.body, template.name, template.path
    if not template.kinds:
        say("V220", path, f"template '{name}' type is unknown: templates.{name} template type unspecified. {CHOICES}")
    elif len(template.kinds) > 1:
        remedy = f"it has {' and '.join(template.kinds)}: keep one, and put the others into templates of their own"
        say(
            "V221", (*path, template.kinds[1]), f"templates.{name} multiple template types specified. {CHOICES}", remedy
        )
    pod_resources(
        body.get("podResources"), f"templates.{name}.podResources", (*path, "podResources"), template.kind, say
    )
    if raw.items(body.get("resourceClaims")) and template.kind and not template.is_pod:
        kind = NAMES[template.kind]
        message = f"templates.{name}.resourceClaims is not supported for {kind} templates, which do not create a pod"
        say("V231", (*path, "resourceClaims"), message)
    if template.kind in ("steps", "dag"):
        if raw.present(body.get("activeDeadlineSeconds")):
            message = f"templates.{name}.activeDeadlineSeconds is only valid for leaf templates"
            say(
                "V226",
                (*path, "activeDeadlineSeconds"),
                message,
                "spec.activeDeadlineSeconds limits the whole workflow",
            )
    elif raw.present(body.get("parallelism")):
        say("V228", (*path, "parallelism"), f"templates.{name}.parallelism is only valid for steps and dag templates")
    parallelism = body.get("parallelism")
    if type(parallelism) is int and parallelism < 1:
        say("V229", (*path, "parallelism"), f"templates.{name}.parallelism must be at least 1")
    for field in ("timeout", "pendingTimeout"):
        _duration(raw.text(body.get(field)), field, template, say)
    suspend = raw.mapping(body.get("suspend"))
    duration = raw.scalar(suspend.get("duration"))
    if duration and "{{" not in duration and not is_duration(duration, seconds=True):
        say("V225", (*path, "suspend", "duration"), f"templates.{name}.suspend.duration '{duration}' is not a duration")


def pod_resources(value: object, prefix: str, path: Path, kind: str, say: Say) -> None:
    """podResources of a template (kind: its type) or of the spec (kind: "")."""
    if type(value) is not dict:
        return
    if kind in ("http", "plugin"):
        say("V230", path, f"{prefix} is not supported for {NAMES[kind]} templates")
        return
    if raw.items(value.get("claims")):
        say("V230", (*path, "claims"), f"{prefix}.claims is not supported for pod-level resources")
    for side in ("limits", "requests"):
        for resource in raw.mapping(value.get(side)):
            if resource not in ("cpu", "memory") and not resource.startswith("hugepages-"):
                message = f'{prefix}: "{resource}" is not a valid pod-level resource, only cpu, memory and hugepages-* are supported'
                say("V230", (*path, side, resource), message)


def settled_timeouts(template: Template, values: Values, say: Settled) -> None:
    """timeout and pendingTimeout with what the caller gives: Argo looks at every call."""
    body = template.body
    timeout = raw.text(body.get("timeout"))
    kind = NAMES.get(template.kind, "")
    if timeout:
        if not template.is_leaf:
            say("V223", (*template.path, "timeout"), f"{kind} template doesn't support timeout field")
        elif _NUMBER.fullmatch(settle(timeout, values)):
            say("V224", (*template.path, "timeout"), f"{template.name} has invalid duration format in timeout")
    if raw.text(body.get("pendingTimeout")) and not template.is_leaf:
        say("V223", (*template.path, "pendingTimeout"), f"{kind} template doesn't support pendingTimeout field")


def settled_leaf(template: Template, values: Values, say: Settled) -> None:
    """activeDeadlineSeconds, a resource's action and manifest, with what is known of the variables in them."""
    body, name = template.body, template.name
    deadline = body.get("activeDeadlineSeconds")
    if deadline is not None and not _is_deadline(deadline, values):
        message = f"templates.{name}.activeDeadlineSeconds must be a positive integer > 0 or an argo variable"
        say("V227", (*template.path, "activeDeadlineSeconds"), message)
    resource = raw.mapping(body.get("resource"))
    if template.kind == "resource":
        action = settle(raw.text(resource.get("action")), values)
        if action not in ("get", "create", "apply", "delete", "replace", "patch") and not action.startswith(UNKNOWN):
            message = f"templates.{name}.resource.action must be one of: get, create, apply, delete, replace, patch"
            say("V237", (*template.path, "resource", "action"), message)
        manifest = raw.text(resource.get("manifest"))
        if manifest and action not in ("delete", "get") and not containers.is_yaml(settle(manifest, values)):
            message = f"templates.{name}.resource.manifest must be a valid yaml"
            say("V237", (*template.path, "resource", "manifest"), message)


def _is_deadline(value: object, values: Values) -> bool:
    if type(value) is int:
        return value >= 0
    if type(value) is not str:
        return True  # rules.structure has said what it must be
    text = settle(value, values)
    if _NUMBER.fullmatch(text):
        return not text.startswith("-") or not text.strip("-0")
    return text.startswith(UNKNOWN) or (text.startswith("{{") and text.endswith("}}"))


def _duration(text: str, field: str, template: Template, say: Say) -> None:
    if not text or "{{" in text or _NUMBER.fullmatch(text):
        return
    if not is_duration(text):
        say("V225", (*template.path, field), f"templates.{template.name}.{field} '{text}' is not a duration")


def is_duration(text: str, seconds: bool = False) -> bool:
    """Whether Go's time.ParseDuration reads it; seconds: a whole number of seconds will do, too."""
    try:
        if seconds:
            units.parse_duration_or_seconds(text)
        else:
            units.parse_duration(text)
    except ValueError:
        return False
    return True
