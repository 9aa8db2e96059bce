"""What the originals answered once, this answers: expr-lang, sprig and govaluate as Argo calls them.

The answers were recorded from the Go libraries; only whether there is an error counts for expr-lang and sprig, since their
messages carry places and the names of Go's types, while the messages of `when` reach users and must be the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from syncd.base.errors import Invalid
from syncd.expr import evaluate, gotext, govaluate, govaluate_tokens
from syncd.expr.environment import Variables

_GOLDEN = Path(__file__).parent / "golden"


def _cases(name: str) -> list[Any]:
    rows = json.loads((_GOLDEN / f"{name}.json").read_text(encoding="utf-8"))["cases"]
    return [pytest.param(row, id=row["source"][:60]) for row in rows]


@pytest.mark.parametrize("row", _cases("expr_lang") + _cases("sprig"))
def test_expressions_answer_as_expr_lang_does(row: dict[str, Any]) -> None:
    env = Variables(row.get("env", {}))
    if "error" in row:
        with pytest.raises(Invalid):
            gotext.json_text(evaluate.evaluate(row["source"], env))
    else:
        assert gotext.json_text(evaluate.evaluate(row["source"], env)) == row["value"]


@pytest.mark.parametrize("row", _cases("govaluate"))
def test_when_answers_as_govaluate_does(row: dict[str, Any]) -> None:
    def run() -> str:
        return gotext.json_text(govaluate.run(govaluate_tokens.read(row["source"]), row.get("barewords", True)))

    if "error" in row:
        with pytest.raises(govaluate_tokens.Fault) as caught:
            run()
        assert str(caught.value).strip() == row["error"]
    else:
        assert run() == row["value"]
