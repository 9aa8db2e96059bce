"""The shape of every object that syncd accepts, and a walker that finds what does not fit.

A struct is a line of `field:type` in a literal table (`fields_workflow`, `fields_pod`):

    str int num bool any          as in JSON; null fits everywhere, as in Go
    scalar                        a string, or a number or boolean that Argo turns into one (Go AnyString)
    ios                           a whole number or a string (Kubernetes IntOrString)
    qty                           a Kubernetes quantity
    obj                           any mapping
    A|B|''                        one of these strings
    Name  [T]  {T}                a struct, a list, a mapping of strings to T
    name!:T                       required       +Name   all fields of Name as well

`faults(kind, body)` is called by `validate.rules.structure`; `shape(name)` by whoever asks where a field belongs.
Source: Argo v4.1.2 manifests/base/crds/full, Go's encoding/json for what a type accepts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cache
from typing import Any, Final

from syncd.argo import fields_pod, fields_workflow, labels
from syncd.argo.manifest import Path

ROOTS: Final = frozenset(labels.API_VERSION_OF)
"""The kinds that have a shape."""

MAX_DEPTH: Final = 32
"""Levels of structs in one another: inline templates may nest without end, Python's stack may not."""

_QUANTITY: Final = re.compile(
    r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))?"
)


class FaultKind(StrEnum):
    """What does not fit."""

    UNKNOWN = "unknown"
    TYPE = "type"
    ENUM = "enum"
    QUANTITY = "quantity"
    REQUIRED = "required"
    DEPTH = "depth"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that does not fit.

    path: the value, or for UNKNOWN and REQUIRED the field itself; struct: the struct that has (or lacks) the field;
    expected: for people ("a list", "one of: Allow, Forbid, Replace"), "" for UNKNOWN and REQUIRED; found: likewise.
    """

    kind: FaultKind
    path: Path
    struct: str
    expected: str = ""
    found: str = ""


class Form(IntEnum):
    """How a type is looked at; the order of the walker's branches."""

    STR = 0
    STRUCT = 1
    LIST = 2
    MAP = 3
    BOOL = 4
    INT = 5
    SCALAR = 6
    IOS = 7
    QTY = 8
    ENUM = 9
    NUM = 10
    OBJ = 11
    ANY = 12


@dataclass(frozen=True, slots=True)
class Type:
    """A type of the notation. name: the struct of STRUCT, else ""; of: the element of LIST and MAP; choices: of ENUM."""

    form: Form
    name: str = ""
    of: Type | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """A struct: its fields in order, and which of them must be there."""

    name: str
    fields: Mapping[str, Type]
    required: tuple[str, ...]


_SIMPLE: Final = {
    "str": Type(Form.STR),
    "int": Type(Form.INT),
    "num": Type(Form.NUM),
    "bool": Type(Form.BOOL),
    "any": Type(Form.ANY),
    "obj": Type(Form.OBJ),
    "scalar": Type(Form.SCALAR),
    "ios": Type(Form.IOS),
    "qty": Type(Form.QTY),
}

_EXPECTED: Final = {
    Form.STR: "a string",
    Form.STRUCT: "a mapping",
    Form.LIST: "a list",
    Form.MAP: "a mapping",
    Form.BOOL: "true or false",
    Form.INT: "a whole number",
    Form.SCALAR: "a string, a number or a boolean",
    Form.IOS: "a whole number or a string",
    Form.QTY: "a quantity (like 500m or 64Mi)",
    Form.NUM: "a number",
    Form.OBJ: "a mapping",
    Form.ANY: "anything",
}


def _type(text: str) -> Type:
    if text in _SIMPLE:
        return _SIMPLE[text]
    if text[0] == "[":
        return Type(Form.LIST, of=_type(text[1:-1]))
    if text[0] == "{":
        return Type(Form.MAP, of=_type(text[1:-1]))
    if "|" in text:
        return Type(Form.ENUM, choices=tuple("" if choice == "''" else choice for choice in text.split("|")))
    return Type(Form.STRUCT, name=text)


@cache
def shape(name: str) -> Shape:
    """The struct of that name. Raises KeyError for a name that no table has.

    >>> sorted(shape("ContinueOn").fields)
    ['error', 'failed']
    """
    text = fields_workflow.STRUCTS.get(name)
    if text is None:
        text = fields_pod.STRUCTS[name]
    fields: dict[str, Type] = {}
    required: dict[str, None] = {}
    for word in text.split():
        if word[0] == "+":
            base = shape(word[1:])
            fields.update(base.fields)
            required.update(dict.fromkeys(base.required))
            continue
        field, _, notation = word.partition(":")
        if field[-1] == "!":
            field = field[:-1]
            required[field] = None
        fields[field] = _type(notation)
    return Shape(name, fields, tuple(required))


