"""An organization's lines on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from exporter.metrics import fragments, render
from exporter.metrics.catalog import COLLECTORS, SECTIONS
from exporter.metrics.report import OrganizationReport
from exporter.model import MetricSpec, Organization

# The rows of the catalog whose lines change together, in the order of the page.
GROUPS: Sequence[Sequence[MetricSpec[Any]]] = (
    *[collector.specs for collector in COLLECTORS],
    *[section.specs for section in SECTIONS],
)
FIRST = tuple(accumulate(map(len, GROUPS), initial=0))  # of each group, in SPECS


class OrganizationLines(NamedTuple):
    """What is known of an organization's lines, each of which is one series.

    The lines themselves are in the blocks of the page, and nowhere else.
    """

    organization: Organization
    unchanged_while: tuple[object, ...]  # for each of GROUPS: its lines are those there were
    lines: tuple[int, ...]  # for each of GROUPS
    per_invoice: int  # of the lines

    @property
    def series(self) -> int:
        """How many there are."""
        return sum(self.lines)


def lines_of(
    report: OrganizationReport, before: OrganizationLines | None
) -> tuple[OrganizationLines, Mapping[int, bytes]]:
    """Return an organization's lines, without what is withdrawn, by where they are in SPECS.

    Only those of groups that are not the same as before. Lines of collectors were rendered when
    the answer came.
    """
    organization = report.organization
    if before is not None and before.organization != organization:
        before = None  # its name is in every line
    current = [report.current.get(collector.name) for collector in COLLECTORS]
    unchanged_while = (
        *[answer and answer.reading.fragments for answer in current],
        *[section.unchanged_while(report) for section in SECTIONS],
    )
    made: dict[int, bytes] = {}
    lines = list(before.lines) if before is not None else [0] * len(GROUPS)
    per_invoice = before.per_invoice if before is not None else 0
    for index, specs in enumerate(GROUPS):
        if before is not None and before.unchanged_while[index] == unchanged_while[index]:
            continue
        texts: Sequence[bytes]
        if index >= len(COLLECTORS):
            texts = render.lines(specs, organization, report).texts
        elif (answer := current[index]) is not None:
            texts = fragments.unpacked(answer.reading.fragments)
        else:
            texts = [b""] * len(specs)
        made.update(enumerate(texts, FIRST[index]))
        counts = [text.count(b"\n") for text in texts]
        lines[index] = sum(counts)
        if any(spec.per_invoice for spec in specs):
            per_invoice = sum(
                [n for n, spec in zip(counts, specs, strict=True) if spec.per_invoice]
            )
    return OrganizationLines(organization, unchanged_while, tuple(lines), per_invoice), made
