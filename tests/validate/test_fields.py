"""The table of fields against Argo's own CustomResourceDefinitions and the models of the Kubernetes client."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import models

from syncd.argo import fields
from syncd.argo.fields import FaultKind, Form, Type
from tests.support.conformance import conformance_dir

KINDS = {
    "Workflow": "workflows",
    "WorkflowTemplate": "workflowtemplates",
    "CronWorkflow": "cronworkflows",
}

WIDER = {
    ("Parameter", "default"): "Go's AnyString takes numbers and booleans",
    ("Parameter", "description"): "Go's AnyString takes numbers and booleans",
    ("Parameter", "enum"): "Go's AnyString takes numbers and booleans",
    ("Parameter", "value"): "Go's AnyString takes numbers and booleans",
    ("ValueFrom", "default"): "Go's AnyString takes numbers and booleans",
}
NARROWER = {
    ("Container", "imagePullPolicy"): "the API server refuses other words when the pod is made",
    ("ContainerNode", "imagePullPolicy"): "as Container",
    ("ScriptTemplate", "imagePullPolicy"): "as Container",
    ("UserContainer", "imagePullPolicy"): "as Container",
}
UNTOLD = {
    ("DAGTask", "inline"): "CRDs cannot recurse",
    ("WorkflowStep", "inline"): "CRDs cannot recurse",
    ("DAGTask", "withItems"): "schemaless in the CRD",
    ("WorkflowStep", "withItems"): "schemaless in the CRD",
}


def _form(schema: dict[str, Any]) -> Form:
    """The form that a schema of a CRD comes to."""
    if schema.get("x-kubernetes-int-or-string"):
        return Form.QTY if "pattern" in schema else Form.IOS
    if "enum" in schema:
        return Form.ENUM
    match schema.get("type"):
        case "object":
            if "properties" in schema:
                return Form.STRUCT
            return Form.MAP if "additionalProperties" in schema else Form.OBJ
        case "array":
            return Form.LIST
        case "string":
            return Form.STR
        case "integer":
            return Form.INT
        case "number":
            return Form.NUM
        case "boolean":
            return Form.BOOL
        case _:
            return Form.ANY


def _unlike(schema: dict[str, Any], type_: Type, slot: tuple[str, str], seen: set[tuple[str, int]]) -> list[str]:
    """Where a schema and a type say different things."""
    form = _form(schema)
    if slot in UNTOLD or slot[1] == "status" or type_.name in ("ObjectMeta", "Empty") or type_.form is Form.ANY:
        return []
    if form is not type_.form:
        allowed = (slot in WIDER and type_.form is Form.SCALAR) or (slot in NARROWER and type_.form is Form.ENUM)
        return [] if allowed else [f"{slot}: {type_.form.name}, CRD {form.name}"]
    if form is Form.ENUM:
        return [] if sorted(type_.choices) == sorted(schema["enum"]) else [f"{slot}: {type_.choices}"]
    if form is Form.LIST:
        assert type_.of is not None
        return _unlike(schema["items"], type_.of, slot, seen)
    if form is Form.MAP:
        assert type_.of is not None
        return _unlike(schema["additionalProperties"], type_.of, slot, seen)
    if form is not Form.STRUCT or (type_.name, len(str(schema))) in seen:
        return []
    seen.add((type_.name, len(str(schema))))
    shape = fields.shape(type_.name)
    properties = schema["properties"]
    found = [f"{type_.name}.{name}: only in the table" for name in shape.fields if name not in properties]
    found += [f"{type_.name}.{name}: only in the CRD" for name in properties if name not in shape.fields]
    required = set(schema.get("required", ()))
    if type_.name == "Container" and "name" in required:
        required.discard("name")  # an executor plugin's; a template's own container has none
    if required != set(shape.required):
        found.append(f"{type_.name}: requires {sorted(required)}, the table {sorted(shape.required)}")
    for name in shape.fields:
        if name in properties:
            found += _unlike(properties[name], shape.fields[name], (type_.name, name), seen)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_is_that_of_the_crd(kind: str) -> None:
    """Every field of every struct: there, of the same type, required or not, with the same choices."""
    path = conformance_dir() / "crds/full" / f"argoproj.io_{KINDS[kind]}.yaml"
    definition = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert _unlike(schema, Type(Form.STRUCT, name=kind), ("", kind), set()) == []


def test_every_struct_that_is_named_exists() -> None:
    """No type of the table leads nowhere."""
    for name in fields.names():
        for type_ in fields.shape(name).fields.values():
            while type_.of is not None:
                type_ = type_.of
            assert type_.form is not Form.STRUCT or fields.shape(type_.name)


@pytest.mark.parametrize(
    "name", ["Job", "JobSpec", "CronJobSpec", "JobTemplateSpec", "PodTemplateSpec", "PodSpec", "ConfigMap", "Secret"]
)
def test_batch_and_core_have_the_fields_of_kubernetes(name: str) -> None:
    """As the official client knows them."""
    model = getattr(models, f"V1{name}")
    assert set(fields.shape(name).fields) == set(model.attribute_map.values())


FITS = [
    ("str", "a", True),
    ("str", 1, False),
    ("int", 1, True),
    ("int", 1.0, True),
    ("int", 1.5, False),
    ("int", True, False),
    ("bool", True, True),
    ("bool", "true", False),
    ("scalar", 1.5, True),
    ("scalar", [], False),
    ("ios", "a", True),
    ("ios", 1.5, False),
    ("num", 1.5, True),
    ("num", "1", False),
    ("qty", "64Mi", True),
    ("qty", "1e3", True),
    ("qty", "64MB", False),
    ("qty", 1, True),
    ("obj", {}, True),
    ("obj", [], False),
    ("any", [], True),
    ("[str]", ["a", None], True),
    ("[str]", "a", False),
    ("{str}", {"a": "b"}, True),
    ("{str}", {"a": 1}, False),
    ("a|''", "", True),
    ("a|''", "b", False),
    ("a|''", 1, False),
]


@pytest.mark.parametrize(("notation", "value", "fits"), FITS)
def test_what_fits(notation: str, value: object, fits: bool) -> None:
    """As Go's decoder of JSON takes it, null always."""
    type_ = fields._type(notation)
    for given_value, expected in ((value, fits), (None, True)):
        found: list[fields.Fault] = []
        fields._value(type_, given_value, None, "X", found, 0)
        assert (not found) is expected


def test_a_fault_knows_its_path() -> None:
    """Outermost first, in the order of the body."""
    body = {"spec": {"templates": [{"container": {"args": [1], "x": 2}}]}}
    found = fields.faults("Workflow", body)
    assert [(fault.kind, fault.path) for fault in found] == [
        (FaultKind.TYPE, ("spec", "templates", 0, "container", "args", 0)),
        (FaultKind.UNKNOWN, ("spec", "templates", 0, "container", "x")),
        (FaultKind.REQUIRED, ("metadata",)),
    ]


@given(st.sampled_from(sorted(fields.names())), st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "spec", "steps", "x"]), inner, max_size=3), max_leaves=10))  # fmt: skip
def test_faults_never_raise(name: str, value: Any) -> None:
    """Law: any value may stand for any struct."""
    for fault in fields.faults(name, value):
        assert fault.kind is not FaultKind.TYPE or (fault.expected and fault.found)
