"""What a local path is: a git work tree (or a folder of one), a bare repository, or a plain directory. Reads names only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Local:
    """A path, looked at. repository: what git fetches from, None = no repository; folder: the path inside it, "" = all
    of it; bare: without work tree; watched: directories where a commit leaves its trace."""

    path: Path
    repository: Path | None = None
    folder: str = ""
    bare: bool = False
    watched: tuple[Path, ...] = ()


def look(path: str) -> Local:
    """What is at `path`; relative ones belong to the current directory. A path that is not there is no repository."""
    here = Path(path).expanduser().resolve()
    if _is_repository(here) and here.name != ".git":
        return Local(here, here, "", True, (here, here / "refs" / "heads"))
    for top in (here, *here.parents):
        inside = _git_directory(top / ".git")
        if inside is not None:
            folder = here.relative_to(top).as_posix()
            shared = _common(inside)
            watched = tuple(dict.fromkeys((inside, shared, shared / "refs" / "heads")))
            return Local(here, top, "" if folder == "." else folder, False, watched)
    return Local(here)


def _is_repository(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def _git_directory(path: Path) -> Path | None:
    """Of a `.git`, which in a linked work tree is a file that names it."""
    if path.is_dir():
        return path if (path / "HEAD").exists() else None
    try:
        if not path.is_file() or path.stat().st_size > 4096:
            return None
        text = path.read_text(errors="replace")
    except OSError:
        return None
    if not text.startswith("gitdir: "):
        return None
    found = (path.parent / text.removeprefix("gitdir: ").strip()).resolve()
    return found if (found / "HEAD").exists() else None


def _common(inside: Path) -> Path:
    try:
        return (inside / (inside / "commondir").read_text().strip()).resolve()
    except OSError:
        return inside
