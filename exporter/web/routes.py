"""What is answered under which path."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import structlog
from aiohttp import web

from exporter.publisher import Publisher
from exporter.render import Encoding
from exporter.web.negotiation import negotiate_encoding, negotiate_format
from exporter.web.status import StatusPage

log = structlog.get_logger(__name__)

METRICS_PATH: Final = "/metrics"  # unless --web.telemetry-path says otherwise
# One write of a whole page would be copied whole, and hold the event loop while it is.
WRITE_SIZE = 256 * 1024


class Routes:
    """The pages. `configuration` gives the effective one as YAML."""

    def __init__(
        self,
        publisher: Publisher,
        status: StatusPage,
        *,
        telemetry_path: str,
        configuration: Callable[[], str],
    ) -> None:
        self._publisher = publisher
        self._status = status
        self._telemetry_path = telemetry_path
        self._configuration = configuration

    def application(self) -> web.Application:
        """Return the application that answers them."""
        app = web.Application(middlewares=[_plain_errors])
        for endpoint in ENDPOINTS:
            path = self._telemetry_path if endpoint.path == METRICS_PATH else endpoint.path
            app.router.add_get(path, endpoint.handler.__get__(self))
        app.on_response_prepare.append(_common_headers)
        return app

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """Send the page that is there, in the format and encoding that the client prefers."""
        form = negotiate_format(",".join(request.headers.getall("Accept", ())))
        encoding = negotiate_encoding(",".join(request.headers.getall("Accept-Encoding", ())))
        body = self._publisher.page.bodies[form, encoding]
        response = web.StreamResponse(
            headers={
                "Content-Type": form.value,
                "Content-Length": str(body.length),
                "Vary": "Accept, Accept-Encoding",
            }
        )
        if encoding is not Encoding.IDENTITY:
            response.headers["Content-Encoding"] = encoding.value
        try:
            await response.prepare(request)
            if request.method != "HEAD":
                for chunk in body.chunks:
                    for start in range(0, len(chunk), WRITE_SIZE):
                        await response.write(memoryview(chunk)[start : start + WRITE_SIZE])
            await response.write_eof()
        except ConnectionError:
            log.debug("the client went away in the middle of a scrape", client=request.remote)
        return response

    async def index(self, _request: web.Request) -> web.Response:
        """Show every organization with its state."""
        html = await asyncio.to_thread(
            self._status.render,
            ready=self._publisher.ready,
            unpolled=self._publisher.page.unpolled,
        )
        response = web.Response(text=html, content_type="text/html")
        response.headers["Content-Security-Policy"] = self._status.security_policy
        return response

    async def healthy(self, _request: web.Request) -> web.Response:
        """Say that the process serves."""
        return _text("healthy\n")

    async def ready(self, _request: web.Request) -> web.Response:
        """Say whether every organization was polled once."""
        if self._publisher.ready:
            return _text("ready\n")
        left = self._publisher.page.unpolled
        return _text(f"not ready: organizations not polled yet: {left}\n", status=503)

    async def config(self, _request: web.Request) -> web.Response:
        """Show the effective configuration."""
        text = await asyncio.to_thread(self._configuration)
        return web.Response(text=text, content_type="application/yaml")


class Endpoint(NamedTuple):
    """A path and what is answered there, to GET and HEAD."""

    path: str
    handler: Callable[[Routes, web.Request], Awaitable[web.StreamResponse]]
    description: str


ENDPOINTS: Final = (
    Endpoint("/", Routes.index, "Status page: the version, every organization with its state."),
    Endpoint(
        METRICS_PATH,
        Routes.metrics,
        "Metrics, in text format 0.0.4 or OpenMetrics 1.0.0 by `Accept`, plain or gzip by "
        "`Accept-Encoding`. A failing billing API never makes it fail: it says so in the metrics.",
    ),
    Endpoint("/-/healthy", Routes.healthy, "200 while the process serves."),
    Endpoint(
        "/-/ready",
        Routes.ready,
        "200 once every organization was polled, with success or not; until then 503 with how "
        "many are left.",
    ),
    Endpoint("/config", Routes.config, "The effective configuration as YAML, without secrets."),
)


def _text(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status)


@web.middleware
async def _plain_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer an unknown path or a wrong method with one line that repeats nothing."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        response = _text("method not allowed\n", status=405)
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        return response
    except web.HTTPNotFound:
        return _text("not found\n", status=404)


async def _common_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.popall("Server", None)
