"""Containers of every sort: container, script, containerSet, sidecars, initContainers; and resource templates.

Source: Argo v4.1.2 workflow/validate/validate.go validateLeaf, container_set_template_types.go Validate,
workflow/common/common.go IsArgoSidecar.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from syncd.argo.manifest import Body, Path
from syncd.base import yamltext
from syncd.validate import raw
from syncd.validate.rules import names
from syncd.validate.rules.dag import cycle
from syncd.validate.settled import UNKNOWN
from syncd.validate.template import Template

if TYPE_CHECKING:
    from syncd.validate.findings import Say

_PULL: Final = re.compile(r"[^\s]+")


def check(template: Template, default_images: frozenset[str], say: Say) -> None:
    """default_images: the types for which templateDefaults has an image."""
    body, name, path = template.body, template.name, template.path
    for index, container in raw.mappings(body.get("initContainers")):
        if not raw.text(container.get("name")):
            say("V232", (*path, "initContainers", index), "initContainers must all have container name")
    for kind in ("container", "script"):
        main = body.get(kind)
        if type(main) is not dict:
            continue
        image = raw.text(main.get("image"))
        if not image and kind not in default_images:
            say("V222", (*path, kind), f"templates.{name}.{kind}.image may not be empty")
        elif image and not _PULL.fullmatch(image) and "{{" not in image:
            say(
                "V241" if not image else "V244",
                (*path, kind, "image"),
                f"templates.{name}.{kind}.image {image!r} has white space in it",
            )
    if type(body.get("container")) is dict:
        _mounts(raw.mapping(body["container"]), template, say)
    if type(script := body.get("script")) is dict and not raw.text(script.get("source")):
        say("V245", (*path, "script"), f"templates.{name}.script.source is empty: the script would do nothing")
    if type(body.get("containerSet")) is dict:
        _container_set(template, say)
    plugin = body.get("plugin")
    if type(plugin) is dict and len(plugin) != 1:
        say("V246", (*path, "plugin"), f"templates.{name}.plugin: expected exactly one key, got {len(plugin)}")
    for index, container in raw.mappings(body.get("sidecars")):
        _reserved(raw.text(container.get("name")), f"templates.{name}.sidecars", (*path, "sidecars", index), say)
    if template.kind == "resource":
        _resource(template, say)


def _reserved(name: str, prefix: str, path: Path, say: Say) -> None:
    if name in ("wait", "supervisor") or name.startswith("artifact-plugin-"):
        say("V233", (*path, "name"), f'{prefix}: "{name}" is a reserved Argo container name')


def _mounts(container: Body, template: Template, say: Say) -> None:
    """Nothing may be mounted over another thing: volumes and input artifacts."""
    taken: dict[str, str] = {}
    for index, mount in raw.mappings(container.get("volumeMounts")):
        where = raw.text(mount.get("mountPath"))
        if where in taken:
            message = f"templates.{template.name}.container.volumeMounts[{index}].mountPath '{where}' already mounted in {taken[where]}"
            say("V234", (*template.path, "container", "volumeMounts", index), message)
        taken[where] = f"container.volumeMounts.{raw.text(mount.get('name'))}"
    artifacts = raw.mapping(template.body.get("inputs")).get("artifacts")
    for index, artifact in raw.mappings(artifacts):
        where = raw.text(artifact.get("path"))
        if where in taken:
            message = (
                f"templates.{template.name}.inputs.artifacts[{index}].path '{where}' already mounted in {taken[where]}"
            )
            say("V234", (*template.path, "inputs", "artifacts", index), message)
        taken[where] = f"inputs.artifacts.{raw.text(artifact.get('name'))}"


def _container_set(template: Template, say: Say) -> None:
    body = raw.mapping(template.body.get("containerSet"))
    prefix, path = f"templates.{template.name}.containerSet", (*template.path, "containerSet")
    nodes = raw.mappings(body.get("containers"))
    if not nodes:
        say("V235", path, f"{prefix}.containers must have at least one container")
    names.check_list(body.get("containers"), f"{prefix}.containers", (*path, "containers"), say)
    taken: dict[str, str] = {}
    for index, mount in raw.mappings(body.get("volumeMounts")):
        where = raw.text(mount.get("mountPath"))
        if where in taken:
            message = f"{prefix}.volumeMounts[{index}].mountPath '{where}' already mounted in {taken[where]}"
            say("V234", (*path, "volumeMounts", index), message)
        taken[where] = f"volumeMounts.{raw.text(mount.get('name'))}"
    known = set(template.container_names)
    graph: dict[str, list[str]] = {}
    for index, node in nodes:
        name = raw.text(node.get("name"))
        graph[name] = raw.strings(node.get("dependencies"))
        for dependency in graph[name]:
            if dependency not in known:
                at = (*path, "containers", index, "dependencies")
                say("V235", at, f"{prefix}.containers.{name} dependency '{dependency}' not defined")
        _reserved(name, f"{prefix}.containers", (*path, "containers", index), say)
        if not raw.text(node.get("image")):
            say("V244", (*path, "containers", index), f"{prefix}.containers.{name}.image may not be empty")
    if found := cycle({name: graph[name] for name in sorted(graph)}):
        say("V235", (*path, "containers"), f"{prefix}.containers dependency cycle detected: {'->'.join(found)}")
    if "main" not in known and (template.input_artifacts or template.outputs or template.output_artifacts):
        message = f'{prefix}.containers must have a container named "main" for input or output'
        say("V236", (*path, "containers"), message)


def _resource(template: Template, say: Say) -> None:
    body = raw.mapping(template.body.get("resource"))
    prefix, path = f"templates.{template.name}.resource", (*template.path, "resource")
    manifest, source = raw.text(body.get("manifest")), body.get("manifestFrom")
    if raw.text(body.get("action")) in ("delete", "get"):
        return
    if not manifest and source is None:
        say("V237", path, f"either {prefix}.manifest or {prefix}.manifestFrom must be specified")
    if manifest and source is not None:
        message = "shouldn't have both `manifest` and `manifestFrom` specified in `Manifest` for resource template"
        say("V237", path, message)
    wanted = raw.mapping(raw.mapping(source).get("artifact")).get("name")
    if type(wanted) is str and wanted not in template.input_artifacts:
        say("V237", (*path, "manifestFrom"), f"artifact {wanted} in `manifestFrom` refer to a non-exist artifact")


def is_yaml(text: str) -> bool:
    """Whether a manifest, settled as far as it goes, is YAML. A tag that is not known by then is no value: it must be quoted."""
    text = raw.replaced(text, lambda tag: "placeholder" if tag.lstrip()[:1] == "=" else "{{" + tag + "}}")
    first = next(iter(yamltext.documents(text.replace(UNKNOWN, "placeholder"))), None)
    return first is None or isinstance(first, yamltext.Document)
