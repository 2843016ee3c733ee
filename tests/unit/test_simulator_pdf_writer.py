"""The PDF files of the simulator: real ones, read back by a library that nobody here wrote."""

from __future__ import annotations

import io
import re

import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.simulator import Account, demo_fleet, ledger, messages, pdf_writer

MOMENT = 1_750_000_000.0  # in June 2025
printable = st.characters(min_codepoint=0x21, max_codepoint=0x7E)


def read(file: bytes) -> pypdf.PdfReader:
    """Open a file; strict, so that every flaw is an error instead of a repair."""
    return pypdf.PdfReader(io.BytesIO(file), strict=True)


def text(file: bytes) -> list[str]:
    """Return all lines of text of a file."""
    return [line for page in read(file).pages for line in page.extract_text().splitlines()]


def test_cross_references_point_at_their_objects() -> None:
    """Every entry of the table has 20 bytes and the offset of the object of its number."""
    file = pdf_writer.document(["a", "b"])
    (start,) = re.findall(rb"startxref\n(\d+)\n%%EOF\n\Z", file)
    assert file[int(start) :].startswith(b"xref\n0 6\n0000000000 65535 f \n")
    table = file[int(start) + len(b"xref\n0 6\n") :]
    for number in range(1, 6):
        entry = table[20 * number : 20 * (number + 1)]
        assert entry.endswith(b" 00000 n \n")
        assert file[int(entry[:10]) :].startswith(b"%d 0 obj\n" % number)


@given(st.lists(st.text(printable, min_size=1, max_size=60), max_size=120))
def test_text_comes_back(lines: list[str]) -> None:
    """Whatever the lines hold, parentheses and backslashes too, a reader finds them again."""
    assert text(pdf_writer.document(lines)) == lines


@pytest.mark.parametrize(("lines", "pages"), [(0, 1), (50, 1), (51, 2), (101, 3)])
def test_long_documents_go_on_overleaf(lines: int, pages: int) -> None:
    """Fifty lines fit on a page, and no document is without a page."""
    assert len(read(pdf_writer.document(["x"] * lines)).pages) == pages


def test_characters_beyond_the_encoding_are_replaced() -> None:
    """Western letters are shown; what the font's encoding lacks becomes a question mark."""
    assert text(pdf_writer.document(["Ørnefjell €5 機械"])) == ["Ørnefjell €5 ??"]


@pytest.mark.parametrize("account", demo_fleet(1), ids=lambda account: account.name)
def test_an_invoice_shows_its_numbers(account: Account) -> None:
    """Id, name and total of the newest invoice stand in its file; nothing private does."""
    invoice = ledger.invoices(account, MOMENT)[0]
    lines = text(messages.invoice_pdf(account, invoice, lambda moment: moment))
    assert lines[0] == f"Invoice {invoice.id}"
    assert f"Organization: {account.name}" in lines
    assert lines[-1] == f"Total: {invoice.amount:.2f} USD"
    words = set(" ".join(lines).split())
    assert words.isdisjoint(account.private_values)


def test_the_lines_of_an_invoice_make_its_total() -> None:
    """Costs and discounts of an invoice for usage add up to its total, within rounding."""
    account = demo_fleet(1)[4]
    invoice = next(i for i in ledger.invoices(account, MOMENT) if i.billed)
    *lines, _total = text(messages.invoice_pdf(account, invoice, lambda moment: moment))
    amounts = [float(line.split()[-2]) for line in lines if line.endswith(" USD")]
    assert len(amounts) >= 10
    assert sum(amounts) == pytest.approx(invoice.amount, abs=0.005 * len(amounts))


def test_dates_are_wall_time() -> None:
    """Dates in the file went through the mapping, like every time that is sent."""
    account = demo_fleet(1)[0]
    invoice = ledger.invoices(account, MOMENT)[0]
    lines = text(messages.invoice_pdf(account, invoice, lambda moment: moment - 86_400))
    assert "Date: 2025-05-31 00:00:00 UTC" in lines
    assert "Due: 2025-06-15 00:00:00 UTC" in lines


def test_a_file_is_reproducible() -> None:
    """The same invoice gives the same bytes: no file date, no random id."""
    account = demo_fleet(1)[0]
    files = {
        messages.invoice_pdf(account, ledger.invoices(account, MOMENT)[0], float) for _ in range(2)
    }
    assert len(files) == 1


def test_no_invoice_has_a_discount_of_nothing() -> None:
    """One that is less than half a cent has no line either."""
    found = []
    for account in demo_fleet(1):
        for invoice in ledger.invoices(account, MOMENT):
            found += text(messages.invoice_pdf(account, invoice, lambda moment: moment))
    discounts = [line for line in found if "discount" in line]
    assert discounts
    assert not [line for line in discounts if "-0.00" in line]
