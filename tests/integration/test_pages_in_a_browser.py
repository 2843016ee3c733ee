"""The pages for people in a real browser: content, order, themes, a phone, and for everybody."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import pytest

from exporter.demo import SEED
from exporter.metrics.telemetry import Telemetry
from exporter.model import Cause, Failure
from exporter.simulator import demo_fleet
from exporter.web.status.formatting import usd
from support.browser import DESK, PHONE, Browser, Theme, browser
from support.ledgers import day, with_days
from support.process import Exporter, exporter, get
from support.reader import organization
from support.served import served
from support.status import ended, invoices, state, usage
from support.virtual import START

ACCOUNTS = demo_fleet(SEED)
OVER_BUDGET, LATE, *_, GROSS = ACCOUNTS
ORGANIZATION = f"/organizations/{LATE.id}"


@pytest.fixture(scope="module")
def demo() -> Iterator[Exporter]:
    """Run the demo."""
    with exporter("--demo") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def desk(demo: Exporter) -> Iterator[Browser]:
    """Open a browser, which must have nothing to complain of and ask nobody else."""
    with browser(demo.port) as opened:
        yield opened
        assert opened.complaints == []
        assert opened.requests
        assert all(url.startswith(f"http://127.0.0.1:{demo.port}/") for url in opened.requests)


def test_every_organization_is_there_and_leads_to_its_page(desk: Browser) -> None:
    """Names beyond ASCII as well; and the way back."""
    page = desk.open()
    assert sorted(desk.column()) == sorted(account.name for account in ACCOUNTS)
    page.get_by_role("link", name=GROSS.name).click()
    page.wait_for_url(f"**/organizations/{GROSS.id}")
    assert page.get_by_role("heading", level=1).inner_text() == GROSS.name
    assert page.get_by_role("rowheader", name="Subtotal").is_visible()
    page.get_by_text("The answer as it was received").first.click()
    assert page.get_by_text("resource_usage_costs_by_source").first.is_visible()
    page.get_by_role("link", name="Status").click()
    page.wait_for_url("**/")
    assert page.locator("table.cards").is_visible()


def test_the_whole_table_is_in_sight(desk: Browser) -> None:
    """At a desk nothing has to be scrolled to, with the pictures of days, too."""
    page = desk.open()
    table = page.get_by_role("region", name="Organizations")
    assert table.evaluate("e => e.scrollWidth - e.clientWidth") == 0


def test_the_picture_of_days_has_the_numbers_of_the_ledger(demo: Exporter, desk: Browser) -> None:
    """On both pages, in the words that stand for it."""
    listed = json.loads(get(demo.port, f"/api/v1/organizations/{GROSS.id}/days").text)["days"]
    spends = [day["spend_usd"] for day in listed[-29:-1] if day["spend_usd"] is not None]
    assert spends
    numbers = f"to {listed[-2]['date']}: {usd(math.fsum(spends))} spent"
    row = desk.open().get_by_role("row").filter(has_text=GROSS.name)
    assert numbers in (row.get_by_role("img").locator("title").text_content() or "")
    page = desk.open(f"/organizations/{GROSS.id}")
    assert page.get_by_role("img", name=numbers).is_visible()


def test_a_click_on_a_head_sorts_and_another_one_turns_it_round(desk: Browser) -> None:
    """The largest amount first; people are told which column it is."""
    page = desk.open()
    page.get_by_role("link", name="Month so far").click()
    page.wait_for_url("**/?sort=-month")

    def amounts() -> list[float]:
        return [float(text.strip("$").replace(",", "")) for text in desk.column(2)]

    assert amounts() == sorted(amounts(), reverse=True)
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Month so far")
    page.get_by_role("link", name="Month so far").click()
    page.wait_for_url("**/?sort=month")
    assert amounts() == sorted(amounts())
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("Month so far")


def test_the_form_searches_and_filters_with_the_keyboard_alone(desk: Browser) -> None:
    """And keeps what was asked for."""
    page = desk.open()
    page.get_by_label("Name or id").fill(LATE.name[:5].lower())
    page.keyboard.press("Enter")
    page.wait_for_url("**q=*")
    assert desk.column() == [LATE.name]
    assert page.get_by_label("Name or id").input_value() == LATE.name[:5].lower()
    page.get_by_label("Name or id").fill("")
    page.get_by_label("Show").select_option("overdue")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**show=overdue*")
    assert LATE.name in desk.column()
    assert len(desk.column()) < len(ACCOUNTS)
    page.get_by_label("Name or id").fill("<script>document.title = 'in'</script>")
    page.keyboard.press("Enter")
    page.wait_for_url("**script*")
    assert page.get_by_text("No organization matches.").is_visible()
    assert page.title() == "Viam billing exporter"


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_use_the_pages(demo: Exporter, theme: Theme, width: int) -> None:
    """Axe-core finds nothing, on a phone nothing is wider than it, and dark is dark."""
    with browser(demo.port, width=width, theme=theme) as opened:
        for path in ("/", ORGANIZATION):
            page = opened.open(path)
            assert opened.obstacles() == ""
            assert opened.overflow == 0
            assert opened.hidden == 0
            color = page.evaluate("getComputedStyle(document.body).backgroundColor")
            brightness = sum(int(part) for part in color.strip("rgb()").split(",")) / 3
            assert (brightness > 128) == (theme == "light")
        assert opened.complaints == []


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_read_the_page_of_one_in_trouble(theme: Theme, width: int) -> None:
    """With all that is seldom there: a failure, what is withheld, periods that have ended."""
    failure = Failure(Cause.OUTAGE, "UNAVAILABLE", "the server cannot be reached")
    bills = invoices({"id": "INV-1", "invoice_amount": 255.5, "invoice_date": -14})
    known = state(None, usage(1.0, math.nan), bills, failure=failure, failing_since=START - 60)
    with (
        served(known._replace(spend=ended(250.0))) as port,
        browser(port, width=width, theme=theme) as opened,
    ):
        page = opened.open("/organizations/o1")
        assert page.get_by_role("region", name="Periods that have ended").is_visible()
        assert opened.obstacles() == ""
        assert opened.overflow == 0
        assert opened.hidden == 0
        assert opened.complaints == []


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_read_what_changed_and_where_it_will_end(theme: Theme, width: int) -> None:
    """With days of all kinds: a credit, estimates, a day that is not known, a budget."""
    days = {ago: day(10.0, per_machine=8.0, log=2.0) for ago in range(1, 40) if ago != 9}
    days |= {1: day(30.0, per_machine=28.0, log=2.0), 5: day(10.0, corrections=25.0)}
    days |= {12: day(10.0, estimated=9.0)}
    known = with_days(days, budget=200.0)
    forecast = known.forecast
    assert forecast is not None
    with served(known) as port, browser(port, width=width, theme=theme) as opened:
        page = opened.open(f"/organizations/{known.organization.id}")
        picture = page.get_by_role("img", name=f"forecast {usd(forecast.usd)} for 2026-12-08")
        box = picture.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert page.get_by_role("img", name="1 unknown").is_visible()
        total = page.get_by_role("row").filter(has_text="Total")
        assert total.get_by_role("cell").nth(2).inner_text() == "+$20.00 (+200%)"
        assert opened.obstacles() == ""
        assert opened.overflow == 0
        assert opened.hidden == 0
        assert opened.complaints == []


def test_what_is_shown_can_be_had_as_json_and_csv(demo: Exporter, desk: Browser) -> None:
    """By the links of an organization's page."""
    page = desk.open(ORGANIZATION)
    kinds = {}
    for link in page.locator("p", has_text="For programs").get_by_role("link").all():
        path = link.evaluate("e => new URL(e.href).pathname + new URL(e.href).search")
        answer = get(demo.port, path)
        kind, _, _ = answer.headers["Content-Type"].partition(";")
        kinds[path.removeprefix(f"/api/v1{ORGANIZATION}")] = kind
    assert kinds == {
        "": "application/json",
        "/days": "application/json",
        "/days?format=csv": "text/csv",
    }


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_read_that_there_is_an_outage(theme: Theme, width: int) -> None:
    """Above everything else, with its reason once."""
    reason = "the server cannot be reached: it does not answer"
    failure = Failure(Cause.OUTAGE, "UNAVAILABLE", reason)
    down = [
        state(
            organization(f"o{n}", name=f"O{n}", max_age=3600.0),
            usage(1.0),
            polled=True,
            failure=failure,
            failing_since=START - 60,
        )
        for n in range(3)
    ]
    with served(*down) as port, browser(port, width=width, theme=theme) as opened:
        page = opened.open()
        headline = page.get_by_text("3 of 3 organizations cannot be read, since 11:59 UTC")
        assert headline.is_visible()
        box, table = headline.bounding_box(), page.get_by_role("table").bounding_box()
        assert box is not None
        assert table is not None
        assert box["y"] < table["y"]
        assert page.get_by_text(reason).count() == 1
        assert opened.obstacles() == ""
        assert opened.overflow == 0
        assert opened.complaints == []


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_read_what_is_wrong_with_the_exporter(theme: Theme, width: int) -> None:
    """And with the money of an organization; a long path does not make the page wider."""
    late = {"invoice_amount": 3.0, "due_date": -1, "last_payment_failure_reason": "card_declined"}
    broke = state(
        organization("a", max_age=3600.0, budget_usd=1.0), usage(2.0), invoices(late), polled=True
    )
    long = f"cannot use the storage folder /{'very' * 40}: Permission denied"

    def told(telemetry: Telemetry) -> None:
        telemetry.not_reloaded("exporter.yml:3: poll.interval: must be above zero")
        telemetry.stored(long)

    with (
        served(broke, told=told) as port,
        browser(port, width=width, theme=theme) as opened,
    ):
        page = opened.open()
        assert page.get_by_text("The exporter needs attention").is_visible()
        assert page.get_by_text(long).is_visible()
        assert page.get_by_text("over budget; overdue; payment failed: card declined").is_visible()
        assert opened.obstacles() == ""
        assert opened.overflow == 0
        assert opened.complaints == []


def test_on_a_phone_each_line_is_a_card_with_all_its_amounts(demo: Exporter) -> None:
    """Nothing has to be scrolled sideways, and each amount says what it is."""
    with browser(demo.port, width=PHONE) as opened:
        page = opened.open()
        card = page.get_by_role("row").filter(has_text=OVER_BUDGET.name)
        box = card.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE
        for cell in card.get_by_role("cell").all():
            label = cell.evaluate("e => getComputedStyle(e, '::before').content")
            assert label.strip('"') == cell.get_attribute("data-label")
