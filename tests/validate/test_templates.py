"""What a template says of itself."""

from __future__ import annotations

import pytest

from tests.validate import cases

CASES: dict[str, tuple[str, list[str]]] = {
    "a template without a type": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
""",
        [
            "7:5 V220 template 'main' type is unknown: templates.main template type unspecified. choose one of: container, container",
        ],
    ),
    "a template with two types": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    container: {image: busybox}
    suspend: {}
""",
        [
            "9:5 V221 templates.main multiple template types specified. choose one of: container, containerSet, steps, script, resou",
        ],
    ),
    "no image": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    container: {command: [a]}
""",
        [
            "8:5 V222 templates.main.container.image may not be empty",
        ],
    ),
    "timeouts in the wrong place": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    timeout: 10s
    activeDeadlineSeconds: 5
    steps:
    - - {name: a, template: b}
  - name: b
    timeout: "30"
    pendingTimeout: 1d
    activeDeadlineSeconds: -1
    parallelism: 0
    container: {image: busybox}
""",
        [
            "8:5 V223 templates.main Steps template doesn't support timeout field",
            "9:5 V226 templates.main.activeDeadlineSeconds is only valid for leaf templates",
            "13:5 V224 templates.main.steps[0].a b has invalid duration format in timeout",
            "14:5 V225 templates.b.pendingTimeout '1d' is not a duration",
            "15:5 V227 templates.main.steps[0].a templates.b.activeDeadlineSeconds must be a positive integer > 0 or an argo variable",
            "16:5 V228 templates.main.steps[0].a templates.b.parallelism is only valid for steps and dag templates",
            "16:5 V229 templates.b.parallelism must be at least 1",
        ],
    ),
    "resources of a pod that there is not": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    podResources: {limits: {nvidia.com/gpu: 1}, claims: [{name: a}]}
    resourceClaims: [{name: a}]
    suspend: {duration: 1d}
""",
        [
            '8:29 V230 templates.main.podResources: "nvidia.com/gpu" is not a valid pod-level resource, only cpu, memory and hugepage',
            "8:49 V230 templates.main.podResources.claims is not supported for pod-level resources",
            "9:5 V231 templates.main.resourceClaims is not supported for Suspend templates, which do not create a pod",
            "10:15 V225 templates.main.suspend.duration '1d' is not a duration",
        ],
    ),
    "containers that clash": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    initContainers: [{image: busybox, name: ""}]
    sidecars: [{name: wait, image: busybox}]
    inputs: {artifacts: [{name: a, path: /d, raw: {data: x}}]}
    container:
      image: "bad image"
      volumeMounts: [{name: a, mountPath: /d}, {name: b, mountPath: /d}]
""",
        [
            "8:22 V232 templates.main initContainers must all have container name",
            "9:5 V900 templates.main: the embedded engine does not run sidecars yet; the node will end in Error",
            '9:17 V233 templates.main.sidecars: "wait" is a reserved Argo container name',
            "10:26 V234 templates.main.inputs.artifacts[0].path '/d' already mounted in container.volumeMounts.b",
            "12:7 V244 templates.main.container.image 'bad image' has white space in it",
            "13:48 V234 templates.main.container.volumeMounts[1].mountPath '/d' already mounted in container.volumeMounts.a",
        ],
    ),
    "a container set that does not fit together": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    containerSet:
      containers:
      - {name: a, dependencies: [b, c]}
      - {name: b, image: busybox, dependencies: [a]}
    outputs: {parameters: [{name: x, valueFrom: {path: /x}}]}
""",
        [
            "8:5 V900 templates.main: the embedded engine does not run containerSet templates yet; the node will end in Error",
            "9:7 V235 templates.main.containerSet.containers dependency cycle detected: a->b->a",
            '9:7 V236 templates.main.containerSet.containers must have a container named "main" for input or output',
            "10:9 V244 templates.main.containerSet.containers.a.image may not be empty",
            "10:19 V235 templates.main.containerSet.containers.a dependency 'c' not defined",
        ],
    ),
    "a resource without a manifest": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    resource: {action: make}
""",
        [
            "8:5 V237 either templates.main.resource.manifest or templates.main.resource.manifestFrom must be specified",
            "8:5 V900 templates.main: the embedded engine does not run resource templates yet; the node will end in Error",
            "8:16 V237 templates.main.resource.action must be one of: get, create, apply, delete, replace, patch",
        ],
    ),
    "a resource with two manifests, both wrong": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    resource: {action: create, manifest: "a: [", manifestFrom: {artifact: {name: nope}}}
""",
        [
            "8:5 V237 templates.main shouldn't have both `manifest` and `manifestFrom` specified in `Manifest` for resource template",
            "8:5 V900 templates.main: the embedded engine does not run resource templates yet; the node will end in Error",
            "8:32 V237 templates.main.resource.manifest must be a valid yaml",
            "8:50 V237 templates.main artifact nope in `manifestFrom` refer to a non-exist artifact",
        ],
    ),
    "a script without a source": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: main
  templates:
  - name: main
    script: {image: busybox, command: [sh]}
""",
        [
            "8:5 V245 templates.main.script.source is empty: the script would do nothing",
        ],
    ),
    "a spec full of faults": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  entrypoint: mian
  parallelism: 0
  onExit: nope
  hooks: {running: {template: nope}, exit: {}}
  podGC: {strategy: Sometimes, labelSelector: {matchExpressions: [{key: a, operator: Is}]}}
  executorPlugins: [{metadata: {}, spec: {sidecar: {container: {image: a}}}}]
  templates:
  - name: main
    container: {image: busybox}
""",
        [
            "5:3 V241 template name 'mian' undefined",
            "6:3 V229 spec.parallelism must be at least 1",
            "7:3 V241 template name 'nope' undefined",
            "8:11 V284 hooks.running Expression required",
            "8:11 V900 the embedded engine does not run the hook 'running' yet; it is not run",
            "8:21 V285 hooks.running template name 'nope' undefined",
            "8:38 V285 hooks.exit names no template",
            "9:11 V239 podGC.strategy unknown strategy 'Sometimes'",
            '9:67 V239 podGC.labelSelector invalid: "Is" is not a valid label selector operator',
            "10:21 V238 spec.executorPlugins: executor plugin metadata name is mandatory",
        ],
    ),
    "inline templates": (
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
        inline: {container: {command: [x], args: ["{{inputs.parameters.nope}}"]}}
      - name: b
        inline: {script: {image: busybox, source: echo, timeout: 3}}
""",
        [
            "10:18 V222 templates.main.steps[0].a templates..container.image may not be empty",
            "10:51 V340 templates.main.steps[0].a templates.: failed to resolve {{inputs.parameters.nope}}",
            "12:57 V203 unknown field \"spec.templates[0].steps[0][1].inline.script.timeout\": 'timeout' belongs to spec.templates[0].st",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_is_told(name: str) -> None:
    """Code, place and words of every problem of the case, and no other."""
    cases.check(*CASES[name])
