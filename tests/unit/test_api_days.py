"""The days of an organization, as JSON and CSV."""

from __future__ import annotations

import asyncio
import csv
import io
import math
from collections.abc import Mapping
from typing import Any

import pytest

from exporter.pb import billing_pb2 as pb
from exporter.polling.sharding import Shard
from exporter.state.archive import Archive
from exporter.state.day_rows import UNKNOWN, Day, Entry, Moved
from exporter.state.ledger import day_of
from exporter.state.listing import text_of
from exporter.state.storage import StorageError
from exporter.state.store import Store
from exporter.web.api import Api
from exporter.web.api.answers import CSV, Document
from exporter.web.refusals import Refusal
from support.answers import api_of, api_of_rig, checked
from support.reader import OUTAGE, USAGE, config, organization
from support.rig import Rig
from support.status import CONTEXT, state
from support.virtual import START, VirtualClock, run

HOUR, DAY = 3600.0, 86_400.0
TODAY = day_of(START)
BEGAN = START - 12 * HOUR - 9 * DAY  # a midnight


class Kept(Archive):
    """An archive that has what a test says: the fake at the disk's edge."""

    def __init__(self, store: Store, days: Mapping[int, Day] | StorageError) -> None:
        super().__init__(store)
        self._days = days

    async def days(self, org_id: str, first: int, last: int) -> Mapping[int, Day]:
        """Return the days, or fail."""
        del org_id
        if isinstance(self._days, StorageError):
            raise self._days
        return {number: day for number, day in self._days.items() if first <= number <= last}


def ask(
    days: Mapping[int, Day] | StorageError, accept: str = "", part: str = "o1", **query: str
) -> Document:
    """Return the answer about the days of the organization `o1`."""

    async def main() -> Document:
        store = Store()
        store.put(state(organization(max_age=3600.0)))
        clock = VirtualClock()
        api = Api(store, Kept(store, days), clock, Shard(), lambda: CONTEXT)
        return await api.days(part, query.items(), accept)

    return run(main())


def listed(days: Mapping[int, Day], **query: str) -> list[Mapping[str, Any]]:
    """Return the days that JSON has."""
    return checked("Days", ask(days, **query).body)["days"]  # type: ignore[no-any-return]


def day(usd: float, **resources: float) -> Day:
    """Return a day on which so much was spent."""
    spent = {name: Moved(each, 0.0) for name, each in resources.items()}
    return Day(0.0, (Entry(0.0, usd, 0.0, 0.0, spent),))


THREE = {TODAY - 2: day(3.0, per_machine=4.0), TODAY - 1: UNKNOWN, TODAY: day(1.5, logs_upload=2.0)}


def test_days_are_those_of_the_ledger() -> None:
    """With what they were made of, beside whose they are and when that was said."""
    found = checked("Days", ask(THREE).body)
    assert (found["org_id"], found["org_name"]) == ("o1", "O1")
    assert found["generated_at"] == "2026-11-23T12:00:00Z"
    first, unknown, last = found["days"]
    nothing = {"corrections_usd": 0.0, "estimated_usd": 0.0}
    assert first == {
        "date": "2026-11-21",
        "spend_usd": 3.0,
        "corrections_usd": 0.0,
        "estimated_usd": 0.0,
        "unknown_seconds": 0.0,
        "resources": {"per_machine": 4.0},
        "resource_corrections": {},
        "periods": [{"period_start": None, "spend_usd": 3.0, **nothing}],
    }
    assert (unknown["spend_usd"], unknown["resources"]) == (None, None)
    assert (last["date"], last["spend_usd"]) == ("2026-11-23", 1.5)


def test_a_day_says_what_each_period_has_of_it() -> None:
    """One may end at any hour, and another begin; what is unknown belongs to none."""
    entries = (Entry(BEGAN, 2.5, 4.0, 0.5, {}), Entry(START, 1.25, 0.0, 0.0, {}))
    both, unknown = listed({TODAY - 1: Day(0.0, entries), TODAY: UNKNOWN})
    assert [[*each.values()] for each in both["periods"]] == [
        ["2026-11-14T00:00:00Z", 2.5, 4.0, 0.5],
        ["2026-11-23T12:00:00Z", 1.25, 0.0, 0.0],
    ]
    assert unknown["periods"] == []


@pytest.mark.parametrize(
    ("query", "dates"),
    [
        ({"from": "2026-11-22"}, ["22", "23"]),
        ({"to": "2026-11-22"}, ["21", "22"]),
        ({"from": "2026-11-22", "to": "2026-11-22"}, ["22"]),
        ({"from": "0001-01-01", "to": "9999-12-31"}, ["21", "22", "23"]),
        ({"from": "2030-01-01"}, []),
    ],
)
def test_a_part_of_them_is_asked_for(query: dict[str, str], dates: list[str]) -> None:
    """The first and the last day included; what is to come is not there."""
    assert [each["date"][-2:] for each in listed(THREE, **query)] == dates


def test_days_to_come_are_not_shown() -> None:
    """A clock that was ahead may have left some."""
    assert [each["date"] for each in listed(THREE | {TODAY + 1: day(9.0)})][-1] == "2026-11-23"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"from": "yesterday"}, "from must be a day as YYYY-MM-DD"),
        ({"to": "2026-13-01"}, "to must be a day as YYYY-MM-DD"),
        ({"from": "2026-11-22", "to": "2026-11-21"}, "from must not be after to"),
        ({"format": "xml"}, "format must be json or csv"),
        ({"form": "csv"}, "this takes only from, to, format, each once"),
        ({"id": "o2"}, "this takes only from, to, format, each once"),
    ],
)
def test_what_means_nothing_is_refused(query: dict[str, str], words: str) -> None:
    """With status 400, and what is allowed."""
    with pytest.raises(Refusal) as caught:
        ask(THREE, **query)
    assert (caught.value.status, caught.value.message) == (400, words)


