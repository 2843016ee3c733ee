"""Sockets to listen at: bound here, or passed in by systemd."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import MutableMapping

from exporter.address import is_loopback

BACKLOG = 1024
FIRST_DESCRIPTOR = 3  # after standard input, output and error: sd_listen_fds(3)


async def bind(host: str, port: int) -> list[socket.socket]:
    """Listen at every address of a host, which empty means every interface.

    Raises OSError.
    """
    if not host and socket.has_dualstack_ipv6():
        return [_listen(socket.AF_INET6, ("", port), dualstack=True)]
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            sockets.append(_listen(family, address))
    except OSError:
        for listening in sockets:
            listening.close()
        raise
    return sockets


def _listen(family: int, address: tuple[object, ...], *, dualstack: bool = False) -> socket.socket:
    listening = socket.create_server(
        address, family=family, backlog=BACKLOG, dualstack_ipv6=dualstack
    )
    listening.setblocking(False)
    return listening


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
        raise ValueError("systemd passed in no sockets: start the .socket unit, not the service")
    sockets = []
    for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count)):
        try:
            passed = socket.socket(fileno=descriptor)
            listening = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError:
            listening = 0
        if not listening:
            raise ValueError("systemd passed in something that is no ListenStream= socket")
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
