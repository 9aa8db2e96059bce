"""What refers to other objects: found in any file and order, from the source or live, and judged with what it is given."""

from __future__ import annotations

import pytest

from syncd.argo.manifest import Key
from syncd.base.problems import Severity
from syncd.validate.catalog import Catalog, View
from syncd.validate.lint import lint, lint_one
from syncd.validate.profile import Profile
from tests.validate import cases
from tests.validate.reading import problems_of, read, told, workflow

BASE = read(
    """\
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: base}
spec:
  entrypoint: main
  arguments: {parameters: [{name: needed}]}
  templates:
  - name: main
    container: {image: busybox}
  - name: sound
    inputs: {parameters: [{name: message}]}
    container: {image: busybox, args: ["{{inputs.parameters.message}} {{workflow.parameters.needed}}"]}
---
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: broken}
spec:
  templates:
  - name: main
    container: {image: busybox, args: ["{{inputs.parameters.nope}}"]}
---
apiVersion: argoproj.io/v1alpha1
kind: ClusterWorkflowTemplate
metadata: {name: shared}
spec:
  templates:
  - name: main
    container: {image: busybox}
""",
    "base.yaml",
)

CASES: dict[str, tuple[str, list[str]]] = {
    "a workflow of a template that is not there": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: a}
spec:
  workflowTemplateRef: {name: bsae}
""",
        ['5:3 V281 workflowtemplates.argoproj.io "bsae" not found'],
    ),
    "a workflow of a template with templates of its own": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: a}
spec:
  arguments: {parameters: [{name: needed, value: x}]}
  workflowTemplateRef: {name: base}
  templates: [{name: a, suspend: {}}]
""",
        ["7:3 V242 Templates is invalid field in spec"],
    ),
    "a reference to what has an error itself": (
        workflow(
            """\
- name: main
  steps:
  - - {name: a, templateRef: {name: broken, template: main}}
    - {name: b, templateRef: {name: broken, template: main}}
"""
        ),
        ["9:19 V286 templates.main.steps[0].a templates.main: failed to resolve {{inputs.parameters.nope}}"],
    ),
    "a parameter of the workflow that the template needs": (
        workflow(
            """\
- name: main
  steps:
  - - {name: a, templateRef: {name: base, template: sound}, arguments: {parameters: [{name: message, value: x}]}}
"""
        ),
        ["9:19 V340 templates.main.steps[0].a templates.sound: failed to resolve {{workflow.parameters.needed}}"],
    ),
    "an input that the template needs": (
        workflow(
            """\
- name: main
  steps:
  - - {name: a, templateRef: {name: base, template: sound}, arguments: {parameters: [{name: mesage, value: x}]}}
""",
            "entrypoint: main\n  arguments: {parameters: [{name: needed, value: x}]}",
        ),
        [
            "10:9 V257 templates.main.steps[0].a templates.sound inputs.parameters.message was not supplied",
            "10:88 V258 templates.main.steps[0].a argument 'mesage' is not an input of the template",
        ],
    ),
    "a template of a cluster without clusterScope": (
        workflow("- name: main\n  steps:\n  - - {name: a, templateRef: {name: shared, template: main}}\n"),
        ["9:19 V280 templates.main.steps[0].a template reference shared.main not found"],
    ),
    "what Argo forgets to ask": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  arguments: {parameters: [{name: needed, value: x}]}
  metrics: {prometheus: [{name: my-metric, help: h, counter: {value: "1"}}]}
  templates:
  - name: main
    steps:
    - - {name: a, templateRef: {name: base, template: sound}, arguments: {parameters: [{name: message, value: x}]}}
    - - {name: b, template: sound, arguments: {parameters: [{name: message, value: x}]}}
  - name: plug
    plugin: {}
  - name: out
    dag: {tasks: [{name: A, template: leaf, hooks: {ready: {template: leaf}}}]}
    outputs: {artifacts: [{name: a}]}
  - name: leaf
    container: {image: busybox}
