"""Downloads an invoice's PDF, checked and whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from exporter.api.billing import BillingError
from exporter.model import Cause, Organization
from exporter.tool.bills import BillReader
from exporter.tool.folder import Folder

MAX_BYTES: Final = 64 * 1024 * 1024
HEAD: Final = b"%PDF-"
TAIL: Final = b"%%EOF"
TAIL_WITHIN: Final = 1024  # bytes of the end, as readers of PDF look for it


@dataclass(frozen=True, slots=True)
class WantedInvoice:
    """An invoice to download, and the folders and the file that it is to become."""

    organization: Organization
    invoice_id: str
    parts: tuple[str, ...]

    @property
    def path(self) -> str:
        """Where it goes, below the folder that the user named."""
        return "/".join(self.parts)


class Sink(Protocol):
    """What is written to."""

    def write(self, content: bytes) -> None:
        """Append to it."""


class PdfChecker:
    """Writes a PDF of up to a size to a file, and refuses anything else."""

    def __init__(self, file: Sink, most: int) -> None:
        self._file = file
        self._most = most
        self._head = b""
        self._tail = b""
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Append a chunk. Raises BillingError for what is not a PDF, and OSError."""
        self.size += len(chunk)
        if self.size > self._most:
            raise _invalid(f"is larger than {self._most >> 20} MiB")
        if len(self._head) < len(HEAD):
            self._head = (self._head + chunk[: len(HEAD)])[: len(HEAD)]
            if not HEAD.startswith(self._head):
                raise _invalid("is not a PDF")
        self._tail = (self._tail + chunk[-TAIL_WITHIN:])[-TAIL_WITHIN:]
        self._file.write(chunk)

    def finish(self) -> None:
        """Raise BillingError unless it was a whole PDF."""
        if self._head != HEAD:
            raise _invalid("is not a PDF")
        if TAIL not in self._tail:
            raise _invalid("is an incomplete PDF")


async def download(
    reader: BillReader,
    wanted: WantedInvoice,
    folder: Folder,
    progress: Callable[[int], None],
) -> int:
    """Download an invoice into the folder and return its size in bytes.

    `progress` is called with the bytes so far. Raises BillingError and OSError; then there is no
    file.
    """

    async def attempt() -> int:
        # The disk holds up nothing but other downloads, and so all is cleaned up whatever stops it.
        async with reader.downloads:
            return await store()

    async def store() -> int:
        with folder.new(wanted.parts) as file:
            checked = PdfChecker(file, MAX_BYTES)

            async def take(chunk: bytes) -> None:
                checked.write(chunk)
                progress(checked.size)

            await reader.client.read_invoice_pdf(
                wanted.organization.id, wanted.invoice_id, wanted.organization.api_key, take
            )
            checked.finish()
        return checked.size

    return await reader.with_retries(wanted.organization.api_key, attempt)


def _invalid(what: str) -> BillingError:
    return BillingError(Cause.INVALID_ANSWER, "INVALID_ANSWER", f"the file {what}")
