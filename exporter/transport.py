"""Works around differences between releases of Python in asyncio's transports."""

from __future__ import annotations

import asyncio


def abort(transport: asyncio.WriteTransport) -> None:
    """End a connection now, whatever is still to send."""
    try:
        transport.abort()
    except AttributeError:
        # In early releases of Python 3.11, Debian 12's among them, a TLS transport that was closed
        # twice has forgotten what to abort. By then it is being shut down, within a time limit.
        pass
