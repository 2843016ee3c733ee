"""Reads files whose names somebody wrote into a configuration."""

from __future__ import annotations

from pathlib import Path


def require_regular(path: Path) -> None:
    """Raise ValueError with the rule for what is no regular file: it could not be read again.

    What is not there passes: reading it says so. Raises OSError.
    """
    if path.exists() and not path.is_file():
        raise ValueError("must name a regular file")


def read(path: Path, at_most: int, too_large: str) -> bytes:
    """Return the content of a regular file of at most so many bytes.

    Raises ValueError with the rule that it breaks: `too_large` is the one for its size.
    """
    try:
        require_regular(path)
        with path.open("rb") as stream:
            content = stream.read(at_most + 1)
    except OSError as error:
        raise ValueError(f"must name a file that can be read: {error.strerror}") from None
    if len(content) > at_most:
        raise ValueError(too_large)
    return content
