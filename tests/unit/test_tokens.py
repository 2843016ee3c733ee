"""When a key logs in and when it does not, in virtual time."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.billing import BillingError
from exporter.api.claims import Lifetime, expiry, lifetime
from exporter.api.key_files import Revealed
from exporter.api.tokens import LONGEST_PAUSE, MAX_TOKEN_BYTES, Call, Tokens
from exporter.model import ApiKey, Cause, Secret
from support.virtual import START, VirtualClock, run

KEY = ApiKey("key-id", secret=Secret("key"))
USAGE, INVOICES = "GetCurrentMonthUsage", "GetInvoicesSummary"


def refused(rpc: str) -> BillingError:
    """Return what becomes of UNAUTHENTICATED."""
    return BillingError(Cause.CREDENTIALS, "UNAUTHENTICATED", f"{rpc}: refused")


def jwt(**claims: Any) -> str:
    """Return a token with claims."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.signature"


@dataclass
class Server:
    """Grants tokens `1`, `2`, … and refuses what it is told to refuse."""

    key: str = "key"  # that it knows
    file: str = "key"  # what the key file holds
    clock: VirtualClock = field(default_factory=VirtualClock)
    logins: list[float] = field(default_factory=list)  # when
    calls: int = 0
    dead: set[str] = field(default_factory=set)
    refuses: Callable[[Call], bool] = lambda _: False
    grants: Callable[[int], str] = str
    delay: float = 0.1

    def __post_init__(self) -> None:
        self.tokens = Tokens(self._reveal, self._authenticate, carry=str, clock=self.clock)

    async def _reveal(self, _: ApiKey) -> Revealed:
        return Revealed("id", Secret(self.file))

    async def _authenticate(self, revealed: Revealed) -> str:
        self.logins.append(self.clock.monotonic())
        await asyncio.sleep(self.delay)
        if revealed.key.reveal() != self.key:
            raise refused("Authenticate")
        return self.grants(len(self.logins))

    async def ask(self, rpc: str = USAGE, org_id: str = "o1") -> str:
        """Make a call, and return the token that it was made with."""
        call = Call(rpc, org_id)

        async def make(token: str) -> str:
            self.calls += 1
            await asyncio.sleep(self.delay)
            if token in self.dead or self.refuses(call):
                raise refused(rpc)
            return token

        return await self.tokens.call(call, KEY, make)

    async def fails(self, rpc: str = USAGE, org_id: str = "o1") -> BillingError:
        """Make a call that is refused, and return its error."""
        with pytest.raises(BillingError) as caught:
            await self.ask(rpc, org_id)
        assert caught.value.cause is Cause.CREDENTIALS
        return caught.value


def raising(error: BillingError) -> Callable[[int], str]:
    """Return what grants no token, but fails."""

    def grant(_: int) -> str:
        raise error

    return grant


