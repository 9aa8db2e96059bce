"""The workspace in use: what one change touches, and what it costs."""

from __future__ import annotations

from unittest import mock

from syncd.argo.manifest import Key, Manifest
from syncd.base.problems import Place, Problem
from syncd.validate import lint
from syncd.validate.workspace import Workspace
from tests.validate.reading import read

TEMPLATE = """\
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {{name: t{number}}}
spec:
  templates:
  - name: {name}
    container: {{image: busybox}}
"""

CALLER = """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {{name: w{number}}}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {{name: a, templateRef: {{name: t{number}, template: main}}}}
"""


def _key(kind: str, name: str) -> Key:
    return Key(kind, "default", name)


def _source(size: int) -> dict[str, tuple[Manifest, ...]]:
    """`size` templates and as many workflows, each of which calls one of them."""
    files = {f"t{n}.yaml": read(TEMPLATE.format(number=n, name="main"), f"t{n}.yaml") for n in range(size)}
    return files | {f"w{n}.yaml": read(CALLER.format(number=n), f"w{n}.yaml") for n in range(size)}


def _counted(workspace: Workspace, changed: dict[str, tuple[Manifest, ...]]) -> int:
    """How many manifests an update judges."""
    with mock.patch.object(lint, "lint_one", wraps=lint.lint_one) as judged:
        workspace.update(changed)
    return judged.call_count


def test_only_what_a_change_concerns_is_judged_again() -> None:
    """One template and its one caller, of two hundred objects."""
    workspace = Workspace()
    assert _counted(workspace, _source(100)) == 200
    assert workspace.problems() == []
    changed = {"t7.yaml": read(TEMPLATE.format(number=7, name="other"), "t7.yaml")}
    assert _counted(workspace, changed) == 2
    assert [problem.code for problem in workspace.problems()] == ["V280"]
    assert workspace.touched == {_key("WorkflowTemplate", "t7"), _key("Workflow", "w7")}


def test_a_template_that_comes_later_mends_its_callers() -> None:
    """In whatever order the files arrive."""
    files = _source(1)
    workspace = Workspace()
    workspace.update({"w0.yaml": files["w0.yaml"]})
    assert [problem.code for problem in workspace.problems()] == ["V280"]
    workspace.update({"t0.yaml": files["t0.yaml"]})
    assert workspace.problems() == []
    workspace.update({}, ["t0.yaml"])
    assert [problem.code for problem in workspace.problems()] == ["V280"]
    assert _key("WorkflowTemplate", "t0") not in workspace.manifests()


def test_faults_of_reading_go_with_their_file() -> None:
    """They are there while the file is, and only while it has them."""
    fault = Problem(Place("bad.yaml", 3, 1), "V101", "not YAML")
    workspace = Workspace()
    workspace.update({"bad.yaml": ()}, (), {"bad.yaml": [fault]})
    assert workspace.problems() == [fault]
    workspace.update({"bad.yaml": ()})
    assert workspace.problems() == []
    workspace.update({"bad.yaml": ()}, (), {"bad.yaml": [fault]})
    workspace.update({}, ["bad.yaml"])
    assert workspace.problems() == []


def test_live_templates_come_and_go() -> None:
    """An object that is made by hand counts as soon as the caller says so."""
    files = _source(1)
    (template,) = files["t0.yaml"]
    workspace = Workspace()
    workspace.update({"w0.yaml": files["w0.yaml"]})
    workspace.live_changed({template.key: template.body})
    assert workspace.problems() == []
    workspace.live_changed({template.key: None})
    assert [problem.code for problem in workspace.problems()] == ["V280"]


def test_of_two_declarations_the_first_file_counts() -> None:
    """And both are told."""
    first = read(TEMPLATE.format(number=0, name="main"), "a.yaml")
    second = read(TEMPLATE.format(number=0, name="other"), "b.yaml")
    workspace = Workspace()
    workspace.update({"b.yaml": second, "w.yaml": _source(1)["w0.yaml"]})
    workspace.update({"a.yaml": first})
    assert [problem.code for problem in workspace.problems()] == ["V212", "V212"]
    assert workspace.manifests()[_key("WorkflowTemplate", "t0")] == first[0]
    workspace.update({}, ["a.yaml"])
    assert [problem.code for problem in workspace.problems()] == ["V280"]
