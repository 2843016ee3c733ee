"""Alerts about budgets and spend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exporter.rules.alert import (
    AS_AGE,
    DATE,
    DOLLARS,
    ORGANIZATION,
    USD,
    Alerts,
    Text,
    as_of,
    asked,
    dollars,
    usd,
    words,
)
from exporter.rules.expressions import END, by_organization, lately, named, picked
from exporter.rules.rule import Alert
from exporter.rules.rule_settings import seconds
from exporter.rules.series import SINCE, SPIKE, SUCCEEDED, last

BUDGET: Final = last("viam_billing_budget_usd")
SPENT: Final = last("viam_billing_usage_month_to_date_usd")
LOWER: Final = last("viam_billing_forecast_lower_usd")
ENDED: Final = f"({last(END)} > 0) <= time()"
TYPE_DAY: Final = "viam_billing_resource_spend_yesterday_usd"
TYPE_EXPECTED: Final = "viam_billing_resource_spend_expected_day_usd"
DAY_BEGAN: Final = "viam_billing_spend_yesterday_start_timestamp_seconds"
TYPES_TOLD: Final = 3
CENT: Final = 0.005
OF_TYPE: Final = words("$labels.resource_type")


def alerts(make: Alerts) -> Iterator[Alert]:
    """Yield the alerts. Those on budgets and spikes look at what is remembered."""
    yield from _budgets(make)
    yield _unwatched(make)
    yield _spike(make)
    yield _new_cost_type(make)


def _of_it(metric: str, *labels: str) -> str:
    """Return a metric of the alert's organization, of the exporter that is picked for it."""
    return picked(f"{metric}{{org_id=%[1]q}}", *labels)


def _exhausted() -> str:
    """Return a template that says when the budget is used up, where that is known.

    The day is never certain: what was spent between two answers may be spread over several.
    """
    when = _of_it("viam_billing_budget_exhausted_timestamp_seconds")
    passed = asked(f"{when} <= time()", f" It was used up around {DATE}.")
    return passed + asked(f"{when} > time()", f" At this pace, it will be used up around {DATE}.")


def _budgets(make: Alerts) -> Iterator[Alert]:
    """Yield those on budgets: of the levels, the highest that is reached fires alone."""
    levels = make.settings.thresholds.budget_used
    for level, above in reversed([*zip(levels, (*levels[1:], None), strict=True)]):
        share = f"{level * 100:g}%"
        over = "is over budget" if level == 1 else f"has used more than {share} of its budget"
        reached = f"{SPENT} > {level} * ({BUDGET} >= 0)"
        severity = {}
        if above is not None:
            reached += f" unless {SPENT} > {above} * ({BUDGET} >= 0)"
            severity["severity"] = "info"
        yield make.about_organization(
            "ViamBillingBudgetUsed",
            named(f"({reached}) unless ({ENDED})"),
            Text(
                f"{ORGANIZATION} {over}: {DOLLARS} of {dollars(BUDGET)}",
                f"More than {share} of the budget for this billing period is used.",
                f"{ORGANIZATION} has spent {DOLLARS} in this billing period. "
                f"The budget is {dollars(BUDGET)}.{_exhausted()}{as_of('usage')}",
            ),
            budget=share,
            **severity,
        )
    yield make.about_organization(
        "ViamBillingBudgetForecastExceeded",
        named(f"({LOWER} > ({BUDGET} >= 0)) unless ({ENDED})"),
        Text(
            f"{ORGANIZATION} is forecast to go over budget: at least {DOLLARS} of "
            f"{dollars(BUDGET)}",
            "Even the lower bound of the forecast is above the budget.",
            f"{ORGANIZATION} is forecast to have spent at least {DOLLARS} by the end of the "
            f"billing period. The budget is {dollars(BUDGET)}.{_exhausted()}{as_of('usage')}",
        ),
    )


