"""One file in: manifests, problems, and what was ignored, with places."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.argo.manifest import Key
from syncd.base.problems import Severity
from syncd.base.yamltext import Limits
from syncd.source import faults
from syncd.source.decode import Decoded, Options, decode

WORKFLOW = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata:\n  name: a\nspec: {}\n"


def read(text: str | bytes, **options: object) -> Decoded:
    return decode("ci/a.yaml", text.encode() if isinstance(text, str) else text, Options(**options))  # type: ignore[arg-type]


def test_each_document_becomes_a_manifest_with_its_place() -> None:
    decoded = read(
        "# head\n" + WORKFLOW + "---\n" + WORKFLOW.replace("name: a", "name: b\n  namespace: ci"), source="s"
    )
    assert [m.key for m in decoded.manifests] == [Key("Workflow", "default", "a"), Key("Workflow", "ci", "b")]
    first, second = (m.origin for m in decoded.manifests)
    assert (first.line, first.document, second.line, second.document, first.source) == (2, 0, 8, 1, "s")
    assert str(decoded.manifests[1].place(("metadata", "namespace"))) == "ci/a.yaml:12:3"
    assert str(decoded.manifests[1].place(("spec", "nothing"))) == "ci/a.yaml:13:1"
    assert (decoded.problems, decoded.ignored) == ((), ())


def test_a_list_is_its_items() -> None:
    text = """\
apiVersion: v1
kind: List
items:
- apiVersion: argoproj.io/v1alpha1
  kind: WorkflowTemplate
  metadata: {name: t}
- apiVersion: v1
  kind: Pod
