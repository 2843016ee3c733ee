"""Which proxy the environment names for the billing API.

gRPC would read the environment by itself, and otherwise than people know it: no upper-case names,
`no_proxy` by the letters at a name's end, no exception for this machine, and silence about what it
cannot use. So it is told not to, and is given the proxy that is chosen here: by the options that it
would set itself, since even with the one for a proxy's URL it reads `no_proxy` in its own way, and
finds a port in `http://host` that nobody expects, 443.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from socket import inet_aton
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from exporter.base.address import Address
from exporter.config import ConfigError, Problem
from exporter.config.values import address
from exporter.model import Secret

NAMES: Final = ("https_proxy", "http_proxy", "all_proxy")  # the first that is set is used
EXCEPTIONS: Final = "no_proxy"
DEFAULT_PORT: Final = 80  # of http

WRONG_SCHEME: Final = (
    "must begin with http://, since gRPC supports only HTTP CONNECT proxies: name "
    "such a proxy, or put the API's host in no_proxy"
)
WRONG_FORM: Final = (
    "must be http://host:port, or http://user:password@host:port with %2F for / in a password, "
    "%40 for @ and so on"
)

IpAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that connects by CONNECT."""

    address: str  # host:port
    variable: str  # that names it
    credentials: Secret | None = None  # user:password in base64

    def __str__(self) -> str:
        """Say which it is, without user and password."""
        return f"http://{self.address}"

    @property
    def target(self) -> str:
        """The address as gRPC resolves it, whatever the host is called."""
        return f"dns:///{quote(self.address, safe=':')}"

    def channel_options(self, api: str) -> tuple[tuple[str, str], ...]:
        """Return what makes a channel to the target one to the API, host:port.

        It is the API's name that a certificate has to have.
        """
        options = (("grpc.http_connect_server", api), ("grpc.default_authority", api))
        if self.credentials is None:
            return options
        header = f"Proxy-Authorization:Basic {self.credentials.reveal()}"
        return (*options, ("grpc.http_connect_headers", header))


def choose(api: str, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy for the API at host:port, or None if it is reached without one.

    A name in lower case is looked at before the same in upper case, and one that is empty is not
    set; an empty one in lower case hides the other. Raises ConfigError if the proxy cannot be used.
    """
    host, port = _parts(api)
    if _is_here(host) or _is_exempt(host, port, _value(EXCEPTIONS, environ)[1]):
        return None
    for name in NAMES:
        variable, value = _value(name, environ)
        if value:
            try:
                return _parse(variable, value)
            except ValueError as error:
                problem = Problem("environment", None, variable, str(error))
                raise ConfigError([problem]) from None
    return None


def _parts(api: str) -> tuple[str, int]:
    parsed = Address.parse(api)
    return parsed.host.lower().rstrip("."), parsed.port


def _value(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the variable that counts, and its value."""
    variable = name if name in environ else name.upper()
    return variable, environ.get(variable, "").strip()


def _parse(variable: str, value: str) -> Proxy:
    """Return the proxy of a URL. Raises ValueError with the rule, which repeats nothing of it."""
    scheme, separator, rest = value.partition("://")
    if not separator:
        scheme, rest = "http", value
    if scheme.lower() != "http":
        raise ValueError(WRONG_SCHEME)
    authority, *path = re.split("[/?#]", rest, maxsplit=1)
    user_info, _, host = authority.rpartition("@")
    if path and "@" in path[0]:  # a password was cut in two
        raise ValueError(WRONG_FORM)
    if host.endswith("]") or ":" not in host:
        host = f"{host}:{DEFAULT_PORT}"
    try:
        host = address(host)
    except ValueError:
        raise ValueError(WRONG_FORM) from None
    return Proxy(host, variable, _credentials(user_info) if user_info else None)


def _credentials(user_info: str) -> Secret:
    user, _, password = user_info.encode(errors="surrogateescape").partition(b":")
    both = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return Secret(base64.b64encode(both).decode())


def _is_here(host: str) -> bool:
    """Tell whether a host is this machine, which a proxy would take for its own."""
    ip = _ip(host)
    if ip is not None:
        return ip.is_loopback or ip.is_unspecified
    return host == "localhost" or host.endswith(".localhost")


def _is_exempt(host: str, port: int, exceptions: str) -> bool:
    """Tell whether `no_proxy` has the host. No name is resolved for it."""
    entries = re.split(r"[,\s]+", exceptions.lower())
    return any(_names(entry, host, port) for entry in entries if entry)


def _names(entry: str, host: str, port: int) -> bool:
    """Tell whether an entry is `*`, the host or a domain above it, or a network that it is in."""
    ip = _ip(host)
    if "/" in entry:
        return ip is not None and _is_in(ip, entry)
    if match := re.fullmatch(r"(\[.*\]|[^:]*):([0-9]+)", entry):
        if match[2] != str(port):
            return False
        entry = match[1]
    entry = entry.strip("[]")
    if (listed := _ip(entry)) is not None:
        return listed == ip
    domain = entry.removeprefix("*").strip(".")
    return entry == "*" or (ip is None and domain != "" and f".{host}".endswith(f".{domain}"))


def _is_in(ip: IpAddress, network: str) -> bool:
    try:
        return ip in ip_network(network, strict=False)
    except ValueError:
        return False


def _ip(host: str) -> IpAddress | None:
    """Return the address that a host is, in any form that it can be written in."""
    try:
        ip = ip_address(host.partition("%")[0])
    except ValueError:
        try:
            return IPv4Address(inet_aton(host))  # 127.1 is resolved like this, too
        except (OSError, ValueError):
            return None
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip
