"""What the pages say while polls fail: how much, since when, and why, each reason once."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.model import Cause, Failure, OrganizationState
from exporter.web.status.failing import MAX_REASONS
from support.reader import organization
from support.status import CONTEXT, invoices, page, state, status, usage
from support.virtual import START

DAY = 86_400
UNREACHABLE = "the server cannot be reached: it does not answer"
OUTAGE = Failure(Cause.OUTAGE, "UNAVAILABLE", UNREACHABLE)
REFUSED = Failure(Cause.CREDENTIALS, "UNAUTHENTICATED", "Authenticate: the API key was refused")


def failing(
    name: str,
    failure: Failure | None = OUTAGE,
    since: float = START - 3600,
    only: Mapping[str, Failure] | None = None,
) -> OrganizationState:
    """Return an organization with polls that failed since then: all, or those of some collectors.

    It is polled every minute.
    """
    who = organization(name, name=name, max_age=1e6)
    if not only:
        return state(who, usage(1.0), polled=True, failure=failure, failing_since=since)
    known = state(who, usage(1.0), invoices(), polled=True)
    collectors = {
        collector: each._replace(failure=only[collector], failing_since=since)
        if collector in only
        else each
        for collector, each in known.collectors.items()
    }
    return known._replace(collectors=collectors)


def said(*states: OrganizationState) -> str:
    """Return the status page's text in one line."""
    return " ".join(status(*states).text.split())


def test_an_outage_is_the_headline_and_its_reason_is_there_once() -> None:
    """However many organizations and collectors fail of it."""
    calls = {
        "usage": Failure(Cause.OUTAGE, "UNAVAILABLE", f"GetCurrentMonthUsage: {UNREACHABLE}"),
        "billing_information": OUTAGE,
        "invoices": Failure(Cause.OUTAGE, "UNAVAILABLE", f"GetInvoicesSummary: {UNREACHABLE}"),
    }
    text = said(failing("a", only=calls), failing("b"), failing("c", since=START - 3570))
    assert "3 of 3 organizations cannot be read, since 11:00 UTC" in text
    assert text.count(UNREACHABLE) == 1
    assert f"outage: {UNREACHABLE} (3 organizations, since 11:00 UTC)" in text
    assert text.count("cannot be read: outage") == 3
    assert "stay as they were at the last successful poll" in text


def test_without_a_failure_nothing_is_said_of_one() -> None:
    """Nor while first polls are awaited."""
    good = state(organization("a", name="a", max_age=1e6), usage(1.0), polled=True)
    for known in (good, state()):
        text = said(known)
        assert "cannot be read" not in text
        assert "stay as they were at the last" not in text


def test_what_can_be_read_in_part_is_not_called_unreadable() -> None:
    """Neither alone nor beside others."""
    part = failing("a", only={"invoices": OUTAGE})
    good = failing("b", None)
    assert "1 of 2 organizations can be read only in part, since 11:00 UTC" in said(part, good)
    assert status(part).row("a")[-1] == "invoices cannot be read: outage"
    both = said(part, failing("c"), good)
    assert "1 of 3 organizations cannot be read, since 11:00 UTC; 1 more can be read only" in both


def test_failures_that_began_at_different_times_do_not_share_one() -> None:
    """The date is named once it is not today's."""
    text = said(failing("a", since=START - 3 * DAY), failing("b"))
    assert "2 of 2 organizations cannot be read, the first since 2026-11-20 12:00 UTC" in text


def test_an_organization_cannot_be_read_since_the_last_of_its_collectors_fails() -> None:
    """Before that something of it was read."""
    known = failing("a")
    earlier = known.collectors["invoices"]._replace(failing_since=START - 3 * DAY)
    known = known._replace(collectors={**known.collectors, "invoices": earlier})
    text = said(known)
    assert "1 of 1 organization cannot be read, since 11:00 UTC" in text
    assert "(1 organization, the first since 2026-11-20 12:00 UTC)" in text


def test_reasons_are_in_order_and_end() -> None:
    """Those of the most organizations first."""
    text = said(failing("a", REFUSED), failing("b"), failing("c"))
    assert text.index("outage: the server") < text.index("credentials: Authenticate: the API key")
    many = [
        failing(f"o{n}", Failure(Cause.OTHER, "CODE", f"reason {n:02}"))
        for n in range(MAX_REASONS + 3)
    ]
    text = said(*many)
    assert text.count("other: reason ") == MAX_REASONS
    assert "3 more reasons" in text


def test_the_page_of_an_organization_says_each_reason_once() -> None:
    """And of which collectors, unless it is all of them."""
    text = " ".join(page(failing("a")).text.split("Polls\n")[0].split())
    assert text.count(UNREACHABLE) == 1
    assert f"outage: {UNREACHABLE} (since 11:00 UTC)" in text
    part = " ".join(page(failing("a", only={"invoices": OUTAGE})).text.split("Polls\n")[0].split())
    assert f"outage (invoices): {UNREACHABLE} (since 11:00 UTC)" in part


def test_the_last_successful_poll_is_named() -> None:
    """That of the whole organization."""
    who = organization("a", name="Acme", max_age=1e6)
    whole = state(who, usage(1.0), polled=True)
    whole = whole._replace(collectors={"usage": whole.collectors["usage"]})
    later = CONTEXT._replace(time=START + 180)
    assert "The last successful poll of Acme was 3 min ago." in page(whole, later).text
    some = page(state(who, usage(1.0)))
    assert "Not every collector of Acme has had a successful poll yet." in some.text
    assert "No poll of Acme has succeeded yet." in page(state(who)).text
