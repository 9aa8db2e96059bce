"""What values mean to Go: comparison, arithmetic, text and JSON, over Python's own types. Called by the rest of `expr`.

nil None · bool · int (64 bits, wraps) · float · str · bytes · list · dict · datetime (aware) · timedelta · tzinfo.
Follows expr-lang v1.17.8 vm/runtime, Go's fmt (%v) and encoding/json. Faults raise EvaluationProblem with Go's words.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final

from syncd.base import units
from syncd.base.errors import Invalid
from syncd.expr.environment import View

LONGEST_TEXT: Final = 4_000_000
"""Characters of one text that an expression may make; Argo's objects end at 1.5 MB."""


class EvaluationProblem(Invalid):
    """The expression is well formed, but has no value in this environment."""


_ABSENT: Final = object()
_BITS: Final = 1 << 64
_TOP: Final = (1 << 63) - 1


def wrap(number: int) -> int:
    """As 64 bits hold it."""
    if -_TOP <= number <= _TOP:
        return number
    return (number + _TOP + 1) % _BITS - _TOP - 1


def plain(value: Any) -> Any:
    """A View made whole; anything else as it is."""
    return value.whole() if type(value) is View else value


def kind(value: Any) -> str:
    """nil, bool, int, float, string, bytes, array, map, time, duration or zone."""
    known = _KINDS.get(type(value))
    if known:
        return known
    for type_, name in _KINDS.items():
        if isinstance(value, type_):
            return name
    return "unknown"


_KINDS: Final[dict[type, str]] = {
    type(None): "nil",
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    bytes: "bytes",
    list: "array",
    tuple: "array",
    dict: "map",
    View: "map",
    datetime: "time",
    timedelta: "duration",
    tzinfo: "zone",
}

_GO_NAMES: Final = {
    "nil": "<nil>",
    "float": "float64",
    "bytes": "[]uint8",
    "array": "[]interface {}",
    "map": "map[string]interface {}",
    "time": "time.Time",
    "duration": "time.Duration",
    "zone": "*time.Location",
}


def go_type(value: Any) -> str:
    """Go's %T."""
    name = kind(value)
    return _GO_NAMES.get(name, name)


def is_number(value: Any) -> bool:
    """An int or a float; a bool is neither."""
    return type(value) is int or type(value) is float


def equal(a: Any, b: Any) -> bool:
    """Numbers by value whatever their type, lists and maps by content, everything else only with its own kind."""
    if type(a) is str and type(b) is str:
        return a == b
    if is_number(a) and is_number(b):
        return bool(a == b)
    a, b = plain(a), plain(b)
    if type(a) is bool or type(b) is bool:
        return a is b
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(x, b[k]) for k, x in a.items())
    return kind(a) == kind(b) and bool(a == b)


def comparable(a: Any, b: Any) -> bool:
    """Whether expr-lang's checker lets values of these types be compared with `==` where it knows the types."""
    if a is None or b is None or (is_number(a) and is_number(b)):
        return True
    return kind(a) == kind(b)


def less(a: Any, b: Any, operator: str = "<") -> bool:
    """a < b, for two numbers, strings, times or durations."""
    if (is_number(a) and is_number(b)) or (type(a) is type(b) and isinstance(a, str | datetime | timedelta)):
        return bool(a < b)
    raise EvaluationProblem(f"invalid operation: {go_type(a)} {operator} {go_type(b)}")


def greater(a: Any, b: Any, operator: str = ">") -> bool:
    """a > b, likewise."""
    if (is_number(a) and is_number(b)) or (type(a) is type(b) and isinstance(a, str | datetime | timedelta)):
        return bool(a > b)
    raise EvaluationProblem(f"invalid operation: {go_type(a)} {operator} {go_type(b)}")


def add(a: Any, b: Any) -> Any:
    """Numbers, strings, and times with durations."""
    if is_number(a) and is_number(b):
        return wrap(a + b) if type(a) is int and type(b) is int else a + b
    if type(a) is str and type(b) is str:
        return limited(a + b)
    if isinstance(b, timedelta) and isinstance(a, datetime | timedelta):
        return _moment(lambda: a + b)
    if isinstance(a, timedelta) and isinstance(b, datetime):
        return _moment(lambda: b + a)
    raise EvaluationProblem(f"invalid operation: {go_type(a)} + {go_type(b)}")


