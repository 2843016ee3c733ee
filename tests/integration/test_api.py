"""The JSON API over HTTP: every answer is as the schema says, refusals as well."""

from __future__ import annotations

import asyncio
import csv
import html
import http.client
import io
import json
import math
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import quote, unquote

import pytest
from structlog.testing import capture_logs

from exporter.demo import SEED
from exporter.model import ClosedPeriod, ClosedPeriods, Spend, Tally
from exporter.simulator import demo_fleet
from exporter.state.archive import Archive
from exporter.state.day_rows import Day
from exporter.state.messages import packed
from exporter.state.storage import StorageError
from exporter.web.api.asked import MOST
from exporter.web.limits import API_ANSWERS, Limits
from exporter.web.location import Location
from exporter.web.serving import WebOptions
from support.answers import checked
from support.process import PATIENCE, Exporter, Response, exporter, get, until
from support.reader import organization
from support.served import served
from support.status import DAY, ended, invoices, state, usage
from support.virtual import START

LIST = "/api/v1/organizations"
ACCOUNTS = demo_fleet(SEED)
ODD_IDS = (".", "..", "a/b", "a/../b", "a%2Fb", "a/days", "ß ✓", "?id=&#", "+", "\0\x1b[31m", "<b>")
FIGURES = {
    "month_to_date_usd": "viam_billing_usage_month_to_date_usd",
    "budget_usd": "viam_billing_budget_usd",
    "outstanding_balance_usd": "viam_billing_outstanding_balance_usd",
    "unpaid_usd": "viam_billing_invoices_unpaid_amount_usd",
    "overdue_usd": "viam_billing_invoices_overdue_amount_usd",
}


@pytest.fixture(scope="module")
def demo() -> Iterator[Exporter]:
    """Run the demo."""
    with exporter("--demo") as running:
        running.wait_until_ready()
        yield running


