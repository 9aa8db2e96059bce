"""Files and options of `syncd submit` become Workflows to send, and refusals come back with their place in the file.

Comes in: file names and options. Goes out: bodies with their manifests. Called by `commands.submit`.
"""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from syncd.argo import jobs, labels
from syncd.argo.manifest import Body, Manifest
from syncd.argo.manifest import Path as BodyPath
from syncd.base import yamltext
from syncd.base.errors import ConfigError, Invalid
from syncd.base.problems import Problem, has_errors
from syncd.cli import reach
from syncd.cli.output import Terminal
from syncd.source import decode

_RUNNABLE: Final = frozenset({labels.WORKFLOW, labels.JOB})
_STEP: Final = re.compile(r"([^.\[\]]+)|\[([0-9]{1,9})\]")


def read(files: list[str], namespace: str, chosen: bool, errors: Terminal) -> list[Manifest]:
    """The Workflows and Jobs of these files, `-` = stdin, each in its namespace.

    namespace: for those that name none; chosen: it was given, so that another one in a file is a mistake.
    Raises ConfigError for a file that cannot be read, Invalid with all problems.
    """
    found: list[Manifest] = []
    problems: list[Problem] = []
    for name in files:
        data = sys.stdin.buffer.read(16 << 20) if name == "-" else reach.read_file(Path(name).expanduser())
        decoded = decode.decode("stdin" if name == "-" else name, data, decode.Options(namespace=namespace))
        problems += decoded.problems
        runnable = [manifest for manifest in decoded.manifests if manifest.key.kind in _RUNNABLE]
        for manifest in decoded.manifests:
            if manifest.key.kind not in _RUNNABLE:
                errors.say(
                    f"syncd: {manifest.place()}: {manifest.key} is left out: only Workflows and Jobs are submitted"
                )
        if not runnable and not has_errors(decoded.problems):
            raise ConfigError(_nothing(name, decoded))
        found += runnable
    if has_errors(problems):
        raise Invalid(f"{'file' if len(files) == 1 else 'files'} cannot be read", sorted(problems))
    for manifest in found:
        if chosen and manifest.key.namespace != namespace:
            raise ConfigError(
                f"{manifest.place()}: {manifest.key} is of namespace {manifest.key.namespace!r}, and --namespace says "
                f"{namespace!r}; make them agree"
            )
    return found


def _nothing(name: str, decoded: decode.Decoded) -> str:
    for manifest in decoded.manifests:
        kind = manifest.key.kind
        if kind != labels.CONFIG_MAP:
            return (
                f"{name} holds a {kind}, which is not run by itself; bring it into force (`syncd up`), then "
                f"`syncd submit --from {kind.lower()}/{manifest.key.name}`"
            )
    reasons = "; ".join(f"{place}: {reason}" for place, reason in decoded.ignored[:3])
    return f"{name} holds no Workflow{f' ({reasons})' if reasons else ''}"


def parameter_file(name: str) -> list[str]:
    """The parameters of a YAML or JSON file of names and values, as `k=v`. Raises ConfigError."""
    found = next(yamltext.documents(reach.read_file(Path(name).expanduser())), None)
    if isinstance(found, yamltext.Fault):
        raise ConfigError(f"{name}:{found.line}:{found.column}: {found.message}")
    value = found.value if found is not None else {}
    if not isinstance(value, dict):
        raise ConfigError(f"{name} must be a mapping of parameters to values")
    return [f"{key}={inner if isinstance(inner, str) else json.dumps(inner)}" for key, inner in value.items()]


def options(args: Namespace) -> dict[str, Any]:
    """Argo's SubmitOpts, only what was given. The command line goes over the parameter file."""
    parameters = [*(parameter_file(args.parameter_file) if args.parameter_file else []), *args.parameter]
    given = {
        "name": args.name,
        "generateName": args.generate_name,
        "entryPoint": args.entrypoint,
        "parameters": parameters,
        "labels": args.labels,
        "annotations": args.annotations,
        "serviceAccount": args.serviceaccount,
        "priority": args.priority,
    }
    found = {name: value for name, value in given.items() if value not in ("", None, [])}
    if args.scheduled_time:
        note = f"{labels.SCHEDULED_TIME}={args.scheduled_time}"
        found["annotations"] = ",".join(filter(None, (found.get("annotations", ""), note)))
    return found


def workflow(manifest: Manifest, given: dict[str, Any]) -> Body:
    """What is sent for a manifest: a Job as the Workflow that runs it, with the options applied. Raises Invalid."""
    body = manifest.body
    if manifest.key.kind == labels.JOB:
        body = jobs.workflow_from_job(body)
    body = json.loads(json.dumps(body))
    body.setdefault("metadata", {})["namespace"] = manifest.key.namespace
    if given:
        from syncd.loops import submit

        submit.apply_options(body, given)
    return dict(body)


def placed(refusal: Invalid, manifest: Manifest) -> Invalid:
    """The same refusal, with the places of the file that was submitted."""
    if manifest.key.kind == labels.JOB:
        return refusal
    return Invalid(str(refusal), [replace(p, place=manifest.place(_path(p.path))) for p in refusal.problems])


def _path(text: str) -> BodyPath:
    """
    >>> _path("spec.templates[0].name")
    ('spec', 'templates', 0, 'name')
    """
    return tuple(int(index) if index else word for word, index in _STEP.findall(text))
