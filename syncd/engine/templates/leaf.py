"""A container or script template: one task of the executor.

Source: Argo v4.1.2 operator.go executeContainer, executeScript, assessNodeStatus; workflowpod.go for deadlines.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from syncd.argo import status, template
from syncd.argo.manifest import Body
from syncd.base import units
from syncd.base.errors import Invalid
from syncd.engine.actions import StartTask, StopTask
from syncd.engine.frames import DEADLINE, Frame
from syncd.engine.observations import TaskFinished, TaskProgress, TaskStarted


class LeafFrame(Frame):
    """Starts a task and waits for its end."""

    kind = status.POD
    phase = status.PENDING
    task_id = ""
    _stop: StopTask | None = None  # None: nobody wants it to end

    def begin(self) -> None:
        machine, node = self.machine, self.node
        machine.gate.pod_started()
        try:
            deadline = self._deadline()
            active_seconds = self._active_seconds()
            pending_until = self._after("pendingTimeout")
            timeout = self._after("timeout")
        except Invalid as error:
            machine.gate.pod_ended()
            self.finish(status.ERROR, str(error))
            return
        node.progress = "0/1"
        self.task_id = f"{machine.uid}.{node.order}.{machine.epoch}"
        machine.tasks[self.task_id] = self
        machine.act(self._action(deadline, active_seconds))
        if pending_until is not None:
            machine.at(pending_until, lambda: self._give_up("step was pending for longer than its pendingTimeout"))
        if timeout is not None:
            # once it runs, the executor sees to it
            machine.at(timeout, lambda: self._give_up(DEADLINE))

    def _action(self, deadline: datetime | None, active_seconds: float | None) -> StartTask:
        machine, node, invocation = self.machine, self.node, self.invocation
        spec = machine.spec
        return StartTask(
            task_id=self.task_id,
            run_uid=machine.uid,
            run_name=machine.name,
            namespace=machine.namespace,
            node_id=node.id,
            node_name=node.name,
            pod_name=machine.pod_name(node.name, str(self.template.get("name") or "")),
            template_name=str(self.template.get("name") or ""),
            template=self.template,
            deadline=deadline,
            active_seconds=active_seconds,
            capture_result=machine.result_is_read(invocation),
            archive_logs=_flag(
                (self.template.get("archiveLocation") or {}).get("archiveLogs"), spec.get("archiveLogs")
            ),
            volumes=[*(spec.get("volumes") or ()), *self._claims()],
            repository=dict(spec.get("artifactRepositoryRef") or {}),
        )

    def _claims(self) -> list[dict[str, Any]]:
        """Volumes made for this run by volumeClaimTemplates, named as Argo names their claims."""
        names = [
            str((c.get("metadata") or {}).get("name")) for c in self.machine.spec.get("volumeClaimTemplates") or ()
        ]
        return [{"name": name, "persistentVolumeClaim": {"claimName": f"{self.machine.name}-{name}"}} for name in names]

    def _deadline(self) -> datetime | None:
        """The earliest of the workflow's, the template's timeout and the retry's maxDuration; None where none is set."""
        moments = [
            self.machine.deadline if not self.node.on_exit else None,
            self.invocation.execution_deadline,
            self._after("timeout"),
        ]
        known = [moment for moment in moments if moment is not None]
        return min(known) if known else None

    def _after(self, field: str) -> datetime | None:
        """When that time has passed since the node was made; None: the template has no such limit. Raises Invalid."""
        given = self.template.get(field)
        if not given:
            return None
        try:
            return self.node.started_at + units.parse_duration_or_seconds(template.any_string(given))
        except (ValueError, Invalid) as error:
            raise Invalid(f"{field}: {error}") from None

    def _active_seconds(self) -> float | None:
        given = self.template.get("activeDeadlineSeconds")
        if given is None:
            return None
        seconds = template.seconds(given)
        if seconds is None or seconds <= 0:
            raise Invalid(
                f"activeDeadlineSeconds must be a positive integer > 0, not {template.any_string(given)[:100]!r}"
            )
        return float(seconds)

    def observe(self, observation: TaskStarted | TaskFinished | TaskProgress) -> None:
        """What the executor says of the task. Late and repeated ones find the node fulfilled and change nothing."""
        if self.node.fulfilled:
            return
        if isinstance(observation, TaskStarted):
            if self.node.phase == status.PENDING:
                self.node.phase = status.RUNNING
                self.node.host = observation.host
                self.node.message = observation.note
                self.machine.nodes.touch(self.node)
        elif isinstance(observation, TaskProgress):
            self.machine.set_progress(self.node, observation.progress)
        else:
            self._ended(observation)

    def _ended(self, end: TaskFinished) -> None:
        self.machine.tasks.pop(self.task_id, None)
        self.node.outputs = self._outputs(end.outputs, end.exit_code)
        self.machine.gate.pod_ended()
        if end.phase == status.SUCCEEDED:
            # also where it was to be stopped and had done its work before
            self.machine.set_progress(self.node, _whole(self.node.progress))
            self.finish(status.SUCCEEDED, end.message)
        elif self._stop is not None:
            self.finish(status.FAILED, self._stop.reason)
        else:
            self.finish(end.phase, end.message)

    def _outputs(self, captured: Body, exit_code: int | None) -> dict[str, Any] | None:
        outputs = {name: value for name, value in captured.items() if value not in (None, [], {})}
        if exit_code is not None:
            outputs["exitCode"] = str(exit_code)
        declared = self.template.get("outputs") or {}
        for word in ("parameters", "artifacts"):
            if not outputs.get(word):
                continue
            named = {
                item.get("name"): item["globalName"] for item in declared.get(word) or () if item.get("globalName")
            }
            outputs[word] = [
                {**item, "globalName": named[item["name"]]} if item["name"] in named else item for item in outputs[word]
            ]
        return outputs or None

    def stop(self, reason: str, grace_seconds: float = 30.0) -> None:
        """End the task; its node fails with `reason` once the task has ended. Again only where there is less grace."""
        if self.node.fulfilled or (self._stop is not None and self._stop.grace_seconds <= grace_seconds):
            return
        self._stop = StopTask(self.task_id, reason, grace_seconds)
        self.machine.act(self._stop)

    def _give_up(self, reason: str) -> None:
        if self.node.phase == status.PENDING:
            self.stop(reason, 0.0)

    def outstanding(self) -> list[StartTask | StopTask]:
        """What to perform again after a crash."""
        actions: list[StartTask | StopTask] = [self._action(self._deadline(), self._active_seconds())]
        if self._stop is not None:
            actions.append(self._stop)
        return actions


def _whole(progress: str) -> str:
    _, _, count = (progress or "0/1").partition("/")
    return f"{count}/{count}"


def _flag(own: Any, general: Any) -> bool:
    return bool(general if own is None else own)
