"""The lint of a whole source, kept up to date: work is proportional to what changed, not to the size of the source.

In: the manifests of files that changed, the names of files that are gone, what decode found wrong. Out: all problems, all
manifests, and the keys that changed. A manifest is judged again when its file changed, or when a key that its last lint looked
up (found or not) changed. Called by `loops.sync` and `cli lint`.

Law: the problems are those of a workspace that was given the same files at once. Nothing here depends on the order of updates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from syncd.argo.manifest import Body, Key, Manifest
from syncd.base.problems import Problem
from syncd.validate import lint
from syncd.validate.catalog import ANY, TEMPLATE_KINDS, WORKFLOW_KINDS, Catalog, Entry, View
from syncd.validate.profile import DEFAULT, Profile

_Slot = tuple[str, int]
"""A manifest's place: its file, and its index among the manifests of that file."""


class Workspace:
    """See the module. live: objects that are not in the source but can be referred to; see `live_changed`."""

    def __init__(self, profile: Profile = DEFAULT, live: Mapping[Key, Body] | None = None) -> None:
        self._profile = profile
        self._live: dict[Key, Body] = dict(live or {})
        self._catalog = Catalog((), self._live)
        self._files: dict[str, tuple[Manifest, ...]] = {}
        self._slots: dict[Key, list[_Slot]] = {}
        self._manifests: dict[Key, Manifest] = {}
        self._decoded: dict[str, tuple[Problem, ...]] = {}
        self._problems: dict[_Slot, list[Problem]] = {}
        self._twice: dict[Key, list[Problem]] = {}
        self._asked: dict[_Slot, set[Key]] = {}
        self._askers: dict[Key, set[_Slot]] = {}
        self._sorted: list[Problem] | None = []
        self.touched: set[Key] = set()

    def update(
        self,
        changed: Mapping[str, Sequence[Manifest]],
        removed: Iterable[str] = (),
        decode_problems: Mapping[str, Sequence[Problem]] | None = None,
    ) -> None:
        """Take over new contents.

        changed: file → all its manifests (none is a file without objects); removed: files that are gone;
        decode_problems: file → what could not be read, for files in `changed`. `touched` is then the set of keys of which
        the manifests or the problems changed in this update.
        """
        gone = set(removed) - set(changed)
        keys: set[Key] = set()
        dirty: set[_Slot] = set()
        for file in (*gone, *changed):
            keys |= self._forget(file)
        for file in changed:
            manifests = tuple(changed[file])
            if manifests:
                self._files[file] = manifests
            for index, manifest in enumerate(manifests):
                keys.add(manifest.key)
                self._slots.setdefault(manifest.key, []).append((file, index))
                dirty.add((file, index))
            if found := tuple((decode_problems or {}).get(file, ())):
                self._decoded[file] = found
        self._judge(keys, dirty)

    def live_changed(self, objects: Mapping[Key, Body | None]) -> None:
        """Objects beside the source came, changed or went (None). Only templates matter; others are left out."""
        keys: set[Key] = set()
        for key, body in objects.items():
            if key.kind not in TEMPLATE_KINDS:
                continue
            keys.add(key)
            if body is None:
                self._live.pop(key, None)
            else:
                self._live[key] = body
        self._judge(keys, set(), names_too=True)

    def problems(self) -> list[Problem]:
        """Everything that is wrong now, sorted by place."""
        if self._sorted is None:
            found = [problem for problems in self._decoded.values() for problem in problems]
            found += (problem for problems in self._problems.values() for problem in problems)
            found += (problem for problems in self._twice.values() for problem in problems)
            self._sorted = sorted(found)
        return list(self._sorted)

    def manifests(self) -> Mapping[Key, Manifest]:
        """The manifest of each key, a view that follows later updates; of a key declared twice, the first by file and place."""
        return MappingProxyType(self._manifests)

    def _manifest(self, slot: _Slot) -> Manifest:
        return self._files[slot[0]][slot[1]]

    def _forget(self, file: str) -> set[Key]:
        """Drop a file; the keys that it declared."""
        keys: set[Key] = set()
        self._decoded.pop(file, None)
        for index, manifest in enumerate(self._files.pop(file, ())):
            slot = (file, index)
            keys.add(manifest.key)
            slots = self._slots[manifest.key]
            slots.remove(slot)
            if not slots:
                del self._slots[manifest.key]
            self._problems.pop(slot, None)
            for asked in self._asked.pop(slot, ()):
                self._leave(asked, slot)
        return keys

    def _leave(self, asked: Key, slot: _Slot) -> None:
        askers = self._askers[asked]
        askers.discard(slot)
        if not askers:
            del self._askers[asked]

    def _judge(self, keys: set[Key], dirty: set[_Slot], names_too: bool = False) -> None:
        """Lint what is dirty, and whoever asked about one of the keys; then say which keys that touched.

        names_too: a key may have come or gone without the source saying so.
        """
        self._sorted = None
        entries: dict[_Slot, Entry] = {}
        for key in keys:
            slots = self._slots.get(key)
            known = self._catalog.get(key) is not None
            if slots:
                first = min(slots)
                manifest = self._manifests[key] = self._manifest(first)
                if key.kind in WORKFLOW_KINDS:
                    entries[first] = Entry(key, manifest.body)
                    self._catalog.put(entries[first])
            else:
                self._manifests.pop(key, None)
                self._catalog.drop(key)
            dirty |= self._askers.get(key, set())
            if names_too or known != (self._catalog.get(key) is not None):
                dirty |= self._askers.get(Key(key.kind, key.namespace, ANY), set())
        touched, read = set(keys), set(keys)
        for slot in sorted(dirty):
            manifest = self._manifest(slot)
            view = View(self._catalog)
            before = self._problems.get(slot, [])
            found = lint.lint_one(manifest, view, self._profile, entries.get(slot))
            if found:
                self._problems[slot] = found
            else:
                self._problems.pop(slot, None)
            if found != before:
                touched.add(manifest.key)
            self._remember(slot, view.looked_up)
            read |= view.looked_up
        for key in keys:
            self._duplicates(key)
        self._catalog.rest(read)
        self.touched = touched

    def _remember(self, slot: _Slot, asked: set[Key]) -> None:
        before = self._asked.get(slot, set())
        for key in before - asked:
            self._leave(key, slot)
        for key in asked - before:
            self._askers.setdefault(key, set()).add(slot)
        if asked:
            self._asked[slot] = asked
        else:
            self._asked.pop(slot, None)

    def _duplicates(self, key: Key) -> None:
        """Judge anew whether a key is declared twice."""
        slots = self._slots.get(key, [])
        same = [self._manifest(slot) for slot in sorted(slots)]
        if len(same) > 1 and (found := lint.declared_twice(same, self._profile)):
            self._twice[key] = found
        else:
            self._twice.pop(key, None)
