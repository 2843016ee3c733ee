"""What the exporter needs of the billing API, without saying how it is reached."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol, TypeVar

from google.protobuf.message import DecodeError, Message

from exporter.api import wire
from exporter.api.calls import ReadRpc
from exporter.model import ApiKey, Cause, Failure, FoundOrganization

T = TypeVar("T")
MessageT = TypeVar("MessageT", bound=Message)

# What takes a few milliseconds at most to be made into lines, whatever it holds. Most answers are
# brief; a thread costs a tenth of a millisecond, and others have to wait for its turns.
BRIEF: Final = 4096  # bytes


class BillingError(Exception):
    """A call that failed, or was not made, and no bug is the reason.

    The message is safe to show: it holds neither secrets nor text from an answer.
    """

    def __init__(
        self,
        cause: Cause,
        code: str,
        message: str,
        *,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.cause = cause
        # gRPC status name, or INVALID_ANSWER, KEY_FILE, DAILY_LIMIT or STORAGE.
        self.code = code
        self.transient = transient  # the same call may well succeed soon
        self.retry_after = retry_after  # seconds that the server asks to wait, if it does
        self.pause = (
            0.0  # seconds in which its key does not log in: until then, asking is of no use
        )

    @property
    def failure(self) -> Failure:
        """The error as what a poll leaves behind."""
        return Failure(self.cause, self.code, str(self))

    def paused(self, pause: float, retry_after: float | None = None) -> BillingError:
        """Return a copy with so many seconds of pause, and of what the server asks to wait."""
        error = BillingError(
            self.cause,
            self.code,
            str(self),
            transient=self.transient,
            retry_after=self.retry_after if retry_after is None else retry_after,
        )
        error.pause = pause
        return error


class TokenNeeded(Exception):  # noqa: N818 - no error
    """A call that goes on once its key has logged in.

    The caller can free its place for a call while the login is under way.
    """

    def __init__(
        self, log_in: Callable[[], Awaitable[None]], again: Callable[[], Awaitable[Any]]
    ) -> None:
        super().__init__()
        self.log_in = log_in  # returns once there is a token; raises BillingError
        self.again = again  # goes on with the call; may raise this again, but not for ever


def invalid(rpc: str, what: str) -> BillingError:
    """Return the error for an answer that is no good: `what` it does, or is."""
    return BillingError(Cause.INVALID_ANSWER, "INVALID_ANSWER", f"the answer to {rpc} {what}")


def decoded(rpc: str, message: type[MessageT], raw: bytes) -> MessageT:
    """Return an answer as the message that it has to be. Raises BillingError.

    One that is not brief takes too long for the event loop.
    """
    try:
        wire.check(message, raw)
        return message.FromString(raw)
    except (DecodeError, wire.MalformedError) as error:
        raise invalid(rpc, "does not parse") from error
    except wire.TooManyError as error:
        raise invalid(rpc, f"has more than {wire.MAX_ELEMENTS} elements of a kind") from error


async def aside(raw: bytes, function: Callable[..., T], *arguments: Any) -> T:
    """Return what a function gives that reads an answer: called in a thread unless it is brief."""
    if len(raw) <= BRIEF:
        return function(*arguments)
    return await asyncio.to_thread(function, *arguments)


class BillingReader(Protocol):
    """Reads one organization's bill."""

    async def read(self, rpc: ReadRpc, org_id: str, api_key: ApiKey) -> bytes:
        """Return the response message as it came over the wire.

        Undecoded, because most answers equal the one before, and comparing bytes costs a
        hundredth of decoding them. Raises BillingError.
        """

    async def read_at_once(self, rpc: ReadRpc, org_id: str, api_key: ApiKey) -> bytes:
        """Return the same, but raise TokenNeeded rather than wait for a login."""


class OrganizationLister(Protocol):
    """Finds out which organizations there are."""

    async def organizations(self, api_key: ApiKey) -> Iterable[FoundOrganization]:
        """Return the organizations that a key reads. Raises BillingError."""
