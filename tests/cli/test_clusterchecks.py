"""What doctor asks of permissions is what the chart grants."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from syncd.cli import clusterchecks

RULES = Path(__file__).resolve().parents[2] / "charts" / "syncd" / "templates" / "_rules.tpl"


def granted(section: str) -> set[tuple[str, str, str]]:
    """(group, resource, verb) that a section of the chart's rules gives, with everything that its values can switch on."""
    text = re.search(rf'define "syncd.rules.{section}" -}}}}(.*?){{{{- end -}}}}\n\n', RULES.read_text(), re.DOTALL)
    assert text is not None, section
    body = "\n".join(line for line in text[1].splitlines() if not line.startswith("{{"))
    body = re.sub(r"\{\{.*?\}\}", "x", body)
    return {
        (group, resource, verb)
        for rule in yaml.safe_load(body) or ()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_doctor_asks_for_what_the_chart_grants() -> None:
    asked: dict[bool, set[tuple[str, str, str]]] = {True: set(), False: set()}
    for need in clusterchecks.NEEDS:
        asked[need.own] |= {(need.group, need.resource, verb) for verb in need.verbs}
    events = granted("events")
    assert asked[True] == granted("own") | events
    work = {one for one in granted("work") if one[1] != "secrets"}
    assert asked[False] == work | events
