"""What the exporter needs of the billing API, without saying how it is reached."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from google.protobuf.message import DecodeError, Message

from exporter.api.calls import ReadRpc
from exporter.model import ApiKey, Cause, Failure, FoundOrganization

MessageT = TypeVar("MessageT", bound=Message)


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

    @property
    def failure(self) -> Failure:
        """The error as what a poll leaves behind."""
        return Failure(self.cause, self.code, str(self))


def invalid(rpc: str, what: str) -> BillingError:
    """Return the error for an answer that is no good: `what` it does, or is."""
    return BillingError(Cause.INVALID_ANSWER, "INVALID_ANSWER", f"the answer to {rpc} {what}")


def decoded(rpc: str, message: type[MessageT], raw: bytes) -> MessageT:
    """Return an answer as the message that it has to be. Raises BillingError."""
    try:
        return message.FromString(raw)
    except DecodeError as error:
        raise invalid(rpc, "does not parse") from error


class BillingReader(Protocol):
    """Reads one organization's bill."""

    async def read(self, rpc: ReadRpc, org_id: str, api_key: ApiKey) -> bytes:
        """Return the response message as it came over the wire.

        Undecoded, because most answers equal the one before, and comparing bytes costs a
        hundredth of decoding them. Raises BillingError.
        """


class OrganizationLister(Protocol):
    """Finds out which organizations there are."""

    async def organizations(self, api_key: ApiKey) -> Iterable[FoundOrganization]:
        """Return the organizations that a key reads. Raises BillingError."""
