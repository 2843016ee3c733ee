"""Addresses to listen at, as they are written on a command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

MAX_PORT = 65_535

_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^:\[\]/]*)):(?P<port>[0-9]{1,5})"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port. An empty host means every interface."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse host:port, [v6]:port or :port. Raises ValueError."""
        match = _ADDRESS.fullmatch(text)
        if match is None or int(match["port"]) > MAX_PORT:
            raise ValueError(f"{text!r} is not an address: write host:port, [v6]:port or :port")
        return cls(match["v6"] or match["host"] or "", int(match["port"]))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_ipv4(self) -> bool:
        """Whether the host is an IPv4 address."""
        try:
            return isinstance(ip_address(self.host), IPv4Address)
        except ValueError:
            return False

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Tell whether a host, by name or number, is this machine and no other can reach it."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_every_ipv6(host: str) -> bool:
    """Tell whether a host is every IPv6 address of this machine, however it is written."""
    try:
        return ip_address(host) == IPv6Address("::")
    except ValueError:
        return False
