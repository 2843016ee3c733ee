"""The lines of all organizations, compressed in blocks.

A family of the page has the lines of one organization after another. Neighbours share a block: it
is joined and compressed again when a line in it changed, and the others stay what they were.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from exporter.metrics import render
from exporter.metrics.catalog import SPECS
from exporter.metrics.render import Format
from exporter.page.limit import Limit
from exporter.page.organization_lines import OrganizationLines
from exporter.page.pieces import EMPTY, Piece, compressed, joined

# Organizations in a block: 0.1 MB in each family, which is compressed in less than a millisecond.
BLOCK = 512
# If a block's lines of a family are more than this, each organization's are compressed by
# themselves: joined, they would take as much memory again.
MAX_JOINED = 1024 * 1024  # bytes

# The comments above each family.
HEADERS: Mapping[Format, Sequence[Piece]] = {
    form: [compressed(render.header(spec, form)) for spec in SPECS] for form in Format
}


class Block:
    """Neighbours on the page, and what each family has of them. `None` has to be made again."""

    def __init__(self, org_ids: Sequence[str]) -> None:
        self.org_ids = org_ids
        self.pieces: list[Piece | None] = [None] * len(SPECS)


class Blocks:
    """All organizations' lines, and the families made of them."""

    def __init__(self) -> None:
        self.lines: dict[str, OrganizationLines] = {}  # by organization
        self._limit = Limit()
        self._blocks: list[Block] = []  # in the order of organization ids
        self._first: list[str] = []  # each block's first organization
        self._arranged = True  # each organization that is shown is in a block, and no other
        self._families: list[Piece | None] = [None] * len(SPECS)  # None: has to be made again

    def put(self, lines: OrganizationLines) -> bool:
        """Take in the lines of an organization; tells whether there are more or fewer series."""
        org_id = lines.organization.id
        before = self.lines.get(org_id)
        self.lines[org_id] = lines
        if before is None or not self._blocks:
            self._arranged = False
            return True
        block = self._blocks[max(0, bisect_right(self._first, org_id) - 1)]
        for family, (old, new) in enumerate(zip(before.texts, lines.texts, strict=True)):
            if old != new:
                block.pieces[family] = self._families[family] = None
        return (before.series, before.per_invoice) != (lines.series, lines.per_invoice)

    def remove(self, org_id: str) -> bool:
        """Forget an organization; tells whether it was there."""
        if self.lines.pop(org_id, None) is None:
            return False
        self._arranged = False
        return True

    def withhold(self, limit: Limit) -> None:
        """Leave out what the limit withholds, and nothing else."""
        if limit != self._limit:
            self._limit = limit
            self._arranged = False

    def arrange(self) -> None:
        """Put the organizations that are shown into blocks. Blocks that stay cost nothing."""
        if self._arranged:
            return
        self._arranged = True
        shown = len(self.lines) - self._limit.organizations
        ordered = sorted(self.lines)[:shown]
        known = {tuple(block.org_ids): block for block in self._blocks}
        groups = [tuple(ordered[at : at + BLOCK]) for at in range(0, shown, BLOCK)]
        self._blocks = [known.get(org_ids) or Block(org_ids) for org_ids in groups]
        self._first = [block.org_ids[0] for block in self._blocks]
        self._families = [None] * len(SPECS)

    # --- Bytes: may run in a thread, one at a time, while no method before this line is called ---

    def build(self) -> None:
        """Make the families again that changed."""
        for family, known in enumerate(self._families):
            if known is None:
                self._families[family] = self._family(family)

    def page_pieces(self, form: Format) -> Iterable[Piece]:
        """Yield the page in a format, as it was built last, but for the exporter's own metrics."""
        for header, family in zip(HEADERS[form], self._families, strict=True):
            if family is not None and family.size:
                yield header
                yield family

    def _family(self, family: int) -> Piece:
        """Return a family's lines of all organizations that are shown."""
        if self._limit.without_invoices and SPECS[family].per_invoice:
            return EMPTY
        pieces = []
        for block in self._blocks:
            piece = block.pieces[family]
            if piece is None:
                texts = [self.lines[org_id].texts[family] for org_id in block.org_ids]
                long = sum(map(len, texts)) > MAX_JOINED
                piece = joined(map(compressed, texts)) if long else compressed(b"".join(texts))
                block.pieces[family] = piece
            pieces.append(piece)
        return joined(pieces)
