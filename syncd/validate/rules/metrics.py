"""Custom metrics of a template or workflow.

Source: Argo v4.1.2 workflow/metrics/util.go, workflow/validate/validate.go validateTemplate.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from syncd.argo.manifest import Body, Path
from syncd.validate import raw
from syncd.validate.template import Template

if TYPE_CHECKING:
    from syncd.validate.findings import Say

_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_KINDS: Final = ("gauge", "counter", "histogram")


def check(template: Template, say: Say) -> None:
    """The metrics of a template."""
    rows = raw.mapping(template.body.get("metrics")).get("prometheus")
    check_list(rows, f"templates.{template.name} ", (*template.path, "metrics", "prometheus"), say)


def check_workflow(rows: object, path: Path, say: Say) -> None:
    """The metrics of a whole workflow, which Argo reads only when they are due: one code for all of their faults."""

    def softly(code: str, path: Path, message: str, remedy: str = "") -> None:
        say("V375", path, message, remedy)

    check_list(rows, "workflow ", path, softly)


def check_list(rows: object, prefix: str, path: Path, say: Say) -> None:
    """A list of metrics, wherever it stands."""
    for index, body in raw.mappings(rows):
        _check(body, prefix, (*path, index), say)


def _check(body: Body, prefix: str, path: Path, say: Say) -> None:
    name = raw.text(body.get("name"))
    if not _NAME.fullmatch(name):
        message = f"{prefix}metric name '{name}' is invalid. Metric names must contain alphanumeric characters or '_'"
        say("V370", path, message)
    for index, label in raw.mappings(body.get("labels")):
        key = raw.text(label.get("key"))
        if not _NAME.fullmatch(key):
            message = f"metric label '{key}' is invalid: keys may only contain alphanumeric characters or '_'"
            say("V371", (*path, "labels", index), message)
    if not raw.text(body.get("help")):
        say("V372", path, f"{prefix}metric '{name}' must contain a help string under 'help: ' field")
    given = [kind for kind in _KINDS if type(body.get(kind)) is dict]
    for kind in given:
        if not raw.text(raw.mapping(body[kind]).get("value")):
            say("V373", (*path, kind), f"{prefix}metric '{name}' error: missing {kind}.value")
    gauge = raw.mapping(body.get("gauge"))
    if gauge.get("realtime") is True and "resourcesDuration." in raw.text(gauge.get("value")):
        message = f"{prefix}metric '{name}' error: 'resourcesDuration.*' metrics cannot be used in real-time"
        say("V373", (*path, "gauge"), message)
    if len(given) != 1:
        remedy = f"given: {', '.join(given) or 'none'}"
        say("V374", path, f"{prefix}metric '{name}' must be one of: gauge, counter, histogram", remedy)
