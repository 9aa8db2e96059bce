"""expr-lang's own functions, those without a predicate: one literal table. Called by `closures` and `functions`.

Each takes the run and its arguments, already evaluated. expr-lang v1.17.8 builtin/builtin.go.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final

from syncd.base import units
from syncd.expr import gotext, gotime, loops, values
from syncd.expr.values import EvaluationProblem

if TYPE_CHECKING:
    from syncd.expr.run import Run

_MANY: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function and how many arguments it takes."""

    call: Callable[[Run, list[Any]], Any]
    least: int
    most: int


def count_message(name: str, function: Builtin, given: int) -> str:
    """What is wrong with the number of arguments."""
    wanted = str(function.least)
    if function.most == _MANY:
        wanted = f"at least {wanted}"
    elif function.most != function.least:
        wanted = f"{wanted} to {function.most}"
    return f"invalid number of arguments for {name} (expected {wanted}, got {given})"


def count(name: str, arguments: list[Any], least: int, most: int = _MANY) -> None:
    """Raise EvaluationProblem unless there are that many arguments."""
    if not least <= len(arguments) <= most:
        raise EvaluationProblem(count_message(name, Builtin(lambda run, a: None, least, most), len(arguments)))


def _texts(function: Callable[..., Any], least: int, most: int | None = None) -> Builtin:
    """A function of strings only."""
    return Builtin(lambda run, a: function(*map(values.string, a)), least, most or least)


def _array(value: Any, verb: str) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    raise EvaluationProblem(f"cannot {verb} {values.kind(value)}")


def _map(value: Any, verb: str) -> dict[Any, Any]:
    if isinstance(value, dict):
        return value
    raise EvaluationProblem(f"cannot {verb} {values.kind(value)}")


def _len(value: Any) -> int:
    if isinstance(value, str | bytes | list | tuple | dict):
        return len(value)
    raise EvaluationProblem(f"invalid argument for len (type {values.go_type(value)})")


_TYPES: Final = {
    "array": "array",
    "bytes": "array",
    "time": "time.Time",
    "duration": "time.Duration",
    "zone": "unknown",
}


def _type(value: Any) -> str:
    name = values.kind(value)
    return _TYPES.get(name, name)


def _int(value: Any) -> int:
    if isinstance(value, str):
        if re.fullmatch(r"[+-]?[0-9]{1,20}", value, re.ASCII) and abs(int(value)) < 1 << 63:
            return int(value)
        raise EvaluationProblem(f"invalid operation: int({values.short(value)})")
    if isinstance(value, timedelta):
        return (value.days * 86_400 + value.seconds) * 1_000_000_000 + value.microseconds * 1000
    if isinstance(value, float) and not math.isfinite(value):
        return -(1 << 63)
    return values.to_int(value)


_FLOAT: Final = re.compile(
    r"[+-]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]{1,5})?|[+-]?(?:inf|infinity)|nan", re.I | re.A
)


def _float(value: Any) -> float:
    if isinstance(value, str):
        if len(value) <= 400 and _FLOAT.fullmatch(value) and "_" not in value:
            return float(value)
        raise EvaluationProblem(f"invalid operation: float({values.short(value)})")
    if values.is_number(value):
        return float(value)
    raise EvaluationProblem(f"invalid operation: float({values.go_type(value)})")


def _number(name: str, function: Callable[[Any], Any]) -> Builtin:
    def call(run: Run, arguments: list[Any]) -> Any:
        if not values.is_number(arguments[0]):
            raise EvaluationProblem(f"invalid argument for {name} (type {values.go_type(arguments[0])})")
        return function(arguments[0])

    return Builtin(call, 1, 1)


def _rounded(function: Callable[[float], float]) -> Callable[[Any], float]:
    return lambda number: float(number) if type(number) is int or not math.isfinite(number) else float(function(number))


def _half_away(number: float) -> float:
    """Go's math.Round: halves go away from zero."""
    return math.copysign(math.floor(abs(number) + 0.5), number) if abs(number) < 1 << 52 else number


_SPACE: Final = " \t\n\v\f\r\x85\xa0"


def _trim(text: str, cutset: str = _SPACE) -> str:
    return text.strip() if cutset is _SPACE else text.strip(cutset) if cutset else text


