"""What docs/commands lists is what there is. Its examples are run by test_documents.py."""

from __future__ import annotations

import re

from exporter.forecast.methods import METHODS, SO_FAR
from exporter.tool import file_names, focus
from exporter.tool.command import COMMANDS
from support.process import ROOT

FOLDER = ROOT / "docs" / "commands"


def test_every_command_has_a_page() -> None:
    """And is in the list of them."""
    index = (FOLDER / "README.md").read_text()
    for command in COMMANDS:
        assert f"| [{command}](" in index
        assert (FOLDER / f"{command}.md").exists() or command == "simulate"


def test_what_a_template_stands_for_is_documented() -> None:
    """Every field of --name-template."""
    text = (FOLDER / "pdf.md").read_text()
    assert re.findall(r"^\| `\{(\w+)\}` \|", text, re.MULTILINE) == list(file_names.FIELDS)
    assert f"`{file_names.DEFAULT_TEMPLATE}`" in text


def test_the_version_of_focus_is_documented() -> None:
    """Which readers of the file have to know."""
    assert f"**{focus.VERSION}**" in (FOLDER / "usage.md").read_text()


def test_every_method_of_the_forecast_is_documented() -> None:
    """By the name that programs get."""
    _, _, text = (FOLDER / "forecast.md").read_text().partition("## The methods")
    table, _, _ = text.partition("\n## ")
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [*METHODS, SO_FAR]
