"""Sprig's functions of numbers, lists and maps. Called by `sprig` only.

sprig v3.3.0 numeric.go, list.go, dict.go, defaults.go, url.go; numbers are read as spf13/cast v1.7.0 reads them.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal, DivisionByZero, InvalidOperation, localcontext
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from syncd.expr import builtins, gotext, sprig_text, values
from syncd.expr.values import EvaluationProblem

if TYPE_CHECKING:
    from syncd.expr.run import Run

_INTEGER: Final = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)", re.ASCII
)


def to_int(value: Any) -> int:
    """Whatever it is as a number: nil, and texts that are none, are 0; `010` is octal, `1.0` is 1."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return values.to_int(value) if math.isfinite(value) else -(1 << 63)
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        text = re.sub(r"\.0*\Z", "", value) if "." in value else value
        if len(text) > 70 or not _INTEGER.fullmatch(text):
            return 0
        digits = text.replace("_", "").lower()
        body = digits.lstrip("+-")
        octal = len(body) > 1 and body[0] == "0" and body[1].isdecimal()
        number = int(digits, 8) if octal else int(digits, 0)
        return number if -(1 << 63) <= number < 1 << 63 else 0
    return 0


def to_float(value: Any) -> float:
    """Whatever it is as a float; what is none is 0."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return float(builtins.FUNCTIONS["float"].call(None, [value]))  # type: ignore[arg-type]
        except EvaluationProblem:
            return 0.0
    return float(value) if values.is_number(value) else 0.0


def atoi(text: str) -> int:
    """A decimal number, else 0."""
    body = text.removeprefix("+").removeprefix("-")
    return int(text) if body.isdecimal() and body.isascii() and len(body) < 19 and text.count("-") < 2 else 0


def to_decimal(value: Any) -> int:
    """An octal number (a file mode) in decimal."""
    text = sprig_text.strval(value)
    return int(text, 8) if re.fullmatch(r"[+-]?[0-7]{1,21}", text) else 0


def div(a: Any, b: Any) -> int:
    """Whole numbers, cut off toward zero."""
    dividend, divisor = to_int(a), to_int(b)
    if divisor == 0:
        raise EvaluationProblem("integer divide by zero")
    whole = abs(dividend) // abs(divisor)
    return values.wrap(whole if (dividend < 0) == (divisor < 0) else -whole)


def mul(*numbers: Any) -> int:
    """The product."""
    product = 1
    for number in numbers:
        product = values.wrap(product * to_int(number))
    return product


def decimals(operator: str, first: Any, *rest: Any) -> float:
    """A chain of decimal arithmetic, without the rounding of binary fractions."""
    total = _decimal(first)
    with localcontext() as context:
        context.prec = 400
        context.traps[InvalidOperation] = True
        for number in rest:
            other = _decimal(number)
            try:
                if operator == "+":
                    total += other
                elif operator == "-":
                    total -= other
                elif operator == "*":
                    total *= other
                else:
                    context.prec = 40
                    total = round(total / other, 16)
            except (DivisionByZero, InvalidOperation):
                raise EvaluationProblem("decimal division by 0") from None
    return float(total)


def _decimal(number: Any) -> Decimal:
    value = to_float(number)
    if not math.isfinite(value):
        raise EvaluationProblem(f"Cannot create a Decimal from {gotext.float_text(value)}")
    return Decimal(repr(value))


def ceil(number: Any) -> float:
    """Up to a whole number."""
    value = to_float(number)
    return float(math.ceil(value)) if math.isfinite(value) else value


def floor(number: Any) -> float:
    """Down to a whole number."""
    value = to_float(number)
    return float(math.floor(value)) if math.isfinite(value) else value


def round_to(number: Any, places: int, *limit: float) -> float:
    """To so many decimal places; limit: the fraction from which it goes up, 0.5."""
    scale = math.pow(10, max(min(places, 300), -300))
    digit = scale * to_float(number)
    if not math.isfinite(digit):
        return to_float(number)
    fraction = math.modf(digit)[0]
    whole = math.ceil(digit) if fraction >= (limit[0] if limit else 0.5) else math.floor(digit)
    return whole / scale


def until_step(run: Run, start: int, stop: int, step: int) -> list[int]:
    """Numbers from start, stop left out."""
    if step == 0 or (stop < start) != (step < 0):
        return []
    numbers = range(start, stop, step)
    run.spend(len(numbers) // 8 if len(numbers) < 1 << 40 else 1 << 40)
    return list(numbers)


def until(run: Run, count: int) -> list[int]:
    """Numbers from 0."""
    return until_step(run, 0, count, -1 if count < 0 else 1)


def seq(run: Run, *given: int) -> str:
    """As the command of that name: last; first last; first step last."""
    if not 1 <= len(given) <= 3:
        return ""
    start, end = (1, given[0]) if len(given) == 1 else (given[0], given[-1])
    away = -1 if end < start else 1
    step = given[1] if len(given) == 3 else away
    if len(given) == 3 and away < 0 and step > 0:
        return ""
    return " ".join(map(str, until_step(run, start, end + away, step)))


def rand_int(run: Run, low: int, high: int) -> int:
    """A random number, `high` left out."""
    if high <= low:
        raise EvaluationProblem("invalid argument to Intn")
    return low + int.from_bytes(run.random(16), "big") % (high - low)


def empty(value: Any) -> bool:
    """Whether it is the zero value of its type."""
    if value is None or value is False:
        return True
    if values.is_number(value):
        return bool(value == 0)
    return isinstance(value, str | list | tuple | dict | bytes) and len(value) == 0


def items(value: Any, verb: str) -> list[Any]:
    """A list, or a fault in sprig's words."""
    if isinstance(value, list | tuple):
        return list(value)
    raise EvaluationProblem(f"Cannot {verb} type {kind_of(value)}")


