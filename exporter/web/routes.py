"""What is answered under which path."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple

import structlog
from aiohttp import web

from exporter.api.proxy import Proxy
from exporter.model import Clock, InvoiceDetail
from exporter.page.pieces import Encoding
from exporter.page.publisher import Publisher
from exporter.polling.key_records import DiscoveryStatus
from exporter.polling.poller import Poller
from exporter.reloads import NoReloadError
from exporter.state.archive import Archive
from exporter.state.store import Store
from exporter.web.connection import Connection
from exporter.web.limits import TURN, WRITE, Full
from exporter.web.location import Location
from exporter.web.negotiation import negotiate_encoding, negotiate_format
from exporter.web.places import Places
from exporter.web.site import ANY_ID, Handler, Handlers, plain
from exporter.web.status import StatusPages
from exporter.web.status.html_pages import ExporterFacts
from exporter.web.summary import PageContext

log = structlog.get_logger(__name__)

ORGANIZATIONS_PATH: Final = "/organizations/"
METRICS_PATH: Final = "/metrics"  # unless --web.telemetry-path says otherwise
READ: Final = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Backend:
    """What is behind the pages: the parts of the exporter that they show or act upon."""

    publisher: Publisher
    store: Store
    clock: Clock
    version: str
    configuration: Callable[[], str]  # the effective one, as YAML
    # Reloads the configuration; returns what is wrong with it if the old one stays, or raises
    # NoReloadError.
    reload: Callable[[], Awaitable[str | None]]
    poller: Poller
    invoice_detail: Callable[[], InvoiceDetail]
    configuration_hash: Callable[[], str]  # another one for another configuration
    discovery: Callable[[], DiscoveryStatus | None]  # how discovery fares
    archive: Archive
    proxy: Callable[[], Proxy | None] = lambda: None  # which the API is reached through
    on_connection: Callable[[], object] = lambda: None  # told of each


class Routes:
    """The pages. `scrapes` and `pages`, which are for people, are those in flight."""

    def __init__(  # noqa: PLR0913 - all of it comes from where the parts are joined
        self,
        backend: Backend,
        location: Location,
        scrapes: Places,
        pages: Places,
        *,
        enable_lifecycle: bool,
        started: float,
    ) -> None:
        """Read the templates, so not on the event loop. `started` is on the monotonic clock."""
        self._backend = backend
        self._publisher = backend.publisher
        self._location = location
        self._started = started
        self._status = StatusPages(
            version=backend.version,
            telemetry_path=location.metrics,
            links=location.links,
        )
        self._scrapes = scrapes
        self._pages = pages
        self._enable_lifecycle = enable_lifecycle

    def handlers(self) -> Handlers:
        """Return what answers, by path and method. Without a slash the prefix leads to its page."""
        prefix = self._location.prefix
        handlers: dict[str, dict[str, Handler]] = {}
        if prefix:
            handlers["/"] = handlers[prefix] = dict.fromkeys(READ, self.home)
        for endpoint in ENDPOINTS:
            path = self._location.metrics if endpoint.path == METRICS_PATH else endpoint.path
            handler: Handler = endpoint.handler.__get__(self)
            handlers[prefix + path] = dict.fromkeys(endpoint.methods, handler)
        return handlers

    async def home(self, _request: web.BaseRequest) -> web.Response:
        """Lead to the status page."""
        return _text(
            "see the status page\n", HTTPStatus.FOUND, Location=f"{self._location.prefix}/"
        )

    async def metrics(self, request: web.BaseRequest) -> web.StreamResponse:
        """Send the page that is there, in the format and encoding that the client prefers."""
        async with self._scrapes.enter(_connection(request)):
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
            return await _send(request, response, body.chunks)

    async def index(self, request: web.BaseRequest) -> web.StreamResponse:
        """Show every organization with its state, or those that the query asks for."""
        backend = self._backend
        async with self._pages.enter(_connection(request)):
            states, context = backend.store.states(), self._context()
            progress, discovery = backend.poller.progress, backend.discovery()

            def render() -> str:
                facts = ExporterFacts(
                    uptime=context.monotonic - self._started,
                    configuration_hash=backend.configuration_hash(),
                    progress=progress,
                    ready=self._publisher.ready,
                    unpolled=self._publisher.page.unpolled,
                    settled=self._publisher.settled,
                    discovery=discovery,
                    proxy=backend.proxy(),
                )
                return self._status.status(states, context, facts, request.query)

            return await _send(request, self._html(await asyncio.to_thread(render)))

    async def organization(self, request: web.BaseRequest) -> web.StreamResponse:
        """Show how each number of an organization came to be."""
        org_id = request.path.removeprefix(self._location.prefix + ORGANIZATIONS_PATH)
        org_id = org_id or request.query.get("id", "")  # where clients would change the path
        async with self._pages.enter(_connection(request)):
            state = self._backend.store.get(org_id)
            if state is None:
                return plain(HTTPStatus.NOT_FOUND)
            html = await asyncio.to_thread(
                self._status.organization, state, self._context(), self._backend.invoice_detail()
            )
            return await _send(request, self._html(html))

    def _context(self) -> PageContext:
        clock = self._backend.clock
        publisher, poller = self._publisher, self._backend.poller
        return PageContext(clock.time(), clock.monotonic(), poller.next_poll, publisher.limit)

    def _html(self, html: str) -> web.Response:
        response = web.Response(text=html, content_type="text/html")
        response.headers["Content-Security-Policy"] = self._status.security_policy
        return response

    async def healthy(self, _request: web.BaseRequest) -> web.Response:
        """Say that the process serves."""
        return _text("healthy\n")

    async def ready(self, _request: web.BaseRequest) -> web.Response:
        """Say whether every organization was polled once."""
        if self._publisher.ready:
            return _text("ready\n")
        left = f"organizations not polled yet: {self._publisher.page.unpolled}"
        if not self._publisher.settled:
            left += ", and it is not known yet which others there are"
        return _text(f"not ready: {left}\n", HTTPStatus.SERVICE_UNAVAILABLE)

    async def reload(self, request: web.BaseRequest) -> web.Response:
        """Reload the configuration, unless another site's page asks for it."""
        if not self._enable_lifecycle:
            return _text("reload is off: start with --web.enable-lifecycle\n", HTTPStatus.FORBIDDEN)
        if self._is_cross_site(request):
            return _text("refused: another site asks for it\n", HTTPStatus.FORBIDDEN)
        try:
            error = await self._backend.reload()
        except NoReloadError:
            raise Full from None
        if error is not None:
            return _text(f"{error}\n", HTTPStatus.INTERNAL_SERVER_ERROR)
        return _text("reloaded\n")

    def _is_cross_site(self, request: web.BaseRequest) -> bool:
        """Tell whether a browser sends it for another site's page; programs send no Origin."""
        site = request.headers.get("Sec-Fetch-Site", "none")
        origin = request.headers.get("Origin")
        return site not in {"none", "same-origin"} or (
            origin is not None
            and not self._location.is_own(origin, request.headers.get("Host", ""))
        )

    async def config(self, request: web.BaseRequest) -> web.StreamResponse:
        """Show the effective configuration."""
        async with self._pages.enter(_connection(request)):
            text = await asyncio.to_thread(self._backend.configuration)
            return await _send(request, web.Response(text=text, content_type="application/yaml"))


