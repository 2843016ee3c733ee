"""A simulated service whose time stands still, and commands at that moment: output that repeats.

`python -m support.standing serve FILE` serves, with the configuration in FILE, and
`python -m support.standing run NOW ARGUMENT...` is `viam-billing ARGUMENT...` at that moment;
both in tests/.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random

import structlog

from exporter import tool
from exporter.simulator import FaultFile, SimulatedClock, Simulator, configuration, demo_fleet
from support.clock import NOON, StandingClock
from support.process import PATIENCE, PYTHON, ROOT, TOOL, Process, running

ENVIRON = {"PYTHONPATH": str(ROOT / "tests")}
STANDING = (PYTHON, "-m", "support.standing")
ANY_PORT = "--listen-address=127.0.0.1:0"
ACCOUNTS = demo_fleet(1)


class Service:
    """A service that stands at NOON, in a process of its own."""

    def __init__(self, process: Process, file: Path) -> None:
        self.file = file  # its configuration
        self._process = process
        self._told = 0

    @property
    def flag(self) -> str:
        """The argument that names its configuration."""
        return f"--config.file={self.file}"

    def inject(self, *faults: str) -> None:
        """Have these faults in force from now on, in place of those before."""
        self._told += 1
        _faults(self.file).write_text("\n".join(faults))
        self._process.send(signal.SIGHUP)
        self._process.stdout.wait_for(f"^told {self._told}$")

    @contextmanager
    def failing(self, *faults: str) -> Iterator[None]:
        """Have these faults in force while inside."""
        self.inject(*faults)
        try:
            yield
        finally:
            self.inject()


@contextmanager
def standing(folder: Path) -> Iterator[Service]:
    """Serve at NOON while inside, with the configuration in the folder."""
    file = folder / "exporter.yml"
    with running(*STANDING, "serve", file, environ=ENVIRON) as process:
        process.stdout.wait_for("^ready$")
        yield Service(process, file)


@contextmanager
def simulated(folder: Path, *arguments: str) -> Iterator[Path]:
    """Run `viam-billing simulate` while inside; yields the configuration."""
    file = folder / "exporter.yml"
    command = (*TOOL, "simulate", ANY_PORT, f"--config-out={file}", *arguments)
    with running(*command, environ=ENVIRON) as process:
        process.stderr.wait_for("simulating")
        yield file


def command(
    *arguments: str | Path,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    now: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `viam-billing` to its end in a folder, as if it was `now`, in Unix seconds."""
    program = TOOL if now is None else (*STANDING, "run", str(now))
    return subprocess.run(
        [*program, *arguments],
        cwd=folder,
        env=_environ(environ),
        capture_output=True,
        encoding="utf-8",
        timeout=2 * PATIENCE,
        check=False,
    )


@contextmanager
def started(*arguments: str | Path, environ: Mapping[str, str] | None = None) -> Iterator[Process]:
    """Run `viam-billing` while inside, and end it if it has not."""
    process = Process((*TOOL, *arguments), {**ENVIRON, **(environ or {})})
    try:
        yield process
    finally:
        if process.alive:
            process.kill()


def _environ(more: Mapping[str, str] | None) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**inherited, "LC_ALL": "C.UTF-8", **ENVIRON, **(more or {})}


def within(
    *arguments: str | Path, folder: Path | None = None, now: float = NOON
) -> subprocess.CompletedProcess[str]:
    """Run `viam-billing` in this process, which is quick, where a process is not the point."""
    out, err = io.StringIO(), io.StringIO()
    with _logs_as_before(), redirect_stdout(out), redirect_stderr(err), chdir(folder or Path.cwd()):
        try:
            code = tool.main([*map(str, arguments)], StandingClock(now))
        except SystemExit as end:  # of argparse
            code = int(end.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@contextmanager
def _logs_as_before() -> Iterator[None]:
    """Leave where logs go, which a command decides for its process, as it was."""
    root = logging.getLogger()
    configuration, handlers, level = structlog.get_config(), root.handlers, root.level
    try:
        yield
    finally:
        structlog.configure(**configuration)
        root.handlers = handlers
        root.setLevel(level)


def terminal(
    *arguments: str | Path, folder: Path, columns: int = 200, **environ: str
) -> tuple[int, str]:
    """Run `viam-billing` at NOON on a terminal; return the exit code, and what it showed there."""
    ours, theirs = pty.openpty()
    variables = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": str(columns)}
    with subprocess.Popen(
        [*STANDING, "run", str(NOON), *arguments],
        cwd=folder,
        env={**variables, **ENVIRON, **environ},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # how Linux says that nobody writes any more
            pass
        code = process.wait(PATIENCE)
    os.close(ours)
    return code, shown.decode()


def _faults(file: Path) -> Path:
    return file.with_suffix(".faults")


async def _serve(file: Path) -> None:
    stop, told = asyncio.Event(), 0
    simulator = Simulator(ACCOUNTS, SimulatedClock(StandingClock(NOON)), rng=Random(1))
    faults = FaultFile(_faults(file), simulator.faults)

    def tell() -> None:
        nonlocal told
        if problems := faults.load():
            sys.exit("\n".join(problems))
        told += 1
        print("told", told, flush=True)  # noqa: T201 - who tells waits for that

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, tell)
    port = await simulator.start()
    await asyncio.to_thread(file.touch, 0o600)
    await asyncio.to_thread(file.write_text, configuration(ACCOUNTS, f"127.0.0.1:{port}"))
    print("ready", flush=True)  # noqa: T201 - who started it waits for that
    await stop.wait()
    await simulator.stop(1)


def main(mode: str, *arguments: str) -> int:
    """Serve, or run a command."""
    if mode == "run":
        now, *argv = arguments
        return tool.main(argv, StandingClock(float(now)))
    asyncio.run(_serve(Path(*arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
