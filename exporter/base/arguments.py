"""Arguments of command lines, whose parsers are loaded when there is something to parse."""

from __future__ import annotations

import argparse
from collections.abc import Callable

CONFIGURATION = "exporter.yml"  # in the working folder


def parsed_by(name: str) -> Callable[[str], object]:
    """Return a type for argparse: the function of that name, as in `exporter.base.files:named`.

    It is loaded when its flag is given, since `--help` needs none of them. It may raise ValueError
    with a message for people, or ArgumentTypeError.
    """

    def parsed(text: str) -> object:
        from pkgutil import resolve_name  # noqa: PLC0415 - see above

        try:
            return resolve_name(name)(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed
