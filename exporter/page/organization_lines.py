"""An organization's lines on the page."""

from __future__ import annotations

from typing import NamedTuple

from exporter.metrics import render
from exporter.metrics.catalog import COLLECTORS, SECTIONS, SPECS
from exporter.metrics.report import OrganizationReport
from exporter.model import Organization


class OrganizationLines(NamedTuple):
    """An organization's lines, and how many series they are."""

    organization: Organization
    texts: tuple[bytes, ...]  # for each of SPECS
    unchanged_while: tuple[object, ...]  # for each of SECTIONS: what its function of that name gave
    series: int
    per_invoice: int  # of the series


def lines_of(report: OrganizationReport, before: OrganizationLines | None) -> OrganizationLines:
    """Return the lines of an organization, without what is withdrawn.

    Lines of collectors were rendered when the answer came. Those of sections that are the same as
    before are not rendered again.
    """
    organization = report.organization
    if before is not None and before.organization != organization:
        before = None  # its name is in every line
    texts: list[bytes] = []
    for collector in COLLECTORS:
        answer = report.current.get(collector.name)
        texts += answer.fragments if answer else [b""] * len(collector.specs)
    unchanged_while = tuple([section.unchanged_while(report) for section in SECTIONS])
    for index, section in enumerate(SECTIONS):
        if before is not None and before.unchanged_while[index] == unchanged_while[index]:
            texts += before.texts[len(texts) : len(texts) + len(section.specs)]
        else:
            texts += render.lines(section.specs, organization, report).texts
    counts = [text.count(b"\n") for text in texts]
    per_invoice = [n for n, spec in zip(counts, SPECS, strict=True) if spec.per_invoice]
    return OrganizationLines(
        organization, tuple(texts), unchanged_while, sum(counts), sum(per_invoice)
    )
