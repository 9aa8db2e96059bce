"""What values mean to Go: types, comparison and arithmetic, over Python's own types. Called by the rest of `expr`.

nil None · bool · int (64 bits, wraps) · float · str · bytes · list · dict · datetime (aware) · timedelta · tzinfo.
Follows expr-lang v1.17.8 vm/runtime; texts and JSON are made by `gotext`. Faults raise EvaluationProblem with Go's words.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from syncd.base.errors import Invalid
from syncd.expr.environment import View

LONGEST_TEXT: Final = 4_000_000
"""Characters of one text that an expression may make; Argo's objects end at 1.5 MB."""

LARGEST: Final = 500_000
"""Parts of one value, counted as often as they occur."""


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
    return _equal(a, b, [LARGEST])


def _equal(a: Any, b: Any, left: list[int]) -> bool:
    left[0] -= 1
    if left[0] < 0:
        raise EvaluationProblem("memory budget exceeded: values too large to compare")
    a, b = plain(a), plain(b)
    if is_number(a) and is_number(b):
        return bool(a == b)
    if type(a) is bool or type(b) is bool:
        return a is b
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_equal(x, y, left) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(x, b[k], left) for k, x in a.items())
    return kind(a) == kind(b) and bool(a == b)


def bounded(value: Any) -> Any:
    """The value itself, unless walking through it would take for ever: lists may hold the same list many times."""
    if not isinstance(value, list | tuple | dict):
        return value
    left, waiting = LARGEST, [value]
    while waiting:
        at = waiting.pop()
        parts = list(at.values()) if isinstance(at, dict) else at
        left -= len(parts)
        if left < 0:
            raise EvaluationProblem(f"memory budget exceeded: a value of more than {LARGEST} parts")
        waiting += [part for part in parts if isinstance(part, list | tuple | dict)]
    return value


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
    shown = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else go_type(value)
    shown = shown.replace("\n", " ")
    return shown if len(shown) <= 80 else shown[:80] + "…"


def as_utc(value: datetime) -> datetime:
    """The same moment in UTC; a naive one is taken as UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
