"""Invoices as the report lists them: unpaid ones always, and what is not listed in the sums."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from exporter.base.plain import HALF_A_CENT
from exporter.metrics.extract.values import exact_sum
from exporter.state.day_rows import DAY
from exporter.tool.api_answers import InvoiceLine
from exporter.tool.times import parsed
from exporter.web.status.formatting import count

MAX_INVOICES: Final = 50  # in a table, unless more are unpaid
VOID: Final = "void"  # nobody pays such an invoice, so it is in no sum


class Step(NamedTuple):
    """What is in a sum, but not listed. US dollars."""

    name: str
    usd: float


class InvoiceTable(NamedTuple):
    """Invoices, and what leads from them to their sum. Amounts that are not numbers make it NaN."""

    listed: Sequence[InvoiceLine]
    steps: Sequence[Step]
    usd: float


def unpaid(invoices: Sequence[InvoiceLine], usd: float | None) -> InvoiceTable:
    """Return the unpaid of all invoices, those that were due first on top.

    They add up to `usd`, the sum that the exporter has of them, if that is known.
    """
    listed = sorted((each for each in invoices if each.unpaid), key=_due)
    sum_ = amounts(listed)
    rest = 0.0 if usd is None else usd - sum_
    steps = [Step("Not listed", rest)] if abs(rest) >= HALF_A_CENT else []
    return InvoiceTable(listed, steps, sum_ if usd is None else usd)


def dated(invoices: Sequence[InvoiceLine]) -> InvoiceTable:
    """Return invoices of a month: unpaid ones, then as many others as there is room for."""
    owed = [each for each in invoices if each.unpaid]
    others = [each for each in invoices if not each.unpaid]
    room = max(0, MAX_INVOICES - len(owed))
    folded: dict[str, list[InvoiceLine]] = defaultdict(list)
    for each in others[room:]:
        folded[state(each)].append(each)
    steps = [
        Step(f"{count(len(each), f'{name} invoice')}, not listed", amounts(each))
        for name, each in sorted(folded.items())
    ]
    return InvoiceTable([*owed, *others[:room]], steps, amounts(invoices))


def amounts(invoices: Sequence[InvoiceLine]) -> float:
    """Return the sum of invoices in US dollars, without void ones."""
    return exact_sum(
        math.nan if each.amount_usd is None else each.amount_usd
        for each in invoices
        if each.status != VOID
    )


def state(invoice: InvoiceLine) -> str:
    """Return the state of an invoice in a word or two."""
    if invoice.unpaid:
        return "overdue" if invoice.overdue else "unpaid"
    if invoice.amount_usd is not None and invoice.amount_usd < 0 and invoice.status != VOID:
        return "credit"
    return "paid" if invoice.paid else invoice.status.replace("_", " ")


def state_at(invoice: InvoiceLine, now: float) -> str:
    """Return the state of an invoice with its date, and why it is not paid. `now` is Unix time."""
    text = state(invoice)
    if invoice.overdue and invoice.due is not None:
        late = int((now - parsed(invoice.due)) // DAY)
        text += f" for {count(late, 'day')}" if late > 0 else " for less than a day"
    elif text == "paid" and invoice.paid:
        text += f" {invoice.paid[:10]}"
    if invoice.payment_failure:
        text += f"; the last payment failed: {invoice.payment_failure.replace('_', ' ')}"
    return text


def _due(invoice: InvoiceLine) -> tuple[float, str]:
    return (math.inf if invoice.due is None else parsed(invoice.due), invoice.invoice_id)
