"""The names under which the pages are reached.

A page of another site can have a browser come here under that site's name (DNS rebinding), and
read what it gets. So names that are not known get nothing, where no password is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Final

HOSTS_FILE: Final = Path("/etc/hosts")

_HOST = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<name>[^:\[\]/@]+))(?::[0-9]*)?")
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")


class KnownHosts:
    """Tells whether a Host header is an address, localhost or one of the names given."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {"localhost", *map(_normal, names)}

    def __contains__(self, host: object) -> bool:
        if not isinstance(host, str):
            return False
        match = _HOST.fullmatch(host)
        if match is None:
            return _is_address(host)  # as in a URL that was parsed
        if match["v6"] is not None:
            return _is_address(match["v6"])
        return _normal(match["name"]) in self._names or _is_address(match["name"])


def _normal(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def allowed_host(text: str) -> str:
    """Parse --web.allowed-host. Raises ValueError with the rule."""
    try:
        name = _normal(text.encode("idna").decode())
    except UnicodeError:
        name = ""
    if not _NAME.fullmatch(name):
        raise ValueError("must be the name of a host, without a scheme or a port")
    return name


def machine_names(host_name: str, file: Path = HOSTS_FILE) -> Collection[str]:
    """Return the names of this machine: its own, and those beside it in the file of hosts.

    Name servers are not asked: they may not answer, or be somebody else's.
    """
    names = {host_name, host_name.partition(".")[0]} - {""}
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return names
    for line in lines:
        _, *beside = line.partition("#")[0].split() or [""]
        if names & {*beside}:
            names |= {*beside}
    return names