def _unwatched(make: Alerts) -> Alert:
    limits, window = make.settings.thresholds, make.settings.windows.missed_scrapes
    interval = by_organization(lately("viam_billing_poll_interval_seconds", window))
    # Also where usage is not polled at all: then nothing is stale, and no budget is watched.
    read = f"""{by_organization(f'{SUCCEEDED}{{collector="usage"}}')} or {SINCE}"""
    allowed = (
        f"clamp_min({limits.stale_intervals} * {interval}, {seconds(limits.budget_unwatched)})"
    )
    age = f"{{{{ $value | {AS_AGE} }}}}"
    return make.about_organization(
        "ViamBillingBudgetUnwatched",
        named(f"time() - ({read}) > {allowed} and {BUDGET} >= 0"),
        Text(
            f"The budget of {ORGANIZATION}, {dollars(BUDGET)}, has not been checked for {age}",
            "An organization has a budget, but its usage is not being read.",
            f"{ORGANIZATION} has a budget of {dollars(BUDGET)}, but its usage has not been read "
            f"for {age}. Until it is, no alert fires when the budget is used up.",
        ),
    )


def _spike(make: Alerts) -> Alert:
    def spike(day: str, then: str) -> str:
        return asked(f'{SPIKE}{{day="{day}",org_id=%[1]q}} > 0', then)

    yesterday, expected = (
        _of_it(f"viam_billing_spend_{what}_usd") for what in ("yesterday", "expected_day")
    )
    more = f"{_of_it(TYPE_DAY, 'resource_type')} - {_of_it(TYPE_EXPECTED, 'resource_type')}"
    types = f"sort_desc(topk({TYPES_TOLD}, {more}) > {CENT})"
    limit = _of_it("viam_billing_spend_expected_today_upper_usd")
    # Gone from midnight to the first answer after it, and in an outage: then it is not today's.
    today = _of_it("viam_billing_spend_today_usd")
    return make.about_organization(
        "ViamBillingSpendSpike",
        named(f"{by_organization(SPIKE)} > 0"),
        Text(
            f"{ORGANIZATION} has spent far more than expected: {DOLLARS} in one day",
            "A day cost far more than expected.",
            f"{ORGANIZATION} has spent far more than expected."
            + spike(
                "yesterday",
                f" The last whole day on record{asked(_of_it(DAY_BEGAN), f', {DATE},')} cost {USD}"
                + asked(
                    f"{yesterday} - {expected}",
                    f", {USD} more than{asked(expected, f' the {USD} expected')}",
                )
                + "."
                + asked(
                    types,
                    " Largest overruns, before discounts:"
                    "{{ range $i, $type := . }}{{ if $i }},{{ end }} "
                    f"{words('$type.Labels.resource_type')} {usd('$type.Value')}{{{{ end }}}}.",
                ),
            )
            + spike(
                "today",
                f" {asked(today, 'Today', 'The last day that was read')} has cost {USD} so far"
                f"{asked(limit, f'; up to {USD} is normal')}.",
            )
            + as_of("usage"),
        ),
    )


def _new_cost_type(make: Alerts) -> Alert:
    """Return the alert. What had a number a day ago is not new, only rare, if 0 is expected."""
    spent = picked(TYPE_DAY, "resource_type")
    known = by_organization(f"{TYPE_DAY} offset {make.settings.windows.day}", "resource_type")
    return make.about_organization(
        "ViamBillingNewCostType",
        named(
            f"({spent} > {make.settings.thresholds.new_cost_type_usd}) "
            f"and ({picked(TYPE_EXPECTED, 'resource_type')} == 0) unless {known}"
        ),
        Text(
            f"{ORGANIZATION} has a new cost: {DOLLARS} for {OF_TYPE}",
            "An organization is paying for something that cost it nothing before.",
            f"{ORGANIZATION} spent {DOLLARS} on {OF_TYPE} on the last whole day (before "
            "discounts) and, as far as is known, nothing in the four weeks before.",
        ),
    )
