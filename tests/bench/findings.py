"""What a measurement is given, and what it brings back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    """What to measure with."""

    folder: Path  # for what is built and served; removed at the end
    sizes: Sequence[int]  # numbers of organizations, rising
    quick: bool  # fewer repetitions
    soak_minutes: float
    idle_minutes: float

    @property
    def largest(self) -> int:
        """The most organizations."""
        return self.sizes[-1]

    def some(self, many: int, few: int) -> int:
        """Return how many repetitions to make."""
        return few if self.quick else many


@dataclass(frozen=True)
class Table:
    """Measured values as text."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return it in Markdown, with columns that line up in a terminal, too."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        padded = [map(str.ljust, line, widths) for line in lines]
        return "".join(f"| {' | '.join(cells)} |\n" for cells in padded)


@dataclass
class Findings:
    """Tables, and single values by name, which the targets are about."""

    tables: list[Table] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    growth: dict[str, list[tuple[int, float]]] = field(default_factory=dict)  # (size, value)

    def grew(self, what: str, size: int, value: float) -> None:
        """Note a value at a number of organizations."""
        self.growth.setdefault(what, []).append((size, value))

    def add(self, other: Findings) -> None:
        """Take in what another measurement found."""
        self.tables += other.tables
        self.values |= other.values
        for what, points in other.growth.items():
            self.growth.setdefault(what, []).extend(points)
