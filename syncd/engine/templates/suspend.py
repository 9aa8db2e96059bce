"""A suspend template: waits for a person, or for its duration. Source: Argo v4.1.2 operator.go executeSuspend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.argo import status, template
from syncd.base import units
from syncd.base.errors import Invalid
from syncd.engine.frames import Frame


class SuspendFrame(Frame):
    """Running until resumed, timed out or interrupted."""

    kind = status.SUSPEND

    def begin(self) -> None:
        self._offer_choices()
        self.node.outputs = self._supplied()
        self.node.progress = "0/1"
        self.machine.waiting[self.node.id] = self
        if self.invocation.call is not None:
            # nobody works here: the place in the boundary is free for others
            self.machine.gate.leave(self.invocation.call)
        duration = (self.template.get("suspend") or {}).get("duration")
        if duration in (None, ""):
            return
        try:
            until = self.node.started_at + units.parse_duration_or_seconds(template.any_string(duration))
        except (Invalid, ValueError) as error:
            self._leave(status.ERROR, f"suspend.duration: {error}")
            return
        self.machine.at(until, self.resume)

    def _offer_choices(self) -> None:
        """An input whose value is JSON with an `enum` is a question: its choices, and the first as default."""
        for parameter in (self.node.inputs or {}).get("parameters") or ():
            try:
                asked = template.read_json(str(parameter.get("value")))
            except Invalid:
                continue
            choices = asked.get("enum") if isinstance(asked, Mapping) else None
            if isinstance(choices, list) and choices:
                parameter["enum"] = choices
                parameter.setdefault("default", choices[0])

    def _supplied(self) -> dict[str, Any] | None:
        parameters = []
        for declared in template.parameters(self.template.get("outputs")):
            source = declared.get("valueFrom") or {}
            if source.get("supplied") is None:
                continue
            if source.get("default") is None:
                given = status.parameter((self.template.get("inputs") or {}).get("parameters"), declared["name"])
                if given is not None and given.get("default") is not None:
                    declared["valueFrom"] = {**source, "default": given["default"]}
            parameters.append(declared)
        return {"parameters": parameters} if parameters else None

    @property
    def asked(self) -> list[str]:
        """Names of the outputs that a person may supply."""
        return [str(parameter["name"]) for parameter in (self.node.outputs or {}).get("parameters") or ()]

    def lacks(self, values: Mapping[str, str]) -> list[str]:
        """Names of the outputs that have no value, no default and none in `values`: with them it cannot go on."""
        return [
            str(parameter["name"])
            for parameter in (self.node.outputs or {}).get("parameters") or ()
            if parameter.get("value") is None
            and (parameter.get("valueFrom") or {}).get("default") is None
            and parameter["name"] not in values
        ]

    def supply(self, values: Mapping[str, str], message: str = "") -> None:
        """Values that a person gives for the outputs, and a word about them. Names that are not asked for are passed over."""
        if values:
            held = (self.node.outputs or {}).get("parameters") or ()
            supplied = []
            for parameter in held:
                if parameter["name"] in values:
                    parameter = {k: v for k, v in parameter.items() if k != "valueFrom"}
                    parameter["value"] = values[parameter["name"]]
                supplied.append(parameter)
            if supplied:
                self.node.outputs = {**(self.node.outputs or {}), "parameters": supplied}
        if message:
            self.node.message = message
        self.machine.nodes.touch(self.node)

    def resume(self) -> None:
        """Go on: outputs that were not supplied take their default. Source: Argo OverrideOutputParametersWithDefault."""
        if self.node.fulfilled:
            return
        filled = []
        for parameter in (self.node.outputs or {}).get("parameters") or ():
            source = parameter.get("valueFrom")
            if parameter.get("value") is None and source is not None:
                if source.get("default") is None:
                    self._leave(
                        status.ERROR,
                        f"raw output parameter '{parameter['name']}' has not been set and does not have a default value",
                    )
                    return
                parameter = {k: v for k, v in parameter.items() if k != "valueFrom"}
                parameter["value"] = template.any_string(source["default"])
            filled.append(parameter)
        if filled:
            self.node.outputs = {"parameters": filled}
        self._leave(status.SUCCEEDED)

    def settle(self, phase: str, message: str) -> None:
        """A person decides how it ends (`node set --phase`)."""
        if phase == status.SUCCEEDED:
            self.node.message = message
            self.resume()
        else:
            self._leave(phase, message)

    def interrupt(self, message: str) -> None:
        self._leave(status.FAILED, message)

    def _leave(self, phase: str, message: str = "") -> None:
        self.machine.waiting.pop(self.node.id, None)
        if phase == status.SUCCEEDED:
            self.machine.set_progress(self.node, "1/1")
        self.finish(phase, message or self.node.message)
