"""What a bill is made of, as programs get it: the JSON API and the commands list it from here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exporter.base import plain
from exporter.metrics.extract.invoices import Invoice, Invoices, newest_first
from exporter.metrics.extract.usage import Usage
from exporter.metrics.extract.values import exact_sum


def costs(usage: Usage) -> list[dict[str, Any]]:
    """Return the costs of a period, before discounts."""
    return [
        {
            "source_type": source_type,
            "tier": tier,
            "resource_type": resource_type,
            "cost_usd": plain.number(exact_sum(parts)),
        }
        for (source_type, tier, resource_type), parts in sorted(usage.costs.items())
    ]


def every_invoice(found: Invoices) -> Iterator[tuple[Invoice, bool]]:
    """Yield each invoice, the newest first, with whether it is overdue.

    One whose id came before is among them: it is in the sums, too.
    """
    overdue = {id(invoice) for invoice in found.overdue}
    for invoice in sorted(found.all, key=newest_first):
        yield invoice, id(invoice) in overdue


def invoice(received: Invoice, *, overdue: bool) -> dict[str, Any]:
    """Return an invoice."""
    return {
        "invoice_id": received.id,
        "issued": plain.moment(received.issued),
        "due": plain.moment(received.due),
        "paid": plain.moment(received.paid),
        "status": received.status,
        "unpaid": received.unpaid,
        "overdue": overdue,
        "amount_usd": plain.number(received.usd),
        "payment_failure": received.failure,
    }
