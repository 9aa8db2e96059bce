"""Argo's own verdicts: what its validator refuses is refused here, in its words, and what it accepts is accepted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from syncd.argo.manifest import Manifest
from syncd.base import yamltext
from syncd.base.problems import Severity
from syncd.validate.catalog import Catalog
from syncd.validate.lint import lint
from syncd.validate.profile import Profile
from tests.support.conformance import conformance_dir
from tests.validate.reading import read

CORPUS = conformance_dir()
VERDICTS: list[dict[str, Any]] = json.loads((CORPUS / "validate/index.json").read_text())
EXAMPLES = sorted(path for path in (CORPUS / "examples").rglob("*.y*ml"))
RUNS: list[dict[str, Any]] = json.loads((CORPUS / "e2e/index.json").read_text())

SHORT_NAMES = {"cronwf": "CronWorkflow", "wf": "Workflow", "wftmpl": "WorkflowTemplate"}


def _manifests(path: Path, kind: str = "") -> tuple[Manifest, ...]:
    return read(path.read_bytes(), path.name, kind)


def _profile(options: dict[str, Any], lint_too: bool = False) -> Profile:
    """The knobs that mirror the options of a case. A verdict of the API server is judged with the schema's rules as well."""
    return Profile(
        lint=options.get("lint", False) or lint_too,
        submit=options.get("submit", False),
        strict=options.get("strict", True),
        as_argo=not options.get("apply", False),
        workflow_defaults=options.get("workflow_defaults"),
    )


def _errors(case: dict[str, Any], profile: Profile) -> list[str]:
    """The messages of the errors of a case's own objects."""
    manifests = _manifests(CORPUS / "validate" / case["file"], case["kind"])
    wanted = {SHORT_NAMES.get(kind, kind) for kind in case["options"].get("kinds", ())}
    judged = [manifest for manifest in manifests if not wanted or manifest.key.kind in wanted]
    needs = [manifest for name in case["needs"] for manifest in _manifests(CORPUS / "validate" / name)]
    problems = lint(judged, Catalog([*manifests, *needs]), profile)
    return [problem.message for problem in problems if problem.severity is Severity.ERROR]


@pytest.mark.parametrize("case", VERDICTS, ids=lambda case: case["id"])
def test_verdict_and_words_of_argo(case: dict[str, Any]) -> None:
    """The verdict is Argo's; where Argo says why, one of our messages says so as well."""
    errors = _errors(case, _profile(case["options"]))
    assert ("invalid" if errors else "valid") == case["verdict"], errors
    words = [*case["error_contains"], *filter(None, [case.get("error_equals")])]
    assert [text for text in words if not any(text in error for error in errors)] == [], errors


@pytest.mark.parametrize("case", [c for c in VERDICTS if c["lint_verdict"]], ids=lambda case: case["id"])
def test_verdict_of_argo_lint(case: dict[str, Any]) -> None:
    """`argo lint` only lets arguments without a value pass."""
    errors = _errors(case, _profile(case["options"], lint_too=True))
    assert ("invalid" if errors else "valid") == case["lint_verdict"], errors


@pytest.fixture(scope="module")
def examples() -> Catalog:
    """All examples as one source: they refer to each other across files."""
    return Catalog([manifest for path in EXAMPLES for manifest in _readable(path)])


def _readable(path: Path) -> tuple[Manifest, ...]:
    """An example's manifests; Argo has one with a key twice, which is decode's to refuse."""
    if any(isinstance(document, yamltext.Fault) for document in yamltext.documents(path.read_bytes())):
        return ()
    return read(path.read_bytes(), str(path.relative_to(CORPUS)))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(CORPUS / "examples")))
def test_examples_have_no_errors(path: Path, examples: Catalog) -> None:
    """`argo lint` accepts them all: an error here would be a false one, by our own rules as well as by Argo's."""
    problems = lint(_readable(path), examples, Profile())
    assert [str(problem) for problem in problems if problem.severity is Severity.ERROR] == []


LENIENT = Profile(strict=False)

REFUSED = {
    "manifests/functional-workflow-template-ref-with-exit-handler-error.yaml": "V286",  # Argo: invalid spec
}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run["id"])
def test_what_argo_runs_end_to_end_has_no_errors(run: dict[str, Any]) -> None:
    """Its test suite reads YAML leniently: unknown fields are let through. What it expects to be refused, is."""
    manifests = _manifests(CORPUS / "e2e" / run["file"])
    needs = [manifest for name in run["needs"] for manifest in _manifests(CORPUS / "e2e" / name)]
    errors = [p for p in lint(manifests, Catalog([*manifests, *needs]), LENIENT) if p.severity is Severity.ERROR]
    expected = REFUSED.get(run["file"], "")
    assert {problem.code for problem in errors} == ({expected} if expected else set()), [str(p) for p in errors]
