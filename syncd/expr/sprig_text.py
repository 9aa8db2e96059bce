"""Sprig's functions of strings. Called by `sprig` only.

sprig v3.3.0 strings.go and regex.go, and what they take from Masterminds/goutils and huandu/xstrings.
"""

from __future__ import annotations

import hashlib
import string
import uuid
import zlib
from typing import TYPE_CHECKING, Any, Final

from syncd.expr import builtins, gotext, regex, values
from syncd.expr.values import EvaluationProblem

if TYPE_CHECKING:
    from syncd.expr.run import Run

ALPHABETIC: Final = string.ascii_letters
NUMERIC: Final = string.digits
ALPHANUMERIC: Final = ALPHABETIC + NUMERIC
ASCII: Final = "".join(map(chr, range(32, 127)))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def strval(value: Any) -> str:
    """Go's %v, a string as it is."""
    return value if isinstance(value, str) else gotext.text(value)


def trunc(count: int, text: str) -> str:
    """The first bytes, or the last ones for a negative count."""
    raw = _bytes(text)
    if count < 0:
        return _text(raw[count:]) if len(raw) + count > 0 else text
    return _text(raw[:count]) if len(raw) > count else text


def substr(start: int, end: int, text: str) -> str:
    """Bytes from start to end."""
    raw = _bytes(text)
    if start < 0:
        if not 0 <= end <= len(raw):
            raise EvaluationProblem(f"slice bounds out of range [:{end}] with length {len(raw)}")
        return _text(raw[:end])
    if end < 0 or end > len(raw):
        end = len(raw)
    if start > end:
        raise EvaluationProblem(f"slice bounds out of range [{start}:{end}]")
    return _text(raw[start:end])


def abbrev(width: int, text: str) -> str:
    """At most `width` characters, dots included."""
    if width < 4 or len(text) <= width:
        return text
    return text[: width - 3] + "..."


def abbrevboth(left: int, right: int, text: str) -> str:
    """At most `right` characters around the offset `left`, dots on both sides where needed."""
    if right < 4 or (left > 0 and right < 7) or len(text) <= right:
        return text
    left = min(left, len(text))
    if len(text) - left < right - 3:
        left = len(text) - (right - 3)
    if left <= 4:
        return text[: right - 3] + "..."
    if left + right - 3 < len(text):
        return "..." + abbrevboth(0, right - 3, text[left:])
    return "..." + text[len(text) - (right - 3) :]


def title(text: str) -> str:
    """Each word with a capital."""
    out = []
    previous = " "
    for character in text:
        starts = not (previous.isalnum() or previous == "_") if previous.isascii() else previous.isspace()
        out.append(character.title()[:1] if starts else character)
        previous = character
    return "".join(out)


def untitle(text: str) -> str:
    """Each word without its capital."""
    out = []
    start = True
    for character in text:
        out.append(character.lower() if start else character)
        start = character.isspace()
    return "".join(out)


def initials(text: str) -> str:
    """The first character of each word."""
    return "".join(word[0] for word in text.split())


def swapcase(text: str) -> str:
    """Capitals small; small ones capital, at the start of a word in title case."""
    return "".join(c.lower() if c.isupper() else c.upper() if c.islower() else c for c in text)


def snakecase(text: str, glue: str) -> str:
    """FirstName → first_name, HTTPServer → http_server; spaces, `_` and `-` become the glue, one for one."""
    out: list[str] = []
    for index, character in enumerate(text):
        if character.isspace() or character in "_-":
            out.append(glue)
            continue
        if character.isupper() and index:
            before, after = text[index - 1], text[index + 1 : index + 2]
            if before.islower() or before.isdecimal() or (before.isupper() and after.islower()):
                out.append(glue)
        out.append(character.lower())
    return "".join(out)


def camelcase(text: str) -> str:
    """http_server → HttpServer."""
    out = []
    start = True
    for character in text:
        if character in "_- " or character.isspace():
            start = True
            continue
        out.append(character.upper() if start else character)
        start = False
    return "".join(out)


def wrap(width: int, glue: str, text: str, *, cut: bool) -> str:
    """Lines of at most `width` characters; `cut`: words that are longer are cut as well."""
    width = max(width, 1)
    glue = glue or "\n"
    lines: list[str] = []
    rest = text
    while len(rest) > width:
        if rest[0] == " ":
            rest = rest[1:]
            continue
        at = rest.rfind(" ", 0, width + 1)
        if at < 0 and cut:
            lines.append(rest[:width])
            rest = rest[width:]
            continue
        if at < 0:
            at = rest.find(" ", width)
            if at < 0:
                break
        lines.append(rest[:at])
        rest = rest[at + 1 :]
    return values.limited(glue.join([*lines, rest]))


