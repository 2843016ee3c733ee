"""From the bytes of an answer to what is kept of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

from exporter.api.billing import decoded
from exporter.metrics import render
from exporter.metrics.catalog import Collector
from exporter.metrics.extract.values import View, shorten
from exporter.model import Answer, InvoiceDetail, Moment, Organization, SavedAnswer
from exporter.state.messages import packed, unpacked

AT_ONCE = 2047  # bytes


def digest(raw: bytes) -> bytes:
    """Return what tells an answer from another."""
    made = hashlib.blake2b(digest_size=16)
    # Above this hashlib releases the interpreter lock; getting it back can take milliseconds.
    for start in range(0, len(raw), AT_ONCE):
        made.update(raw[start : start + AT_ONCE])
    return made.digest()


def take_in(
    collector: Collector[Any, Any],
    organization: Organization,
    raw: bytes,
    detail: InvoiceDetail,
    now: Moment,
) -> tuple[Answer, View]:
    """Return what is kept of an answer that came now, and what it means. Raises BillingError."""
    message = decoded(collector.rpc, collector.message, raw)
    view = collector.view(message, now.time, detail)
    withheld: Counter[str] = Counter()
    fragments = []
    figures = {}
    for spec in collector.specs:
        lines = render.lines(spec, organization, view)
        fragments.append(lines.text)
        withheld.update(lines.withheld)
        if spec.figure and lines.value is not None:
            figures[spec.name] = lines.value
    answer = Answer(
        digest=digest(raw),
        message=packed(shorten(collector.keep(message)).SerializeToString()),
        fragments=tuple(fragments),
        withheld=dict(withheld),
        unknown_enums={enum: count for enum, count in view.unknown_enums.items() if count},
        received=now.time,
        received_monotonic=now.monotonic,
        changed=now.time,
        period_end=view.period_end,
        next_change=view.next_change,
        billing_tier=view.billing_tier,
        figures=figures,
    )
    return answer, view


def reread(
    collector: Collector[Any, Any],
    organization: Organization,
    old: Answer | SavedAnswer,
    detail: InvoiceDetail,
    now: Moment,
) -> Answer:
    """Return what is made now of an answer that came before: times stay what they were.

    Its digest is unknown: one that is stored would confirm guesses of what is personal.
    """
    again, _ = take_in(collector, organization, unpacked(old.message), detail, now)
    # A wall clock that was set back makes nothing younger than now.
    age = max(0.0, now.time - old.received)
    return again._replace(
        digest=b"",
        message=old.message,
        received=old.received,
        received_monotonic=now.monotonic - age,
        changed=old.changed,
    )
