"""What is kept of an organization for its forecast, as bytes: it is much, and seldom changes."""

from __future__ import annotations

import math
import struct
import zlib
from functools import cache, lru_cache
from typing import Final, NamedTuple

from exporter.forecast.history import Period
from exporter.forecast.methods import SO_FAR
from exporter.forecast.outlook import Basis, FeeAhead, Outlook
from exporter.forecast.record import HORIZONS, NAMES
from exporter.model import ExpectedDay

# What tells apart what releases with other methods keep.
FORM: Final = zlib.crc32(f"3 {NAMES} {HORIZONS}".encode())

# The form, the first day, how many days and fees there are, and the length of two days'
# expectations; the period's start and end, what is usual, the credit and its margin, the bounds,
# the amount at the middle and the past error; flags, and the method that counts most. Then what is
# expected of each day, the fees with their days, and the two days. What is not known is NaN.
_HEAD: Final = struct.Struct("<IIBBHH9dBBB")
_FEE: Final = struct.Struct("<Bdd")
_EXPECTED: Final = struct.Struct("<dd")
# Behind that, a weight and an error for each method, and its days if it has any; then what was said
# of the last days, after its length, and the record.
_METHOD: Final = struct.Struct("<dd")
_LENGTH: Final = struct.Struct("<H")
_METHODS: Final = (*NAMES, SO_FAR)


class Middle(NamedTuple):
    """What was expected at the middle of the period."""

    is_past: bool
    usd: float | None = None  # US dollars; None if nothing was


class Brief(NamedTuple):
    """As much of what is kept as each answer needs."""

    outlook: Outlook
    middle: Middle
    # What the period before came to: its middle's forecast divided by that, minus 1.
    past_error: float | None
    is_learning: bool  # whether there are days that the record has not seen
    size: int  # of its bytes: the rest is behind them


class Kept(NamedTuple):
    """What is expected, why, and what that was learned from."""

    outlook: Outlook
    basis: Basis
    record: bytes
    said: bytes  # of the last days, before each began
    middle: Middle
    past_error: float | None = None
    is_learning: bool = False

    def packed(self) -> bytes:
        """Return it as bytes."""
        outlook, (methods, weights, errors) = self.outlook, self.basis
        before, on_it = _expected(outlook.day_before), _expected(outlook.on_it)
        numbers = [
            math.nan if number is None else number
            for number in (
                *(*outlook.period, outlook.usual, outlook.credit, outlook.credit_margin),
                *(outlook.bounds or (None, None)),
                *(self.middle.usd, self.past_error),
            )
        ]
        count = len(outlook.days)
        counts = count, len(outlook.fees), len(before), len(on_it)
        flags = self.middle.is_past, self.is_learning, _METHODS.index(outlook.method)
        parts = [
            _HEAD.pack(FORM, outlook.day, *counts, *numbers, *flags),
            _numbers(count).pack(*outlook.days),
            *(_FEE.pack(*fee) for fee in outlook.fees),
            before,
            on_it,
        ]
        for name in NAMES:
            error = errors.get(name)
            weight = weights.get(name, math.nan)
            parts.append(_METHOD.pack(weight, math.nan if error is None else error))
            if name in methods:
                parts.append(_numbers(count).pack(*methods[name]))
        return b"".join([*parts, _LENGTH.pack(len(self.said)), self.said, self.record])


@lru_cache(2)  # an answer needs it more than once
def brief(kept: bytes | None) -> Brief | None:
    """Return what answers need; None if it is nothing, or of a release with other methods."""
    if kept is None:
        return None
    try:
        return _brief(kept)
    except (struct.error, IndexError):
        return None


def unpacked(kept: bytes | None) -> Kept | None:
    """Return all that was kept; None if it is nothing, or of a release with other methods."""
    found = brief(kept)
    if kept is None or found is None:
        return None
    try:
        basis, said, record = _rest(kept, found)
    except struct.error:
        return None
    return Kept(
        *(found.outlook, basis, record, said, found.middle, found.past_error, found.is_learning)
    )


def _brief(kept: bytes) -> Brief | None:
    form, day, count, fees, before, on_it, *numbers, is_past, is_learning, method = (
        _HEAD.unpack_from(kept)
    )
    if form != FORM:
        return None
    start, end, usual, credit, credit_margin, *others = numbers
    low, high, at_middle, past_error = [None if math.isnan(each) else each for each in others]
    at = _HEAD.size
    days = _numbers(count).unpack_from(kept, at)
    at += 8 * count
    until = at + _FEE.size * fees
    ahead = tuple(map(FeeAhead._make, _FEE.iter_unpack(kept[at:until])))
    if any(fee.number >= count for fee in ahead):
        return None
    outlook = Outlook(
        day,
        Period(start, end),
        usual,
        _METHODS[method],
        days,
        ahead,
        credit,
        credit_margin,
        None if low is None or high is None else (low, high),
        _read_expected(kept[until : until + before]),
        _read_expected(kept[until + before : until + before + on_it]),
    )
    size = until + before + on_it
    return Brief(outlook, Middle(bool(is_past), at_middle), past_error, bool(is_learning), size)


def _rest(kept: bytes, found: Brief) -> tuple[Basis, bytes, bytes]:
    """Return the basis, what was said of the last days, and the record."""
    at, form = found.size, _numbers(len(found.outlook.days))
    methods, weights, errors = {}, {}, {}
    for name in NAMES:
        weight, error = _METHOD.unpack_from(kept, at)
        at += _METHOD.size
        if not math.isnan(weight):
            weights[name] = weight
            errors[name] = None if math.isnan(error) else error
            methods[name] = form.unpack_from(kept, at)
            at += form.size
    (length,) = _LENGTH.unpack_from(kept, at)
    at += _LENGTH.size
    return Basis(methods, weights, errors), kept[at : at + length], kept[at + length :]


@cache  # as many as there are days ahead
def _numbers(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}d")


def _expected(day: ExpectedDay | None) -> bytes:
    return b"" if day is None else _EXPECTED.pack(day.usd, day.upper) + day.resources


def _read_expected(kept: bytes) -> ExpectedDay | None:
    if not kept:
        return None
    usd, upper = _EXPECTED.unpack_from(kept)
    return ExpectedDay(usd, upper, kept[_EXPECTED.size :])
