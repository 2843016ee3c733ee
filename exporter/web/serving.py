"""Joins the parts of the web side and runs them."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from exporter.web.auth import BasicAuth
from exporter.web.backend import Backend
from exporter.web.connections import Connections
from exporter.web.hosts import KnownHosts
from exporter.web.limits import API_ANSWERS, PAGES, Limits, TokenBucket
from exporter.web.location import Location
from exporter.web.places import Places
from exporter.web.routes import HEALTH, Routes
from exporter.web.server import Server
from exporter.web.site import Site
from exporter.web.toolkit import WebConfig, WebConfigFile

DEFAULT_MAX_REQUESTS = 40


@dataclass(frozen=True, slots=True)
class WebOptions:
    """What the command line says of the web side, beside addresses and the metrics' path."""

    file: WebConfigFile | None = None
    location: Location = field(default_factory=Location)
    max_requests: int = DEFAULT_MAX_REQUESTS  # scrapes in flight; 0: no limit
    enable_lifecycle: bool = False
    health_without_auth: bool = False
    hosts: Collection[str] = ()  # names that people may reach the pages by
    sockets: Sequence[socket.socket] = ()  # from systemd, in place of addresses
    limits: Limits = field(default_factory=Limits)

    def configuration(self) -> WebConfig:
        """Return the web configuration as it is now."""
        return WebConfig() if self.file is None else self.file.current


@asynccontextmanager
async def serve(
    sockets: Sequence[socket.socket], options: WebOptions, telemetry_path: str, backend: Backend
) -> AsyncIterator[None]:
    """Serve the pages at sockets that listen while inside. The sockets are closed in the end."""
    location = replace(options.location, metrics=telemetry_path)
    connections = Connections(options.limits)
    scrapes = Places(options.max_requests or math.inf, options.limits)
    routes = await asyncio.to_thread(
        Routes,
        backend,
        location,
        scrapes,
        Places(PAGES, options.limits),
        Places(API_ANSWERS, options.limits),
        enable_lifecycle=options.enable_lifecycle,
        started=backend.clock.monotonic(),
    )
    health = [location.prefix + path for path in HEALTH]
    auth = BasicAuth()
    site = Site(
        routes.handlers(),
        options.configuration,
        auth,
        TokenBucket(backend.clock.monotonic),
        prefix=location.prefix,
        open_to_all=health if options.health_without_auth else (),
        hosts=KnownHosts([*options.hosts, *location.host]),
        any_host=[*health, location.prefix + location.metrics],
    )
    try:
        server = Server(
            site, connections, options.configuration, options.file, backend.on_connection
        )
        async with server.serve(sockets):
            yield
    finally:
        auth.close()
