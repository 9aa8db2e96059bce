"""What a tree of files says about its files before any is read: candidates, and those that are somebody else's.

Paths in, verdicts out; pure. Called by `source.git` and `source.directory`.
Helm charts and kustomizations are not rendered: a chart's files and a kustomization's patches are left out, by name.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from syncd.base import yamltext

EXTENSIONS: Final = (".yaml", ".yml", ".json")
KUSTOMIZATIONS: Final = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})
CHARTS: Final = frozenset({"Chart.yaml", "Chart.yml"})


def pattern(glob: str) -> re.Pattern[str]:
    """A glob over posix paths: `*` and `?` stay within a name, `**` does not; without `/` it means a name at any depth;
    what it matches includes everything below.

    >>> [bool(pattern("ci/*.yaml").match(p)) for p in ("ci/a.yaml", "ci/b/a.yaml", "x/ci/a.yaml")]
    [True, False, False]
    >>> [bool(pattern("test").match(p)) for p in ("test/a.yaml", "b/test/c/d.json", "tests/a.yaml")]
    [True, True, False]
    """
    glob = glob.removeprefix("./")
    anchored = "/" in glob.rstrip("/")
    glob = glob.strip("/")
    out = ""
    index = 0
    while index < len(glob):
        character = glob[index]
        if glob.startswith("**/", index):
            out += "(?:[^/]+/)*"
            index += 3
            continue
        if glob.startswith("**", index):
            out += ".*"
            index += 2
            continue
        if character == "*":
            out += "[^/]*"
        elif character == "?":
            out += "[^/]"
        elif character == "[" and (end := glob.find("]", index + 2)) > 0:
            inside = glob[index + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out += "(?!/)[" + ("^" + inside[1:] if inside.startswith("!") else inside) + "]"
            index = end
        else:
            out += re.escape(character)
        index += 1
    return re.compile(("" if anchored else "(?:.*/)?") + out + r"(?:/.*)?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files of a tree are candidates. include: globs, () = every YAML and JSON file; exclude: globs, they win."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    _include: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)
    _exclude: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_include", tuple(pattern(glob) for glob in self.include))
        object.__setattr__(self, "_exclude", tuple(pattern(glob) for glob in self.exclude))

    def speaks(self, path: str) -> bool:
        """Whether the file tells about others: it has to be known even where it is no candidate."""
        name = posixpath.basename(path)
        return name in KUSTOMIZATIONS or name in CHARTS

    def wants(self, path: str) -> bool:
        """Whether the file is a candidate."""
        if self._include:
            wanted = any(p.match(path) for p in self._include)
        else:
            wanted = path.endswith(EXTENSIONS)
        return wanted and not any(p.match(path) for p in self._exclude)


def patches(path: str, data: bytes, limits: yamltext.Limits | None = None) -> frozenset[str]:
    """The paths that the kustomization `path` uses as patches and settings, not as resources. Unreadable: none.

    >>> sorted(patches("a/kustomization.yaml", b"patches: [{path: ../p.yaml}]\\npatchesStrategicMerge: [q.yaml]\\n"))
    ['a/q.yaml', 'p.yaml']
    """
    names: list[object] = []
    for found in yamltext.documents(data, limits=limits):
        if not isinstance(found, yamltext.Document) or not isinstance(found.value, dict):
            continue
        for field_name in _PATCH_FIELDS:
            entries = found.value.get(field_name)
            if isinstance(entries, list):
                names.extend(entry.get("path") if isinstance(entry, dict) else entry for entry in entries)
    here = posixpath.dirname(path)
    return frozenset(
        posixpath.normpath(posixpath.join(here, name))
        for name in names
        if isinstance(name, str) and 0 < len(name) < 4096 and "\n" not in name
    )


_PATCH_FIELDS: Final = (
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
    "replacements",
    "configurations",
    "transformers",
    "generators",
    "validators",
)


def ruled_out(paths: Iterable[str], patched: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """Path → why, of all `paths` that are known not to be manifests of ours. patched: kustomization → its patches.

    >>> ruled_out(["c/Chart.yaml", "c/templates/a.yaml", "b.yaml"], {})["c/templates/a.yaml"]
    'below c/Chart.yaml: Helm charts are not rendered'
    """
    known = list(paths)
    charts = {posixpath.dirname(path): path for path in known if posixpath.basename(path) in CHARTS}
    used = {patch: kustomization for kustomization, names in sorted(patched.items()) for patch in names}
    out: dict[str, str] = {}
    inside: dict[str, str] = {}  # directory → the Chart.yaml above it, "" = none
    for path in known:
        if charts and (chart := _chart(posixpath.dirname(path), charts, inside)):
            out[path] = f"below {chart}: Helm charts are not rendered"
        elif path in used:
            out[path] = f"a patch of {used[path]}: kustomizations are not rendered"
        elif posixpath.basename(path) in KUSTOMIZATIONS:
            out[path] = "a kustomization: not rendered"
    return out


def _chart(directory: str, charts: Mapping[str, str], inside: dict[str, str]) -> str:
    """The Chart.yaml in the directory or nearest above it, "" = none. A loop: a hostile path is 2,000 levels deep."""
    climbed = []
    found = ""
    while True:
        if directory in inside:
            found = inside[directory]
            break
        climbed.append(directory)
        found = charts.get(directory, "")
        if found or not directory:
            break
        directory = posixpath.dirname(directory)
    inside.update(dict.fromkeys(climbed, found))
    return found
