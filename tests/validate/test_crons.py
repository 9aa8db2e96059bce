"""CronWorkflows, CronJobs, Jobs, ConfigMaps and Secrets."""

from __future__ import annotations

import pytest

from tests.validate import cases

CASES: dict[str, tuple[str, list[str]]] = {
    "a cron full of faults": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, annotations: {syncd.io/dst: maybe}}
spec:
  schedules: ["61 * * * *", "0 0 2 * * *", "0 2 * * *"]
  timezone: Mars/Olympus
  concurrencyPolicy: Maybe
  startingDeadlineSeconds: -1
  failedJobsHistoryLimit: -1
  when: "a =="
  stopStrategy: {expression: "a =="}
  workflowSpec:
    entrypoint: main
    arguments: {parameters: [{name: x}]}
    templates:
    - name: main
      container: {image: busybox}
""",
        [
            '3:12 V210 cron workflow name "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" must not be more than 52 cha',
            "3:94 V406 annotation syncd.io/dst is 'maybe'",
            "5:15 V401 cron schedule 61 * * * * is malformed: end of range (61) above maximum (59): 61",
            "5:29 V401 cron schedule 0 0 2 * * * is malformed: expected exactly 5 fields, found 6: [0 0 2 * * *]",
            '6:3 V402 invalid timezone "Mars/Olympus": unknown time zone Mars/Olympus',
            "7:3 V403 'Maybe' is not a valid concurrencyPolicy",
            "8:3 V404 startingDeadlineSeconds must be positive",
            "9:3 V405 failedJobsHistoryLimit must not be negative",
            "10:3 V352 cron workflow when 'a ==' cannot be read: Unexpected end of expression",
            "11:18 V350 spec.stopStrategy.expression: unexpected token EOF (1:4)",
            "14:30 V250 spec.arguments.x.value or spec.arguments.x.valueFrom is required",
        ],
    ),
    "the spelling of an older Argo": (
        """\
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: a}
spec:
  schedule: "0 2 * * *"
  workflowSpec:
    entrypoint: main
    ttlSecondsAfterFinished: 10
    templates:
    - name: main
      synchronization: {mutex: {name: a}}
      memoize: {key: a, maxAge: 1h, cache: {configMap: {name: a}}}
      daemon: true
      container: {image: busybox}
""",
        [
            "5:3 V500 spec.schedule is the spelling of an older Argo",
            '8:5 V501 unknown field "spec.workflowSpec.ttlSecondsAfterFinished": Argo does not have it any more',
            "11:7 V900 templates.main: the embedded engine does not run synchronization yet; the node will end in Error",
            "11:25 V500 spec.workflowSpec.templates[0].synchronization.mutex is the spelling of an older Argo",
            "12:7 V900 templates.main: the embedded engine does not run memoize yet; the node runs each time",
            "13:7 V900 templates.main: the embedded engine does not run daemon templates yet; the node will end in Error",
        ],
    ),
    "jobs and data": (
        """\
apiVersion: batch/v1
kind: CronJob
metadata: {name: My_Job, labels: {team: the builders}}
spec:
  schedule: "61 * * * *"
  timeZone: Mars/Olympus
  concurrencyPolicy: Maybe
  jobTemplate:
    spec:
      backoffLimit: -1
      completionMode: Indexed
      template:
        spec:
          containers: [{name: a}, {name: a, image: b}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: b}
spec: {template: {spec: {restartPolicy: Never, containers: []}}}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
data: {a: "plain text", "b/c": 5}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: s}
data: {a: 5}
binaryData: {a: "!!"}
---
apiVersion: v2
kind: ConfigMap
metadata: {name: s}
""",
        [
            "3:12 V211 cron job name 'My_Job' is not a valid object name",
            "3:35 V216 value of label 'team' is malformed",
            "5:3 V401 cron schedule 61 * * * * is malformed: end of range (61) above maximum (59): 61",
            '6:3 V402 invalid timezone "Mars/Olympus": unknown time zone Mars/Olympus',
            '7:3 V204 spec.concurrencyPolicy must be one of: Allow, Forbid, Replace, not the string "Maybe"',
            "10:7 V423 backoffLimit must be at least 0",
            "11:7 V423 a job with completionMode Indexed must have completions",
            "13:9 V420 restartPolicy of a job must be Never or OnFailure, and has none",
            "14:11 V900 the embedded engine does not run more than one container of a pod yet",
            "14:24 V422 containers[0].image may not be empty",
            "14:35 V215 containers[1].name 'a' is not unique",
            "19:19 V421 the pod of a job must have at least one container",
            "24:8 V425 the value of 'a' is not base64",
            "24:25 V209 data.b/c must be a string",
            "24:25 V424 key 'b/c' is malformed",
            "28:12 V212 ConfigMap/default/s is declared more than once",
            "29:8 V209 data.a must be a string, not the number 5",
            "30:14 V424 key 'a' is in data as well",
            "30:14 V425 the value of 'a' is not base64",
            '32:1 V208 ConfigMap has apiVersion v1, not the string "v2"',
            "34:12 V212 ConfigMap/default/s is declared more than once",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_is_told(name: str) -> None:
    """Code, place and words of every problem of the case, and no other."""
    cases.check(*CASES[name])
