"""The laws of the lint: independent of order, the same incrementally as from scratch, and it never raises."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.argo import labels
from syncd.argo.manifest import Body, Key, Manifest, Origin, key_of
from syncd.base.problems import Place, Problem
from syncd.validate.catalog import Catalog
from syncd.validate.lint import lint
from syncd.validate.profile import Profile
from syncd.validate.workspace import Workspace

NAMES = st.sampled_from(["base", "bass", "task"])
FILES = st.sampled_from(["one.yaml", "two.yaml", "three.yaml"])
KINDS = st.sampled_from(
    [labels.WORKFLOW_TEMPLATE, labels.CLUSTER_WORKFLOW_TEMPLATE, labels.WORKFLOW, labels.CONFIG_MAP]
)


@st.composite
def bodies(draw: st.DrawFn) -> Body:
    """Small objects that refer to each other by few names, so that what one does matters to the others."""
    kind = draw(KINDS)
    metadata = {"name": draw(NAMES)}
    if kind == labels.CONFIG_MAP:
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": {"a": draw(st.sampled_from(["x", 1]))}}
    ref = {"name": draw(NAMES), "template": draw(NAMES), "clusterScope": draw(st.booleans())}
    leaf: Body = {"name": draw(NAMES), "container": {"image": "busybox", "args": [draw(TEXTS)]}}
    leaf["inputs"] = {"parameters": [{"name": name} for name in draw(st.lists(NAMES, max_size=1))]}
    steps: Body = {"name": "main", "steps": [[{"name": "s", "templateRef": ref}]]}
    spec: Body = {"entrypoint": "main", "templates": [steps, leaf]}
    if kind == labels.WORKFLOW and draw(st.booleans()):
        spec = {"workflowTemplateRef": {"name": draw(NAMES)}}
    if draw(st.booleans()):
        spec["arguments"] = {"parameters": [{"name": "base", "value": "1"}]}
    return {"apiVersion": labels.ARGO_API, "kind": kind, "metadata": metadata, "spec": spec}


TEXTS = st.sampled_from(
    ["plain", "{{inputs.parameters.base}}", "{{workflow.parameters.base}}", "{{workflow.labels.x}}"]
)


def _manifests(file: str, objects: list[Body]) -> list[Manifest]:
    return [
        Manifest(key_of(body), body, Origin(file, line=place + 1, document=place)) for place, body in enumerate(objects)
    ]


CONTENTS = st.dictionaries(FILES, st.lists(bodies(), max_size=3), max_size=3)
LIVE = st.dictionaries(
    st.builds(lambda name: Key(labels.WORKFLOW_TEMPLATE, "default", name), NAMES),
    st.none() | bodies(),
    max_size=2,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(CONTENTS, st.sets(FILES), LIVE), min_size=1, max_size=5))
def test_incremental_equals_from_scratch(history: list[tuple[dict[str, list[Body]], set[str], dict[Key, Any]]]) -> None:
    """Law: whatever came before, the problems and manifests are those of a workspace that was given the last state at once."""
    workspace = Workspace()
    state: dict[str, list[Manifest]] = {}
    live: dict[Key, Body] = {}
    for changed, removed, beside in history:
        files = {file: _manifests(file, objects) for file, objects in changed.items()}
        broken = {
            file: [Problem(Place(file, 1, 1), "V101", "unreadable")] for file, found in files.items() if not found
        }
        state = {file: found for file, found in state.items() if file not in removed} | files
        workspace.update(files, removed, broken)
        workspace.live_changed(beside)
        live = {key: body for key, body in (live | beside).items() if body is not None}
        scratch = Workspace(live=live)
        scratch.update(
            state, (), {f: [Problem(Place(f, 1, 1), "V101", "unreadable")] for f, m in state.items() if not m}
        )
        assert workspace.problems() == scratch.problems()
        assert dict(workspace.manifests()) == dict(scratch.manifests())
        everything = [manifest for found in state.values() for manifest in found]
        at_once = lint(everything, Catalog(everything, live))
        assert [p for p in workspace.problems() if p.code != "V101"] == at_once


@settings(max_examples=100, deadline=None)
@given(CONTENTS.flatmap(lambda files: st.permutations([(f, o) for f, o in files.items()])), st.randoms())
def test_independent_of_order(files: list[tuple[str, list[Body]]], random: Any) -> None:
    """Law: manifests in another order have the same problems."""
    manifests = [manifest for file, objects in files for manifest in _manifests(file, objects)]
    shuffled = list(manifests)
    random.shuffle(shuffled)
    assert lint(manifests, Catalog(manifests)) == lint(shuffled, Catalog(shuffled))


@settings(max_examples=100, deadline=None)
@given(CONTENTS)
def test_an_update_with_nothing_new_changes_nothing(files: dict[str, list[Body]]) -> None:
    """Law: updating is idempotent."""
    workspace = Workspace()
    contents = {file: _manifests(file, objects) for file, objects in files.items()}
    workspace.update(contents)
    before = workspace.problems()
    workspace.update(contents)
    workspace.update({})
    assert workspace.problems() == before
    assert workspace.touched == set()


WORDS = st.sampled_from(
    [
        *(
            "spec",
            "templates",
            "steps",
            "dag",
            "tasks",
            "name",
            "template",
            "templateRef",
            "inline",
            "inputs",
            "outputs",
        ),
        *("parameters", "artifacts", "arguments", "value", "valueFrom", "container", "image", "args", "withItems"),
        *(
            "withParam",
            "withSequence",
            "depends",
            "dependencies",
            "hooks",
            "when",
            "metrics",
            "prometheus",
            "entrypoint",
        ),
        *("retryStrategy", "schedules", "workflowSpec", "workflowTemplateRef", "metadata", "labels", "data", "from"),
        *("containerSet", "containers", "resource", "manifest", "timeout", "onExit", "enum", "default", "podGC"),
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(
        ["a", "main", "{{item}}", "{{steps.a.outputs.result}}", "{{=a.b", "{{=x(1)}}", "A && (B", "[1", "1d"]
    )
    | st.text(max_size=12)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=6),
    max_leaves=40,
)


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(sorted(labels.API_VERSION_OF)), st.dictionaries(WORDS, VALUES, max_size=6), st.booleans())
def test_never_raises(kind: str, body: dict[str, Any], strict: bool) -> None:
    """Law: whatever a file holds, the lint answers with problems, each of which has its words."""
    body = {**body, "kind": kind}
    manifest = Manifest(Key(kind, "default", "a"), body, Origin("a.yaml"))
    for problem in lint([manifest], Catalog([manifest]), Profile(strict=strict)):
        assert problem.message and problem.remedy and problem.message.isprintable()


TEMPLATES = st.fixed_dictionaries({"name": st.sampled_from(["main", "a", "b"])}, optional={
    "steps": st.lists(st.lists(st.fixed_dictionaries({"name": st.sampled_from("abc")}, optional={"template": st.sampled_from(["main", "a", "b"]), "arguments": VALUES, "withParam": SCALARS, "when": SCALARS, "inline": VALUES}), max_size=3), max_size=3),
    "dag": st.fixed_dictionaries({"tasks": st.lists(st.fixed_dictionaries({"name": st.sampled_from("ABC")}, optional={"template": st.sampled_from(["main", "a"]), "dependencies": st.lists(st.sampled_from("ABCD")), "depends": st.sampled_from(["A", "A && B", "A.Failed || D", "(", "A.AnySucceeded"]), "arguments": VALUES}), max_size=4)}),
    "inputs": VALUES,
    "outputs": VALUES,
    "container": VALUES,
})  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(TEMPLATES, max_size=4), st.sampled_from(["main", "a", "", "{{workflow.name}}"]))
def test_never_raises_on_near_workflows(templates: list[Any], entrypoint: str) -> None:
    """Law: nor on what is nearly a workflow, with calls that go round in circles."""
    spec = {"entrypoint": entrypoint, "templates": templates, "onExit": "b"}
    body = {"apiVersion": labels.ARGO_API, "kind": "Workflow", "metadata": {"name": "a"}, "spec": spec}
    manifest = Manifest(key_of(body), body, Origin("a.yaml"))
    lint([manifest], Catalog([manifest]), Profile(as_argo=True))
    lint([manifest], Catalog([manifest]))
