"""Messages as they are kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from exporter.model import SavedAnswer, SavedOrganization
from exporter.pb import billing_pb2 as pb
from exporter.state import messages
from exporter.state.storage import FILE, Storage


@given(st.text(max_size=50), st.integers(1, 100_000))
def test_a_message_comes_back_as_it_was(text: str, times: int) -> None:
    """A long one is small meanwhile."""
    message = pb.UsageCost.FromString(b"").SerializeToString()
    invoices = pb.GetInvoicesSummaryResponse()
    invoices.invoices.add(id=text * times)
    for each in (message, invoices.SerializeToString()):
        kept = messages.packed(each)
        assert messages.unpacked(kept) == each
        assert len(kept) <= max(messages.LONG, len(each) // 10)
        assert (messages.size(kept) >= messages.LONG) == (len(each) >= messages.LONG)


def test_a_message_like_most_is_kept_in_less_than_half() -> None:
    """Ten thousand organizations have twice as many of a few kilobytes."""
    usage = pb.GetCurrentMonthUsageResponse()
    for number in range(24):
        source = usage.resource_usage_costs_by_source.add(tier_name="Autonomy Pro, billed yearly")
        source.resource_usage_costs.total_with_discount = number + 0.1
    message = usage.SerializeToString()
    assert messages.SHORT < len(message) < messages.LONG
    kept = messages.packed(message)
    assert len(kept) < len(message) / 2
    assert messages.size(kept) == len(message)
    assert messages.unpacked(messages.squeezed(kept)) == message


def test_what_is_stored_is_the_message_itself(tmp_path: Path) -> None:
    """An older release can read it, and what one stored is kept small, too."""
    long, short = b"\x0a" * 1_000_000, b"\x0a\x00"
    kept = SavedOrganization(
        "acme",
        {
            "usage": SavedAnswer(messages.packed(long), 1.0, 2.0),
            "invoices": SavedAnswer(messages.packed(short), 3.0, 4.0),
        },
        None,
    )
    assert len(kept.answers["usage"].message) < messages.LONG
    storage = Storage(tmp_path)
    storage.save([kept], [])
    restored = storage.read().organizations
    storage.close()
    assert restored == {"acme": kept}
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        rows = dict(database.execute("SELECT collector, message FROM answer"))
    assert rows == {"usage": long, "invoices": short}
