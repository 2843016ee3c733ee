"""What is made anew when something changes, and what is not."""

from __future__ import annotations

import asyncio

from exporter.metrics.catalog import ATTEMPTS, SPECS
from exporter.metrics.render import Format
from exporter.page.pending import CONFIRMATION_DELAY, GATHER
from exporter.page.pieces import Encoding
from exporter.pb import billing_pb2 as pb
from support.reader import INVOICES, config, organization
from support.rig import Rig
from support.virtual import run


def test_without_a_change_the_page_is_the_same_bytes_but_for_our_own_metrics() -> None:
    """A scrape has us measured for the next one, and nothing of any organization is made again."""
    rig = Rig(config(*(organization(f"{n:03}", interval=1e6) for n in range(250))))

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            before = rig.publisher.page
            await asyncio.sleep(5)
            assert rig.publisher.page is before
            rig.publisher.scraped()
            await asyncio.sleep(1)
            after = rig.publisher.page
            assert after is not before
            for key, body in before.bodies.items():
                last = -4 if key[1] is Encoding.GZIP else -1  # the end, and the gzip trailer
                old, new = body.chunks[:last], after.bodies[key].chunks[:last]
                assert len(old) == len(new) > 20
                assert all(a is b for a, b in zip(old, new, strict=True))

    run(scenario())


def test_a_change_of_one_organization_renders_one_organization() -> None:
    """What is known of the lines of the others is what was known."""
    rig = Rig(config(*(organization(name, interval=600.0) for name in "abc")))

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            before = dict(rig.publisher._blocks.lines)
            state = rig.store.get("b")
            assert state is not None
            rig.store.put(state)
            await asyncio.sleep(2)
            after = rig.publisher._blocks.lines
            assert {org_id for org_id in after if after[org_id] is not before[org_id]} == {"b"}

    run(scenario())


def test_an_unchanged_answer_is_neither_decoded_nor_rendered() -> None:
    """What was made of it is the very thing that was made of the answer before."""
    rig = Rig(config(organization(interval=60.0)))
    rig.reader.answers[INVOICES] = pb.GetInvoicesSummaryResponse(outstanding_balance=5.0)

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            first = rig.store.get("o1")
            await asyncio.sleep(130)
            later = rig.store.get("o1")
            assert first is not None
            assert later is not None
            old, new = first.collectors["invoices"].answer, later.collectors["invoices"].answer
            assert old is not None
            assert new is not None
            assert new.received > old.received
            assert new.reading is old.reading

    run(scenario())


def test_a_poll_that_finds_nothing_new_moves_the_times_of_polls_only() -> None:
    """Everything else of the organization stays as it was rendered, and the times soon follow."""
    rig = Rig(config(organization(interval=60.0)))

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(70)
            (block,) = rig.publisher._blocks._blocks
            before = [part._plain for part in block.parts]
            await asyncio.sleep(60 + CONFIRMATION_DELAY + GATHER)
            after = [part._plain for part in block.parts]
            lines = zip(SPECS, before, after, strict=True)
            joined = [spec for spec, old, new in lines if old is not new]
            duration, *times = ATTEMPTS
            assert duration.name == "viam_billing_collector_duration_seconds"  # always 0 here
            assert joined == times
            assert rig.values("viam_billing_collector_last_success_timestamp_seconds", "collector")[
                ("usage",)
            ] == rig.clock.time() - (asyncio.get_running_loop().time() - rig.reader.calls[-1][0])

    run(scenario())


def test_a_new_name_is_in_every_line() -> None:
    """Nothing that was rendered under the old name stays, though no number changed."""
    rig = Rig(config(organization("a", interval=600.0)))

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            renamed = config(organization("a", interval=600.0, name="Renamed"))
            await rig.poller.configure(renamed, rig.reader)
            await asyncio.sleep(2)
            lines = [line for line in rig.page().splitlines() if 'org_id="a"' in line]
            assert len(lines) > 20
            assert [line for line in lines if 'org_name="Renamed"' not in line] == []

    run(scenario())


def test_both_formats_have_the_same_samples_and_one_end() -> None:
    """Lines are shared; OpenMetrics ends with its end, the text format without."""
    rig = Rig(config())

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            text, openmetrics = rig.page(Format.TEXT), rig.page(Format.OPENMETRICS)
            assert openmetrics.endswith("\n# EOF\n")
            assert openmetrics.count("# EOF") == 1
            assert "# EOF" not in text

            def ours(page: str) -> list[str]:
                lines = page.splitlines()
                return [line for line in lines if line.startswith("viam_billing_")]

            assert ours(text) == ours(openmetrics)

    run(scenario())


def test_scrapes_one_after_another_have_us_measured_once_a_second() -> None:
    """What moves by itself is as old as the last scrape, or a second."""
    rig = Rig(config(organization(interval=600.0)))

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(10)
            pages = set()
            for _ in range(100):
                rig.publisher.scraped()
                await asyncio.sleep(0.1)
                pages.add(id(rig.publisher.page.bodies))
            assert len(pages) <= 12

    run(scenario())


def test_what_the_exporter_counts_is_on_the_page_within_a_second() -> None:
    """Nobody has to scrape twice to see that a reload failed, or a call."""
    rig = Rig(config(organization(interval=600.0)))

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(10)
            rig.telemetry.not_reloaded("wrong")
            await asyncio.sleep(GATHER + 0.1)
            assert rig.value("viam_billing_exporter_config_last_reload_successful") == 0
            rig.telemetry.stored("no space", size=4096)
            rig.telemetry.api_request("Authenticate", 0.1, "INTERNAL")
            await asyncio.sleep(GATHER + 0.1)
            assert rig.value("viam_billing_exporter_storage_last_write_successful") == 0
            assert rig.value("viam_billing_exporter_storage_size_bytes") == 4096
            name = "viam_billing_exporter_api_request_failures_total"
            assert rig.values(name, "method", "code")["Authenticate", "INTERNAL"] == 1
            assert rig.value("viam_billing_exporter_page_build_duration_seconds_count") == 3

    run(scenario())


def test_an_hour_in_which_nothing_comes_makes_the_page_once_for_each_round_of_polls() -> None:
    """Nothing runs by the clock: what is withdrawn, polled or scraped is what has it made."""
    paced = {"interval": 300.0, "max_age": 86_400.0}
    rig = Rig(config(organization("a", **paced), organization("b", **paced)))

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(600)  # the first round comes at once, the second at its own phase
            pages, polls = 0, len(rig.reader.calls)
            page = rig.publisher.page
            until = asyncio.get_running_loop().time() + 3600
            while asyncio.get_running_loop().time() < until:
                await asyncio.sleep(0.05)
                pages += rig.publisher.page is not page
                page = rig.publisher.page
            assert len(rig.reader.calls) - polls == 2 * 3 * 12
            assert pages == 2 * 12

    run(scenario())
