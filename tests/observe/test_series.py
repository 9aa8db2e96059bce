"""The text of a scrape is what prometheus-client would write, and removing series takes those and no others."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics import exposition, parser
from prometheus_client.parser import text_string_to_metric_families

from syncd.observe.catalogue import Metric, Type
from syncd.observe.series import Family

HELP = 'what "it" is,\nand a \\ as well'
BOUNDS = (0.5, 1.0, 60.0)
values = st.floats(0, 1e12)
labels = st.tuples(st.text(max_size=8), st.sampled_from(["x", 'a"b', "a\\nb", "a\nb", "é😀"]))
steps = st.lists(st.tuples(labels, values), max_size=12)


def family(name: str, kind: Type, names: tuple[str, ...] = ("source", "kind"), cap: int = 100) -> Family:
    return Family(name, Metric(kind, HELP, names, BOUNDS if kind is Type.HISTOGRAM else (), cap), lambda name: None)


@pytest.mark.parametrize("kind", list(Type))
@given(steps)
def test_the_text_says_what_prometheus_client_says(kind, steps):
    """Law: in both forms, whatever the labels."""
    name = {Type.COUNTER: "a_total", Type.GAUGE: "a_seconds", Type.HISTOGRAM: "a_seconds"}[kind]
    registry = CollectorRegistry()
    more = {"buckets": BOUNDS} if kind is Type.HISTOGRAM else {}
    theirs = {Type.COUNTER: Counter, Type.GAUGE: Gauge, Type.HISTOGRAM: Histogram}[kind](
        name, HELP, ("source", "kind"), registry=registry, **more
    )
    ours = family(name, kind)
    for at, value in steps:
        verb = {Type.COUNTER: "inc", Type.GAUGE: "set", Type.HISTOGRAM: "observe"}[kind]
        getattr(ours.at(*at), verb)(value)
        getattr(theirs.labels(*at), verb)(value)
    plain = list(text_string_to_metric_families(generate_latest(registry).decode()))
    assert _told(text_string_to_metric_families(ours.text(False))) == _told(plain)
    strict = parser.text_string_to_metric_families(exposition.generate_latest(registry).decode())
    assert _told(parser.text_string_to_metric_families(ours.text(True) + "# EOF\n")) == _told(strict)


def _told(families):
    """What a scraper understands. The `_created` series are left out, as we write none."""
    kept = [one for one in families if not one.name.endswith("_created")]
    samples = [s for one in kept for s in one.samples if not s.name.endswith("_created")]
    heads = [(one.name, one.type, one.documentation) for one in kept]
    return heads, sorted((s.name, sorted(s.labels.items()), s.value) for s in samples)


@given(st.sets(st.tuples(*[st.sampled_from("ab")] * 4)), st.sampled_from("ab"), st.sampled_from("ab"))
def test_a_cron_takes_its_series_and_no_others(known, namespace, name):
    """Law: what is left is what does not begin with its labels, and may be made again."""
    ours = family("a_total", Type.COUNTER, ("namespace", "name", "outcome", "reason"))
    for one in known:
        ours.at(*one).inc()
    ours.remove(namespace, name)
    left = {one for one in known if one[:2] != (namespace, name)}
    assert _labels(ours) == left
    for one in known:
        ours.at(*one).inc()
    assert _labels(ours) == known
    ours.clear()
    assert _labels(ours) == set()


def _labels(ours: Family) -> set[tuple[str, ...]]:
    found = text_string_to_metric_families(ours.text(False))
    return {tuple(sample.labels.values()) for one in found for sample in one.samples}


def test_one_whole_series_may_go_alone():
    ours = family("a", Type.GAUGE, ("source", "kind"))
    for one in product("ab", "cd"):
        ours.at(*one).set(1)
    ours.remove("a", "c")
    ours.remove("a", "never")
    assert _labels(ours) == {("a", "d"), ("b", "c"), ("b", "d")}


def test_beyond_the_cap_there_is_one_for_all_others():
    ours = family("a_total", Type.COUNTER, cap=2)
    for number in range(5):
        ours.at(str(number), "x").inc()
    assert _labels(ours) == {("0", "x"), ("1", "x"), ("other", "other")}
    ours.remove("0")
    assert ours.has("7", "x") is False  # the series of the others has taken the place
