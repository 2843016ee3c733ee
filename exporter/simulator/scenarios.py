"""The catalogue of faults: what there is to inject, by name.

Only what a fault is called, means and can be told; `call_faults`, `answer_faults`, `tokens`
and `front` bring it about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import grpc

from exporter.api import calls
from exporter.config import parse_duration

AUTHENTICATE: Final = calls.AUTHENTICATE.name
USAGE: Final = calls.ReadRpc.GET_CURRENT_MONTH_USAGE.value
BILLING_INFORMATION: Final = calls.ReadRpc.GET_ORG_BILLING_INFORMATION.value
INVOICES: Final = calls.ReadRpc.GET_INVOICES_SUMMARY.value
PDF: Final = calls.GET_INVOICE_PDF.name
BILLING_METHODS: Final = (USAGE, BILLING_INFORMATION, INVOICES, PDF)
ORGANIZATIONS: Final = calls.LIST_ORGANIZATIONS.name
TOKEN_METHODS: Final = (*BILLING_METHODS, ORGANIZATIONS)
METHODS: Final = (AUTHENTICATE, *TOKEN_METHODS)


class Kind(StrEnum):
    """What a fault is a fault of. The values head the groups of the catalogue."""

    CALL = "calls that fail or hang"
    AUTHENTICATION = "authentication"
    DATA = "wrong answers"
    CONNECTION = "connections, in front of the server"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A setting of one scenario's own. `parse` raises ValueError with the rule."""

    parse: Callable[[str], float]
    default: float | None  # None: not set
    description: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """One fault of the catalogue. `methods` are the calls that it can be a fault of."""

    name: str
    kind: Kind
    description: str
    methods: tuple[str, ...] = METHODS
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def by_default(self) -> tuple[str, ...]:
        """The calls that it hits if a user names none.

        A wrong answer to Authenticate, or to which organizations there are, would keep all others
        from being seen.
        """
        billing = (method for method in self.methods if method in BILLING_METHODS)
        return tuple(billing) if self.kind is Kind.DATA else self.methods


def whole_number(text: str) -> float:
    """Return a whole number above 0. Raises ValueError."""
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise ValueError("must be a whole number above 0")
    return int(text)


