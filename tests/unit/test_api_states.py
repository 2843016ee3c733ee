"""What the JSON API says as time passes: failures, restarts, periods that end, who leaves."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import Any

import pytest

from exporter.pb import billing_pb2 as pb
from exporter.web.refusals import Refusal
from support.answers import SCHEMA, api_of_rig, checked, validator, whole
from support.reader import INVOICES, OUTAGE, USAGE, config, organization
from support.rig import Rig
from support.status import invoices, state
from support.virtual import START, VirtualClock, run

HOUR, DAY = 3600.0, 86_400.0
NOON, TWO = "2026-11-23T12:00:00Z", "2026-11-23T14:00:00Z"


def bill(usd: float, start: float) -> pb.GetCurrentMonthUsageResponse:
    """Return an answer of a period of thirty days."""
    answer = pb.GetCurrentMonthUsageResponse(subtotal=usd)
    answer.start_date.FromSeconds(int(start))
    answer.end_date.FromSeconds(int(start + 30 * DAY))
    source = answer.resource_usage_costs_by_source.add()
    source.resource_usage_costs.total_with_discount = usd
    return answer


async def lines(rig: Rig) -> dict[str, Any]:
    """Return the line of each organization."""
    found = checked("Organizations", (await api_of_rig(rig).organizations(())).body)
    return {each["org_id"]: each for each in found["organizations"]}


async def one(rig: Rig) -> Any:
    """Return the organization `o1`, whole."""
    return checked("WholeOrganization", (await api_of_rig(rig).organization("o1", ())).body)


def test_since_is_when_it_began_to_fail() -> None:
    """Through all polls that fail in a row, whatever for; a success ends it."""
    rig = Rig(config(organization(interval=HOUR, max_age=40 * HOUR), collectors=("usage",)))

    async def main() -> None:
        async with rig.running(publishing=False):
            await asyncio.sleep(60)
            (line,) = (await lines(rig)).values()
            assert (line["up"], line["failures"]) == (True, [])
            rig.reader.answers[USAGE] = OUTAGE
            await asyncio.sleep(10 * HOUR)
            (first,) = (await lines(rig))["o1"]["failures"]
            rig.reader.answers[USAGE] = b"\xff"
            await asyncio.sleep(5 * HOUR)
            (second,) = (await lines(rig))["o1"]["failures"]
            assert (first["cause"], second["cause"]) == ("outage", "invalid_answer")
            assert first["since"] == second["since"]
            assert NOON < first["since"] < TWO
            rig.reader.answers[USAGE] = pb.GetCurrentMonthUsageResponse()
            await asyncio.sleep(5 * HOUR)
            assert (await lines(rig))["o1"]["failures"] == []

    run(main())


def test_who_left_is_not_listed_and_has_no_page() -> None:
    """What is kept of it, should it come back, is nobody's business meanwhile."""
    both = config(organization("o1"), organization("o2"))
    rig = Rig(both)

    async def main() -> None:
        async with rig.running(publishing=False):
            await asyncio.sleep(1)
            assert list(await lines(rig)) == ["o1", "o2"]
            await rig.poller.configure(config(organization("o2")), rig.reader)
            assert list(await lines(rig)) == ["o2"]
            for ask in (api_of_rig(rig).organization("o1", ()), api_of_rig(rig).days("o1", (), "")):
                with pytest.raises(Refusal, match="no organization with this id"):
                    await ask

    run(main())


def test_what_was_stored_is_there_after_a_restart(tmp_path: Path) -> None:
    """With the time of its success; whether polls succeed now is not known yet."""
    settings = config(organization(interval=HOUR, max_age=4 * HOUR))
    clock = VirtualClock()

    async def main() -> None:
        async with Rig.stored(tmp_path, settings, clock=clock) as rig:
            rig.reader.answers[USAGE] = bill(40.0, START - 10 * DAY)
            async with rig.running(publishing=False):
                await asyncio.sleep(10)
                before = await one(rig)
        async with Rig.stored(tmp_path, settings, clock=clock) as rig:
            await rig.poller.start()
            after = await one(rig)
        assert (before["up"], after["up"]) == (True, None)
        moving = ("up", "generated_at", "forecast_usd")
        assert {n: v for n, v in before.items() if n not in moving} == {
            n: v for n, v in after.items() if n not in moving
        }
        assert after["last_success"] == NOON

    run(main())


