"""Values of Secrets in embedded mode: files outside git, and how they are kept out of logs.

In: a directory `<namespace>/<secret>/<key>`, or flat `<secret>/<key>` for every namespace; a file is a value, its one
trailing newline not part of it. Out: values for `staging` and the artifact drivers, and `Mask` for `logfiles`.
Names come from manifests and are never used as paths before they were looked at.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from syncd.base.errors import Invalid, NotFound

_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_KEY: Final = re.compile(r"[-A-Za-z0-9_.]+")
_CAP: Final = 1024 * 1024
_SHORTEST: Final = 4
STARS: Final = "******"


class Directory:
    """Secrets of a directory. folder: None = there are none. Read anew at each use: a rotated value is in force at once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self, namespace: str, name: str) -> Mapping[str, str]:
        """All keys of a Secret. Raises NotFound, Invalid. Values that are not UTF-8 keep their bytes as surrogates."""
        if not _NAME.fullmatch(name) or not _NAME.fullmatch(namespace):
            raise Invalid(f"secret name {name!r} is not a name")
        if self._folder is None:
            raise NotFound(f"secret {name!r} not found: no directory of secrets is configured; set secrets.directory")
        for folder in (self._folder / namespace / name, self._folder / name):
            if folder.is_dir():
                return {entry.name: _value(entry) for entry in sorted(folder.iterdir()) if self._is_key(entry)}
        raise NotFound(
            f"secret {name!r} not found in namespace {namespace!r}; put each key into a file {namespace}/{name}/<key> "
            "of the directory of secrets"
        )

    def value(self, namespace: str, name: str, key: str) -> str:
        """One value. Raises NotFound, Invalid."""
        data = self.read(namespace, name)
        try:
            return data[key]
        except KeyError:
            raise NotFound(f"secret {name!r} has no key {key!r}; known: {', '.join(data) or 'none'}") from None

    def values(self) -> list[str]:
        """Every value there is: what may not be seen in a log."""
        if self._folder is None:
            return []
        found = []
        for folder, _, names in os.walk(self._folder):
            found += [_value(Path(folder, name)) for name in names if self._is_key(Path(folder, name))]
        return found

    @staticmethod
    def _is_key(entry: Path) -> bool:
        """Hidden files are editors' leavings and Kubernetes' `..data`."""
        return bool(_KEY.fullmatch(entry.name)) and not entry.name.startswith(".") and entry.is_file()


class Mask:
    """Replaces secret values by stars: whole values, each of their lines, and their base64 forms.

    Values shorter than 4 characters are left: hiding every `a` hides the log. The longest go first.

    >>> Mask(["hunter2!"]).text("password=hunter2! ok")
    'password=****** ok'
    """

    def __init__(self, values: Iterable[str]) -> None:
        words: set[str] = set()
        for value in values:
            words.update(line.strip() for line in (value, *value.splitlines()))
            if len(value) >= _SHORTEST:
                raw = value.encode(errors="surrogateescape")
                words.update((base64.b64encode(raw).decode(), base64.b64encode(raw + b"\n").decode()))
        words = {word for word in words if len(word) >= _SHORTEST}
        self._pattern = (
            re.compile("|".join(re.escape(w) for w in sorted(words, key=len, reverse=True))) if words else None
        )

    def __bool__(self) -> bool:
        """Whether there is anything to hide."""
        return self._pattern is not None

    def text(self, text: str) -> str:
        """`text` without the values."""
        return text if self._pattern is None else self._pattern.sub(STARS, text)


def _value(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_CAP + 1)
    if len(data) > _CAP:
        raise Invalid(f"secret file {path.name} is larger than 1 MiB")
    return data.decode(errors="surrogateescape").removesuffix("\n")