def in_virtual_time(scenario: Callable[[Server], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario before a server."""
    run(scenario(Server()))


def test_a_call_that_is_refused_pauses_logins_longer_and_longer() -> None:
    """One login at once, then a pause of 1 s that doubles up to a minute, however many ask."""

    async def scenario(server: Server) -> None:
        assert await server.ask() == "1"
        server.refuses = lambda call: call.rpc == INVOICES
        while server.clock.monotonic() < 400:
            asked = [server.fails(INVOICES, f"o{n}") for n in range(5)]
            await asyncio.gather(*asked, server.ask())
        gaps = [round(b - a) for a, b in pairwise(server.logins[1:])]
        assert gaps[:6] == [1, 2, 4, 8, 16, 32]
        assert set(gaps[6:]) == {60}

    in_virtual_time(scenario)


def test_polls_fail_as_credentials_while_a_key_pauses_and_say_for_how_long() -> None:
    """So that the next one can come when a login may help again."""

    async def scenario(server: Server) -> None:
        server.refuses = lambda call: call.rpc == INVOICES
        assert 0.9 < (await server.fails(INVOICES)).pause <= 1.0
        error = await server.fails(INVOICES, "o2")
        assert 0.0 < error.pause < 1.0
        assert str(error) == f"{INVOICES}: refused"
        assert len(server.logins) == 2

    in_virtual_time(scenario)


def test_a_success_of_the_call_that_was_refused_ends_the_pauses() -> None:
    """Of that call for that organization; what succeeds beside it says nothing."""

    async def scenario(server: Server) -> None:
        server.refuses = lambda call: call.org_id == "o1"
        while len(server.logins) < 6:
            await server.fails()
        await server.ask(USAGE, "o2")
        await server.fails()
        assert len(server.logins) == 6, "still in its pause of 16 s"
        server.refuses = lambda _: False
        await server.ask()
        server.refuses = lambda call: call.org_id == "o1"
        await server.fails()
        assert len(server.logins) == 7, "a login at once"
        assert (await server.fails()).pause <= 1.0, "and the first pause again"

    in_virtual_time(scenario)


def test_a_changed_key_file_ends_the_pauses() -> None:
    """Of a token that is refused, and of a login that is."""

    async def scenario(server: Server) -> None:
        server.refuses = lambda _: True
        for _ in range(20):
            await server.fails()
        logins = len(server.logins)
        server.refuses = lambda _: False
        server.dead = {str(n) for n in range(logins + 1)}
        await server.fails()
        assert len(server.logins) == logins
        server.key = server.file = "another"
        assert await server.ask() == str(logins + 1)
        server.key, server.dead = "a third", {str(logins + 1)}
        for _ in range(100):
            await server.fails()
        server.file = "a third"
        assert await server.ask()

    in_virtual_time(scenario)


def test_a_key_whose_logins_are_refused_pauses_too() -> None:
    """A second one at once, for the first may be a slip; the fleet behind a wrong key waits."""

    async def scenario(server: Server) -> None:
        server.key = "another"
        while server.clock.monotonic() < 300:
            await asyncio.gather(*(server.fails(USAGE, f"o{n}") for n in range(5)))
            await asyncio.sleep(0.2)
        gaps = [round(b - a) for a, b in pairwise(server.logins)]
        assert gaps[:7] == [0, 1, 2, 4, 8, 16, 32]
        assert set(gaps[7:]) == {60}
        assert server.calls == 0
        server.key = "key"
        await asyncio.sleep(LONGEST_PAUSE)
        await server.ask()

    in_virtual_time(scenario)


def test_a_server_that_asks_to_wait_with_a_login_is_asked_by_nobody_meanwhile() -> None:
    """However many use the key; but a reload, or another key, asks once."""
    busy = BillingError(Cause.OUTAGE, "UNAVAILABLE", "busy", transient=True, retry_after=3600.0)

    async def scenario(server: Server) -> None:
        grants, server.grants = server.grants, raising(busy)
        waits = []
        for _ in range(10):
            errors = await asyncio.gather(*(fails(server) for _ in range(3)))
            waits += [error.retry_after for error in errors]
            await asyncio.sleep(60)
        assert len(server.logins) == 1
        assert waits[0] == 3600.0
        assert waits[-1] == pytest.approx(3600 - 9 * 60, abs=2)
        server.tokens.ask_now()
        await fails(server)
        await fails(server)
        assert len(server.logins) == 2
        server.key = server.file = "another"
        await fails(server)
        await fails(server)
        assert len(server.logins) == 3
        await asyncio.sleep(3600)
        server.grants = grants
        assert await server.ask() == "4"

    async def fails(server: Server) -> BillingError:
        with pytest.raises(BillingError, match="busy") as caught:
            await server.ask()
        return caught.value

    in_virtual_time(scenario)


def test_an_expired_token_costs_one_login_and_no_failed_call() -> None:
    """For all who use it, again and again, and in the pauses of another call, too."""

    async def scenario(server: Server) -> None:
        server.refuses = lambda call: call.rpc == INVOICES
        for round_ in range(1, 50):
            await server.fails(INVOICES)
            await asyncio.gather(*(server.ask(USAGE, f"o{n}") for n in range(20)))
            logins = len(server.logins)
            server.dead.add(str(logins))
            assert {*await asyncio.gather(*(server.ask(USAGE, f"o{n}") for n in range(20)))} == {
                str(logins + 1)
            }, round_
            assert len(server.logins) == logins + 1

    in_virtual_time(scenario)


def test_a_token_past_its_own_exp_is_replaced_at_once() -> None:
    """No call is made with it, in a pause neither."""

    async def scenario(server: Server) -> None:
        server.grants = lambda n: jwt(exp=START + n * 100, sub=n)
        first = await server.ask()
        await asyncio.sleep(50)
        assert await server.ask() == first
        server.refuses = lambda call: call.rpc == INVOICES
        await server.fails(INVOICES)
        await asyncio.sleep(50)
        calls, logins = server.calls, len(server.logins)
        await asyncio.sleep(100)
        await server.ask()
        assert (server.calls, len(server.logins)) == (calls + 1, logins + 1)

    in_virtual_time(scenario)


def test_a_clock_that_is_wrong_does_not_make_every_call_log_in() -> None:
    """The exp of a token that is past it when it comes is not believed."""

    async def scenario(server: Server) -> None:
        server.grants = lambda _: jwt(exp=START + 3600)
        await server.ask()
        server.clock.jump(10 * 365 * 86_400.0)
        for _ in range(10):
            await server.ask()
        assert len(server.logins) == 2

    in_virtual_time(scenario)


def test_a_login_under_way_with_another_key_is_not_waited_for() -> None:
    """A reload may bring a key that is right."""

    async def scenario(server: Server) -> None:
        server.delay = 1.0
        waiting = asyncio.create_task(server.ask())
        await asyncio.sleep(0.5)

        async def make(_: str) -> None:
            pass

        other = ApiKey(KEY.id, secret=Secret("another"))
        await server.tokens.call(Call(USAGE, "o1"), other, make)
        assert len(server.logins) == 2
        await waiting

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    "token",
    ["", "x\ny", "x\0y", "t\u00f6k", "\x7f", "\t", "x" * (MAX_TOKEN_BYTES + 1), "\U0001f511"],
    ids=["empty", "line end", "NUL", "not ASCII", "DEL", "tab", "too long", "astral"],
)
def test_a_token_that_cannot_be_sent_is_an_invalid_answer(token: str) -> None:
    """Empty, longer than 64 KiB, or not printable ASCII: it fails the key's calls, no more."""

    async def scenario(server: Server) -> None:
        server.grants = lambda _: token
        for _ in range(3):
            with pytest.raises(BillingError) as caught:
                await server.ask()
            assert (caught.value.cause, caught.value.transient) == (Cause.INVALID_ANSWER, False)
        assert server.calls == 0
        await asyncio.sleep(LONGEST_PAUSE)
        server.grants = lambda _: "x" * MAX_TOKEN_BYTES
        assert await server.ask()

    in_virtual_time(scenario)


CLAIMS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.just("exp") | st.text(), inner),
)


