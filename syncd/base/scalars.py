"""What an unquoted word of YAML means, as Kubernetes resolves it. Text in, JSON value out; `base.yamltext` calls it.

Source: sigs.k8s.io/yaml goyaml.v2/resolve.go and yaml.go (keys), then encoding/json, which writes 1.0 as 1.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from typing import Any, Final

NOT_JSON: Final = object()
"""The answer for a word that has no JSON value."""

HINTS: Final = frozenset("0123456789+-.yYnNtTfFoO~") | {""}
"""First characters of the words that may be something else than text."""

_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((f"{sign}.{word}" for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")), NOT_JSON),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), NOT_JSON),
}
_INTEGER: Final = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)\Z")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_DATE: Final = re.compile(r"[0-9]{4}-")
_LONGEST: Final = 400


def resolve(text: str) -> Any:
    """The value of an unquoted word; NOT_JSON for infinities and not-a-number.

    >>> [resolve(t) for t in ("yes", "12:30", "2026-01-02", "1e3", "08", "0o10", "010", "-0x1F", "1_000", "=", "")]
    [True, '12:30', '2026-01-02', 1000, 8, 8, 8, -31, 1000, '=', None]
    """
    if text in _WORDS:
        return _WORDS[text]
    first = text[:1]
    if first not in "0123456789+-." or len(text) > _LONGEST or _DATE.match(text):
        return text
    word = text if first == "." else text.replace("_", "")
    if first != "." and _INTEGER.match(word):
        return _integer(word)
    if _FLOAT.match(word):
        value = float(word)
        return text if math.isinf(value) else plain_number(value)
    return text


def _integer(word: str) -> int | float:
    sign, digits = (-1, word[1:]) if word[0] == "-" else (1, word.lstrip("+"))
    base = {"x": 16, "b": 2, "o": 8}.get(digits[1:2].lower()) if digits[0] == "0" else 10
    if base is None:
        base = 8
    value = sign * int(digits[2:] if digits[1:2] in tuple("xXbBoO") else digits, base)
    # beyond 64 bits JSON numbers are read as floating point
    return value if -(2**63) <= value < 2**64 else float(value)


def plain_number(value: float) -> int | float:
    """As it comes back from JSON: a whole number is an integer where Go writes it without an exponent.

    >>> plain_number(8.0), plain_number(0.5), plain_number(1e21)
    (8, 0.5, 1e+21)
    """
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


_TAG: Final = "tag:yaml.org,2002:"


def resolve_tagged(tag: str, text: str) -> Any:
    """The value of a word with an explicit tag; a tag that nobody knows leaves the text; NOT_JSON: it does not fit.

    >>> resolve_tagged("tag:yaml.org,2002:str", "1"), resolve_tagged("tag:yaml.org,2002:int", "1"), resolve_tagged("!Ref", "x")
    ('1', 1, 'x')
    """
    if tag == _TAG + "binary":
        try:
            return base64.b64decode("".join(text.split()), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return NOT_JSON
    wanted = _KINDS.get(tag.removeprefix(_TAG)) if tag.startswith(_TAG) else None
    if wanted is None:
        return text
    value = resolve(text)
    fits = value is not NOT_JSON and type(value) in wanted
    return value if fits else NOT_JSON


_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "null": (type(None),),
}


def key_text(value: Any) -> str | None:
    """The text that a key becomes; None for what cannot be a key.

    >>> [key_text(v) for v in ("a", True, 8, 1.5, 1e30, None)]
    ['a', 'true', '8', '1.5', '1e+30', None]
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _single(value)
    return None


def _single(value: float) -> str:
    """Go's FormatFloat(value, 'g', -1, 32): the fewest digits that give the same 32-bit number."""
    try:
        wanted = struct.pack("f", value)
    except OverflowError:
        return "+Inf" if value > 0 else "-Inf"
    digits = next((p for p in range(17) if struct.pack("f", float(f"{value:.{p}e}")) == wanted), 17)
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    if -4 <= int(exponent) < 21:
        return f"{value:.{max(digits - int(exponent), 0)}f}"
    return f"{mantissa}e{int(exponent):+03d}"
