"""Pure: how the last polls of a collector ended.

Packed into bytes: of ten thousand organizations there are 150 000 of them, and bytes cost the
garbage collector nothing.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from exporter.model import Cause

LENGTH: Final = 5  # polls of each collector of each organization
NEWS: Final = "new data"
NO_NEWS: Final = "nothing new"
# A poll is packed as its outcome's place here: only add at the end.
OUTCOMES: Final = (NEWS, NO_NEWS, *Cause)
FORM: Final = Struct("<dfB")


class PastPoll(NamedTuple):
    """A poll that ended."""

    ended: float  # Unix seconds
    duration: float  # seconds
    outcome: str  # one of OUTCOMES

    @property
    def failed(self) -> bool:
        """Whether it brought no answer."""
        return self.outcome not in {NEWS, NO_NEWS}


def add(history: bytes, poll: PastPoll) -> bytes:
    """Return a history with a poll at its end; the oldest goes when there are LENGTH."""
    packed = FORM.pack(poll.ended, poll.duration, OUTCOMES.index(poll.outcome))
    return history[-(LENGTH - 1) * FORM.size :] + packed


def polls(history: bytes) -> list[PastPoll]:
    """Return the polls of a history, the newest first."""
    return [
        PastPoll(ended, duration, OUTCOMES[outcome])
        for ended, duration, outcome in reversed([*FORM.iter_unpack(history)])
    ]