@given(st.one_of(st.text(), st.binary().map(repr), CLAIMS.map(lambda each: jwt(exp=each))))
def test_any_token_has_an_expiry_or_none(token: str) -> None:
    """What is in it is the server's affair: no exception comes of it."""
    assert isinstance(expiry(token), float)
    assert isinstance(lifetime(token), Lifetime)


@pytest.mark.parametrize(
    "payload",
    [b"[" * 40_000, b'{"exp": ' + b"9" * 4000 + b"}", b'{"exp": ' + b"9" * 5000 + b"}", b"\xff"],
    ids=["deep", "large", "larger", "no text"],
)
def test_a_token_s_claims_may_be_anything(payload: bytes) -> None:
    """As above, for what chance does not find."""
    encoded = base64.urlsafe_b64encode(payload).decode()
    assert expiry(f"a.{encoded}.b") == float("inf")


@pytest.mark.parametrize(
    ("token", "says"),
    [
        (jwt(iat=1_700_000_000, exp=1_700_003_600, sub="somebody"), Lifetime(True, 3600.0)),
        (jwt(exp=1_700_003_600), Lifetime(True, None)),
        (jwt(iat="now", exp=True), Lifetime(True, None)),
        (jwt(iat=0, exp=float("inf")), Lifetime(True, None)),
        ("opaque", Lifetime(False, None)),
        ("a.b.c", Lifetime(False, None)),
    ],
)
def test_a_token_tells_its_lifetime_and_nothing_else(token: str, says: Lifetime) -> None:
    """From `iat` to `exp`, if both are numbers."""
    assert lifetime(token) == says
