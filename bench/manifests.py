"""Manifests as teams write them: workflow templates and crons of some 1.5 KB, many of them referring to each other.

Out: path → text, the same for the same arguments. Called by the benchmarks of sources, lint and memory.
Of each ten: four templates that stand alone, two that call a template of another file, three crons that run a template, one
cron with a workflow of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

_TEMPLATE = """\
# Owned by team {team}: builds, checks and publishes the nightly data set.
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata:
  name: {name}
  labels: {{team: "{team}", tier: batch}}
  annotations:
    workflows.argoproj.io/description: Fetch a partition, clean it, and publish what is left ({mark})
spec:
  entrypoint: main
  ttlStrategy: {{secondsAfterCompletion: 86400}}
  arguments:
    parameters:
      - name: partition
        value: "p-{number}"
      - name: attempts
        value: "3"
  templates:
    - name: main
      dag:
        tasks:
          - name: fetch
            template: step
            arguments: {{parameters: [{{name: command, value: "fetch {{{{workflow.parameters.partition}}}}"}}]}}
          - name: clean
            depends: fetch
            template: step
            arguments: {{parameters: [{{name: command, value: "clean {{{{tasks.fetch.outputs.result}}}}"}}]}}
          - name: check
            depends: fetch
            when: "'{{{{workflow.parameters.attempts}}}}' != '0'"
            template: step
            arguments: {{parameters: [{{name: command, value: check}}]}}
          - name: publish
            depends: clean && (check.Succeeded || check.Skipped)
{publish}
    - name: step
      inputs: {{parameters: [{{name: command}}]}}
      retryStrategy: {{limit: "2", backoff: {{duration: 5s, factor: "2"}}}}
      activeDeadlineSeconds: 900
      container:
        image: registry.example.com/team-{team}/tools:1.{number}
        command: [sh, -c]
        args: ["echo {{{{inputs.parameters.command}}}} >/tmp/out; cat /tmp/out"]
        env:
          - {{name: TEAM, value: "{team}"}}
          - {{name: RUN, value: "{{{{workflow.name}}}}"}}
        resources: {{requests: {{cpu: 100m, memory: 64Mi}}}}
"""

_OWN_STEP = """\
            template: step
            arguments: {parameters: [{name: command, value: publish}]}"""

_OTHER_STEP = """\
            templateRef: {{name: {other}, template: step}}
            arguments: {{parameters: [{{name: command, value: publish}}]}}"""

_CRON = """\
# Owned by team {team}.
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata:
  name: {name}
  labels: {{team: "{team}", tier: batch}}
  annotations:
    workflows.argoproj.io/description: Runs what the team needs every morning ({mark})
spec:
  schedules: ["{schedule}"]
  timezone: Europe/Paris
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 600
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 5
  workflowMetadata:
    labels: {{team: "{team}"}}
  workflowSpec:
{workflow}
"""

_BY_REFERENCE = """\
    workflowTemplateRef: {{name: {other}}}
    arguments:
      parameters:
        - name: partition
          value: "cron-{number}"
        - name: attempts
          value: "2\""""

_OF_ITS_OWN = """\
    entrypoint: main
    activeDeadlineSeconds: 3600
    templates:
      - name: main
        steps:
          - - {{name: begin, template: say, arguments: {{parameters: [{{name: text, value: begin}}]}}}}
          - - name: each
              template: say
              withItems: [north, east, south, west]
              arguments: {{parameters: [{{name: text, value: "{{{{item}}}} {{{{steps.begin.outputs.result}}}}"}}]}}
          - - {{name: end, template: say, arguments: {{parameters: [{{name: text, value: end}}]}}}}
      - name: say
        inputs: {{parameters: [{{name: text}}]}}
        script:
          image: registry.example.com/team-{team}/tools:1.{number}
          command: [sh]
          source: |
            set -eu
            echo "{{{{inputs.parameters.text}}}} of {{{{workflow.name}}}}"
"""


def yearly(number: int) -> str:
    """A schedule that is not due while anybody measures: some minute of 29 February."""
    return f"{number % 60} {number % 24} 29 2 *"


def template(number: int, other: str = "", mark: str = "1") -> str:
    """A WorkflowTemplate. other: the template whose step its last task runs, "" = its own; mark: what a commit changes."""
    publish = _OTHER_STEP.format(other=other) if other else _OWN_STEP
    return _TEMPLATE.format(name=f"job-{number}", team=number // 100, number=number, mark=mark, publish=publish)


def cron(number: int, other: str = "", mark: str = "1", schedule: Callable[[int], str] = yearly) -> str:
    """A CronWorkflow. other: the template that it runs, "" = a workflow of its own."""
    form = _BY_REFERENCE if other else _OF_ITS_OWN
    team = number // 100
    workflow = form.format(other=other, number=number, team=team)
    return _CRON.format(
        name=f"cron-{number}", team=team, mark=mark, schedule=schedule(number), workflow=workflow.rstrip("\n")
    )


def many(count: int) -> Mapping[str, str]:
    """`count` files, one manifest each, a folder for each hundred."""
    files: dict[str, str] = {}
    for number in range(count):
        first = number - number % 10
        place = number % 10
        if place < 6:
            text = template(number, other="" if place < 4 else f"job-{first + place - 4}")
        else:
            text = cron(number, other="" if place == 9 else f"job-{first + place - 6}")
        files[path_of(number)] = text
    return files


def path_of(number: int) -> str:
    """Where manifest `number` lies."""
    return f"team-{number // 100:03d}/manifest-{number:05d}.yaml"
