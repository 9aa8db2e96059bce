"""Sprig's functions, as `sprig.NAME(...)`: one literal table of name, signature and function. Called by `functions`.

Masterminds/sprig v3.3.0 GenericFuncMap, without `env` and `expandenv`, which Argo takes away. Arguments are checked as Go's
reflection would: a wrong type is a fault, nil is the zero value. What needs time or chance asks the run for it; what needs
keys, certificates or the network is refused in words.
"""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from syncd.expr import gotext, semver, sprig_data, sprig_text, sprig_time, values
from syncd.expr.values import EvaluationProblem

if TYPE_CHECKING:
    from syncd.expr.run import Run

Function = Callable[["Run", list[Any]], Any]

_ZERO: Final[dict[str, Any]] = {
    "s": "",
    "i": 0,
    "b": False,
    "f": 0.0,
    "a": None,
    "m": {},
    "t": datetime(1, 1, 1, tzinfo=UTC),
}
_TYPES: Final[dict[str, tuple[type, str]]] = {
    "s": (str, "string"),
    "i": (int, "int"),
    "b": (bool, "bool"),
    "f": (float, "float64"),
    "m": (dict, "map[string]interface {}"),
    "t": (datetime, "time.Time"),
}


def _f(signature: str, function: Callable[..., Any], *, with_run: bool = False) -> Function:
    """signature: a letter per argument (string, int, bool, float, any, map, time); `*` behind the last: any number of it."""
    variadic = signature.endswith("*")
    kinds = signature.rstrip("*")
    fixed = len(kinds) - 1 if variadic else len(kinds)

    def call(run: Run, arguments: list[Any]) -> Any:
        if len(arguments) < fixed or (not variadic and len(arguments) > fixed):
            words = "at least " if variadic else ""
            raise EvaluationProblem(f"invalid number of arguments: expected {words}{fixed}, got {len(arguments)}")
        given = [_checked(kinds[min(index, len(kinds) - 1)], value) for index, value in enumerate(arguments)]
        return function(run, *given) if with_run else function(*given)

    return call


def _checked(kind: str, value: Any) -> Any:
    if value is None:
        return {} if kind == "m" else _ZERO[kind]
    if kind != "a":
        type_, name = _TYPES[kind]
        if not isinstance(value, type_) or (kind == "i" and isinstance(value, bool)):
            raise EvaluationProblem(f"reflect: Call using {values.go_type(value)} as type {name}")
    return value


def _refused(name: str, why: str) -> Function:
    def call(run: Run, arguments: list[Any]) -> Any:
        raise EvaluationProblem(f"sprig.{name} is not supported here: {why}")

    return call


def _fail(message: str) -> Any:
    raise EvaluationProblem(message)


def _b64dec(text: str) -> str:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True).decode("utf-8", "replace")
    except ValueError:
        return "illegal base64 data at input byte 0"


def _b32dec(text: str) -> str:
    try:
        return base64.b32decode(text.replace("\n", "").replace("\r", "")).decode("utf-8", "replace")
    except ValueError:
        return "illegal base32 data at input byte 0"


def _base(path: str) -> str:
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


def _clean(path: str) -> str:
    cleaned = posixpath.normpath(path) if path else "."
    return "/" + cleaned.lstrip("/") if cleaned.startswith("//") else cleaned


def _dir(path: str) -> str:
    head, slash, _ = path.rpartition("/")
    return _clean(head + slash)


def _ext(path: str) -> str:
    name = path.rpartition("/")[2]
    return name[name.rfind(".") :] if "." in name else ""


_KEYS: Final = "keys and certificates belong into a Secret"
_T = sprig_text
_D = sprig_data

