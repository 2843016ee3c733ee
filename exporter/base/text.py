"""Names are text for people: what they may be made of, and how the rest is shown.

The rule stands here once, for what is configured, found and shown.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import Final

RULE: Final = "must not contain control characters, line separators or bidirectional controls"
# Cc, Cs, Zl, Zp, and what Unicode calls Bidi_Control. Spaces and joiners of any script are text.
_NO_TEXT: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


# Letters and symbols that are blank: fillers of Hangul, and the blank pattern of Braille.
_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def from_system(text: str) -> str:
    """Return an argument or a variable as it is in UTF-8, as a configuration and an API have it.

    Python reads both as the locale says, which may have no letters but those of English.
    """
    try:
        return text.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()).decode()
    except UnicodeError:
        return text


def is_text(text: str) -> bool:
    """Tell whether there is nothing in it that a name must not have."""
    return _NO_TEXT.search(text) is None


def is_visible(text: str) -> bool:
    """Tell whether people would see anything of it."""
    # Separators, controls and what only formats, such as joiners.
    blank = {"Zs", "Zl", "Zp", "Cc", "Cf", "Cs"}
    return any(unicodedata.category(c) not in blank and c not in _FILLERS for c in text)


def escaped(text: str) -> str:
    r"""Return it for a terminal: what no name may have, which could steer one, as \x1b and such."""
    return _NO_TEXT.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode()
