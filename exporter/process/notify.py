"""Tells systemd the state of the service, and pings its watchdog: sd_notify(3)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Hashable, MutableMapping
from typing import Final

import structlog

from exporter.model import Clock

log = structlog.get_logger(__name__)

SEND_WITHIN: Final = 1.0  # seconds; a service manager that hangs must not hold us up
PINGS: Final = 2  # within the time after which the watchdog ends us
VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class ServiceManager:
    """The service manager that started this process. Without an address there is none."""

    def __init__(self, address: str = "", watchdog: float | None = None) -> None:
        """`watchdog` is after how many seconds of silence it ends us; None: never."""
        self.watchdog = watchdog
        # Linux writes a name that is in no folder with a null byte in front.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._warned = False

    async def tell(self, *assignments: str) -> None:
        """Send `NAME=VALUE` lines. A failure is one warning in the log, and nothing else."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.connect(self._address)
                async with asyncio.timeout(SEND_WITHIN):
                    loop = asyncio.get_running_loop()
                    await loop.sock_sendall(sender, "\n".join(assignments).encode())
        except (OSError, ValueError) as error:  # ValueError: no such address can be
            if not self._warned:
                #: Start the exporter through systemd, or unset `NOTIFY_SOCKET`.
                log.warning("cannot notify systemd", reason=repr(error))
            self._warned = True

    async def keep_alive(self, makes_progress: Callable[[], bool]) -> None:
        """Until cancelled, ping the watchdog as long as the exporter makes progress.

        It runs on the event loop, so a loop that hangs sends no pings either.
        """
        if self.watchdog is None:
            return
        stalled = False
        while True:
            if makes_progress():
                await self.tell("WATCHDOG=1")
                stalled = False
            elif not stalled:
                stalled = True
                #: Report it if it happens again, with the stacks that follow in the log.
                log.error("polls have stopped: systemd's watchdog will restart the exporter")
            await asyncio.sleep(self.watchdog / PINGS)


def from_systemd(environ: MutableMapping[str, str], pid: int) -> ServiceManager:
    """Return the service manager, and take the variables that name it out of the environment.

    A program that this one starts would otherwise speak in its name.
    """
    address, microseconds, watched = (environ.pop(name, "") for name in VARIABLES)
    on = microseconds.isdecimal() and int(microseconds) > 0 and watched in {"", str(pid)}
    return ServiceManager(address, int(microseconds) / 1e6 if on else None)


class ProgressMonitor:
    """Whether there is progress: what waits to be done changes something within a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: Hashable = None
        self._changed = clock.monotonic()

    def is_alive(self, progress: Hashable, *, waiting: bool, timeout: float) -> bool:
        """Tell whether `progress` changed within `timeout` seconds, or nothing waits."""
        now = self._clock.monotonic()
        if progress != self._seen or not waiting:
            self._seen, self._changed = progress, now
        return now - self._changed <= timeout
