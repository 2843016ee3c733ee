"""A token for each API key: when a key logs in, and when it does not.

A token that is refused is replaced at once, once for all who use it. If the one that comes is
refused, too, another login is of no use yet, and each costs the server work: the key pauses before
the next one. The same goes for a login that is itself refused again. If the server asks to wait
with a login, all who use the key wait.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, NamedTuple, TypeVar

from exporter.api.billing import BillingError, TokenNeeded, invalid
from exporter.api.calls import AUTHENTICATE
from exporter.api.claims import Lifetime, expiry, lifetime
from exporter.api.key_files import Revealed
from exporter.api.retries import LONGEST_DELAY
from exporter.model import ApiKey, Cause, Clock

T = TypeVar("T")
MetadataT = TypeVar("MetadataT")

MAX_TOKEN_BYTES: Final = 64 * 1024
FIRST_PAUSE: Final = 1.0  # seconds; doubles with each login that was of no use
LONGEST_PAUSE: Final = 60.0  # seconds
# Seconds that a token must have left when it comes for its `exp` to be believed: a clock that is
# wrong, here or there, must not make every call log in.
SHORTEST_LIFE: Final = 1.0
# A login holds the place of the call that needs it for so many seconds, which is as long as most
# take, and none after that: one that hangs must not keep calls with other keys from being made.
LOGIN_PLACE: Final = 0.25


class Call(NamedTuple):
    """What is refused or not, each on its own."""

    rpc: str  # bare name
    org_id: str


class Token(Generic[MetadataT]):
    """What an API key was exchanged for, as calls carry it."""

    __slots__ = ("accepted", "expires", "lifetime", "metadata", "refused")

    def __init__(
        self, metadata: MetadataT, expires: float, lifetime: Lifetime | None = None
    ) -> None:
        self.metadata = metadata
        self.expires = expires  # Unix seconds
        self.lifetime = lifetime  # by its own words
        self.refused = False  # by a call that had it made
        self.accepted: set[Call] = set()  # by which calls, noted while its key is in trouble


@dataclass(slots=True)
class _Key(Generic[MetadataT]):
    """What is known of an API key."""

    token: Token[MetadataT] | None = None
    revealed: Revealed | None = None  # that it logged in with last
    login: tuple[ApiKey, asyncio.Task[None]] | None = None  # under way
    failure: BillingError | None = None  # of the last login, if the server refused it
    refused: set[Call] = field(default_factory=set)  # calls that refuse tokens however new
    pause: float = 0.0  # seconds, the last one; 0 without trouble
    paused_until: float = -math.inf  # by the monotonic clock
    put_off: BillingError | None = None  # the last login, if the server asked to wait
    put_off_until: float = -math.inf  # by the monotonic clock

    def lengthen_pause(self, now: float) -> None:
        """Pause, for twice as long as the last time."""
        self.pause = min(2 * self.pause or FIRST_PAUSE, LONGEST_PAUSE)
        self.paused_until = now + self.pause

    def end_pause(self) -> None:
        """Forget that there was trouble."""
        self.pause, self.paused_until, self.failure = 0.0, -math.inf, None
        self.put_off = None
        self.refused.clear()


class Tokens(Generic[MetadataT]):
    """The tokens of all keys, by id: organizations that use one key share its token."""

    def __init__(
        self,
        reveal: Callable[[ApiKey], Awaitable[Revealed]],
        authenticate: Callable[[Revealed], Awaitable[str]],
        *,
        carry: Callable[[str], MetadataT],
        clock: Clock,
    ) -> None:
        """`reveal` returns a key's id and the key itself, `authenticate` the token for them.

        Both raise BillingError. `carry` returns a token as calls carry it: something that does
        not show it.
        """
        self._carry = carry
        self._reveal = reveal
        self._authenticate = authenticate
        self._clock = clock
        # Nothing that shows a secret: in its debug mode, asyncio logs the results of tasks.
        self._keys: dict[str, _Key[MetadataT]] = {}  # by id

    async def call(
        self, call: Call, api_key: ApiKey, make: Callable[[MetadataT], Awaitable[T]]
    ) -> T:
        """Return what `make` does with a token, logging in as that needs. Raises BillingError."""
        attempt: Callable[[], Awaitable[T]] = partial(self.attempt, call, api_key, make)
        while True:  # thrice at most: without a token, with one, and with the one in its place
            try:
                return await attempt()
            except TokenNeeded as needed:
                attempt, log_in = needed.again, needed.log_in
            await log_in()

    async def attempt(
        self, call: Call, api_key: ApiKey, make: Callable[[MetadataT], Awaitable[T]]
    ) -> T:
        """Return what `make` does with a token. Raises BillingError, or TokenNeeded."""
        token = self._key(api_key).token
        if token is None or self._is_past(token):
            raise self._needed(call, api_key, make, token, replaced=False)
        return await self._attempt(call, api_key, make, replaced=False)

    async def _attempt(
        self,
        call: Call,
        api_key: ApiKey,
        make: Callable[[MetadataT], Awaitable[T]],
        *,
        replaced: bool,
    ) -> T:
        """Make a call with the token that there is, which may have `replaced` one it refused."""
        key = self._key(api_key)
        while True:
            token = key.token
            if token is None:
                raise self._needed(call, api_key, make, None, replaced=replaced)
            try:
                result = await make(token.metadata)
            except BillingError as error:
                if error.cause is not Cause.CREDENTIALS:
                    raise
                refusal = error.paused(0.0)  # without its traceback, which would refer to itself
            else:
                self._accept(key, token, call)
                return result
            if replaced:
                self._refuse(key, token, call)
            elif key.token is not token:  # another call has had it replaced already
                replaced = True
                continue
            elif await self._may_log_in(key, api_key, token, call):
                raise self._needed(call, api_key, make, token, replaced=True)
            raise refusal.paused(self._pause_left(key))

    def _needed(
        self,
        call: Call,
        api_key: ApiKey,
        make: Callable[[MetadataT], Awaitable[T]],
        token: Token[MetadataT] | None,
        *,
        replaced: bool,
    ) -> TokenNeeded:
        return TokenNeeded(
            log_in=lambda: self._log_in(api_key, token),
            again=lambda: self._attempt(call, api_key, make, replaced=replaced),
        )

    async def log_in(self, api_key: ApiKey) -> None:
        """Have a token for a key, so that the next call need not wait. Raises BillingError."""
        token = self._key(api_key).token
        if token is None or self._is_past(token):
            await self._log_in(api_key, token)

    def lifetime(self, api_key: ApiKey) -> Lifetime | None:
        """Return how long the token of a key says that it lives, None without a token."""
        token = self._key(api_key).token
        return None if token is None else token.lifetime

    def ask_now(self) -> None:
        """Log in once though the server asked to wait."""
        for key in self._keys.values():
            key.put_off = None

    def close(self) -> None:
        """Give up logins under way."""
        for key in self._keys.values():
            if key.login is not None:
                key.login[1].cancel()

    # --- Trouble ---

    def _accept(self, key: _Key[MetadataT], token: Token[MetadataT], call: Call) -> None:
        if key.pause:
            if call in key.refused:
                key.end_pause()
            else:
                token.accepted.add(call)

    def _refuse(self, key: _Key[MetadataT], token: Token[MetadataT], call: Call) -> None:
        """Take note that a call has refused a token and the one in its place."""
        key.refused.add(call)
        if key.token is token and not token.refused:  # once for all calls that refuse it
            token.refused = True
            key.lengthen_pause(self._clock.monotonic())

    async def _may_log_in(
        self, key: _Key[MetadataT], api_key: ApiKey, token: Token[MetadataT], call: Call
    ) -> bool:
        """Tell whether a login may help a call that refused a token."""
        if not self._pause_left(key) or call in token.accepted:  # which has expired since
            return True
        if await self._reveal(api_key) == key.revealed:
            return False
        key.end_pause()
        return True

    def _pause_left(self, key: _Key[MetadataT]) -> float:
        return max(0.0, key.paused_until - self._clock.monotonic())

    # --- Logins ---

    def _is_past(self, token: Token[MetadataT]) -> bool:
        return token.expires <= self._clock.time()

    def _key(self, api_key: ApiKey) -> _Key[MetadataT]:
        key = self._keys.get(api_key.id)
        if key is None:
            key = self._keys[api_key.id] = _Key()
        return key

    async def _log_in(self, api_key: ApiKey, instead_of: Token[MetadataT] | None) -> None:
        """Have a token in place of one, fetched once however many wait. Raises BillingError."""
        key = self._key(api_key)
        if key.token is not instead_of:
            return
        if key.login is None or key.login[0] != api_key:
            task = asyncio.create_task(self._fetch(key, api_key))
            key.login = api_key, task
            task.add_done_callback(lambda done: self._fetched(key, done))
        # Shielded: a waiting call that is cancelled must not take the others along.
        await asyncio.shield(key.login[1])

    def _fetched(self, key: _Key[MetadataT], task: asyncio.Task[None]) -> None:
        if key.login is not None and key.login[1] is task:
            key.login = None
        if not task.cancelled():
            task.exception()  # nobody may be left who waits for it

    async def _fetch(self, key: _Key[MetadataT], api_key: ApiKey) -> None:
        revealed = await self._reveal(api_key)
        if revealed != key.revealed:
            key.end_pause()
            key.revealed = revealed
        elif key.put_off is not None and (left := key.put_off_until - self._clock.monotonic()) > 0:
            raise key.put_off.paused(0.0, left)
        elif key.failure is not None and (left := self._pause_left(key)):
            raise key.failure.paused(left)
        try:
            token = self._token(await self._authenticate(revealed))
        except BillingError as error:
            refused = error.cause in (Cause.CREDENTIALS, Cause.INVALID_ANSWER)
            if refused and key.failure is not None:  # the first may be a slip
                key.lengthen_pause(self._clock.monotonic())
            if refused:
                key.failure = error.paused(0.0)
            if error.retry_after:
                delay = min(error.retry_after, LONGEST_DELAY)
                key.put_off, key.put_off_until = error.paused(0.0), self._clock.monotonic() + delay
            raise error.paused(self._pause_left(key)) from None
        key.token = token
        key.failure = key.put_off = None
        if not key.refused:
            key.end_pause()

    def _token(self, text: str) -> Token[MetadataT]:
        """Return a token as it can be sent. Raises BillingError."""
        if not text or len(text) > MAX_TOKEN_BYTES or not (text.isascii() and text.isprintable()):
            raise invalid(AUTHENTICATE.name, "has no token that can be sent")
        expires = expiry(text)
        believable = expires - self._clock.time() >= SHORTEST_LIFE
        return Token(self._carry(text), expires if believable else math.inf, lifetime(text))
