"""References, steps, tasks and loops."""

from __future__ import annotations

import pytest

from tests.validate import cases

CASES: dict[str, tuple[str, list[str]]] = {
    "references to what is not there": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: a, template: mian}
      - {name: b, templateRef: {name: base, template: mian}}
      - {name: c, templateRef: {name: baes, template: main}}
      - {name: d, templateRef: {name: base}}
      - {name: e, template: main, templateRef: {name: base, template: main}}
      - {name: f}
      - {name: g, templateRef: {name: shared, template: main}}
      - {name: h, template: leaf, hooks: {running: {template: leaf}, exit: {template: laef}}, onExit: nope}
  - name: leaf
    container: {image: busybox}
""",
        [
            "9:19 V241 templates.main.steps[0].a template name 'mian' undefined",
            "10:19 V280 templates.main.steps[0].b template reference base.mian not found: there is no WorkflowTemplate/default/base",
            "11:19 V280 templates.main.steps[0].c template reference baes.main not found: there is no WorkflowTemplate/default/baes",
            "12:19 V282 templates.main.steps[0].d template name is required",
            "13:19 V282 templates.main.steps[0].e template name cannot be specified with templateRef",
            "13:35 V280 templates.main.steps[0].e template reference base.main not found: there is no WorkflowTemplate/default/base",
            "14:9 V283 templates.main.steps[0].f failed to get a template: neither template, templateRef nor inline is given",
            "15:19 V280 templates.main.steps[0].g template reference shared.main not found: there is no WorkflowTemplate/default/share",
            "16:43 V284 templates.main.steps[0].h.running Expression required",
            "16:43 V900 templates.main.h: the embedded engine does not run the hook 'running' yet; it is not run",
            "16:77 V285 templates.main.steps[0].h.exit template name 'laef' undefined",
            "16:95 V285 templates.main.steps[0].h.onExit template name 'nope' undefined",
        ],
    ),
    "tasks that wait for the wrong ones": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    dag:
      target: "A NOPE"
      tasks:
      - {name: A, template: leaf, dependencies: [B]}
      - {name: B, template: leaf, dependencies: [A, Q]}
      - {name: 5C, template: leaf, dependencies: [A]}
      - {name: D, template: pass, arguments: {parameters: [{name: x, value: "{{tasks.A.outputs.result}}"}], artifacts: [{name: y, from: "{{tasks.A.outputs.artifacts.z}}"}]}}
      - {name: E, template: leaf, when: "{{tasks.A.outputs.result}} == a"}
  - name: dep
    dag:
      tasks:
      - {name: A, template: leaf}
      - {name: B, template: leaf, depends: "A.Suceeded && A.AnySucceeded || Z", continueOn: {failed: true}}
      - {name: C, template: leaf, dependencies: [A]}
      - {name: D, template: leaf, depends: "A &&"}
  - name: empty
    dag: {tasks: []}
  - name: pass
    inputs: {parameters: [{name: x}], artifacts: [{name: y, optional: true, path: /y}]}
    container: {image: busybox}
  - name: leaf
    container: {image: busybox}
""",
        [
            "9:7 V318 templates.main.targets: target 'NOPE' is not defined",
            "11:35 V311 templates.main sorting failed: graph with cycle: templates.main.tasks dependency cycle detected: A->B->A",
            "12:35 V312 templates.main sorting failed: invalid dependency Q: templates.main.tasks.B dependency 'Q' not defined",
            "13:10 V315 templates.main.tasks.5C name cannot begin with a digit when using either 'depends' or 'dependencies'",
            "14:70 V319 templates.main.tasks.D missing dependency 'A' for parameter 'x'",
            "14:121 V213 templates.main.tasks.D.arguments.artifacts[0].name is required",
            "14:122 V209 spec.templates[0].dag.tasks[3].arguments.artifacts[0].name must be a string, not true",
            "14:131 V319 templates.main.tasks.D missing dependency 'A' for artifact ''",
            "14:131 V340 templates.main.tasks.D failed to resolve {{tasks.A.outputs.artifacts.z}}",
            "15:35 V321 templates.main.tasks.E {{tasks.A.outputs.result}} may not exist yet when the task starts",
            "20:35 V312 templates.dep sorting failed: invalid dependency Z: templates.dep.tasks.B dependency 'Z' not defined",
            "20:35 V313 templates.dep.tasks.A dependency 'A' uses an items-based condition such as .AnySucceeded or .AllFailed but doe",
            "20:35 V314 templates.dep.tasks.B task result 'Suceeded' for task 'A' is invalid",
            "20:81 V317 templates.dep cannot use 'continueOn' when using 'depends'. Instead use 'dep-task.Failed'/'dep-task.Errored'",
            "21:35 V316 templates.dep cannot use both 'depends' and 'dependencies' in the same DAG template",
            "22:35 V320 templates.dep.tasks.D depends 'A &&' cannot be read: unexpected token EOF (1:4)",
            "24:5 V310 templates.empty must have at least one task",
            "26:51 V213 templates.main.tasks.D templates.pass.inputs.artifacts[0].name is required",
            "26:52 V209 spec.templates[3].inputs.artifacts[0].name must be a string, not true",
        ],
    ),
    "loops": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: a, template: leaf, withItems: [1], withParam: "[]"}
    - - {name: b, template: leaf, withParam: "a, b"}
    - - {name: c, template: leaf, withSequence: {count: 1, end: 2}}
    - - {name: d, template: leaf, withSequence: {count: many}}
    - - {name: e, template: leaf, withSequence: {format: "x"}}
    - - {name: f, template: leaf, withItems: [{os: linux}], when: "{{item.arch}} == a && {{item}} == b"}
  - name: leaf
    container: {image: busybox}
""",
        [
            "9:51 V330 templates.main.steps[0].a only one of withItems, withParam, withSequence can be specified",
            "10:35 V334 templates.main.steps[1].b withParam is neither a JSON list nor a variable",
            "11:35 V331 templates.main.steps[2].c only one of count or end can be defined in withSequence",
            "12:50 V332 templates.main.steps[3].d withSequence.count 'many' is not a whole number",
            "13:35 V332 templates.main.steps[4].e withSequence must have count or end",
            "13:50 V332 templates.main.steps[4].e withSequence.format 'x' has no place for the number",
        ],
    ),
    "the status of tasks": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    dag:
      tasks:
      - {name: A, template: leaf}
      - {name: B, template: leaf, dependencies: [A], when: "{{tasks.A.status}} == Succeeded && {{tasks.C.status}} == x && {{tasks.A.outputs.parameters.no}} == y"}
      - {name: C, template: leaf}
  - name: leaf
    container: {image: busybox}
""",
        [
            "11:54 V340 templates.main.tasks.B failed to resolve {{tasks.A.outputs.parameters.no}}",
            "11:54 V340 templates.main.tasks.B failed to resolve {{tasks.C.status}}",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_is_told(name: str) -> None:
    """Code, place and words of every problem of the case, and no other."""
    cases.check(*CASES[name])
