"""Where the pages are: below which path, and how the outside calls them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Location:
    """The path of all pages, without a slash at its end, and what is below it."""

    prefix: str = ""
    external: SplitResult | None = None  # the URL that people use
    metrics: str = "/metrics"

    @property
    def links(self) -> str:
        """What stands before a link: a path, or nothing where links are relative."""
        return "" if self.external is None else f"{self.external.path}/"

    @property
    def host(self) -> Collection[str]:
        """The host of the URL that people use, if there is one."""
        host = None if self.external is None else self.external.hostname
        return [] if host is None else [host]

    def is_own(self, origin: str, host: str) -> bool:
        """Tell whether an Origin header names this server, as Host or the external URL does."""
        try:
            parts = urlsplit(origin)
            own = {_host_port(urlsplit(f"{parts.scheme}://{host}"))}
            if self.external is not None:
                own.add(_host_port(self.external))
            return bool(parts.hostname) and _host_port(parts) in own
        except ValueError:  # no port, or no IPv6 address
            return False


def _host_port(parts: SplitResult) -> tuple[str | None, int | None]:
    return parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)


def external_url(text: str) -> SplitResult:
    """Parse --web.external-url. Raises ValueError with the rule."""
    parts = urlsplit(text)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("must begin with http:// or https:// and a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must have no user, query or fragment")
    parts.port  # noqa: B018 - raises ValueError for one that is no number
    try:
        host = parts.netloc.encode("idna").decode()  # as browsers send it
    except UnicodeError:
        raise ValueError("must have a host that is a name or an address") from None
    return parts._replace(netloc=host, path=route_prefix(parts.path))


def route_prefix(text: str) -> str:
    """Parse --web.route-prefix. Raises ValueError with the rule."""
    trimmed = text.strip("/")
    path = f"/{trimmed}" if trimmed else ""
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError("must be a path of letters, digits and . _ ~ - between slashes")
    return path
