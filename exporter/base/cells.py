"""Cells of CSV: no spreadsheet computes one, and no program takes one for two."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

# What a spreadsheet takes for the start of a formula, in full width or small, too, and what it may
# skip before that.
FORMULA: Final = re.compile(
    r"[\t\r\n]|[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]*"
    r"[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]"
)
# What some program takes for the end of a cell or a line: a comma is not all that separates.
SEPARATING: Final = re.compile(r'[",;|\t\r\n\v\f\x1c-\x1f\x85\u2028\u2029]|^\s|\s$')


def line(values: Iterable[object]) -> str:
    """Return a row of CSV, without an end of line. None is empty, and text stays as it is."""
    return ",".join(map(_cell, values))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()  # as JSON has it
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}"  # every digit, and no exponent
    if not isinstance(value, str):
        return str(value)
    # The module csv lets some of what separates cells stand bare.
    text = f"'{value}" if FORMULA.match(value) else value
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if SEPARATING.search(text) else text
