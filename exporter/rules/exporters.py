"""Which exporters there are, and which of them are down.

They are found by a metric of their own, whatever job they are in and whatever else that job
scrapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exporter.rules.rule import Recording
from exporter.rules.rule_settings import Settings, seconds
from exporter.rules.series import EXPORTERS, EXPORTERS_DOWN

BUILD: Final = "viam_billing_exporter_build_info"


def exporters(settings: Settings) -> Iterator[Recording]:
    """Yield the rules, which need no others."""
    before = f"last_over_time({EXPORTERS}[{settings.windows.memory}])"
    failing = f"{before} and on (job, instance) (up == 0)"
    gone = f"{before} > time() - {seconds(settings.windows.exporter_outage)}"
    yield Recording(
        EXPORTERS,
        f"(0 * max by (job, instance) ({BUILD}) + time()) "
        f"or ({failing}) or (({gone}) unless on (job, instance) up)",
    )
    yield Recording(EXPORTERS_DOWN, f"count({down(settings)}) or sum(absent({EXPORTERS}))")


def down(settings: Settings) -> str:
    """Return an expression with the exporters that are known and cannot be scraped.

    One whose target is gone counts only while there are fewer exporters than there were together,
    for longer than a handover takes: a pod that was replaced has another name.
    """
    windows = settings.windows
    there, step = f"count({BUILD})", windows.missed_scrapes
    together = f"min_over_time(({there})[{windows.handover}:{step}])"
    most = f"max_over_time({together}[{windows.exporter_outage}:{step}])"
    gone = f"{EXPORTERS} unless on (job, instance) up unless on () ({there} >= {most})"
    return f"({EXPORTERS} and on (job, instance) (up == 0)) or ({gone})"
