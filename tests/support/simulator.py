"""A world for the engine: a machine, a clock and tasks that end as a script says. No process, no store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from syncd.argo import status
from syncd.argo.manifest import Body, Key
from syncd.base.errors import NotFound
from syncd.base.yamltext import Document, documents
from syncd.engine import admit
from syncd.engine.actions import StartTask, StopTask
from syncd.engine.machine import Machine
from syncd.engine.observations import (
    Admitted,
    Observation,
    Operation,
    TaskFinished,
    TaskStarted,
    Tick,
    decode,
    encode,
)

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class End:
    """How a task ends. hangs: not before it is stopped."""

    phase: str = status.SUCCEEDED
    exit_code: int | None = 0
    outputs: dict[str, Any] = field(default_factory=dict)
    message: str = ""
    hangs: bool = False


def load_one(text: str) -> Body:
    """The first document of a YAML text."""
    first = next(iter(documents(text)))
    assert isinstance(first, Document), first
    body: Body = first.value
    return body


Script = Callable[[StartTask], End]


def succeed(task: StartTask) -> End:
    """Every declared output parameter holds its own name."""
    declared = (task.template.get("outputs") or {}).get("parameters") or ()
    artifacts = (task.template.get("outputs") or {}).get("artifacts") or ()
    outputs: dict[str, Any] = {
        "parameters": [{"name": p["name"], "value": p["name"]} for p in declared],
        "artifacts": [{"name": a["name"], "s3": {"key": f"{task.pod_name}/{a['name']}"}} for a in artifacts],
    }
    if task.capture_result:
        outputs["result"] = f"result of {task.node_name}"
    return End(outputs=outputs)


def fail(code: int = 1) -> End:
    return End(status.FAILED, code, message=f"main: Error (exit code {code})")


class World:
    """Runs one workflow. Every step is journalled, so that `replayed` can be compared."""

    def __init__(
        self,
        workflow: str | Body,
        script: Script = succeed,
        *,
        objects: Mapping[Key, Body] | None = None,
        seconds: float = 1.0,
    ) -> None:
        body = load_one(workflow) if isinstance(workflow, str) else workflow
        metadata = dict(body.get("metadata") or {})
        metadata.setdefault("name", str(metadata.pop("generateName", "wf-")) + "x")
        metadata.setdefault("namespace", "default")
        metadata.setdefault("uid", "11111111-1111-4111-8111-111111111111")
        metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        self.workflow = {**body, "metadata": metadata}
        held = dict(objects or {})

        def lookup(key: Key) -> Body:
            if key not in held:
                raise NotFound(f"{key} not found")
            return held[key]

        self.run = admit.admit(self.workflow, lookup)
        self.machine = Machine(self.workflow, self.run)
        self.script = script
        self.seconds = seconds
        self.now = BEGIN
        self.rows: dict[str, Body] = {}
        self.journal: list[tuple[datetime, list[dict[str, Any]]]] = []
        self.running: dict[str, tuple[StartTask, End]] = {}
        self.started: list[StartTask] = []
        self.most_running = 0
        self.wake_at: datetime | None = None

    def feed(self, *observations: Observation) -> None:
        self.journal.append((self.now, [encode(o) for o in observations]))
        advance = self.machine.advance(self.now, observations)
        self.wake_at = advance.wake_at
        self.rows.update(advance.nodes)
        for action in advance.actions:
            if isinstance(action, StartTask):
                self.started.append(action)
                self.running[action.task_id] = (action, self.script(action))
            elif isinstance(action, StopTask) and action.task_id in self.running:
                task, _ = self.running[action.task_id]
                self.running[action.task_id] = (task, End(status.FAILED, 143, message="main: Error (exit code 143)"))
        self.most_running = max(self.most_running, len(self.running))

    def play(self, limit: int = 100_000) -> World:
        """Until the workflow has ended, or nothing more happens by itself."""
        if not self.journal:
            self.feed(Admitted())
        for _ in range(limit):
            if self.machine.finished:
                return self
            ready = [(identity, task, end) for identity, (task, end) in self.running.items() if not end.hangs]
            if ready:
                identity, _task, end = ready[0]
                self.now += timedelta(seconds=self.seconds)
                del self.running[identity]
                started = self.now - timedelta(seconds=self.seconds)
                self.feed(
                    TaskStarted(identity, started, "test"),
                    TaskFinished(identity, self.now, end.phase, end.message, end.exit_code, started, dict(end.outputs)),
                )
            elif self.wake_at is not None:
                self.now = max(self.now, self.wake_at)
                self.feed(Tick())
            else:
                return self
        raise AssertionError("the workflow does not end")

    def ask(self, verb: str, **arguments: Any) -> None:
        self.feed(Operation(verb, "tester", arguments))

    def replayed(self) -> tuple[dict[str, Body], Machine]:
        """The rows and the machine that replaying the journal gives."""
        machine = Machine(self.workflow, self.run)
        rows: dict[str, Body] = {}
        for now, observations in self.journal:
            rows.update(machine.advance(now, [decode(o) for o in observations]).nodes)
        return rows, machine

    @property
    def phase(self) -> str:
        return str(self.machine.workflow_status.get("phase"))

    @property
    def message(self) -> str:
        return str(self.machine.workflow_status.get("message") or "")

    @property
    def nodes(self) -> dict[str, Body]:
        return status.assemble(self.rows)

    def by_display_name(self) -> dict[str, Body]:
        return {node["displayName"]: node for node in self.nodes.values()}

    def phases(self) -> dict[str, str]:
        """Display name → phase, without groups."""
        return {node["displayName"]: node["phase"] for node in self.nodes.values() if node["type"] != status.STEP_GROUP}
