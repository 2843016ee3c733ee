"""Whether the machine lets this process do its work, before libraries find out by crashing."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack

# What gRPC and its loop take, and some to spare: with less it ends the process without a word.
FILES = 32
THREADS = 16


class NoRoomError(Exception):
    """What the machine refuses, in words for people."""


def require() -> None:
    """Raise NoRoomError unless so many more files can be open, and threads run, at once.

    To try is the only way to know: limits are of a process, a user, a container and the machine.
    """
    with ExitStack() as stack:
        try:
            for _ in range(FILES):
                stack.callback(os.close, os.memfd_create("room"))
        except OSError as error:
            raise NoRoomError(
                #: Raise `ulimit -n`, a service's `LimitNOFILE=`, or the container's limits.
                f"cannot open {FILES} files at once: {error.strerror}. Allow more: see ulimit -n"
            ) from error
    done = threading.Event()
    with ExitStack() as stack:
        try:
            for _ in range(THREADS):
                thread = threading.Thread(target=done.wait)
                thread.start()
                stack.callback(thread.join)
        except (RuntimeError, MemoryError) as error:
            raise NoRoomError(
                #: Raise `ulimit -u`, a service's `TasksMax=`, or the container's limit on
                #: processes.
                f"cannot start {THREADS} threads at once. Allow more: see ulimit -u, and the limit "
                "on processes of the container or the service"
            ) from error
        finally:
            done.set()