def strings(value: Any) -> list[str]:
    """Each member as text, nil left out; a single value is a list of one."""
    if isinstance(value, list | tuple):
        return [sprig_text.strval(item) for item in value if item is not None]
    return [] if value is None else [sprig_text.strval(value)]


def split(glue: str, text: str, most: int) -> list[str]:
    """The parts between the glue; most: how many, negative means all."""
    if most == 0:
        return []
    if not glue:
        return list(text) if most < 0 or most > len(text) else [*text[: most - 1], text[most - 1 :]]
    return text.split(glue, most - 1 if most > 0 else -1)


def compact(value: Any) -> list[Any]:
    """Without what is empty."""
    return [item for item in items(value, "compact on") if not empty(item)]


def deep_equal(a: Any, b: Any) -> bool:
    """Equal in value and in type."""
    return values.kind(a) == values.kind(b) and values.equal(a, b)


def uniq(run: Run, value: Any) -> list[Any]:
    """Each once."""
    result: list[Any] = []
    for item in items(value, "find uniq on"):
        run.spend(len(result) // 8 + 1)
        if not any(deep_equal(item, other) for other in result):
            result.append(item)
    return result


def without(run: Run, value: Any, *unwanted: Any) -> list[Any]:
    """Those that are not unwanted."""
    found = items(value, "find without on")
    run.spend(len(found) * len(unwanted) // 8)
    return [item for item in found if not any(deep_equal(item, other) for other in unwanted)]


def has(needle: Any, haystack: Any) -> bool:
    """Whether it is in the list."""
    return haystack is not None and any(deep_equal(needle, item) for item in items(haystack, "find has on"))


def cut(value: Any, *bounds: Any) -> Any:
    """list[start:end]."""
    found = items(value, "slice")
    if not found:
        return None
    start = to_int(bounds[0]) if bounds else 0
    end = to_int(bounds[1]) if len(bounds) > 1 else len(found)
    if not 0 <= start <= end <= len(found):
        raise EvaluationProblem("reflect.Value.Slice: slice index out of bounds")
    return found[start:end]


def chunk(size: int, value: Any) -> list[Any]:
    """Lists of at most so many members."""
    found = items(value, "chunk")
    if size <= 0:
        raise EvaluationProblem("cannot chunk into lists of no members")
    return [found[at : at + size] for at in range(0, len(found), size)]


def dig(*given: Any) -> Any:
    """dig(key, …, default, map): the value at the end of the keys."""
    if len(given) < 3:
        raise EvaluationProblem("dig needs at least three arguments")
    *keys, default, at = given
    for key in keys:
        if not isinstance(at, dict):
            raise EvaluationProblem(
                f"interface conversion: interface {{}} is {'nil' if at is None else values.go_type(at)}, "
                "not map[string]interface {}"
            )
        if values.string(key) not in at:
            return default
        at = at[key]
    return at


def make_dict(*given: Any) -> dict[str, Any]:
    """Of keys and values in turn."""
    found = list(given)
    if len(found) % 2:
        found.append("")
    return {sprig_text.strval(found[i]): found[i + 1] for i in range(0, len(found), 2)}


def merge(run: Run, *mappings: dict[str, Any], overwrite: bool = False) -> dict[str, Any]:
    """All in one, maps within them too; the first wins, or the last where `overwrite`. Empty values never win."""
    result: dict[str, Any] = {}
    for mapping in mappings:
        run.spend(len(mapping) // 8 + 1)
        for key, value in mapping.items():
            old = result.get(key)
            if isinstance(old, dict) and isinstance(value, dict):
                result[key] = merge(run, old, value, overwrite=overwrite)
            elif key not in result or empty(old) or (overwrite and not empty(value)):
                result[key] = value
    return result


def copy(value: Any) -> Any:
    """Values here never change, so a copy is the value itself."""
    return value


def from_json(text: str) -> Any:
    """The JSON value, nil for what is none."""
    try:
        return gotext.from_json(text)
    except EvaluationProblem:
        return None


_KINDS: Final = {
    "nil": "invalid",
    "float": "float64",
    "array": "slice",
    "bytes": "slice",
    "time": "struct",
    "duration": "int64",
}


def kind_of(value: Any) -> str:
    """Go's reflect.Kind."""
    name = values.kind(value)
    return _KINDS.get(name, name)


def url_parse(text: str) -> dict[str, str]:
    """The parts of an address."""
    try:
        parts = urlsplit(text)
        host = parts.netloc.rpartition("@")[2]
        hostname = parts.hostname or ""
    except ValueError as error:
        raise EvaluationProblem(f"unable to parse url: {error}") from None
    opaque = parts.path if parts.scheme and not parts.netloc and not parts.path.startswith("/") else ""
    return {
        "scheme": parts.scheme,
        "host": host,
        "hostname": hostname if "[" in host else host.partition(":")[0],
        "path": "" if opaque else parts.path,
        "query": parts.query,
        "opaque": opaque,
        "fragment": parts.fragment,
        "userinfo": parts.netloc.rpartition("@")[0],
    }


def url_join(parts: dict[str, Any]) -> str:
    """The address of the parts."""
    for key in ("scheme", "host", "path", "query", "opaque", "fragment", "userinfo"):
        if not isinstance(parts.get(key, ""), str):
            raise EvaluationProblem(
                f"unable to parse {key} key, must be of type string, but {kind_of(parts[key])} found"
            )
    scheme, host, path, user = (str(parts.get(k, "")) for k in ("scheme", "host", "path", "userinfo"))
    text = f"{scheme}:" if scheme else ""
    if parts.get("opaque"):
        text += str(parts["opaque"])
    else:
        if host or user or (scheme and path.startswith("//")):
            text += "//"
        text += (f"{user}@" if user else "") + host
        if path and not path.startswith("/") and host:
            text += "/"
        text += quote(path, safe="/:@!$&'()*+,;=-._~%")
    if parts.get("query"):
        text += "?" + parts["query"]
    if parts.get("fragment"):
        text += "#" + quote(parts["fragment"], safe="/:@!$&'()*+,;=-._~?%")
    return text
