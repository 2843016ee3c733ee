"""What a poll does after a failure, in virtual time."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.api.billing import BillingError
from exporter.config import ApiConfig
from exporter.model import Cause
from exporter.state.budget import Budget
from exporter.state.storage import Storage
from support.reader import OUTAGE, USAGE, FakeReader, config, organization
from support.rig import Rig
from support.virtual import START, VirtualClock, run

DAY = 86_400.0
REFUSED = BillingError(Cause.PERMISSION, "PERMISSION_DENIED", "no owner")


def asked(rig: Rig) -> list[float]:
    """Return when usage was asked for."""
    return rig.reader.times(USAGE, "o1")


def polling(rig: Rig, seconds: float) -> None:
    """Poll for a while."""

    async def scenario() -> None:
        async with rig.running(publishing=False):
            await asyncio.sleep(seconds)
        await rig.publisher.publish()

    run(scenario())


def test_a_transient_failure_is_retried_at_once_and_never_seen() -> None:
    """One lost connection is weather: the poll goes on and succeeds."""
    rig = Rig(config(organization(interval=600.0)))
    rig.reader.answers[USAGE] = OUTAGE

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(0.2)
            rig.reader.answers[USAGE] = b""
            await asyncio.sleep(5)
            assert rig.value("viam_billing_up") == 1.0
            assert 0.2 < asked(rig)[1] <= 1.0

    with capture_logs() as logs:
        run(scenario())
    assert [entry for entry in logs if entry["event"] == "poll failed"] == []


def test_retries_are_bounded_and_back_off() -> None:
    """Two, the second later than the first; then the failure is shown until the next turn."""
    rig = Rig(config(organization(interval=600.0)))
    rig.reader.answers[USAGE] = OUTAGE
    polling(rig, 590.0)
    first, second, third, *others = asked(rig)
    assert (second - first, third - second) == (0.5, 1.0)  # with the random number 0.5
    assert len(others) <= 1, "after that the poll at its turn, without retries"
    failing = rig.values("viam_billing_collector_failure", "collector", "cause")
    assert failing == {("usage", "outage"): 1.0}


def test_the_server_s_own_delay_is_kept() -> None:
    """RetryInfo and retry-after count, for a retry and for the turn after."""
    rig = Rig(config(organization(interval=600.0)))
    busy = BillingError(
        Cause.THROTTLED, "RESOURCE_EXHAUSTED", "busy", transient=True, retry_after=45.0
    )
    rig.reader.answers[USAGE] = busy
    polling(rig, 300.0)
    assert all(later - earlier >= 45.0 for earlier, later in pairwise(asked(rig)))
    later = Rig(config(organization(interval=60.0)))
    later.reader.answers[USAGE] = BillingError(
        Cause.THROTTLED, "RESOURCE_EXHAUSTED", "busy", transient=True, retry_after=1000.0
    )
    polling(later, 1100.0)
    first, second = asked(later)
    assert second - first >= 1000.0


RETRY = "viam_billing_collector_retry_timestamp_seconds"


def busy(retry_after: float) -> BillingError:
    """Return the error of a server that asks to wait."""
    return BillingError(
        Cause.THROTTLED, "RESOURCE_EXHAUSTED", "busy", transient=True, retry_after=retry_after
    )


@pytest.mark.parametrize(
    ("asked_for", "waits"),
    [(45.0, 45.0), (5000.0, 5000.0), (315_360_000.0, DAY)],
    ids=["a retry", "a turn", "ten years"],
)
def test_until_when_the_server_keeps_a_poll_waiting_is_a_metric(
    asked_for: float, waits: float
) -> None:
    """That is when it is made; the metric is absent before, and after it."""
    rig = Rig(config(organization(interval=600.0)))
    rig.reader.answers[USAGE] = busy(asked_for)

    async def scenario() -> None:
        async with rig.running(publishing=False):
            assert rig.values(RETRY) == {}
            await asyncio.sleep(5)
            await rig.publisher.publish()
            held = rig.values(RETRY, "org_id", "collector")
            assert held == {("o1", "usage"): pytest.approx(START + waits)}
            rig.reader.answers[USAGE] = b""
            await asyncio.sleep(waits)
            await rig.publisher.publish()
            assert asked(rig)[1] == pytest.approx(waits)
            assert rig.values(RETRY) == {}

    run(scenario())


def test_a_delay_that_ends_before_the_next_turn_keeps_nothing_waiting() -> None:
    """Then the metric is absent: the poll waits for its turn."""
    rig = Rig(config(organization(interval=600.0)))
    rig.reader.answers[USAGE] = BillingError(
        Cause.PERMISSION, "PERMISSION_DENIED", "no", retry_after=1.0
    )
    polling(rig, 5.0)
    assert rig.values("viam_billing_collector_failure", "collector") == {("usage",): 1.0}
    assert rig.values(RETRY) == {}


def test_a_reload_asks_once_whatever_the_server_asked_for() -> None:
    """At once, and not again if it still says so; what waits for its turn is left alone."""
    rig = Rig(config(organization(interval=600.0)))
    rig.reader.answers[USAGE] = busy(315_360_000.0)

    async def scenario() -> None:
        async with rig.running(publishing=False):
            await asyncio.sleep(1000)
            await rig.poller.configure(config(organization(interval=300.0)), rig.reader)
            await asyncio.sleep(1000)
            assert len(asked(rig)) == 1, "what discovery finds is no reload"
            others = len(rig.reader.calls)
            rig.poller.ask_now()
            await asyncio.sleep(1)
            assert len(rig.reader.calls) == others + 1
            await asyncio.sleep(1000)
            assert len(asked(rig)) == 2
            await rig.publisher.publish()
            assert rig.value(RETRY) == pytest.approx(asked(rig)[-1] + rig.clock.offset + DAY)
            rig.reader.answers[USAGE] = b""
            rig.poller.ask_now()
            await asyncio.sleep(1)
            await rig.publisher.publish()
            assert rig.value("viam_billing_up") == 1.0
            assert rig.value(RETRY) is None
            rig.poller.ask_now()
            await asyncio.sleep(1)
            assert len(asked(rig)) == 3

    run(scenario())


def test_a_refusal_is_not_retried_and_slows_down() -> None:
    """Up to two intervals, or a minute: no more, so that a mended key is found in time."""
    rig = Rig(config(organization(interval=10.0, max_age=1e6)))
    rig.reader.answers[USAGE] = REFUSED
    polling(rig, 600.0)
    gaps = [later - earlier for earlier, later in pairwise(asked(rig))]
    assert min(gaps[4:]) >= 40.0
    assert max(gaps) <= 66.0
    slow = Rig(config(organization(interval=1000.0, max_age=1e6)))
    slow.reader.answers[USAGE] = REFUSED
    polling(slow, 12_000.0)
    gaps = [later - earlier for earlier, later in pairwise(asked(slow))]
    assert max(gaps) <= 2000.0
    assert min(gaps[2:]) >= 1500.0


def test_a_success_ends_the_slow_down() -> None:
    """The next turns are the usual ones."""
    rig = Rig(config(organization(interval=10.0)))
    rig.reader.answers[USAGE] = REFUSED

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(300)
            rig.reader.answers[USAGE] = b""
            await asyncio.sleep(60)
            assert rig.value("viam_billing_up") == 1.0
            before = len(asked(rig))
            await asyncio.sleep(100)
            assert len(asked(rig)) - before == 10

    run(scenario())


# --- The daily ceiling ---


class CountingReader(FakeReader):
    """Asks a budget before each call, as the client does."""

    budget: Budget

    async def read(self, *what: object) -> bytes:
        """Take a request, then answer."""
        await self.budget.take()
        return await super().read(*what)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [300, 3000])
def test_polls_are_spread_to_fit_the_ceiling(tmp_path: Path, limit: int) -> None:
    """The interval is as long as it has to be, and max_age and the metric follow."""
    organizations = [organization(f"o{n}", interval=900.0, max_age=3600.0) for n in range(20)]
    reader = CountingReader()
    clock = VirtualClock()
    clock.offset -= clock.offset % DAY  # from midnight on
    api = ApiConfig(max_requests_per_day=limit)

    async def scenario() -> None:
        configured = config(*organizations, api=api)
        async with Rig.stored(tmp_path / "s", configured, reader, clock) as rig:
            assert rig.storage is not None
            reader.budget = Budget(limit, rig.storage, rig.telemetry, clock)
            async with rig.running(publishing=False):
                await asyncio.sleep(DAY - 1)
            await rig.publisher.publish()
            effective = rig.values("viam_billing_poll_interval_seconds", "org_id")[("o1",)]
            assert effective == max(900.0, 20 * 3 * DAY / (limit * 0.8))
            assert rig.value("viam_billing_exporter_api_requests_limit") == limit
            remaining = rig.value("viam_billing_exporter_api_requests_remaining")
            assert remaining == limit - len(reader.calls) >= 0
            state = rig.store.get("o1")
            assert state is not None
            assert state.organization.max_age == 4 * effective
        per_hour = [
            sum(hour * 3600 <= at < hour * 3600 + 3600 for at, *_ in reader.calls)
            for hour in range(1, 24)
        ]
        assert max(per_hour) <= 2 * max(1, limit / 24)

    run(scenario())


def test_the_ceiling_is_hard_and_says_so(tmp_path: Path) -> None:
    """Whatever is asked, also by many restarts and kills within a day; tomorrow is another day."""
    clock = VirtualClock()
    clock.offset -= clock.offset % DAY
    taken = 0

    async def scenario() -> None:
        nonlocal taken
        rig = Rig(config())
        for _ in range(40):
            storage = await asyncio.to_thread(Storage, tmp_path / "s")
            budget = Budget(1000, storage, rig.telemetry, clock)
            try:
                for _ in range(37):
                    await budget.take()
                    taken += 1
            except BillingError as error:
                assert (error.cause, error.code) == (Cause.THROTTLED, "DAILY_LIMIT")  # noqa: PT017
            await asyncio.to_thread(storage.close)  # what was reserved and not used is lost
        assert 800 < taken <= 1000
        await asyncio.sleep(DAY)
        storage = await asyncio.to_thread(Storage, tmp_path / "s")
        await Budget(1000, storage, rig.telemetry, clock).take()
        await asyncio.to_thread(storage.close)

    run(scenario())


def test_a_clock_that_is_set_back_gives_no_second_day(tmp_path: Path) -> None:
    """The ceiling is of the later day until that is over."""
    clock = VirtualClock()

    async def scenario() -> None:
        rig = Rig(config())
        storage = await asyncio.to_thread(Storage, tmp_path / "s")
        budget = Budget(10, storage, rig.telemetry, clock)
        for _ in range(10):
            await budget.take()
        clock.jump(-DAY)
        with pytest.raises(BillingError, match="used up"):
            await budget.take()
        await asyncio.to_thread(storage.close)

    run(scenario())


def test_a_clock_that_stood_decades_ahead_stops_no_requests(tmp_path: Path) -> None:
    """Neither in the process that saw it nor in the next; those of the right day still count."""
    clock = VirtualClock()

    async def scenario() -> None:
        rig = Rig(config())
        storage = Storage(tmp_path / "s")
        budget = Budget(10, storage, rig.telemetry, clock)
        for _ in range(4):
            await budget.take()
        clock.jump(70 * 365 * DAY)
        for _ in range(10):
            await budget.take()
        clock.jump(-70 * 365 * DAY)
        for _ in range(3):
            await budget.take()
        await asyncio.to_thread(storage.close)
        storage = Storage(tmp_path / "s")
        budget = Budget(10, storage, rig.telemetry, clock)
        for _ in range(3):
            await budget.take()
        with pytest.raises(BillingError, match="used up"):
            await budget.take()
        await asyncio.to_thread(storage.close)

    run(scenario())


def test_a_ceiling_without_a_storage_lets_nothing_through() -> None:
    """It is hard: what cannot be counted is not sent, and the polls say why."""

    async def scenario() -> None:
        rig = Rig(config())
        budget = Budget(10, None, rig.telemetry, rig.clock)
        await budget.look()
        with pytest.raises(BillingError, match="no request can be reserved: there is no storage"):
            await budget.take()
        metrics = (await asyncio.to_thread(rig.telemetry.text)).decode()
        assert "viam_billing_exporter_api_requests_remaining 0.0" in metrics

    run(scenario())


def test_what_is_left_is_known_before_the_first_request(tmp_path: Path) -> None:
    """The metrics are there from the start; a ceiling that is used up costs the disk nothing."""
    clock = VirtualClock()

    async def scenario() -> None:
        rig = Rig(config())
        storage = await asyncio.to_thread(Storage, tmp_path / "s")
        budget = Budget(1000, storage, rig.telemetry, clock)
        await budget.look()
        metrics = (await asyncio.to_thread(rig.telemetry.text)).decode()
        assert "viam_billing_exporter_api_requests_limit 1000.0" in metrics
        assert "viam_billing_exporter_api_requests_remaining 1000.0" in metrics
        for _ in range(1000):
            await budget.take()
        await asyncio.to_thread(storage.close)  # so that touching it would be an error
        with pytest.raises(BillingError, match="used up"):
            await budget.take()

    run(scenario())
