"""Refs of a repository: what to ask a remote, and which commit its answer means. Text in, values out; no process here.

Called by `source.git` and by git artifacts, with `Door.run("ls-remote", …)` between `questions` and `resolve`.
The order where several names fit: commit > name > semver > tag > branch, as Flux takes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from syncd.base.errors import ConfigError
from syncd.config.model import Ref
from syncd.vcs import versions

COMMIT: Final = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_SHORT: Final = re.compile(r"[0-9a-f]{7,39}\Z")
_BAD: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.lock(?:/|\Z)|/\.|\A[-./]|[./]\Z|\A@\Z")


@dataclass(frozen=True, slots=True)
class Advertised:
    """What a remote says it has. head: full name of the ref behind HEAD, "" = detached or not said; refs: full name →
    commit (of an annotated tag: what it points to)."""

    head: str = ""
    refs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A commit, and how it was found. shown: for people and Revision.ref; refname: to fetch it by, "" = by commit only."""

    shown: str
    commit: str
    refname: str = ""


def check(name: str) -> str:
    """The name, if git would take it as the name of a ref. Raises ConfigError. Source: git-check-ref-format(1).

    >>> check("feature/x")
    'feature/x'
    """
    if not name or len(name) > 500 or _BAD.search(name) or not name.isprintable():
        shown = "".join(c if c.isprintable() else "?" for c in name[:60])
        raise ConfigError(f'"{shown}" is not the name of a branch, tag or ref')
    return name


def questions(ref: Ref) -> list[str]:
    """The patterns for ls-remote, which all begin with `HEAD` or `refs/`; [] where nothing needs to be asked.

    >>> questions(Ref()), questions(Ref(branch="dev")), questions(Ref(commit="a" * 40))
    (['HEAD'], ['refs/heads/dev'], [])
    """
    if pinned(ref):
        return []
    if ref.name or ref.text.startswith("refs/"):
        name = check(ref.name or ref.text)
        if not name.startswith("refs/") and name != "HEAD":
            raise ConfigError(f'"{name}" is not a full ref name; write it as refs/…, or use branch or tag')
        return [name, name + "^{}"]
    if ref.semver:
        return ["refs/tags/*"]
    if ref.tag:
        return [f"refs/tags/{check(ref.tag)}", f"refs/tags/{ref.tag}^{{}}"]
    if ref.branch:
        return [f"refs/heads/{check(ref.branch)}"]
    if ref.text and ref.text != "HEAD":
        text = check(ref.text)
        return [f"refs/tags/{text}", f"refs/tags/{text}^{{}}", f"refs/heads/{text}"]
    return ["HEAD"]


def pinned(ref: Ref) -> str:
    """The commit that the ref names itself; "" where only the remote knows."""
    if ref.commit:
        return ref.commit
    return ref.text if COMMIT.match(ref.text) else ""


def parse(output: bytes) -> Advertised:
    """The answer of `ls-remote --symref`. Lines that are none are left out."""
    head = ""
    refs: dict[str, str] = {}
    for line in output.decode("utf-8", "replace").split("\n"):
        first, tab, name = line.partition("\t")
        if not tab:
            continue
        if first.startswith("ref: "):
            if name == "HEAD":
                head = first[5:]
        elif COMMIT.match(first):
            if name.endswith("^{}"):
                refs[name[:-3]] = first
            else:
                refs.setdefault(name, first)
    return Advertised(head, refs)


def resolve(ref: Ref, advertised: Advertised) -> Resolved:
    """The commit that `ref` means. Raises ConfigError where the remote has nothing of that name."""
    if commit := pinned(ref):
        return Resolved("commit", commit)
    refs = advertised.refs
    if ref.name or ref.text.startswith("refs/"):
        name = ref.name or ref.text
        if name in refs:
            return Resolved(name, refs[name], name)
        raise ConfigError(f'the remote has no ref "{name}"; check `ref`')
    if ref.semver:
        return _by_version(ref.semver, refs)
    wanted = ref.tag or ref.branch or ("" if ref.text == "HEAD" else ref.text)
    if not wanted:
        if "HEAD" not in refs:
            raise ConfigError("the repository has no commit yet; commit something, or name a branch as `ref`")
        name = advertised.head or "HEAD"
        return Resolved(name.removeprefix("refs/heads/"), refs["HEAD"], name)
    spaces = [("tag", "refs/tags/")] * (not ref.branch) + [("branch", "refs/heads/")] * (not ref.tag)
    for _, prefix in spaces:
        if prefix + wanted in refs:
            return Resolved(wanted, refs[prefix + wanted], prefix + wanted)
    kinds = " or ".join(kind for kind, _ in spaces)
    hint = "; a commit is written in full, 40 digits" if _SHORT.match(wanted) else "; check `ref`"
    raise ConfigError(f'the remote has no {kinds} "{wanted}"{hint}')


def _by_version(text: str, refs: Mapping[str, str]) -> Resolved:
    tags = [name.removeprefix("refs/tags/") for name in refs if name.startswith("refs/tags/")]
    try:
        tag = versions.highest(text, tags)
    except ValueError as wrong:
        raise ConfigError(f"ref.semver: {wrong}") from None
    if tag is None:
        raise ConfigError(f'none of the {len(tags)} tags of the remote is a version in "{text}"; check `ref`')
    return Resolved(tag, refs[f"refs/tags/{tag}"], f"refs/tags/{tag}")