class Endpoint(NamedTuple):
    """A path and what is answered there."""

    path: str
    handler: Callable[[Routes, web.BaseRequest], Awaitable[web.StreamResponse]]
    description: str
    methods: tuple[str, ...] = READ


ENDPOINTS: Final = (
    Endpoint(
        "/",
        Routes.index,
        "Status page: the version, every organization with its amounts and its state; searched, "
        "sorted and in pages.",
    ),
    Endpoint(
        ORGANIZATIONS_PATH + ANY_ID,
        Routes.organization,
        "How each number of an organization came to be: what was received and what is made of it.",
    ),
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
        "200 once every organization has been polled, successfully or not; until then 503 with how "
        "many are left.",
    ),
    Endpoint(
        "/-/reload",
        Routes.reload,
        "Takes POST and PUT: reloads the configuration, as SIGHUP does. 200, or 500 with what is "
        "wrong, and nothing changed. 403 without `--web.enable-lifecycle`, and to a request that "
        "another site's page sends.",
        methods=("POST", "PUT"),
    ),
    Endpoint("/config", Routes.config, "The effective configuration as YAML, without secrets."),
)


def is_taken(path: str) -> bool:
    """Tell whether a path is another page's, or within a folder of other pages, as /-/ is."""
    others = [each.path for each in ENDPOINTS if each.path != METRICS_PATH]
    folders = {each[: each.index("/", 1) + 1] for each in others if "/" in each[1:]}
    return path in others or path.startswith(tuple(folders))


HEALTH: Final = ("/-/healthy", "/-/ready")  # what --web.health-without-auth leaves open


def _connection(request: web.BaseRequest) -> Connection:
    assert isinstance(request.protocol, Connection)  # noqa: S101 - for mypy
    return request.protocol


async def _send(
    request: web.BaseRequest, response: web.StreamResponse, chunks: Iterable[bytes] = ()
) -> web.StreamResponse:
    """Send a response, and return when the client has taken it, or went away."""
    try:
        await response.prepare(request)
        if request.method != "HEAD":
            await _write(response, chunks)
        await response.write_eof()
    except ConnectionError:
        log.debug("the client went away in the middle of an answer", client=request.remote)
    if isinstance(response, web.Response):
        # aiohttp keeps a response until the next request of its connection, or its end.
        response.body = None
    return response


async def _write(response: web.StreamResponse, chunks: Iterable[bytes]) -> None:
    # One write of a whole page would be copied whole, and hold the event loop. And a client that
    # reads as fast as we write would keep the loop busy.
    sent = 0
    for chunk in chunks:
        for start in range(0, len(chunk), WRITE):
            await response.write(memoryview(chunk)[start : start + WRITE])
        sent += len(chunk)
        if sent >= TURN:
            await asyncio.sleep(0)
            sent = 0


def _text(text: str, status: int = 200, **headers: str) -> web.Response:
    return web.Response(text=text, status=status, headers=headers)
