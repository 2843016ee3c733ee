"""What a call that failed means: its cause, and what to say of it.

gRPC tells much of what happens by a status and a text, which may be the server's as well. Only
texts that begin as gRPC's own do are taken for those.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from exporter.api.billing import BillingError, invalid
from exporter.api.calls import AUTHENTICATE, GET_INVOICE_PDF, LIST_ORGANIZATIONS, RETRY_INFO
from exporter.model import Cause
from exporter.pb import status_pb2

MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
MAX_CHUNK_BYTES: Final = 32 * 1024 * 1024  # of a PDF; as the vendor's own clients allow

#: The server is slow, or a firewall drops packets.
NO_ANSWER: Final = "no answer within the deadline (api.timeout)"
#: [Proxies](configuration.md#proxies).
NO_ANSWER_BY_PROXY: Final = "no answer through the proxy within the deadline (api.timeout)"
ASKING_FOR_LESS: Final = frozenset({grpc.StatusCode.RESOURCE_EXHAUSTED})
CAUSES: Final[Mapping[grpc.StatusCode, tuple[Cause, bool]]] = {
    grpc.StatusCode.UNAUTHENTICATED: (Cause.CREDENTIALS, False),
    grpc.StatusCode.PERMISSION_DENIED: (Cause.PERMISSION, False),
    grpc.StatusCode.UNAVAILABLE: (Cause.OUTAGE, True),
    grpc.StatusCode.DEADLINE_EXCEEDED: (Cause.OUTAGE, True),
    grpc.StatusCode.ABORTED: (Cause.OUTAGE, True),
    grpc.StatusCode.INTERNAL: (Cause.OUTAGE, True),
    # Of a server that fails without saying how, and of gRPC for a connection that breaks oddly.
    grpc.StatusCode.UNKNOWN: (Cause.OUTAGE, True),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (Cause.THROTTLED, True),
}

NO_ORGANIZATION: Final = frozenset({AUTHENTICATE.name, LIST_ORGANIZATIONS.name})
ABOUT_THE_ORGANIZATION: Final = frozenset(
    {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT}
)
# What to say of a refusal. The server's own words may repeat what it was sent.
REFUSALS: Final[Mapping[grpc.StatusCode, str]] = {
    #: It was deleted or replaced, or its id belongs to another key. A new one in its file needs no
    #: restart.
    grpc.StatusCode.UNAUTHENTICATED: "the API key was refused: check the key and its id",
    grpc.StatusCode.PERMISSION_DENIED: (
        #: Make a key in the organization's settings under API keys, with scope organization and
        #: role Owner.
        "the API key may not read this bill: the key needs scope organization and role Owner "
        "(in a Viam module, VIAM_API_KEY is a machine's key)"
    ),
    #: Or it was deleted.
    grpc.StatusCode.NOT_FOUND: "unknown organization: check its id",
    #: The value is not an id.
    grpc.StatusCode.INVALID_ARGUMENT: "the request was refused: check the organization's id",
    #: Raise `poll.interval` or lower `api.max_concurrency`.
    #: `viam_billing_collector_retry_timestamp_seconds` says when the exporter tries again.
    grpc.StatusCode.RESOURCE_EXHAUSTED: "the server asks for fewer requests",
    #: Something other than Viam answers, or this release is too old.
    grpc.StatusCode.UNIMPLEMENTED: "the server does not support this call: check api.address",
}


def meaning(name: str, error: grpc.aio.AioRpcError, *, proxied: bool) -> BillingError:
    """Return what a call that failed means, in our words: the server's may repeat what it was sent.

    `name` is the bare name of the call, `proxied` whether it went through a proxy.
    """
    code = error.code()
    details = error.details() or ""
    if (known := _known_to_grpc(name, code, details)) is not None:
        return known
    cause, transient = CAUSES.get(code, (Cause.OTHER, False))
    if name == AUTHENTICATE.name and cause is Cause.PERMISSION:
        cause, message = Cause.CREDENTIALS, REFUSALS[grpc.StatusCode.UNAUTHENTICATED]
    elif name in NO_ORGANIZATION and code in ABOUT_THE_ORGANIZATION:
        message = "the request was refused: check the id of the API key"
    elif name == GET_INVOICE_PDF.name and code is grpc.StatusCode.NOT_FOUND:
        message = "the invoice has no file"
    elif name == LIST_ORGANIZATIONS.name and cause is Cause.PERMISSION:
        #: It needs scope organization and role Owner. Or list the organizations in the file.
        message = "the API key may not list organizations"
    elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
        message = NO_ANSWER_BY_PROXY if proxied else NO_ANSWER
    elif code is grpc.StatusCode.UNAVAILABLE:
        message = _unavailable(details, proxied=proxied)
    else:
        #: `code` has the status.
        message = REFUSALS.get(code, "the call failed")
    return BillingError(
        cause,
        code.name,
        f"{name}: {message}",
        transient=transient,
        retry_after=_retry_after(error.trailing_metadata() or ()),
    )


def late(name: str, *, proxied: bool, words: str | None = None) -> BillingError:
    """Return the error of a call that had no answer in time."""
    reason = words or (NO_ANSWER_BY_PROXY if proxied else NO_ANSWER)
    return BillingError(Cause.OUTAGE, "DEADLINE_EXCEEDED", f"{name}: {reason}", transient=True)


def _known_to_grpc(name: str, code: grpc.StatusCode, details: str) -> BillingError | None:
    """Return the error of what gRPC itself tells by a status, in words of its own."""
    cause, reason = Cause.OUTAGE, ""
    if page := re.fullmatch(r"Received http2 header with status: (\d{3})", details):
        cause = Cause.THROTTLED if page[1] == "429" else cause
        #: A proxy, firewall or load balancer answered instead.
        reason = f"the server cannot be reached: HTTP {page[1]} came instead of an answer"
    elif "CLIENT: Received message larger than max" in details:
        limit = MAX_CHUNK_BYTES if name == GET_INVOICE_PDF.name else MAX_ANSWER_BYTES
        return invalid(name, f"is larger than {limit >> 20} MiB")
    elif details.startswith("Stream removed (received metadata size exceeds"):
        return invalid(name, "has larger headers or trailers than gRPC accepts")
    elif details.startswith("received metadata size exceeds") and name != AUTHENTICATE.name:
        # What a server's gRPC says of a call, in which only the token can be so large.
        cause, reason = (
            Cause.CREDENTIALS,
            #: Often a proxy in between.
            "the token of the API key is larger than the server accepts",
        )
    elif details.startswith("Stream removed (RST_STREAM") and code not in ASKING_FOR_LESS:
        #: Wait.
        reason = "the server ended the call"
    elif code is grpc.StatusCode.INTERNAL and re.match("Compression bit|Decompression", details):
        return invalid(name, "is compressed in a way that gRPC does not support")
    if not reason:
        return None
    transient = cause is not Cause.CREDENTIALS
    return BillingError(cause, code.name, f"{name}: {reason}", transient=transient)


def _retry_after(metadata: Iterable[tuple[str, str | bytes]]) -> float | None:
    """Return for how many seconds the server asks not to be called again, if it says."""
    waits = []
    for name, value in metadata:
        if name == "grpc-status-details-bin" and isinstance(value, bytes):
            try:
                details = status_pb2.Status.FromString(value).details
                waits += [
                    status_pb2.RetryInfo.FromString(detail.value).retry_delay.ToMicroseconds() / 1e6
                    for detail in details
                    if detail.type_url == RETRY_INFO
                ]
            except (DecodeError, ValueError):
                continue
        elif name == "retry-after" and isinstance(value, str) and value.isdecimal():
            waits.append(float(value[:9]))
    return max(waits, default=None)


# How gRPC begins to say that a connection failed. Anything else may be the server's words.
CONNECTION_FAILED: Final = re.compile(
    "failed to connect|connections to all backends|DNS |errors resolving|Socket closed|"
    "Stream removed|recvmsg|sendmsg|GOAWAY|[Kk]eepalive|[Pp]ing timeout|Endpoint|"
    "Broken pipe|Transport closed|Connect"
)
# By what it says then: the first that fits.
CONNECTION_FAULTS: Final = (
    ("Connection refused", "the connection was refused"),
    ("Connection reset", "the connection was reset"),
    #: The port is wrong, or a proxy knows only HTTP/1.
    ("http1.x server", "the server there speaks HTTP/1, not gRPC: check api.address"),
    ("Failed parsing HTTP/2", "the server there is not a gRPC server: check api.address"),
    #: Often a proxy that intercepts TLS: set `api.ca_file` to its authority. Or a wrong clock.
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted: check it and api.ca_file"),
    #: `api.address` has another name than the certificate.
    ("Hostname Verification", "its certificate is for another name"),
    ("andshake", "no TLS connection could be made: check api.tls"),
    #: Check DNS. In Kubernetes, the network policy may block it.
    ("DNS", "its name cannot be resolved"),
    ("omain name", "its name cannot be resolved"),
    #: Check the routes, and whether IPv6 has a way out.
    ("unreachable", "its network cannot be reached"),
    ("No route to host", "its network cannot be reached"),
    #: A firewall drops packets.
    ("imeout", "it does not answer"),
    ("timed out", "it does not answer"),
    ("Socket closed", "the connection was closed"),
    ("GOAWAY", "the connection was closed"),
)


# Of them, those of a connection that never came about: with a proxy, it is the proxy's.
NOT_CONNECTED: Final = frozenset(
    ("Connection refused", "DNS", "omain name", "unreachable", "No route to host")
)
# What to say of a proxy's answer.
PROXY_REFUSALS: Final[Mapping[str, str]] = {
    #: Its rules forbid it: have `api.address` allowed there, or set `no_proxy`.
    "403": "the proxy answered 403: it does not let this host through",
    #: `http://user:password@host:port`, with special characters percent-encoded.
    "407": "the proxy answered 407: it requires another user or password",
}


def _unavailable(details: str, *, proxied: bool) -> str:
    """Say in our words why a server is unavailable: the text may be the server's."""
    if proxied and (refusal := _proxy_refusal(details)) is not None:
        return refusal
    if CONNECTION_FAILED.match(details) is None:
        return "the server is unavailable"
    for sign, fault in CONNECTION_FAULTS:
        if sign in details:
            if proxied and sign in NOT_CONNECTED:
                #: The proxy is named by [the environment](configuration.md#proxies); the status
                #: page shows its address.
                return f"the proxy cannot be reached: {fault}"
            if proxied:
                #: The proxy answered, and then the connection failed.
                return f"the server cannot be reached through the proxy: {fault}"
            return f"the server cannot be reached: {fault}"
    #: It says so itself. Wait.
    return "the server is unavailable"


def _proxy_refusal(details: str) -> str | None:
    """Say in our words what a proxy answered in place of connecting, if that is what happened."""
    if answer := re.search(r"HTTP proxy returned response code (\d{3})\b", details):
        #: It cannot reach `api.address` itself: see its log.
        otherwise = f"the proxy answered {answer[1]}: it does not connect to the server"
        return PROXY_REFUSALS.get(answer[1], otherwise)
    # What gRPC says of the first bytes that are no answer.
    #: Something else listens at the port in the variable.
    return "the proxy's answer is not HTTP" if re.search("Expected |max line", details) else None
