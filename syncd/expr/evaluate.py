"""Evaluation of expr-lang expressions (v1.17.8, with Argo v4.1.2's own functions), compiled to closures.

In: the text of an expression and an Environment. Out: a value (see `values`), or a fault. Called by `tags`, `engine`
(depends, hooks, retry, fromExpression), `cron` (stopStrategy) and `validate` (syntax and names only).

Evaluation always ends: the work of loops is counted, texts and lists have limits, nesting is bounded by the grammar.
It answers the same for the same environment; what needs the time or chance takes it from an `Impurity`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from syncd.expr import closures, gotext, grammar, names
from syncd.expr.environment import Environment, Impurity, knows
from syncd.expr.lexer import SyntaxProblem
from syncd.expr.run import Run
from syncd.expr.values import EvaluationProblem, bounded, plain

__all__ = ["EvaluationProblem", "Program", "SyntaxProblem", "compile", "evaluate", "truth"]

STEPS = 100_000
"""Units of work that one evaluation may take; a unit is about one node in a loop, or one element of a list."""

_LONG = 1_000  # characters; longer programs are kept in a smaller cache, since they are larger too


class Program:
    """An expression that has been read: what it needs, and how to run it. Immutable, may be shared.

    identifiers: names at the root, variables only; paths: dotted paths as long as they are static (`tasks.a.outputs.result`);
    required: what must be there before it can be judged, in order (Argo's getIdentifiers: guarded by `??` or `?.` is not);
    unknown: functions that do not exist (`foo`, `sprig.foo`).
    """

    __slots__ = ("_body", "_roots", "_slots", "identifiers", "paths", "required", "source", "unknown")

    def __init__(self, source: str) -> None:
        try:
            tree = grammar.parse(source)
            found = names.collect(tree)
            self._body, self._slots = closures.compile(tree)
        except RecursionError:
            raise SyntaxProblem("expression is nested too deeply (1:1)", 0) from None
        self.source = source
        self.identifiers = frozenset(found.roots)
        self.paths = frozenset(found.paths)
        self.required = tuple(found.required)
        self.unknown = frozenset(found.unknown)
        self._roots = tuple(found.roots)

    def run(self, env: Environment, steps: int = STEPS, impurity: Impurity | None = None) -> Any:
        """The value in this environment.

        steps: units of work until it is stopped; impurity: where time and chance come from, None = they are refused.
        Raises EvaluationProblem: `foo is missing` where the environment lacks a name, else what is wrong in Go's words.
        """
        for root in self._roots:
            if not knows(env, root):
                raise EvaluationProblem(f"{root} is missing")
        try:
            return bounded(plain(self._body(Run(env, steps, impurity, self._slots))))
        except RecursionError:
            raise EvaluationProblem("recursion depth exceeded") from None

    def missing(self, env: Environment) -> list[str]:
        """Those of `required` that the environment lacks, in order."""
        return [path for path in self.required if not knows(env, path)]


@lru_cache(maxsize=1024)
def _compile_short(source: str) -> Program:
    return Program(source)


@lru_cache(maxsize=16)
def _compile_long(source: str) -> Program:
    return Program(source)


def compile(source: str) -> Program:  # noqa: A001  # the word for it
    """The program for the text. Raises SyntaxProblem (with `.position`), and nothing else, whatever the text."""
    return _compile_short(source) if len(source) <= _LONG else _compile_long(source)


def evaluate(source: str, env: Environment, *, impurity: Impurity | None = None) -> Any:
    """The value of an expression. Raises SyntaxProblem or EvaluationProblem.

    >>> from syncd.expr.environment import Variables
    >>> evaluate("asInt(inputs.parameters.n) + 1", Variables({"inputs.parameters.n": "41"}))
    42
    """
    return compile(source).run(env, impurity=impurity)


def truth(source: str, env: Environment, *, impurity: Impurity | None = None) -> bool:
    """The value of an expression that must be a boolean, else EvaluationProblem (Argo v4.1.2 util/expr/argoexpr EvalBool)."""
    try:
        value = evaluate(source, env, impurity=impurity)
    except EvaluationProblem as problem:
        raise EvaluationProblem(f"unable to evaluate expression '{source}': {problem}") from None
    if not isinstance(value, bool):
        raise EvaluationProblem(f"unable to cast expression result '{gotext.text(value)}' to bool")
    return value
