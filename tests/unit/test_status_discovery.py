"""What the status page says of discovery."""

from __future__ import annotations

from dataclasses import replace

from exporter.model import Cause, Failure
from exporter.polling.key_records import DiscoveryStatus
from support.status import FACTS, status
from support.virtual import START

REFUSED = Failure(Cause.CREDENTIALS, "UNAUTHENTICATED", "Authenticate: the API key was refused")


def said(looks: DiscoveryStatus | None) -> str:
    """Return the page's text in one line."""
    return " ".join(status(facts=replace(FACTS, discovery=looks)).text.split())


def test_it_says_how_fresh_the_list_of_organizations_is() -> None:
    """Of all keys, so of the one that answered longest ago."""
    assert "in progress for the first time" in said(DiscoveryStatus(2, {}, None))
    assert "last completed 10 min ago, with 2 API keys" in said(DiscoveryStatus(2, {}, START - 600))
    assert "last completed 10 min ago, with 1 API key" in (
        one := said(DiscoveryStatus(1, {}, START - 600))
    )
    assert "1 API keys" not in one
    assert "Discovery" not in said(None)


def test_a_failure_names_the_key_and_what_is_wrong() -> None:
    """Each of several. An id is text, whatever stands in it."""
    failing = {"<b>one": REFUSED, "two": REFUSED}
    text = said(DiscoveryStatus(3, failing, START))
    assert "Discovery fails for 2 of 3 API keys. Organizations found before are still" in text
    assert "<b>one: Authenticate: the API key was refused" in text
    assert "two: Authenticate: the API key was refused" in text


def test_before_it_is_known_what_there_is_the_page_says_so() -> None:
    """Or a page without organizations would pass for a good one."""
    facts = replace(FACTS, ready=False, settled=False, discovery=DiscoveryStatus(1, {}, None))
    assert "waiting for discovery to list the organizations" in status(facts=facts).text
