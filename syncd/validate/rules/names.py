"""Names: of objects, and of everything in a list that others refer to by name.

Called by `lint` (objects) and by the other rules (lists). Source: Argo v4.1.2 workflow/validate/validate.go
(validateWorkflowFieldNames, maxCharsInObjectName), Kubernetes' apimachinery validation for objects and labels.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from syncd.argo import labels
from syncd.argo.manifest import Manifest, Path
from syncd.validate import raw

if TYPE_CHECKING:
    from syncd.validate.findings import Say
    from syncd.validate.report import Report

_FIELD: Final = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")
_PARAMETER: Final = re.compile(r"[-a-zA-Z0-9_]+")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_GENERATE: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*)")
_LABEL: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_KEY: Final = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")

MAX_FIELD: Final = 128

FIELD_WORDS: Final = (
    "name must consist of alpha-numeric characters or '-', and must start with an alpha-numeric character"
    " (e.g. My-name1-2, 123-NAME)"
)
PARAMETER_WORDS: Final = (
    "Parameter/Artifact name must consist of alpha-numeric characters, '_' or '-' e.g. my_param_1, MY-PARAM-1"
)

_LIMITS: Final = {
    labels.WORKFLOW: ("workflow", 63),
    labels.WORKFLOW_TEMPLATE: ("workflow template", 63),
    labels.CLUSTER_WORKFLOW_TEMPLATE: ("cluster workflow template", 63),
    labels.CRON_WORKFLOW: ("cron workflow", 52),
    labels.JOB: ("job", 63),
    labels.CRON_JOB: ("cron job", 52),
}


def field_fault(name: str) -> str:
    """What is wrong with the name of a template, step or task; "" = nothing."""
    if len(name) > MAX_FIELD:
        return f"must be no more than {MAX_FIELD} characters"
    return "" if _FIELD.fullmatch(name) else FIELD_WORDS


def parameter_fault(name: str) -> str:
    """What is wrong with the name of a parameter or artifact; "" = nothing."""
    return "" if _PARAMETER.fullmatch(name) else PARAMETER_WORDS


def step_fault(name: str, taken: bool) -> tuple[str, str] | None:
    """Code and words for the name of a step that is missing, taken or malformed. The name has its tags settled."""
    if not name:
        return "V213", "is required"
    if taken:
        return "V215", "is not unique"
    fault = field_fault(name)
    return ("V214", f"is invalid: {fault}") if fault else None


def check_list(
    value: object,
    prefix: str,
    path: Path,
    say: Say,
    fault: Callable[[str], str] = field_fault,
    gap: str = "",
    unique: bool = True,
    computed: bool = False,
) -> None:
    """The names in a list of parameters, artifacts, templates or tasks: given, well-formed, unique.

    prefix: as Argo writes it, up to the index (`spec.templates`); path: of the list; gap: what Argo puts between the two;
    computed: names may hold variables, which Argo replaces before it looks.
    """
    seen: set[str] = set()
    for index, item in raw.mappings(value):
        name = raw.text(item.get("name"))
        where = f"{prefix}{gap}[{index}].name"
        if not name:
            say("V213", (*path, index), f"{where} is required")
            continue
        if not (computed and "{{" in name and "{{outputs." not in name) and (words := fault(name)):
            say("V214", (*path, index, "name"), f"{where}: '{name}' is invalid: {words}")
        if unique and name in seen:
            say("V215", (*path, index, "name"), f"{where} '{name}' is not unique")
        seen.add(name)


def is_label_value(text: str) -> bool:
    """Whether Kubernetes takes it as the value of a label."""
    return len(text) <= 63 and _LABEL.fullmatch(text) is not None


def check_object(manifest: Manifest, report: Report) -> None:
    """metadata.name, generateName, labels and annotations of an object."""
    metadata = raw.mapping(manifest.body.get("metadata"))
    name, kind = raw.text(metadata.get("name")), manifest.key.kind
    words, limit = _LIMITS.get(kind, (kind, 253))
    if len(name) > limit:
        message = f'{words} name "{name[:300]}" must not be more than {limit} characters long (currently {len(name)})'
        report.add("V210", ("metadata", "name"), message)
    elif name and not _SUBDOMAIN.fullmatch(name):
        report.add("V211", ("metadata", "name"), f"{words} name {name!r} is not a valid object name")
    generate = raw.text(metadata.get("generateName"))
    if not name and generate and (not _GENERATE.fullmatch(generate) or len(generate) > limit):
        report.add(
            "V211", ("metadata", "generateName"), f"generateName {generate!r} is not the beginning of a valid name"
        )
    for key, value in raw.mapping(metadata.get("labels")).items():
        if not _KEY.fullmatch(key) or len(key) > 317:
            report.add("V216", ("metadata", "labels", key), f"label key {key!r} is malformed")
        elif type(value) is str and not is_label_value(value):
            remedy = "at most 63 letters, digits, '-', '_' and '.'; longer text belongs under annotations"
            report.add("V216", ("metadata", "labels", key), f"value of label {key!r} is malformed", remedy)
