"""Loads the web configuration again when one of its files changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from exporter.base.file_threads import FileThreads
from exporter.config import ConfigError
from exporter.web.toolkit.watched_files import FileReader, fingerprints
from exporter.web.toolkit.web_config import WebConfig, load

log = structlog.get_logger(__name__)

CHECK_INTERVAL = 1.0  # seconds: how late a rotated certificate is seen


class WebConfigFile:
    """Keeps `current` in step with a file and the files that it names."""

    def __init__(self, path: Path) -> None:
        """Load it. Raises ConfigError."""
        self._path = path
        reader = FileReader()
        self.current = load(path, reader)
        self._seen = dict(reader.seen)

    async def run(self, changed: Callable[[], object]) -> None:
        """Look for changes until cancelled. Calls `changed` after each one that was taken."""
        threads = FileThreads(1)
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            # With a file system that hangs, this does, too, and the process can end all the same.
            if await threads.run(None, None, self.refresh):
                changed()

    def refresh(self) -> bool:
        """Load again if a file changed. Tells whether `current` is another.

        A version that is wrong is logged once, and the one before it stays.
        """
        now = fingerprints(self._seen)
        if now == self._seen:
            return False
        reader = FileReader()
        try:
            loaded = load(self._path, reader)
            problems = list(_dropped(self.current, loaded))
        except ConfigError as error:
            problems = str(error).splitlines()
        # If the version is wrong, also the files before it: one of them may need to be fixed.
        self._seen = {**now, **reader.seen} if problems else dict(reader.seen)
        for problem in problems:
            #: The file, or a certificate that it names, is wrong, or the change would switch off
            #: TLS or authentication: restart to do that. It is read again when it changes.
            log.error("web configuration not reloaded; still using the old one", problem=problem)
        if problems:
            return False
        self.current = loaded
        log.info("web configuration reloaded")
        return True


def _dropped(old: WebConfig, new: WebConfig) -> Iterator[str]:
    """Say which protection a new version would end.

    A file that is read while it is written may be empty, or end early. It must not open what
    was closed, not for a second.
    """
    protections = {
        "TLS": (old.tls is not None, new.tls is not None),
        "basic authentication": (bool(old.users), bool(new.users)),
        "client certificates": (
            old.tls is not None and old.tls.requires_client_certificate,
            new.tls is not None and new.tls.requires_client_certificate,
        ),
        "client_allowed_sans": (
            old.tls is not None and old.tls.allowed_sans is not None,
            new.tls is not None and new.tls.allowed_sans is not None,
        ),
    }
    for name, (before, after) in protections.items():
        if before and not after:
            yield f"{name} would be switched off: that needs a restart"
