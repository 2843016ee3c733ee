"""Commands where files and folders are not what they should be: a message, and no waiting."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from exporter.simulator import demo_fleet
from support.process import EXPORTER, TOOL, exporter, free_port, get, until

ACCOUNT = demo_fleet(1)[0]
UNABLE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")  # as anybody but root is


def write(file: Path, **changes: object) -> Path:
    """Write a configuration whose API is not there."""
    document = {
        "api": {"address": f"127.0.0.1:{free_port()}", "tls": False},
        "credentials": {"api_key_id": ACCOUNT.api_key_id, "api_key": ACCOUNT.api_key},
        "organizations": [{"id": ACCOUNT.id}],
        **changes,
    }
    file.touch(0o600)
    file.write_text(yaml.safe_dump(document))
    return file


def run(
    *command: str | Path, cwd: Path, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, which comes at once."""
    return subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(environ or {})},
    )


# --- FIFOs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        (*EXPORTER, "--config.file=fifo"),
        (*EXPORTER, "--config.file=fifo", "--config.check"),
        (*EXPORTER, "--config.file=good.yml", "--web.config.file=fifo"),
        (*EXPORTER, "--config.file=key.yml"),
        (*EXPORTER, "--config.file=ca.yml"),
        (*TOOL, "check", "--config.file=fifo"),
        (*TOOL, "usage", "--config.file=key.yml"),
        (*TOOL, "simulate", "--listen-address=127.0.0.1:0", "--fault-file=fifo"),
        (*TOOL, "simulate", "--listen-address=127.0.0.1:0", "--tls-cert=fifo"),
        (*TOOL, "simulate", "--listen-address=127.0.0.1:0", "--config-out=fifo"),
    ],
    ids=lambda command: " ".join(map(str, command[1:])),
)
def test_a_fifo_ends_the_start_at_once(command: Sequence[str | Path], tmp_path: Path) -> None:
    """Whatever file it stands for: nobody may ever write into it, or read it."""
    os.mkfifo(tmp_path / "fifo")
    write(tmp_path / "good.yml")
    key = {"api_key_id": "k", "api_key_file": "fifo"}
    write(tmp_path / "key.yml", credentials=key)
    write(tmp_path / "ca.yml", api={"ca_file": "fifo"})
    ended = run(*command, cwd=tmp_path)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert re.search("regular file|No such device or address", ended.stderr)


def test_a_reload_with_a_fifo_keeps_the_old_configuration(tmp_path: Path) -> None:
    """It is refused, and neither the next reload nor the end waits for it."""
    file = write(tmp_path / "exporter.yml")
    with exporter(f"--config.file={file}") as it:
        file.unlink()
        os.mkfifo(file)
        it.process.send(signal.SIGHUP)
        it.process.stderr.wait_for("configuration not reloaded.*must be a regular file")
        file.unlink()
        write(file)
        it.process.send(signal.SIGHUP)
        it.process.stderr.wait_for('msg="configuration reloaded"')
        file.unlink()
        os.mkfifo(file)
        it.process.send(signal.SIGHUP)
        it.process.stop()


# --- Rights ---------------------------------------------------------------------------------


def test_a_file_that_this_user_cannot_read_is_a_message_that_says_who_must(tmp_path: Path) -> None:
    """A key, a certificate, or the configuration itself: by owner or group, and mode."""
    closed = tmp_path / "closed"
    closed.touch(mode=0)
    write(tmp_path / "key.yml", credentials={"api_key_id": "k", "api_key_file": "closed"})
    write(tmp_path / "ca.yml", api={"ca_file": "closed"})
    unable = UNABLE if os.geteuid() == 0 else ()
    for name in ("key.yml", "ca.yml", "closed"):
        ended = run(*unable, *TOOL, "check", f"--config.file={name}", cwd=tmp_path)
        assert ended.returncode == 1
        assert ended.stderr.endswith(
            "read: Permission denied: the user who runs this must own it (mode 0600) or be in its "
            "group (mode 0640), and be able to enter its folder\n"
        )


