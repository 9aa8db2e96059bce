"""The rules as a page for people: `docs/rules.md` is made of this.

In: the rows of other rooms (`source.faults`), which know codes of their own. Out: Markdown. Called by the command that makes
the documentation, and by a test that it is fresh.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from syncd.validate.codes import CODES

_HEAD: Final = """\
# Rules

What `syncd lint` says, by code. An **error** holds the source back, a **warning** is only said. "Argo" tells whether the
validator of Argo Workflows v4.1 refuses it, too (`yes`), or lets it pass until the run fails (`no`).
This page is generated; the table is `syncd/validate/codes.py`.

| code | what | severity | Argo | what it means | what to do | example |
|---|---|---|---|---|---|---|
"""


def markdown(others: Mapping[str, tuple[str, str, str]] | None = None) -> str:
    """The page. others: code → (title, meaning, remedy) of rules that are kept elsewhere; they are errors of reading."""
    rows: dict[str, tuple[str, str, str, str, str, str]] = {}
    for code, (title, meaning, remedy) in (others or {}).items():
        rows[code] = (title, "error", "yes", meaning, remedy, "")
    for code, rule in CODES.items():
        argo = "yes" if rule.argo else "no"
        rows[code] = (rule.title, str(rule.severity), argo, rule.meaning, rule.remedy, f"`{rule.example}`")
    lines = [f"| {code} | {' | '.join(_cell(cell) for cell in rows[code])} |" for code in sorted(rows)]
    return _HEAD + "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("\n", " ⏎ ").replace("|", "\\|")
