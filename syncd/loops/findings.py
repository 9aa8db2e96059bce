"""What the last look at each object found worth telling, until the next look at it: refusals, hands, what is being deleted.

In: plans, and the keys that they are of. Out: problems for the API, lines for the condition, keys to look at again. Owned by one
`loops.sync.SyncLoop`. A plan of a few keys says nothing of the others: what was found of those stands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from syncd.argo.manifest import Key, Manifest
from syncd.base.problems import Problem
from syncd.loops import holding
from syncd.plan import faults
from syncd.plan.plan import Change, Plan, Verb


class Findings:
    """By key. refused: problems of what may not be written, or was not taken by the store; hands: what people hold by hand;
    waiting: what is being deleted, and has to be looked at again."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.refused: dict[Key, Problem] = {}
        self.hands: dict[Key, str] = {}
        self.waiting: dict[Key, str] = {}

    def note(self, plan: Plan, keys: Collection[Key], manifests: Mapping[Key, Manifest], *, full: bool) -> None:
        """What a plan of `keys` found, instead of what was known of these. full: of everything else nothing is true any more."""
        for known in (self.refused, self.hands, self.waiting):
            for key in [key for key in known if full or key in keys]:
                del known[key]
        self.refuse([(change, change.code, change.reason) for change in plan.of(Verb.REFUSE)], manifests)
        for change in plan.of(Verb.KEEP):
            if change.waits:
                self.waiting[change.key] = f"{change.key}: {change.reason}"
            elif change.diff:
                self.hands[change.key] = f"{change.key}: {change.reason}"

    def refuse(self, refused: Sequence[tuple[Change, str, str]], manifests: Mapping[Key, Manifest]) -> None:
        """What is not written. refused: change, code of `plan.faults`, why."""
        problems = holding.refusals(self._source, manifests, refused)
        self.refused |= {change.key: problem for (change, _, _), problem in zip(refused, problems, strict=True)}

    def linger(self, changes: Iterable[Change]) -> None:
        """What was deleted just now, and stays until its finalizers are done."""
        for change in changes:
            names = ", ".join(change.finalizers)
            self.waiting[change.key] = f"{change.key}: being deleted" + (
                f"; waits for finalizers: {names}" if names else ""
            )

    def of(self, key: Key) -> tuple[Problem | None, str, str]:
        """All that is known of one."""
        return self.refused.get(key), self.hands.get(key, ""), self.waiting.get(key, "")

    def code_of(self, key: Key) -> str:
        """Of `plan.faults`, why an object is not written; "" = no such reason is known."""
        problem = self.refused.get(key)
        return "" if problem is None else problem.code

    @property
    def conflicts(self) -> int:
        """How many objects have fields that another manager declares."""
        return sum(problem.code == faults.DECLARED_BY_OTHERS for problem in self.refused.values())
