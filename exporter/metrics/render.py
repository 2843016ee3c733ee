"""From samples to the lines of a scrape.

Everything here runs when something changed, never when a scrape comes. Sample lines are the same
in both formats, so only the lines above them exist twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import NamedTuple, TypeVar

from exporter.metrics.samples import apply, why
from exporter.model import ORG, Metric, MetricSpec, Organization, Sample

SourceT = TypeVar("SourceT")

GO_EXPONENT_FROM = 6  # digits before the point; Python would turn to exponents later


class Format(Enum):
    """An exposition format."""

    TEXT = "text"
    OPENMETRICS = "openmetrics"


class Lines(NamedTuple):
    """What rows of the catalog make of an organization."""

    texts: Sequence[bytes]  # for each row: a line for each series
    withheld: Mapping[str, int]  # reason -> samples
    figures: Mapping[str, float]  # of rows that are figures, as `figure` names them


def lines(
    specs: Iterable[MetricSpec[SourceT]], organization: Organization, source: SourceT
) -> Lines:
    """Return the lines that rows of the catalog make of what they read."""
    own = ",".join(_organization(organization.id, organization.name))
    texts: list[bytes] = []
    withheld: dict[str, int] = {}
    figures: dict[str, float] = {}
    for spec in specs:
        if spec.value is None:
            samples, reasons = apply(spec, source)
            extra = sorted(organization.labels.items()) if spec.with_configured else ()
            texts.append(fragment(spec, organization, samples, tuple(extra)))
            for reason, count in reasons.items():
                withheld[reason] = withheld.get(reason, 0) + count
            if spec.figure:
                figures |= {figure(spec.name, *labels): usd for labels, usd in samples if usd}
        elif (value := spec.value(source)) is None:
            texts.append(b"")
        elif math.isfinite(value):
            value += 0.0  # turns the negative zero of a sum of credits into 0
            texts.append(f"{spec.name}{{{own}}} {number(value)}\n".encode())
            if spec.figure:
                figures[spec.name] = value
        else:
            texts.append(b"")
            withheld[why(value)] = withheld.get(why(value), 0) + 1
    return Lines(texts, withheld, figures)


def figure(metric: str, *labels: str) -> str:
    """Return the name of a figure: of a metric, or of its sample with these labels."""
    return "/".join((metric, *labels))


def fragment(
    metric: Metric,
    organization: Organization,
    samples: Iterable[Sample],
    extra: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """Return the lines of samples of one organization, one for each series, with `extra` labels."""
    org_id, org_name = _organization(organization.id, organization.name)
    written = []
    for labels, value in samples:
        before, between, after = _around(metric.name, metric.labels, labels, extra)
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
    before = between = after = ""
    for label, text in sorted([*zip(names[len(ORG) :], labels, strict=True), *extra]):
        pair = f'{label}="{_escape(text)}"'
        if label < ORG[0]:
            before = f"{before}{pair},"
        elif label < ORG[1]:
            between = f"{between},{pair}"
        else:
            after = f"{after},{pair}"
    return f"{name}{{{before}", f"{between},", f"{after}}} "


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def number(value: float) -> str:
    """Return a sample value as Prometheus' own libraries write it."""
    value = float(value)
    if -1e6 < value < 1e6:  # noqa: PLR2004 - 10 ** GO_EXPONENT_FROM
        return repr(value)
    return _other_number(value)


@lru_cache(1024)  # times, mostly: a poll's come several times, and invoices share their dates
def _other_number(value: float) -> str:
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
