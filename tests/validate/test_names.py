"""Names of objects, templates, steps and parameters."""

from __future__ import annotations

import pytest

from tests.validate import cases

CASES: dict[str, tuple[str, list[str]]] = {
    "templates that are not well named": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    container: {image: busybox}
  - name: a.b
    container: {image: busybox}
  - name: main
    container: {image: busybox}
  - container: {image: busybox}
""",
        [
            "9:5 V214 spec.templates[1].name: 'a.b' is invalid: name must consist of alpha-numeric characters or '-', and must start",
            "11:5 V215 spec.templates[2].name 'main' is not unique",
            "13:5 V213 spec.templates[3].name is required",
        ],
    ),
    "an object that is not well named": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: My_Flow, generateName: 9-}
spec:
  templates:
  - name: main
    container: {image: busybox}
""",
        [
            "3:12 V211 workflow name 'My_Flow' is not a valid object name",
            "4:1 V240 spec.entrypoint is required",
        ],
    ),
    "steps that are not well named": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: a, template: leaf}
      - {name: a, template: leaf}
      - {name: b c, template: leaf}
      - {template: leaf}
      - {name: s, template: leaf, when: "{{steps.a.outputs.result}} == x"}
    - []
  - name: none
    steps: []
  - name: leaf
    container: {image: busybox}
""",
        [
            "10:10 V215 templates.main.steps[0].name 'a' is not unique",
            "11:10 V214 templates.main.steps[0].name 'b c' is invalid: name must consist of alpha-numeric characters or '-', and must ",
            "12:9 V213 templates.main.steps[0].name is required",
            "13:35 V304 templates.main.steps[0].s needs the outputs of 'a', which runs at the same time",
            "16:5 V303 templates.none.steps must have at least one step",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_is_told(name: str) -> None:
    """Code, place and words of every problem of the case, and no other."""
    cases.check(*CASES[name])