def subtract(a: Any, b: Any) -> Any:
    """Numbers, times and durations."""
    if is_number(a) and is_number(b):
        return wrap(a - b) if type(a) is int and type(b) is int else a - b
    if isinstance(b, timedelta) and isinstance(a, datetime | timedelta):
        return _moment(lambda: a - b)
    if isinstance(a, datetime) and isinstance(b, datetime):
        return _moment(lambda: a - b)
    raise EvaluationProblem(f"invalid operation: {go_type(a)} - {go_type(b)}")


def multiply(a: Any, b: Any) -> Any:
    """Numbers, and durations with numbers."""
    if is_number(a) and is_number(b):
        return wrap(a * b) if type(a) is int and type(b) is int else a * b
    if isinstance(a, timedelta) and is_number(b):
        return _moment(lambda: a * b)
    if isinstance(b, timedelta) and is_number(a):
        return _moment(lambda: b * a)
    raise EvaluationProblem(f"invalid operation: {go_type(a)} * {go_type(b)}")


def divide(a: Any, b: Any) -> float:
    """Always a float; by zero gives infinity or NaN, as floats do."""
    if not (is_number(a) and is_number(b)):
        raise EvaluationProblem(f"invalid operation: {go_type(a)} / {go_type(b)}")
    dividend, divisor = float(a), float(b)
    if divisor == 0:
        unknown = dividend == 0 or math.isnan(dividend)
        return math.nan if unknown else math.copysign(math.inf, dividend) * math.copysign(1, divisor)
    return dividend / divisor


def modulo(a: Any, b: Any) -> int:
    """Of ints; the sign is the dividend's."""
    if type(a) is not int or type(b) is not int:
        raise EvaluationProblem(f"invalid operation: {go_type(a)} % {go_type(b)}")
    if b == 0:
        raise EvaluationProblem("integer divide by zero")
    rest = abs(a) % abs(b)
    return -rest if a < 0 else rest


def power(a: Any, b: Any) -> float:
    """Always a float."""
    if not (is_number(a) and is_number(b)):
        raise EvaluationProblem(f"invalid operation: float({go_type(b if is_number(a) else a)})")
    try:
        return math.pow(a, b)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.inf if a == 0 else math.nan


def negate(a: Any) -> Any:
    """-a."""
    if is_number(a):
        return wrap(-a) if type(a) is int else -a
    if isinstance(a, timedelta):
        return -a
    raise EvaluationProblem(f"invalid operation: - {go_type(a)}")


def _moment(operation: Any) -> Any:
    try:
        return operation()
    except (OverflowError, ValueError) as error:
        raise EvaluationProblem(f"time out of range: {error}") from None


def contains(needle: Any, haystack: Any) -> bool:
    """`needle in haystack`: an element of an array, a key of a map."""
    if haystack is None:
        return False
    if type(haystack) is View:
        return isinstance(needle, str) and haystack.member(needle) is not None
    if isinstance(haystack, dict):
        try:
            return needle in haystack
        except TypeError:
            return False
    if isinstance(haystack, list | tuple):
        return any(equal(item, needle) for item in haystack)
    raise EvaluationProblem(f'operator "in" not defined on {go_type(haystack)}')


def fetch(container: Any, key: Any) -> Any:
    """container[key], as runtime.Fetch: nil for a key that a map lacks, a fault for an index out of range."""
    if type(container) is View:
        return container.member(key) if type(key) is str else None
    if isinstance(container, dict):
        try:
            value = container.get(key, _ABSENT)
        except TypeError:
            return None
        return None if value is _ABSENT else value
    if isinstance(container, list | tuple | str | bytes):
        index = to_int(key)
        items: Any = container.encode("utf-8", "surrogatepass") if isinstance(container, str) else container
        at = index + len(items) if index < 0 else index
        if not 0 <= at < len(items):
            raise EvaluationProblem(f"index out of range: {at} (array length is {len(items)})")
        return items[at]
    raise EvaluationProblem(f"cannot fetch {short(key)} from {go_type(container)}")


def cut(value: Any, start: Any, end: Any) -> Any:
    """value[start:end]; bytes of a string, as in Go. None where a bound is left out."""
    if not isinstance(value, list | tuple | str | bytes):
        raise EvaluationProblem(f"cannot slice {go_type(value)}")
    items: Any = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    length = len(items)
    a = 0 if start is None else to_int(start)
    b = length if end is None else to_int(end)
    a, b = max(a + length if a < 0 else a, 0), min(max(b + length if b < 0 else b, 0), length)
    part = items[min(a, b) : b]
    return part.decode("utf-8", "replace") if isinstance(value, str) else part


