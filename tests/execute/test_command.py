"""Command lines, environments and verdicts, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.base.errors import Invalid, NotFound
from syncd.execute import command, verdict
from syncd.execute.command import KeyLookup
from syncd.execute.runtime import Ended

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("$(A)", "1"),
        ("x$(A)$(B)y", "x12y"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(NONE)", "$(NONE)"),
        ("$(A", "$(A"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(C)", "$(A)"),  # what a value holds is not expanded again
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert command.expand(text, {"A": "1", "B": "2", "C": "$(A)"}) == expected


@given(st.text().filter(lambda text: "$" not in text), st.dictionaries(st.text(min_size=1), st.text()))
def test_text_without_a_dollar_stays(text: str, variables: dict[str, str]) -> None:
    """expand(t, v) == t for every t without `$`."""
    assert command.expand(text, variables) == text


def secrets(name: str) -> Mapping[str, str]:
    if name != "s":
        raise NotFound(f"secret {name!r} not found")
    return {"k": "hidden"}


def lookup() -> KeyLookup:
    return KeyLookup({"c": {"k": "v", "l": "w"}}, secrets)


ENVIRONMENTS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "values": ({"env": [{"name": "A", "value": "1"}]}, {"A": "1"}),
    "no value is empty": ({"env": [{"name": "A"}]}, {"A": ""}),
    "numbers and booleans as text": (
        {"env": [{"name": "A", "value": 1}, {"name": "B", "value": True}]},
        {"A": "1", "B": "true"},
    ),
    "earlier ones are seen": (
        {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"}]},
        {"A": "1", "B": "12"},
    ),
    "later ones are not": (
        {"env": [{"name": "B", "value": "$(A)"}, {"name": "A", "value": "1"}]},
        {"A": "1", "B": "$(A)"},
    ),
    "env wins over envFrom": (
        {"env": [{"name": "k", "value": "own"}], "envFrom": [{"configMapRef": {"name": "c"}}]},
        {"k": "own", "l": "w"},
    ),
    "a prefix": ({"envFrom": [{"prefix": "P_", "configMapRef": {"name": "c"}}]}, {"P_k": "v", "P_l": "w"}),
    "an optional map that is absent": ({"envFrom": [{"configMapRef": {"name": "x", "optional": True}}]}, {}),
    "an optional key that is absent": (
        {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "x", "optional": True}}}]},
        {},
    ),
    "a field": ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}, {"A": "pod"}),
}


@pytest.mark.parametrize(("container", "expected"), ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())
def test_environment(container: dict[str, Any], expected: dict[str, str]) -> None:
    assert command.environment(container, {}, lookup(), {"metadata.name": "pod"}) == expected


@pytest.mark.parametrize(
    "container",
    [
        {"env": [{"name": "", "value": "1"}]},
        {"env": [{"name": "A=B", "value": "1"}]},
        {"env": [{"name": "A", "value": "a\0b"}]},
        {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "x"}}}]},
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x", "key": "k"}}}]},
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]},
        {"env": [{"name": "A", "valueFrom": {}}]},
        {"envFrom": [{"secretRef": {"name": "x"}}]},
    ],
    ids=str,
)
def test_an_environment_that_cannot_be(container: dict[str, Any]) -> None:
    with pytest.raises((Invalid, NotFound)):
        command.environment(container, {}, lookup(), {})


def test_secrets_that_were_handed_out_are_remembered() -> None:
    found = lookup()
    command.environment(
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}, {}, found, {}
    )
    assert found.used == ["hidden"]


@pytest.mark.parametrize(
    ("container", "entrypoint", "expected"),
    [
        ({"command": ["a"], "args": ["b"]}, None, ["a", "b"]),
        ({"command": ["a"], "args": ["b"]}, ("e",), ["a", "b"]),
        ({"args": ["b"]}, ("e", "f"), ["e", "f", "b"]),
        ({"command": ["sh"], "source": "x"}, None, ["sh", command.SCRIPT_PATH]),
        ({"command": ["sh"], "args": ["-x"], "source": "x"}, None, ["sh", "-x", command.SCRIPT_PATH]),
        ({"command": ["$(V)"], "args": [1, True]}, None, ["value", "1", "true"]),
    ],
)
def test_argv(container: dict[str, Any], entrypoint: tuple[str, ...] | None, expected: list[str]) -> None:
    assert command.argv(container, {"V": "value"}, entrypoint) == expected


@pytest.mark.parametrize(
    ("ended", "container", "late", "stopped", "expected"),
    [
        (Ended(0), "main", False, "", ("Succeeded", "")),
        (Ended(0), "main", True, "why", ("Succeeded", "")),
        (Ended(1), "main", False, "", ("Failed", "main: Error (exit code 1)")),
        (Ended(1), "main", True, "", ("Failed", "main: Error (exit code 1)")),
        (Ended(124), "main", False, "", ("Failed", "main: Error (exit code 124)")),
        (Ended(124), "main", True, "", ("Failed", verdict.DEADLINE)),
        (Ended(137), "main", True, "", ("Failed", verdict.DEADLINE)),
        (Ended(143), "main", False, "why", ("Failed", "main: Error (exit code 143): why")),
        (Ended(2), "one", False, "", ("Error", "one: Error (exit code 2)")),
        (Ended(124), "one", True, "", ("Failed", verdict.DEADLINE)),
        (Ended(None, "broken"), "main", False, "", ("Error", "main: broken")),
        (Ended(None, verdict.LOST), "main", False, "", ("Error", f"main: {verdict.LOST}")),
        (Ended(None, verdict.LOST), "main", False, "why", ("Failed", "main: why")),
    ],
)
def test_verdicts(ended: Ended, container: str, late: bool, stopped: str, expected: tuple[str, str]) -> None:
    deadline = NOON - timedelta(seconds=1) if late else NOON + timedelta(hours=1)
    assert verdict.judge(ended, container, NOON, deadline, stopped) == expected
