"""Where samples are made: a row of the catalog, applied to what it reads."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

from exporter.model import ORG, Family, MetricSpec, Organization, Reason, Sample, Withheld

SourceT = TypeVar("SourceT")


def apply(
    spec: MetricSpec[SourceT], organization: Organization, source: SourceT
) -> tuple[Family, Mapping[str, int]]:
    """Return the family that a row makes of an organization, and what it withheld by reason.

    Duplicates, and what is not a finite number, are withheld; the rest is sorted.
    """
    width = len(spec.labels) - len(ORG)
    withheld: Counter[str] = Counter()
    # Withheld ones are None: what comes again under their labels must not be shown in their place.
    samples: dict[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], Sample | None] = {}
    for sample in spec.extract(source):
        if isinstance(sample, Withheld):
            withheld[sample.reason] += 1
            continue
        labels, value, extra = sample
        if len(labels) != width:
            raise ValueError(f"{spec.name}: {labels!r} are not the values of {spec.labels!r}")
        if (labels, extra) in samples:
            withheld[Reason.DUPLICATE] += 1
        elif math.isfinite(value):
            # + 0.0 turns the negative zero of a sum of credits into 0.
            samples[labels, extra] = Sample(labels, value + 0.0, extra)
        else:
            samples[labels, extra] = None
            withheld[Reason.NAN if math.isnan(value) else Reason.INFINITY] += 1
    ordered = sorted(samples.items()) if len(samples) > 1 else samples.items()
    return Family(spec, organization, tuple([sample for _, sample in ordered if sample])), withheld
