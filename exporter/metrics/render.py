"""From samples to the lines of a scrape.

Everything here runs when something changed, never when a scrape comes. Sample lines are the same
in both formats, so only the lines above them exist twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from functools import lru_cache
from typing import NamedTuple, TypeVar

from exporter.metrics.samples import apply
from exporter.model import Family, Metric, MetricSpec, Organization

SourceT = TypeVar("SourceT")

GO_EXPONENT_FROM = 6  # digits before the point; Python would turn to exponents later


class Format(Enum):
    """An exposition format; the value is its Content-Type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Lines(NamedTuple):
    """What a row of the catalog makes of an organization."""

    text: bytes  # a line for each series
    value: float | None  # of the only sample; None if there is none, or several
    withheld: Mapping[str, int]  # reason -> samples


def lines(
    spec: MetricSpec[SourceT],
    organization: Organization,
    source: SourceT,
    extra: tuple[tuple[str, str], ...] = (),
) -> Lines:
    """Return the lines that a row of the catalog makes of what it reads.

    Each sample gets the `extra` labels beside its own.
    """
    family, withheld = apply(spec, organization, source)
    if extra:
        samples = [sample._replace(extra=(*sample.extra, *extra)) for sample in family.samples]
        family = replace(family, samples=tuple(samples))
    value = family.samples[0].value if len(family.samples) == 1 else None
    return Lines(fragment(family), value, withheld)


def fragment(family: Family) -> bytes:
    """Return the sample lines of a family of one organization: one for each series."""
    spec, organization = family.spec, family.organization
    org_id, org_name = _organization(organization.id, organization.name)
    written = []
    for labels, value, extra in family.samples:
        before, between, after = _around(spec.name, spec.labels, labels, extra)
        written.append(f"{before}{org_id}{between}{org_name}{after}{number(value)}\n")
    return "".join(written).encode()


@lru_cache(maxsize=64)  # the families of an organization are rendered one after another
def _organization(org_id: str, org_name: str) -> tuple[str, str]:
    """Return the two labels that every series of an organization has."""
    return f'org_id="{_escape(org_id)}"', f'org_name="{_escape(org_name)}"'


@lru_cache(maxsize=16_384)  # most label values are those of other organizations, too
def _around(
    name: str, names: tuple[str, ...], labels: tuple[str, ...], extra: tuple[tuple[str, str], ...]
) -> tuple[str, str, str]:
    """Return what stands before, between and after the organization's two labels in a line.

    Labels are sorted by name.
    """
    _org_id, _org_name, *own = names
    pairs = sorted([*zip(own, labels, strict=True), *extra])
    written = [(label, f'{label}="{_escape(text)}"') for label, text in pairs]
    before = "".join(f"{pair}," for label, pair in written if label < "org_id")
    between = "".join(f",{pair}" for label, pair in written if "org_id" < label < "org_name")
    after = "".join(f",{pair}" for label, pair in written if label > "org_name")
    return f"{name}{{{before}", f"{between},", f"{after}}} "


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def number(value: float) -> str:
    """Return a sample value as Prometheus' own libraries write it."""
    value = float(value)
    if -1e6 < value < 1e6:  # noqa: PLR2004 - 10 ** GO_EXPONENT_FROM
        return repr(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    point = text.find(".")
    if value > 0 and point > GO_EXPONENT_FROM:
        mantissa = f"{text[0]}.{text[1:point]}{text[point + 1 :]}".rstrip("0.")
        return f"{mantissa}e+{point - 1:02d}"
    return text


def header(metric: Metric, form: Format) -> bytes:
    """Return the comment lines above a family."""
    if form is Format.TEXT:
        documentation = metric.help.replace("\\", r"\\").replace("\n", r"\n")
        lines = [f"# HELP {metric.name} {documentation}", f"# TYPE {metric.name} {metric.type}"]
    else:
        name = metric.family
        lines = [f"# HELP {name} {_escape(metric.help)}", f"# TYPE {name} {metric.type}"]
        if metric.unit:
            lines.append(f"# UNIT {name} {metric.unit}")
    return "".join(f"{line}\n" for line in lines).encode()