def test_csv_has_a_column_for_each_resource_type() -> None:
    """0 on a known day without it, and empty on a day of which nothing is known."""
    found = ask(THREE, format="csv")
    assert found.content_type == CSV
    assert found.body.decode().splitlines() == [
        "date,spend_usd,corrections_usd,estimated_usd,unknown_seconds,logs_upload,per_machine",
        "2026-11-21,3.0,0.0,0.0,0.0,0.0,4.0",
        "2026-11-22,,,,86400.0,,",
        "2026-11-23,1.5,0.0,0.0,0.0,2.0,0.0",
    ]


def test_a_resource_type_is_no_formula() -> None:
    """A release to come, or damage, may have left any name."""
    name = '=HYPERLINK("a","b")'
    (header, line) = ask({TODAY: day(1.0, **{name: 1e-7})}, format="csv").body.decode().splitlines()
    assert next(csv.reader(io.StringIO(header)))[-1] == f"'{name}"
    assert line.endswith(",0.0000001")


@pytest.mark.parametrize(
    ("accept", "query", "is_csv"),
    [
        ("", {}, False),
        ("*/*", {}, False),
        ("application/json", {}, False),
        ("text/csv", {}, True),
        ("text/*", {}, True),
        ("text/html, text/csv;q=0.9, */*;q=0.1", {}, True),
        ("text/csv;q=0.5, application/json", {}, False),
        ("text/csv", {"format": "json"}, False),
        ("application/json", {"format": "csv"}, True),
        ("\xff;q=,,", {}, False),
    ],
)
def test_csv_is_what_prefers_it(accept: str, query: dict[str, str], *, is_csv: bool) -> None:
    """By Accept, unless the address says which."""
    assert (ask(THREE, accept, **query).content_type == CSV) is is_csv


def test_a_storage_that_cannot_be_read_is_no_empty_answer() -> None:
    """503, in words, and when to come back."""
    with pytest.raises(Refusal) as caught:
        ask(StorageError("/var/lib/bills: the disk fails"))
    assert caught.value.status == 503
    assert caught.value.message == ("cannot read days from storage: /var/lib/bills: the disk fails")
    assert caught.value.headers == {"Retry-After": "10"}


def test_another_organization_has_none() -> None:
    """404: it left, it is another shard's, or it never was."""
    for part, query in (("o2", {}), ("", {}), ("", {"id": "o2"})):
        with pytest.raises(Refusal) as caught:
            ask(THREE, part=part, **query)
        assert caught.value.status == 404
    assert len(listed(THREE, part="", id="o1")) == 3


def test_four_hundred_days_are_listed() -> None:
    """All that are kept, oldest first."""
    days = {TODAY - back: day(float(back)) for back in range(400)}
    found = listed(days)
    assert [each["date"] for each in found] == [text_of(TODAY - back) for back in range(400)][::-1]
    assert len(ask(days, format="csv").body.splitlines()) == 401


# --- What polls leave behind ---


def bill(usd: float) -> pb.GetCurrentMonthUsageResponse:
    """Return an answer of a period that began nine days and a half ago."""
    answer = pb.GetCurrentMonthUsageResponse(subtotal=usd)
    answer.start_date.FromSeconds(int(BEGAN))
    answer.end_date.FromSeconds(int(BEGAN + 30 * DAY))
    source = answer.resource_usage_costs_by_source.add()
    source.resource_usage_costs.total_with_discount = usd
    source.resource_usage_costs.usage_costs.add(resource_type=8, cost=usd)
    return answer


def test_days_add_up_to_the_month_to_date() -> None:
    """The number that the line of the organization has, at the same moment."""
    rig = Rig(config(organization(interval=HOUR, max_age=4 * HOUR)))

    async def main() -> None:
        api = api_of_rig(rig)
        async with rig.running(publishing=False):
            for hours in range(49):
                rig.reader.answers[USAGE] = bill(300.0 + 1.25 * hours)
                await asyncio.sleep(HOUR)
            days = checked("Days", (await api.days("o1", (), "")).body)["days"]
            whole = checked("WholeOrganization", (await api.organization("o1", ())).body)
        assert len(days) == 12
        assert math.fsum(each["spend_usd"] for each in days) == pytest.approx(360.0)
        assert whole["month_to_date_usd"] == 360.0

    run(main())


def test_days_stay_while_the_bill_cannot_be_read() -> None:
    """They are the past: only the numbers of now are withdrawn."""
    rig = Rig(config(organization(interval=HOUR, max_age=4 * HOUR)))
    rig.reader.answers[USAGE] = bill(300.0)

    async def main() -> None:
        api = api_of_rig(rig)
        async with rig.running(publishing=False):
            await asyncio.sleep(60)
            rig.reader.answers[USAGE] = OUTAGE
            await asyncio.sleep(30 * HOUR)
            days = checked("Days", (await api.days("o1", (), "")).body)["days"]
            whole = checked("WholeOrganization", (await api.organization("o1", ())).body)
        assert days[-1]["date"] == "2026-11-23"
        assert whole["month_to_date_usd"] is None

    run(main())


def test_an_organization_without_answers_has_no_days() -> None:
    """An empty list, and in CSV the header."""

    async def main() -> None:
        api = api_of(state())
        assert checked("Days", (await api.days("o1", (), "")).body)["days"] == []
        assert (await api.days("o1", (), "text/csv")).body.count(b"\n") == 1

    run(main())
