"""Conditions of steps: Argo's messages, and the complaint before tags are replaced."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.base.errors import Invalid
from syncd.expr import when

_WORDS = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            "1",
            "2.5",
            "'x'",
            '"y"',
            "true",
            "(",
            ")",
            ",",
            "==",
            "!=",
            "<",
            "&&",
            "||",
            "!",
            "-",
            "+",
            "in",
            "=~",
            "?",
            ":",
            "??",
            "[v]",
            "a.b",
            "a.B",
            "{{t}}",
            "\\",
            "~",
            "**",
            ".",
            "é",
            "'",
        ]
    ),
    max_size=12,
).map(" ".join)


@given(st.text(max_size=40) | _WORDS)
def test_any_text_is_a_condition_or_invalid(text: str) -> None:
    """Law: the answer is a bool or Invalid, and what cannot be read is what `check` complains of."""
    complaint = when.check(text)
    try:
        assert when.evaluate(text) in (True, False)
    except Invalid as fault:
        assert ("Invalid 'when' expression" not in str(fault)) or complaint is not None or "{{" in text
    else:
        assert complaint is None or text == "" or "{{" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo", "Expected boolean evaluation for 'foo'. Got foo"),
        ("1 + 1", "Expected boolean evaluation for '1 + 1'. Got 2"),
        (
            "a @ b",
            (
                "Invalid 'when' expression 'a @ b': Invalid token: '@' "
                '(hint: try wrapping the affected expression in quotes ("))'
            ),
        ),
        ("a ==", "Invalid 'when' expression 'a ==': Unexpected end of expression"),
        ("(a == b", "Invalid 'when' expression '(a == b': Unbalanced parenthesis"),
        (
            "1 > 'a'",
            (
                "Failed to evaluate 'when' expresion '1 > 'a'': Value '1' cannot be used with the comparator '>', "
                "it is not a number"
            ),
        ),
        ("!a", "Failed to parse 'when' expression '!a': Cannot transition token types from PREFIX [!] to STRING [a]"),
    ],
)
def test_faults_are_in_argos_words(text: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        when.evaluate(text)
    assert str(caught.value) == message


def test_cron_conditions_know_no_bare_words() -> None:
    assert when.evaluate("'a' == 'a'", barewords=False) is True
    with pytest.raises(Invalid, match=r"^No parameter 'a' found\.$"):
        when.evaluate("a == a", barewords=False)


def test_no_condition_holds() -> None:
    assert when.evaluate("") is True


@pytest.mark.parametrize(
    "text",
    [
        "{{steps.flip.outputs.result}} == heads",
        "'{{x}}' == 'a b' && {{=y > 1}}",
        "{{x}}-{{y}} == a-b",
        "{{item.a}} in (a, b)",
        "prefix-{{x}} != prefix-a",
        "{{=a == 'b'}}",
    ],
)
def test_a_tag_counts_as_any_operand(text: str) -> None:
    assert when.check(text) is None


@pytest.mark.parametrize("text", ["{{x}} ==", "{{x}} == a)", "{{x}} @ b", "({{x}} == 1"])
def test_a_broken_condition_is_seen_before_tags_are_replaced(text: str) -> None:
    assert when.check(text)
