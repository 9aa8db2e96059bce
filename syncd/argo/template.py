"""Reading Argo's Template, Step and Task objects as they stand in JSON: what kind, which limits, which children.

Bodies stay Argo's own JSON in the engine, because `{{…}}` is replaced in them at every level; these functions are the one
place that knows their shape. All are pure and total: a wrong type reads as absent (lint has refused it before).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

from syncd.base.errors import Invalid

Json = dict[str, Any]

POD_TYPES: Final = ("container", "script", "containerSet", "resource", "data")
TYPES: Final = (*POD_TYPES, "steps", "dag", "suspend", "http", "plugin")


def kind(template: Mapping[str, Any]) -> str:
    """The type of a template: the first of TYPES that it has; "" where it has none."""
    for name in TYPES:
        if template.get(name) is not None:
            return name
    return ""


def any_string(value: Any) -> str:
    """The text of a parameter's value as Argo's AnyString reads it from JSON.

    >>> any_string(5), any_string(True), any_string("x"), any_string({"a": 1})
    ('5', 'true', 'x', '{"a":1}')
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return compact(value)


def compact(value: Any) -> str:
    """JSON without spaces, in the order given, as Go's json.Marshal writes what we hand out."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


_DEEPEST = 100  # levels of lists and objects in JSON that a step or a person wrote
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


def read_json(text: str) -> Any:
    """The value of JSON that a step, a person or a manifest wrote; lone surrogates become U+FFFD, as in Go.

    Raises Invalid: no JSON, `NaN`, or nested more than a hundred levels deep.

    >>> read_json('{"a": [1]}')
    {'a': [1]}
    """
    try:
        found = json.loads(text, parse_constant=_no_constant)
        if "\\u" in text or not text.isascii():
            found = _without_surrogates(found)
    except RecursionError:
        raise Invalid("JSON is nested too deeply") from None
    except ValueError as error:
        raise Invalid(str(error)) from None
    if text.count("[") + text.count("{") > _DEEPEST and _deeper(found):
        raise Invalid("JSON is nested too deeply")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _without_surrogates(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return value


def _deeper(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST + 1):
        level = [
            inner
            for one in level
            if isinstance(one, list | dict)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, list | dict)
        ]
        if not level:
            return False
    return True


def number(value: Any) -> int | None:
    """An int-or-string as a number; None where it is absent or not a whole number of at most 18 digits.

    >>> number(" 5 "), number("1_0"), number(True), number(10**30)
    (5, None, None, None)
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value if abs(value) < 10**18 else None
    text = str(value).strip()
    return int(text) if _WHOLE.fullmatch(text) else None


LONGEST_SECONDS: Final = 10**9
"""Some thirty years: what a manifest gives as seconds is cut to that, so that no date runs over."""


def seconds(value: Any) -> int | None:
    """A whole number of seconds that may be added to any date; None as `number`.

    >>> seconds("30"), seconds(10**17), seconds(10**40)
    (30, 1000000000, 1000000000)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        found: int | None = value
    else:
        found = number(value)
    return None if found is None else max(-LONGEST_SECONDS, min(found, LONGEST_SECONDS))


def step_groups(template: Mapping[str, Any]) -> list[list[Json]]:
    """The groups of a steps template. A group may also be written as one mapping (ParallelSteps' short form)."""
    groups: list[list[Json]] = []
    for group in template.get("steps") or ():
        if isinstance(group, Mapping):
            groups.append([dict(group)])
        elif isinstance(group, list):
            groups.append([dict(step) for step in group if isinstance(step, Mapping)])
    return groups


def tasks(template: Mapping[str, Any]) -> list[Json]:
    """The tasks of a DAG template."""
    dag = template.get("dag")
    if not isinstance(dag, Mapping):
        return []
    return [dict(task) for task in dag.get("tasks") or () if isinstance(task, Mapping)]


def children(template: Mapping[str, Any]) -> Iterator[Json]:
    """Every step or task of a template, in order."""
    for group in step_groups(template):
        yield from group
    yield from tasks(template)


def expands(step: Mapping[str, Any]) -> bool:
    """Whether the step or task is a loop. Source: Argo WorkflowStep.ShouldExpand."""
    return bool(step.get("withItems")) or bool(step.get("withParam")) or step.get("withSequence") is not None


def exit_hook(holder: Mapping[str, Any], arguments: Any = None) -> Json | None:
    """The exit hook of a step, task or workflow spec: the older `onExit`, else `hooks.exit`; None where it has none.

    arguments: the workflow's, which a hook without arguments of its own is called with.
    Source: Argo v4.1.2 workflow_types.go DAGTask.GetExitHook, WorkflowSpec.GetExitHook, LifecycleHook.WithArgs.
    """
    if holder.get("onExit"):
        return {"template": holder["onExit"], "arguments": arguments}
    hooks = holder.get("hooks")
    if isinstance(hooks, Mapping) and isinstance(hooks.get("exit"), Mapping):
        own = hooks["exit"].get("arguments") or {}
        bare = not own.get("parameters") and not own.get("artifacts")
        return {**hooks["exit"], "arguments": arguments if bare else own}
    return None


def continues_on(step: Mapping[str, Any], phase: str) -> bool:
    """Whether `continueOn` lets the flow go on although the step ended in `phase`."""
    allowed = step.get("continueOn") or {}
    return (phase == "Failed" and bool(allowed.get("failed"))) or (phase == "Error" and bool(allowed.get("error")))


def parameters(holder: Mapping[str, Any] | None) -> list[Json]:
    """The parameters of inputs, outputs or arguments."""
    return [dict(p) for p in ((holder or {}).get("parameters") or ()) if isinstance(p, Mapping)]


def artifacts(holder: Mapping[str, Any] | None) -> list[Json]:
    """The artifacts of inputs, outputs or arguments."""
    return [dict(a) for a in ((holder or {}).get("artifacts") or ()) if isinstance(a, Mapping)]


LOCATIONS: Final = ("s3", "git", "http", "artifactory", "hdfs", "raw", "oss", "gcs", "azure", "plugin", "local")


def location(artifact: Mapping[str, Any]) -> str:
    """Which kind of location an artifact names; "" where it names none."""
    for name in LOCATIONS:
        if artifact.get(name) is not None:
            return name
    return ""
