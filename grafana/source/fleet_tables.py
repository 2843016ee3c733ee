"""Tables of the fleet: what its month is made of, who moves, and a row for each organization."""

from __future__ import annotations

from typing import Final

from exporter.rules.series import OUT_OF_DATE, SEEN, TYPE_COST
from grafana.source import days
from grafana.source.attention import TEXTS, USED, worst
from grafana.source.board import ORGANIZATION, THIS_ORGANIZATION, to
from grafana.source.freshness import DATA_AGE
from grafana.source.known import (
    BUDGETED,
    INVOICES,
    USAGE,
    amount,
    cell,
    month_to_date,
    overdue_usd,
    parts,
)
from grafana.source.money_panels import FORECAST, UNPAID
from grafana.source.panels import (
    NONE_IS_GOOD,
    OF_BUDGET,
    PLAIN_NUMBER,
    SECONDS,
    SHARE,
    SHORT_MOMENT,
    USD,
    Panel,
    Steps,
)
from grafana.source.promql import most, named, picked, recorded, told_apart
from grafana.source.tables import GAUGE, Column, table

MOVERS: Final = 12
OVER_ALL: Final[Steps] = ((None, "text"), (1, "orange"))  # of a forecast: below, all is well
OLD: Final[Steps] = ((None, "text"), (0, "orange"))

_ORGANIZATION = Column("Organization", label="org_name", url=to(ORGANIZATION, THIS_ORGANIZATION))


def made_of() -> Panel:
    """Return the table of what the month is made of."""
    cost = most("org_id, resource_type", recorded(TYPE_COST))
    total = f"sum by (resource_type) ({cost})"
    return table(
        "Cost by resource type, before discounts",
        "What the current period has cost so far, by resource type, for all organizations that are "
        "chosen. The organization dashboard shows the same for one, with what "
        "was expected.",
        Column("Resource type", label="resource_type"),
        Column("This period", parts(total, USAGE, "resource_type"), unit=USD),
        Column("Share", f"{total} / on () group_left () sum({cost})", unit=SHARE, cell=GAUGE),
        Column("Organizations", f"count by (resource_type) ({cost} > 0)", width=110),
        key="resource_type",
        sort="This period",
        width=12,
        height=8,
    )


def movers() -> Panel:
    """Return the table of those whose spend changed most."""
    week, before = picked(days.WEEK), picked(days.WEEK_BEFORE)
    change = days.week_change()
    moved = f"and on (org_id) topk({MOVERS}, abs({change}))"
    name = f"({told_apart(named(SEEN))} > bool 0)"
    weeks = f"{week} * on (org_id) group_left (org_name) {name} {moved}"
    # A reason is in a label of its own: a name leads to the organization.
    why = parts(f"({weeks})", USAGE, "reason", "not known yet", later=True)
    return table(
        "Movers of the week",
        "Spend of the last seven whole UTC days beside that of the seven before, before "
        "corrections, where it changed most. Growth is not bad in itself: was it intended? "
        "Organizations of which fewer than 14 days are known are left out. Click a name for the "
        "organization.",
        Column("State", label="reason", reasons=True),
        _ORGANIZATION,
        # Rows are joined by the id, which a row that says why there are none has not.
        Column(
            "Last 7 days",
            f'label_replace({why}, "org_id", "-", "org_id", "")',
            unit=USD,
            texts={"Infinity": ("after 14 days", "text")},
        ),
        Column("7 days before", f"{before} {moved}", unit=USD, width=115),
        Column("Change in $", f"{change} {moved}", unit=PLAIN_NUMBER, decimals=2, width=115),
        Column("Change in %", f"{change} / ({before} > 0) {moved}", unit=SHARE, width=105),
        key="org_id",
        sort="Change in $",
        width=12,
        height=8,
    )


def organizations() -> Panel:
    """Return the table of all organizations, those with problems first."""
    week = f"({picked(days.WEEK)} and on (org_id) {picked(days.KNOWN)} > 0)"
    old = recorded(OUT_OF_DATE, 'collector=~"usage|invoices"')
    share = f"{picked(FORECAST)} / on (org_id) ({BUDGETED} > 0)"
    return table(
        "Organizations",
        "Every configured organization, those with problems first. Amounts that cannot be read "
        "now are the last known ones: as of says when they were read. The last 7 days are whole "
        "UTC days, before corrections. A dash means none, such as no budget. "
        "Click a name for the organization.",
        _ORGANIZATION,
        Column("_known", told_apart(named(SEEN)), shown=False),
        Column("Problem", worst(), texts={"0": ("none", "text"), **TEXTS}, width=165),
        Column("Month so far", cell(month_to_date(), USAGE), unit=USD),
        Column(
            "Forecast",
            cell(picked(FORECAST), USAGE, later=True),
            unit=USD,
            texts={"Infinity": ("bill has no dates", "text")},
        ),
        Column("Budget", BUDGETED, unit=USD, width=105),
        Column("Budget used", USED, unit=SHARE, colours=OF_BUDGET, cell=GAUGE, width=150),
        Column("Forecast / budget", share, unit=SHARE, colours=OVER_ALL, width=135),
        Column(
            "Last 7 days",
            cell(week, USAGE, later=True),
            unit=USD,
            texts={"Infinity": ("not known yet", "text")},
        ),
        Column("Owed", cell(amount(UNPAID), INVOICES), unit=USD),
        Column("Overdue", cell(overdue_usd(), INVOICES), unit=USD, colours=NONE_IS_GOOD),
        Column(
            "As of", f"1000 * min by (org_id) ({old})", unit=SHORT_MOMENT, colours=OLD, width=115
        ),
        Column("Data age", DATA_AGE, unit=SECONDS, width=95),
        key="org_id",
        sort="Problem",
        then="Overdue",
        height=11,
    )
