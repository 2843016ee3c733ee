"""Every query of every dashboard, asked of a real Prometheus that has seen a quarter."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import fsum
from pathlib import Path
from typing import Any, Final

import pytest

from grafana.source.days import DAYS_SEEN, ESTIMATES
from grafana.source.known import (
    AS_OF,
    COMING,
    CREDIT,
    ESTIMATED,
    LESS,
    MISSING,
    OUT_OF_DATE,
    STATE,
)
from support.dashboards import EXCEPTIONS, Target, dashboards, expand, of_variable, targets
from support.quarter import database
from support.quarter.database import Server
from support.quarter.scrapes import JOB
from support.quarter.story import (
    ACCOUNTS,
    CREDITED,
    END,
    LIVES,
    OUTAGE,
    OUTAGE_ENDS,
    START,
    month_to_date,
)
from support.quarter.world import DAY, HOUR

TARGETS: Final = list(targets())
# What a tile says only when something is amiss: tests/rules/test_states_shown.py sees it.
AMISS: Final = {
    *(STATE, MISSING, OUT_OF_DATE, AS_OF, CREDIT, LESS),
    *(COMING, DAYS_SEEN, ESTIMATED, ESTIMATES),
}
ALWAYS: Final = [t for t in TARGETS if t.query["legendFormat"] not in AMISS]
EMPTY: Final = EXCEPTIONS["empty_queries"]
WIDTH: Final = 1000  # points that a panel has room for
SCRAPE_INTERVAL: Final = 60  # seconds, as the data source is told
# Grafana rounds steps to these, each from halfway to the next on: seconds.
STEPS: Final = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
UNITS: Final = {"m": 60, "h": 3600, "d": 86_400}

pytestmark = pytest.mark.timeout(600)  # the first waits for the quarter to be made

Choices = Mapping[str, str | Sequence[str]]


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database of the quarter, made once, by the installed Prometheus."""
    folder = tmp_path_factory.mktemp("quarter")
    database.make(folder / "made", database.scraped(folder))
    return folder / "made"


