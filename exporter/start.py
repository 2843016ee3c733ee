"""Where both commands begin: signals are taken before what takes long is loaded.

By default a signal would kill a process that is only loading, SIGHUP included, and SIGINT end it
with a traceback. As process 1 of a container it would not even hear SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

STOPPED = b"viam-billing: stopped before the end\n"
CLOSED = b"viam-billing: standard output: it is closed\n"
STANDARD_STREAMS = (0, 1, 2)


def exporter() -> None:
    """Run the daemon, and end with its exit code. It may be stopped successfully at any moment."""
    _have_standard_streams()
    # The exit code of a check says that all is well, which is not known yet.
    _take_signals(1 if "--config.check" in sys.argv else 0)
    _ignore_hangups()
    _end(_daemon, unread=0)


def _daemon() -> int:
    from exporter import flags  # noqa: PLC0415 - after the signals

    arguments = flags.parsed()
    # structlog would load rich, to draw tracebacks in a terminal: 5 MB for nothing.
    sys.modules["rich"] = None  # type: ignore[assignment]  # it now counts as not installed
    from exporter import cli  # noqa: PLC0415 - what takes long, and --help does not need

    return cli.run(arguments)


def tool() -> None:
    """Run `viam-billing`, and end with its exit code. What is stopped has failed, or simulated."""
    _have_standard_streams()
    if sys.stdout is None:
        os.write(2, CLOSED)
        os._exit(1)
    simulates = sys.argv[1:2] == ["simulate"]
    if simulates:
        _take_signals(0)
        _ignore_hangups()
    else:
        _take_signals(1, STOPPED)
    from exporter.tool import command  # noqa: PLC0415 - what takes long

    _end(command.main, unread=0 if simulates else 1)


def by_name() -> None:
    """Run the command that the single file is called by: a link `viam-billing` is the tool."""
    name, _, _ = os.path.basename(sys.argv[0]).partition(".")  # noqa: PTH119 - slow to load
    (tool if name == "viam-billing" else exporter)()


def _have_standard_streams() -> None:
    """See to it that no database or connection gets the number of a stream that is closed."""
    for number in STANDARD_STREAMS:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free


def _take_signals(code: int, message: bytes = b"") -> None:
    """End at once when told to stop: until something runs, there is nothing to put in order."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        _write_what_was_logged()
        if message:
            os.set_blocking(2, False)
            try:
                os.write(2, message)
            except OSError:
                pass  # nobody reads it
            os.set_blocking(2, True)
        os._exit(code)  # an exception could get lost in what is being loaded

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _write_what_was_logged() -> None:
    logging = sys.modules.get("logging")
    if (shutdown := getattr(logging, "shutdown", None)) is not None:
        try:
            shutdown()
        except RuntimeError:
            pass  # Python's own last handler: a signal came while standard error was written


def _end(main: Callable[[], int], *, unread: int) -> None:
    """Run a command and end with its exit code; a signal while it ends makes that 0 `unread`.

    For nobody may read what it printed, which would keep it from ending. Python itself would wait
    for threads that are stuck, and take its handlers away before.
    """
    try:
        code: object = main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as Python does with what nothing catches
        sys.excepthook(*sys.exc_info())
        code = 1
    status = code if isinstance(code, int) else int(code is not None)
    _take_signals(status or unread)  # none is lost while the log is written, which takes a moment
    _write_what_was_logged()
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        status = status or 1
    os._exit(status)


def _ignore_hangups() -> None:
    """Ignore SIGHUP until there is something to reload."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
