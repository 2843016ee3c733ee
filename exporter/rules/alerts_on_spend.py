"""Alerts about budgets and spend."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.rules.alert import DOLLARS, ORGANIZATION, Alerts, dollars
from exporter.rules.expressions import END, by_organization, named
from exporter.rules.remembered import MONTH_END_LOWER
from exporter.rules.rule import Alert
from exporter.rules.series import LARGEST_DAY, MONTH_TO_DATE, NET_DAY, TYPE_COST, TYPE_DAY, last

BUDGET = last("viam_billing_budget_usd")
ENDED = f"({last(END)} > 0) <= time()"


def alerts(make: Alerts) -> Iterator[Alert]:
    """Yield the alerts."""
    limits, windows = make.settings.thresholds, make.settings.windows
    spent, lower = last("viam_billing_usage_month_to_date_usd"), last(MONTH_END_LOWER)
    allowed = f"{limits.budget_used} * ({BUDGET} >= 0)"
    yield make.about_organization(
        "ViamBillingBudgetExceeded",
        named(f"({spent} > {allowed}) unless ({ENDED})"),
        "More was spent in this billing period than the budget allows.",
        f"{ORGANIZATION} has spent {DOLLARS} in this billing period. "
        f"The budget is {dollars(BUDGET)}.",
    )
    yield make.about_organization(
        "ViamBillingBudgetForecastExceeded",
        named(f"({lower} > {allowed}) unless ({ENDED})"),
        "Even the lower bound of the forecast is above the budget.",
        f"{ORGANIZATION} will spend at least {DOLLARS} by the end of the billing period, "
        f"if it goes on like this. The budget is {dollars(BUDGET)}.",
    )
    today, before = by_organization(NET_DAY), by_organization(LARGEST_DAY)
    yield make.about_organization(
        "ViamBillingSpendSpike",
        named(
            f"({today} > {limits.spike_factor} * {before}) "
            f"and ({today} - {before} > {limits.spike_usd})"
        ),
        "The last day cost far more than any day of the two weeks before.",
        f"{ORGANIZATION} has spent {DOLLARS} in the last day. The most expensive day of the two "
        f"weeks before came to {dollars(LARGEST_DAY)}.",
    )
    # A reading every quarter of a day: what was on a bill stays on it until the period ends.
    history = f"[{windows.days(13)}:{windows.days(0.25)}] offset {windows.day}"
    seen = f"max_over_time(({by_organization(TYPE_COST, 'resource_type')}){history}) > 0"
    known = f"{MONTH_TO_DATE} offset {windows.days(14)}"
    new = f"{by_organization(TYPE_DAY, 'resource_type')} > {limits.new_cost_type_usd}"
    yield make.about_organization(
        "ViamBillingNewCostType",
        named(f"({new}) unless ({seen}) and on (org_id) ({known})"),
        "An organization pays for something that it did not pay for in the last 14 days.",
        f"{ORGANIZATION} has spent {DOLLARS} on {{{{ $labels.resource_type }}}} in the last day, "
        "and nothing in the two weeks before.",
    )