""",
        [
            "7:26 V375 workflow metric name 'my-metric' is invalid. Metric names must contain alphanumeric charac",
            "12:19 V288 template 'sound' is not in this object: it is one of WorkflowTemplate/default/base",
            "14:5 V246 templates.plug.plugin: expected exactly one key, got 0",
            "14:5 V900 templates.plug: the embedded engine does not run plugin templates yet; the node will end i",
            "16:53 V287 templates.out.tasks.A.ready Expression required",
            "16:53 V900 templates.out.A: the embedded engine does not run the hook 'ready' yet; it is not run",
            "17:27 V271 templates.out.outputs.artifacts.a has neither from nor fromExpression",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_is_told(name: str) -> None:
    """Code, place and words of every problem of the case, and no other."""
    text, expected = CASES[name]
    cases.check(text, expected, beside=BASE)


GOOD = workflow(
    """\
- name: main
  steps:
  - - name: a
      templateRef: {name: base, template: sound}
      arguments: {parameters: [{name: message, value: x}]}
    - name: b
      templateRef: {name: shared, template: main, clusterScope: true}
""",
    "entrypoint: main\n  arguments: {parameters: [{name: needed, value: x}]}",
)


def test_references_across_files_are_found() -> None:
    """Nothing is wrong with a reference to a template of another file, of either scope."""
    assert problems_of(GOOD, beside=BASE) == []


def test_live_objects_can_be_referred_to() -> None:
    """A template that is not in the source, but live, is found; one in the source goes before it."""
    live = {manifest.key: manifest.body for manifest in BASE}
    assert lint(read(GOOD), Catalog(read(GOOD), live), Profile()) == []
    hidden = {**live, BASE[0].key: {"spec": {"templates": []}}}
    assert lint(read(GOOD), Catalog([*read(GOOD), *BASE], hidden), Profile()) == []


def test_a_view_remembers_what_was_looked_up() -> None:
    """Found or not: both matter when something changes."""
    (manifest,) = read(GOOD)
    view = View(Catalog(BASE))
    lint_one(manifest, view)
    shared = Key("ClusterWorkflowTemplate", "", "shared")
    assert view.looked_up == {Key("WorkflowTemplate", "default", "base"), shared}
    missing = View(Catalog())
    lint_one(manifest, missing)
    assert Key("WorkflowTemplate", "default", "base") in missing.looked_up


def test_other_namespaces_are_not_seen() -> None:
    """A templateRef means the namespace of the object that it stands in."""
    elsewhere = GOOD.replace("{name: flow}", "{name: flow, namespace: elsewhere}")
    assert "V280" in {problem.code for problem in problems_of(elsewhere, beside=BASE)}


def test_what_is_missing_can_be_a_warning() -> None:
    """`ignore_missing` is for those who have not all of the templates at hand."""
    found = problems_of(GOOD, Profile(ignore_missing=True))
    assert found
    assert {problem.severity for problem in found} == {Severity.WARNING}


def test_declared_twice_is_told_at_both_places() -> None:
    """Each of them points at the other."""
    first, second = read(GOOD, "a.yaml"), read(GOOD, "b.yaml")
    found = [problem for problem in lint([*first, *second], Catalog(BASE), Profile()) if problem.code == "V212"]
    assert [problem.place.file for problem in found] == ["a.yaml", "b.yaml"]
    assert "b.yaml" in found[0].remedy


def test_generated_names_do_not_clash() -> None:
    """Any number of objects may be made of one generateName."""
    text = GOOD.replace("{name: flow}", "{generateName: flow-}")
    assert lint([*read(text, "a.yaml"), *read(text, "b.yaml")], Catalog(BASE), Profile()) == []


def test_an_argument_of_the_template_needs_a_value_when_it_is_submitted() -> None:
    """`lint` lets it come later; `argo submit` and a CronWorkflow do not."""
    text = """\
        apiVersion: argoproj.io/v1alpha1
        kind: Workflow
        metadata: {name: a}
        spec:
          workflowTemplateRef: {name: base}
        """
    assert problems_of(text, beside=BASE) == []
    assert told(problems_of(text, Profile(lint=False), BASE)) == ["5:3 V250"]
