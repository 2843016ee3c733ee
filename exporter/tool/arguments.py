"""What several commands are told in the same way."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from exporter.base.address import Address
from exporter.base.files import path_argument
from exporter.base.text import from_system
from exporter.config import DEFAULT_FILE, parse_duration
from exporter.tool import times
from exporter.tool.errors import EXIT_CODES, complain
from exporter.web.location import external_url


def describe(
    command: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], int],
    description: str,
    epilog: str = EXIT_CODES,
) -> None:
    """Say what a command does, and that `run` makes an exit code of its arguments."""
    command.description = description
    command.epilog = epilog
    command.set_defaults(run=run)


def add_configuration(command: argparse.ArgumentParser) -> None:
    """Declare where the configuration is, and which of its organizations are meant."""
    command.add_argument(
        "--config.file",
        dest="config_file",
        metavar="FILE",
        type=path_argument,
        help=f"the exporter's configuration file (default: {DEFAULT_FILE} if it exists, otherwise "
        "the environment)",
    )
    command.add_argument(
        "--organization",
        dest="organizations",
        metavar="ORGANIZATION",
        type=from_system,
        action="append",
        default=[],
        help="only this organization, by id or name; repeatable (default: all)",
    )


def add_dest(command: argparse.ArgumentParser, default: str) -> None:
    """Declare which folder files are written to."""
    command.add_argument(
        "--dest",
        metavar="DIR",
        type=path_argument,
        default=Path(default),
        help="folder to write to, created if necessary (default: %(default)s)",
    )


def address(text: str) -> Address:
    """Parse where to listen."""
    try:
        return Address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def base_url(text: str) -> str | None:
    """Return the URL of another program, or None for nothing.

    Raises argparse.ArgumentTypeError.
    """
    try:
        return external_url(text).geturl() if text else None
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def duration(text: str) -> str:
    """Check a duration, and leave it as it is written."""
    seconds(text)
    return text


def seconds(text: str) -> float:
    """Parse a duration."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error


def date(text: str) -> float:
    """Parse a day, YYYY-MM-DD, and return its first second in UTC, in Unix seconds."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a day as YYYY-MM-DD") from None


def moment(text: str) -> float:
    """Parse a time, RFC 3339 or Unix seconds, and return Unix seconds."""
    try:
        return times.parsed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def warn_of_future(moment: float | None, now: float) -> None:
    """Say so if the day that --since names has not come yet: nothing is of then."""
    if moment is not None and moment > now:
        complain("--since is in the future")


def within(text: str, low: float, high: float) -> float:
    """Parse a number that lies between two others, or is one of them."""
    error = argparse.ArgumentTypeError(f"{text!r}: must be a number from {low:g} to {high:g}")
    try:
        number = float(text)
    except ValueError:
        raise error from None
    if not low <= number <= high:  # so that NaN is refused, too
        raise error
    return number
