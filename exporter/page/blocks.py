"""The lines of all organizations, in blocks, plain and compressed.

A family of the page has the lines of one organization after another. Neighbours share a block: it
is joined and compressed again when a line in it changed, and the others stay what they were.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from exporter.metrics import fragments, render
from exporter.metrics.catalog import SPECS
from exporter.metrics.render import Format
from exporter.page.limit import Limit
from exporter.page.organization_lines import OrganizationLines
from exporter.page.part import Part
from exporter.page.pieces import EMPTY, Piece, joined, piece

# Organizations in a block: 0.1 MB in each family, which is compressed in less than a millisecond.
BLOCK = 512

# The comments above each family.
HEADERS: Mapping[Format, Sequence[Piece]] = {
    form: [piece(render.header(spec, form)) for spec in SPECS] for form in Format
}

# Gives what an organization has of each family, when it is wanted.
Source = Callable[[], Callable[[int], bytes]]


class Block:
    """Neighbours on the page, and what each family has of them."""

    def __init__(self, org_ids: Sequence[str], sources: Iterable[Source]) -> None:
        """Nothing can be read of it until it is joined."""
        self.org_ids = org_ids
        self.parts: Sequence[Part] = ()  # for each of SPECS
        self._sources = [*sources]

    def join(self) -> None:
        """Get the lines, or put those that changed where the others are."""
        if self._sources:
            texts = [source() for source in self._sources]
            self.parts = [Part([text(family) for text in texts]) for family in range(len(SPECS))]
            self._sources = []
        else:
            for part in self.parts:
                part.join()

    def text(self, index: int, family: int) -> bytes:
        """Return an organization's lines of a family."""
        return self.parts[family].text(index)


class Blocks:
    """All organizations' lines, and the families made of them."""

    def __init__(self) -> None:
        self.lines: dict[str, OrganizationLines] = {}  # by organization
        # Of those that are in no block yet; packed, or a start would need the memory twice.
        self._new: dict[str, bytes] = {}
        self._limit = Limit()
        self._blocks: list[Block] = []  # in the order of organization ids
        self._shown = 0  # blocks: the limit withholds those after them
        self._first: list[str] = []  # each block's first organization
        self._arranged = True  # each organization is in a block, and none is in it with the others
        self._families: list[Piece | None] = [None] * len(SPECS)  # None: has to be made again

    def put(self, lines: OrganizationLines, texts: Mapping[int, bytes]) -> bool:
        """Take in what `lines_of` gave; tells whether there are more or fewer series."""
        org_id = lines.organization.id
        before = self.lines.get(org_id)
        self.lines[org_id] = lines
        place = self._place(org_id)
        if place is None:
            known = self._new.get(org_id)
            new = [b""] * len(SPECS) if known is None else [*fragments.unpacked(known)]
            for family, text in texts.items():
                new[family] = text
            self._new[org_id] = fragments.packed(new)
            self._arranged = False
            return True
        block, index = place
        for family, text in texts.items():
            if block.parts[family].put(index, text):
                self._families[family] = None
        return before is None or (before.series, before.per_invoice) != (
            lines.series,
            lines.per_invoice,
        )

    def remove(self, org_id: str) -> bool:
        """Forget an organization; tells whether it was there."""
        if self.lines.pop(org_id, None) is None:
            return False
        self._new.pop(org_id, None)
        self._arranged = False
        return True

    def withhold(self, limit: Limit) -> None:
        """Leave out what the limit withholds, and nothing else."""
        if limit != self._limit:
            self._limit = limit
            self._arranged = False

    def arrange(self) -> None:
        """Put the organizations into blocks. Blocks that stay cost nothing."""
        if self._arranged:
            return
        self._arranged = True
        ordered = sorted(self.lines)
        shown = len(ordered) - self._limit.organizations
        groups = [*_groups(ordered[:shown]), *_groups(ordered[shown:])]
        known = {block.org_ids: block for block in self._blocks}
        self._blocks = [
            known.get(org_ids) or Block(org_ids, map(self._source, org_ids)) for org_ids in groups
        ]
        self._shown = len(_groups(ordered[:shown]))
        self._first = [block.org_ids[0] for block in self._blocks]
        self._new = {}
        self._families = [None] * len(SPECS)

    def _place(self, org_id: str) -> tuple[Block, int] | None:
        """Return the block of an organization, and its place there."""
        at = bisect_right(self._first, org_id) - 1
        if at < 0:
            return None
        block = self._blocks[at]
        index = bisect_left(block.org_ids, org_id)
        is_there = index < len(block.org_ids) and block.org_ids[index] == org_id
        return (block, index) if is_there else None

    def _source(self, org_id: str) -> Source:
        place = self._place(org_id)
        if place is None:
            kept = self._new[org_id]
            return lambda: fragments.unpacked(kept).__getitem__
        block, index = place
        return lambda: partial(block.text, index)

    # --- Bytes: may run in a thread, one at a time, while no method before this line is called ---

    def build(self) -> None:
        """Make the families again that changed."""
        for block in self._blocks:
            block.join()
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
        return joined(block.parts[family].piece() for block in self._blocks[: self._shown])


def _groups(org_ids: Sequence[str]) -> Sequence[tuple[str, ...]]:
    return [tuple(org_ids[at : at + BLOCK]) for at in range(0, len(org_ids), BLOCK)]
