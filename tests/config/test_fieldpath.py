"""The fields that a source ignores: how they are written, and what is said of those that cannot be meant."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.base.errors import ConfigError
from syncd.config import fieldpath
from syncd.config.load import load


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("spec.suspend", ("spec", "suspend")),
        ("spec.templates[0].name", ("spec", "templates", 0, "name")),
        ("spec.templates[0][1]", ("spec", "templates", 0, 1)),
        ("metadata.labels.team", ("metadata", "labels", "team")),
        ('metadata.annotations["a.b/c"]', ("metadata", "annotations", "a.b/c")),
        ('data["key.json"]', ("data", "key.json")),
        ('spec["a\\"b"].c', ("spec", 'a"b', "c")),
        ("spec", ("spec",)),
    ],
)
def test_a_path_is_read(text, path):
    assert fieldpath.parse(text) == path


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "does not begin with the name of a field"),
        ("[0].a", "does not begin"),
        (".spec", "from character 1 on"),
        ("spec..a", "from character 5 on"),
        ("spec.", "from character 5 on"),
        ("spec.a b", "from character 7 on"),
        ("spec[a]", "from character 5 on"),
        ('spec["a]', "from character 5 on"),
        ('spec["\\x"]', "from character 5 on"),
        ("spec[0]name", "from character 8 on"),
        ("status.phase", "status is never compared"),
        ("kind", "kind is never compared"),
        ("metadata.finalizers", "single labels and annotations"),
        ("metadata.labels", "single labels and annotations"),
        ("metadata.labels.a.b/c", "single labels and annotations"),
        ('metadata.annotations["syncd.io/path"]', "is syncd's own"),
        ("spec" + ".a" * 60, "more than 60 steps"),
    ],
)
def test_what_cannot_be_meant_is_said(text, wrong):
    with pytest.raises(ValueError, match=re.escape(wrong)):
        fieldpath.parse(text)


@given(st.lists(st.text(max_size=6) | st.integers(0, 999), max_size=6))
def test_every_path_can_be_written(steps):
    """Law: written with every name in quotes, a path is read as what it was."""
    text = "spec" + "".join(f"[{json.dumps(step)}]" for step in steps)
    assert fieldpath.parse(text) == ("spec", *steps)


@given(st.text(alphabet='spec.[]"0a \\', max_size=20) | st.text(max_size=20))
def test_no_text_does_worse_than_to_be_refused(text):
    """Law: a path, or ValueError."""
    try:
        assert fieldpath.parse(text)
    except ValueError as wrong:
        assert str(wrong)


def test_the_configuration_names_every_wrong_one_with_its_place():
    text = (
        "sources:\n- path: /a\n  ignore:\n    CronWorkflow: spec.suspend\n    ConfigMap: [data.a, status.b, 'x..y']\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(text, {})
    remedy = 'write it as spec.suspend, spec.templates[0].name or metadata.labels["a.b/c"]'
    assert str(caught.value).splitlines() == [
        f'syncd.yaml:5:25: sources[0].ignore.ConfigMap[1]: "status.b": status is never compared; {remedy}',
        f'syncd.yaml:5:35: sources[0].ignore.ConfigMap[2]: "x..y": cannot be read from character 2 on; {remedy}',
    ]
