"""What is answered under which path."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import cached_property, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from exporter.page.pieces import Encoding
from exporter.reloads import NoReloadError
from exporter.web.api import Api
from exporter.web.api.answers import NOBODY, Document
from exporter.web.backend import Backend
from exporter.web.facts import ExporterFacts, awaited
from exporter.web.flags import METRICS_PATH
from exporter.web.http import BaseRequest, Response, StreamResponse
from exporter.web.limits import Full
from exporter.web.location import Location
from exporter.web.negotiation import negotiate_encoding, negotiate_page
from exporter.web.paths import ANY_ID, id_in
from exporter.web.places import Places
from exporter.web.refusals import Refusal
from exporter.web.sending import connection_of, send, send_chunks
from exporter.web.site import API, Handler, Handlers
from exporter.web.summary import PageContext

if TYPE_CHECKING:
    from exporter.web.status import StatusPages

ORGANIZATION_PATH: Final = f"/organizations/{ANY_ID}"
API_PATH: Final = f"{API}v1/organizations"
API_ORGANIZATION_PATH: Final = f"{API_PATH}/{ANY_ID}"
API_DAYS_PATH: Final = f"{API_ORGANIZATION_PATH}/days"
READ: Final = ("GET", "HEAD")


class Routes:
    """The pages. `scrapes`, `pages` for people and `answers` of the API are those in flight."""

    def __init__(  # noqa: PLR0913 - all of it comes from where the parts are joined
        self,
        backend: Backend,
        location: Location,
        scrapes: Places,
        pages: Places,
        answers: Places,
        *,
        enable_lifecycle: bool,
        started: float,
    ) -> None:
        """`started` is on the monotonic clock."""
        self._backend = backend
        self._publisher = backend.publisher
        self._location = location
        self._started = started
        self._api = Api(backend.store, backend.archive, backend.clock, backend.shard, self._context)
        self._scrapes = scrapes
        self._pages = pages
        self._answers = answers
        self._enable_lifecycle = enable_lifecycle

    @cached_property
    def _status(self) -> StatusPages:
        """The pages for people, loaded in a thread: most exporters are never asked for one."""
        from exporter.web.status import StatusPages  # noqa: PLC0415 - see above

        return StatusPages(
            version=self._backend.version,
            telemetry_path=self._location.metrics,
            links=self._location.links,
        )

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

    async def home(self, _request: BaseRequest) -> Response:
        """Lead to the status page."""
        return _text(
            "see the status page\n", HTTPStatus.FOUND, Location=f"{self._location.prefix}/"
        )

    async def metrics(self, request: BaseRequest) -> StreamResponse:
        """Send the page that is there, in the format and encoding that the client prefers."""
        async with self._scrapes.enter(connection_of(request)):
            form, content_type = negotiate_page(",".join(request.headers.getall("Accept", ())))
            encoding = negotiate_encoding(",".join(request.headers.getall("Accept-Encoding", ())))
            body = self._publisher.page.bodies[form, encoding]
            headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
            if encoding is not Encoding.IDENTITY:
                headers["Content-Encoding"] = encoding.value
            response = await send_chunks(request, headers, body.chunks)
        self._publisher.scraped()
        return response

    async def index(self, request: BaseRequest) -> StreamResponse:
        """Show every organization with its state, or those that the query asks for."""
        backend = self._backend
        async with self._pages.enter(connection_of(request)):
            states, context = backend.store.states(), self._context()
            progress, discovery = backend.poller.progress, backend.discovery()
            telemetry = backend.telemetry

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
                    kept_days=backend.archive.kept,
                    is_stored=backend.archive.is_stored,
                    reload_error=telemetry.reload_error,
                    storage_error=telemetry.storage_error,
                    requests=telemetry.requests,
                )
                return self._status.status(states, context, facts, request.query)

            return await send(request, self._html(await asyncio.to_thread(render)))

    async def organization(self, request: BaseRequest) -> StreamResponse:
        """Show how each number of an organization came to be."""
        org_id = self._id(request, ORGANIZATION_PATH)
        org_id = org_id or request.query.get("id", "")  # where clients would change the path
        async with self._pages.enter(connection_of(request)):
            state = self._backend.store.get(org_id)
            if state is None:
                raise Refusal(HTTPStatus.NOT_FOUND, NOBODY)
            context, invoices = self._context(), self._backend.invoice_detail()
            html = await asyncio.to_thread(
                lambda: self._status.organization(state, context, invoices)
            )
            return await send(request, self._html(html))

    def _context(self) -> PageContext:
        clock = self._backend.clock
        publisher, poller = self._publisher, self._backend.poller
        return PageContext(clock.time(), clock.monotonic(), poller.next_poll, publisher.limit)

    def _html(self, html: str) -> Response:
        response = Response(text=html, content_type="text/html")
        response.headers["Content-Security-Policy"] = self._status.security_policy
        return response

    async def api_organizations(self, request: BaseRequest) -> StreamResponse:
        """Send a page of organizations."""
        make = partial(self._api.organizations, request.query.items())
        return await self._answer(request, make)

    async def api_organization(self, request: BaseRequest) -> StreamResponse:
        """Send what there is of an organization."""
        part = self._id(request, API_ORGANIZATION_PATH)
        make = partial(self._api.organization, part, request.query.items())
        return await self._answer(request, make)

    async def api_days(self, request: BaseRequest) -> StreamResponse:
        """Send the days of an organization, in the form that the client prefers."""
        accept = ",".join(request.headers.getall("Accept", ()))
        part = self._id(request, API_DAYS_PATH)
        make = partial(self._api.days, part, request.query.items(), accept)
        return await self._answer(request, make, Vary="Accept")

    def _id(self, request: BaseRequest, path: str) -> str:
        return id_in(request.rel_url.raw_path, f"{self._location.prefix}{path}")

    async def _answer(
        self, request: BaseRequest, make: Callable[[], Awaitable[Document]], **headers: str
    ) -> StreamResponse:
        """Make an answer of the API when there is a place for it, and send it."""
        async with self._answers.enter(connection_of(request)):
            made = await make()
            headers["Content-Type"] = made.content_type
            headers["Content-Length"] = str(len(made.body))
            return await send(request, StreamResponse(headers=headers), [made.body])

    async def healthy(self, _request: BaseRequest) -> Response:
        """Say that the process serves."""
        return _text("healthy\n")

    async def ready(self, _request: BaseRequest) -> Response:
        """Say whether every organization was polled once."""
        if self._publisher.ready:
            return _text("ready\n")
        reason = awaited(self._publisher.page.unpolled, settled=self._publisher.settled)
        return _text(f"not ready: {reason}\n", HTTPStatus.SERVICE_UNAVAILABLE)

    async def reload(self, request: BaseRequest) -> Response:
        """Reload the configuration, unless another site's page asks for it."""
        if not self._enable_lifecycle:
            return _text("reload is off: start with --web.enable-lifecycle\n", HTTPStatus.FORBIDDEN)
        if self._is_cross_site(request):
            return _text("refused: the request comes from another site\n", HTTPStatus.FORBIDDEN)
        try:
            error = await self._backend.reload()
        except NoReloadError:
            raise Full from None
        if error is not None:
            return _text(f"{error}\n", HTTPStatus.INTERNAL_SERVER_ERROR)
        return _text("reloaded\n")

    def _is_cross_site(self, request: BaseRequest) -> bool:
        """Tell whether a browser sends it for another site's page; programs send no Origin."""
        site = request.headers.get("Sec-Fetch-Site", "none")
        origin = request.headers.get("Origin")
        return site not in {"none", "same-origin"} or (
            origin is not None
            and not self._location.is_own(origin, request.headers.get("Host", ""))
        )

    async def config(self, request: BaseRequest) -> StreamResponse:
        """Show the effective configuration."""
        async with self._pages.enter(connection_of(request)):
            text = await asyncio.to_thread(self._backend.configuration)
            return await send(request, Response(text=text, content_type="application/yaml"))


