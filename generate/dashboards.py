"""The dashboards for Grafana from grafana/source/, and their part of docs/dashboards.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from generate.steps import ROOT, Step
from grafana.source import comparison
from grafana.source.board import Board, render
from grafana.source.exporter_dashboard import exporter
from grafana.source.fleet_dashboard import fleet
from grafana.source.invoices_dashboard import invoices
from grafana.source.organization_dashboard import organization

DASHBOARDS: Final = ROOT / "grafana" / "dashboards"
PAGE: Final = ROOT / "docs" / "dashboards.md"


def boards() -> Sequence[Board]:
    """Return all dashboards, in the order of the way through them."""
    return (fleet(), organization(), invoices(), exporter())


def generated() -> Mapping[Path, str]:
    """Return every generated file with the content it should have."""
    files = {DASHBOARDS / f"{board.uid}.json": render(board) for board in boards()}
    return {**files, PAGE: comparison.fill(PAGE.read_text(), files.values())}


STEPS: Final = (Step("make dashboards", generated, [DASHBOARDS]),)
