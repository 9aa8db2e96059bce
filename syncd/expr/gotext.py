"""Values as Go writes them: `%v` of fmt, JSON of encoding/json; and JSON read as Go reads it. Called by the rest of `expr`."""

from __future__ import annotations

import base64
import json
import math
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final

from syncd.base import units
from syncd.expr.values import LONGEST_TEXT, EvaluationProblem, kind, plain


def float_text(number: float) -> str:
    """Go's %v of a float.

    >>> [float_text(x) for x in (1.0, 0.1, 123456.0, 1234567.0, 1e-5, -0.0)]
    ['1', '0.1', '123456', '1.234567e+06', '1e-05', '-0']
    """
    return _shortest(number, -4, 6, pad=True)


def _shortest(number: float, low: int, high: int, pad: bool) -> str:
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(number)).as_tuple()
    assert isinstance(exponent, int)
    shown = "".join(map(str, digits)).rstrip("0") or "0"
    point = len(digits) + exponent  # digits before the decimal point
    prefix = "-" if sign else ""
    if number == 0:
        return prefix + "0"
    if point - 1 < low or point - 1 >= high:
        mantissa = shown[0] + ("." + shown[1:] if len(shown) > 1 else "")
        power_ = point - 1
        return f"{prefix}{mantissa}e{'-' if power_ < 0 else '+'}{abs(power_):0{2 if pad else 1}d}"
    if point <= 0:
        return f"{prefix}0.{'0' * -point}{shown}"
    return prefix + (shown.ljust(point, "0") if len(shown) <= point else f"{shown[:point]}.{shown[point:]}")


class _Sink:
    """Pieces of text, up to a limit: a list may hold another one so often that its text would fill the world."""

    __slots__ = ("_left", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._left = LONGEST_TEXT

    def add(self, piece: str) -> None:
        self._left -= len(piece) + 8
        if self._left < 0:
            raise EvaluationProblem(f"memory budget exceeded: a text of more than {LONGEST_TEXT} characters")
        self.pieces.append(piece)

    def whole(self) -> str:
        return "".join(self.pieces)


def text(value: Any) -> str:
    """Go's %v: `[1 a <nil>]`, `map[a:1]`, `2024-01-02 00:00:00 +0000 UTC`."""
    if isinstance(value, str):
        return value
    sink = _Sink()
    _text(sink, value)
    return sink.whole()


def _text(sink: _Sink, value: Any) -> None:
    value = plain(value)
    if isinstance(value, str):
        sink.add(value)
    elif value is None:
        sink.add("<nil>")
    elif isinstance(value, bool):
        sink.add("true" if value else "false")
    elif isinstance(value, int):
        sink.add(str(value))
    elif isinstance(value, float):
        sink.add(float_text(value))
    elif isinstance(value, list | tuple | bytes):
        sink.add("[")
        for index, item in enumerate(value):
            if index:
                sink.add(" ")
            _text(sink, item)
        sink.add("]")
    elif isinstance(value, dict):
        sink.add("map[")
        for index, key in enumerate(_keys(value)):
            if index:
                sink.add(" ")
            _text(sink, key)
            sink.add(":")
            _text(sink, value[key])
        sink.add("]")
    elif isinstance(value, datetime):
        offset = value.strftime("%z")
        fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
        sink.add(f"{value:%Y-%m-%d %H:%M:%S}{fraction} {offset[:5]} {value.tzname() or offset}")
    elif isinstance(value, timedelta):
        sink.add(units.go_duration(value))
    else:
        sink.add(str(value))


def _keys(value: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=lambda key: (kind(key), str(key)))


_HTML: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"},
)


def json_text(value: Any, *, html: bool = True, indent: str = "") -> str:
    """Go's json.Marshal: keys sorted, no spaces, `<`, `>` and `&` escaped unless told not to.

    indent: what to indent by, "" = one line. Raises EvaluationProblem for what JSON cannot hold (NaN, infinity).

    >>> json_text({"b": 1.0, "a": ["<", None, 1e-7]})
    '{"a":["\\\\u003c",null,1e-7],"b":1}'
    """
    sink = _Sink()
    _json(sink, value, html, indent, "\n" if indent else "")
    return sink.whole()


def _json(sink: _Sink, value: Any, html: bool, indent: str, line: str) -> None:
    value = plain(value)
    if isinstance(value, dict):
        inner = line + indent
        for index, key in enumerate(_keys(value)):
            sink.add(("," if index else "{") + inner)
            _json(sink, key if isinstance(key, str) else text(key), html, "", "")
            sink.add(": " if indent else ":")
            _json(sink, value[key], html, indent, inner)
        sink.add(line + "}" if value else "{}")
    elif isinstance(value, list | tuple):
        inner = line + indent
        for index, item in enumerate(value):
            sink.add(("," if index else "[") + inner)
            _json(sink, item, html, indent, inner)
        sink.add(line + "]" if value else "[]")
    else:
        sink.add(_json_scalar(value, html))


def _json_scalar(value: Any, html: bool) -> str:
    if isinstance(value, str):
        quoted = json.dumps(value, ensure_ascii=False)
        return quoted.translate(_HTML) if html else quoted
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EvaluationProblem(f"json: unsupported value: {float_text(value)}")
        return _shortest(value, -6, 21, pad=False)
    if isinstance(value, bytes):
        return '"' + base64.b64encode(value).decode() + '"'
    if isinstance(value, datetime):
        fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
        zone = value.strftime("%z")
        return f'"{value:%Y-%m-%dT%H:%M:%S}{fraction}{zone[:3] + ":" + zone[3:5] if value.utcoffset() else "Z"}"'
    if isinstance(value, timedelta):
        return str(((value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds) * 1000)
    if isinstance(value, tzinfo):
        return "{}"
    if isinstance(value, date):  # YAML's own
        return f'"{value.isoformat()}"'
    raise EvaluationProblem(f"json: unsupported type: {type(value).__name__}")


def from_json(source: str) -> Any:
    """A JSON value as Go reads it into `any`: every number is a float."""
    try:
        return json.loads(source, parse_int=_float, parse_float=_float, parse_constant=_constant)
    except (ValueError, RecursionError):
        raise EvaluationProblem(f"invalid JSON: {_json_complaint(source)}") from None


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(digits)
    return number


def _constant(name: str) -> Any:
    raise ValueError(name)


def _json_complaint(source: str) -> str:
    if not source.strip():
        return "unexpected end of JSON input"
    try:
        json.loads(source)
    except json.JSONDecodeError as error:
        if error.pos >= len(source):
            return "unexpected end of JSON input"
        return f"invalid character '{source[error.pos]}' at position {error.pos}"
    except (ValueError, RecursionError):
        pass
    return "a number out of range, or nested too deeply"
