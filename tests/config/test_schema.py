"""The schema of the knobs against what reads them: what it lets pass is read, what it refuses would have been refused."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.base.errors import ConfigError
from syncd.config import describe, schema
from syncd.config.load import load
from syncd.config.model import Config

WHOLE = schema.of()
VALIDATOR = jsonschema.Draft7Validator(WHOLE)


def places(value: Any) -> set[str]:
    """Where the schema says no: `sources.0.interval`."""
    return {".".join(map(str, error.absolute_path)) for error in VALIDATOR.iter_errors(value)}


def faults(value: Any) -> list[str]:
    """What the loader says."""
    try:
        load(json.dumps(value), {"HOME": "/home/u"})
    except ConfigError as error:
        return str(error).splitlines()
    return []


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(WHOLE)


def knobs(table: dict[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    found = {}
    for name, one in table.get("properties", {}).items():
        found[prefix + name] = one
        inner = one.get("items", one)
        found |= knobs(inner, f"{prefix}{name}[]." if inner is not one else f"{prefix}{name}.")
    return found


def test_every_knob_is_in_it_with_its_meaning() -> None:
    rows = {name: meaning for name, _, _, meaning in describe.rows()}
    assert {name: one["description"] for name, one in knobs(WHOLE).items()} == rows


def test_its_defaults_are_the_defaults() -> None:
    def filled(table: dict[str, Any]) -> dict[str, Any]:
        out = {}
        for name, one in table["properties"].items():
            if "default" in one:
                out[name] = one["default"]
            elif "properties" in one:
                out[name] = filled(one)
        return out

    written = filled(WHOLE)
    written["sources"] = [{"path": "/a", **filled(WHOLE["properties"]["sources"]["items"])}]
    assert places(written) == set()
    read = load(json.dumps(written), {"HOME": "/home/u"})
    plain = load('{"sources": [{"path": "/a"}]}', {"HOME": "/home/u"})
    assert read == plain


GOOD = [
    {},
    {"sources": [{"url": "git@example.org:team/jobs.git", "ref": "main", "include": "*.yaml", "interval": "1m30s"}]},
    {"sources": [{"path": "/srv", "worktree": True, "ref": {"branch": "dev"}, "prune": {"maxDeleteFraction": 1}}]},
    {"sources": [{"path": "/srv", "auth": {"identityFile": "/k", "knownHostsFile": "/h"}, "ignore": {"A": ["b.c"]}}]},
    {"retention": {"runsAge": "7d", "logsAge": "0.5d", "ledgerAge": "0s"}, "limits": {"fileBytes": 3145728}},
    {"diskReserve": "1Gi", "artifactRepository": {"s3": {"bucket": "b"}}, "sandbox": {"images": {"a:1": ["/a", "-x"]}}},
    {"kubernetes": {"namespaces": "ci", "requestsPerSecond": 12.5, "lease": {"duration": "15s", "retry": "500ms"}}},
]


@pytest.mark.parametrize("value", GOOD)
def test_what_is_right_passes_both(value: Any) -> None:
    assert (places(value), faults(value)) == (set(), [])


BAD = {
    "portt": ({"portt": 1}, ""),
    "listen.portt": ({"listen": {"portt": 1}}, "listen"),
    "listen.port": ({"listen": {"port": 65536}}, "listen.port"),
    "listen.port as text": ({"listen": {"port": "80"}}, "listen.port"),
    "runtime": ({"runtime": "podman"}, "runtime"),
    "duration without a unit": ({"driftInterval": "30"}, "driftInterval"),
    "duration as a number": ({"driftInterval": 30}, "driftInterval"),
    "duration below zero": ({"driftInterval": "-1s"}, "driftInterval"),
    "days among hours": ({"driftInterval": "1d2h"}, "driftInterval"),
    "size": ({"diskReserve": "1 GB"}, "diskReserve"),
    "size below zero": ({"diskReserve": -1}, "diskReserve"),
    "count below zero": ({"parallelism": -1}, "parallelism"),
    "half a count": ({"parallelism": 1.5}, "parallelism"),
    "switch as text": ({"schedule": {"enabled": "yes"}}, "schedule.enabled"),
    "text with a line break": ({"state": "a\nb"}, "state"),
    "no place": ({"sources": [{"name": "a"}]}, "sources.0"),
    "two places": ({"sources": [{"url": "https://a/b", "path": "/a"}]}, "sources.0"),
    "name": ({"sources": [{"path": "/a", "name": "A"}]}, "sources.0.name"),
    "namespace": ({"sources": [{"path": "/a", "namespace": "a_b"}]}, "sources.0.namespace"),
    "commit": ({"sources": [{"path": "/a", "ref": {"commit": "abc"}}]}, "sources.0.ref.commit"),
    "two refs": ({"sources": [{"path": "/a", "ref": {"tag": "a", "branch": "b"}}]}, "sources.0.ref"),
    "fraction": ({"sources": [{"path": "/a", "prune": {"maxDeleteFraction": 0}}]}, "sources.0.prune.maxDeleteFraction"),
    "interval": ({"sources": [{"path": "/a", "interval": "10ms"}]}, "sources.0.interval"),
    "unknown host": ({"sources": [{"path": "/a", "auth": {"identityFile": "/k"}}]}, "sources.0.auth"),
    "requests": ({"mode": "kubernetes", "kubernetes": {"requestsInFlight": 0}}, "kubernetes.requestsInFlight"),
    "namespaces": ({"mode": "kubernetes", "kubernetes": {"namespaces": ["A"]}}, "kubernetes.namespaces.0"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_refused_by_both_where_it_stands(name: str) -> None:
    value, place = BAD[name]
    assert places(value) == {place}
    assert len(faults(value)) == 1, faults(value)


BETWEEN = (
    "a lease could be lost before it is renewed",
    "is shorter than a takeover",
    "listening beyond loopback needs tokens",
    "only a local path has files",
    "leads out of the repository",
    "a second source called",
    "write it as spec.suspend",
)
"""Faults that lie between two knobs, or in what only code can judge: not for a schema."""

WRITTEN = {
    schema.DURATION: st.sampled_from(["0s", "1h30m", "7d", "1.5h", "99999m", "10ms"]),
    schema.LONG: st.sampled_from(["1s", "9999d", "1h5ms", "1.5m"]),
    schema.SIZE: st.sampled_from(["0", "3Mi", "1.5Gi", ".5k", "999999Ti"]),
    schema.TEXT: st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), max_size=20),
}
"""Pattern → values, where drawing them from the pattern itself would be slow; the laws below draw those."""

URLS = ("https://example.org/a.git", "ssh://git@example.org:22/b.git", "git@example.org:c.git")


def instances(one: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema of `schema.of` lets pass."""
    if "enum" in one:
        return st.sampled_from(one["enum"])
    kinds = one.get("type", ["string", "integer"])
    return st.one_of([of_kind(kind, one) for kind in ([kinds] if isinstance(kinds, str) else kinds)])


