"""The top of a run: the entrypoint, then the exit handler, then the verdict.

Source: Argo v4.1.2 operator.go operate.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from syncd.argo import status, template
from syncd.base.clock import rfc3339
from syncd.base.errors import Invalid
from syncd.engine import arguments as arguments_
from syncd.engine.frames import Invocation, Owner
from syncd.engine.nodes import Node
from syncd.engine.scope import Chain, Live

if TYPE_CHECKING:
    from syncd.engine.machine import Machine

_ENTRY = "entry"
_EXIT = "exit"


class Root(Owner):
    """Owns the entrypoint's call and the exit handler's."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._main: Node | None = None  # None: the entrypoint has not ended

    def begin(self) -> None:
        machine = self.machine
        try:
            machine.prepare_spec()
        except Invalid as error:
            machine.start()
            machine.end(status.FAILED, f"invalid spec: {error}")
            return
        machine.start()
        machine.call(
            Invocation(
                name=machine.name,
                holder={"template": machine.spec.get("entrypoint")},
                scope=machine.library.local_scope,
                arguments=machine.spec.get("arguments") or {},
                owner=self,
                key=_ENTRY,
                boundary=None,
                parents=[],
            )
        )

    def child_done(self, key: Any, node: Node) -> None:
        if key == _EXIT:
            self._conclude(node)
            return
        self._main = node
        machine = self.machine
        machine.values["workflow.status"] = self._phase(node)
        machine.values["workflow.failures"] = json.dumps(template.compact(self._failures()), ensure_ascii=False)
        hook = template.exit_hook(machine.spec, machine.spec.get("arguments"))
        if hook is None or machine.shutdown == "Terminate":
            self._conclude(None)
            return
        try:
            around = Chain(machine.variables, Live(machine.artifacts))
            given = arguments_.exit_arguments(hook, around, machine.lots("onExit"))
        except Invalid as error:
            machine.end(status.ERROR, f"error in exit template execution : {error}")
            return
        machine.call(
            Invocation(
                name=f"{machine.name}.onExit",
                holder={k: v for k, v in hook.items() if k in ("template", "templateRef")},
                scope=machine.library.local_scope,
                arguments=given,
                owner=self,
                key=_EXIT,
                boundary=None,
                parents=[],
                on_exit=True,
                flag={"hooked": True},
            )
        )

    def child_broken(self, key: Any, node: Node, message: str) -> None:
        where = "error in entry template execution" if key == _ENTRY else "error in exit template execution "
        self.machine.end(status.ERROR, f"{where}: {message}")

    @staticmethod
    def _phase(node: Node) -> str:
        return status.SUCCEEDED if node.phase in (status.SKIPPED, status.OMITTED) else node.phase

    def _failures(self) -> list[dict[str, Any]]:
        machine = self.machine
        return [
            {
                "displayName": node.display_name,
                "message": node.message,
                "templateName": _template_of(node),
                "phase": node.phase,
                "podName": machine.pod_name(node.name, _template_of(node)),
                "finishedAt": rfc3339(node.finished_at) if node.finished_at else None,
            }
            for node in machine.nodes
            if node.unsuccessful
        ]

    def _conclude(self, exit_node: Node | None) -> None:
        main = self._main
        assert main is not None
        machine = self.machine
        phase, message = self._phase(main), main.message
        if main.unsuccessful and machine.shutdown:
            message = f"Stopped with strategy '{machine.shutdown}'"
        if phase == status.SUCCEEDED:
            message = ""
            if exit_node is not None and exit_node.unsuccessful:
                phase, message = exit_node.phase, exit_node.message
        machine.end(phase, message)

    def interrupt(self, message: str, everything: bool) -> None:
        """Shutdown or deadline: what waits for a person or a time ends now."""
        for frame in list(self.machine.waiting.values()):
            if everything or not frame.node.on_exit:
                frame.interrupt(message)


def _template_of(node: Node) -> str:
    if node.template_ref:
        return str(node.template_ref.get("template") or "")
    return node.template_name
