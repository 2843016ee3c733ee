"""What the exporter's own ledger says was spent on whole UTC days, and how much of it is known.

A window with a day that is not known has no number. Sums say how many organizations they leave out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from grafana.source.money_panels import (
    COUNTED_ON_THE_RIGHT,
    DASHED,
    NOTHING_POLLED,
    THIN,
    fixed,
)
from grafana.source.panels import COUNT, DATE, USD, USD_AXIS, Beside, Panel, Query, lines, stat
from grafana.source.promql import picked, without

TODAY: Final = "viam_billing_spend_today_usd"
DAY: Final = "viam_billing_spend_yesterday_usd"
DAY_BEGAN: Final = "viam_billing_spend_yesterday_start_timestamp_seconds"
WEEK: Final = "viam_billing_spend_7d_usd"
WEEK_BEFORE: Final = "viam_billing_spend_previous_7d_usd"
FOUR_WEEKS: Final = "viam_billing_spend_28d_usd"
KNOWN: Final = "viam_billing_ledger_known_seconds"
NOT_KNOWN: Final = "viam_billing_ledger_estimated_seconds"
EXPECTED: Final = "viam_billing_spend_expected_day_usd"
SPIKE: Final = "viam_billing_spend_expected_day_upper_usd"
TYPE_DAY: Final = "viam_billing_resource_spend_yesterday_usd"
TYPE_EXPECTED: Final = "viam_billing_resource_spend_expected_day_usd"

TOO_FEW: Final = "Too few days known"
LEFT_OUT: Final = "organizations not known"

_DAY_LINE: Final = "last whole day"
_MEAN: Final = "mean day of 7"
_STYLES: Final[Sequence[tuple[str, Sequence[tuple[str, Any]]]]] = (
    (_DAY_LINE, [fixed("blue"), THIN]),
    (_MEAN, [fixed("orange")]),
)


def _sum(title: str, description: str, window: str) -> Panel:
    """Return a tile of the organizations that are chosen together, and how many are left out."""
    return stat(
        title,
        f"{description} Organizations of which too little is known are not in it: how many they "
        "are stands beside it.",
        f"sum({picked(window)})",
        unit=USD,
        empty=TOO_FEW,
        beside=Beside("spent", LEFT_OUT, without(window), COUNT, "orange"),
    )


def last_day_of_all() -> Panel:
    """Return what the last whole day cost, of all organizations that are chosen."""
    return _sum(
        "Last whole day",
        "What was spent on the last whole UTC day that a good poll came after, before corrections "
        "such as credits. Compare it with a seventh of the last 7 days.",
        DAY,
    )


def last_week_of_all() -> Panel:
    """Return what seven days have cost, of all organizations that are chosen."""
    return _sum(
        "Last 7 days",
        "What was spent on the last seven whole UTC days, before corrections such as credits, also "
        "across the end of a period.",
        WEEK,
    )


def last_week() -> Panel:
    """Return what seven days have cost one organization."""
    return stat(
        "Last 7 days",
        "What was spent on the last seven whole UTC days, before corrections such as credits, also "
        "across the end of a period. Compare it with the 7 days before, in the row of spend.",
        picked(WEEK),
        unit=USD,
        empty=TOO_FEW,
    )


def pace_of_all() -> Panel:
    """Return the pace of all organizations that are chosen, each six hours: days change no more."""
    week = picked(WEEK)
    return lines(
        "Pace",
        "What the last whole UTC day before each moment cost, and the mean of the last seven, "
        "before corrections. A day above the mean for long is a new pace: the movers beside it say "
        "whose. Organizations of which seven days are not known are in neither line: they are "
        "counted on the right.",
        Query(f"sum({picked(DAY)} and on (org_id) {week})", _DAY_LINE, "6h"),
        Query(f"sum({week}) / 7", _MEAN, "6h"),
        Query(without(WEEK), LEFT_OUT, "6h"),
        unit=USD_AXIS,
        empty=TOO_FEW,
        from_zero=False,
        styles=[
            *_STYLES,
            (LEFT_OUT, COUNTED_ON_THE_RIGHT),
        ],
    )


def pace() -> Panel:
    """Return the pace of one organization."""
    return lines(
        "Pace",
        "What the last whole UTC day before each moment cost, before corrections, and what the "
        "exporter expected of it before it began, with the limit of a spike; beside them the mean "
        "of the last seven days and of the last 28. A day above the means for long is a new pace. "
        "A line is missing where a day of it is not known.",
        Query(picked(DAY), _DAY_LINE),
        Query(f"{picked(WEEK)} / 7", _MEAN),
        Query(f"{picked(FOUR_WEEKS)} / 28", "mean day of 28"),
        Query(picked(EXPECTED), "expected"),
        Query(picked(SPIKE), "spike"),
        unit=USD_AXIS,
        empty=TOO_FEW,
        from_zero=False,
        styles=[
            *_STYLES,
            ("mean day of 28", [fixed("text")]),
            ("expected", [fixed("purple"), DASHED]),
            ("spike", [fixed("red"), THIN]),
        ],
    )


def tiles() -> Sequence[Panel]:
    """Return what the ledger says of one organization, and how much it knows."""
    return (
        stat(
            "Today so far",
            "What was spent since 00:00 UTC, as last polled, before corrections. It lags as the "
            "bill does, and begins again with the first good poll after midnight.",
            picked(TODAY),
            unit=USD,
            empty="No good poll today yet",
        ),
        stat(
            "Last whole day",
            "What was spent on the last whole UTC day that a good poll came after, before "
            "corrections, and which day that is. Compare it with the bars below.",
            picked(DAY),
            unit=USD,
            empty="That day is not known",
            beside=Beside("spent", "on", f"1000 * {picked(DAY_BEGAN)}", DATE),
        ),
        stat(
            "7 days before",
            "What was spent on the seven whole UTC days before the last 7 days, before "
            "corrections. Compare it with those.",
            picked(WEEK_BEFORE),
            unit=USD,
            empty=TOO_FEW,
        ),
        stat(
            "Last 28 days",
            "What was spent on the last 28 whole UTC days, before corrections. A quarter of it is "
            "a usual week, with each weekday in it as often as the others.",
            picked(FOUR_WEEKS),
            unit=USD,
            empty=TOO_FEW,
        ),
        stat(
            "Days known",
            "Whole UTC days in the exporter's ledger of which at least half of the spend was seen "
            "as it grew. Should grow by one each day, up to 400 with storage and 62 without.",
            f"{picked(KNOWN)} / 86400",
            unit=COUNT,
            decimals=0,
            empty=NOTHING_POLLED,
        ),
        stat(
            "Days not known",
            "Whole UTC days in the exporter's ledger that are estimated, because polls were "
            "missing, or unknown. A window with an unknown day has no number. Should not grow; if "
            "it does, look for gaps in the age of the data on the dashboard of the exporter.",
            f"{picked(NOT_KNOWN)} / 86400",
            unit=COUNT,
            decimals=0,
            empty=NOTHING_POLLED,
        ),
    )
