"""values.yaml, its schema and the pages, without helm: fresh, whole, and explained."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml

from syncd.config.load import load

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "syncd"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.fixture
def program() -> ModuleType:
    """charts/schema.py as a module."""
    spec = importlib.util.spec_from_file_location("chart_schema", ROOT / "charts" / "schema.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_schema_is_one_and_takes_the_chart_s_own_values() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert list(jsonschema.Draft7Validator(SCHEMA).iter_errors(VALUES)) == []


def test_a_stale_schema_is_told(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["--check"]) == 0
    copy = tmp_path / "values.schema.json"
    monkeypatch.setattr(program, "SCHEMA", copy)
    assert program.main(["--check"]) == 1
    assert "values.schema.json is stale: run `make docs`" in capsys.readouterr().err
    assert program.main([]) == 0
    assert copy.read_text() == (CHART / "values.schema.json").read_text()
    copy.write_text(copy.read_text().replace('"replicas"', '"replica"'))
    assert program.main(["--check"]) == 1
    assert program.main(["--chek"]) == 2


def test_make_verify_asks_for_it() -> None:
    """docs/generate.py is what `make verify` runs."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert ROOT / "charts" / "schema.py" in generate.OTHERS


def paths(values: Any, prefix: str = "") -> list[str]:
    found = []
    for name, value in values.items():
        found.append(prefix + name)
        if isinstance(value, dict):
            found += paths(value, f"{prefix}{name}.")
    return found


def test_every_value_is_explained(program: ModuleType) -> None:
    """But for what is Kubernetes' own, whose words are Kubernetes'."""

    def described(name: str) -> bool:
        one = SCHEMA
        for step in name.split("."):
            one = one["properties"][step]
        return bool(one.get("description"))

    free = tuple(f"{name}." for name in program.FREE)
    names = [name for name in paths(VALUES) if not name.startswith(free)]
    assert len(names) > 70
    assert [name for name in names if not described(name)] == []


def test_every_table_of_ours_is_closed(program: ModuleType) -> None:
    def open_tables(one: dict[str, Any], name: str) -> list[str]:
        found = []
        if "properties" in one and one.get("additionalProperties") is not False:
            found.append(name)
        for step, inner in one.get("properties", {}).items():
            found += open_tables(inner.get("items", inner), f"{name}.{step}")
        return found

    assert open_tables(SCHEMA, "") == []
    assert set(program.MORE) <= set(paths(VALUES))
    assert set(program.FREE) <= set(paths(VALUES))


def test_the_knobs_are_those_of_the_configuration() -> None:
    """What the chart sets is read by the daemon; the rest of `config` is its table."""
    written = yaml.safe_dump(VALUES["config"])
    assert load(written, {}).listen.port == VALUES["config"]["listen"]["port"]
    assert SCHEMA["properties"]["config"]["properties"]["state"]["default"] == VALUES["config"]["state"]


def test_what_the_readme_shows_is_taken() -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", (CHART / "README.md").read_text(), re.DOTALL)
    assert list(jsonschema.Draft7Validator(SCHEMA).iter_errors(yaml.safe_load(shown))) == []