def names() -> frozenset[str]:
    """Every struct that a table has."""
    return frozenset(fields_workflow.STRUCTS) | frozenset(fields_pod.STRUCTS)


def faults(kind: str, body: object) -> list[Fault]:
    """Everything in `body` that does not fit `kind`, in the order of the body; never raises.

    >>> [(f.kind.value, f.path) for f in faults("ConfigMap", {"data": {"a": 1}, "dta": {}})]
    [('type', ('data', 'a')), ('unknown', ('dta',))]
    """
    found: list[Fault] = []
    _struct(shape(kind), body, None, found, 0)
    return found


# A trail is the path from the inside out, (trail of the parent, key): cheaper to extend than a tuple of all keys,
# and only made into a Path when there is something to say.
_Trail = tuple[Any, str | int] | None


def _path(trail: _Trail) -> Path:
    steps: list[str | int] = []
    while trail is not None:
        trail, step = trail
        steps.append(step)
    return tuple(reversed(steps))


def _struct(shape_: Shape, value: object, trail: _Trail, found: list[Fault], depth: int) -> None:
    if type(value) is not dict:
        found.append(Fault(FaultKind.TYPE, _path(trail), shape_.name, "a mapping", describe(value)))
        return
    if depth > MAX_DEPTH:
        found.append(Fault(FaultKind.DEPTH, _path(trail), shape_.name))
        return
    known = shape_.fields
    for key, item in value.items():
        type_ = known.get(key)
        if type_ is None:
            found.append(Fault(FaultKind.UNKNOWN, _path((trail, key)), shape_.name))
        elif item is not None and not (type_.form is Form.STR and type(item) is str):
            _value(type_, item, (trail, key), shape_.name, found, depth)
    if shape_.required:
        missing = [key for key in shape_.required if value.get(key) is None]
        found.extend(Fault(FaultKind.REQUIRED, _path((trail, key)), shape_.name) for key in missing)


def _value(type_: Type, value: object, trail: _Trail, struct: str, found: list[Fault], depth: int) -> None:
    form = type_.form
    kind = type(value)
    if value is None or form is Form.ANY:
        return
    if form is Form.STRUCT:
        _struct(shape(type_.name), value, trail, found, depth + 1)
        return
    if form is Form.LIST:
        if isinstance(value, list):
            of = type_.of
            assert of is not None
            if of.form is Form.STR:
                for index, item in enumerate(value):
                    if type(item) is not str and item is not None:
                        _value(of, item, (trail, index), struct, found, depth)
            else:
                for index, item in enumerate(value):
                    _value(of, item, (trail, index), struct, found, depth)
            return
    elif form is Form.MAP:
        if isinstance(value, dict):
            of = type_.of
            assert of is not None
            for key, item in value.items():
                if type(item) is not str or of.form is not Form.STR:
                    _value(of, item, (trail, key), struct, found, depth)
            return
    elif _fits(form, kind, value):
        return
    elif form is Form.ENUM:
        if kind is str:
            if value not in type_.choices:
                wanted = "one of: " + ", ".join(choice or '""' for choice in type_.choices)
                found.append(Fault(FaultKind.ENUM, _path(trail), struct, wanted, describe(value)))
            return
        found.append(Fault(FaultKind.TYPE, _path(trail), struct, "a string", describe(value)))
        return
    elif form is Form.QTY and kind is str:
        found.append(Fault(FaultKind.QUANTITY, _path(trail), struct, _EXPECTED[form], describe(value)))
        return
    found.append(Fault(FaultKind.TYPE, _path(trail), struct, _EXPECTED[form], describe(value)))


def _fits(form: Form, kind: type, value: Any) -> bool:
    match form:
        case Form.STR:
            return kind is str
        case Form.BOOL:
            return kind is bool
        case Form.INT:
            return kind is int or (kind is float and value.is_integer())
        case Form.SCALAR:
            return kind is str or kind is int or kind is float or kind is bool
        case Form.IOS:
            return kind is str or kind is int
        case Form.QTY:
            return (kind is str and _QUANTITY.fullmatch(value) is not None) or kind is int or kind is float
        case Form.NUM:
            return kind is int or kind is float
        case Form.OBJ:
            return kind is dict
        case _:
            return False


def describe(value: object) -> str:
    """A value for a message: its type, and itself where it is short and no container.

    >>> describe(5), describe([1]), describe(True)
    ('the number 5', 'a list', 'true')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        text = repr(value)
        return f"the number {text}" if len(text) <= 40 else "a number"
    if isinstance(value, str):
        return f'the string "{value}"' if len(value) <= 40 and value.isprintable() else "a string"
    return "a list" if isinstance(value, list) else "a mapping"