def test_a_period_that_ends_stands_beside_the_invoices_after_it() -> None:
    """Month to date as last seen, not what it would have become."""
    rig = Rig(config(organization(interval=HOUR, max_age=4 * HOUR)))
    end = START + 2 * DAY
    issued = end / DAY - START / DAY
    rig.reader.answers[INVOICES] = invoices(
        {"id": "before", "invoice_amount": 7.0, "invoice_date": issued - 20},
        {"id": "usage", "invoice_amount": 310.0, "invoice_date": issued},
    )

    async def main() -> None:
        async with rig.running(publishing=False):
            rig.reader.answers[USAGE] = bill(300.0, end - 30 * DAY)
            await asyncio.sleep(2 * HOUR)
            assert (await one(rig))["closed_periods"] == []
            await asyncio.sleep(2 * DAY)
            rig.reader.answers[USAGE] = bill(0.5, end)
            await asyncio.sleep(2 * HOUR)
            found = await one(rig)
        (closed,) = found["closed_periods"]
        assert closed["period_end"] == found["period_start"] == "2026-11-25T12:00:00Z"
        assert (closed["usage_usd"], closed["invoices_usd"]) == (300.0, 310.0)
        assert closed["difference_usd"] == 10.0
        assert [each["invoice_id"] for each in closed["invoices"]] == ["usage"]

    run(main())


def objects(document: Any) -> list[dict[str, Any]]:
    """Return every object of a document, but maps by resource type."""
    if isinstance(document, list):
        return [found for each in document for found in objects(each)]
    if not isinstance(document, dict):
        return []
    inside = [v for name, v in document.items() if not name.startswith("resource")]
    return [document, *objects(inside)]


def test_the_schema_takes_no_member_more_and_none_less() -> None:
    """In any object of any answer: what is not in the documents is not in an answer."""
    bills = invoices({"id": "i1", "invoice_amount": 5.0}, {"id": "i1", "invoice_amount": 6.0})
    found = whole(state(None, bill(1.0, START - DAY), bills))
    assert len(objects(found)) > 3
    for number, original in enumerate(objects(found)):
        for name in [*original, "more"]:
            changed = copy.deepcopy(found)
            part = objects(changed)[number]
            if name in part:
                del part[name]
            else:
                part[name] = None
            assert not validator("WholeOrganization").is_valid(changed), name
    assert {"Error", "Days", "Organizations"} <= SCHEMA["$defs"].keys()
    for name, wrong in (
        ("Error", {"error": "x", "more": 1}),
        ("Days", {"org_id": "a", "org_name": "a", "generated_at": NOON}),
        ("Organizations", {"organizations": []}),
    ):
        assert not validator(name).is_valid(wrong)


def test_days_that_are_stored_are_told_as_well(tmp_path: Path) -> None:
    """Not only those of the last two months, which are in memory."""
    clock = VirtualClock()
    settings = config(organization(), collectors=("usage",))

    async def main() -> None:
        async with (
            Rig.stored(tmp_path, settings, clock=clock) as rig,
            rig.running(publishing=False),
        ):
            for days in range(80):
                rig.reader.answers[USAGE] = bill(float(days), START)
                await asyncio.sleep(120)
                clock.jump(DAY - 120)
            found = await api_of_rig(rig).days("o1", (), "")
        listed = checked("Days", found.body)["days"]
        assert listed[0]["date"] == "2026-11-23"
        assert len(listed) == 80
        assert [each["spend_usd"] for each in listed[1:-1]] == pytest.approx([1.0] * 78)

    run(main())
