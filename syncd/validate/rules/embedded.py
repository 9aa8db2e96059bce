"""What the embedded engine does not run yet: accepted, kept, and said.

Called by `findings` (templates, steps, tasks) and `workflow` (the spec). A warning each: the object may be meant for a cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from syncd.argo.manifest import Body, Path
from syncd.validate import raw
from syncd.validate.template import Template

if TYPE_CHECKING:
    from syncd.validate.findings import Say
    from syncd.validate.report import Report

_KINDS: Final = ("containerSet", "resource", "data", "http", "plugin")
_FIELDS: Final = ("synchronization", "memoize", "sidecars")
_WORDS: Final = "the embedded engine does not run {0} yet; {1}"


def check(template: Template, say: Say) -> None:
    """Of one template and its steps or tasks."""
    body, prefix = template.body, f"templates.{template.name}"
    if template.kind in _KINDS:
        fate = "the node will end in Error"
        say("V900", (*template.path, template.kind), f"{prefix}: {_WORDS.format(f'{template.kind} templates', fate)}")
    for field in _FIELDS:
        if body.get(field):
            fate = "the node will end in Error" if field != "memoize" else "the node runs each time"
            say("V900", (*template.path, field), f"{prefix}: {_WORDS.format(field, fate)}")
    if template.is_daemon:
        say(
            "V900",
            (*template.path, "daemon"),
            f"{prefix}: {_WORDS.format('daemon templates', 'the node will end in Error')}",
        )
    for call in template.calls:
        for name in raw.mapping(call.body.get("hooks")):
            if name != "exit":
                message = f"{prefix}.{call.name}: {_WORDS.format(f'the hook {name!r}', 'it is not run')}"
                say("V900", (*call.path, "hooks", name), message)


def check_spec(spec: Body, report: Report, path: Path) -> None:
    """Of the WorkflowSpec."""
    if spec.get("synchronization"):
        report.add("V900", (*path, "synchronization"), _WORDS.format("synchronization", "the workflow will not start"))
    for name in raw.mapping(spec.get("hooks")):
        if name != "exit":
            report.add("V900", (*path, "hooks", name), _WORDS.format(f"the hook {name!r}", "it is not run"))
