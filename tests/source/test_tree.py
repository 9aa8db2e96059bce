"""Globs, charts and kustomizations."""

from __future__ import annotations

import pytest

from syncd.source import tree


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("*.yaml", ["a.yaml", "x/y/a.yaml"], ["a.yml", "a.yaml.txt"]),
        ("ci", ["ci/a.yaml", "x/ci/a.yaml"], ["cia/a.yaml"]),
        ("ci/", ["ci/a.yaml"], ["cia"]),
        ("/ci/*.yaml", ["ci/a.yaml"], ["x/ci/a.yaml", "ci/b/a.yaml"]),
        ("ci/**", ["ci/a.yaml", "ci/b/c/d.yaml"], ["x/a.yaml"]),
        ("**/ci/*.yaml", ["ci/a.yaml", "x/y/ci/a.yaml"], ["ci/x/a.yaml"]),
        ("a/**/b.yaml", ["a/b.yaml", "a/x/y/b.yaml"], ["b.yaml"]),
        ("[a-c]?.json", ["ab.json", "x/cz.json"], ["dz.json", "a.json"]),
        ("[!a].json", ["b.json"], ["a.json"]),
        ("a+(b).yaml", ["a+(b).yaml"], ["aab.yaml"]),
    ],
)
def test_globs(glob: str, yes: list[str], no: list[str]) -> None:
    compiled = tree.pattern(glob)
    assert [path for path in yes + no if compiled.match(path)] == yes


def test_selection_takes_yaml_and_json_unless_told_otherwise() -> None:
    paths = ["a.yaml", "a.yml", "a.json", "a.txt", "test/a.yaml"]
    assert [p for p in paths if tree.Selection().wants(p)] == ["a.yaml", "a.yml", "a.json", "test/a.yaml"]
    assert [p for p in paths if tree.Selection(include=("*.txt", "test"), exclude=("test/a.*",)).wants(p)] == ["a.txt"]


def test_charts_and_kustomizations_rule_files_out() -> None:
    patched = {
        "k/kustomization.yaml": tree.patches("k/kustomization.yaml", b"patches:\n- path: p.yaml\n- patch: inline\n")
    }
    paths = ["a.yaml", "c/Chart.yaml", "c/values.yaml", "c/t/x/a.yaml", "k/kustomization.yaml", "k/p.yaml", "k/r.yaml"]
    assert tree.ruled_out(paths, patched) == {
        "c/Chart.yaml": "below c/Chart.yaml: Helm charts are not rendered",
        "c/values.yaml": "below c/Chart.yaml: Helm charts are not rendered",
        "c/t/x/a.yaml": "below c/Chart.yaml: Helm charts are not rendered",
        "k/kustomization.yaml": "a kustomization: not rendered",
        "k/p.yaml": "a patch of k/kustomization.yaml: kustomizations are not rendered",
    }


def test_a_hostile_tree_is_only_slow_in_its_size() -> None:
    deep = "/".join(["a"] * 2000) + "/a.yaml"
    assert tree.ruled_out(["x/Chart.yaml", deep], {}).keys() == {"x/Chart.yaml"}
    assert tree.patches("k", b"patches: [{path: [1]}, 7, ~]\npatchesStrategicMerge: {a: 1}\n---\n[\n") == frozenset()
