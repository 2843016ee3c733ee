"""Asks a running exporter for what it knows, over HTTP.

Answers are limited in bytes and in time, since anything may answer at that address. Proxies from
the environment are for calls to Viam. Exporters are nearby, and their passwords should not pass
through a proxy, so none is used.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import aiohttp

from exporter.api.billing import BillingError
from exporter.model import Cause
from exporter.process.version import version
from exporter.tool.api_answers import (
    AnswerError,
    DayLine,
    DaysAnswer,
    OrganizationLine,
    OrganizationsPage,
    Shard,
    WholeOrganization,
    read,
)
from exporter.tool.exporter_flags import Access

DEADLINE: Final = 30.0  # seconds of an answer, from the connection to its last byte
AT_ONCE: Final = 4  # requests to one exporter
MAX_ANSWER: Final = 32 * 1024 * 1024  # bytes
MAX_ORGANIZATIONS: Final = 200_000  # of one exporter
ORGANIZATIONS: Final = "/api/v1/organizations"
CHUNK: Final = 64 * 1024  # bytes
DOTS: Final = (".", "..")  # of a path, clients make another

REFUSALS: Final[Mapping[int, tuple[Cause, str]]] = {
    401: (Cause.CREDENTIALS, "it requires another user or password: see --exporter.user"),
    403: (Cause.PERMISSION, "it does not allow this client"),
    404: (Cause.OTHER, "it has no such page: check the address and the exporter's release"),
    421: (
        Cause.OTHER,
        "it does not accept this host name: allow it there with --web.allowed-host",
    ),
    429: (Cause.THROTTLED, "it asks for fewer requests"),
}
FAULTS: Final[Mapping[int, str]] = {
    errno.ECONNREFUSED: "the connection was refused",
    errno.ECONNRESET: "the connection was reset",
    errno.EHOSTUNREACH: "its network cannot be reached",
    errno.ENETUNREACH: "its network cannot be reached",
    errno.ETIMEDOUT: "it does not answer",
}


class Listing(NamedTuple):
    """What an exporter says of its organizations."""

    shard: Shard
    organizations: Sequence[OrganizationLine]


class Exporter:
    """A running exporter."""

    def __init__(self, url: str, session: aiohttp.ClientSession, deadline: float) -> None:
        self.url = url
        self._session = session
        self._deadline = deadline
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def organizations(self) -> Listing:
        """Return all organizations that it has. Raises BillingError."""
        found: dict[str, OrganizationLine] = {}
        cursors: set[str] = set()
        parameters = {"limit": "500"}
        while True:
            page = await self._ask(ORGANIZATIONS, parameters, OrganizationsPage)
            found |= {line.org_id: line for line in page.organizations}
            cursor = page.next_cursor
            if cursor is None:
                return Listing(page.shard, list(found.values()))
            if cursor in cursors or not page.organizations or len(found) > MAX_ORGANIZATIONS:
                raise _invalid("has no end")
            cursors.add(cursor)
            parameters["cursor"] = cursor

    async def organization(self, org_id: str) -> WholeOrganization:
        """Return one of them, with how its forecast is made. Raises BillingError."""
        part, parameters = _part(org_id)
        whole: WholeOrganization = await self._ask(
            f"{ORGANIZATIONS}/{part}", parameters, WholeOrganization
        )
        if whole.org_id != org_id:
            raise _invalid("is for another organization")
        return whole

    async def days(self, org_id: str) -> Sequence[DayLine]:
        """Return the days of one of them, the oldest first. Raises BillingError."""
        part, parameters = _part(org_id)
        answer = await self._ask(f"{ORGANIZATIONS}/{part}/days", parameters, DaysAnswer)
        if answer.org_id != org_id:
            raise _invalid("is for another organization")
        days: Sequence[DayLine] = answer.days
        return days

    async def _ask(self, path: str, parameters: Mapping[str, str], model: type[Any]) -> Any:
        try:
            async with self._slots, asyncio.timeout(self._deadline):
                content = await self._content(path, parameters)
        except TimeoutError:
            message = f"it did not answer within {self._deadline:g} s"
            raise BillingError(Cause.OUTAGE, "DEADLINE_EXCEEDED", message) from None
        except (aiohttp.ClientError, OSError) as error:
            raise BillingError(Cause.OUTAGE, "UNAVAILABLE", _unreachable(error)) from None
        try:
            return await asyncio.to_thread(read, model, content)
        except AnswerError as error:
            raise _invalid(str(error)) from None

    async def _content(self, path: str, parameters: Mapping[str, str]) -> bytes:
        url = f"{self.url}{path}"
        async with self._session.get(url, params=parameters, allow_redirects=False) as response:
            if response.status != HTTPStatus.OK:
                raise _refused(response.status)
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise _invalid("is compressed, which was not asked for")
            content = bytearray()
            async for chunk in response.content.iter_chunked(CHUNK):
                content += chunk
                if len(content) > MAX_ANSWER:
                    raise _invalid(f"is larger than {MAX_ANSWER >> 20} MiB")
            return bytes(content)


@asynccontextmanager
async def reached(access: Access, deadline: float = DEADLINE) -> AsyncIterator[Sequence[Exporter]]:
    """Have the exporters that are named while inside. Nothing is asked yet.

    Each answer has so many seconds.
    """
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": f"viam-billing/{version().number}",
    }
    if access.user is not None and access.password is not None:
        login = f"{access.user}:{access.password.reveal()}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    async with aiohttp.ClientSession(
        auto_decompress=False,  # a little that is compressed may be very much
        connector=aiohttp.TCPConnector(ssl=access.tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        timeout=aiohttp.ClientTimeout(),  # all of it has a deadline
    ) as session:
        yield [Exporter(url, session, deadline) for url in access.urls]


def _part(org_id: str) -> tuple[str, Mapping[str, str]]:
    """Return the part of a path that is an organization, and the parameters behind it."""
    return ("", {"id": org_id}) if org_id in DOTS else (quote(org_id, safe=""), {})


def _invalid(what: str) -> BillingError:
    return BillingError(Cause.INVALID_ANSWER, "INVALID_ANSWER", f"its answer {what}")


def _refused(status: int) -> BillingError:
    """Return the error for an answer that is none. Its text may be anybody's."""
    match status // 100:
        case 3:
            otherwise = (Cause.OTHER, "it redirects: give the address that it redirects to")
        case 5:
            otherwise = (Cause.OUTAGE, "it cannot answer now")
        case _:
            otherwise = (Cause.OTHER, "it refuses the request")
    cause, message = REFUSALS.get(status, otherwise)
    return BillingError(cause, f"HTTP_{status}", f"{message} (HTTP {status})")


def _unreachable(error: Exception) -> str:
    """Say in our words why there is no answer."""
    reason = "the connection was closed"
    match error:
        case aiohttp.ClientConnectorCertificateError():
            cause = error.certificate_error
            code = getattr(cause, "verify_message", "")
            reason = f"its certificate is not trusted ({code}): see --exporter.ca-file"
        case aiohttp.ClientConnectorDNSError():
            reason = "its name cannot be resolved"
        case aiohttp.ClientSSLError():
            reason = "no TLS connection could be made: check whether it speaks https"
        case aiohttp.ClientConnectorError():
            reason = FAULTS.get(error.os_error.errno or 0, reason)
        case aiohttp.ClientResponseError():
            reason = "what answers there is not HTTP: check whether it needs https"
        case ssl.SSLError():
            reason = "the TLS connection failed: it may require a client certificate"
        case _:
            pass
    return f"it cannot be reached: {reason}"