def _split(run: Run, arguments: list[Any], keep: bool = False) -> list[str]:
    text, separator = values.string(arguments[0]), values.string(arguments[1])
    limit = values.to_int(arguments[2]) if len(arguments) == 3 else -1
    run.spend(len(text) // 64 + 1)
    if limit == 0:
        return []
    if separator:
        parts = text.split(separator, limit - 1 if limit > 0 else -1)
    else:
        parts = list(text) if limit < 0 or limit > len(text) else [*text[: limit - 1], text[limit - 1 :]]
    run.spend(len(parts) // 8)
    return [*(part + separator for part in parts[:-1]), *parts[-1:]] if keep else parts


def _replace(run: Run, arguments: list[Any]) -> str:
    text, old, new = map(values.string, arguments[:3])
    most = values.to_int(arguments[3]) if len(arguments) == 4 else -1
    run.spend(len(text) // 64 + 1)
    places = text.count(old) if most < 0 else min(text.count(old), most)
    if len(text) + places * len(new) > values.LONGEST_TEXT:
        raise EvaluationProblem("memory budget exceeded")
    return text.replace(old, new, most)


def _repeat(run: Run, arguments: list[Any]) -> str:
    return repeated(values.string(arguments[0]), values.to_int(arguments[1]))


def repeated(text: str, times: int) -> str:
    """The text so many times, within the limit."""
    if times < 0:
        raise EvaluationProblem(f"invalid argument for repeat (expected positive integer, got {times})")
    if times > 1_000_000 or len(text) * times > values.LONGEST_TEXT:
        raise EvaluationProblem("memory budget exceeded")
    return text * times


def _join(run: Run, arguments: list[Any]) -> str:
    if not isinstance(arguments[0], list | tuple):
        raise EvaluationProblem(f"invalid argument for join (type {values.go_type(arguments[0])})")
    run.spend(len(arguments[0]) // 8)
    glue = values.string(arguments[1]) if len(arguments) > 1 else ""
    return values.limited(glue.join(map(values.string, arguments[0])))


def _byte_index(text: str, found: int) -> int:
    return found if found < 0 else len(text[:found].encode("utf-8", "surrogatepass"))


def _numbers(run: Run, name: str, arguments: list[Any], depth: int = 0) -> Iterator[Any]:
    run.spend(len(arguments) // 8 + 1)
    if depth > 100:
        raise EvaluationProblem("recursion depth exceeded")
    for value in arguments:
        if isinstance(value, list | tuple):
            yield from _numbers(run, name, list(value), depth + 1)
        elif values.is_number(value):
            yield value
        else:
            raise EvaluationProblem(f"invalid argument for {name} (type {values.go_type(value)})")


def _extreme(name: str, choose: Callable[..., Any]) -> Builtin:
    def call(run: Run, arguments: list[Any]) -> Any:
        if len(arguments) == 1 and not isinstance(arguments[0], list | tuple):
            return arguments[0]
        return choose(_numbers(run, name, arguments), default=None)

    return Builtin(call, 1, _MANY)


def _mean(run: Run, arguments: list[Any]) -> float:
    numbers = [float(n) for n in _numbers(run, "mean", arguments)]
    return sum(numbers) / len(numbers) if numbers else 0.0


def _median(run: Run, arguments: list[Any]) -> float:
    numbers = sorted(float(n) for n in _numbers(run, "median", arguments))
    if not numbers:
        return 0.0
    middle = len(numbers) // 2
    return numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise EvaluationProblem("illegal base64 data") from None


def _now(run: Run, arguments: list[Any]) -> datetime:
    moment = run.now()
    if arguments and not isinstance(arguments[0], tzinfo):
        raise EvaluationProblem("invalid number of arguments (expected 0, got 1)")
    return moment.astimezone(arguments[0]) if arguments else moment


def _duration(text: str) -> timedelta:
    try:
        return units.parse_duration(text)
    except ValueError as error:
        raise EvaluationProblem(str(error)) from None


def _date(run: Run, arguments: list[Any]) -> datetime:
    zone = arguments[0] if isinstance(arguments[0], tzinfo) else None
    texts = [values.string(a) for a in arguments[1 if zone else 0 :]]
    if not 1 <= len(texts) <= 3:
        raise EvaluationProblem("invalid number of arguments for date")
    if len(texts) == 3:
        zone = _timezone(texts[2])
    layouts = [texts[1]] if len(texts) > 1 else gotime.USUAL_LAYOUTS
    for layout in layouts:
        try:
            return gotime.parse(layout, texts[0], zone)
        except ValueError as error:
            if len(texts) > 1:
                raise EvaluationProblem(str(error)) from None
    raise EvaluationProblem(f"invalid date {values.short(texts[0])}")


def _timezone(name: str) -> tzinfo:
    try:
        return gotime.zone(name)
    except ValueError:
        raise EvaluationProblem(f"unknown time zone {values.short(name)}") from None


def _end(at: int) -> Callable[[Run, list[Any]], Any]:
    def call(run: Run, arguments: list[Any]) -> Any:
        try:
            return values.fetch(arguments[0], at)
        except EvaluationProblem:
            return None

    return call


def _get(run: Run, arguments: list[Any]) -> Any:
    container, key = arguments
    if isinstance(container, list | tuple | str):
        index = values.to_int(key)
        return values.fetch(container, index) if -len(container) <= index < len(container) else None
    return values.fetch(container, key) if isinstance(container, dict) else None


def _take(run: Run, arguments: list[Any]) -> list[Any]:
    items = _array(arguments[0], "take from")
    if type(arguments[1]) is not int:
        raise EvaluationProblem(f"cannot take {values.kind(arguments[1])} elements")
    if arguments[1] < 0:
        raise EvaluationProblem("cannot take fewer than no elements")
    return items[: arguments[1]]


def _from_pairs(run: Run, arguments: list[Any]) -> dict[Any, Any]:
    result = {}
    for pair in _array(arguments[0], "transform from pairs"):
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str | int | float | None):
            raise EvaluationProblem(f"invalid pair {values.short(gotext.text(pair))}")
        result[pair[0]] = pair[1]
    return result


def _uniq(run: Run, arguments: list[Any]) -> list[Any]:
    result: list[Any] = []
    for item in _array(arguments[0], "uniq"):
        run.spend(len(result) // 8 + 1)
        if not any(values.equal(item, other) for other in result):
            result.append(item)
    return result


def _concat(run: Run, arguments: list[Any]) -> list[Any]:
    result: list[Any] = []
    for argument in arguments:
        result.extend(_array(argument, "concat"))
    run.spend(len(result) // 8)
    return result


def _flatten(run: Run, arguments: list[Any]) -> list[Any]:
    result: list[Any] = []

    def pour(items: list[Any]) -> None:
        run.spend(len(items) // 8 + 1)
        for item in items:
            if isinstance(item, list | tuple):
                pour(list(item))
            else:
                result.append(item)

    pour(_array(arguments[0], "flatten"))
    return result


def _sort(run: Run, arguments: list[Any]) -> list[Any]:
    items = _array(arguments[0], "sort")
    backwards = loops.descending(arguments[1]) if len(arguments) > 1 else False
    return [item for _, item in loops.ordered(run, [(item, item) for item in items], backwards)]


def _bits(name: str, function: Callable[[int, int], int]) -> Builtin:
    def call(run: Run, arguments: list[Any]) -> int:
        for argument in arguments:
            if type(argument) is not int:
                raise EvaluationProblem(f"cannot use {values.go_type(argument)} as argument (type int) to call {name}")
        return values.wrap(function(*arguments))

    return Builtin(call, 2, 2)


def _shift(function: Callable[[int, int], int]) -> Callable[[int, int], int]:
    def call(a: int, b: int) -> int:
        if b < 0:
            raise EvaluationProblem(f"invalid operation: negative shift count {b} (type int)")
        return function(a, min(b, 64))

    return call


def _bitnot(run: Run, arguments: list[Any]) -> int:
    return ~values.to_int(arguments[0])


FUNCTIONS: Final[dict[str, Builtin]] = {
    "len": Builtin(lambda run, a: _len(a[0]), 1, 1),
    "type": Builtin(lambda run, a: _type(a[0]), 1, 1),
    "abs": _number("abs", abs),
    "ceil": _number("ceil", _rounded(math.ceil)),
    "floor": _number("floor", _rounded(math.floor)),
    "round": _number("round", _rounded(_half_away)),
    "int": Builtin(lambda run, a: _int(a[0]), 1, 1),
    "float": Builtin(lambda run, a: _float(a[0]), 1, 1),
    "string": Builtin(lambda run, a: gotext.text(a[0]), 1, 1),
    "trim": _texts(_trim, 1, 2),
    "trimPrefix": _texts(lambda text, prefix=" ": text.removeprefix(prefix), 1, 2),
    "trimSuffix": _texts(lambda text, suffix=" ": text.removesuffix(suffix), 1, 2),
    "upper": _texts(str.upper, 1),
    "lower": _texts(str.lower, 1),
    "split": Builtin(_split, 2, 3),
    "splitAfter": Builtin(lambda run, a: _split(run, a, keep=True), 2, 3),
    "replace": Builtin(_replace, 3, 4),
    "repeat": Builtin(_repeat, 2, 2),
    "join": Builtin(_join, 1, 2),
    "indexOf": _texts(lambda text, part: _byte_index(text, text.find(part)), 2),
    "lastIndexOf": _texts(lambda text, part: _byte_index(text, text.rfind(part)), 2),
    "hasPrefix": _texts(lambda text, part: text.startswith(part), 2),
    "hasSuffix": _texts(lambda text, part: text.endswith(part), 2),
    "max": _extreme("max", max),
    "min": _extreme("min", min),
    "mean": Builtin(_mean, 1, _MANY),
    "median": Builtin(_median, 1, _MANY),
    "toJSON": Builtin(lambda run, a: gotext.json_text(a[0], indent="  "), 1, 1),
    "fromJSON": _texts(gotext.from_json, 1),
    "toBase64": _texts(lambda text: base64.b64encode(text.encode("utf-8", "surrogatepass")).decode(), 1),
    "fromBase64": _texts(_from_base64, 1),
    "now": Builtin(_now, 0, 1),
    "duration": _texts(_duration, 1),
    "date": Builtin(_date, 1, 4),
    "timezone": _texts(_timezone, 1),
    "first": Builtin(_end(0), 1, 1),
    "last": Builtin(_end(-1), 1, 1),
    "get": Builtin(_get, 2, 2),
    "take": Builtin(_take, 2, 2),
    "keys": Builtin(lambda run, a: sorted(_map(a[0], "get keys from"), key=str), 1, 1),
    "values": Builtin(lambda run, a: [v for _, v in sorted(_map(a[0], "get values from").items(), key=_first)], 1, 1),
    "toPairs": Builtin(
        lambda run, a: [[k, v] for k, v in sorted(_map(a[0], "transform to pairs").items(), key=_first)], 1, 1
    ),
    "fromPairs": Builtin(_from_pairs, 1, 1),
    "reverse": Builtin(lambda run, a: _array(a[0], "reverse")[::-1], 1, 1),
    "uniq": Builtin(_uniq, 1, 1),
    "concat": Builtin(_concat, 1, _MANY),
    "flatten": Builtin(_flatten, 1, 1),
    "sort": Builtin(_sort, 1, 2),
    "bitand": _bits("bitand", lambda a, b: a & b),
    "bitor": _bits("bitor", lambda a, b: a | b),
    "bitxor": _bits("bitxor", lambda a, b: a ^ b),
    "bitnand": _bits("bitnand", lambda a, b: a & ~b),
    "bitshl": _bits("bitshl", _shift(lambda a, b: a << b)),
    "bitshr": _bits("bitshr", _shift(lambda a, b: a >> b)),
    "bitushr": _bits("bitushr", _shift(lambda a, b: (a & ((1 << 64) - 1)) >> b)),
    "bitnot": Builtin(_bitnot, 1, 1),
}
"""Go walks maps in any order; keys, values and toPairs are sorted here, so that a replay agrees."""


def _first(pair: tuple[Any, Any]) -> str:
    return str(pair[0])


TYPED: Final = frozenset(
    [
        "len",
        "type",
        "int",
        "float",
        "string",
        "trim",
        "trimPrefix",
        "trimSuffix",
        "upper",
        "lower",
        "split",
        "splitAfter",
        "replace",
        "repeat",
        "join",
        "indexOf",
        "lastIndexOf",
        "hasPrefix",
        "hasSuffix",
        "ceil",
        "floor",
        "round",
        "toJSON",
        "toBase64",
        "fromBase64",
        "now",
        "duration",
        "date",
        "mean",
        "median",
        "keys",
        "values",
        "count",
        "sum",
        "all",
        "any",
        "none",
        "one",
    ]
)
"""Functions whose result has a type that expr-lang's checker knows."""
