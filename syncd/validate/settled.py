"""Text with its tags replaced as far as anything is known before the workflow runs.

In: text, and what is known of the variables. Out: the text with known values in place of their tags and UNKNOWN where a
value exists but is known only later; tags that do not resolve yet (`item`, `steps.…`) stay. Called by `traversal` and rules
for names, references and timeouts. Source: Argo v4.1.2 workflow/common/util.go SubstituteParams with validation's placeholders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from syncd.validate import raw

if TYPE_CHECKING:
    from syncd.validate.scope import Globals
    from syncd.validate.template import Template

UNKNOWN: Final = "\ufffd"
"""Stands for a value that exists and is not known."""

MAX_TEXT: Final = 100_000
"""Characters: parameters put into parameters do not grow past this."""


class Values:
    """What is known when a template is looked at. inputs: values of its input parameters; None = none is known."""

    __slots__ = ("_globals", "_inputs", "_template")

    def __init__(self, globals_: Globals, template: Template, inputs: dict[str, str | None] | None) -> None:
        self._globals = globals_
        self._template = template
        self._inputs = inputs

    def get(self, name: str) -> str | None:
        """The text, UNKNOWN, or None where the tag stays as it is."""
        if name.startswith("inputs.parameters"):
            key = name[18:]
            if not key:
                return UNKNOWN
            if key not in self._template.inputs:
                return None
            value = self._inputs.get(key) if self._inputs is not None else None
            return UNKNOWN if value is None else value
        if name in self._globals.values:
            value = self._globals.values[name]
            return UNKNOWN if value is None else value
        if name == "pod.name" and self._template.is_pod:
            return UNKNOWN
        return None


def settle(text: str, values: Values) -> str:
    """`text` with what is known. Two rounds, as Argo: inputs may stand in globals' values, and tags in tags."""
    for _ in range(2):
        if "{{" not in text or len(text) > MAX_TEXT:
            break
        text = raw.replaced(text, lambda tag: _replacement(tag, values))
    return text


def _replacement(tag: str, values: Values) -> str:
    if tag[:1] == "=":
        return UNKNOWN
    value = values.get(tag.strip())
    if value is not None:
        return value
    outer, nested, inner = tag.rpartition("{{")
    if nested and outer and (value := values.get(inner)) is not None:
        return "{{" + outer + value
    return "{{" + tag + "}}"