def of_kind(kind: str, one: dict[str, Any]) -> st.SearchStrategy[Any]:
    if kind == "object" and "properties" in one:
        inner = {name: instances(value) for name, value in one["properties"].items()}
        if "url" in inner:
            inner["url"] = st.sampled_from(URLS)
        return st.fixed_dictionaries({}, optional=inner).map(lambda value: mended(value, one))
    if kind == "object":
        return st.dictionaries(
            st.text("abcXYZ", min_size=1), instances(one.get("additionalProperties", {})), max_size=2
        )
    if kind == "array":
        return st.lists(instances(one["items"]), max_size=2)
    if kind == "string":
        pattern = one.get("pattern", "a?$")
        return WRITTEN[pattern] if pattern in WRITTEN else drawn(pattern)
    if kind == "boolean":
        return st.booleans()
    low = one.get("minimum", 0)
    if kind == "integer":
        return st.integers(low, one.get("maximum", 10**6))
    return st.floats(low, one.get("maximum", 1e6), exclude_min="exclusiveMinimum" in one)


def drawn(pattern: str) -> st.SearchStrategy[str]:
    """Texts of a pattern. `$` is the end of the text, as in Go and JavaScript; in Python a line break may follow it."""
    return st.from_regex(re.sub(r"\$$", r"\\Z", pattern))


def mended(value: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    """Made to keep what holds between the knobs of a table."""
    if "oneOf" in one:
        value = {**value, "path": value.get("path") or "/a"} if "url" not in value else value
        value = {name: inner for name, inner in value.items() if name != "path" or "url" not in value}
    if "maxProperties" in one:
        value = dict(list(value.items())[: one["maxProperties"]])
    for name, needed in one.get("dependencies", {}).items():
        if name in value:
            value = {**value, **dict.fromkeys(needed, "/h")}
    return value


@given(instances(WHOLE))
@settings(max_examples=60, deadline=None)
def test_what_passes_is_read(value: dict[str, Any]) -> None:
    assert places(value) == set()
    left = [fault for fault in faults(value) if not any(words in fault for words in BETWEEN)]
    assert left == []


@given(st.one_of(drawn(schema.DURATION), drawn(schema.LONG)))
@settings(max_examples=100, deadline=None)
def test_every_duration_that_passes_is_read(text: str) -> None:
    assert faults({"driftInterval": text}) == []


@given(drawn(schema.SIZE))
@settings(max_examples=100, deadline=None)
def test_every_size_that_passes_is_read(text: str) -> None:
    assert faults({"diskReserve": text}) == []


def test_tables_are_closed() -> None:
    """In every table a name that is not known is refused, by the schema and by the loader."""
    for name, one in {"": WHOLE, **knobs(WHOLE)}.items():
        if "properties" in one.get("items", one):
            assert one.get("items", one)["additionalProperties"] is False, name


def test_the_model_is_all_of_it() -> None:
    assert set(WHOLE["properties"]) == {describe.camel(name) for name in Config.__slots__}
