"""Whether the machine has room for a command."""

from __future__ import annotations

from exporter.process import room
from exporter.tool.errors import CommandError


def require() -> None:
    """Raise CommandError unless the machine has room for what talks to servers, or is one."""
    try:
        room.require()
    except room.NoRoomError as error:
        raise CommandError(str(error)) from error
