"""The catalogue of variables knows Argo's names, and where they are known."""

from __future__ import annotations

import pytest

from syncd.expr import variables
from syncd.expr.variables import CATALOGUE, SCOPES, in_scope


def test_the_catalogue_is_sound() -> None:
    names = [row.name for row in CATALOGUE]
    assert len(names) == len(set(names))
    for row in CATALOGUE:
        assert row.scopes
        assert row.scopes <= SCOPES
        assert row.type in {"string", "json", "map", "int", "time", "artifact"}
        assert row.meaning == row.meaning.strip()
        assert row in variables.find(row.name.replace("<", "").replace(">", ""))


@pytest.mark.parametrize(
    ("name", "scope", "known"),
    [
        ("workflow.name", "workflow", True),
        ("workflow.parameters.a", "workflow", True),
        ("workflow.labels.app.kubernetes.io/name", "workflow", True),
        ("workflow.nothing", "workflow", False),
        ("workflow.status", "workflow", False),
        ("workflow.status", "exit", True),
        ("steps.a.outputs.parameters.b", "steps", True),
        ("steps.a.outputs.parameters.b", "dag", False),
        ("step.a.outputs.result", "steps", False),
        ("tasks.a.exitCode", "dag", True),
        ("item", "loop", True),
        ("item.os.name", "loop", True),
        ("item", "template", False),
        ("inputs.parameters.x", "template", True),
        ("inputs.artifacts.x.path", "pod", True),
        ("inputs.artifacts.x.path", "steps", False),
        ("lastRetry.exitCode", "retry", True),
        ("cronworkflow.lastScheduledTime", "cron", True),
        ("", "workflow", False),
        ("workflow.", "workflow", False),
    ],
)
def test_in_scope(name: str, scope: str, known: bool) -> None:
    assert in_scope(name, frozenset([scope])) is known
