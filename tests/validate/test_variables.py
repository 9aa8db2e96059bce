"""Variables, expressions, metrics and retries."""

from __future__ import annotations

import pytest

from tests.validate import cases

CASES: dict[str, tuple[str, list[str]]] = {
    "variables of a container": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    inputs: {parameters: [{name: message, value: a}, {name: my-name, value: b}]}
    container:
      image: busybox
      args:
      - "{{inputs.parameters.mesage}}"
      - "{{step.a.outputs.result}}"
      - "{{inputs.parameters.message}} {{oops"
      - "{{item}} {{retries}} {{ .Names }} {{foo.bar}} {{cronworkflow.name}}"
      - "{{workflow.parameters.x}} {{tasks.a.outputs.result}} {{workflow.priority}} {{item.x}}"
      - "{{=inputs.parameters.message +}}"
      - "{{=sprig.shout('a')}} {{=nope(1)}}"
      - "{{=inputs.parameters.my-name}}"
      - "{{=inputs.parameters.mesage}}"
      - "{{=inputs.parameters['my-name']}} {{=workflow.labels.x ?? 'a'}} {{=asInt(retries)}}"
""",
        [
            "12:9 V340 templates.main: failed to resolve {{inputs.parameters.mesage}}",
            "13:9 V341 templates.main: {{step.a.outputs.result}} stays as it is: no variable begins with 'step'",
            "14:9 V342 templates.main: a {{ is never closed by }}",
            "15:9 V341 templates.main: {{cronworkflow.name}} stays as it is: cronworkflow.* is known only in `when` and `stopStrategy",
            "15:9 V343 templates.main: {{item}} stays as it is: item is not known inside a template",
            "15:9 V344 templates.main: {{retries}} stays as it is: template 'main' has no retryStrategy",
            "16:9 V340 templates.main: failed to resolve {{item.x}}",
            "16:9 V340 templates.main: failed to resolve {{tasks.a.outputs.result}}",
            "16:9 V340 templates.main: failed to resolve {{workflow.parameters.x}}",
            "16:9 V340 templates.main: failed to resolve {{workflow.priority}}",
            "17:9 V350 templates.main: {{=inputs.parameters.message +}}: unexpected token EOF (1:27)",
            "18:9 V351 templates.main: {{=nope(1)}}: there is no function nope",
            "18:9 V351 templates.main: {{=sprig.shout('a')}}: there is no function sprig.shout",
            "19:9 V355 templates.main: the expression uses inputs.parameters.my, which is not known here",
            "20:9 V355 templates.main: the expression uses inputs.parameters.mesage, which is not known here",
        ],
    ),
    "a variable with one brace at its end": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: a, template: leaf, withItems: [1], arguments: {parameters: [{name: x, value: "{{item}"}]}}
  - name: leaf
    inputs: {parameters: [{name: x}]}
    container: {image: busybox}
""",
        [
            "9:86 V345 templates.main.steps a {{ is never closed by }}",
        ],
    ),
    "expressions": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: a, template: leaf, when: "{{workflow.name}} =="}
    outputs:
      parameters:
      - {name: x, valueFrom: {expression: "steps.a.outputs.result == 'x' ? 1"}}
      - {name: z, valueFrom: {expression: "steps.b.outputs.result"}}
      artifacts:
      - {name: q, fromExpression: "{{=steps.a.outputs.artifacts.y}}"}
  - name: leaf
    retryStrategy: {limit: some, retryPolicy: Sometimes, expression: "a ==", backoff: {factor: 2, maxDuration: 1d}}
    metrics:
      prometheus:
      - {name: my-metric, labels: [{key: a-b, value: x}], when: "a ==", counter: {value: ""}}
      - {name: b, help: h}
      - {name: c, help: h, gauge: {realtime: true, value: "{{resourcesDuration.cpu}}"}}
    container: {image: busybox}
""",
        [
            "9:35 V352 templates.main.steps[0].a when '{{workflow.name}} ==' cannot be read: Unexpected end of expression",
            "12:31 V350 templates.main.outputs.parameters.x.valueFrom.expression: unexpected token EOF (1:33)",
            "13:31 V355 templates.main.outputs the expression uses steps.b.outputs.result, which is not known here",
            "15:19 V354 templates.main.outputs.artifacts.q.fromExpression is an expression by itself, the braces around it are not nee",
            "15:19 V355 templates.main.outputs the expression uses steps.a.outputs.artifacts.y, which is not known here",
            "17:21 V361 templates.leaf.retryStrategy.limit 'some' is not a whole number",
            "17:34 V360 templates.main.steps[0].a Sometimes is not a valid RetryPolicy",
            "17:58 V350 templates.leaf.retryStrategy.expression: unexpected token EOF (1:4)",
            "17:78 V362 templates.leaf.retryStrategy.backoff: no base duration specified for retryStrategy",
            "17:99 V363 templates.leaf.retryStrategy.backoff.maxDuration '1d' is not a duration",
            "20:9 V370 templates.main.steps[0].a templates.leaf metric name 'my-metric' is invalid. Metric names must contain alphanu",
            "20:9 V372 templates.main.steps[0].a templates.leaf metric 'my-metric' must contain a help string under 'help: ' field",
            "20:36 V371 templates.main.steps[0].a metric label 'a-b' is invalid: keys may only contain alphanumeric characters or '_'",
            "20:59 V352 templates.leaf metric 'my-metric' when 'a ==' cannot be read: Unexpected end of expression",
            "20:73 V373 templates.main.steps[0].a templates.leaf metric 'my-metric' error: missing counter.value",
            "21:9 V374 templates.leaf metric 'b' must be one of: gauge, counter, histogram",
            "22:28 V373 templates.main.steps[0].a templates.leaf metric 'c' error: 'resourcesDuration.*' metrics cannot be used in rea",
        ],
    ),
    "the exit handler sees more": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  onExit: bye
  templates:
  - name: main
    container: {image: busybox}
  - name: bye
    inputs: {parameters: [{name: x}]}
    container: {image: busybox, args: ["{{workflow.status}} {{workflow.failures}}"]}
""",
        [
            "6:3 V257 templates.bye inputs.parameters.x was not supplied",
        ],
    ),
    "failures are known at the end only": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    container: {image: busybox, args: ["{{workflow.failures}}"]}
""",
        [
            "8:40 V340 templates.main: failed to resolve {{workflow.failures}}",
        ],
    ),
    "a global output exists once it is made": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: a, template: early}
    - - {name: b, template: make}
    - - {name: c, template: late}
  - name: early
    container: {image: busybox, args: ["{{workflow.outputs.parameters.total}}"]}
  - name: make
    container: {image: busybox}
    outputs: {parameters: [{name: x, globalName: total, valueFrom: {path: /x}}]}
  - name: late
    container: {image: busybox, args: ["{{workflow.outputs.parameters.total}}"]}
""",
        [
            "13:40 V340 templates.main.steps[0].a templates.early: failed to resolve {{workflow.outputs.parameters.total}}",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_is_told(name: str) -> None:
    """Code, place and words of every problem of the case, and no other."""
    cases.check(*CASES[name])
