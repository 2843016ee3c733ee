"""Where the configuration comes from: the file that is named, the default one, the environment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from exporter.base.arguments import CONFIGURATION
from exporter.config.effective import Config
from exporter.config.environment import from_environment
from exporter.config.loader import load
from exporter.config.problem import ConfigError, Problem

DEFAULT_FILE: Final = Path(CONFIGURATION)


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
    if file is None and not _is_there(DEFAULT_FILE):
        return from_environment(environ)
    return load(file or DEFAULT_FILE, environ, reserved_labels, storage=storage, shards=shards)


def _is_there(file: Path) -> bool:
    """Tell whether there is a file. Raises ConfigError if that cannot be told."""
    try:
        file.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        rule = (
            f"cannot be looked for in the working folder: {error.strerror}. Start in another one, "
            "or name a file with --config.file"
        )
        raise ConfigError([Problem(str(file), None, "", rule)]) from None
    return True
