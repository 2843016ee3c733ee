"""What the process should not have, or not give away: checked and dropped at the start."""

from __future__ import annotations

import logging
import os
import resource
import stat
import sys
from collections.abc import Collection, Mapping, MutableMapping
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from exporter.base import files
from exporter.config import Config

log = structlog.get_logger(__name__)

OTHERS: Final = stat.S_IRGRP | stat.S_IROTH
GRPC_TRACING: Final = "GRPC_TRACE"


def start_without_tracing(environ: MutableMapping[str, str]) -> None:
    """Restart this process if gRPC is set to trace: its traces print access tokens.

    gRPC has read the variable when it was imported, and offers no way to change its mind.
    """
    if environ.pop(GRPC_TRACING, None) is not None:
        log.warning(
            #: Unset `GRPC_TRACE`. The exporter restarted itself without it.
            "gRPC tracing is disabled because it prints access tokens",
            variable=GRPC_TRACING,
        )
        logging.shutdown()  # what is not written by now would be lost
        os.execve(sys.executable, sys.orig_argv, environ)  # noqa: S606 - the same program


def leave_no_core_dump() -> None:
    """Keep the memory of a crash, with the keys in it, off the disk."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


class Reader(NamedTuple):
    """Who reads the files: this process."""

    user: int
    groups: Collection[int] = ()
    # The folder that systemd made for the process alone; the access control lists in it look like
    # rights of a group.
    credentials: str = ""

    @classmethod
    def current(cls, environ: Mapping[str, str]) -> Reader:
        """Return who runs this process."""
        groups = {os.getegid(), *os.getgroups()}
        return cls(os.geteuid(), groups, environ.get("CREDENTIALS_DIRECTORY", ""))


def warn(config: Config, file: Path, reader: Reader) -> None:
    """Log what lets others read the keys, or makes a break-in worse than it has to be.

    `file` is where the configuration may stand.
    """
    if reader.user == 0:
        #: A break-in would reach the whole machine.
        log.warning("running as root, which is not needed: use a dedicated user")
    for path in _key_files(config):
        if _others_read(path, reader):
            log.warning(
                #: Files that the exporter reads through its group, such as a Kubernetes Secret, are
                #: fine.
                "other users can read a key file: chmod 0600 if this user owns it, else chmod 0640 "
                "with a group of this user",
                file=str(path),
            )
    if _others_read(file, reader) and _holds_key(file, config):
        log.warning(
            #: Anyone who has the keys can do anything to the organization.
            "other users can read the keys in the configuration: chmod 0600 if this user owns it, "
            "else chmod 0640 with a group of this user, or use api_key_file",
            file=str(file),
        )


def _key_files(config: Config) -> list[Path]:
    """Return every key file once: thousands of organizations may name the same."""
    return sorted({key.file for key in config.api_keys if key.file is not None})


def _holds_key(file: Path, config: Config) -> bool:
    """Tell whether a key itself stands in the file, and not a `${NAME}` in its place."""
    try:
        text = files.content(file).decode(errors="replace")
    except OSError:
        return False  # it was there when it was loaded
    secrets = {key.secret.reveal() for key in config.api_keys if key.secret is not None}
    return any(secret in text for secret in secrets)


def _others_read(file: Path, reader: Reader) -> bool:
    if reader.credentials and file.is_relative_to(reader.credentials):
        return False
    try:
        found = file.stat()
    except OSError:
        return False  # not there, or not any more: a poll will say so
    mode, in_group = found.st_mode & OTHERS, found.st_gid in reader.groups
    # Somebody else's file, as those of Kubernetes' Secrets are, is read as one of its group. Root
    # reads what is for another group: that of the service, as with Debian's package.
    if (in_group and found.st_uid != reader.user) or (reader.user == 0 and not in_group):
        mode &= ~stat.S_IRGRP
    return bool(mode)