def to_int(value: Any) -> int:
    """A number as an int, cut off toward zero."""
    if type(value) is int:
        return value
    if type(value) is float and math.isfinite(value):
        return wrap(int(value))
    raise EvaluationProblem(f"invalid operation: int({go_type(value)})")


def truth(value: Any) -> bool:
    """A bool, or a fault in Go's words."""
    if value is True or value is False:
        return bool(value)
    raise EvaluationProblem(f"interface conversion: interface {{}} is {_iface(value)}, not bool")


def string(value: Any) -> str:
    """A str, or a fault in Go's words."""
    if type(value) is str:
        return value
    raise EvaluationProblem(f"interface conversion: interface {{}} is {_iface(value)}, not string")


def _iface(value: Any) -> str:
    return "nil" if value is None else go_type(value)


def limited(value: str) -> str:
    """The text itself, unless it is longer than anybody needs."""
    if len(value) > LONGEST_TEXT:
        raise EvaluationProblem(f"memory budget exceeded: a text of more than {LONGEST_TEXT} characters")
    return value


def short(value: Any) -> str:
    """The text of a value for a message: at most a line."""
    shown = (
        value
        if isinstance(value, str)
        else text(value)
        if not isinstance(value, list | dict | View)
        else go_type(value)
    )
    shown = shown.replace("\n", " ")
    return shown if len(shown) <= 80 else shown[:80] + "…"


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


def text(value: Any) -> str:
    """Go's %v: `[1 a <nil>]`, `map[a:1]`, `2024-01-02 00:00:00 +0000 UTC`."""
    return limited("".join(_texts(value)))


def _texts(value: Any) -> Iterator[str]:
    value = plain(value)
    if isinstance(value, str):
        yield value
    elif value is None:
        yield "<nil>"
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, int):
        yield str(value)
    elif isinstance(value, float):
        yield float_text(value)
    elif isinstance(value, list | tuple | bytes):
        yield "["
        for index, item in enumerate(value):
            if index:
                yield " "
            yield from _texts(item)
        yield "]"
    elif isinstance(value, dict):
        yield "map["
        for index, key in enumerate(_keys(value)):
            if index:
                yield " "
            yield from _texts(key)
            yield ":"
            yield from _texts(value[key])
        yield "]"
    elif isinstance(value, datetime):
        offset = value.strftime("%z")
        name = value.tzname() or offset
        fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
        yield f"{value:%Y-%m-%d %H:%M:%S}{fraction} {offset[:5]} {name}"
    elif isinstance(value, timedelta):
        yield units.go_duration(value)
    else:
        yield str(value)


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
    return limited("".join(_json(value, html, indent, "\n" if indent else "")))


def _json(value: Any, html: bool, indent: str, line: str) -> Iterator[str]:
    value = plain(value)
    if isinstance(value, str):
        quoted = json.dumps(value, ensure_ascii=False)
        yield quoted.translate(_HTML) if html else quoted
    elif value is None:
        yield "null"
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, int):
        yield str(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise EvaluationProblem(f"json: unsupported value: {float_text(value)}")
        yield _shortest(value, -6, 21, pad=False)
    elif isinstance(value, dict):
        if not value:
            yield "{}"
            return
        inner = line + indent
        for index, key in enumerate(_keys(value)):
            yield "," if index else "{"
            yield inner
            yield from _json(key if isinstance(key, str) else text(key), html, "", "")
            yield ": " if indent else ":"
            yield from _json(value[key], html, indent, inner)
        yield line
        yield "}"
    elif isinstance(value, list | tuple):
        if not value:
            yield "[]"
            return
        inner = line + indent
        for index, item in enumerate(value):
            yield "," if index else "["
            yield inner
            yield from _json(item, html, indent, inner)
        yield line
        yield "]"
    elif isinstance(value, bytes):
        yield '"' + base64.b64encode(value).decode() + '"'
    elif isinstance(value, datetime):
        fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
        offset = (
            "Z" if value.utcoffset() == timedelta(0) else value.strftime("%z")[:3] + ":" + value.strftime("%z")[3:5]
        )
        yield f'"{value:%Y-%m-%dT%H:%M:%S}{fraction}{offset}"'
    elif isinstance(value, timedelta):
        yield str(((value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds) * 1000)
    elif isinstance(value, tzinfo):
        yield "{}"
    elif isinstance(value, date):  # YAML's own
        yield f'"{value.isoformat()}"'
    else:
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


def as_utc(value: datetime) -> datetime:
    """The same moment in UTC; a naive one is taken as UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
