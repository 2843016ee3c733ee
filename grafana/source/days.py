"""What the exporter's own ledger says was spent on whole UTC days, and how much of it is known.

A window with a day that is not known has no number. Sums say how many organizations they leave out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from grafana.source.charts import HUES, lines
from grafana.source.known import LESS, MISSING, ORGANIZATIONS, USAGE, tile
from grafana.source.money_panels import COUNTED_ON_THE_RIGHT, DASHED, fixed
from grafana.source.panels import COUNT, DATE, SHARE, USD, USD_AXIS, Beside, Panel, Query
from grafana.source.promql import metric, picked, picked_of

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


TWO_WEEKS: Final = 14  # days

_DAY_LINE: Final = "last whole day"
_MEAN: Final = "mean of 7 days"
_STYLES: Final[Sequence[tuple[str, Sequence[tuple[str, Any]]]]] = (
    (_DAY_LINE, [fixed("blue")]),
    (_MEAN, [fixed("orange")]),
)


ESTIMATES: Final = "orgs estimated"
DAYS_SEEN: Final = "days of it known"


def _from_day(days: int, counted: str) -> str:
    """Return the midnight after which that many days will be counted, if they are not yet."""
    return f"(time() - time() % 86400 + ({days * 86400} - {counted} > 0))"


def _after(days: int) -> str:
    """Return what a tile says of a good answer until so many days are known."""
    return f"After {days} whole days" if days > 1 else "After a whole day"


def missing(value: str) -> str:
    """Return how many organizations have no such value; nothing if all have."""
    return f"count({ORGANIZATIONS} unless on (org_id) {value})"


def _spent(  # noqa: PLR0913 - a tile is what it is called with
    title: str,
    description: str,
    name: str,
    *,
    days: int,
    one: bool,
    also: Sequence[Beside] = (),
) -> Panel:
    value, known = picked(name), picked(KNOWN)
    # What was spent before the first poll is spread evenly over the days before.
    few, seen = f"{known} / 86400 < {days}", f"({known} > 0 and on (org_id) {value})"
    spread = f"{few} and on (org_id) {value}" if one else f"count({few} and on (org_id) {value})"
    return tile(
        title,
        description,
        value,
        USAGE,
        total=None if one else f"sum({value})",
        none=_after(days),
        unit=USD,
        name="spent",
        seen=seen,
        also=[*also, Beside(DAYS_SEEN if one else ESTIMATES, spread)],
        coming=_from_day(days, picked_of(f"{metric(KNOWN)} + {metric(NOT_KNOWN)}")),
        width=4 if one else 8,
    )


def last_day(*, one: bool = False) -> Panel:
    """Return what the last whole day cost."""
    began = f"1000 * {picked(DAY_BEGAN)}"
    return _spent(
        "Last whole day",
        "What was spent on the last whole UTC day that a good poll followed, before corrections "
        "such as credits. Compare it with a seventh of the last 7 days.",
        DAY,
        days=1,
        one=one,
        also=[Beside("on", began, DATE)] if one else (),
    )


def last_week(*, one: bool = False) -> Panel:
    """Return what seven days have cost."""
    return _spent(
        "Last 7 days",
        "What was spent on the last seven whole UTC days, before corrections such as credits, even "
        "across the end of a period. Week against week compares it with the 7 days before.",
        WEEK,
        days=7,
        one=one,
    )


def week_change() -> str:
    """Return by how much the week differs from the one before, where so many days are known."""
    known = f"{picked(KNOWN)} >= {TWO_WEEKS} * 86400"
    return f"({picked(WEEK)} - {picked(WEEK_BEFORE)} and on (org_id) {known})"


def week_trend(*, one: bool = False) -> Panel:
    """Return by how much seven days differ from the seven before, in % and dollars."""
    before = picked(WEEK_BEFORE)
    both = week_change()
    change, base = (both, before) if one else (f"sum({both})", f"sum({before} and {both})")
    return trend(
        "Week against week",
        "The last seven whole UTC days against the seven before: the difference as a share, and in "
        "dollars. Growth is not bad in itself: was it intended? Only organizations of "
        "which 14 days are known are compared.",
        both,
        change,
        base,
        none=_after(TWO_WEEKS),
        coming=_from_day(TWO_WEEKS, picked(KNOWN)),
        one=one,
        width=8,
    )


def trend(  # noqa: PLR0913 - a tile is what it is called with
    title: str,
    description: str,
    value: str,
    change: str,
    base: str,
    *,
    none: str,
    coming: str,
    one: bool,
    width: int = 4,
) -> Panel:
    """Return a tile of a change in dollars, which may be below $0, and as a share of the base."""
    return tile(
        title,
        description,
        value,
        USAGE,
        total=None if one else change,
        none=none,
        coming=coming,
        unit=USD,
        name="more",
        below_zero=LESS,
        width=4 if one else width,
        also=[Beside("in %", f"{change} / ({base} > 0)", SHARE)],
    )


def pace_of_all() -> Panel:
    """Return the pace of all organizations that are chosen, each three hours."""
    week = picked(WEEK)
    return lines(
        "Pace",
        "What the last whole UTC day before each moment cost, and the mean of the last seven, "
        "before corrections. Days that stay above the mean are a new pace: the movers above show "
        "whose. Organizations without seven known days are in neither line: they are "
        "counted on the right.",
        Query(f"sum({picked(DAY)} and on (org_id) {week})", _DAY_LINE, "3h"),
        Query(f"sum({week}) / 7", _MEAN, "3h"),
        Query(missing(week), MISSING, "3h"),
        unit=USD_AXIS,
        from_zero=False,
        styles=[
            *_STYLES,
            (MISSING, COUNTED_ON_THE_RIGHT),
        ],
        width=24,
    )


def pace() -> Panel:
    """Return the pace of one organization."""
    return lines(
        "Pace",
        "What the last whole UTC day before each moment cost, before corrections, and what the "
        "exporter expected before it began, with the limit of a spike; also the means "
        "of the last seven days and of the last 28. Days that stay above the means are a new pace. "
        "A line has a gap where one of its days is not known.",
        Query(picked(DAY), _DAY_LINE),
        Query(f"{picked(WEEK)} / 7", _MEAN),
        Query(f"{picked(FOUR_WEEKS)} / 28", "mean of 28 days"),
        Query(picked(EXPECTED), "expected"),
        Query(picked(SPIKE), "limit of a spike"),
        unit=USD_AXIS,
        from_zero=False,
        styles=[
            *_STYLES,
            ("mean of 28 days", [fixed(HUES[3])]),
            ("expected", [fixed("purple"), DASHED]),
            ("limit of a spike", [fixed("text"), DASHED]),
        ],
    )


def tiles() -> Sequence[Panel]:
    """Return what the ledger says of one organization, and how much it knows."""
    known, not_known = (f"{picked(name)} / 86400" for name in (KNOWN, NOT_KNOWN))
    return (
        tile(
            "Today so far",
            "What was spent since 00:00 UTC, as last polled, before corrections. It lags as much "
            "as the bill, and starts again with the first good poll after midnight.",
            picked(TODAY),
            USAGE,
            none="After today's first poll",
            unit=USD,
        ),
        last_day(one=True),
        last_week(one=True),
        _spent(
            "Last 28 days",
            "What was spent on the last 28 whole UTC days, before corrections. A quarter of it is "
            "a usual week: each weekday counts equally.",
            FOUR_WEEKS,
            days=28,
            one=True,
        ),
        tile(
            "Days known",
            "Whole UTC days in the exporter's ledger for which at least half of the spend was seen "
            "as it grew. Should grow by one a day, up to 400 with storage and 62 without.",
            known,
            USAGE,
            none="None yet",
            unit=COUNT,
            decimals=0,
        ),
        tile(
            "Days not known",
            "Whole UTC days in the exporter's ledger that are estimated, because polls were "
            "missing, or unknown. A window with an unknown day has no number. Should not grow; if "
            "it does, look for gaps in the age of the data on the exporter dashboard.",
            not_known,
            USAGE,
            none="None yet",
            unit=COUNT,
            decimals=0,
        ),
    )
