"""Files that hang, as those on a share whose server is gone.

Whoever opens one waits for a process that has a lease on it, and does not give it back.
"""

from __future__ import annotations

import asyncio
import fcntl
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from exporter.api.billing import BillingError
from exporter.api.key_files import AT_ONCE, KeyFiles
from exporter.model import ApiKey
from exporter.state.storage import Storage
from support.process import (
    EXPORTER,
    PATIENCE,
    PYTHON,
    Process,
    exporter,
    free_port,
    get,
    running,
    until,
)

pytestmark = pytest.mark.alone

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
            it.process.stderr.wait_for("cannot restore from storage.*its file system hangs")
            it.wait_until_ready()
            assert "viam_billing_exporter_storage_last_write_successful 0.0" in it.scrape()
            it.process.stop()


def waits_for_a_lease(process: Process) -> bool:
    """Tell whether a thread of a process opens a file of which another has a lease."""
    where = Path(f"/proc/{process._popen.pid}/task").glob("*/wchan")
    return any("lease" in each.read_text() for each in where)


def test_storage_that_begins_to_hang_is_not_waited_for_at_the_end(tmp_path: Path) -> None:
    """It ends in time, and says that what changed last may be lost."""
    file, other = tmp_path / "state" / "exporter.db", tmp_path / "other"
    other.touch(0o600)
    with exporter("--demo", f"--storage.path={file.parent}") as it:
        it.wait_until_ready()
        until(lambda: "last_write_successful 1.0" in it.scrape(), "it stores")
        with hanging(other):
            other.replace(file)  # it notices, and opens the new one
            until(lambda: waits_for_a_lease(it.process), "it hangs")
            it.process.stop()
        assert it.process.stderr.text.count("storage did not respond during shutdown") == 1


def is_locked(file: Path) -> bool:
    """Tell whether a process has locked a file."""
    with file.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def configuration(folder: Path) -> tuple[str, Path]:
    """Return a flag for a configuration with a key file, and that.

    Nobody listens at its API, so that there is no token, and each poll needs the key again.
    """
    key, file = folder / "key", folder / "exporter.yml"
    key.write_text("a-key")
    file.write_text(f"""\
api: {{address: "127.0.0.1:{free_port()}", tls: false}}
poll: {{interval: 15s}}
organizations:
  - {{id: acme, credentials: {{api_key_id: an-id, api_key_file: {key}}}}}
""")
    return f"--config.file={file}", key


def test_a_key_file_that_hangs_is_a_failed_poll_and_holds_up_nothing(tmp_path: Path) -> None:
    """Pages are served meanwhile; SIGTERM ends it in time, also in the middle of a reload."""
    flag, key = configuration(tmp_path)
    with exporter(flag) as it:
        it.process.stderr.wait_for("poll failed.*cause=outage")
        with hanging(key):
            it.process.send(signal.SIGHUP)
            it.process.stderr.wait_for("poll failed.*code=KEY_FILE.*its file system hangs")
            for _ in range(20):  # more than there are threads for pages
                assert get(it.port, "/").status == 200
            it.process.stop()


def test_a_configuration_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    """A start ends with a message, a reload leaves what there was; both within a deadline."""
    flag, key = configuration(tmp_path)
    hangs = "the configuration cannot be read within 30 s"
    with exporter(flag) as it, hanging(key):
        it.process.send(signal.SIGHUP)
        with running(*EXPORTER, flag) as start:
            it.process.stderr.wait_for(f"configuration not reloaded.*{hangs}", 2 * PATIENCE)
            assert get(it.port, "/").status == 200
            assert start.wait() == 1
            assert hangs in start.stderr.text


async def read_keys(good: Path, bad: Sequence[Path]) -> None:
    """Read keys while some files hang."""
    files = KeyFiles()
    outcomes = await asyncio.gather(
        *(files.reveal(ApiKey("id", file=path)) for path in (*bad, *bad)), return_exceptions=True
    )
    assert {getattr(outcome, "code", None) for outcome in outcomes} == {"KEY_FILE"}
    assert sum(thread.name == "files" for thread in threading.enumerate()) <= AT_ONCE
    async with asyncio.timeout(1):  # nobody waits for what is known to hang
        for path in bad:
            with pytest.raises(BillingError, match="its file system hangs"):
                await files.reveal(ApiKey("id", file=path))
        assert (await files.reveal(ApiKey("id", file=good))).key.reveal() == "a-key"


def test_keys_that_hang_hold_up_no_other_folder(tmp_path: Path) -> None:
    """However many there are, few threads hang; and who asks again is told at once."""
    paths = [tmp_path / name / "key" for name in ("good", "bad")]
    for path in paths:
        path.parent.mkdir()
        path.write_text("a-key")
    bad = [paths[1].with_name(f"key{n}") for n in range(3 * AT_ONCE)]
    for path in bad:
        path.symlink_to(paths[1])
    with hanging(paths[1]):
        asyncio.run(read_keys(paths[0], bad))