def ask(
    port: int, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> Response:
    """Return the answer to any request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    answer = Response(response.status, response.headers, response.read())
    connection.close()
    return answer


def error(answer: Response, status: int) -> str:
    """Return what a refusal says."""
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/json"
    return str(checked("Error", answer.body)["error"])


def differences(demo: Exporter) -> list[str]:
    """Return the numbers of the list that are not those on /metrics at about that moment."""
    found = checked("Organizations", get(demo.port, LIST).body)["organizations"]
    lines = [line.rpartition(" ") for line in demo.scrape().splitlines()]
    metrics = {series: float(value) for series, _, value in lines if not series.startswith("#")}
    wrong = [] if len(found) == len(ACCOUNTS) else ["organizations"]
    for each in found:
        labels = f'{{org_id="{each["org_id"]}",org_name="{each["org_name"]}"}}'
        for member, metric in FIGURES.items():
            if metrics.get(metric + labels) != each[member]:
                wrong.append(f"{member} of {each['org_id']}")
    return wrong


def test_the_numbers_are_those_on_metrics(demo: Exporter) -> None:
    """To the last digit, of every organization; a poll may come between two looks."""
    until(lambda: not differences(demo), "the numbers are the same")
    every = checked("Organizations", get(demo.port, LIST).body)["organizations"]
    assert all(each["month_to_date_usd"] is not None for each in every)


def test_what_a_bill_is_made_of_adds_up(demo: Exporter) -> None:
    """Costs to the sum before discounts, unpaid invoices to what is owed."""
    for account in ACCOUNTS:
        whole = checked("WholeOrganization", get(demo.port, f"{LIST}/{account.id}").body)
        costs = math.fsum(each["cost_usd"] for each in whole["costs"])
        assert costs == pytest.approx(whole["gross_usd"])
        unpaid = math.fsum(e["amount_usd"] for e in whole["invoices"] if e["unpaid"])
        assert unpaid == pytest.approx(whole["unpaid_usd"])


@pytest.mark.parametrize(("query", "accept"), [("?format=csv", "*/*"), ("", "text/csv")])
def test_days_are_csv_for_whoever_prefers_it(demo: Exporter, query: str, accept: str) -> None:
    """A spreadsheet has what JSON has; a poll may come between two looks."""
    path = f"{LIST}/{ACCOUNTS[0].id}/days"

    def are_alike() -> bool:
        days = checked("Days", get(demo.port, path).body)["days"]
        answer = get(demo.port, f"{path}{query}", {"Accept": accept})
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
        assert answer.headers["Vary"] == "Accept"
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert [row["date"] for row in rows] == [day["date"] for day in days]
        return all(
            float(row[name]) == usd
            for row, day in zip(rows, days, strict=True)
            for name, usd in {"spend_usd": day["spend_usd"], **day["resources"]}.items()
        )

    until(are_alike, "the days are the same")


def test_pages_follow_their_cursor(demo: Exporter) -> None:
    """Until there is none."""
    path, listed = f"{LIST}?limit=3", []
    while True:
        page = checked("Organizations", get(demo.port, path).body)
        listed += [each["org_id"] for each in page["organizations"]]
        if page["next_cursor"] is None:
            break
        path = f"{LIST}?limit=3&cursor={page['next_cursor']}"
    assert listed == sorted(each.id for each in ACCOUNTS)


def test_any_id_has_its_answers() -> None:
    """The path is split before it is decoded, for an id may hold a slash."""
    states = [
        state(organization(each, name=f"name of {each}", max_age=3600.0), usage(1.0), invoices())
        for each in ODD_IDS
    ]
    with served(*(each._replace(spend=ended(9.0)) for each in states)) as port:
        listed = checked("Organizations", get(port, LIST).body)["organizations"]
        assert [each["org_id"] for each in listed] == sorted(ODD_IDS)
        for org_id in ODD_IDS:
            escaped = quote(org_id, safe="")
            for path, name in ((f"{LIST}/{escaped}", "WholeOrganization"), ("days", "Days")):
                direct = f"{LIST}/{escaped}/days" if path == "days" else path
                indirect = (
                    f"{LIST}//days?id={escaped}" if path == "days" else f"{LIST}/?id={escaped}"
                )
                for each in (direct, indirect):
                    found = checked(name, get(port, each).body)
                    assert (found["org_id"], found["org_name"]) == (org_id, f"name of {org_id}")


def test_the_page_of_an_organization_leads_to_its_answers(demo: Exporter) -> None:
    """And every page to the list."""
    text = get(demo.port, f"/organizations/{ACCOUNTS[0].id}").text
    one = f"{LIST}/{ACCOUNTS[0].id}"
    for path in (LIST, one, f"{one}/days", f"{one}/days?format=csv"):
        assert f'href="..{path}"' in text
        assert get(demo.port, path).status == 200
    assert f'href="{LIST.removeprefix("/")}"' in get(demo.port, "/").text


def test_links_lead_to_the_answers_of_any_id() -> None:
    """Also for a client that resolves dots between slashes, or decodes the path before."""
    with served(*(state(organization(each, max_age=3600.0)) for each in ODD_IDS)) as port:
        for org_id in ODD_IDS:
            page = get(port, f"/organizations/?id={quote(org_id, safe='')}").text
            links = re.findall(r'href="[.][.](/api/v1/organizations/[^"]+)"', page)
            assert len(links) == 3
            for link in map(html.unescape, links):
                assert not {".", ".."} & set(re.split(r"[/\\]", unquote(link.partition("?")[0])))
                answer = get(port, link)
                assert answer.status == 200
                if "csv" not in link:
                    assert json.loads(answer.body)["org_id"] == org_id


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/", 404, "not found"),
        ("/api/v1", 404, "not found"),
        ("/api/v2/organizations", 404, "not found"),
        (f"{LIST}/", 404, "no organization with this id is polled here"),
        (f"{LIST}/canary7319", 404, "no organization with this id is polled here"),
        (f"{LIST}/canary7319/days", 404, "no organization with this id is polled here"),
        (f"{LIST}/canary7319/nights", 404, "not found"),
        (f"{LIST}/%ff", 404, "not found"),
        (f"{LIST}?limit=canary7319", 400, f"limit must be a whole number from 1 to {MOST}"),
        (f"{LIST}?cursor=canary7319", 400, "cursor must be the next_cursor of an earlier answer"),
        (f"{LIST}?limit=1&limit=1", 400, "this takes only limit, cursor, each once"),
        (f"{LIST}/{ACCOUNTS[0].id}?canary7319", 400, "this takes no parameters"),
        (
            f"{LIST}/{ACCOUNTS[0].id}/days?from=canary7319",
            400,
            "from must be a day as YYYY-MM-DD",
        ),
    ],
)
def test_a_refusal_is_json_and_repeats_nothing(
    demo: Exporter, path: str, status: int, words: str
) -> None:
    """Whatever it was asked for; HEAD has the same headers and no body."""
    answer = ask(demo.port, path)
    assert error(answer, status) == words
    head = ask(demo.port, path, "HEAD")
    assert (head.status, head.body) == (status, b"")
    assert head.headers["Content-Length"] == str(len(answer.body))


def test_only_get_and_head_are_answered(demo: Exporter) -> None:
    """The API reads, and nothing else; a body is refused, too."""
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = ask(demo.port, LIST, method)
        assert error(answer, 405) == "method not allowed"
        assert answer.headers["Allow"] == "GET, HEAD"
    assert error(ask(demo.port, LIST, body=b"{}"), 413) == "a request must not have a body"


def test_no_other_site_may_read_it(demo: Exporter) -> None:
    """There is no CORS header on any answer, and one that forbids to embed it."""
    for path in (LIST, f"{LIST}/nobody"):
        headers = get(demo.port, path, {"Origin": "http://evil.example"}).headers
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert not [name for name in headers if name.lower().startswith("access-control-")]


def test_behind_a_prefix_it_is_below_it() -> None:
    """And errors there are JSON; what is elsewhere is no API."""
    options = WebOptions(location=Location("/viam"))
    with served(state(None, usage(1.0)), options=options) as port:
        checked("Organizations", get(port, f"/viam{LIST}").body)
        assert checked("WholeOrganization", get(port, f"/viam{LIST}/o1").body)["org_id"] == "o1"
        days = checked("Days", get(port, f"/viam{LIST}/o1/days").body)["days"]
        assert days[-1]["date"] == "2026-11-23"
        assert error(ask(port, "/viam/api/nothing"), 404) == "not found"
        assert ask(port, LIST).body == b"not found\n"


class Broken(Archive):
    """An archive whose disk fails, or that has a bug."""

    async def days(self, org_id: str, first: int, last: int) -> Mapping[int, Day]:
        """Fail."""
        del first, last
        if org_id == "bug":
            raise ValueError("a bug")
        raise StorageError("/storage: the disk fails")

    async def closed_answers(self, org_id: str) -> Mapping[float, bytes]:
        """Fail."""
        del org_id
        raise StorageError("/storage: the disk fails")


def test_what_cannot_be_read_is_an_error_and_no_empty_answer() -> None:
    """503 says when to come back; a bug is 500, and told in the log alone."""
    states = [state(organization(each, max_age=3600.0)) for each in ("o1", "bug")]
    with capture_logs() as logs, served(*states, archive=Broken) as port:
        answer = ask(port, f"{LIST}/o1/days")
        assert error(answer, 503).endswith("from storage: /storage: the disk fails")
        assert answer.headers["Retry-After"] == "10"
        assert error(ask(port, f"{LIST}/bug/days"), 500) == "internal server error"
    assert "a request failed because of a bug" in [log["event"] for log in logs]


def test_past_costs_that_cannot_be_read_cost_nothing_else() -> None:
    """The newest period's are in memory; that older ones are missing is said."""
    ends = [START - 45 * DAY, START - 15 * DAY]
    last = packed(usage(250.0).SerializeToString())
    closed = ClosedPeriods().plus(ClosedPeriod(None, ends[0], 240.0, ends[0]))
    closed = closed.plus(ClosedPeriod(None, ends[1], 250.0, ends[1]), last)
    known = state(None, usage(7.0))._replace(
        spend=Spend(START - 15 * DAY, Tally(baseline=7.0), {}, closed=closed)
    )
    with served(known, archive=Broken) as port:
        found = checked("WholeOrganization", ask(port, f"{LIST}/o1").body)
    assert (found["month_to_date_usd"], found["gross_usd"]) == (7.0, 7.0)
    newest, older = found["closed_periods"]
    assert (newest["usage_usd"], newest["gross_usd"]) == (250.0, 250.0)
    assert (older["usage_usd"], older["gross_usd"], older["costs"]) == (240.0, None, None)
    assert found["closed_costs_unread"] == (
        "cannot read answers of past periods from storage: /storage: the disk fails"
    )


class Waiting(Archive):
    """An archive that takes its time."""

    asked = 0
    enough = threading.Event()

    async def days(self, org_id: str, first: int, last: int) -> Mapping[int, Day]:
        """Wait for as long as the test says, but not for ever."""
        del org_id, first, last
        Waiting.asked += 1
        await asyncio.to_thread(Waiting.enough.wait, PATIENCE)
        return {}


def test_answers_in_flight_are_limited_and_pages_do_not_wait_for_them() -> None:
    """As many again wait, for a while; then 503, and people get theirs all the while."""
    limits = replace(Limits(), queue=0.2, patience=3600.0)
    with served(state(), options=WebOptions(limits=limits), archive=Waiting) as port:
        connections = [http.client.HTTPConnection("127.0.0.1", port) for _ in range(API_ANSWERS)]
        for connection in connections:
            connection.request("GET", f"{LIST}/o1/days")
        until(lambda: Waiting.asked == API_ANSWERS, "all places are taken")
        refused = ask(port, LIST)
        assert error(refused, 503) == "too many requests in flight"
        assert refused.headers["Retry-After"] == "1"
        assert get(port, "/").status == 200
        Waiting.enough.set()
        for connection in connections:
            checked("Days", connection.getresponse().read())
            connection.close()


def test_it_is_json_that_any_program_reads(demo: Exporter) -> None:
    """In ASCII, a line for each organization."""
    answer = get(demo.port, LIST)
    assert answer.headers["Content-Type"] == "application/json"
    lines = answer.text.splitlines()
    assert len(lines) == len(ACCOUNTS) + 2
    assert json.loads(lines[1].removesuffix(","))["org_id"] == min(each.id for each in ACCOUNTS)
