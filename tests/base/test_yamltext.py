"""YAML read as Kubernetes reads it: values, places, faults, and the laws."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.base import yamltext
from syncd.base.yamltext import Document, Fault, Limits


def read(text: bytes | str, **limits: int) -> list[Document | Fault]:
    return list(yamltext.documents(text, limits=Limits(**limits)))


def values(text: bytes | str) -> list[object]:
    found = read(text)
    assert all(isinstance(f, Document) for f in found), found
    return [f.value for f in found if isinstance(f, Document)]


def faults(text: bytes | str, **limits: int) -> list[tuple[str, int, int]]:
    out = []
    for found in read(text, **limits):
        many = found.faults if isinstance(found, Document) else (found,)
        out += [(f.code, f.line, f.column) for f in many]
    return out


# Verdicts of sigs.k8s.io/yaml v1.6 (goyaml.v2 resolve.go, encoding/json).
WORDS = [
    ("yes", True),
    ("y", True),
    ("On", True),
    ("n", False),
    ("OFF", False),
    ("True", True),
    ("tRue", "tRue"),
    ("~", None),
    ("null", None),
    ("nUll", "nUll"),
    ("12:30:45", "12:30:45"),
    ("2026-01-02", "2026-01-02"),
    ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
    ("1e3", 1000),
    ("1.0", 1),
    ("1.5", 1.5),
    (".5", 0.5),
    ("5.", 5),
    ("+5", 5),
    ("-0", 0),
    ("08", 8),
    ("010", 8),
    ("0o10", 8),
    ("0x1F", 31),
    ("0b101", 5),
    ("-0b101", -5),
    ("1_000", 1000),
    ("0x", "0x"),
    ("1e999", "1e999"),
    ("9223372036854775808", 9223372036854775808),
    ("=", "="),
    ("1.2.3", "1.2.3"),
    ("'1'", "1"),
    ('"yes"', "yes"),
    ("!!str 1", "1"),
    ('!!int "1"', 1),
    ("!!float 1", 1),
    ("!!bool yes", True),
    ("!!binary aGk=", "hi"),
    ("!Ref name", "name"),
    ("! 1", "1"),
    ("!!timestamp 2026-01-02", "2026-01-02"),
]


@pytest.mark.parametrize(("word", "value"), WORDS)
def test_a_word_means_what_kubernetes_takes_it_for(word: str, value: object) -> None:
    (found,) = values(f"a: {word}\n")
    assert found == {"a": value}
    assert type(found["a"]) is type(value)  # type: ignore[index]


@pytest.mark.parametrize(
    ("key", "text"),
    [("on", "true"), ("1", "1"), ("1.5", "1.5"), ("0x10", "16"), ("'on'", "on"), ("2026-01-02", "2026-01-02")],
)
def test_a_key_becomes_text(key: str, text: str) -> None:
    assert values(f"{key}: a\n") == [{text: "a"}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("# only a comment\n", []),
        ("---\n---\n", []),
        ("a: 1\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("--- {a: 1}\n--- [2]\n", [{"a": 1}, [2]]),
        ("a: 1\n...\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("%YAML 1.1\n---\na: 1\n", [{"a": 1}]),
        ("a: |\n  ---\n  x\n---\nb: 2\n", [{"a": "---\nx\n"}, {"b": 2}]),
        ("a: &x {k: 1}\nb: *x\n", [{"a": {"k": 1}, "b": {"k": 1}}]),
        ("a: &x 1\nb: &x 2\nc: *x\n", [{"a": 1, "b": 2, "c": 2}]),
        ("a: &x {k: 1, l: 1}\nb: {<<: *x, k: 2}\n", [{"a": {"k": 1, "l": 1}, "b": {"k": 2, "l": 1}}]),
        (
            "a: &x {k: 1}\nb: &z {k: 3, m: 4}\nc: {<<: [*x, *z]}\n",
            [{"a": {"k": 1}, "b": {"k": 3, "m": 4}, "c": {"k": 1, "m": 4}}],
        ),
        ("'<<': 1\n", [{"<<": 1}]),
        ('{"a": "\\ud83d\\ude00"}', [{"a": "\U0001f600"}]),
        ('{"' + "k" * 2000 + '": [1.0, 1e2]}', [{"k" * 2000: [1, 100]}]),
        ("\ufeffa: 1\n".encode(), [{"a": 1}]),
        ("a: 1\r\nb: 2\r\n---\r\nc: 3\r\n", [{"a": 1, "b": 2}, {"c": 3}]),
    ],
)
def test_documents(text: str | bytes, expected: list[object]) -> None:
    assert values(text) == expected


def test_marks_name_the_key_of_an_entry_and_the_value_of_an_item() -> None:
    first, second = read("# head\na: 1\n---\nspec:\n  items:\n    - name: x\n    - y\n  on: 2\n")
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert (first.line, first.column, first.marks[("a",)]) == (2, 1, (2, 1))
    assert dict(second.marks) == {
        (): (4, 1),
        ("spec",): (4, 1),
        ("spec", "items"): (5, 3),
        ("spec", "items", 0): (6, 7),
        ("spec", "items", 0, "name"): (6, 7),
        ("spec", "items", 1): (7, 7),
        ("spec", "true"): (8, 3),
    }
    assert second.marks.get(("no",)) is None
    assert dict(pickle.loads(pickle.dumps(second)).marks) == dict(second.marks)


@pytest.mark.parametrize(
    ("text", "limits", "expected"),
    [
        ("a: 1\na: 2\nb: {c: 1, c: 2}\n", {}, [("V102", 2, 1), ("V102", 3, 11)]),
        ("a: b: c\n", {}, [("V101", 1, 5)]),
        ("a:\n\t- b\n", {}, [("V101", 2, 1)]),
        ("a: *b\n", {}, [("V101", 1, 4)]),
        ("a: &a [*a]\n", {}, [("V104", 1, 8)]),
        ("? [a]\n: b\n", {}, [("V101", 1, 3)]),
        ("~: b\n", {}, [("V101", 1, 1)]),
        ("a: .inf\n", {}, [("V101", 1, 4)]),
        ("a: !!int x\n", {}, [("V101", 1, 4)]),
        ("a: [1]\nb: {<<: 1}\n", {}, [("V101", 2, 5)]),
        (b"a: 1\nb: \xff\n", {}, [("V106", 2, 4)]),
        ("a: 1\n".encode("utf-16"), {}, [("V106", 0, 0)]),
        ("a: 1\nb: \x00\n", {}, [("V106", 2, 4)]),
        ("a: \ud800\n", {}, [("V106", 1, 4)]),
        ("a: 12345\n", {"size_bytes": 5}, [("V103", 0, 0)]),
        ("a: 1\n---\nb: 1\n---\nc: 1\n", {"documents": 2}, [("V103", 5, 1)]),
        ("---\n" * 100, {"documents": 10}, [("V103", 22, 1)]),
        ("[" * 101, {}, [("V105", 1, 101)]),
        ("a: &a [[1]]\nb: &b [*a]\nc: [*b]\n", {"depth": 4}, [("V105", 3, 5)]),
        ("a: &a [1,1,1,1]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\n", {"nodes": 60}, [("V104", 3, 8)]),
        ("a: 'x\n---\nb: 1\n", {}, [("V101", 1, 4)]),
    ],
)
def test_faults_name_code_line_and_column(
    text: str | bytes, limits: dict[str, int], expected: list[tuple[str, int, int]]
) -> None:
    assert faults(text, **limits) == expected


def test_a_bad_document_does_not_hide_its_neighbours() -> None:
    found = read("a: 1\n---\nb: : :\n  - x\n---\n{{ if }}\n---\nc: 3\n")
    assert [f.value if isinstance(f, Document) else f.line for f in found] == [{"a": 1}, 3, 6, {"c": 3}]


def test_duplicate_keys_leave_a_value_and_name_the_first_line() -> None:
    (found,) = read("a: 1\nb: 2\na: 3\n")
    assert isinstance(found, Document)
    assert found.value == {"a": 3, "b": 2}
    assert found.faults == (
        Fault("V102", 'key "a" is there twice (first in line 1)', "keep one of them", 3, 1, ("a",)),
    )


def test_no_fault_tells_a_value() -> None:
    secret = "hunter2-hunter2"
    for text in (f"a: {secret}: {secret}", f"a: '{secret}", f"a: !!int {secret}", f"{secret}\na: 1", f"a: [{secret}"):
        for found in read(text):
            assert isinstance(found, Fault), text
            assert secret not in repr(found)


def test_the_alias_bomb_ends_early() -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
    bomb += "".join(f"a{i}: &a{i} [{','.join(10 * [f'*a{i - 1}'])}]\n" for i in range(1, 30))
    assert [code for code, _, _ in faults(bomb)] == ["V104"]


def test_the_bomb_of_long_texts_ends_early() -> None:
    text = f"a: &a {'x' * 1_000_000}\nb: [{','.join(5000 * ['*a'])}]\n"
    assert [code for code, _, _ in faults(text)] == ["V104"]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False, width=32).filter(lambda f: not f.is_integer())
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=15,
)


@given(json_values.filter(lambda v: v is not None), st.booleans())
@settings(max_examples=150, deadline=None)
def test_json_reads_as_itself(value: object, ascii_only: bool) -> None:
    """Law: JSON is YAML. Whatever json writes, documents() reads back."""
    text = json.dumps([value], ensure_ascii=ascii_only)
    assert values(text) == [[value]]


@given(st.binary(max_size=300) | st.text(alphabet="ab:-[]{}&*!|>'\"\n #%?,<\t\x00\ud800é~1.", max_size=120))
@settings(max_examples=400, deadline=None)
def test_documents_never_raises(text: bytes | str) -> None:
    """Law: any bytes give documents and faults; marks can be asked for; every fault has its words."""
    for found in read(text, nodes=200, depth=10):
        if isinstance(found, Document):
            assert found.marks[()] == (found.line, found.column)
            json.dumps(found.value, allow_nan=False)
        else:
            assert found.code.startswith("V1")
            assert found.message
