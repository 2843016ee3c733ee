"""Files that hang, as those on a share whose server is gone.

Whoever opens one waits for a process that has a lease on it, and does not give it back.
"""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from exporter.state.storage import Storage
from support.process import EXPORTER, PATIENCE, PYTHON, exporter, running, until

HOLD: Final = """
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def hanging(file: Path) -> Iterator[None]:
    """Let everybody hang who opens a file meanwhile. The kernel ends that after 45 seconds."""
    with subprocess.Popen(
        [PYTHON, "-c", HOLD, file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            holder.stdin.close()
            assert holder.wait(PATIENCE) == 0


def test_storage_that_hangs_holds_up_neither_the_start_nor_the_end(tmp_path: Path) -> None:
    """It serves without; SIGTERM ends it in time, also before it serves."""
    storage = Storage(tmp_path / "state")
    storage.read()
    storage.close()
    flags = ("--demo", f"--storage.path={tmp_path / 'state'}")
    with hanging(tmp_path / "state" / "exporter.db"):
        with running(*EXPORTER, *flags, "--web.listen-address=127.0.0.1:0") as early:
            # It has locked the folder by then, and goes on to the file.
            until(lambda: is_locked(tmp_path / "state" / "lock"), "it has the folder")
            early.stop()
        with exporter(*flags) as it:
            it.process.stderr.wait_for("nothing is restored.*its file system hangs")
            it.wait_until_ready()
            assert "viam_billing_exporter_storage_last_write_successful 0.0" in it.scrape()
            it.process.stop()


def is_locked(file: Path) -> bool:
    """Tell whether a process has locked a file."""
    with file.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
