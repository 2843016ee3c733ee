"""What the exporter tells systemd while it starts, runs, reloads and stops."""

from __future__ import annotations

import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from integration.test_exporter_process import configuration, run, simulator, write
from support.process import PATIENCE, Exporter, exporter, free_port, succeeds


@dataclass
class Manager:
    """The end of the socket that systemd has."""

    socket: socket.socket
    messages: list[str] = field(default_factory=list)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the match of the first message from now on that matches."""
        while True:
            self.messages.append(self.socket.recv(4096).decode())
            match = re.fullmatch(pattern, self.messages[-1])
            if match:
                return match


@contextmanager
def managed(folder: Path, *arguments: str, **environ: str) -> Iterator[tuple[Manager, Exporter]]:
    """Run the exporter for a service manager while inside."""
    path = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.settimeout(PATIENCE)
        with exporter(*arguments, environ={"NOTIFY_SOCKET": str(path), **environ}) as it:
            yield Manager(listening), it


def test_it_is_ready_when_it_listens_also_without_an_api(tmp_path: Path) -> None:
    """Else an outage of the API would let the start time out."""
    file = write(tmp_path, configuration(free_port()))
    with managed(tmp_path, f"--config.file={file}") as (manager, it):
        manager.wait_for("READY=1\nSTATUS=organizations polled: 2")
        assert len(manager.messages) == 1
        assert succeeds(it.port, "/-/healthy")


def test_a_reload_is_told_with_how_it_ended(tmp_path: Path) -> None:
    """When it began, on systemd's clock, then that it is over; a wrong file is in the status."""
    port = free_port()
    file = write(tmp_path, configuration(port))
    with simulator(port), managed(tmp_path, f"--config.file={file}") as (manager, it):
        manager.wait_for("READY=1\n.*")
        write(tmp_path, configuration(port, 1))
        before = time.monotonic()
        it.process.send(signal.SIGHUP)
        began = manager.wait_for(r"RELOADING=1\nMONOTONIC_USEC=(\d+)")
        assert before <= int(began[1]) / 1e6 <= time.monotonic()
        manager.wait_for("READY=1\nSTATUS=organizations polled: 1")
        write(tmp_path, configuration(port, 1, unknown=1))
        it.process.send(signal.SIGHUP)
        manager.wait_for(r"RELOADING=1\n.*")
        manager.wait_for("READY=1\nSTATUS=organizations polled: 1; .* not reloaded, see the log")
        assert all("WATCHDOG" not in message for message in manager.messages)


def test_the_watchdog_hears_from_it_and_then_that_it_stops(tmp_path: Path) -> None:
    """As often as it wants, while polls go on."""
    with managed(tmp_path, "--demo", WATCHDOG_USEC="20000") as (manager, it):
        for _ in range(3):
            manager.wait_for("WATCHDOG=1")
        it.process.send(signal.SIGTERM)
        manager.wait_for("STOPPING=1")
        assert it.process.wait() == 0


def test_checking_a_configuration_tells_nothing(tmp_path: Path) -> None:
    """It is not the service."""
    file = write(tmp_path, configuration(free_port()))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        done = run(
            f"--config.file={file}", "--config.check", NOTIFY_SOCKET=str(tmp_path / "notify")
        )
        assert done.returncode == 0
        try:
            told = listening.recv(4096)
        except BlockingIOError:
            told = b""
    assert told == b""


def test_a_manager_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    """It serves, and says once in the log that nobody hears it."""
    nowhere = {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "20000"}
    with exporter("--demo", environ=nowhere) as it:
        it.wait_until_ready()
        it.process.stop()
        assert it.process.stderr.text.count("cannot notify systemd") == 1
