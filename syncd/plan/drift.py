"""An object that is not as it was applied: which fields, who changed them, and whether another tool declares them.

In: the live body, the desired one that it was compared with, the paths that differ. Out: a `Drift`; the words of a conflict.
Called by `plan.plan`.

Two kinds of owners are told apart (`plan.owners`). One that has *changed* a field (`kubectl edit`, a script, a controller) is corrected:
git says otherwise. One that *declares* it by server-side apply (Argo CD, Flux, Helm, `kubectl apply --server-side`) will set it again at
its next turn, so that writing it would be a fight without an end: a conflict is shown, and the object is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from syncd.argo import manifest
from syncd.argo.manifest import Path
from syncd.base.clock import rfc3339
from syncd.plan import owners
from syncd.plan.compare import Found
from syncd.plan.owners import Owner

FIELDS_TOLD: Final = 50


@dataclass(frozen=True, slots=True)
class Drift:
    """What became of an object since it was applied. fields: the paths that differ, at most `FIELDS_TOLD`, () = all of it is gone;
    by: the manager that changed one of them last, "" = the store does not say; since: when, None = the store does not say."""

    fields: tuple[str, ...] = ()
    by: str = ""
    since: datetime | None = None

    def __str__(self) -> str:
        """As a reason reads.

        >>> str(Drift(("spec.suspend",))), str(Drift(("spec.suspend",), "kubectl-edit"))
        ('drifted: changed by hand', 'drifted: changed by kubectl-edit')
        """
        since = f" since {rfc3339(self.since)}" if self.since is not None else ""
        return f"drifted: changed by {self.by or 'hand'}{since}"


def told(live: Mapping[str, Any], wanted: Mapping[str, Any], fields: Sequence[Found], *, applied: bool) -> list[Found]:
    """Those of `fields` that somebody has changed, or that git has. applied: this very content was applied before.

    A server fills in defaults, and writes some values in a form of its own (`0.5` cores as `500m`); an admission webhook changes what is
    sent. What only the live object has and nobody owns is the server's; and a field that nobody but our own apply owns is what has
    become of what we sent, as whoever else changes a field owns it from then on. Neither is drift, and to write it again changes
    nothing. A store that knows no owners is believed in every field.
    """
    if not fields or not owners.is_managed(live):
        return list(fields)
    kept = []
    for path, before, after in fields:
        found = owners.of(live, path, wanted)
        others = [owner for owner in found if not (owner.is_ours and owner.declares)]
        if others or (after is not None if not found else not applied):
            kept.append((path, before, after))
    return kept


def of(live: Mapping[str, Any], wanted: Mapping[str, Any], paths: Sequence[Path]) -> Drift:
    """Who changed the fields at `paths`: of several managers the one that wrote last."""
    fields = tuple(manifest.path_text(path) for path in paths[:FIELDS_TOLD])
    hands = [owner for path in paths for owner in owners.of(live, path, wanted) if not owner.is_ours]
    last = max(hands, key=lambda owner: (owner.since is not None, owner.since, owner.manager), default=None)
    return Drift(fields) if last is None else Drift(fields, last.manager, last.since)


def conflict(live: Mapping[str, Any], wanted: Mapping[str, Any], paths: Sequence[Path]) -> str:
    """What of `paths` another manager declares, in words; "" = nothing.

    `spec.suspend is declared by argocd-controller since 2026-01-01T00:00:00Z`, and how many more there are.
    """
    found: list[tuple[Path, Owner]] = []
    for path in paths:
        declaring = [owner for owner in owners.of(live, path, wanted) if owner.declares and not owner.is_ours]
        found += [(path, owner) for owner in declaring[:1]]
    if not found:
        return ""
    path, owner = found[0]
    since = f" since {rfc3339(owner.since)}" if owner.since is not None else ""
    more = f", and so are {len(found) - 1} more fields" if len(found) > 2 else ", and so is one more field"
    return f"{manifest.path_text(path)} is declared by {owner.manager}{since}" + (more if len(found) > 1 else "")
