"""Where the configuration comes from: the file that is named, the default one, the environment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from exporter.config.effective import Config
from exporter.config.environment import from_environment
from exporter.config.loader import load

DEFAULT_FILE: Final = Path("exporter.yml")  # in the working directory


def find(
    file: Path | None,
    environ: Mapping[str, str],
    reserved_labels: Collection[str],
    *,
    storage: bool = False,
    shards: int = 1,
) -> Config | None:
    """Return the configuration from the file, or the default one, or without it the environment.

    None if there is none of them. The rest is as for `load`. Raises ConfigError.
    """
    if file is None and not DEFAULT_FILE.exists():
        return from_environment(environ)
    return load(file or DEFAULT_FILE, environ, reserved_labels, storage=storage, shards=shards)