# --- The working folder ---------------------------------------------------------------------

LEAVE = {"deleted": 'rmdir "$PWD"', "closed": "chmod 0 ."}


@pytest.mark.parametrize(
    ("way", "command", "message"),
    [
        ("closed", (*EXPORTER, "--config.check"), "exporter.yml: cannot be looked for in the"),
        ("closed", (*TOOL, "check"), "exporter.yml: cannot be looked for in the"),
        ("closed", (*EXPORTER, "--config.file=x.yml"), "x.yml: cannot be read: Permission denied"),
        ("deleted", (*EXPORTER, "--config.check"), "VIAM_API_KEY_FILE: must begin with /, since"),
        ("deleted", (*TOOL, "check"), "VIAM_API_KEY_FILE: must begin with /, since"),
        ("deleted", (*EXPORTER, "--config.file=x.yml"), "x.yml: cannot be read: No such file"),
        (
            "deleted",
            (*EXPORTER, "--demo", "--web.config.file=x.yml"),
            "x.yml: cannot be read: No such file",
        ),
        (
            "deleted",
            (*TOOL, "simulate", "--listen-address=127.0.0.1:0", "--tls-cert=x"),
            "x: no certificate with its key: No such file",
        ),
    ],
)
def test_a_working_folder_that_cannot_be_used_is_a_message(
    way: str, command: Sequence[str | Path], message: str, tmp_path: Path
) -> None:
    """A service manager may start a command in a folder of somebody else, or one that is gone."""
    folder = tmp_path / "folder"
    folder.mkdir()
    account = {"VIAM_ORG_ID": "acme", "VIAM_API_KEY_ID": "k", "VIAM_API_KEY_FILE": "key"}
    unable = UNABLE if os.geteuid() == 0 else ()
    shell = ("sh", "-c", f'{LEAVE[way]} && exec "$@"', "sh")
    ended = run(*shell, *unable, *command, cwd=folder, environ=account)
    if folder.exists():
        folder.chmod(0o700)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert message in ended.stderr


def test_a_working_folder_that_is_deleted_does_not_matter_to_what_needs_none(
    tmp_path: Path,
) -> None:
    """It is looked for nothing there."""
    folder = tmp_path / "folder"
    folder.mkdir()
    account = {"VIAM_API_KEY_ID": "k", "VIAM_API_KEY": "key"}
    shell = ("sh", "-c", f'{LEAVE["deleted"]} && exec "$@"', "sh")
    ended = run(*shell, *EXPORTER, "--config.check", cwd=folder, environ=account)
    assert (ended.returncode, ended.stderr) == (0, "")


# --- The home folder ------------------------------------------------------------------------


def test_flags_know_the_home_folder(tmp_path: Path) -> None:
    """After `=`, where no shell sees to it: each flag that names a file or a folder."""
    write(tmp_path / "exporter.yml")
    (tmp_path / "web.yml").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with exporter(
        "--config.file=~/exporter.yml",
        "--web.config.file=~/web.yml",
        "--storage.path=~/storage",
        environ={"HOME": str(tmp_path)},
    ) as it:
        assert get(it.port, "/-/healthy").status == 200
        until((tmp_path / "storage").exists, "there is storage in the home folder")
    home = {"HOME": str(tmp_path)}
    pdf = ("pdf", "--all", "--config.file=~/exporter.yml", "--dest=~/bills")
    ended = run(*TOOL, *pdf, cwd=elsewhere, environ=home)
    assert "0 downloaded" in ended.stdout
    assert (tmp_path / "bills").is_dir()
    simulate = ("simulate", "--listen-address=127.0.0.1:0")
    for flag in ("--fault-file=~/no", "--tls-cert=~/no", "--config-out=~/no/no"):
        ended = run(*TOOL, *simulate, flag, cwd=elsewhere, environ=home)
        assert f"{tmp_path}/no" in ended.stderr
    assert list(elsewhere.iterdir()) == []
