"""What names may be made of: one rule, for what is configured, found and shown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.base.text import escaped, is_text, is_visible
from exporter.config import values

BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
REAL = (
    "株式会社\u3000月面開発",  # an ideographic space
    "Dupont\u00a0& Fils",  # one that does not break
    "Société\u202fNord",
    "می\u200cرود",  # a word in two parts, in Persian
    "ක්\u200dරියා",  # a joined letter, in Sinhala
    "👩\u200d🔬 Labs",
    "soft\u00adhyphen",
)


@pytest.mark.parametrize("name", REAL)
def test_names_of_real_companies_are_taken_and_shown_as_they_are(name: str) -> None:
    """White space and joiners of any script are text: nothing refuses or alters them."""
    assert values.name(name) == name
    assert escaped(name) == name
    assert is_visible(name)


@given(st.characters())
def test_what_no_name_may_have_is_what_is_escaped(character: str) -> None:
    """Control characters, surrogates, separators of lines and bidirectional controls, only they."""
    refused = (
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in BIDI_CONTROLS
    )
    assert is_text(character) is not refused
    shown = escaped(f"a{character}b")
    assert shown.isascii() if refused else shown == f"a{character}b"
    assert is_text(shown)


@pytest.mark.parametrize("character", [*"\0\x1b\x7f\x85\u2028\u2029\ud800", *sorted(BIDI_CONTROLS)])
def test_a_name_that_is_no_text_is_refused_with_the_rule(character: str) -> None:
    """Without the name in the message."""
    with pytest.raises(ValueError, match="must not contain control characters, line separators or"):
        values.name(f"Acme{character}")


@pytest.mark.parametrize("name", ["", " ", "\u3000\u00a0", "\u200b\u200d", "\n\t\u2028"])
def test_what_nobody_would_see_is_told_from_a_name(name: str) -> None:
    """So that something else can stand in its place."""
    assert not is_visible(name)
