"""Works around what asyncio's transports lack, and differ in between releases of Python."""

from __future__ import annotations

import asyncio
from asyncio import sslproto
from typing import Final

TLS_READ: Final = 16 * 1024  # bytes: the longest record of TLS


def read_little_of_tls() -> None:
    """Keep a buffer of a record for each TLS connection from now on, in place of 256 KiB.

    A client needs no password to open a thousand of them. There is no other way to say so.
    """
    sslproto.SSLProtocol.max_size = TLS_READ


def abort(transport: asyncio.WriteTransport) -> None:
    """End a connection now, whatever is still to send."""
    try:
        transport.abort()
    except AttributeError:
        # In early releases of Python 3.11, Debian 12's among them, a TLS transport that was closed
        # twice has forgotten what to abort. By then it is being shut down, within a time limit.
        pass
