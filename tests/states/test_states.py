"""All that a person can read in three situations in which texts mislead most easily.

The documents beside this file are for reading: is each line true in that state, and would a person
understand it correctly? `pytest tests/states --update-golden` writes them again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from states.document import written
from states.worlds import WORLDS

FOLDER = Path(__file__).parent
# What a line must never say in a world, by a pattern, and why it would be wrong.
NEVER = {
    "outage": {
        r"(Today so far|Last whole day|Last 7 days): (spent: )?\$": "the last days are unknown",
        r"Forecast( for the month)?: \$": "there is nothing to forecast from",
        r"orrections, last 24 hours": "nothing is known of these hours",
        r"Spend per day.*\$0\.00": "a day of which nothing is known has no bar",
        r"^- All \d+ .*\$": "a sum of nothing that is known is not $0.00",
        r"Acme Robotics.* Overdue: \$0\.00": "a due date has passed since invoices were read",
        r"Delta Drones.*\$0\.00": "its bill was never read",
        r"(?i)nothing (is )?(due|unpaid|owed)|no payment failed|no invoices? (yet|above)": "unread",
        r"No budget set|No data, or no answer": "neither a claim nor the last resort",
        r"Problem: (none|Nothing)": "everything is wrong",
        r"Warnings and worse: 0|Alerts firing: Severity: none": "everything is wrong",
        r"Unreadable bills: 0|Bill readable: Yes|: up$|\| up$": "no bill can be read",
    },
    "first-hour": {
        r"Week against week: (more|less|in %)": "the weeks before are estimates, all alike",
        r"Change in (\$|%): -?[\d.]+": "the weeks before are estimates, all alike",
        r"Month against month: (more|less|in %)": "there is no month before",
        r"Error of the last forecast: -?\d": "no period has ended",
        r"Days known: [1-9]": "no day was seen from its beginning to its end",
        r"most on \d": "days that are divided evenly have no largest",
        r"cannot be read|Cannot be read|No data, or no answer": "everything was just read",
        r"^- (median|usual|average|trend|growth|same|last) .*\b0(\.0)? ?%.*\$": "no past error yet",
    },
    "rollover": {
        r"[-\u2212]\s?9\d(\.\d)? ?%": "a few hours are not compared with a whole month",
        r"Month against month: (more|less|in %)": "hours are not compared with hours",
        r"(?i)\bspikes? on\b|SpendSpike|Problem: Spike": "a bill that begins again is no spike",
        r"Over budget|over budget: \$|Budget used: [1-9]": "the budget begins again",
        r"orrections, last 24 hours: \$(?!0\.00)": "a bill that begins again is no credit",
        r"Spend per day.*: \$\d.*K": "a day costs $80 at most",
        r"Problem: (Never read|Access denied|Cannot be read)": "everything was just read",
        r"No data, or no answer from Prometheus": "the last resort",
        r"Gamma Labs \| \$127\.50 \|": "it is of the period before",
    },
}

pytestmark = pytest.mark.timeout(600)  # promtool goes through days


@dataclass(frozen=True)
class Document:
    """What is read in a world, and where it is kept."""

    file: Path
    text: str


@pytest.fixture(name="document", scope="module", params=WORLDS)
def a_document(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Document:
    """Return what is read in a world."""
    text = written(WORLDS[request.param], tmp_path_factory.mktemp(request.param))
    return Document(FOLDER / f"{request.param}.md", text)


def test_what_people_read(document: Document, *, update_golden: bool) -> None:
    """Nothing that they meet in a state changes without being read again."""
    if update_golden:
        document.file.write_text(document.text)
    assert document.text == document.file.read_text()


def test_nothing_reads_as_what_it_is_not(document: Document) -> None:
    """An outage is no all-clear, what is unknown is no 0, and a new period is no saving."""
    found = [
        f"{line}\n    {why}"
        for line in document.text.splitlines()
        for pattern, why in NEVER[document.file.stem].items()
        if re.search(pattern, line)
    ]
    assert not found, "\n".join(found)
