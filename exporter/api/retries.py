"""When a call that failed is made again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from exporter.api.billing import BillingError

MAX_RETRIES: Final = 2  # of one call, while its failure is transient
BASE: Final = 1.0  # seconds; doubles with each retry
# Seconds; a server that asks for a longer pause is asked again all the same.
LONGEST_DELAY: Final = 24 * 3600.0


def retry_after(
    error: BillingError, failures: int, random: Callable[[], float], *, patience: float
) -> float | None:
    """Return after how many seconds to try again; None if that is of no use.

    `failures` are those in a row, this one included; `random` gives numbers in [0, 1). A server
    that asks for `patience` seconds or more is not asked again.
    """
    asked_for = error.retry_after or 0.0
    if not error.transient or failures > MAX_RETRIES or asked_for >= patience:
        return None
    return max(random() * BASE * 2.0 ** (failures - 1), asked_for)
