"""Joins the parts of the web side and runs them."""

from __future__ import annotations

import argparse
import math
import socket
from collections.abc import AsyncIterator, Collection, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from exporter.web.auth import BasicAuth
from exporter.web.backend import Backend
from exporter.web.connections import Connections
from exporter.web.flags import DEFAULT_MAX_REQUESTS
from exporter.web.hosts import KnownHosts
from exporter.web.limits import API_ANSWERS, PAGES, Limits, TokenBucket
from exporter.web.location import Location
from exporter.web.places import Places
from exporter.web.routes import HEALTH, Routes
from exporter.web.server import Server
from exporter.web.site import Site
from exporter.web.sockets import from_systemd
from exporter.web.toolkit import WebConfig, WebConfigFile

NO_FILE = WebConfig()


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
        return NO_FILE if self.file is None else self.file.current


def web_options(
    arguments: argparse.Namespace,
    environ: MutableMapping[str, str],
    pid: int,
    files: int,
    names: Collection[str],
) -> WebOptions:
    """Return what the flags say. Raises ConfigError, or ValueError with what systemd did wrong.

    `environ`, `pid` and `files`, the number of files that may be open, are the process's, and
    `names` the machine's. systemd's variables are taken out.
    """
    external, prefix = arguments.external_url, arguments.route_prefix
    if prefix is None:
        prefix = "" if external is None else external.path
    file = arguments.web_config_file
    passed = arguments.systemd_socket and not arguments.config_check
    return WebOptions(
        file=None if file is None else WebConfigFile(file),
        location=Location(prefix, external),
        max_requests=arguments.max_requests,
        enable_lifecycle=arguments.enable_lifecycle,
        health_without_auth=arguments.health_without_auth,
        hosts=[*names, *arguments.allowed_hosts],
        sockets=from_systemd(environ, pid) if passed else (),
        # The other half is for everything but clients.
        limits=Limits(connections=min(Limits().connections, files // 2)),
    )


@asynccontextmanager
async def serve(
    sockets: Sequence[socket.socket], options: WebOptions, telemetry_path: str, backend: Backend
) -> AsyncIterator[None]:
    """Serve the pages at sockets that listen while inside. The sockets are closed in the end."""
    location = replace(options.location, metrics=telemetry_path)
    connections = Connections(options.limits)
    scrapes = Places(options.max_requests or math.inf, options.limits)
    routes = Routes(
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
