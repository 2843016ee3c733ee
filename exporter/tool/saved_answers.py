"""Saves what an account answers, for a bug report: `viam-billing check --connect --save-answers`.

What may be written of it is decided in `disguise`; the simulator reads it back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exporter.api.billing import BillingError, decoded, invalid
from exporter.api.calls import AUTHENTICATE, GET_INVOICE_PDF
from exporter.api.exchange import Exchange
from exporter.api.wire import MAX_ELEMENTS
from exporter.base import plain
from exporter.metrics.catalog import Collector
from exporter.model import Clock, Organization
from exporter.pb import billing_pb2 as pb
from exporter.simulator import saved
from exporter.tool import disguise
from exporter.tool.bills import BillReader
from exporter.tool.disguise import Disguise
from exporter.tool.download import MAX_BYTES
from exporter.tool.errors import CommandError
from exporter.tool.folder import PRIVATE, Folder, prepared
from exporter.tool.outcomes import Answers


@contextmanager
def empty_folder(dest: Path) -> Iterator[Folder]:
    """Have a new folder while inside, or one with nothing in it.

    Raises CommandError if it cannot be had, or if something is in it.
    """
    with prepared(dest, PRIVATE) as folder:
        if any(dest.iterdir()):
            raise CommandError(f"{dest}: not empty: name a new folder for --save-answers")
        yield folder


async def save(
    reader: BillReader,
    organizations: Sequence[Organization],
    collectors: Sequence[Collector[Any, Any]],
    folder: Folder,
    clock: Clock,
) -> Answers:
    """Read organizations, and write a file for each answer. Raises CommandError if it cannot."""
    saver = _Saver(reader, folder, clock)
    numbers = {each.id: number for number, each in enumerate(organizations, 1)}
    return await reader.each(
        organizations, lambda each: saver.save(each, numbers[each.id], collectors)
    )


class _Saver:
    """Writes what organizations answer, all in one disguise."""

    def __init__(self, reader: BillReader, folder: Folder, clock: Clock) -> None:
        self._reader, self._folder, self._clock = reader, folder, clock
        self._disguise = Disguise.at_random()

    async def save(
        self, organization: Organization, number: int, collectors: Sequence[Collector[Any, Any]]
    ) -> None:
        """Read an organization and write all that comes of it, failures too.

        Raises BillingError, for the first collector that fails, once all is written.
        """
        failures: list[BillingError] = []
        newest = None
        for collector in collectors:
            try:
                answer = await self._collector(collector, organization, number)
            except BillingError as error:
                failures.append(error)
            else:
                if isinstance(answer, pb.GetInvoicesSummaryResponse) and answer.invoices:
                    newest = max(answer.invoices, key=lambda each: each.invoice_date.seconds)
        self._token(organization, number)
        if newest is not None:
            await self._pdf(organization, number, newest.id)
        if failures:
            raise failures[0]

    async def _collector(
        self, collector: Collector[Any, Any], organization: Organization, number: int
    ) -> Any:
        """Return an answer, once what may be shown of it is written. Raises BillingError."""
        rpc, key, exchange = collector.rpc, organization.api_key, Exchange()
        asked = self._clock.time()

        def write(document: Mapping[str, Any]) -> None:
            shown, others = disguise.headers(exchange.metadata)
            about: dict[str, Any] = {
                "asked_at": plain.moment(asked),
                "headers": shown,
                "other_headers": others,
            }
            self._write(organization, number, rpc, {**about, **document})

        try:
            raw = await self._reader.with_retries(
                key, lambda: self._reader.client.read(rpc, organization.id, key, exchange)
            )
            answer = decoded(rpc, collector.message, raw)
        except BillingError as error:
            write({"error": error.code, "retry_after_seconds": error.retry_after})
            raise
        write(self._disguise.answer(answer)._asdict())
        return answer

    def _token(self, organization: Organization, number: int) -> None:
        lifetime = self._reader.client.token_lifetime(organization.api_key)
        if lifetime is not None:
            document = {"is_jwt": lifetime.is_jwt, "lifetime_seconds": lifetime.seconds}
            self._write(organization, number, AUTHENTICATE.name, document)

    async def _pdf(self, organization: Organization, number: int, invoice_id: str) -> None:
        """Write how large the pieces of an invoice's file are, and nothing of what is in them."""
        key, sizes, total = organization.api_key, list[int](), 0

        async def take(chunk: bytes) -> None:
            nonlocal total
            sizes.append(len(chunk))
            total += len(chunk)
            if total > MAX_BYTES or len(sizes) > MAX_ELEMENTS:
                raise invalid(GET_INVOICE_PDF.name, "is too large")

        async def attempt() -> None:
            nonlocal total
            sizes.clear()
            total = 0
            await self._reader.client.read_invoice_pdf(organization.id, invoice_id, key, take)

        document: dict[str, Any] = {"invoice": self._disguise.name("id", invoice_id)}
        try:
            async with self._reader.downloads:
                await self._reader.with_retries(key, attempt)
        except BillingError as error:  # the bill can be read all the same
            document["error"] = error.code
        document["chunk_bytes"] = sizes
        self._write(organization, number, GET_INVOICE_PDF.name, document)

    def _write(
        self, organization: Organization, number: int, method: str, document: Mapping[str, Any]
    ) -> None:
        name = f"{number}-{method}{saved.SUFFIX}"
        whole = {
            "format": saved.FORMAT,
            "method": method,
            "organization": self._disguise.organization(organization.id),
            **document,
        }
        try:
            with self._folder.new([name]) as file:
                file.write(json.dumps(whole, indent=2).encode() + b"\n")
        except OSError as error:
            raise CommandError(f"{name}: {error.strerror}") from error