- 7
---
apiVersion: argoproj.io/v1alpha1
kind: WorkflowList
items:
- metadata: {generateName: w-}
"""
    decoded = read(text)
    assert [str(m.key) for m in decoded.manifests] == ["WorkflowTemplate/default/t", "Workflow/default/w-"]
    assert decoded.manifests[0].origin.line == 4
    assert str(decoded.manifests[0].place(("metadata", "name"))) == "ci/a.yaml:6:14"
    assert dict(decoded.manifests[1].marks or {})[("metadata", "generateName")] == (14, 14)
    assert [line for line, _ in decoded.ignored] == ["ci/a.yaml:7", "ci/a.yaml:9"]


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("", "ci/a.yaml", "empty"),
        ("# nothing\n", "ci/a.yaml", "empty"),
        ("- a\n", "ci/a.yaml", "not a mapping"),
        ("words\n", "ci/a.yaml", "not a mapping"),
        ("on: push\njobs: {}\n", "ci/a.yaml", "no apiVersion"),
        ("kind: Workflow\n", "ci/a.yaml", "no apiVersion (for a Workflow: argoproj.io/v1alpha1)"),
        ("apiVersion: v1\n", "ci/a.yaml", "no kind"),
        ("apiVersion: v1\nkind: Pod\n", "ci/a.yaml", "other kind: v1 Pod"),
        ("apiVersion: tekton.dev/v1\nkind: Workflow\n", "ci/a.yaml", "other kind: tekton.dev/v1 Workflow"),
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\n",
            "ci/a.yaml",
            "other kind: argoproj.io/v1alpha1 Application",
        ),
        ("apiVersion: batch/v1beta1\nkind: CronJob\n", "ci/a.yaml", "CronJob of batch/v1beta1; syncd reads batch/v1"),
        ("b: 1\na: [\n", "ci/a.yaml:2", "not read: the text ends where a value is needed"),
        (b"\xff\xfea\x00", "ci/a.yaml", "not read: file is UTF-16"),
        (
            "{{- if .Values.on }}\nkind: ConfigMap\n{{ end }}\n",
            "ci/a.yaml",
            "text of a template (Helm, Jinja), YAML only once it is rendered",
        ),
        ("a: 1\na: 2\n", "ci/a.yaml", "no apiVersion"),
    ],
)
def test_what_is_not_ours_is_listed_and_never_an_error(text: str | bytes, place: str, reason: str) -> None:
    decoded = read(text)
    assert (decoded.manifests, decoded.problems) == ((), ())
    assert decoded.ignored == ((place, reason),)


ARGO = "apiVersion: argoproj.io/v1alpha1\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (WORKFLOW + "x: b: c\n", ("V101", 6, 5, "", "")),
        (ARGO + "kind: Workflow\nmetadata:\n\tname: a\n", ("V101", 4, 1, "", "")),
        (WORKFLOW + "spec: {}\n", ("V102", 6, 1, "Workflow/default/a", "spec")),
        (WORKFLOW + f"x: {'[' * 101}\n", ("V105", 6, 103, "", "x" + "[0]" * 99)),
        (WORKFLOW.encode() + b"x: \xff\n", ("V106", 6, 4, "", "")),
        (ARGO + "kind: Workflow\nspec: {}\n", ("V108", 1, 1, "", "metadata")),
        (ARGO + "kind: WorkflowTemplate\nmetadata: {generateName: a-}\n", ("V108", 3, 1, "", "metadata")),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n", ("V109", 1, 1, "Secret/default/s", "")),
        (ARGO + "kind: Workflow\nmetadata: {name: 12}\n", ("V110", 3, 12, "", "metadata.name")),
        (ARGO + "kind: Workflow\nmetadata: {name: a, namespace: yes}\n", ("V110", 3, 21, "", "metadata.namespace")),
        (ARGO + "kind: Workflow\nmetadata: [a]\n", ("V110", 3, 1, "", "metadata")),
        ("apiVersion: argoproj.io/v1\nkind: Workflow\nmetadata: {name: s}\n", ("V112", 1, 1, "", "apiVersion")),
        (ARGO + "kind: CronWorkFlow\n", ("V113", 2, 1, "", "kind")),
        (ARGO + "kind: WorkflowTemplates\n", ("V113", 2, 1, "", "kind")),
    ],
)
def test_problems_name_code_place_object_and_path(text: str | bytes, problem: tuple[object, ...]) -> None:
    decoded = read(text)
    assert [(p.code, p.place.line, p.place.column, p.object, p.path) for p in decoded.problems] == [problem]
    (found,) = decoded.problems
    assert found.code in faults.CODES
    assert found.remedy


def test_a_secret_in_git_is_said_and_does_not_hold_the_source_back() -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}\n"
    (problem,) = read(text).problems
    assert problem.severity is Severity.WARNING
    assert "hunter2" not in str(problem)
    assert [m.key.kind for m in read(text, secrets=True).manifests] == ["Secret"]


def test_kinds_and_namespaces_that_a_source_may_bring() -> None:
    text = WORKFLOW + "---\n" + ARGO + "kind: ClusterWorkflowTemplate\nmetadata: {name: c}\n"
    assert [p.code for p in read(text, kinds=frozenset({"CronWorkflow"})).problems] == ["V111", "V111"]
    refused = read(text, namespaces=frozenset({"ci"}))
    assert [(p.code, p.object) for p in refused.problems] == [
        ("V114", "Workflow/default/a"),
        ("V114", "ClusterWorkflowTemplate/c"),
    ]
    assert len(read(text, namespaces=frozenset({"", "default"})).manifests) == 2


def test_one_bad_document_leaves_its_neighbours() -> None:
    decoded = read(WORKFLOW + "---\nkind: Workflow\n  a: b\n---\n" + WORKFLOW.replace("name: a", "name: b"))
    assert [m.key.name for m in decoded.manifests] == ["a", "b"]
    assert [(p.code, p.place.line) for p in decoded.problems] == [("V101", 8)]


def test_an_unquoted_tag_is_told_how_to_mend() -> None:
    (problem,) = read(WORKFLOW + "x:\n  value: {{workflow.name}}\n").problems
    assert (problem.code, problem.place.line) == ("V101", 7)
    assert "quote" in problem.remedy


@given(
    st.lists(
        st.sampled_from(
            [
                "apiVersion",
                "kind",
                "metadata",
                "items",
                ":",
                "{",
                "}",
                "[",
                "]",
                "*a",
                "'",
                '"',
                "1",
                "~",
                "argoproj.io/v1alpha1",
                "Workflow",
                "List",
                "WorkflowList",
                "Secret",
                "name:_x",
                "_",
                "-",
                "---",
                "&a",
                "\\t",
                "\\n",
            ]
        ),
        max_size=40,
    )
)
@settings(max_examples=300, deadline=None)
def test_decode_never_raises(words: list[str]) -> None:
    """Law: whatever a file holds, decode answers; problems carry codes of the table and places in the file."""
    data = "".join(words).replace("_", " ").replace("\\n", "\n").replace("\\t", "\t").encode()
    decoded = decode("a.yaml", data, Options(limits=Limits(nodes=100, depth=10)))
    for problem in decoded.problems:
        assert problem.code in faults.CODES
        assert 0 <= problem.place.line <= data.count(b"\n") + 1
    for manifest in decoded.manifests:
        assert manifest.place(("metadata", "name")).line <= data.count(b"\n") + 1


LOST = """apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: hello-
spec:
  entrypoint: whalesay
  templates:
  - name: whalesay
  container:
    image: docker/whalesay
  - name: two
  steps: []
"""


def test_a_template_that_lost_its_indentation_is_told_where_it_belongs():
    (problem,) = decode("lost.yaml", LOST.encode()).problems
    assert str(problem.place) == "lost.yaml:9:3"
    assert "beside the `- name:` of line 8" in problem.message
    assert "indent it" in problem.remedy


def test_a_manifest_at_the_margin_is_left_to_lint():
    text = b"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata:\ngenerateName: hello-\nspec:\nentrypoint: a\n"
    decoded = decode("margin.yaml", text)
    assert not decoded.problems
    assert decoded.manifests[0].key.name == "hello-"
