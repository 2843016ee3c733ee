"""Files that somebody named: found, and read without waiting for anybody."""

from __future__ import annotations

import argparse
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.base import files
from exporter.config import ConfigError, from_environment, load

TOO_LARGE = "is too large"


def fifo(path: Path) -> Path:
    """Make what blocks whoever opens it until somebody writes."""
    os.mkfifo(path)
    return path


def listening(path: Path) -> Path:
    """Make a socket."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)  # paths of sockets are short
    return path


def folder(path: Path) -> Path:
    """Make a folder."""
    path.mkdir()
    return path


def link_to_a_device(path: Path) -> Path:
    """Make a link to a device that never ends."""
    path.symlink_to("/dev/zero")
    return path


IRREGULAR = (fifo, listening, folder, link_to_a_device)


@pytest.mark.parametrize("make", IRREGULAR)
def test_what_is_no_regular_file_is_refused_at_once(
    make: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waited for a FIFO could not be stopped: pytest's own deadline would end this."""
    monkeypatch.chdir(tmp_path)
    path = make(tmp_path / "odd")
    with pytest.raises(ValueError, match=r"^must name a regular file$"):
        files.read(path, 10, TOO_LARGE)
    with pytest.raises(files.IrregularError):
        files.content(path)
    with pytest.raises(ValueError, match="must name a regular file"):
        files.require_regular(path)
    with pytest.raises(ConfigError, match=r"/odd: must be a regular file$"):
        load(path, {}, ())


class Swapped(type(Path())):  # type: ignore[misc] # made by the system's kind of path
    """A path that was a regular file when it was looked at, and then is something else."""

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Tell what it was, and swap it."""
        found: os.stat_result = super().stat(follow_symlinks=follow_symlinks)
        self.unlink()
        os.mkfifo(self)
        return found


def test_a_file_that_becomes_a_fifo_meanwhile_is_refused_too(tmp_path: Path) -> None:
    """What was opened is what counts."""
    path = Swapped(tmp_path / "odd")
    path.touch()
    with pytest.raises(files.IrregularError):
        files.content(path)
    assert stat.S_ISFIFO(Path(tmp_path / "odd").stat().st_mode)


def test_a_regular_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    """Links are followed, as Kubernetes mounts Secrets."""
    (tmp_path / "file").write_bytes(b"0123456789")
    link = tmp_path / "link"
    link.symlink_to("file")
    assert files.content(link) == files.read(link, 10, TOO_LARGE) == b"0123456789"
    with pytest.raises(ValueError, match=TOO_LARGE):
        files.read(link, 9, TOO_LARGE)


# --- The home folder ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("~/x/y", "HOME/x/y"),
        ("~", "HOME"),
        ("~/", "HOME"),
        ("a/~/x", "a/~/x"),
        ("./~", "~"),
        ("~backup", "~backup"),
        ("/x", "/x"),
    ],
)
def test_a_tilde_at_the_start_is_the_home_folder(
    text: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shells do not see to it after `=`, and nothing does in a file. Elsewhere it is a name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.named(text) == Path(path.replace("HOME", str(tmp_path)))


def test_a_home_folder_that_is_not_known_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run as a user that nothing knows of, with any HOME."""
    monkeypatch.setenv("HOME", "~")
    with pytest.raises(ValueError, match="must not begin with ~"):
        files.named("~/x")
    with pytest.raises(argparse.ArgumentTypeError, match="must not begin with ~"):
        files.path_argument("~/x")


def test_files_of_a_configuration_may_be_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the file's keys and of the environment's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "viam.key").write_text("key")
    file = folder(tmp_path / "elsewhere") / "exporter.yml"
    file.write_text(
        "credentials: {api_key_id: k, api_key_file: ~/viam.key}\norganizations: [{id: acme}]\n"
    )
    config = load(file, {}, ())
    account = {"VIAM_ORG_ID": "acme", "VIAM_API_KEY_ID": "k", "VIAM_API_KEY_FILE": "~/viam.key"}
    for found in (config, from_environment(account)):
        assert found is not None
        assert found.credentials is not None
        assert found.credentials.file == tmp_path / "viam.key"
