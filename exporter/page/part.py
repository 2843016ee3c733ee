"""What a family has of the organizations in a block: the only place where their lines are kept."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate
from operator import sub

from exporter.page.pieces import Piece, joined, piece

# In a part that is longer than this, the lines of each organization are kept and compressed by
# themselves: joining them would hold the interpreter for long.
MAX_JOINED = 1024 * 1024  # bytes


class Part:
    """The lines that a family has of some organizations, one after another."""

    __slots__ = ("_changed", "_count", "_ends", "_piece", "_plain")

    def __init__(self, texts: Sequence[bytes]) -> None:
        """`texts` are the lines of each organization."""
        self._count = len(texts)
        self._changed: dict[int, bytes] = {}  # by organization: what is not joined yet
        self._plain: Sequence[bytes] = ()  # one for all, or one for each
        self._ends: array[int] | None = None  # of each organization, if there is one for all
        self._piece: Piece | None = None  # what was joined, compressed
        self._keep(texts)

    def text(self, index: int) -> bytes:
        """Return the lines of an organization."""
        if index in self._changed:
            return self._changed[index]
        if self._ends is None:
            return self._plain[index] if self._plain else b""
        return self._plain[0][self._ends[index - 1] if index else 0 : self._ends[index]]

    def put(self, index: int, text: bytes) -> bool:
        """Replace the lines of an organization; tells whether they changed."""
        if text == self.text(index):
            return False
        self._changed[index] = text
        return True

    def join(self) -> None:
        """Put what changed where the other lines are."""
        if not self._changed:
            return
        if self._ends is None:
            self._keep([self.text(index) for index in range(self._count)])
        else:
            self._splice(self._plain[0], self._ends)
        self._changed = {}

    def piece(self) -> Piece:
        """Return the lines as they were joined, compressed."""
        if self._piece is None:
            self._piece = joined(map(piece, self._plain))
        return self._piece

    def _keep(self, texts: Sequence[bytes]) -> None:
        ends = [*accumulate(map(len, texts))]
        self._plain, self._ends, self._piece = (), None, None
        if not any(texts):
            return
        if ends[-1] > MAX_JOINED:
            self._plain = texts
        else:
            self._plain, self._ends = (b"".join(texts),), array("I", ends)

    def _splice(self, plain: bytes, ends: array[int]) -> None:
        """Replace what changed in one for all. What stays between is copied as it is."""
        lengths = [*map(sub, ends, (0, *ends))]
        others = memoryview(plain)
        found: list[bytes | memoryview] = []
        at = 0
        for index, text in sorted(self._changed.items()):
            found += (others[at : ends[index] - lengths[index]], text)
            at = ends[index]
            lengths[index] = len(text)
        found.append(others[at:])
        length = sum(lengths)
        if 0 < length <= MAX_JOINED:
            self._plain, self._ends = (b"".join(found),), array("I", accumulate(lengths))
            self._piece = None
        else:
            self._keep([self.text(index) for index in range(self._count)])
