"""Days of the ledger as samples: which of them are past, and at which moment each is."""

from __future__ import annotations

import io
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exporter.model import FoundOrganization
from exporter.state import listing
from exporter.state.day_rows import NOTHING, UNKNOWN, Day, Entry, Moved
from exporter.tool import past_days
from exporter.tool.api_answers import DayLine
from exporter.tool.past_days import DAY, PastDays, write
from support.exporter_api import day

ACME = FoundOrganization("o1", 'Acme "Robotics"\n')
LABELS = (("instance", "localhost:8426"), ("job", "viam-billing"))
NAMES = "viam_billing_backfill_day_spend_usd", "viam_billing_backfill_day_corrections_usd"
FIRST = listing.number_of("2026-11-01")


def lines(*plain: dict[str, Any]) -> list[DayLine]:
    """Return days as they are read."""
    return [DayLine.model_validate(each) for each in plain]


def past(*plain: dict[str, Any]) -> PastDays:
    """Return what is past of these days."""
    return past_days.past_days(ACME, lines(*plain))


def text(found: PastDays, since: float = 0.0, end: float = 1e10) -> str:
    """Return what is written of them."""
    out = io.StringIO()
    write([found], LABELS, since, end, out.write)
    return out.getvalue()


def samples(page: str, name: str) -> dict[int, float]:
    """Return a metric's only series, by time."""
    found = re.findall(rf"^{name}{{.*}} (\S+) (\d+)$", page, re.MULTILINE)
    return {int(time): float(value) for value, time in found}


def test_a_day_is_a_sample_in_its_last_second() -> None:
    """So that each window that begins and ends at midnight has it once, in any Prometheus."""
    page = text(past(day("2026-11-01", 30.0), day("2026-11-02", 12.5, 5.0), day("2026-11-03", 1.0)))
    spend, corrections = (samples(page, name) for name in NAMES)
    assert spend == {(FIRST + 1) * DAY - 1: 30.0, (FIRST + 2) * DAY - 1: 12.5}
    assert corrections == {(FIRST + 1) * DAY - 1: 0.0, (FIRST + 2) * DAY - 1: 5.0}


def test_it_is_openmetrics() -> None:
    """A family at a stretch, with its unit, and the labels of a target."""
    page = text(past(day("2026-11-01", 1234567.0), day("2026-11-02", 0.0)))
    assert re.sub("# HELP .*", "# HELP", page) == (
        f"# HELP\n# TYPE {NAMES[0]} gauge\n# UNIT {NAMES[0]} usd\n"
        f'{NAMES[0]}{{instance="localhost:8426",job="viam-billing",org_id="o1",'
        'org_name="Acme \\"Robotics\\"\\n"} 1.234567e+06 1793577599\n'
        f"# HELP\n# TYPE {NAMES[1]} gauge\n# UNIT {NAMES[1]} usd\n"
        f'{NAMES[1]}{{instance="localhost:8426",job="viam-billing",org_id="o1",'
        'org_name="Acme \\"Robotics\\"\\n"} 0.0 1793577599\n'
    )


def test_a_day_that_is_not_over_is_left_out() -> None:
    """The one of the last good answer, though weeks may have passed since."""
    known = [day("2026-11-01", 30.0), day("2026-11-02", 12.0)]
    unknown = [day("2026-11-03", None), day("2026-11-04", None)]
    for found in (past(*known), past(*known, *unknown)):
        assert list(found.numbers) == [FIRST]


def test_an_unknown_day_is_left_out() -> None:
    """It is no day without spend. One with an answer on it ends the day before."""
    begun = day("2026-11-03", None) | {"unknown_seconds": 40_000.0}
    found = past(day("2026-11-01", None), day("2026-11-02", 12.0), begun)
    assert list(found.numbers) == [FIRST + 1]
    assert found.start == (FIRST + 1) * DAY
    assert past().start is None


def test_an_estimated_day_is_a_sample() -> None:
    """Else the bars after an outage would lack what was spent in it."""
    estimated = day("2026-11-01", 30.0) | {"estimated_usd": 30.0}
    assert list(past(estimated, day("2026-11-02", 1.0)).spends) == [30.0]


def test_since_and_until_are_of_the_sample() -> None:
    """A day that begins with `since` is in it, one that ends after the end is not."""
    found = past(*(day(f"2026-11-{number:02}", 1.0) for number in range(1, 9)))
    times = samples(text(found, (FIRST + 2) * DAY, (FIRST + 4) * DAY - 1), NAMES[0])
    assert list(times) == [(FIRST + 3) * DAY - 1, (FIRST + 4) * DAY - 1]


AMOUNTS = st.floats(0, 1e9)
DAYS = st.lists(
    st.one_of(
        st.just(UNKNOWN),
        st.just(NOTHING),
        st.builds(
            lambda spend, fallen, share, unknown: Day(
                unknown, (Entry(0.0, spend, fallen, spend * share, {"a": Moved(spend, fallen)}),)
            ),
            AMOUNTS,
            AMOUNTS,
            st.floats(0, 1),
            st.floats(0, 30_000),
        ),
    ),
    max_size=30,
)


@given(DAYS)
def test_what_is_written_is_what_the_ledger_has(days: list[Day]) -> None:
    """To the last digit, for each day that is over and not unknown."""
    rows = {FIRST + number: each for number, each in enumerate(days)}
    page = text(past(*listing.plain_days(rows)))
    answered = max((n for n, each in rows.items() if each.unknown < DAY), default=FIRST)
    over = {n: each for n, each in rows.items() if n < answered and not each.is_unknown}
    spend, corrections = (samples(page, name) for name in NAMES)
    assert spend == {(n + 1) * DAY - 1: each.spend for n, each in over.items()}
    assert corrections == {(n + 1) * DAY - 1: each.corrections for n, each in over.items()}