@pytest.fixture(scope="module")
def server(
    recorded: Path, stack: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Serve a copy of it, as after an upgrade if this Prometheus is a newer one."""
    folder = shutil.copytree(recorded, tmp_path_factory.mktemp("quarter") / stack)
    with database.serving(folder) as running:
        yield running


@pytest.fixture(scope="module")
def values(server: Server) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Return what can be chosen for each variable of each dashboard, by asking as Grafana does."""
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    everything = dict.fromkeys(("job", "organization"), ".+")
    for dashboard in dashboards():
        for variable in dashboard["templating"]["list"][1:]:
            name = variable["name"]
            label = "org_id" if name == "organization" else variable["definition"].split()[-1][:-1]
            series = server.instant(expand(of_variable(variable), everything))
            found[dashboard["uid"]][name] = sorted({each["metric"][label] for each in series})
    return found


def _seconds(duration: str) -> int:
    return int(duration[:-1]) * UNITS[duration[-1]]


def _step(target: Target, seconds: float) -> int:
    """Return the step that Grafana asks for: a round one, and never below the panel's."""
    least = target.query.get("interval") or target.panel.get("interval") or "1m"
    rounded = min(STEPS, key=lambda step: abs(step - seconds / WIDTH))
    return max(rounded, _seconds(least))


def ask(server: Server, target: Target, choices: Choices) -> Sequence[Any]:
    """Return the series of a query, asked as Grafana asks, at the end of the quarter."""
    dashboard = next(each for each in dashboards() if each["uid"] == target.uid)
    seconds = _seconds(dashboard["time"]["from"].removeprefix("now-"))
    step = _step(target, seconds)
    built_in = {
        "__interval": f"{step}s",
        "__range": f"{seconds}s",
        "__range_s": f"{seconds}",
        "__rate_interval": f"{max(step + SCRAPE_INTERVAL, 4 * SCRAPE_INTERVAL)}s",
    }
    expr = expand(target.expr, {**choices, **built_in})
    if target.query["instant"]:
        return server.instant(expr)
    return server.range(expr, END - seconds, END, step)


def numbers(series: Mapping[str, Any]) -> Sequence[float]:
    """Return the moments and values of a series, one after the other."""
    samples = series["values"] if "values" in series else [series["value"]]
    return [float(number) for sample in samples for number in sample]


def all_choices(uid: str) -> Iterator[Choices]:
    """Yield what is to be tried on a dashboard: All; of one organization, each there is."""
    everything = dict.fromkeys(("job", "resource_type", "source_type", "invoice"), ".+")
    if uid == "viam-billing-organization":
        for account in ACCOUNTS:
            yield {**everything, "organization": [account.id]}
    else:
        yield {**everything, "organization": ".+"}


def test_the_quarter_is_an_eventful_one(server: Server) -> None:
    """Else what is shown of it would prove little: every event is in the data."""
    quarter = f"{(END - START) / DAY:.0f}d"
    events = {
        f"min_over_time(up[{quarter}])": 0.0,  # restarts
        f"max(resets(viam_billing_usage_spend_usd_total[{quarter}]))": 0.0,  # that forget nothing
        f"min(changes(viam_billing_usage_period_start_timestamp_seconds[{quarter}]))": 3.0,
        "count(viam_billing_usage_corrections_usd_total > 100)": 1.0,  # credits
        "count(viam_billing_invoices_overdue > 0)": 1.0,
        "count(viam_billing_up == 0)": 1.0,
        'count(viam_billing_usage_cost_usd{resource_type=~"unknown_.*"})': 1.0,
    }
    for expr, value in events.items():
        found = {float(series["value"][1]) for series in server.instant(expr)}
        assert found == {value}, expr
    late = OUTAGE_ENDS - HOUR / 6
    assert len(server.instant("viam_billing_org_info", late)) == len(ACCOUNTS)
    assert server.instant("viam_billing_usage_month_to_date_usd", late) == [], "not withdrawn"


@pytest.mark.parametrize("target", ALWAYS, ids=lambda target: target.name)
def test_a_query_has_data(server: Server, target: Target) -> None:
    """With everything chosen, or with one of the organizations; but for those that are listed.

    A query that is listed has none: the list is no longer than it must be.
    """
    found = any(ask(server, target, choices) for choices in all_choices(target.uid))
    assert found == (target.name not in EMPTY)


def test_queries_that_are_listed_as_empty_exist() -> None:
    """Else the list would hide what comes in their place."""
    assert EMPTY.keys() <= {target.name for target in TARGETS}


def test_variables_have_values(values: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
    """Each offers what there is: the job, all organizations by id, and what they have."""
    for choices in values.values():
        assert choices["job"] == [JOB]
        assert choices["organization"] == sorted(account.id for account in ACCOUNTS)
        assert all(choices.values())


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_choosing_each_value_is_choosing_all(
    server: Server, values: Mapping[str, Mapping[str, Sequence[str]]], target: Target
) -> None:
    """Values that are chosen one by one, as a pattern with each of them escaped, find the same."""
    for everything in all_choices(target.uid):
        each = {**values[target.uid]}
        if isinstance(everything["organization"], list):
            each["organization"] = everything["organization"]
        found, expected = (ask(server, target, choices) for choices in (each, everything))
        assert [s["metric"] for s in found] == [s["metric"] for s in expected]
        for one, other in zip(found, expected, strict=True):
            # Prometheus adds up in the order in which it finds series: the last digit may differ.
            assert numbers(one) == pytest.approx(numbers(other), rel=1e-9, nan_ok=True)


def midnight(month: int, day: int = 1) -> float:
    """Return when a day of 2026 begins, in Unix seconds."""
    return datetime(2026, month, day, tzinfo=UTC).timestamp()


def spent_on_days(
    server: Server, account: Any, first: float, last: float, panel: str = "Spend per day"
) -> Sequence[float]:
    """Return what the bars of a panel show of the days between two midnights."""
    days = dict.fromkeys(range(round((last - first) / DAY)), 0.0)
    choices = {
        **dict.fromkeys(("job", "resource_type", "source_type"), ".+"),
        "organization": [account.id],
        "__range": f"{last - first:.0f}s",
        "__range_s": f"{last - first:.0f}",
    }
    for target in TARGETS:
        if (target.uid, target.panel["title"]) == ("viam-billing-organization", panel):
            for series in server.range(expand(target.expr, choices), first, last, DAY):
                for moment, value in series["values"]:
                    days[round((moment - first) / DAY)] += float(value)
    return list(days.values())


@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: account.name)
def test_days_add_up_to_what_was_spent(server: Server, account: Any) -> None:
    """Thirty days of spend per day, over a period's end and credits: within half a percent.

    What the end of a period hides is what is spent between its last poll and it: three hours.
    """
    first, last = midnight(10, 21), midnight(11, 21)
    spent = fsum(spent_on_days(server, account, first, last))
    truth = month_to_date(account, midnight(11) - 1) - month_to_date(account, first)
    truth += month_to_date(account, last)
    assert spent == pytest.approx(truth, rel=0.005, abs=0.005)


@pytest.mark.parametrize("month", [9, 10])
@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: account.name)
def test_the_days_of_a_month_are_its_bill(server: Server, account: Any, month: int) -> None:
    """From end to end, a restart in September and an outage in October: within half a percent."""
    last = midnight(month + 1)
    bill = month_to_date(account, last - 1)
    days = spent_on_days(server, account, midnight(month), last)
    assert fsum(days) == pytest.approx(bill, rel=0.005, abs=0.005)
    by_source = spent_on_days(
        server, account, midnight(month), last, "Spend per day by source and tier"
    )
    assert fsum(by_source) == pytest.approx(bill, rel=0.005, abs=0.005)


