"""The flags of the web side, beside addresses and the metrics' path."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, MutableMapping
from typing import TypeVar

from exporter.base.files import path_argument
from exporter.web import sockets
from exporter.web.hosts import allowed_host
from exporter.web.limits import Limits
from exporter.web.location import Location, external_url, route_prefix
from exporter.web.serving import DEFAULT_MAX_REQUESTS, WebOptions
from exporter.web.toolkit import WebConfigFile

T = TypeVar("T")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the flags to a command line."""
    parser.add_argument(
        "--web.systemd-socket",
        dest="systemd_socket",
        action="store_true",
        help="listen on the sockets passed by systemd instead of on an address",
    )
    parser.add_argument(
        "--web.external-url",
        dest="external_url",
        metavar="URL",
        type=_argument_type(external_url),
        help="URL under which people reach the pages through a reverse proxy; links start with its "
        "path",
    )
    parser.add_argument(
        "--web.route-prefix",
        dest="route_prefix",
        metavar="PATH",
        type=_argument_type(route_prefix),
        help="path prefix of all pages (default: the path of --web.external-url)",
    )
    parser.add_argument(
        "--web.config.file",
        dest="web_config_file",
        metavar="FILE",
        type=path_argument,
        help="file that sets up TLS, basic authentication, response headers and a rate limit, in "
        "the format of Prometheus' exporter-toolkit; reloaded when it changes",
    )
    parser.add_argument(
        "--web.allowed-host",
        dest="allowed_hosts",
        metavar="NAME",
        type=_argument_type(allowed_host),
        action="append",
        default=[],
        help="additional host name to answer to. Without authentication, pages answer only to "
        "IP addresses, localhost, the machine's names, the host of --web.external-url and these; "
        "repeatable",
    )
    parser.add_argument(
        "--web.enable-lifecycle",
        dest="enable_lifecycle",
        action="store_true",
        help="reload the configuration on POST or PUT to /-/reload",
    )
    parser.add_argument(
        "--web.max-requests",
        dest="max_requests",
        metavar="N",
        type=_argument_type(_count),
        default=DEFAULT_MAX_REQUESTS,
        help="maximum number of scrapes in flight; others wait briefly, then get a 503; 0 for no "
        "limit (default: %(default)s)",
    )
    parser.add_argument(
        "--web.health-without-auth",
        dest="health_without_auth",
        action="store_true",
        help="serve /-/healthy and /-/ready without authentication",
    )


def options(
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
        sockets=sockets.from_systemd(environ, pid) if passed else (),
        # The other half is for everything but clients.
        limits=Limits(connections=min(Limits().connections, files // 2)),
    )


def _count(text: str) -> int:
    if not text.isdecimal() or not text.isascii():
        raise ValueError("must be a whole number, 0 for no limit")
    return int(text)


def _argument_type(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return a type for argparse, which shows what is wrong for its own error only."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed
