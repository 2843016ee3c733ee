"""Polls that wait for their key to log in, in virtual time: who goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.api.key_files import Revealed
from exporter.api.tokens import Call, Tokens
from exporter.config import Config
from exporter.model import ApiKey, Cause, Secret
from support.reader import OUTAGE, USAGE, FakeReader, config, organization
from support.rig import Rig
from support.virtual import VirtualClock, run

HUNG, GOOD = "hung", "good"
TIMEOUT = 20.0


class LoginReader(FakeReader):
    """Has keys log in first, as the client does. Those of `hung` get no answer in time."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.tokens = Tokens(self._reveal, self._authenticate, carry=str, clock=clock)
        self.hung: set[str] = set()
        self.logins: Counter[str] = Counter()
        self.under_way = 0
        self.most_under_way = 0

    async def _reveal(self, key: ApiKey) -> Revealed:
        assert key.secret is not None
        return Revealed(key.id, key.secret)

    async def _authenticate(self, revealed: Revealed) -> str:
        key_id = revealed.id
        self.logins[key_id] += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if key_id in self.hung:
                await asyncio.sleep(TIMEOUT)
                raise OUTAGE
            await asyncio.sleep(0.1)
            return "token"
        finally:
            self.under_way -= 1

    async def read_at_once(self, *what: Any) -> bytes:
        """Answer as told, with a token."""
        rpc, org_id, key = what

        async def make(_: str) -> bytes:
            return await self.read(rpc, org_id, key)

        return await self.tokens.attempt(Call(rpc, org_id), key, make)


def key(key_id: str, value: str = "key") -> ApiKey:
    """Return a key."""
    return ApiKey(key_id, secret=Secret(value))


def joined(settings: Config) -> tuple[Rig, LoginReader]:
    """Return the exporter, and what it reads from."""
    clock = VirtualClock()
    reader = LoginReader(clock)
    return Rig(settings, reader, clock=clock), reader


def fleet(hung: int, **changes: Any) -> Config:
    """Return a configuration of organizations whose keys hang, and after them five good ones."""
    keys = [f"{HUNG}-{n}" for n in range(hung)] + [f"{GOOD}-{n}" for n in range(5)]
    return config(*(organization(each, api_key=key(each)) for each in keys), **changes)


def test_keys_that_hang_hold_no_place() -> None:
    """With 200 of them, five good ones are polled soon after the start, and at each turn."""
    settings = fleet(200)
    rig, reader = joined(settings)
    reader.hung = {each.id for each in settings.organizations if each.id.startswith(HUNG)}

    async def scenario() -> None:
        async with rig.running(publishing=False):
            await asyncio.sleep(10)
            good = [f"{GOOD}-{n}" for n in range(5)]
            assert all(reader.times(rpc, each) for each in good for rpc in ReadRpc)
            await asyncio.sleep(590)
            assert all(len(reader.times(rpc, each)) == 11 for each in good for rpc in ReadRpc)
        await rig.publisher.publish()
        up = rig.values("viam_billing_up", "org_id")
        assert [org_id for (org_id,), value in up.items() if value] == good
        assert len(up) == 205

    run(scenario())


def test_logins_are_within_the_concurrency_while_they_take_no_longer_than_they_should() -> None:
    """A fleet that starts, with a key for each organization, floods nobody."""
    rig, reader = joined(fleet(200, max_concurrency=4))

    async def scenario() -> None:
        async with rig.running(publishing=False):
            await asyncio.sleep(60)
        assert set(reader.logins.values()) == {1}
        assert len(reader.logins) == 205
        assert reader.most_under_way <= 4
        assert reader.most_in_flight <= 4

    run(scenario())


def test_a_login_that_fails_fails_all_polls_that_wait_for_it() -> None:
    """One login for them all, and each knows why soon, however many share the key."""
    shared = [organization(f"o{n}", api_key=key(HUNG), interval=600.0) for n in range(50)]
    rig, reader = joined(config(*shared, max_concurrency=2))
    reader.hung = {HUNG}

    async def scenario() -> None:
        async with rig.running(publishing=False):
            # Two retries, as after any outage.
            await asyncio.sleep(3 * TIMEOUT + 5)
            await rig.publisher.publish()
            failing = rig.values("viam_billing_collector_failure", "org_id", "collector", "cause")
            assert len(failing) == 150
            assert {cause for _, _, cause in failing} == {Cause.OUTAGE}
            assert reader.logins[HUNG] <= 6

    run(scenario())


def test_a_token_that_is_refused_is_waited_for_without_a_place_too() -> None:
    """An expired token, and then a login that hangs: one place is enough for the others."""
    other = organization(GOOD, api_key=key(GOOD))
    rig, reader = joined(config(organization(HUNG, api_key=key(HUNG)), other, max_concurrency=1))

    async def scenario() -> None:
        async with rig.running(publishing=False):
            await asyncio.sleep(60)
            reader.hung = {HUNG}
            refusal = BillingError(Cause.CREDENTIALS, "UNAUTHENTICATED", "refused")
            reader.answers |= {(rpc, HUNG): refusal for rpc in ReadRpc}
            before = len(reader.times(USAGE, GOOD))
            await asyncio.sleep(600)
            assert len(reader.times(USAGE, GOOD)) - before == 10
            reader.hung = set()
            reader.answers |= {(rpc, HUNG): b"" for rpc in ReadRpc}
            await asyncio.sleep(120)
            await rig.publisher.publish()
            assert set(rig.values("viam_billing_up", "org_id").values()) == {1.0}

    run(scenario())


def test_a_reload_gives_up_logins_that_it_concerns() -> None:
    """The new key is tried at once, and what left is forgotten; no unit is polled twice."""
    settings = config(
        *(organization(each, api_key=key(HUNG)) for each in ("stays", "leaves")),
        organization("other", api_key=key(f"{HUNG}-too")),
    )
    rig, reader = joined(settings)
    reader.hung = {HUNG, f"{HUNG}-too"}

    async def scenario() -> None:
        async with rig.running(publishing=False):
            await asyncio.sleep(5)
            assert reader.logins == {HUNG: 1, f"{HUNG}-too": 1}
            assert rig.poller.progress.under_way == 9
            reader.hung.discard(HUNG)
            after = config(
                organization("stays", api_key=key(HUNG, "another")), settings.organizations[-1]
            )
            await rig.poller.configure(after, reader)
            await asyncio.sleep(5)
            assert reader.times(USAGE, "stays")
            assert not reader.times(USAGE, "leaves")
            assert reader.logins == {HUNG: 2, f"{HUNG}-too": 1}
            assert rig.poller.progress.under_way == 3
            await asyncio.sleep(600)
            assert reader.overlaps == 0
            assert len(reader.times(USAGE, "stays")) == 11

    run(scenario())
