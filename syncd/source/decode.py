"""The bytes of one file in, its manifests, problems and what was ignored out. Pure; called by `loops.sync` and `lint`.

Repositories are full of YAML that is not for us (CI files, Helm values, kustomizations): what is not ours is listed with
its reason and never an error. A file that cannot be read is a Problem only where it could have been ours.
Two manifests with one key are no matter of a single file: `validate` sees them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from syncd.argo import labels
from syncd.argo.manifest import Body, Key, Manifest, Origin, Path, key_of, path_text
from syncd.base import yamltext
from syncd.base.problems import Place, Problem, Severity


@dataclass(frozen=True, slots=True)
class Options:
    """What a source may bring. namespace: for manifests without one; kinds, namespaces: allowed ones, None = all;
    source, revision: written into every manifest's origin."""

    namespace: str = "default"
    secrets: bool = False
    kinds: frozenset[str] | None = None
    namespaces: frozenset[str] | None = None
    source: str = ""
    revision: str = ""
    limits: yamltext.Limits = field(default_factory=yamltext.Limits)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file, read. ignored: (`file` or `file:line`, reason) of everything in it that is not ours."""

    manifests: tuple[Manifest, ...] = ()
    problems: tuple[Problem, ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()


def decode(path: str, data: bytes, options: Options | None = None) -> Decoded:
    """Read the file `path` (posix, relative to the source). Never raises; all problems, in order of their places.

    >>> d = decode("a.yaml", b"apiVersion: argoproj.io/v1alpha1\\nkind: Workflow\\nmetadata: {name: a}\\n---\\nb: 1\\n")
    >>> str(d.manifests[0].key), d.ignored
    ('Workflow/default/a', (('a.yaml:5', 'no apiVersion'),))
    """
    reading = _Reading(path, options or Options())
    number = 0
    for found in yamltext.documents(data, limits=reading.options.limits):
        if isinstance(found, yamltext.Fault):
            reading.fault(found, data)
        else:
            reading.document(found, number)
        number += 1
    if number == 0:
        reading.ignored.append((path, "empty"))
    return Decoded(tuple(reading.manifests), tuple(reading.problems), tuple(reading.ignored))


_OURS: Final = re.compile(
    rb"argoproj\.io/|batch/v1\b|^[ \t]*(?:-[ \t]+)?[\"']?kind[\"']?[ \t]*:[ \t]*[\"']?(?:"
    + "|".join(labels.API_VERSION_OF).encode()
    + rb")\b",
    re.MULTILINE,
)
_TEMPLATE: Final = re.compile(
    rb"^[ \t]*(?:\{%|\{\{-?[ \t]*(?:if|else|end|range|with|define|include|template|block|toYaml|/\*|[.$]))",
    re.MULTILINE,
)


def could_be_ours(data: bytes) -> bool:
    """Whether a text that cannot be read was meant as a manifest of ours: it names our API groups or kinds, and is no
    template of Helm or Jinja.

    >>> could_be_ours(b"kind: Workflow\\n a"), could_be_ours(b"kind: Deployment\\n a")
    (True, False)
    """
    return _OURS.search(data) is not None and _TEMPLATE.search(data) is None


_ITEM: Final = re.compile(rb"^([ ]*)-[ ]+name[ ]*:")
_BODY: Final = re.compile(
    rb"^([ ]*)(container|script|steps|dag|suspend|resource|http|inputs|outputs|retryStrategy|volumes)[ ]*:"
)


def lost_indentation(data: bytes, before: int) -> tuple[int, int, str, int] | None:
    """Where a tutorial's text has lost its indentation: (line, column, key, line of the item) of the first field of a
    template that stands as far left as the dash of its `- name:`. before: only lines above this one count.

    >>> lost_indentation(b"  - name: a\\n  container:\\n", 3)
    (2, 3, 'container', 1)
    """
    item: tuple[int, int] | None = None
    for number, line in enumerate(data.splitlines()[: max(before, 0)], 1):
        if (found := _ITEM.match(line)) is not None:
            item = (len(found[1]), number)
        elif item is not None and (found := _BODY.match(line)) is not None and len(found[1]) == item[0]:
            return number, item[0] + 1, found[2].decode(), item[1]
    return None


_OTHER_ARGO_KINDS: Final = frozenset(
    [
        "AnalysisRun",
        "AnalysisTemplate",
        "AppProject",
        "Application",
        "ApplicationSet",
        "ClusterAnalysisTemplate",
        "EventBus",
        "EventSource",
        "Experiment",
        "Rollout",
        "Sensor",
        "WorkflowArtifactGCTask",
        "WorkflowEventBinding",
        "WorkflowTaskResult",
        "WorkflowTaskSet",
    ]
)
_ARGO_KINDS: Final = tuple(kind for kind, version in labels.API_VERSION_OF.items() if version == labels.ARGO_API)
_GENERATED: Final = frozenset({labels.WORKFLOW, labels.JOB})


class _Within(Mapping[Path, tuple[int, int]]):
    """The marks of an item of a List, as if it stood alone."""

    __slots__ = ("_marks", "_prefix")

    def __init__(self, marks: Mapping[Path, tuple[int, int]], prefix: Path) -> None:
        self._marks = marks
        self._prefix = prefix

    def __getitem__(self, path: Path) -> tuple[int, int]:
        return self._marks[self._prefix + path]

    def __iter__(self) -> Iterator[Path]:
        cut = len(self._prefix)
        return (path[cut:] for path in self._marks if path[:cut] == self._prefix)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Reading:
    """One call of `decode`: what it has found so far."""

    def __init__(self, path: str, options: Options) -> None:
        self.path = path
        self.options = options
        self.manifests: list[Manifest] = []
        self.problems: list[Problem] = []
        self.ignored: list[tuple[str, str]] = []

    def fault(self, fault: yamltext.Fault, data: bytes) -> None:
        """A piece of the file that could not be read."""
        if could_be_ours(data):
            lost = lost_indentation(data, fault.line) if fault.code == "V101" else None
            if lost is not None:
                line, column, key, item = lost
                self.problems.append(
                    Problem(
                        Place(self.path, line, column),
                        "V101",
                        f"{key}: stands beside the `- name:` of line {item}, outside of the template that begins there",
                        remedy=f"indent it, and what is below it, by two more, so that it is under that `- name:`; "
                        f"because of it line {fault.line} cannot be read",
                    )
                )
                return
            place = Place(self.path, fault.line, fault.column)
            self.problems.append(
                Problem(place, fault.code, fault.message, path=path_text(fault.path), remedy=fault.remedy)
            )
        elif _TEMPLATE.search(data) is not None:
            self._ignore(fault.line, "text of a template (Helm, Jinja), YAML only once it is rendered")
        else:
            self._ignore(fault.line, f"not read: {fault.message}")

    def document(self, document: yamltext.Document, number: int) -> None:
        """A document of the file."""
        origin = Origin(self.path, document.line, document.column, number, self.options.source, self.options.revision)
        key = self._object(document.value, origin, document.marks)
        if key is not None:
            for fault in document.faults:
                place = Place(self.path, fault.line, fault.column)
                text = path_text(fault.path)
                self.problems.append(
                    Problem(place, fault.code, fault.message, object=key, path=text, remedy=fault.remedy)
                )

    def _ignore(self, line: int, reason: str) -> None:
        self.ignored.append((f"{self.path}:{line}" if line > 1 else self.path, reason))

    def _object(self, body: Any, origin: Origin, marks: Mapping[Path, tuple[int, int]]) -> str | None:
        """Take one object in. Answers its key as text, "" for a list of objects, None where it is not ours."""
        if not isinstance(body, dict):
            self._ignore(origin.line, "not a mapping")
            return None
        kind, version = body.get("kind"), body.get("apiVersion")
        if not isinstance(kind, str) or not kind:
            self._ignore(origin.line, "no kind" if version else "no apiVersion")
            return None
        ours = labels.API_VERSION_OF.get(kind)
        if not isinstance(version, str) or not version:
            hint = f" (for a {kind}: {ours})" if ours else ""
            self._ignore(origin.line, f"no apiVersion{hint}")
            return None
        if kind.endswith("List") and isinstance(body.get("items"), list):
            return self._list(body, kind.removesuffix("List"), origin, marks)
        if ours is None or ours != version:
            self._foreign(kind, version, ours, origin, marks)
            return None
        return self._ours(kind, body, origin, marks)

    def _list(self, body: Body, kind: str, origin: Origin, marks: Mapping[Path, tuple[int, int]]) -> str | None:
        before = len(self.manifests) + len(self.problems)
        for index, item in enumerate(body["items"]):
            inside: Path = ("items", index)
            line, column = marks.get(inside, (origin.line, origin.column))
            if kind and isinstance(item, dict) and "kind" not in item:
                item = {"apiVersion": body["apiVersion"], "kind": kind, **item}
            where = Origin(origin.file, line, column, origin.document, origin.source, origin.revision)
            self._object(item, where, _Within(marks, inside))
        return "" if len(self.manifests) + len(self.problems) > before else None

    def _foreign(
        self, kind: str, version: str, ours: str | None, origin: Origin, marks: Mapping[Path, tuple[int, int]]
    ) -> None:
        """A kind or version that is not ours; a Problem where it was meant to be."""
        if ours == labels.ARGO_API and version.startswith("argoproj.io/"):
            message = f"{kind} has no version {yamltext.shown(version)}"
            self._problem(marks, origin, ("apiVersion",), "V112", message, f"write {labels.ARGO_API}")
            return
        if ours is None and version == labels.ARGO_API and kind not in _OTHER_ARGO_KINDS:
            lower = {known.lower(): known for known in _ARGO_KINDS}
            near = difflib.get_close_matches(kind.lower(), lower, n=1, cutoff=0.85)
            if near:
                message = f"kind {yamltext.shown(kind)} is not known"
                self._problem(marks, origin, ("kind",), "V113", message, f"write {lower[near[0]]}")
                return
        if ours is not None and version.startswith("batch/"):
            self._ignore(origin.line, f"{kind} of {version}; syncd reads {ours}")
            return
        self._ignore(origin.line, f"other kind: {version[:80]} {kind[:80]}")

    def _problem(
        self,
        marks: Mapping[Path, tuple[int, int]],
        origin: Origin,
        path: Path,
        code: str,
        message: str,
        remedy: str,
        key: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        line, column = marks.get(path) or marks.get(path[:-1]) or (origin.line, origin.column)
        place = Place(self.path, line, column)
        self.problems.append(Problem(place, code, message, severity, key, path_text(path), remedy))

    def _ours(self, kind: str, body: Body, origin: Origin, marks: Mapping[Path, tuple[int, int]]) -> str | None:
        options = self.options
        metadata = body.get("metadata")
        if metadata is None:
            metadata = {}
        if not isinstance(metadata, dict):
            self._problem(
                marks, origin, ("metadata",), "V110", f"metadata of the {kind} is not a mapping", "give it a name"
            )
            return ""
        key = self._key(kind, body, metadata, origin, marks)
        if key is None:
            return ""
        if kind == labels.SECRET and not options.secrets:
            message = "Secret is not applied: the source may not bring Secrets"
            remedy = "take it out of git, or allow it with secrets: true on the source"
            self._problem(marks, origin, (), "V109", message, remedy, str(key), Severity.WARNING)
            return ""
        if options.kinds is not None and kind not in options.kinds:
            remedy = f"allowed: {', '.join(sorted(options.kinds))}"
            self._problem(marks, origin, ("kind",), "V111", f"the source may not bring a {kind}", remedy, str(key))
            return ""
        if options.namespaces is not None and key.namespace not in options.namespaces:
            remedy = f"allowed: {', '.join(sorted(options.namespaces))}"
            target = f"namespace {yamltext.shown(key.namespace)}" if key.namespace else "what has no namespace"
            message = f"the source may not write to {target}"
            self._problem(marks, origin, ("metadata", "namespace"), "V114", message, remedy, str(key))
            return ""
        self.manifests.append(Manifest(key, body, origin, marks))
        return str(key)

    def _key(
        self, kind: str, body: Body, metadata: Body, origin: Origin, marks: Mapping[Path, tuple[int, int]]
    ) -> Key | None:
        bad = False
        for name in ("name", "generateName", "namespace"):
            value = metadata.get(name)
            if value is not None and not isinstance(value, str):
                message = f"metadata.{name} of the {kind} is {_WORDS.get(type(value), 'not text')}"
                self._problem(marks, origin, ("metadata", name), "V110", message, "quote it")
                bad = True
        if bad:
            return None
        if not metadata.get("name") and not (kind in _GENERATED and metadata.get("generateName")):
            lost = body.get("name") or body.get("generateName")
            if isinstance(lost, str) and lost:
                # its indentation is gone (`name:` beside `metadata:`): lint says of every field where it belongs
                return replace(key_of(body, self.options.namespace), name=lost)
            remedy = "add metadata.name"
            if metadata.get("generateName"):
                remedy = f"write metadata.name instead of generateName: a {kind} in git needs a fixed name"
            self._problem(marks, origin, ("metadata",), "V108", f"{kind} without a name", remedy)
            return None
        return key_of(body, self.options.namespace)


_WORDS: Final[dict[type, str]] = {
    int: "a number",
    float: "a number",
    bool: "a boolean",
    dict: "a mapping",
    list: "a list",
}
