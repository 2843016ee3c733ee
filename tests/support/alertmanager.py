"""The real Alertmanager."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from support.process import free_port, running, succeeds, until


@contextmanager
def alertmanager(folder: Path, configuration: Mapping[str, Any]) -> Iterator[int]:
    """Run it at a port of its own while inside, with its files and data in a folder."""
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(configuration))
    port = free_port()
    with running(
        "prometheus-alertmanager",
        f"--config.file={file}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ):
        until(lambda: succeeds(port, "/-/ready"), "Alertmanager is ready")
        yield port