def go_quoted(text: str) -> str:
    """Go's %q."""
    named = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    out = []
    for character in text:
        code = ord(character)
        if character in '"\\':
            out.append("\\" + character)
        elif character in named:
            out.append(named[character])
        elif character == " " or character.isprintable():
            out.append(character)
        elif code < 0x80:
            out.append(f"\\x{code:02x}")
        else:
            out.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return '"' + "".join(out) + '"'


def quote(*parts: Any) -> str:
    """Each in double quotes, nil left out."""
    return values.limited(" ".join(go_quoted(strval(part)) for part in parts if part is not None))


def squote(*parts: Any) -> str:
    """Each in single quotes, nil left out."""
    return values.limited(" ".join(f"'{strval(part)}'" for part in parts if part is not None))


def repeat(times: int, text: str) -> str:
    """The text so many times."""
    return builtins.repeated(text, times)


def indent(spaces: int, text: str) -> str:
    """Each line moved to the right."""
    pad = builtins.repeated(" ", spaces)
    return replace("\n", "\n" + pad, pad + text)


def replace(old: str, new: str, text: str) -> str:
    """All of `old` by `new`."""
    if len(text) + text.count(old) * len(new) > values.LONGEST_TEXT:
        raise EvaluationProblem("memory budget exceeded")
    return text.replace(old, new)


def digest(name: str, text: str) -> str:
    """A checksum in hex."""
    return hashlib.new(name, _bytes(text), usedforsecurity=False).hexdigest()


def adler32(text: str) -> str:
    """Adler-32, in decimal."""
    return str(zlib.adler32(_bytes(text)))


# -- chance


def bytes_of(run: Run, size: int) -> bytes:
    """Random bytes."""
    if not 0 <= size <= 100_000:
        raise EvaluationProblem(f"cannot draw {size} random bytes")
    return run.random(size)


def draw(run: Run, size: int, alphabet: str) -> str:
    """Random characters of an alphabet."""
    raw = bytes_of(run, size * 2)
    return "".join(alphabet[int.from_bytes(raw[i : i + 2], "big") % len(alphabet)] for i in range(0, len(raw), 2))


def shuffle(run: Run, text: str) -> str:
    """The characters in another order."""
    characters = list(text)
    raw = bytes_of(run, 4 * len(characters))
    for index in range(len(characters) - 1, 0, -1):
        other = int.from_bytes(raw[4 * index : 4 * index + 4], "big") % (index + 1)
        characters[index], characters[other] = characters[other], characters[index]
    return "".join(characters)


def uuid4(run: Run) -> str:
    """A random UUID."""
    return str(uuid.UUID(bytes=run.random(16), version=4))


# -- regular expressions


def regex_match(run: Run, pattern: str, text: str) -> bool:
    """Whether it matches; a bad pattern does not."""
    try:
        compiled = regex.compile(pattern)
    except EvaluationProblem:
        return False
    return compiled.search(text, run.spend)


def must_regex_match(run: Run, pattern: str, text: str) -> bool:
    """Whether it matches."""
    return regex.compile(pattern).search(text, run.spend)


def regex_find_all(run: Run, pattern: str, text: str, most: int) -> list[str]:
    """What matches, at most so many; a negative number means all."""
    return [text[a:b] for a, b in regex.compile(pattern).spans(text, most, run.spend)]


def regex_find(run: Run, pattern: str, text: str) -> str:
    """The first match, or nothing."""
    return next(iter(regex_find_all(run, pattern, text, 1)), "")


def regex_replace_all(run: Run, pattern: str, text: str, template: str) -> str:
    """Matches replaced; `$1` and `${name}` stand for groups."""
    return regex.compile(pattern).replace(text, template, run.spend)


def regex_replace_literal(run: Run, pattern: str, text: str, replacement: str) -> str:
    """Matches replaced by just that text."""
    return regex.compile(pattern).replace(text, replacement.replace("$", "$$"), run.spend)


def regex_split(run: Run, pattern: str, text: str, most: int) -> list[str]:
    """The text cut at the matches."""
    return regex.compile(pattern).split(text, most, run.spend)


def regex_quote(text: str) -> str:
    """The text with everything special escaped."""
    return "".join("\\" + c if c in "\\.+*?()|[]{}^$" else c for c in text)
