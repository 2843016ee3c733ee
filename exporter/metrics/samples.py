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
    values: dict[tuple[str, ...], float | None] = {}
    for sample in spec.extract(source) if spec.value is None else _single(spec.value(source)):
        if isinstance(sample, Withheld):
            reason = sample.reason
        else:
            labels, value = sample
            if len(labels) != width:
                raise ValueError(f"{spec.name}: {labels!r} are not the values of {spec.labels!r}")
            if labels in values:
                reason = Reason.DUPLICATE
            elif math.isfinite(value):
                values[labels] = value + 0.0  # turns the negative zero of a sum of credits into 0
                continue
            else:
                values[labels] = None
                reason = why(value)
        withheld[reason] = withheld.get(reason, 0) + 1
    shown = [(labels, value) for labels, value in values.items() if value is not None]
    return sorted(shown), withheld


def _single(value: float | None) -> Iterable[Sample]:
    return () if value is None else [((), value)]


def why(value: float) -> Reason:
    """Return why a value that is not finite is withheld."""
    return Reason.NAN if math.isnan(value) else Reason.INFINITY
