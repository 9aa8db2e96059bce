"""Paths: a name is one step, whatever it says."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.argo.manifest import Key
from syncd.base.errors import Unsupported
from syncd.cluster.kube import kinds

evil = st.sampled_from(["..", ".", "a/b", "../x", "%2F", "%2e%2e", "a?x=1", "a#b", "ü", "a\n", "...."]) | st.text(
    st.characters(codec="utf-8"), min_size=1, max_size=8
)


@given(st.sampled_from(["ConfigMap", "Workflow", "Lease"]), evil, evil)
def test_law_a_name_leads_to_no_other_path(kind: str, namespace: str, name: str) -> None:
    resource = kinds.RESOURCES[kind]
    path = kinds.path(Key(kind, namespace, name))
    assert path.startswith(resource.root)
    steps = path.removeprefix(resource.root).split("/")
    assert [steps[0], steps[1], steps[3], len(steps)] == ["", "namespaces", resource.plural, 5]
    assert [unquote(steps[2]), unquote(steps[4])] == [namespace, name]
    assert not {".", ".."} & set(steps)
    assert path.isascii()
    assert not set("?# \n") & set(path)


def test_kinds_of_the_whole_cluster_have_no_namespace() -> None:
    assert (
        kinds.path(Key("ClusterWorkflowTemplate", "", "a")) == "/apis/argoproj.io/v1alpha1/clusterworkflowtemplates/a"
    )
    assert kinds.collection("Secret", None) == "/api/v1/secrets"


def test_only_kinds_of_the_table_are_reached() -> None:
    with pytest.raises(Unsupported, match="'Node'"):
        kinds.path(Key("Node", "", "a"))
