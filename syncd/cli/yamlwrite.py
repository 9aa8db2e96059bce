"""JSON values as YAML for people to read: `-o yaml`. Block style, keys in their order, texts plain only where that is safe.

Law: what is written here reads back as the same value (`base.yamltext.documents`). Called by `output`.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+-]+)*\Z")
_WORDS: Final = frozenset(["y", "yes", "n", "no", "true", "false", "on", "off", "null", "nan", "inf"])
"""Plain words that YAML readers take for something else than text, in any case."""

_LINE: Final = re.compile(r"[\x20-\x7e\xa0-\u1fff\u2010-\u2027\u2030-\ud7ff\U00010000-\U0010fffd]*\Z")


def dump(value: Any) -> str:
    """`value` as one YAML document, ended by a line break.

    >>> print(dump({"a": [1, "yes"], "b": {}, "c": "x\\ny\\n"}), end="")
    a:
    - 1
    - "yes"
    b: {}
    c: |
      x
      y
    """
    if isinstance(value, (dict, list)) and value:
        lines: list[str] = []
        _block(value, "", lines)
        return "\n".join(lines) + "\n"
    return _scalar(value, "") + "\n"


def _block(value: Any, indent: str, lines: list[str]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _entry(f"{indent}{_text(str(key))}:", inner, indent, lines)
        return
    for inner in value:
        if isinstance(inner, (dict, list)) and inner:
            below: list[str] = []
            _block(inner, indent + "  ", below)
            below[0] = f"{indent}- {below[0][len(indent) + 2 :]}"
            lines += below
        else:
            lines.append(f"{indent}- {_scalar(inner, indent + '  ')}")


def _entry(head: str, inner: Any, indent: str, lines: list[str]) -> None:
    if isinstance(inner, dict) and inner:
        lines.append(head)
        _block(inner, indent + "  ", lines)
    elif isinstance(inner, list) and inner:
        lines.append(head)
        _block(inner, indent, lines)
    else:
        lines.append(f"{head} {_scalar(inner, indent + '  ')}")


def _scalar(value: Any, indent: str) -> str:
    if isinstance(value, str):
        return _literal(value, indent) or _text(value)
    return json.dumps(value, ensure_ascii=False)


def _text(text: str) -> str:
    if _PLAIN.match(text) and text.lower() not in _WORDS:
        return text
    if _LINE.match(text):
        return json.dumps(text, ensure_ascii=False)
    # ASCII only, so that no line break of YAML's own (U+0085, U+2028) is folded; YAML knows no pairs of surrogates.
    return "".join(json.dumps(c)[1:-1] if c <= "\uffff" else f"\\U{ord(c):08x}" for c in text).join(('"', '"'))


def _literal(text: str, indent: str) -> str:
    """Several lines as a literal block; "" where only a quoted text is safe."""
    if "\n" not in text.rstrip("\n") and not text.endswith("\n"):
        return ""
    body = text.rstrip("\n")
    rows = body.split("\n")
    if not body or rows[0].startswith(" ") or not rows[0] or not all(_LINE.match(row) for row in rows):
        return ""
    ending = len(text) - len(body)
    sign = "-" if ending == 0 else "" if ending == 1 else "+"
    block = "\n".join(f"{indent}{row}" if row else "" for row in rows)
    return f"|{sign}\n{block}" + "\n" * max(0, ending - 1)
