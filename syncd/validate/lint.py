"""lint(manifests, catalog, profile) → problems: everything that is wrong with them, before anything runs.

In: manifests as `source.decode` made them, the catalog of what can be referred to, the profile. Out: all problems, sorted by
place, the same whatever the order of the manifests. Pure and total: it never raises, whatever the bodies are.
Called by `workspace` (incrementally), `cli lint` and `server` (submissions). The rules are in `rules/`, their codes in `codes`.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncd.argo import labels
from syncd.argo.fields import ROOTS
from syncd.argo.manifest import Key, Manifest
from syncd.base.problems import Problem
from syncd.validate import raw, spec
from syncd.validate.catalog import WORKFLOW_KINDS, Catalog, Entry, View
from syncd.validate.profile import DEFAULT, Profile
from syncd.validate.report import Report
from syncd.validate.rules import cron, jobs, names, structure


def lint(manifests: Sequence[Manifest], catalog: Catalog, profile: Profile = DEFAULT) -> list[Problem]:
    """Every problem of these manifests, sorted.

    catalog: holds the manifests themselves, too, where they may refer to each other. A manifest of a kind that is not ours
    has no problems. Never raises.
    """
    problems = duplicates(manifests, profile)
    for manifest in manifests:
        problems += lint_one(manifest, View(catalog), profile)
    return sorted(problems)


def lint_one(manifest: Manifest, view: View, profile: Profile = DEFAULT, entry: Entry | None = None) -> list[Problem]:
    """The problems of one manifest by itself and by what it refers to; `view.looked_up` says what that was.

    entry: the manifest's own, where the caller has it (a reading of its templates is kept in it).
    """
    if manifest.key.kind not in ROOTS:
        return []
    report = Report(manifest, profile)
    body = structure.check(manifest, report)
    names.check_object(manifest, report)
    if manifest.key.kind in WORKFLOW_KINDS:
        if manifest.key.kind == labels.CRON_WORKFLOW:
            cron.check(manifest, report)
        if entry is None or entry.body is not body:
            entry = Entry(manifest.key, body)
        spec.check(entry, view, report)
    else:
        jobs.check(manifest, report)
    return report.problems


def duplicates(manifests: Sequence[Manifest], profile: Profile) -> list[Problem]:
    """A problem for each manifest whose key another one declares as well."""
    by_key: dict[Key, list[Manifest]] = {}
    for manifest in manifests:
        by_key.setdefault(manifest.key, []).append(manifest)
    return [problem for same in by_key.values() if len(same) > 1 for problem in declared_twice(same, profile)]


def declared_twice(same: Sequence[Manifest], profile: Profile) -> list[Problem]:
    """One problem per manifest of a key, each pointing at another place. An object with generateName has no name to clash."""
    key = same[0].key
    named = [manifest for manifest in same if raw.text(raw.mapping(manifest.body.get("metadata")).get("name"))]
    if len(named) < 2:
        return []
    places = sorted(manifest.place() for manifest in named)
    problems: list[Problem] = []
    for manifest in named:
        other = next((place for place in places if place != manifest.place()), places[0])
        report = Report(manifest, profile)
        report.add("V212", ("metadata", "name"), f"{key} is declared more than once", f"the other is at {other}")
        problems += report.problems
    return problems