class Endpoint(NamedTuple):
    """A path and what is answered there."""

    path: str
    handler: Callable[[Routes, BaseRequest], Awaitable[StreamResponse]]
    description: str
    methods: tuple[str, ...] = READ


ENDPOINTS: Final = (
    Endpoint(
        "/",
        Routes.index,
        "Status page: what is wrong with the exporter, what cannot be read, and every organization "
        "with its amounts, its last 28 days and its state; with search, sorting and paging.",
    ),
    Endpoint(
        ORGANIZATION_PATH,
        Routes.organization,
        "How each figure of an organization was calculated, what changed, and where the month will "
        "end.",
    ),
    Endpoint(
        API_PATH,
        Routes.api_organizations,
        "JSON: a line for each organization, in pages. The [JSON API](api.md) describes it.",
    ),
    Endpoint(
        API_ORGANIZATION_PATH,
        Routes.api_organization,
        "JSON: an organization with its costs, its invoices and the periods that have ended.",
    ),
    Endpoint(
        API_DAYS_PATH,
        Routes.api_days,
        "JSON, or CSV with `?format=csv` or `Accept: text/csv`: the spend of each day kept, "
        "or of a range, such as `?from=2026-11-01&to=2026-11-30`.",
    ),
    Endpoint(
        METRICS_PATH,
        Routes.metrics,
        "Metrics, in the text format (0.0.4 or 1.0.0) or OpenMetrics 1.0.0 by `Accept`, plain or "
        "gzip by `Accept-Encoding`. It never fails because the billing API does: the metrics say "
        "so.",
    ),
    Endpoint("/-/healthy", Routes.healthy, "200 while the process serves."),
    Endpoint(
        "/-/ready",
        Routes.ready,
        "200 once every organization has been polled, successfully or not; until then 503 with "
        "what it waits for.",
    ),
    Endpoint(
        "/-/reload",
        Routes.reload,
        "Takes POST and PUT: reloads the configuration, as SIGHUP does. 200, or 500 with what is "
        "wrong, and nothing changed. 403 without `--web.enable-lifecycle`, and for a request from "
        "another site's page.",
        methods=("POST", "PUT"),
    ),
    Endpoint("/config", Routes.config, "The effective configuration as YAML, without secrets."),
)


def is_taken(path: str) -> bool:
    """Tell whether a path is another page's, or within a folder of other pages, as /-/ is."""
    others = [each.path for each in ENDPOINTS if each.path != METRICS_PATH]
    folders = {each[: each.index("/", 1) + 1] for each in others if "/" in each[1:]}
    return path in others or path.startswith(tuple(folders))


def telemetry_path(text: str) -> str:
    """Parse --web.telemetry-path. Raises ValueError with the rule."""
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text) or is_taken(text):
        raise ValueError(
            f"{text!r} cannot be the metrics' path: use one like /metrics that no other page has"
        )
    return text


HEALTH: Final = ("/-/healthy", "/-/ready")  # what --web.health-without-auth leaves open


def _text(text: str, status: int = 200, **headers: str) -> Response:
    return Response(text=text, status=status, headers=headers)
