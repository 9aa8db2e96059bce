"""Fields and types: what does not fit, and where lost fields belong."""

from __future__ import annotations

import pytest

from tests.validate import cases

CASES: dict[str, tuple[str, list[str]]] = {
    "a container beside the name of its template": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: hello-world-
spec:
  entrypoint: whalesay
  templates:
  - name: whalesay
  container:
    image: docker/whalesay
    command: [cowsay]
    args: ["hello world"]
""",
        [
            "9:3 V203 unknown field \"spec.container\": 'container' belongs to spec.templates[0]",
        ],
    ),
    "steps beside the name of their template": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: steps-
spec:
  entrypoint: hello
  templates:
  - name: hello
  steps:
  - - name: hello1
      template: say
  - name: say
    container: {image: busybox}
""",
        [
            "9:3 V203 unknown field \"spec.steps\": 'steps' belongs to spec.templates[0]",
        ],
    ),
    "every line at the margin": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
generateName: hello-world-
spec:
entrypoint: whalesay
templates:
- name: whalesay
container:
image: docker/whalesay
command: [cowsay]
args: ["hello world"]
""",
        [
            "4:1 V203 unknown field \"generateName\": 'generateName' belongs to metadata",
            "6:1 V203 unknown field \"entrypoint\": 'entrypoint' belongs to spec",
            "7:1 V203 unknown field \"templates\": 'templates' belongs to spec",
            "9:1 V203 unknown field \"container\": 'container' belongs to templates[0]",
            "10:1 V203 unknown field \"image\": 'image' belongs to container",
            "11:1 V203 unknown field \"command\": 'command' belongs to container",
            "12:1 V203 unknown field \"args\": 'args' belongs to container",
        ],
    ),
    "a cron with every line of its spec at the margin": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata:
  name: nightly
spec:
schedules: ["0 2 * * *"]
workflowSpec:
entrypoint: main
templates:
- name: main
container:
image: busybox
""",
        [
            "6:1 V203 unknown field \"schedules\": 'schedules' belongs to spec",
            "7:1 V203 unknown field \"workflowSpec\": 'workflowSpec' belongs to spec",
            "8:1 V203 unknown field \"entrypoint\": 'entrypoint' belongs to workflowSpec",
            "9:1 V203 unknown field \"templates\": 'templates' belongs to workflowSpec",
            "11:1 V203 unknown field \"container\": 'container' belongs to templates[0]",
            "12:1 V203 unknown field \"image\": 'image' belongs to container",
        ],
    ),
    "arguments of a command beside the container": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: a-}
spec:
  entrypoint: main
  templates:
  - name: main
    container:
      image: busybox
    args: [a]
""",
        [
            "10:5 V203 unknown field \"spec.templates[0].args\": 'args' belongs to spec.templates[0].container",
        ],
    ),
    "outputs inside of the container": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: a-}
spec:
  entrypoint: main
  templates:
  - name: main
    container:
      image: busybox
      outputs: {parameters: [{name: x, valueFrom: {path: /x}}]}
""",
        [
            "10:7 V203 unknown field \"spec.templates[0].container.outputs\": 'outputs' belongs to spec.templates[0]",
        ],
    ),
    "steps with one dash": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: a-}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - name: a
      template: b
  - name: b
    container: {image: busybox}
""",
        [
            "9:7 V202 spec.templates[0].steps[0] must be a list, not a mapping",
        ],
    ),
    "the template of a task below the list of tasks": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: a-}
spec:
  entrypoint: main
  templates:
  - name: main
    dag:
      tasks:
      - name: A
      template: b
      arguments: {parameters: [{name: x, value: 1}]}
  - name: b
    container: {image: busybox}
""",
        [
            "11:7 V203 unknown field \"spec.templates[0].dag.template\": 'template' belongs to spec.templates[0].dag.tasks[0]",
            "12:7 V203 unknown field \"spec.templates[0].dag.arguments\": 'arguments' belongs to spec.templates[0].dag.tasks[0]",
        ],
    ),
    "a job whose pod lost its indentation": (
        """\
apiVersion: batch/v1
kind: Job
metadata:
  name: whalesay
spec:
  template:
    spec:
    containers:
    - name: whalesay
      image: docker/whalesay
    restartPolicy: Never
""",
        [
            "8:5 V203 unknown field \"spec.template.containers\": 'containers' belongs to spec.template.spec",
            "11:5 V203 unknown field \"spec.template.restartPolicy\": 'restartPolicy' belongs to spec.template.spec",
        ],
    ),
    "values of the wrong type": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: a-, labels: {a: true}}
spec:
  entrypont: main
  parallelism: "2"
  templates:
  - name: main
    container:
      image: busybox
      command: echo
      args: [1, true]
      env: [{name: A, value: 5}]
      imagePullPolicy: Sometimes
      resources: {limits: {memory: 64MB}}
    volumes: [{emptyDir: {}}]
""",
        [
            "3:39 V209 metadata.labels.a must be a string, not true",
            '5:3 V201 unknown field "spec.entrypont"',
            '6:3 V202 spec.parallelism must be a whole number, not the string "2"',
            '11:7 V202 spec.templates[0].container.command must be a list, not the string "echo"',
            "12:14 V209 spec.templates[0].container.args[0] must be a string, not the number 1",
            "12:17 V209 spec.templates[0].container.args[1] must be a string, not true",
            "13:23 V209 spec.templates[0].container.env[0].value must be a string, not the number 5",
            '14:7 V204 spec.templates[0].container.imagePullPolicy must be one of: Always, IfNotPresent, Never, not the string "Somet',
            '15:28 V206 spec.templates[0].container.resources.limits.memory must be a quantity (like 500m or 64Mi), not the string "64',
            "16:15 V205 spec.templates[0].volumes[0].name is required",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_is_told(name: str) -> None:
    """Code, place and words of every problem of the case, and no other."""
    cases.check(*CASES[name])
