"""What is kept of an organization for its forecast, as bytes: it is much, and seldom changes."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from exporter.forecast.history import Period
from exporter.forecast.outlook import Basis, Outlook
from exporter.forecast.record import HORIZONS, NAMES
from exporter.model import ExpectedDay

# What tells apart what releases with other methods keep.
FORM: Final = zlib.crc32(f"1 {NAMES} {HORIZONS}".encode())

# The form, the day and how many there are ahead, the period's start and end, what is usual, the
# credit, the bounds, and the fields of Kept; then what is expected of each day, and the fees; two
# days' expectations; a weight and an error for each method, and its days if it has any; then the
# record. What is not known is NaN.
_HEAD: Final = struct.Struct("<IIB8dBB")
_EXPECTED: Final = struct.Struct("<ddH")
_LENGTH: Final = struct.Struct("<H")
_AMOUNT: Final = struct.Struct("<d")
_METHOD: Final = struct.Struct("<dd")


class Middle(NamedTuple):
    """What was expected at the middle of the period."""

    is_past: bool
    usd: float | None = None  # US dollars; None if nothing was


class Kept(NamedTuple):
    """What is expected, why, and what that was learned from."""

    outlook: Outlook
    basis: Basis
    record: bytes
    middle: Middle
    # What the period before came to: its middle's forecast divided by that, minus 1.
    past_error: float | None = None
    is_learning: bool = False  # whether there are days that the record has not seen

    def packed(self) -> bytes:
        """Return it as bytes."""
        day, period, usual, days, fees, credit, bounds, day_before, on_it = self.outlook
        low, high = bounds or (None, None)
        numbers = [
            math.nan if number is None else number
            for number in (*period, usual, credit, low, high, self.middle.usd, self.past_error)
        ]
        flags = self.middle.is_past, self.is_learning
        count = len(fees)
        methods, weights, errors = self.basis
        parts = [
            _HEAD.pack(FORM, day, count, *numbers, *flags),
            _numbers(count).pack(*(days or [math.nan] * count)),
            _numbers(count).pack(*fees),
            _expected(day_before),
            _expected(on_it),
        ]
        for name in NAMES:
            error = errors.get(name)
            weight = weights.get(name, math.nan)
            parts.append(_METHOD.pack(weight, math.nan if error is None else error))
            if name in methods:
                parts.append(_numbers(count).pack(*methods[name]))
        return b"".join([*parts, self.record])


def unpacked(kept: bytes | None) -> Kept | None:
    """Return what was kept; None if it is nothing, or of a release with other methods."""
    if kept is None:
        return None
    try:
        return _unpacked(kept)
    except (struct.error, UnicodeDecodeError):
        return None


def _unpacked(kept: bytes) -> Kept | None:
    form, day, count, *numbers, is_past_middle, is_learning = _HEAD.unpack_from(kept)
    if form != FORM:
        return None
    start, end, usual, credit, *others = numbers
    low, high, at_middle, past_error = (None if math.isnan(each) else each for each in others)
    at = _HEAD.size
    days: Sequence[float] = _numbers(count).unpack_from(kept, at)
    at += _numbers(count).size
    fees = _numbers(count).unpack_from(kept, at)
    at += _numbers(count).size
    day_before, at = _read_expected(kept, at)
    on_it, at = _read_expected(kept, at)
    methods: dict[str, Sequence[float]] = {}
    weights, errors = {}, {}
    for name in NAMES:
        weight, error = _METHOD.unpack_from(kept, at)
        at += _METHOD.size
        if not math.isnan(weight):
            weights[name] = weight
            errors[name] = None if math.isnan(error) else error
            methods[name] = _numbers(count).unpack_from(kept, at)
            at += _numbers(count).size
    return Kept(
        Outlook(
            day,
            Period(start, end),
            usual,
            days if methods else (),
            fees,
            credit,
            None if low is None or high is None else (low, high),
            day_before,
            on_it,
        ),
        Basis(methods, weights, errors),
        kept[at:],
        Middle(bool(is_past_middle), at_middle),
        past_error,
        bool(is_learning),
    )


def _numbers(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}d")


def _expected(day: ExpectedDay | None) -> bytes:
    if day is None:
        return _EXPECTED.pack(math.nan, math.nan, 0)
    parts = [_EXPECTED.pack(day.usd, day.upper, len(day.by_resource))]
    for name, usd in day.by_resource.items():
        text = name.encode()
        parts += [_LENGTH.pack(len(text)), text, _AMOUNT.pack(usd)]
    return b"".join(parts)


def _read_expected(kept: bytes, at: int) -> tuple[ExpectedDay | None, int]:
    usd, upper, count = _EXPECTED.unpack_from(kept, at)
    at += _EXPECTED.size
    by_resource: dict[str, float] = {}
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(kept, at)
        at += _LENGTH.size
        name = kept[at : at + length].decode()
        at += length
        (by_resource[name],) = _AMOUNT.unpack_from(kept, at)
        at += _AMOUNT.size
    return None if math.isnan(usd) else ExpectedDay(usd, upper, by_resource), at
