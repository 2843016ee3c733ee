"""The flags of the web side, beside its addresses."""

from __future__ import annotations

import argparse

from exporter.base.arguments import parsed_by

DEFAULT_MAX_REQUESTS = 40
METRICS_PATH = "/metrics"  # unless --web.telemetry-path says otherwise


def add(parser: argparse.ArgumentParser) -> None:
    """Add the flags to a command line."""
    parser.add_argument(
        "--web.telemetry-path",
        dest="telemetry_path",
        metavar="PATH",
        type=parsed_by("exporter.web.routes:telemetry_path"),
        help=f"path of the metrics (default: {METRICS_PATH})",
    )
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
        type=parsed_by("exporter.web.location:external_url"),
        help="URL under which people reach the pages through a reverse proxy; links start with its "
        "path",
    )
    parser.add_argument(
        "--web.route-prefix",
        dest="route_prefix",
        metavar="PATH",
        type=parsed_by("exporter.web.location:route_prefix"),
        help="path prefix of all pages (default: the path of --web.external-url)",
    )
    parser.add_argument(
        "--web.config.file",
        dest="web_config_file",
        metavar="FILE",
        type=parsed_by("exporter.base.files:path_argument"),
        help="file that sets up TLS, basic authentication, response headers and a rate limit, in "
        "the format of Prometheus' exporter-toolkit; reloaded when it changes",
    )
    parser.add_argument(
        "--web.allowed-host",
        dest="allowed_hosts",
        metavar="NAME",
        type=parsed_by("exporter.web.hosts:allowed_host"),
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
        type=_count,
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


def _count(text: str) -> int:
    if not text.isdecimal() or not text.isascii():
        raise argparse.ArgumentTypeError("must be a whole number, 0 for no limit")
    return int(text)
