"""The language of `when`: govaluate's dialect, evaluated after the tags were replaced.

In: the text. Out: whether the step runs. Called by `engine` (steps, tasks, metrics), `cron` and `validate`.
Argo v4.1.2 workflow/controller/steps.go shouldExecute, over Knetic/govaluate 7625b7f.
"""

from __future__ import annotations

from syncd.base.errors import Invalid
from syncd.expr import govaluate, govaluate_tokens, tags
from syncd.expr.govaluate_tokens import Fault


def evaluate(text: str, *, barewords: bool = True) -> bool:
    """Whether the condition holds; an empty one does.

    barewords: a bare word is a string (steps and tasks), else it is a variable, of which there are none (cron).
    Raises Invalid with Argo's words.

    >>> evaluate("Error in (Failed, Error)"), evaluate("1 > 2")
    (True, False)
    """
    if text == "":
        return True
    try:
        tokens = govaluate_tokens.read(text)
    except Fault as fault:
        if not barewords:
            raise Invalid(str(fault)) from None
        hint = ' (hint: try wrapping the affected expression in quotes ("))' if "Invalid token" in str(fault) else ""
        raise Invalid(f"Invalid 'when' expression '{text}': {fault}{hint}") from None
    try:
        value = govaluate.run(tokens, barewords)
    except Fault as fault:
        if not barewords:
            raise Invalid(str(fault)) from None
        words = "Failed to parse 'when' expression" if fault.parsing else "Failed to evaluate 'when' expresion"
        raise Invalid(f"{words} '{text}': {fault}") from None
    if not isinstance(value, bool):
        raise Invalid(f"Expected boolean evaluation for '{text}'. Got {govaluate_tokens.shown(value)}")
    return value


def check(text: str) -> str | None:
    """What is wrong with the syntax before the tags are replaced, None = nothing; a tag may become any operand.

    >>> check("{{x}} == foo"), check("{{x}} ==")
    (None, 'Unexpected end of expression')
    """
    if not text:
        return None
    pieces: list[str] = []
    done = 0
    for tag in tags.find(text):
        pieces += [text[done : tag.start], _stand_in(text, tag.start)]
        done = tag.end
    pieces.append(text[done:])
    try:
        govaluate_tokens.check(govaluate_tokens.read("".join(pieces)))
    except Fault as fault:
        return str(fault)
    return None


def _stand_in(text: str, at: int) -> str:
    """What a tag counts as: a word, which fits wherever a value does, inside of quotes and next to other letters as well."""
    return "x"