def number(text: str) -> float:
    """Return a finite number. Raises ValueError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("must be a number")
    return value


def http_version(text: str) -> float:
    """Return 1 or 2. Raises ValueError."""
    if text not in {"1", "2"}:
        raise ValueError("must be 1 or 2")
    return int(text)


RETRY: Final = {
    "retry-info": Parameter(parse_duration, None, "delay that a RetryInfo in the status asks for"),
    "retry-after": Parameter(parse_duration, None, "delay that `retry-after` metadata asks for"),
}
_AMOUNTS: Final = {"amounts": Parameter(whole_number, math.inf, "how many of them (default: all)")}

# How the API, or what stands before it, may refuse a call.
STATUSES: Final[Mapping[str, tuple[grpc.StatusCode, str]]] = {
    code.name.lower().replace("_", "-"): (code, description)
    for code, description in (
        (grpc.StatusCode.UNAVAILABLE, "an outage"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "the server's own deadline, before the client's"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests"),
        (grpc.StatusCode.ABORTED, "a conflict with another call"),
        (grpc.StatusCode.INTERNAL, "a bug in the server"),
        (grpc.StatusCode.UNKNOWN, "an error that the server has no name for"),
        (grpc.StatusCode.CANCELLED, "the server gave up on the call"),
        (grpc.StatusCode.UNAUTHENTICATED, "neither key nor token is accepted"),
        (grpc.StatusCode.PERMISSION_DENIED, "the key's owner has lost the right to read bills"),
        (grpc.StatusCode.INVALID_ARGUMENT, "the request is refused"),
        (grpc.StatusCode.NOT_FOUND, "the organization was deleted"),
        (grpc.StatusCode.FAILED_PRECONDITION, "billing is not set up"),
        (grpc.StatusCode.OUT_OF_RANGE, "a value in the request is out of range"),
        (grpc.StatusCode.ALREADY_EXISTS, "a status that no read call should get"),
        (grpc.StatusCode.UNIMPLEMENTED, "the server does not know the call"),
        (grpc.StatusCode.DATA_LOSS, "the server's data is damaged"),
    )
}


def _calls() -> Iterator[Scenario]:
    for name, (code, description) in STATUSES.items():
        yield Scenario(name, Kind.CALL, f"{code.name}: {description}", parameters=RETRY)
    late = {"delay": Parameter(parse_duration, 1.0, "by how much (default: 1s)")}
    yield Scenario("slow", Kind.CALL, "the answer is late", parameters=late)
    yield Scenario("hang", Kind.CALL, "no answer ever comes: the client's deadline ends the call")
    text = "the answer ends with trailers that are longer than clients accept"
    yield Scenario("long-trailers", Kind.CALL, text)
    text = "the stream of a PDF breaks off with UNAVAILABLE after its first chunk"
    yield Scenario("broken-stream", Kind.CALL, text, (PDF,))
    text = "the stream of a PDF ends without an error, but in the middle of the file"
    yield Scenario("short-stream", Kind.CALL, text, (PDF,))


def _authentication() -> Iterator[Scenario]:
    lifetime = {"lifetime": Parameter(parse_duration, 30.0, "in real time (default: 30s)")}
    for name, description, methods, parameters in (
        ("wrong-key", "the key is refused, as if it had been rotated", (AUTHENTICATE,), {}),
        ("odd-token", "the token cannot be sent with a call", (AUTHENTICATE,), {}),
        ("short-lived-tokens", "tokens expire early", (AUTHENTICATE,), lifetime),
        ("expired-token", "a token that was used before is no longer valid", TOKEN_METHODS, {}),
        ("revoked-tokens", "all tokens are revoked, including that of the call", TOKEN_METHODS, {}),
        ("refused-token", "every token is refused, however new", TOKEN_METHODS, {}),
    ):
        yield Scenario(name, Kind.AUTHENTICATION, description, methods, parameters)


def _data() -> Iterator[Scenario]:
    polled, dated = (USAGE, BILLING_INFORMATION, INVOICES), (USAGE, INVOICES)
    size = {"size": Parameter(whole_number, 33, "in MiB (default: 33)")}
    parts = {"parts": Parameter(whole_number, 20_001, "how many more (default: 20001)")}
    usd = {"usd": Parameter(number, 25.0, "how much (default: 25)")}
    for name, description, methods, parameters in (
        ("nan", "amounts are not a number", dated, _AMOUNTS),
        ("infinity", "amounts are infinite", dated, _AMOUNTS),
        ("negative", "amounts are below 0", dated, _AMOUNTS),
        ("absurd", "amounts are 1e300, absurdly large", dated, _AMOUNTS),
        ("huge", "the answer is larger than clients allow", METHODS, size),
        ("crowded", "the answer has more parts than clients read", dated, parts),
        ("garbage", "the answer is bytes that cannot be parsed", METHODS, {}),
        ("truncated", "the answer is cut off", METHODS, {}),
        ("empty", "the answer is an empty message", METHODS, {}),
        ("frozen", "the first answer is repeated forever", polled, {}),
        (
            "unknown-enums",
            "enums have numbers newer than the client",
            (USAGE, BILLING_INFORMATION),
            {},
        ),
        ("odd-texts", "texts are long, unknown and full of quotes and line breaks", polled, {}),
        ("missing-dates", "no date is set", dated, {}),
        ("zero-dates", "dates are the zero time of other languages, in the year 1", dated, {}),
        ("period-not-advancing", "the answer is still about the month that ended", (USAGE,), {}),
        ("period-in-past", "the answer is about the previous month", (USAGE,), {}),
        ("deprecated-only", "only the totals of the older API are sent", (USAGE,), {}),
        ("duplicate-sources", "every source is split into two", (USAGE,), {}),
        ("vanishing-cost", "the first type of cost is missing", (USAGE,), {}),
        ("tier-change", "every source has a different tier", (USAGE,), {}),
        ("credit", "a credit is granted", (USAGE,), usd),
        ("duplicate-invoices", "every invoice appears twice", (INVOICES,), {}),
        ("shuffled-invoices", "invoices are in a different order each time", (INVOICES,), {}),
    ):
        yield Scenario(name, Kind.DATA, description, methods, parameters)


def _connections() -> Iterator[Scenario]:
    version = {"http": Parameter(http_version, 2, "version of HTTP, 1 or 2 (default: 2)")}
    rate = {"rate": Parameter(whole_number, 16, "bytes per second (default: 16)")}
    for name, description, parameters in (
        ("refuse", "nothing listens, and existing connections are reset", {}),
        ("close", "connections are closed as soon as they are made", {}),
        ("reset", "the connection is reset in the middle of a call", {}),
        ("blackhole", "connections are accepted, but nothing is sent back while it lasts", {}),
        ("lost-message", "a call ends with OK, but without an answer", {}),
        ("flood", "meaningless frames arrive endlessly", {}),
        ("goaway", "a GOAWAY follows a call, as when a server restarts", {}),
        ("http-502", "a proxy answers with an HTML page, 502", version),
        ("dribble", "answers arrive byte by byte", rate),
        ("noise", "random bytes arrive instead of HTTP/2", {}),
    ):
        yield Scenario(name, Kind.CONNECTION, description, (), parameters)


def _by_name(*groups: Iterable[Scenario]) -> Mapping[str, Scenario]:
    return {scenario.name: scenario for group in groups for scenario in group}


SCENARIOS: Final = _by_name(_calls(), _authentication(), _data(), _connections())
