"""Arguments, inputs and outputs."""

from __future__ import annotations

import pytest

from tests.validate import cases

CASES: dict[str, tuple[str, list[str]]] = {
    "arguments of a step": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - name: a
        template: b
        arguments:
          parameters:
          - name: x
          - {name: y, value: z, enum: []}
          - {name: z, value: q, enum: [a, b]}
          - {name: p, valueFrom: {path: /x}}
          - {name: mesage, value: hi}
          - {name: k, valueFrom: {supplied: {}}, enum: [a]}
          artifacts:
          - name: art
          - {name: art2, from: "{{steps.q.outputs.artifacts.x}}", fromExpression: "steps.q"}
  - name: b
    inputs:
      parameters: [{name: message}, {name: d, default: z, enum: [a, b]}]
      artifacts: [{name: in, path: /in}]
    container: {image: busybox}
""",
        [
            "9:9 V257 templates.main.steps[0].a templates.b inputs.artifacts.in was not supplied",
            "9:9 V257 templates.main.steps[0].a templates.b inputs.parameters.message was not supplied",
            "13:13 V250 templates.main.steps[0].a.arguments.x.value or templates.main.steps[0].a.arguments.x.valueFrom is required",
            "13:13 V258 templates.main.steps[0].a argument 'x' is not an input of the template",
            "14:13 V213 templates.main.steps[0].a.arguments.parameters[1].name is required",
            "14:14 V209 spec.templates[0].steps[0][0].arguments.parameters[1].name must be a string, not true",
            "14:33 V252 templates.main.steps[0].a.arguments..enum should contain at least one value",
            "15:13 V258 templates.main.steps[0].a argument 'z' is not an input of the template",
            "15:23 V254 templates.main.steps[0].a.arguments.z.value should be present in templates.main.steps[0].a.arguments.z.enum li",
            "16:13 V258 templates.main.steps[0].a argument 'p' is not an input of the template",
            "16:23 V251 templates.main.steps[0].a.arguments.p.valueFrom only allows: default, configMapKeyRef and supplied",
            "17:13 V258 templates.main.steps[0].a argument 'mesage' is not an input of the template",
            "18:13 V253 templates.main.steps[0].a.arguments.k.value is required",
            "18:13 V258 templates.main.steps[0].a argument 'k' is not an input of the template",
            "20:13 V255 templates.main.steps[0].a.arguments.art.from, artifact location, or key is required",
            "21:13 V256 templates.main.steps[0].a.arguments.art2 shouldn't have both `from` and `fromExpression` in Artifact",
            "21:26 V340 templates.main.steps failed to resolve {{steps.q.outputs.artifacts.x}}",
            "24:47 V259 templates.b.inputs.parameters.d.default is not in its enum list",
        ],
    ),
    "inputs and outputs": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    inputs:
      artifacts:
      - {name: a, path: /a, from: x}
    outputs:
      parameters:
      - {name: a}
      - {name: b, value: x, valueFrom: {path: /x}}
      - {name: c, valueFrom: {}}
      - {name: d, valueFrom: {path: /x, parameter: y}}
      - {name: e, valueFrom: {path: /x}, globalName: a.b}
      artifacts:
      - {name: o, path: /o}
      - {name: q}
    dag: {tasks: [{name: A, template: leaf}]}
  - name: leaf
    inputs:
      artifacts:
      - {name: none}
      - {name: up, path: /safe/../../etc, git: {revision: main}, raw: {data: x}}
      - {name: h, path: /h, hdfs: {path: rel}, mode: 1000}
    outputs:
      parameters: [{name: a, valueFrom: {parameter: x}}]
    container: {image: busybox}
""",
        [
            "5:3 V257 templates.main inputs.artifacts.a was not supplied",
            "10:19 V260 templates.main.inputs.artifacts.a.path only valid in container/script templates",
            "10:29 V261 templates.main.inputs.artifacts.a.from not valid in inputs",
            "13:9 V264 templates.main.outputs.parameters.a does not have valueFrom or value specified",
            "14:9 V263 templates.main.outputs.parameters.b has both valueFrom and value specified, choose one",
            "15:19 V265 templates.main valueFrom type unspecified. choose one of: path, jqFilter, jsonPath, parameter, raw, expression",
            "16:19 V266 templates.main.outputs.parameters.d.parameter or expression must be specified for DAG templates",
            "16:41 V209 spec.templates[0].outputs.parameters[3].valueFrom.parameter must be a string, not true",
            "17:19 V266 templates.main.outputs.parameters.e.parameter or expression must be specified for DAG templates",
            "17:42 V267 templates.main.outputs.parameters.e.globalName: Parameter/Artifact name must consist of alpha-numeric characte",
            "19:19 V260 templates.main.outputs.artifacts.o.path only valid in container/script templates",
            "20:9 V271 templates.main.outputs.artifacts.q has neither from nor fromExpression",
            "21:19 V257 templates.main.tasks.A templates.leaf inputs.artifacts.none was not supplied",
            "21:19 V257 templates.main.tasks.A templates.leaf inputs.artifacts.up was not supplied",
            "25:9 V262 templates.main.tasks.A error in templates.leaf.inputs.artifacts.none: Artifact 'none' did not specify a path",
            "26:9 V262 templates.main.tasks.A error in templates.leaf.inputs.artifacts.up: Artifact 'up' attempted to use a path cont",
            "26:43 V268 templates.main.tasks.A templates.leaf.inputs.artifacts.up.git.repo is required",
            "26:66 V269 templates.leaf.inputs.artifacts.up: at most one artifact location can be specified",
            "27:29 V268 templates.main.tasks.A templates.leaf.inputs.artifacts.h.hdfs.addresses is required",
            "27:48 V270 templates.leaf.inputs.artifacts.h.mode 1000 is not between 0 and 511",
            "29:30 V266 templates.main.tasks.A templates.leaf.outputs.parameters.a.path must be specified for Container templates",
        ],
    ),
    "arguments of the entrypoint": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  arguments: {parameters: [{name: a, value: 5}, {name: a, value: 6}, {name: enumerated, value: q, enum: [r]}]}
  templates:
  - name: main
    inputs: {parameters: [{name: a}, {name: b}, {name: c, default: x}]}
    timeout: "{{inputs.parameters.a}}"
    container: {image: busybox}
""",
        [
            "5:3 V257 templates.main inputs.parameters.b was not supplied",
            "6:50 V215 spec.arguments.parameters[1].name 'a' is not unique",
            "6:89 V254 spec.arguments.enumerated.value should be present in spec.arguments.enumerated.enum list",
            "10:5 V224 templates.main main has invalid duration format in timeout",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_is_told(name: str) -> None:
    """Code, place and words of every problem of the case, and no other."""
    cases.check(*CASES[name])
