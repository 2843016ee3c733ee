"""What is done when the machine does not let a connection be accepted."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import cast

import pytest
from structlog.testing import capture_logs

from exporter.web.connections import Connections
from exporter.web.server import Server
from exporter.web.site import Site
from exporter.web.toolkit import WebConfig


class Refusing:
    """A socket that listens, and gives a connection once it has raised these errors."""

    def __init__(self, errors: list[int]) -> None:
        self._errors = errors
        self.given, self.other = socket.socketpair()

    def fileno(self) -> int:
        """Return the other's, which can be read from."""
        return self.other.fileno()

    def accept(self) -> tuple[socket.socket, str]:
        """Raise the next error, or give the connection."""
        if self._errors:
            raise OSError(self._errors.pop(0), "as the test wants it")
        return self.given, ""


class Idle:
    """Connections of which some are idle."""

    evicted = 0

    def evict_idle(self) -> None:
        """Count one more."""
        self.evicted += 1


@pytest.mark.parametrize(
    ("number", "evicted"),
    [(errno.EMFILE, 2), (errno.ENOBUFS, 2), (errno.EPERM, 0), (errno.ENETDOWN, 0)],
)
def test_idle_connections_are_ended_only_where_that_makes_room(number: int, evicted: int) -> None:
    """A client that a firewall refuses costs nobody else; either is logged, and not each time."""
    idle, listening = Idle(), Refusing([number, number])
    with capture_logs() as logs, listening.given, listening.other:
        server = Server(cast("Site", None), cast("Connections", idle), WebConfig, None)
        accepted = asyncio.run(server._next(cast("socket.socket", listening)))
        assert accepted is listening.given
    assert idle.evicted == evicted
    assert [log["event"] for log in logs] == ["cannot accept connections"]
