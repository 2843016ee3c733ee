"""Downloads on file systems that cannot do what only makes things safer."""

from __future__ import annotations

import os
import stat
from errno import EAGAIN, EINVAL, EIO, ENOLCK, ENOSYS, EPERM
from pathlib import Path

import pytest

from exporter.tool.folder import BusyError, FileSystem, Folder

FILES = ((("acme", "1.pdf"), b"one"), (("acme", "2.pdf"), b"two"), (("3.pdf",), b"three"))


class Poor(FileSystem):
    """A file system that fails with some errors."""

    def __init__(
        self, lock: int = 0, set_mode: int = 0, sync_file: int = 0, sync_folder: int = 0
    ) -> None:
        self._lock = lock
        self._set_mode = set_mode
        self._sync = {False: sync_file, True: sync_folder}

    def lock(self, folder: int) -> None:
        """Fail, or lock."""
        _fail(self._lock)
        super().lock(folder)

    def set_mode(self, file: int, mode: int) -> None:
        """Fail, or set it."""
        _fail(self._set_mode)
        super().set_mode(file, mode)

    def sync(self, file: int) -> None:
        """Fail, or sync."""
        _fail(self._sync[stat.S_ISDIR(os.fstat(file).st_mode)])
        super().sync(file)


def _fail(errno: int) -> None:
    if errno:
        raise OSError(errno, os.strerror(errno))


def download(folder: Path, system: FileSystem) -> list[str]:
    """Write files, and return what was told."""
    told: list[str] = []
    with Folder.locked(folder, told.append, system) as into:
        for parts, content in FILES:
            with into.new(parts) as file:
                file.write(content)
    return told


@pytest.mark.parametrize(
    ("system", "told"),
    [
        (Poor(), []),
        (
            Poor(lock=ENOLCK),
            ["cannot be locked: let no other command write to it (No locks available)"],
        ),
        (
            Poor(lock=ENOSYS),
            ["cannot be locked: let no other command write to it (Function not implemented)"],
        ),
        (
            Poor(set_mode=EPERM),
            ["has files whose mode cannot be set (Operation not permitted)"],
        ),
        (
            Poor(sync_file=EINVAL, sync_folder=EINVAL),
            ["may lose new files if the power fails (Invalid argument)"],
        ),
        (
            Poor(sync_folder=EIO),
            ["may lose new files if the power fails (Input/output error)"],
        ),
    ],
)
def test_what_a_file_system_cannot_do_is_told_once_and_done_without(
    system: FileSystem, told: list[str], tmp_path: Path
) -> None:
    """A file that is whole and there never counts as failed."""
    assert download(tmp_path / "invoices", system) == told
    for parts, content in FILES:
        assert (tmp_path / "invoices").joinpath(*parts).read_bytes() == content


def test_only_a_lock_that_is_held_means_another_download(tmp_path: Path) -> None:
    """As the system says it."""
    with pytest.raises(BusyError):
        download(tmp_path / "invoices", Poor(lock=EAGAIN))


def test_a_file_that_may_not_be_on_the_disk_leaves_nothing(tmp_path: Path) -> None:
    """A disk that fails is no disk that cannot sync."""
    with pytest.raises(OSError, match="Input/output error"):
        download(tmp_path / "invoices", Poor(sync_file=EIO))
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []
