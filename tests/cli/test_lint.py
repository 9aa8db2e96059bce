"""`lint` and `plan` over real files, without a daemon."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Call

GOOD = """\
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: base}
spec:
  entrypoint: main
  templates: [{name: main, container: {image: x, command: [echo]}}]
"""
BAD = """\
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: bad}
spec:
  entrypoint: nope
  templates:
  - name: main
    container: {image: x, comand: [echo]}
"""
REFERS = """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: uses-}
spec: {workflowTemplateRef: {name: base}}
"""
CRON = """\
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: nightly}
spec:
  schedules: ["30 2 * * *"]
  timezone: Europe/Paris
  workflowSpec: {workflowTemplateRef: {name: base}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a good template, a workflow that refers to it, and what is not ours."""
    made = tmp_path / "repo"
    (made / "below").mkdir(parents=True)
    (made / "base.yaml").write_text(GOOD)
    (made / "below" / "uses.yaml").write_text(REFERS)
    (made / "values.yaml").write_text("a: 1\n")
    monkeypatch.chdir(made)
    return made


def test_a_good_directory(folder: Path, call: Call) -> None:
    said = call("lint", ".")
    assert (said.code, said.err) == (0, "")
    assert said.out == "✔ no linting errors found! (2 manifests in 3 files)\n"
    assert call("lint", "base.yaml", "below").code == 0
    assert json.loads(call("lint", ".", "-o", "json").out) == []


def test_references_go_across_what_is_named_and_no_further(folder: Path, call: Call) -> None:
    said = call("lint", "below")
    assert said.code == 1
    assert "below/uses.yaml:4:" in said.out
    assert call("lint", "below", "--ignore-missing").code == 0


def test_all_problems_at_once_with_their_places(folder: Path, call: Call) -> None:
    (folder / "below" / "bad.yaml").write_text(BAD)
    said = call("lint", "-o", "json", ".")
    assert said.code == 1
    found = json.loads(said.out)
    assert [(p["code"], p["severity"], p["file"], p["line"], p["object"]) for p in found] == [
        ("V241", "error", "below/bad.yaml", 5, "WorkflowTemplate/default/bad"),
        ("V201", "error", "below/bad.yaml", 8, "WorkflowTemplate/default/bad"),
    ]
    assert list(found[0]) == ["code", "severity", "file", "line", "column", "object", "path", "message", "remedy"]


def test_forms_for_people_and_machines(folder: Path, call: Call) -> None:
    (folder / "bad.yaml").write_text(BAD)
    pretty = call("lint", ".").lines
    assert pretty[0].startswith("bad.yaml:5:3: error V241: WorkflowTemplate/default/bad: template name 'nope'")
    assert pretty[1].startswith("    ")
    assert pretty[-1] == "✖ 2 linting errors found! (3 manifests in 4 files)"
    simple = call("lint", ".", "-o", "simple").lines
    assert [line.split(": ")[1] for line in simple] == ["error V241", "error V201"]
    github = call("lint", ".", "-o", "github").lines
    assert github[0].startswith("::error file=bad.yaml,line=5,col=3,title=V241::WorkflowTemplate/default/bad: ")
    assert "- code: V241\n" in call("lint", ".", "-o", "yaml").out


def test_an_annotation_cannot_be_broken_out_of(folder: Path, call: Call) -> None:
    (folder / "bad.yaml").write_text(BAD.replace("nope", '"x%\\n::error::pwned"'))
    lines = call("lint", "bad.yaml", "-o", "github").lines
    assert len(lines) == 2
    assert all(line.startswith("::error file=bad.yaml,") for line in lines)


def test_strictness(folder: Path, call: Call) -> None:
    (folder / "base.yaml").write_text(GOOD.replace("command:", "comand:"))
    assert call("lint", "base.yaml").code == 1
    assert call("lint", "base.yaml", "--strict=false").code == 0
    assert call("lint", "base.yaml", "--no-strict").code == 0
    assert "warning V201" in call("lint", "base.yaml", "--no-strict").out


def test_kinds(folder: Path, call: Call) -> None:
    (folder / "bad.yaml").write_text(BAD)
    assert call("lint", ".", "--kinds", "workflows,cronworkflows").code == 0
    assert call("lint", ".", "--kinds", "workflowtemplates").code == 1
    assert call("lint", ".", "--kinds", "all").code == 1


def test_stdin(folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def give(text: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))

    give(BAD.encode())
    assert call("lint", "-").lines[0].startswith("stdin:5:3: error V241")
    give(GOOD.encode())
    assert call("lint", "-", "below").code == 0


@pytest.mark.parametrize("text", ["", "a: [", "a: 1\n", "\x00\xff", "[" * 5000])
def test_nothing_to_lint_is_no_success(text: str, folder: Path, call: Call) -> None:
    (folder / "odd.yaml").write_bytes(text.encode("latin-1"))
    said = call("lint", "odd.yaml")
    assert said.code == 1
    assert "Traceback" not in said.err
    assert said.err.endswith("found nothing to lint in what is named; is it the right path?\n") or said.out


def test_a_repository_at_a_revision(folder: Path, call: Call, tmp_path: Path) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, timeout=30)

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "good")
    (folder / "bad.yaml").write_text(BAD)
    git("add", "-A")
    git("commit", "-qm", "bad")
    assert call("lint", f"file://{folder}").code == 1
    assert call("lint", f"file://{folder}#main:below", "--ignore-missing").code == 0


def test_plan_of_a_directory_against_an_empty_store(folder: Path, call: Call) -> None:
    (folder / "cron.yaml").write_text(CRON)
    said = call("plan", ".")
    assert said.code == 0
    verbs = [line.split()[:3] for line in said.lines if line.startswith("  +")]
    assert verbs == [
        ["+", "create", "WorkflowTemplate/default/base"],
        ["+", "create", "CronWorkflow/default/nightly"],
        ["+", "offer", "Workflow/default/uses-"],
    ]
    assert any("fires next" in line for line in said.lines)
    assert said.lines[-1] == "  2 to create, 0 to update, 0 to delete, 1 to offer"
    assert call("plan", ".", "--check").code == 1
    told = json.loads(call("plan", ".", "-o", "json", "--source-name", "jobs").out)
    assert (told["source"], told["counts"]["create"], len(told["fires"]["CronWorkflow/default/nightly"])) == (
        "jobs",
        2,
        3,
    )


def test_plan_of_what_has_errors(folder: Path, call: Call) -> None:
    (folder / "bad.yaml").write_text(BAD)
    said = call("plan", ".")
    assert said.code == 1
    assert "bad.yaml:5:3: error V241" in said.err


@pytest.mark.parametrize(
    ("words", "times"),
    [
        (
            "--schedule 30_2_*_*_* --timezone Europe/Paris --from 2026-03-28T00:00:00Z -n 3",
            ["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"],  # the 29th has no 02:30
        ),
        (
            "--schedule 30_2_*_*_* --timezone Europe/Paris --from 2026-10-24T12:00:00Z -n 3",
            ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"],  # the 25th has it twice
        ),
        (
            "--schedule 30_2_*_*_* --timezone Europe/Paris --dst once --from 2026-10-24T12:00:00Z -n 2",
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        (
            "--schedule 0_0_1_1_* --schedule 0_12_1_1_* --from 2026-06-01T00:00:00Z -n 3",
            ["2027-01-01T00:00:00Z", "2027-01-01T12:00:00Z", "2028-01-01T00:00:00Z"],
        ),
    ],
)
def test_cron_next_of_a_bare_schedule(words: str, times: list[str], call: Call) -> None:
    given = [word.replace("_", " ") for word in words.split()]
    assert json.loads(call("cron", "next", *given, "-o", "json").out) == times
    said = call("cron", "next", *given)
    assert said.code == 0
    assert [line.split("   ")[1] for line in said.lines if not line.startswith("note:")] == times


def test_cron_next_that_never_comes(call: Call) -> None:
    assert call("cron", "next", "--schedule", "0 0 30 2 *").code == 1
    assert call("cron", "next", "--schedule", "61 * * * *").code == 1
    assert call("cron", "next", "--schedule", "* * * * *", "--timezone", "Mars/Base").code == 1
    assert call("cron", "next", "--schedule", "* * * * *", "--from", "noon").code == 2
