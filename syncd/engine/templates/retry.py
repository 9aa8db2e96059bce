"""A call with a retryStrategy: a Retry node, and one attempt after another. Source: Argo v4.1.2 operator.go processNodeRetries."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from syncd.argo import status, template
from syncd.argo.manifest import Body
from syncd.base.errors import Invalid
from syncd.engine import arguments, attempts
from syncd.engine.frames import Frame, Invocation
from syncd.engine.limits import Call
from syncd.engine.nodes import Node


class RetryFrame(Frame):
    """Owns its attempts; ends as the last of them, or for the reason that there is no further one."""

    kind = status.RETRY

    def __init__(self, machine: Any, invocation: Invocation, template_: Body, scope: str) -> None:
        super().__init__(machine, invocation, template_, scope)
        self._attempts: list[Node] = []

    def begin(self) -> None:
        self._start_attempt(None)

    def _start_attempt(self, deadline: datetime | None) -> None:
        """Start the next one. Attempts after the first pass the gate again: what waits elsewhere has its turn."""
        machine = self.machine
        number = len(self._attempts)
        name = f"{self.node.name}({number})"
        attempt = replace(
            self.invocation,
            name=name,
            owner=self,
            key=number,
            parents=[self.node.id],
            flag={**(self.invocation.flag or {}), "retried": True},
            attempt=True,
            call=None,
            execution_deadline=deadline,
        )
        if number == 0:
            self._run(attempt)
            return
        machine.gate.ask(
            Call(
                start=lambda: self._run(attempt),
                refuse=lambda reason: self._refused(reason),
                room=None,  # the retried call itself holds the place in its boundary
                on_exit=attempt.on_exit,
            )
        )

    def _run(self, attempt: Invocation) -> None:
        machine = self.machine
        local = {
            **attempts.last_retry(self._attempts),
            "retries": str(len(self._attempts)),
            "node.name": self.node.name,
            **attempt.local,
        }
        if template.kind(self.template) in template.POD_TYPES:
            local["pod.name"] = machine.pod_name(attempt.name, str(self.template.get("name") or ""))
        try:
            lots = machine.lots(attempt.name)
            bound = arguments.substitute(self.template, machine.variables, local, None, lots)
        except Invalid as error:
            machine.broken(attempt, str(error))
            return
        machine.launch(attempt, bound, self.scope)

    def child_done(self, key: Any, node: Node) -> None:
        self._attempts.append(node)
        self._decide()

    def _decide(self) -> None:
        if self.node.fulfilled:
            return
        machine = self.machine
        last = self._attempts[-1]
        machine.waiting.pop(self.node.id, None)
        if last.unsuccessful:
            if machine.shutdown and (machine.shutdown == "Terminate" or not self.node.on_exit):
                self._end(last.phase, f"Stopped with strategy '{machine.shutdown}'")
                return
            if machine.deadline_is_over() and not self.node.on_exit:
                self._end(last.phase, last.message)
                return
        try:
            strategy, lots = (
                machine.retry_strategy(self.template) or {},
                machine.lots(self.node.name, "again", len(self._attempts)),
            )
            decision = attempts.decide(strategy, self._attempts, machine.now, lots)
        except Invalid as error:
            self._end(status.ERROR, str(error))
            return
        if isinstance(decision, attempts.Enough):
            self._end(decision.phase, decision.message)
        elif isinstance(decision, attempts.Wait):
            self.node.message = decision.message
            machine.nodes.touch(self.node)
            machine.waiting[self.node.id] = self
            machine.at(decision.until, self._decide_if_waiting)
        else:
            if self.node.message:
                self.node.message = ""
                machine.nodes.touch(self.node)
            self._start_attempt(decision.deadline)

    def _decide_if_waiting(self) -> None:
        if self.node.id in self.machine.waiting:
            self._decide()

    def _refused(self, reason: str) -> None:
        self._end(self._attempts[-1].phase, reason or self._attempts[-1].message)

    def interrupt(self, message: str) -> None:
        """Shutdown or deadline during a backoff."""
        self.machine.waiting.pop(self.node.id, None)
        self._end(self._attempts[-1].phase, message)

    def _end(self, phase: str, message: str) -> None:
        self.node.outputs = self._attempts[-1].outputs
        self.finish(phase, message)