@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: account.name)
def test_a_day_is_what_its_polls_saw(server: Server, account: Any) -> None:
    """Every day of the quarter lies between what the polls before and at its ends could see.

    But for days with an outage at an end: what was spent in it is on the day after.
    """
    first, last = midnight(9, 2), midnight(11, 22)
    late = LIVES[0].interval + HOUR  # a poll, and the retries of one that failed
    for number, spent in enumerate(spent_on_days(server, account, first, last)):
        start, end = first + number * DAY, first + (number + 1) * DAY
        if any(edge - late < OUTAGE_ENDS and edge > OUTAGE for edge in (start, end)):
            continue
        seen = [
            spent_until(account, at_end) - spent_until(account, at_start)
            for at_end in (end - late, end)
            for at_start in (start - late, start)
        ]
        assert min(seen) - 0.01 <= spent <= max(seen) + 0.01, datetime.fromtimestamp(start, UTC)


def spent_until(account: Any, moment: float) -> float:
    """Return what the ledger says was spent from August on."""
    starts = [midnight(month) for month in (9, 10, 11)]
    ended = fsum(month_to_date(account, start - 1) for start in starts if start <= moment)
    return ended + month_to_date(account, moment)


def test_the_last_period_is_as_old_as_this_one(server: Server) -> None:
    """On the 10th stands the 10th of the month before, whether it had 30 days or 31."""
    (target,) = (
        t
        for t in TARGETS
        if t.panel["title"] == "Month to date against the last period" and t.query["refId"] == "B"
    )
    for month, before in ((10, 9), (11, 10)):
        now, then = (datetime(2026, m, 10, 12, tzinfo=UTC).timestamp() for m in (month, before))
        expr = expand(target.expr, {"job": JOB, "organization": [CREDITED.id], "__range_s": "0"})
        (series,) = server.instant(expr, now)
        # Between the polls before and after.
        low, high = (month_to_date(CREDITED, then - hours * HOUR) for hours in (6, 0))
        assert low <= float(series["value"][1]) <= high
    (day_31,) = [datetime(2026, 10, 31, 12, tzinfo=UTC).timestamp()]
    assert server.instant(expr, day_31) == [], "September had none"
