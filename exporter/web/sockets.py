"""Sockets to listen at: bound here, or passed in by systemd."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterable, MutableMapping
from typing import Final

import structlog

from exporter.base.address import is_every_ipv6, is_loopback

log = structlog.get_logger(__name__)

NOT_HERE: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}
BACKLOG = 1024
FIRST_DESCRIPTOR = 3  # after standard input, output and error: sd_listen_fds(3)


async def bind(host: str, port: int, *, dualstack: bool = True) -> list[socket.socket]:
    """Listen at every address of a host, as far as this machine has them.

    An empty host means every interface, and so does `::`: with IPv4, unless `dualstack` is off.
    Raises OSError.
    """
    everywhere = not host or is_every_ipv6(host)
    if everywhere and socket.has_dualstack_ipv6():
        return [_listen(socket.AF_INET6, ("", port), dualstack=dualstack or not host)]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            None if everywhere else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except UnicodeError:  # of what no name of a host can be
        raise OSError(errno.EINVAL, "the host's name is not valid") from None
    return bind_all((family, address) for family, _, _, _, address in found)


def bind_all(addresses: Iterable[tuple[int, tuple[object, ...]]]) -> list[socket.socket]:
    """Listen at those addresses that this machine has, with their families. Raises OSError.

    A name often has an address for IPv6, also where there is none: `localhost` for one. But what
    is taken is no matter of the machine.
    """
    sockets: list[socket.socket] = []
    missing: list[tuple[object, OSError]] = []
    try:
        for family, each in dict.fromkeys(addresses):
            try:
                sockets.append(_listen(family, each))
            except OSError as error:
                if error.errno not in NOT_HERE:
                    raise
                missing.append((each[0], error))
        if missing and not sockets:
            raise missing[0][1]
    except OSError:
        for listening in sockets:
            listening.close()
        raise
    for host, reason in missing:
        log.warning(
            #: For example, the IPv6 address of `localhost` on a machine without IPv6. The others
            #: are served.
            "skipping a listen address that this machine does not have",
            address=host,
            reason=reason.strerror,
        )
    return sockets


def _listen(family: int, address: tuple[object, ...], *, dualstack: bool = False) -> socket.socket:
    try:
        listening = socket.create_server(
            address, family=family, backlog=BACKLOG, dualstack_ipv6=dualstack
        )
    except OSError as error:
        raise OSError(error.errno, reason(error)) from None
    listening.setblocking(False)
    return listening


def reason(error: OSError) -> str:
    """Return why a socket could not be bound, without the address as Python writes it."""
    return (error.strerror or str(error)).partition(" (while")[0]


def from_systemd(environ: MutableMapping[str, str], pid: int) -> list[socket.socket]:
    """Take the sockets that systemd passes in, and the variables that say so.

    Without the variables, a program that this one starts would take them for its own. Raises
    ValueError if there are none, or one that is not for listening.
    """
    variables = {
        name: environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    }
    count = variables["LISTEN_FDS"]
    if variables["LISTEN_PID"] != str(pid) or not count.isdecimal() or int(count) < 1:
        raise ValueError("systemd passed no sockets: start the .socket unit, not the service")
    sockets = []
    for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count)):
        try:
            passed = socket.socket(fileno=descriptor)
            listening = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError:
            listening = 0
        if not listening:
            raise ValueError("systemd passed something that is not a ListenStream= socket")
        passed.set_inheritable(False)
        passed.setblocking(False)
        sockets.append(passed)
    return sockets


def address(listening: socket.socket) -> str:
    """Return where a socket listens: host:port, [v6]:port, or the path of a Unix socket."""
    name = listening.getsockname()
    if not isinstance(name, tuple):
        return str(name)
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_local(listening: socket.socket) -> bool:
    """Tell whether only this machine can reach it."""
    name = listening.getsockname()
    return not isinstance(name, tuple) or is_loopback(name[0])