FUNCTIONS: Final[dict[str, Function]] = {
    "hello": _f("", lambda: "Hello!"),
    # dates
    "ago": _f("a", sprig_time.ago, with_run=True),
    "date": _f("sa", lambda run, layout, at: sprig_time.show(run, layout, at, "Local"), with_run=True),
    "date_in_zone": _f("sas", sprig_time.show, with_run=True),
    "date_modify": _f("st", sprig_time.modify),
    "dateInZone": _f("sas", sprig_time.show, with_run=True),
    "dateModify": _f("st", sprig_time.modify),
    "duration": _f("a", sprig_time.duration),
    "durationRound": _f("a", sprig_time.duration_round, with_run=True),
    "htmlDate": _f("a", lambda run, at: sprig_time.show(run, "2006-01-02", at, "Local"), with_run=True),
    "htmlDateInZone": _f("as", lambda run, at, zone: sprig_time.show(run, "2006-01-02", at, zone), with_run=True),
    "must_date_modify": _f("st", sprig_time.must_modify),
    "mustDateModify": _f("st", sprig_time.must_modify),
    "mustToDate": _f("ss", sprig_time.must_to_date),
    "now": _f("", lambda run: run.now(), with_run=True),
    "toDate": _f("ss", sprig_time.to_date),
    "unixEpoch": _f("t", sprig_time.unix_epoch),
    # strings
    "abbrev": _f("is", _T.abbrev),
    "abbrevboth": _f("iis", _T.abbrevboth),
    "trunc": _f("is", _T.trunc),
    "trim": _f("s", lambda text: text.strip()),
    "upper": _f("s", str.upper),
    "lower": _f("s", str.lower),
    "title": _f("s", _T.title),
    "untitle": _f("s", _T.untitle),
    "substr": _f("iis", _T.substr),
    "repeat": _f("is", _T.repeat),
    "trimall": _f("ss", lambda cut, text: text.strip(cut) if cut else text),
    "trimAll": _f("ss", lambda cut, text: text.strip(cut) if cut else text),
    "trimSuffix": _f("ss", lambda suffix, text: text.removesuffix(suffix)),
    "trimPrefix": _f("ss", lambda prefix, text: text.removeprefix(prefix)),
    "nospace": _f("s", lambda text: "".join(text.split())),
    "initials": _f("s", _T.initials),
    "randAlphaNum": _f("i", lambda run, size: _T.draw(run, size, _T.ALPHANUMERIC), with_run=True),
    "randAlpha": _f("i", lambda run, size: _T.draw(run, size, _T.ALPHABETIC), with_run=True),
    "randAscii": _f("i", lambda run, size: _T.draw(run, size, _T.ASCII), with_run=True),
    "randNumeric": _f("i", lambda run, size: _T.draw(run, size, _T.NUMERIC), with_run=True),
    "swapcase": _f("s", _T.swapcase),
    "shuffle": _f("s", _T.shuffle, with_run=True),
    "snakecase": _f("s", lambda text: _T.snakecase(text, "_")),
    "camelcase": _f("s", _T.camelcase),
    "kebabcase": _f("s", lambda text: _T.snakecase(text, "-")),
    "wrap": _f("is", lambda width, text: _T.wrap(width, "\n", text, cut=False)),
    "wrapWith": _f("iss", lambda width, glue, text: _T.wrap(width, glue, text, cut=True)),
    "contains": _f("ss", lambda part, text: part in text),
    "hasPrefix": _f("ss", lambda part, text: text.startswith(part)),
    "hasSuffix": _f("ss", lambda part, text: text.endswith(part)),
    "quote": _f("a*", _T.quote),
    "squote": _f("a*", _T.squote),
    "cat": _f("a*", lambda *parts: values.limited(" ".join(gotext.text(p) for p in parts if p is not None))),
    "indent": _f("is", _T.indent),
    "nindent": _f("is", lambda spaces, text: "\n" + _T.indent(spaces, text)),
    "replace": _f("sss", _T.replace),
    "plural": _f("ssi", lambda one, many, number: one if number == 1 else many),
    "sha1sum": _f("s", lambda text: _T.digest("sha1", text)),
    "sha256sum": _f("s", lambda text: _T.digest("sha256", text)),
    "sha512sum": _f("s", lambda text: _T.digest("sha512", text)),
    "adler32sum": _f("s", _T.adler32),
    "toString": _f("a", _T.strval),
    # numbers
    "atoi": _f("s", _D.atoi),
    "int64": _f("a", _D.to_int),
    "int": _f("a", _D.to_int),
    "float64": _f("a", _D.to_float),
    "seq": _f("i*", _D.seq, with_run=True),
    "toDecimal": _f("a", _D.to_decimal),
    "split": _f("ss", lambda glue, text: {f"_{i}": part for i, part in enumerate(_D.split(glue, text, -1))}),
    "splitList": _f("ss", lambda glue, text: _D.split(glue, text, -1)),
    "splitn": _f("sis", lambda glue, most, text: {f"_{i}": p for i, p in enumerate(_D.split(glue, text, most))}),
    "toStrings": _f("a", _D.strings),
    "until": _f("i", _D.until, with_run=True),
    "untilStep": _f("iii", _D.until_step, with_run=True),
    "add1": _f("a", lambda number: values.wrap(_D.to_int(number) + 1)),
    "add": _f("a*", lambda *numbers: values.wrap(sum(map(_D.to_int, numbers)))),
    "sub": _f("aa", lambda a, b: values.wrap(_D.to_int(a) - _D.to_int(b))),
    "div": _f("aa", _D.div),
    "mod": _f("aa", lambda a, b: values.modulo(_D.to_int(a), _D.to_int(b))),
    "mul": _f("aa*", _D.mul),
    "randInt": _f("ii", _D.rand_int, with_run=True),
    "add1f": _f("a", lambda number: _D.decimals("+", number, 1.0)),
    "addf": _f("a*", lambda *numbers: _D.decimals("+", 0.0, *numbers)),
    "subf": _f("aa*", lambda *numbers: _D.decimals("-", *numbers)),
    "divf": _f("aa*", lambda *numbers: _D.decimals("/", *numbers)),
    "mulf": _f("aa*", lambda *numbers: _D.decimals("*", *numbers)),
    "biggest": _f("aa*", lambda *numbers: max(map(_D.to_int, numbers))),
    "max": _f("aa*", lambda *numbers: max(map(_D.to_int, numbers))),
    "min": _f("aa*", lambda *numbers: min(map(_D.to_int, numbers))),
    "maxf": _f("aa*", lambda *numbers: max(map(_D.to_float, numbers))),
    "minf": _f("aa*", lambda *numbers: min(map(_D.to_float, numbers))),
    "ceil": _f("a", _D.ceil),
    "floor": _f("a", _D.floor),
    "round": _f("aif*", _D.round_to),
    # defaults and JSON
    "join": _f("sa", lambda glue, items: values.limited(glue.join(_D.strings(items)))),
    "sortAlpha": _f("a", lambda items: sorted(_D.strings(items))),
    "default": _f("aa*", lambda other, *given: other if not given or _D.empty(given[0]) else given[0]),
    "empty": _f("a", _D.empty),
    "coalesce": _f("a*", lambda *given: next((value for value in given if not _D.empty(value)), None)),
    "all": _f("a*", lambda *given: not any(map(_D.empty, given))),
    "any": _f("a*", lambda *given: not all(map(_D.empty, given))),
    "compact": _f("a", _D.compact),
    "mustCompact": _f("a", _D.compact),
    "fromJson": _f("s", _D.from_json),
    "toJson": _f("a", gotext.json_text),
    "toPrettyJson": _f("a", lambda value: gotext.json_text(value, indent="  ")),
    "toRawJson": _f("a", lambda value: gotext.json_text(value, html=False)),
    "mustFromJson": _f("s", gotext.from_json),
    "mustToJson": _f("a", gotext.json_text),
    "mustToPrettyJson": _f("a", lambda value: gotext.json_text(value, indent="  ")),
    "mustToRawJson": _f("a", lambda value: gotext.json_text(value, html=False)),
    "ternary": _f("aab", lambda then, otherwise, test: then if test else otherwise),
    "deepCopy": _f("a", _D.copy),
    "mustDeepCopy": _f("a", _D.copy),
    # reflection
    "typeOf": _f("a", values.go_type),
    "typeIs": _f("sa", lambda name, value: name == values.go_type(value)),
    "typeIsLike": _f("sa", lambda name, value: values.go_type(value) in (name, "*" + name)),
    "kindOf": _f("a", _D.kind_of),
    "kindIs": _f("sa", lambda name, value: name == _D.kind_of(value)),
    "deepEqual": _f("aa", _D.deep_equal),
    "getHostByName": _refused("getHostByName", "expressions have no network"),
    # paths and encodings
    "base": _f("s", _base),
    "dir": _f("s", _dir),
    "clean": _f("s", _clean),
    "ext": _f("s", _ext),
    "isAbs": _f("s", lambda path: path.startswith("/")),
    "osBase": _f("s", _base),
    "osClean": _f("s", _clean),
    "osDir": _f("s", _dir),
    "osExt": _f("s", _ext),
    "osIsAbs": _f("s", lambda path: path.startswith("/")),
    "b64enc": _f("s", lambda text: base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()),
    "b64dec": _f("s", _b64dec),
    "b32enc": _f("s", lambda text: base64.b32encode(text.encode("utf-8", "surrogatepass")).decode()),
    "b32dec": _f("s", _b32dec),
    # lists and maps
    "tuple": _f("a*", lambda *items: list(items)),
    "list": _f("a*", lambda *items: list(items)),
    "dict": _f("a*", _D.make_dict),
    "get": _f("ms", lambda mapping, key: mapping.get(key, "")),
    "set": _f("msa", lambda mapping, key, value: {**mapping, key: value}),
    "unset": _f("ms", lambda mapping, key: {k: v for k, v in mapping.items() if k != key}),
    "hasKey": _f("ms", lambda mapping, key: key in mapping),
    "pluck": _f("sm*", lambda key, *mappings: [m[key] for m in mappings if key in m]),
    "keys": _f("m*", lambda *mappings: [key for m in mappings for key in sorted(m, key=str)]),
    "pick": _f("ms*", lambda mapping, *wanted: {k: mapping[k] for k in wanted if k in mapping}),
    "omit": _f("ms*", lambda mapping, *unwanted: {k: v for k, v in mapping.items() if k not in unwanted}),
    "merge": _f("mm*", _D.merge, with_run=True),
    "mergeOverwrite": _f("mm*", lambda run, *mappings: _D.merge(run, *mappings, overwrite=True), with_run=True),
    "mustMerge": _f("mm*", _D.merge, with_run=True),
    "mustMergeOverwrite": _f("mm*", lambda run, *mappings: _D.merge(run, *mappings, overwrite=True), with_run=True),
    "values": _f("m", lambda mapping: [mapping[key] for key in sorted(mapping, key=str)]),
    "append": _f("aa", lambda items, item: [*_D.items(items, "push on"), item]),
    "push": _f("aa", lambda items, item: [*_D.items(items, "push on"), item]),
    "mustAppend": _f("aa", lambda items, item: [*_D.items(items, "push on"), item]),
    "mustPush": _f("aa", lambda items, item: [*_D.items(items, "push on"), item]),
    "prepend": _f("aa", lambda items, item: [item, *_D.items(items, "prepend on")]),
    "mustPrepend": _f("aa", lambda items, item: [item, *_D.items(items, "prepend on")]),
    "first": _f("a", lambda items: next(iter(_D.items(items, "find first on")), None)),
    "mustFirst": _f("a", lambda items: next(iter(_D.items(items, "find first on")), None)),
    "rest": _f("a", lambda items: _D.items(items, "find rest on")[1:] or None),
    "mustRest": _f("a", lambda items: _D.items(items, "find rest on")[1:] or None),
    "last": _f("a", lambda items: next(reversed(_D.items(items, "find last on")), None)),
    "mustLast": _f("a", lambda items: next(reversed(_D.items(items, "find last on")), None)),
    "initial": _f("a", lambda items: _D.items(items, "find initial on")[:-1] or None),
    "mustInitial": _f("a", lambda items: _D.items(items, "find initial on")[:-1] or None),
    "reverse": _f("a", lambda items: _D.items(items, "find reverse on")[::-1]),
    "mustReverse": _f("a", lambda items: _D.items(items, "find reverse on")[::-1]),
    "uniq": _f("a", _D.uniq, with_run=True),
    "mustUniq": _f("a", _D.uniq, with_run=True),
    "without": _f("aa*", _D.without, with_run=True),
    "mustWithout": _f("aa*", _D.without, with_run=True),
    "has": _f("aa", _D.has),
    "mustHas": _f("aa", _D.has),
    "slice": _f("aa*", _D.cut),
    "mustSlice": _f("aa*", _D.cut),
    "concat": _f("a*", lambda *lists: [item for part in lists for item in _D.items(part, "concat")]),
    "dig": _f("a*", _D.dig),
    "chunk": _f("ia", _D.chunk),
    "mustChunk": _f("ia", _D.chunk),
    # keys, chance, versions
    **{
        name: _refused(name, _KEYS)
        for name in [
            "bcrypt",
            "htpasswd",
            "genPrivateKey",
            "derivePassword",
            "buildCustomCert",
            "genCA",
            "genCAWithKey",
            "genSelfSignedCert",
            "genSelfSignedCertWithKey",
            "genSignedCert",
            "genSignedCertWithKey",
            "encryptAES",
            "decryptAES",
        ]
    },
    "randBytes": _f("i", lambda run, size: base64.b64encode(_T.bytes_of(run, size)).decode(), with_run=True),
    "uuidv4": _f("", _T.uuid4, with_run=True),
    "semver": _f("s", semver.version),
    "semverCompare": _f("ss", semver.compare),
    "fail": _f("s", _fail),
    # regular expressions
    "regexMatch": _f("ss", _T.regex_match, with_run=True),
    "mustRegexMatch": _f("ss", _T.must_regex_match, with_run=True),
    "regexFindAll": _f("ssi", _T.regex_find_all, with_run=True),
    "mustRegexFindAll": _f("ssi", _T.regex_find_all, with_run=True),
    "regexFind": _f("ss", _T.regex_find, with_run=True),
    "mustRegexFind": _f("ss", _T.regex_find, with_run=True),
    "regexReplaceAll": _f("sss", _T.regex_replace_all, with_run=True),
    "mustRegexReplaceAll": _f("sss", _T.regex_replace_all, with_run=True),
    "regexReplaceAllLiteral": _f("sss", _T.regex_replace_literal, with_run=True),
    "mustRegexReplaceAllLiteral": _f("sss", _T.regex_replace_literal, with_run=True),
    "regexSplit": _f("ssi", _T.regex_split, with_run=True),
    "mustRegexSplit": _f("ssi", _T.regex_split, with_run=True),
    "regexQuoteMeta": _f("s", _T.regex_quote),
    # addresses
    "urlParse": _f("s", _D.url_parse),
    "urlJoin": _f("m", _D.url_join),
}
"""Argo's wrapper gives maps to `set`, `unset` and `merge` to change; here they answer with a changed copy."""
