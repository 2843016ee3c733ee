"""Where samples are made: a row of the catalog, applied to what it reads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from exporter.model import ORG, MetricSpec, Reason, Sample, Withheld

SourceT = TypeVar("SourceT")


def apply(spec: MetricSpec[SourceT], source: SourceT) -> tuple[Sequence[Sample], Mapping[str, int]]:
    """Return the samples that a row makes, and how many it withheld by reason.

    Duplicates, and what is not a finite number, are withheld; the rest is sorted.
    """
    width = len(spec.labels) - len(ORG)
    withheld: dict[str, int] = {}
    # Withheld ones are None: what comes again under their labels must not be shown in their place.
    samples: dict[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], Sample | None] = {}
    for sample in spec.extract(source) if spec.value is None else _single(spec.value(source)):
        if isinstance(sample, Withheld):
            reason = sample.reason
        else:
            labels, value, extra = sample
            if len(labels) != width:
                raise ValueError(f"{spec.name}: {labels!r} are not the values of {spec.labels!r}")
            if (labels, extra) in samples:
                reason = Reason.DUPLICATE
            elif math.isfinite(value):
                # No negative zero, as a sum of credits may be.
                samples[labels, extra] = sample if value else Sample(labels, 0.0, extra)
                continue
            else:
                samples[labels, extra] = None
                reason = why(value)
        withheld[reason] = withheld.get(reason, 0) + 1
    ordered = sorted(samples.items()) if len(samples) > 1 else samples.items()
    return [sample for _, sample in ordered if sample is not None], withheld


def _single(value: float | None) -> Iterable[Sample]:
    return () if value is None else [Sample((), value)]


def why(value: float) -> Reason:
    """Return why a value that is not finite is withheld."""
    return Reason.NAN if math.isnan(value) else Reason.INFINITY
