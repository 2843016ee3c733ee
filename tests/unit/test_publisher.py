"""What is made anew when something changes, and what is not."""

from __future__ import annotations

import asyncio

from exporter.metrics.catalog import ATTEMPTS, SPECS
from exporter.metrics.render import Format
from exporter.page.pending import CONFIRMATION_DELAY
from exporter.page.pieces import Encoding
from exporter.page.publisher import HEARTBEAT
from exporter.pb import billing_pb2 as pb
from support.reader import INVOICES, config, organization
from support.rig import Rig
from support.virtual import run


def test_without_a_change_the_page_is_the_same_bytes_but_for_our_own_metrics() -> None:
    """A heartbeat renders, joins and compresses nothing of any organization."""
    rig = Rig(config(*(organization(f"{n:03}", interval=1e6) for n in range(250))))

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            before = rig.publisher.page
            await asyncio.sleep(5)
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
            await asyncio.sleep(60 + CONFIRMATION_DELAY + HEARTBEAT)
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
