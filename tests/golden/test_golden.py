"""An answer in text form beside the whole page expected from it, byte for byte.

Each folder holds the three answers as text-format messages; where one is missing, that call
fails. `pytest tests/golden --update-golden` writes the pages anew, to be reviewed as a diff.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from google.protobuf import text_format

from exporter.metrics.catalog import COLLECTORS
from exporter.metrics.render import Format
from exporter.model import Organization
from support.reader import OUTAGE, FakeReader, config, organization
from support.rig import Rig
from support.virtual import run

FOLDER = Path(__file__).parent
CASES = sorted(path.parent.name for path in FOLDER.glob("*/page.txt"))
PAGES = {Format.TEXT: "page.txt", Format.OPENMETRICS: "page.openmetrics.txt"}
OWN_METRICS = "# HELP viam_billing_exporter_"


def the_organization() -> Organization:
    """Return the organization that all cases are about."""
    return organization(
        "3c59dc04-8e88-4d24-8c5b-1f4d2a6e7a01",
        name='Acme "Robotics"',
        budget_usd=250.0,
        labels={"team": "fleet", "a_label": "back\\slash"},
    )


def pages(case: str) -> dict[Format, str]:
    """Return the page in both formats, without the exporter's own metrics, after one poll."""
    reader = FakeReader()
    for collector in COLLECTORS:
        file = FOLDER / case / f"{collector.name}.txtpb"
        answer = (
            text_format.Parse(file.read_text(), collector.message()) if file.exists() else OUTAGE
        )
        reader.answers[collector.rpc] = answer
    rig = Rig(config(the_organization(), detail="all"), reader)

    async def scenario() -> dict[Format, str]:
        async with rig.running():
            await asyncio.sleep(1)
            return {form: rig.page(form) for form in Format}

    return {form: page[: page.index(OWN_METRICS)] for form, page in run(scenario()).items()}


@pytest.mark.parametrize("case", CASES)
def test_the_whole_page(case: str, *, update_golden: bool) -> None:
    """Not a line more, not a line less, no byte otherwise."""
    for form, page in pages(case).items():
        file = FOLDER / case / PAGES[form]
        if update_golden:
            file.write_text(page)
        assert page == file.read_text()


def test_every_case_is_run() -> None:
    """A folder that no test reads would be a check that cannot fail."""
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir() and path.name[0] not in "_."}
    assert folders == set(CASES)
