"""What may still be shown, and why not."""

from __future__ import annotations

from exporter.metrics.report import OrganizationReport, report_on
from exporter.model import (
    Answer,
    Cause,
    CollectorState,
    Failure,
    Moment,
    OrganizationState,
    Reading,
)
from support.reader import organization

DAY = 86_400.0
OUTAGE = Failure(Cause.OUTAGE, "UNAVAILABLE", "down")

READING = Reading(b"", 1_000_000.0, None, b"", {}, {}, None, "", {})
ANSWER = Answer(
    digest=b"",
    message=b"",
    reading=READING,
    received=1_000_000.0,
    received_monotonic=50.0,
    changed=1_000_000.0,
)
OK = CollectorState(answer=ANSWER, polled=True, attempted=1_000_000.0, duration=0.1)


def state(**collectors: CollectorState) -> OrganizationState:
    """Return an organization whose data may be 240 s old."""
    return OrganizationState(organization(max_age=240.0), collectors)


def at(known: OrganizationState, monotonic: float) -> OrganizationReport:
    """Return what is known at a moment of the clock that does not jump."""
    return report_on(known, Moment(1_000_000.0, monotonic))


def test_an_answer_that_comes_again_is_the_same_at_another_moment() -> None:
    """Nothing else of it changes."""
    now = Moment(1_000_900.0, 950.0)
    again = ANSWER._replace(digest=b"x", received=now.time, received_monotonic=now.monotonic)
    assert ANSWER.again(now, b"x") == again
    assert type(ANSWER.again(now, b"x")) is Answer


def test_data_is_withdrawn_at_max_age_and_not_before() -> None:
    """Age is counted for each collector, on the clock that does not jump."""
    fresh = OK._replace(answer=ANSWER._replace(received_monotonic=100.0))
    both = state(usage=OK, invoices=fresh)
    assert set(at(both, 289.9).current) == {"usage", "invoices"}
    assert set(at(both, 290.0).current) == {"invoices"}
    assert set(at(both, 340.0).current) == set()


def test_a_report_says_when_the_next_data_is_withdrawn() -> None:
    """So that the page changes then, without anybody looking every second."""
    fresh = OK._replace(answer=ANSWER._replace(received_monotonic=100.0))
    both = state(usage=OK, invoices=fresh)
    assert at(both, 100.0).next_withdrawal == 290.0
    assert at(both, 300.0).next_withdrawal == 340.0
    assert at(both, 400.0).next_withdrawal is None


def test_a_period_that_ended_is_withdrawn_a_day_later_if_polls_fail() -> None:
    """Data of a period that has ended is not the new period's; a fresh answer always is current."""
    slow = organization(max_age=30 * DAY)
    answer = ANSWER._replace(reading=READING._replace(period_end=ANSWER.received + 10.0))
    failing = OrganizationState(slow, {"usage": OK._replace(answer=answer, failure=OUTAGE)})
    assert at(failing, 50.0 + 10.0 + DAY - 1).current
    assert not at(failing, 50.0 + 10.0 + DAY).current
    succeeding = OrganizationState(slow, {"usage": OK._replace(answer=answer)})
    assert at(succeeding, 50.0 + 10.0 + 5 * DAY).current


def test_up_is_absent_until_every_collector_was_polled() -> None:
    """No poll yet is neither up nor down."""
    unpolled = CollectorState()
    failed = OK._replace(failure=OUTAGE)
    assert at(state(a=OK, b=unpolled), 60.0).up is None
    assert at(state(a=OK, b=OK), 60.0).up is True
    assert at(state(a=OK, b=failed), 60.0).up is False
