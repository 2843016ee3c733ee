"""Arguments of command lines, whose parsers are loaded when there is something to parse."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

CONFIGURATION = "exporter.yml"  # in the working folder


class Parser(argparse.ArgumentParser):
    """A command line that says in a line which flag it does not know, and which it may be."""

    def parse_known_args(  # type: ignore[override]  # the two overloads are about the namespace
        self,
        args: Sequence[str] | None = None,
        namespace: argparse.Namespace | None = None,
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse arguments; none may be unknown. Raises SystemExit for wrong usage."""
        words = list(sys.argv[1:] if args is None else args)
        # First, as a flag that is mistyped may be one that is required.
        for word in words:
            if word == "--" or (self._subparsers is not None and not word.startswith("-")):
                break  # what follows are no flags, or those of a sub-command
            flag = word.partition("=")[0]
            if flag.startswith("--") and flag not in self._option_string_actions:
                self._refuse(f"unknown flag {_shown(flag)}", flag)
        known, unknown = super().parse_known_args(words, namespace)
        if unknown:
            self._refuse(f"unexpected argument {_shown(unknown[0])}", unknown[0])
        return known, []

    def _refuse(self, what: str, flag: str) -> None:
        from exporter.base.near import did_you_mean, near  # noqa: PLC0415 - --help needs it not

        flags = [each for each in self._option_string_actions if each.startswith("--")]
        question = did_you_mean(near(flag, flags)[:1])
        see = f"{question} See" if question else "see"
        self.exit(2, f"{self.prog}: {what}: {see} {self.prog} --help\n")


def _shown(text: str) -> str:
    """Return an argument for a terminal, which would act upon some characters."""
    return text if text.isascii() and text.isprintable() else ascii(text)


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
