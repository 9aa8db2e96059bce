"""From YAML to problems, for tests: read with places as `source.decode` reads, without its refusals."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import dedent

from syncd.argo import labels
from syncd.argo.manifest import Manifest, Origin, key_of
from syncd.base import yamltext
from syncd.base.problems import Problem
from syncd.validate.catalog import Catalog
from syncd.validate.lint import lint
from syncd.validate.profile import DEFAULT, Profile


def read(text: str | bytes, file: str = "flow.yaml", kind: str = "") -> tuple[Manifest, ...]:
    """The manifests of a text, which must be readable. kind: of a document that does not say it."""
    manifests: list[Manifest] = []
    for number, document in enumerate(yamltext.documents(text)):
        assert isinstance(document, yamltext.Document), document
        body = document.value
        if not isinstance(body, dict):
            continue
        if kind and "kind" not in body:
            body = {"apiVersion": labels.API_VERSION_OF[kind], "kind": kind, **body}
        if body.get("kind") in labels.API_VERSION_OF:
            origin = Origin(file, document.line, document.column, number)
            manifests.append(Manifest(key_of(body), body, origin, document.marks))
    return tuple(manifests)


def problems_of(text: str, profile: Profile = DEFAULT, beside: Sequence[Manifest] = ()) -> list[Problem]:
    """What the lint finds in a text. beside: manifests that it may refer to."""
    manifests = read(dedent(text))
    return lint(manifests, Catalog([*manifests, *beside]), profile)


def told(problems: Sequence[Problem]) -> list[str]:
    """`line:column code`, sorted: what a table of cases states."""
    return [f"{p.place.line}:{p.place.column} {p.code}" for p in sorted(problems)]


def workflow(templates: str, spec: str = "entrypoint: main") -> str:
    """A Workflow around the templates, which begin in line 7, column 3."""
    head = (
        f"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {{name: flow}}\nspec:\n  {spec}\n  templates:\n"
    )
    return head + "".join(f"  {line}\n" for line in dedent(templates).strip("\n").splitlines())
