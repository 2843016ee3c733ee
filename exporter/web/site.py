"""What happens to every request before and after its page: limits, authentication, headers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Container, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import HttpVersion10, HttpVersion11, web

from exporter.web.auth import CHALLENGE, BasicAuth, Busy, parse
from exporter.web.connection import Connection
from exporter.web.limits import Full, TokenBucket
from exporter.web.toolkit import WebConfig

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
# By path, then by method. A path that ends in ANY_ID stands for all that are below it.
Handlers = Mapping[str, Mapping[str, Handler]]
ANY_ID: Final = "<id>"

TEXTS: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "bad request",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.NOT_FOUND: "not found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method not allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "a request must not have a body",
    HTTPStatus.MISDIRECTED_REQUEST: (
        "this is not one of the names that the exporter knows: allow it with --web.allowed-host"
    ),
    HTTPStatus.TOO_MANY_REQUESTS: "too many requests",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "request line or header too long",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal server error",
    HTTPStatus.SERVICE_UNAVAILABLE: "too many requests in flight",
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED: "HTTP version not supported",
}
# Of every response that, or whose configuration, does not say otherwise.
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
}
RETRY_SOON: Final = {"Retry-After": "1"}


def plain(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a response that says its status in words, and repeats nothing of the request."""
    return web.Response(status=status, text=f"{TEXTS[status]}\n", headers=headers)


class Site:
    """All pages, behind limits and authentication."""

    def __init__(  # noqa: PLR0913 - all of it comes from where the parts are joined
        self,
        handlers: Handlers,
        configuration: Callable[[], WebConfig],
        auth: BasicAuth,
        bucket: TokenBucket,
        *,
        open_to_all: Collection[str] = (),  # paths that need no password
        hosts: Container[str] | None = None,  # names that pages answer to; None: any
        any_host: Collection[str] = (),  # paths that answer to other names as well
    ) -> None:
        self._handlers = handlers
        self._below = {
            path.removesuffix(ANY_ID): methods
            for path, methods in handlers.items()
            if path.endswith(ANY_ID)
        }
        self._configuration = configuration
        self._auth = auth
        # Whoever has no password uses up nothing of those who have one.
        self._bucket = bucket
        self._bucket_of_refused = bucket.another()
        self._bucket_of_open = bucket.another()
        self._open_to_all = open_to_all
        self._hosts = hosts
        self._any_host = any_host

    def admit(self, transport: asyncio.Transport) -> bool:
        """Tell whether a client's certificate, verified by TLS, is one of those allowed."""
        tls = self._configuration().tls
        return tls is None or tls.allows(transport.get_extra_info("peercert"))

    def complete_headers(self, response: web.StreamResponse) -> None:
        """Put the headers of every response on one that is about to be sent."""
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.update(self._configuration().headers)
        response.headers.popall("Server", None)

    def error_response(self, status: int) -> web.Response:
        """Return the response to what is no request, or met a bug."""
        return plain(status)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request. Nothing that a client sends makes it raise."""
        connection = request.protocol
        assert isinstance(connection, Connection)  # noqa: S101 - for mypy
        if "Upgrade" in request.headers:
            # aiohttp would take what follows for another protocol. It is not: nothing is upgraded.
            connection.close()
        with connection.working():
            refusal = await self._refusal(request)
            return await self._page(request) if refusal is None else refusal

    async def _refusal(self, request: web.BaseRequest) -> web.Response | None:
        """Return the answer to a request that gets no page."""
        configuration = self._configuration()
        bucket, refusal = self._bucket, _misdirected(request)
        if refusal is None and configuration.users:
            if request.path in self._open_to_all:
                bucket = self._bucket_of_open
            else:
                refusal = await self._stranger(request, configuration.users)
        if refusal is not None and configuration.users:
            bucket = self._bucket_of_refused
        if bucket.take(configuration.rate_limit):
            return refusal
        later = {"Retry-After": str(bucket.retry_after())}
        return plain(HTTPStatus.TOO_MANY_REQUESTS, later)

    async def _stranger(
        self, request: web.BaseRequest, users: Mapping[str, str]
    ) -> web.Response | None:
        """Return the answer to whoever has no right password."""
        credentials = parse(request.headers.get("Authorization", ""))
        try:
            if credentials and await self._auth.check(credentials, users):
                return None
        except Busy:
            return plain(HTTPStatus.SERVICE_UNAVAILABLE, RETRY_SOON)
        return plain(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": CHALLENGE})

    async def _page(self, request: web.BaseRequest) -> web.StreamResponse:
        methods = self._methods(request.path)
        if methods is None:
            return plain(HTTPStatus.NOT_FOUND)
        if not self._is_meant(request):
            return plain(HTTPStatus.MISDIRECTED_REQUEST)
        handler = methods.get(request.method)
        if handler is None:
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": ", ".join(methods)})
        try:
            return await handler(request)
        except Full:
            return plain(HTTPStatus.SERVICE_UNAVAILABLE, RETRY_SOON)

    def _is_meant(self, request: web.BaseRequest) -> bool:
        """Tell whether a request is for a name of this exporter, or whoever asks needs none."""
        if self._hosts is None or request.path in self._any_host:
            return True
        if self._configuration().authenticates:
            return True
        named = request.headers.getall("Host", ())
        # That of a whole URL, if there is one, else again the header.
        return bool(named) and all(host in self._hosts for host in (*named, request.host))

    def _methods(self, path: str) -> Mapping[str, Handler] | None:
        """Return what answers below a path. Paths are compared, never resolved."""
        if (methods := self._handlers.get(path)) is not None:
            return methods
        return next((self._below[above] for above in self._below if path.startswith(above)), None)


def _misdirected(request: web.BaseRequest) -> web.Response | None:
    """Return the answer to what no page here is asked for with."""
    if not HttpVersion10 <= request.version <= HttpVersion11:
        response = plain(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    elif request.method == "CONNECT":  # this is no proxy
        response = plain(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET, HEAD"})
    elif request.body_exists:
        response = plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    else:
        return None
    response.force_close()  # what follows is no request
    return response
