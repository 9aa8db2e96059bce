"""Every rule of the lint, once: code → what it means and what to do. `docs/rules.md` is made from this table.

argo: Argo v4.1's own validator refuses it, too. An error that it does not refuse is one that the API server's schema or the
run itself would refuse; `Profile.as_argo` makes it a warning. Codes are stable: a rule that goes leaves its number unused.
V1xx are the faults of reading a file (`source.faults`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from syncd.base.problems import Severity

ERROR: Final = Severity.ERROR
WARNING: Final = Severity.WARNING


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table. remedy: for the message where the rule knows none better; example: YAML that breaks the rule."""

    title: str
    severity: Severity
    argo: bool
    meaning: str
    remedy: str
    example: str


# fmt: off
CODES: Final[dict[str, Rule]] = {
    # the shape of the document
    "V201": Rule("unknown field", ERROR, True, "The object has no such field; Argo would ignore it or refuse the object.", "check the spelling; fields are case-sensitive", "spec: {entrypont: main}"),
    "V202": Rule("wrong type", ERROR, True, "The field wants another type than the file gives it.", "give it the type it wants", "command: echo"),
    "V203": Rule("lost indentation", ERROR, True, "The field is unknown where it stands, and belongs to something else nearby. Tutorials lose their indentation when they go through a web page.", "move it to where it belongs", "templates:\n- name: a\ncontainer: {image: busybox}"),
    "V204": Rule("not one of the choices", ERROR, False, "The field takes only certain words; the API server refuses others.", "take one of the choices", "imagePullPolicy: Sometimes"),
    "V205": Rule("required field is missing", ERROR, False, "The schema requires this field; the API server refuses an object without it.", "add it", "volumes: [{emptyDir: {}}]"),
    "V206": Rule("malformed quantity", ERROR, True, "A quantity is a number with an optional suffix: `500m`, `1.5`, `64Mi`. Variables cannot stand here.", "write a number with an optional suffix, as in 500m or 64Mi", "resources: {limits: {memory: 64MB}}"),
    "V207": Rule("nested too deeply", ERROR, False, "Templates are nested in one another beyond any use.", "give the inner templates names and call them", "inline: {steps: [[{inline: …}]]}"),
    "V208": Rule("wrong apiVersion", ERROR, True, "The kind does not exist in that API version.", "correct apiVersion", "apiVersion: v1\nkind: Workflow"),
    "V209": Rule("string without quotes", ERROR, True, "YAML reads `1` as a number and `yes` as a boolean; the field wants a string.", "put it in quotes", "env: [{name: DEBUG, value: 1}]"),
    # names
    "V210": Rule("name too long", ERROR, True, "Argo puts names into labels, which hold 63 characters; a cron's children get 11 more.", "shorten the name", "metadata: {name: a…(70)}"),
    "V211": Rule("malformed object name", ERROR, False, "Names of objects are lower-case letters, digits, `-` and `.`, and begin and end with a letter or digit.", "use lower-case letters, digits, '-' and '.'", "metadata: {name: My_Flow}"),
    "V212": Rule("declared twice", ERROR, False, "Two documents declare the same object: which of them counts would be chance.", "remove or rename one of them", "two files with WorkflowTemplate ci/base"),
    "V213": Rule("name is missing", ERROR, True, "What is in this list is referred to by name.", "add name:", "templates: [{container: {image: busybox}}]"),
    "V214": Rule("malformed name", ERROR, True, "Names of templates, steps and tasks are letters, digits and `-`; parameters and artifacts may have `_` as well.", "rename it", "templates: [{name: a.b}]"),
    "V215": Rule("name is not unique", ERROR, True, "Two things in one list have the same name.", "rename one of them", "steps: [[{name: a}], [{name: a}]]"),
    "V216": Rule("malformed label", WARNING, False, "Kubernetes limits the keys and values of labels.", "letters, digits, '-', '_' and '.', with an optional prefix and '/'", "labels: {team: \"the builders\"}"),
    # templates
    "V220": Rule("template without a type", ERROR, True, "A template does one thing: container, script, steps, dag, suspend …", "add the field that says what it does", "templates: [{name: main}]"),
    "V221": Rule("template with several types", ERROR, True, "A template does one thing.", "split it", "{name: main, container: {…}, script: {…}}"),
    "V222": Rule("image is missing", ERROR, True, "Neither the template nor templateDefaults names an image.", "add image:", "container: {command: [date]}"),
    "V223": Rule("timeout on steps or dag", ERROR, True, "Only templates that do something themselves have a timeout.", "move it to the templates that are called, or use spec.activeDeadlineSeconds", "{name: main, timeout: 10s, steps: […]}"),
    "V224": Rule("timeout without a unit", ERROR, True, "A timeout is a Go duration; a bare number is refused.", "add a unit: 30s, 5m, 1h30m", "timeout: \"30\""),
    "V225": Rule("malformed duration", ERROR, False, "The duration cannot be read when the template runs.", "write it as 30s, 5m or 1h30m; there are no days", "timeout: 1d"),
    "V226": Rule("activeDeadlineSeconds on steps or dag", ERROR, True, "Only templates that do something themselves have a deadline.", "move it to the templates that are called, or to the spec", "{name: main, activeDeadlineSeconds: 10, dag: …}"),
    "V227": Rule("malformed deadline", ERROR, True, "activeDeadlineSeconds is a whole number of seconds, or a variable.", "write a whole number of seconds", "activeDeadlineSeconds: -10"),
    "V228": Rule("parallelism on a leaf", ERROR, True, "Only steps and dag have children to limit.", "move it to the steps or dag template, or to the spec", "{name: a, parallelism: 1, container: …}"),
    "V229": Rule("number too small", ERROR, False, "The schema requires a larger number.", "give a larger number, or remove the field", "parallelism: 0"),
    "V230": Rule("podResources cannot be used so", ERROR, True, "Pod-level resources know cpu, memory and hugepages, no claims, and need a pod of the template's own.", "remove it", "podResources: {limits: {nvidia.com/gpu: 1}}"),
    "V231": Rule("resourceClaims without a pod", ERROR, True, "Claims are attached to the pod of the template; this type has none.", "move it to a template that runs a container", "{name: a, suspend: {}, resourceClaims: […]}"),
    "V232": Rule("init container without a name", ERROR, True, "Each init container needs a name.", "add name:", "initContainers: [{image: busybox}]"),
    "V233": Rule("reserved container name", ERROR, True, "wait, supervisor and artifact-plugin-… are Argo's own containers.", "rename the container", "sidecars: [{name: wait, image: busybox}]"),
    "V234": Rule("path is taken", ERROR, True, "Two things would be mounted at the same path.", "give one of them another path", "volumeMounts: [{name: a, mountPath: /d}, {name: b, mountPath: /d}]"),
    "V235": Rule("malformed containerSet", ERROR, True, "The containers of a set and their dependencies do not fit together.", "correct the dependencies", "containerSet: {containers: [{name: a, dependencies: [b]}]}"),
    "V236": Rule("containerSet without main", ERROR, True, "Inputs and outputs belong to the container named main.", "name one container main", "containerSet: {containers: [{name: a}]}, outputs: …"),
    "V237": Rule("malformed resource template", ERROR, True, "A resource template needs an action and, for most of them, a manifest.", "correct action, manifest or manifestFrom", "resource: {action: make}"),
    "V238": Rule("malformed executor plugin", ERROR, True, "A plugin's sidecar needs a name, a port, resources and a security context.", "complete it", "executorPlugins: [{spec: …}]"),
    "V239": Rule("malformed podGC", ERROR, True, "The strategy or the label selector of podGC cannot be read.", "correct it", "podGC: {strategy: Sometimes}"),
    "V240": Rule("entrypoint is missing", ERROR, True, "A workflow begins with one of its templates.", "add entrypoint: NAME", "spec: {templates: […]}"),
    "V241": Rule("template is not defined", ERROR, True, "No template of this object has that name.", "correct the name, or add the template", "steps: [[{name: a, template: no-such}]]"),
    "V242": Rule("templates beside workflowTemplateRef", ERROR, True, "A workflow that runs a WorkflowTemplate has no templates of its own.", "remove templates, or call the other's templates by templateRef", "spec: {workflowTemplateRef: …, templates: …}"),
    "V244": Rule("image is missing or malformed", ERROR, False, "The container cannot be started without an image that can be named.", "name an image", "containerSet: {containers: [{name: main}]}"),
    "V245": Rule("empty script", WARNING, False, "The script has no source, so it does nothing.", "add source: |", "script: {image: busybox, command: [sh]}"),
    "V246": Rule("malformed plugin", ERROR, True, "A plugin template has exactly one key: the name of the plugin.", "keep one key", "plugin: {}"),
    # inputs, outputs, arguments
    "V250": Rule("argument without a value", ERROR, True, "The argument has a name and nothing else.", "add value:", "arguments: {parameters: [{name: a}]}"),
    "V251": Rule("valueFrom cannot be used here", ERROR, True, "The value of an argument comes from a ConfigMap or is supplied; the other sources belong to outputs.", "use value, or valueFrom.configMapKeyRef", "valueFrom: {path: /tmp/x}"),
    "V252": Rule("empty enum", ERROR, True, "An enum without choices can never be satisfied.", "add choices, or remove enum", "{name: a, value: x, enum: []}"),
    "V253": Rule("enum without a value", ERROR, True, "With an enum a value must be given.", "add value:", "{name: a, valueFrom: …, enum: [x]}"),
    "V254": Rule("value is not in its enum", ERROR, True, "The value is none of the choices.", "take one of the choices", "{name: a, value: z, enum: [x, y]}"),
    "V255": Rule("artifact comes from nowhere", ERROR, True, "An artifact that is passed needs a from, a location or a key.", "add from: or a location", "arguments: {artifacts: [{name: a}]}"),
    "V256": Rule("from and fromExpression", ERROR, True, "An artifact comes from one place.", "keep one of them", "{name: a, from: …, fromExpression: …}"),
    "V257": Rule("input is not supplied", ERROR, True, "The template wants this input, has no default for it, and the caller does not give it.", "give it under arguments, or give the input a default", "steps: [[{name: a, template: wants-message}]]"),
    "V258": Rule("argument is not an input", WARNING, True, "The template that is called has no such input: the argument has no effect.", "remove it, or declare it under inputs", "arguments: {parameters: [{name: mesage, value: x}]}"),
    "V259": Rule("default is not in its enum", WARNING, False, "The default is none of the choices.", "take one of the choices", "{name: a, default: z, enum: [x, y]}"),
    "V260": Rule("path on steps or dag", ERROR, True, "Only templates that run something have files.", "remove path", "{name: main, inputs: {artifacts: [{name: a, path: /a}]}, dag: …}"),
    "V261": Rule("from in inputs", ERROR, True, "Where an input comes from is said by the caller's arguments.", "remove from", "inputs: {artifacts: [{name: a, path: /a, from: …}]}"),
    "V262": Rule("artifact path", ERROR, True, "An artifact of a template that runs something needs a path, which must not climb out of its folder.", "give it a path inside the container", "inputs: {artifacts: [{name: a, path: /safe/../../etc}]}"),
    "V263": Rule("value and valueFrom", ERROR, True, "An output has one value.", "keep one of them", "{name: a, value: x, valueFrom: {path: /x}}"),
    "V264": Rule("output without a value", ERROR, True, "The output does not say what it is.", "add valueFrom:", "outputs: {parameters: [{name: a}]}"),
    "V265": Rule("valueFrom is empty or ambiguous", ERROR, True, "An output comes from exactly one source.", "keep one of path, jqFilter, jsonPath, parameter, expression, supplied", "valueFrom: {}"),
    "V266": Rule("source does not fit the template", ERROR, True, "Containers give files (path), steps and dag what their children gave (parameter, expression), resources a jsonPath or jqFilter.", "use the source that fits the type of the template", "{name: main, dag: …, outputs: {parameters: [{name: a, valueFrom: {path: /x}}]}}"),
    "V267": Rule("malformed globalName", ERROR, True, "A global name is letters, digits, `-` and `_`, or a variable.", "rename it", "globalName: a.b"),
    "V268": Rule("incomplete location", ERROR, True, "The location lacks something that it cannot do without.", "complete it", "git: {revision: main}"),
    "V269": Rule("several locations", ERROR, False, "An artifact is in one place.", "keep one of them", "{name: a, raw: {data: x}, http: {url: …}}"),
    "V270": Rule("malformed mode", ERROR, False, "The mode of a file is a number from 0 to 0777.", "write it in octal with a leading 0 (mode: 0755)", "mode: 1000"),
    "V271": Rule("output artifact without a source", ERROR, False, "An artifact of steps or a dag is one of its children's.", "add from:", "{name: main, dag: …, outputs: {artifacts: [{name: a}]}}"),
    # references
    "V280": Rule("template reference not found", ERROR, True, "Neither the source nor what is live has that WorkflowTemplate, or it has no template of that name.", "correct the name, or add the template to the source", "templateRef: {name: no-such, template: main}"),
    "V281": Rule("WorkflowTemplate not found", ERROR, True, "Neither the source nor what is live has the WorkflowTemplate that is to run.", "correct the name, or add the template to the source", "workflowTemplateRef: {name: no-such}"),
    "V282": Rule("incomplete templateRef", ERROR, True, "A templateRef has a name and a template, and stands instead of `template`.", "give name and template", "templateRef: {name: a}"),
    "V283": Rule("calls nothing", ERROR, True, "A step or task calls a template: by template, templateRef or inline.", "add template: NAME", "steps: [[{name: a}]]"),
    "V284": Rule("hook without an expression", ERROR, True, "A hook other than exit says when it runs.", "add expression:", "hooks: {running: {template: a}}"),
    "V285": Rule("hook's template is not defined", ERROR, False, "The hook would fail when its time comes.", "correct the name, or add the template", "hooks: {exit: {template: no-such}}"),
    "V286": Rule("uses what is broken", ERROR, True, "What this object refers to has an error, so it cannot run either.", "mend the other object", "templateRef to a template with an error"),
    "V287": Rule("task's hook without an expression", ERROR, False, "A hook other than exit says when it runs.", "add expression:", "tasks: [{name: A, template: a, hooks: {running: {template: b}}}]"),
    "V288": Rule("template of another object by its bare name", ERROR, False, "Argo finds it only because another step refers to it by templateRef.", "refer to it by templateRef here as well", "[{templateRef: {name: a, template: b}}, {template: b}]"),
    # steps
    "V303": Rule("no steps", ERROR, False, "There is nothing to do.", "add a step: `- - name: …`", "steps: []"),
    "V304": Rule("needs what runs beside it", WARNING, True, "Steps of one group run at the same time: the outputs of one do not exist when the other starts.", "put them into different groups", "steps: [[{name: a}, {name: b, arguments: … {{steps.a.outputs.result}}}]]"),
    # dag
    "V310": Rule("no tasks", ERROR, True, "There is nothing to do.", "add a task", "dag: {tasks: []}"),
    "V311": Rule("dependency cycle", ERROR, True, "Tasks that wait for each other never start.", "remove one of the dependencies", "A needs B, B needs A"),
    "V312": Rule("dependency is not defined", ERROR, True, "No task has that name.", "correct the name", "dependencies: [no-such]"),
    "V313": Rule("items-based condition without items", ERROR, True, ".AnySucceeded and .AllFailed ask about the items of a loop.", "use .Succeeded or .Failed", "depends: A.AnySucceeded"),
    "V314": Rule("unknown task result", ERROR, True, "`depends` knows Succeeded, Failed, Errored, Skipped, Omitted, Daemoned, AnySucceeded, AllFailed.", "take one of them", "depends: A.Suceeded"),
    "V315": Rule("task name begins with a digit", ERROR, True, "With depends or dependencies a name must begin with a letter.", "rename the task", "{name: 5A, depends: A}"),
    "V316": Rule("depends and dependencies", ERROR, True, "A DAG uses one of the two.", "write them all as depends", "one task with depends, another with dependencies"),
    "V317": Rule("depends and continueOn", ERROR, True, "`depends` says itself which results it accepts.", "write depends: \"A.Succeeded || A.Failed\"", "{depends: A, continueOn: {failed: true}}"),
    "V318": Rule("target is not defined", ERROR, True, "No task has that name.", "correct the name", "dag: {target: no-such}"),
    "V319": Rule("missing dependency", ERROR, True, "The task takes something from another that it does not wait for.", "add it to the dependencies", "arguments from {{tasks.A…}} without dependencies: [A]"),
    "V320": Rule("malformed depends", ERROR, False, "The expression cannot be read when the DAG runs.", "correct the expression: names joined by && and ||", "depends: \"A &&\""),
    "V321": Rule("does not wait for what it needs", WARNING, True, "The value may not exist yet when the task starts.", "add it to the dependencies", "when: \"{{tasks.A.outputs.result}} == x\" without dependencies: [A]"),
    # loops
    "V330": Rule("several loops", ERROR, True, "withItems, withParam and withSequence exclude each other.", "keep one of them", "{withItems: [1], withParam: \"[]\"}"),
    "V331": Rule("count and end", ERROR, True, "A sequence has one of the two.", "keep one of them", "withSequence: {count: 1, end: 2}"),
    "V332": Rule("malformed sequence", ERROR, False, "The sequence cannot be expanded when the step runs.", "give whole numbers", "withSequence: {count: many}"),
    "V334": Rule("withParam is no list", ERROR, False, "withParam is a JSON list, or a variable that holds one.", "write a JSON list", "withParam: \"a, b\""),
    # variables
    "V340": Rule("unresolved variable", ERROR, True, "No such variable exists here.", "correct the name", "args: [\"{{inputs.parameters.mesage}}\"]"),
    "V341": Rule("looks like a misspelt variable", WARNING, True, "No variable begins like this, so the text reaches the container as it stands.", "correct the name, if a variable is meant", "args: [\"{{step.a.outputs.result}}\"]"),
    "V342": Rule("tag is not closed", WARNING, True, "A `{{` without `}}` swallows what follows it.", "close it", "args: [\"{{inputs.parameters.a\"]"),
    "V343": Rule("item outside of its loop", WARNING, True, "`item` exists in the step or task that loops, and nowhere else.", "pass it as an argument", "container: {args: [\"{{item}}\"]}"),
    "V344": Rule("retries without a retryStrategy", WARNING, True, "`retries` and `lastRetry` exist in templates that are retried.", "add retryStrategy", "args: [\"{{retries}}\"]"),
    "V345": Rule("variable is not closed", ERROR, False, "A variable ends with two braces.", "close it with }}", "args: [\"{{item}\"]"),
    # expressions
    "V350": Rule("malformed expression", ERROR, False, "The expression cannot be read when the workflow runs.", "correct the expression", "\"{{=inputs.parameters.a +}}\""),
    "V351": Rule("unknown function", ERROR, False, "Neither expr nor sprig has such a function.", "correct the name; those of sprig are written sprig.NAME", "\"{{=sprig.shout('a')}}\""),
    "V352": Rule("malformed when", ERROR, False, "The condition cannot be read when the step runs.", "correct the condition; words with other signs than letters need quotes", "when: \"{{item}} ==\""),
    "V354": Rule("braces around an expression", WARNING, True, "The field is an expression by itself.", "remove the braces", "fromExpression: \"{{= … }}\""),
    "V355": Rule("expression uses an unknown name", WARNING, True, "Nothing of that name exists here, so the expression stays as it is or fails.", "correct the name; a name with '-' is written inputs.parameters['my-name']", "\"{{=inputs.parameters.my-name}}\""),
    # retry
    "V360": Rule("unknown retryPolicy", ERROR, True, "The policy is Always, OnError, OnFailure or OnTransientError.", "take one of them", "retryStrategy: {retryPolicy: Sometimes}"),
    "V361": Rule("malformed number of retries", ERROR, False, "The number cannot be read when the node is retried.", "write a whole number", "retryStrategy: {limit: some}"),
    "V362": Rule("backoff without a duration", ERROR, False, "Without a base duration the node ends in Error at its first retry.", "add duration:", "backoff: {factor: 2}"),
    "V363": Rule("malformed backoff", ERROR, False, "The duration cannot be read when the node is retried.", "write it as 10s, 5m or 1h; there are no days", "backoff: {duration: 1d}"),
    # metrics
    "V370": Rule("malformed metric name", ERROR, True, "Names of metrics are letters, digits and `_`.", "rename it", "prometheus: [{name: my-metric}]"),
    "V371": Rule("malformed metric label", ERROR, True, "Labels of metrics are letters, digits and `_`.", "rename it", "labels: [{key: my-label, value: x}]"),
    "V372": Rule("metric without help", ERROR, True, "Every metric says what it is.", "add help:", "prometheus: [{name: a, counter: {value: \"1\"}}]"),
    "V373": Rule("metric without a value", ERROR, True, "The metric has no value, or one that does not exist while the node runs.", "add value:", "gauge: {realtime: true, value: \"\"}"),
    "V374": Rule("metric without a type", ERROR, False, "A metric is a gauge, a counter or a histogram.", "add one of them", "prometheus: [{name: a, help: b}]"),
    "V375": Rule("malformed metric of the workflow", ERROR, False, "The metric cannot be emitted when the workflow ends.", "correct its name, help, labels or value", "metrics: {prometheus: [{name: my-metric}]}"),
    # cron
    "V400": Rule("no schedule", ERROR, True, "A cron without a schedule never fires.", "add schedules: [\"…\"]", "spec: {workflowSpec: …}"),
    "V401": Rule("malformed schedule", ERROR, True, "The schedule cannot be read.", "five fields: minute hour day-of-month month day-of-week, or @daily, @every 1h …", "schedules: [\"61 * * * *\"]"),
    "V402": Rule("unknown time zone", ERROR, True, "The zone is none of the IANA database.", "write it as Europe/Paris", "timezone: Mars/Olympus"),
    "V403": Rule("unknown concurrencyPolicy", ERROR, True, "The policy is Allow, Forbid or Replace.", "take one of them", "concurrencyPolicy: Maybe"),
    "V404": Rule("negative deadline", ERROR, True, "startingDeadlineSeconds counts forward.", "give a positive number, or remove it", "startingDeadlineSeconds: -1"),
    "V405": Rule("negative limit", ERROR, False, "A history cannot keep fewer than none.", "give 0 or more", "successfulJobsHistoryLimit: -1"),
    "V406": Rule("unknown annotation value", ERROR, False, "syncd's own annotations take only certain words.", "take one of the choices", "annotations: {syncd.io/dst: maybe}"),
    # jobs, config maps, secrets
    "V420": Rule("restartPolicy of a job", ERROR, False, "A job's pod is restarted on failure or not at all.", "add restartPolicy: Never", "kind: Job, template without restartPolicy"),
    "V421": Rule("job without a container", ERROR, False, "A job runs the containers of its pod.", "add template.spec.containers", "kind: Job, spec: {template: {spec: {}}}"),
    "V422": Rule("container of a job without an image", ERROR, False, "The container cannot be started.", "add image:", "containers: [{name: a}]"),
    "V423": Rule("malformed number of a job", ERROR, False, "Kubernetes refuses the number.", "give a larger number, or remove the field", "backoffLimit: -1"),
    "V424": Rule("malformed key", ERROR, False, "Keys of ConfigMaps and Secrets become file names.", "letters, digits, '-', '_' and '.'", "data: {\"a/b\": x}"),
    "V425": Rule("not base64", ERROR, False, "binaryData, and data of a Secret, are base64 text.", "encode it", "kind: Secret, data: {a: \"plain text\"}"),
    # spellings
    "V500": Rule("old spelling", WARNING, False, "Argo v4 has another spelling; syncd understands the old one.", "write it as Argo v4 does", "spec: {schedule: \"0 2 * * *\"}"),
    "V501": Rule("removed field", ERROR, True, "Argo does not have this field any more.", "remove it", "spec: {ttlSecondsAfterFinished: 10}"),
    # the embedded engine
    "V900": Rule("not run by the embedded engine yet", WARNING, False, "The object is kept as it is; here this part of it is not run.", "use a cluster for this workflow, or do without", "synchronization: …"),
}
# fmt: on
