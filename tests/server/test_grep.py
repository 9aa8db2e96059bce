"""The matcher of log lines agrees with `re`, and no pattern can make it slow."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.base.errors import Invalid
from syncd.server import grep

LINES = ["", "a", "ab", "b", "error: exit 1", "Error", "a\tb", "é", "x_1", "aaa", "a.b", "A"]
PATTERNS = [
    "", "a", "^a", "a$", "^$", "a|b", "a*", "a+b?", "[ab]", "[^a]", "[a-c]{2}", "a{2,}", "(ab)+", "(?:a|b)*c", r"\d", r"\w+_\d",
    r"\s", r"\S", r"\bexit\b", r"\Bx", ".", "..$", r"a\.b", "(?i)error", "(?i)[A-B]", "a??b", r"[\d_]", r"\Aa\Z", "a{0}b", "()", "(a|)b",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_it_finds_what_re_finds(pattern: str) -> None:
    found = grep.compile(pattern)
    assert [found(line) for line in LINES] == [re.search(pattern, line) is not None for line in LINES]


pieces = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "^", "$", r"\b", r"\w"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "{2}", "{1,3}"])).map(lambda p: f"(?:{p[0]}){p[1]}"),
    ),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(pieces, st.text(st.sampled_from("ab_ "), max_size=8))
def test_it_agrees_with_re_on_any_regular_pattern(pattern: str, line: str) -> None:
    """Law: for patterns of both languages, a line matches here exactly when `re.search` finds something."""
    assert grep.compile(pattern)(line) is (re.search(pattern, line) is not None)


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(a*)*b", "(.*a){20}b", "a.*a.*a.*b", "(a?){60}a{60}b", "(x+x+)+y|(a|aa)+c"]
)
def test_patterns_that_take_for_ever_elsewhere(pattern: str) -> None:
    """Each would keep `re` busy for years on this line; here the test simply ends."""
    assert grep.compile(pattern)("a" * 20_000 + "!") is False


NO_PATTERNS = [
    "(", "[", "*", r"(a)\1", "(?=a)", "(?<!a)b", "(?P<x>a)(?P=x)", "(?>a)", "a++", "(?i:a)b", "a" * 600,
    "((a{100}){100}){100}", "a{99999999999}", "(a)(?(1)b|c)", "(" * 255 + "a" + ")" * 255 + "{2}{3}",
]  # fmt: skip


@pytest.mark.parametrize("pattern", NO_PATTERNS)
def test_what_is_no_pattern_here(pattern: str) -> None:
    with pytest.raises(Invalid, match="grep pattern"):
        grep.compile(pattern)


def test_deep_nesting_is_a_pattern_like_any_other() -> None:
    assert grep.compile("(" * 250 + "a" + ")" * 250)("bab") is True


@pytest.mark.parametrize("pattern", ["((((){999}){999}){999}){999}", "(((a{0}){999}){999}){999}"])
def test_repetitions_of_nothing_cost_nothing(pattern: str) -> None:
    assert grep.compile(pattern)("x") is True
