"""Has freed memory given back to the system, where the C library can be told to.

glibc keeps what was freed for later, in a heap for every few threads. Some answers take megabytes
for a moment: without this, many of them at once cost a third more, and for ever.
"""

from __future__ import annotations

import ctypes
from typing import Final

M_MMAP_THRESHOLD: Final = -3  # from what size on memory is taken by itself, and given back
M_ARENA_MAX: Final = -8  # how many heaps there are
LARGE: Final = 128 * 1024  # bytes
HEAPS: Final = 1


def give_back() -> None:
    """Keep little of what is freed. To be called before there are threads."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and needs none
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_ARENA_MAX, HEAPS)
