"""What is wrong with a configuration, in words that may be shown to anyone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule. No field ever holds a configured value: it could be a secret."""

    file: str  # as it was named on the command line, or `environment`
    line: int | None  # counted from 1; None if the problem has no place in a file
    key: str  # such as `organizations[3].credentials.api_key_file`; empty for the whole file
    rule: str  # what is wrong and what to do

    def __str__(self) -> str:
        """Give one line: `exporter.yml:12: organizations[3].budget_usd: must not be below 0`."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.rule) if part)


class ConfigError(Exception):
    """A configuration that cannot be used, with everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Take the problems in any order and keep them by line."""
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line or 0))
        super().__init__(self.problems)

    def __str__(self) -> str:
        """Give one line for each problem."""
        return "\n".join(map(str, self.problems))
