"""What happens to every request before and after its page: limits, authentication, headers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Container, Mapping
from http import HTTPStatus
from typing import Final

from exporter.web.auth import CHALLENGE, BasicAuth, Busy, parse
from exporter.web.connection import Connection
from exporter.web.http import BaseRequest, HttpVersion10, HttpVersion11, Response, StreamResponse
from exporter.web.limits import Full, TokenBucket
from exporter.web.paths import Paths
from exporter.web.refusals import Refusal, busy
from exporter.web.toolkit import WebConfig

Handler = Callable[[BaseRequest], Awaitable[StreamResponse]]
Handlers = Mapping[str, Mapping[str, Handler]]  # by path, as `Paths` has it, then by method
API: Final = "/api/"  # below it, who gets no page is told in JSON
# Of every response that, or whose configuration, does not say otherwise.
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
}


class Site:
    """All pages, behind limits and authentication."""

    def __init__(  # noqa: PLR0913 - all of it comes from where the parts are joined
        self,
        handlers: Handlers,
        configuration: Callable[[], WebConfig],
        auth: BasicAuth,
        bucket: TokenBucket,
        *,
        prefix: str = "",  # the path of all pages, without a slash at its end
        open_to_all: Collection[str] = (),  # paths that need no password
        hosts: Container[str] | None = None,  # names that pages answer to; None: any
        any_host: Collection[str] = (),  # paths that answer to other names as well
    ) -> None:
        self._handlers = handlers
        self._paths = Paths(handlers)
        self._api = f"{prefix}{API}"
        self._configuration = configuration
        self._auth = auth
        # Clients without a password use up nothing of what those with one may have.
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

    def complete_headers(self, response: StreamResponse) -> None:
        """Put the headers of every response on one that is about to be sent."""
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.update(self._configuration().headers)
        response.headers.popall("Server", None)

    def error_response(self, request: BaseRequest, status: int) -> Response:
        """Return the response to what is no request, or met a bug."""
        return self._refused(request, Refusal(HTTPStatus(status)))

    async def answer(self, request: BaseRequest) -> StreamResponse:
        """Answer a request. Nothing that a client sends makes it raise."""
        connection = request.protocol
        assert isinstance(connection, Connection)  # noqa: S101 - for mypy
        if "Upgrade" in request.headers:
            # aiohttp would take what follows for another protocol. It is not: nothing is upgraded.
            connection.close()
        with connection.working():
            try:
                path = self._paths.find(request.rel_url.raw_path)
                await self._admit(request, path)
                return await self._page(request, path)
            except Full:
                return self._refused(request, busy())
            except Refusal as refusal:
                return self._refused(request, refusal)

    def _refused(self, request: BaseRequest, refusal: Refusal) -> Response:
        return refusal.response(as_json=request.path.startswith(self._api))

    async def _admit(self, request: BaseRequest, path: str | None) -> None:
        """Let a request come to its page, or raise Refusal."""
        configuration = self._configuration()
        bucket, refusal = self._bucket, _misdirected(request)
        if refusal is None and configuration.users:
            if path in self._open_to_all:
                bucket = self._bucket_of_open
            else:
                refusal = await self._stranger(request, configuration.users)
        if refusal is not None and configuration.users:
            bucket = self._bucket_of_refused
        if not bucket.take(configuration.rate_limit):
            later = {"Retry-After": str(bucket.retry_after())}
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, headers=later)
        if refusal is not None:
            raise refusal

    async def _stranger(self, request: BaseRequest, users: Mapping[str, str]) -> Refusal | None:
        """Return the answer to a client without the right password."""
        credentials = parse(request.headers.get("Authorization", ""))
        try:
            if credentials and await self._auth.check(credentials, users):
                return None
        except Busy:
            return busy()
        return Refusal(HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": CHALLENGE})

    async def _page(self, request: BaseRequest, path: str | None) -> StreamResponse:
        if path is None:
            raise Refusal(HTTPStatus.NOT_FOUND)
        if not self._is_meant(request, path):
            raise Refusal(HTTPStatus.MISDIRECTED_REQUEST)
        methods = self._handlers[path]
        handler = methods.get(request.method)
        if handler is None:
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(methods)})
        return await handler(request)

    def _is_meant(self, request: BaseRequest, path: str) -> bool:
        """Tell whether a request names this exporter, or comes from a client that need not."""
        if self._hosts is None or path in self._any_host:
            return True
        if self._configuration().authenticates:
            return True
        named = request.headers.getall("Host", ())
        # That of a whole URL, if there is one, else again the header.
        return bool(named) and all(host in self._hosts for host in (*named, request.host))


def _misdirected(request: BaseRequest) -> Refusal | None:
    """Return the answer to what no page here is asked for with."""
    if not HttpVersion10 <= request.version <= HttpVersion11:
        return Refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, closes=True)
    if request.method == "CONNECT":  # this is no proxy
        allow = {"Allow": "GET, HEAD"}
        return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, headers=allow, closes=True)
    if request.body_exists:
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, closes=True)
    return None
