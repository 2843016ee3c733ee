"""`viam-billing dashboards`: the dashboards, and what makes Grafana load them, as files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from exporter.tool import arguments as declare
from exporter.tool.errors import DONE, EXIT_CODES
from exporter.tool.folder import PUBLIC, prepared
from exporter.tool.output import printable
from exporter.tool.placed import put

PROVISIONING: Final = "provisioning"
FOLDERS: Final = ("dashboards", PROVISIONING)
_PACKAGE: Final = Path(__file__).resolve().parents[1]
DESCRIPTION: Final = """\
Writes to a folder the Grafana dashboards and the provisioning files with which Grafana loads them.
Needs no configuration, key or network. Run the command again after an upgrade to replace the
dashboards. A provisioning file that you have changed is left alone, and the new one is written next
to it, with .new appended to its name.
"""


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    declare.describe(command, _dashboards, DESCRIPTION, EXIT_CODES)
    declare.add_dest(command, "grafana")


def grafana() -> Mapping[str, str]:
    """Return the text of each file for Grafana, by its path.

    A package brings them along; a checkout has them beside the package.
    """
    packaged = _PACKAGE / "grafana"
    root = packaged if packaged.is_dir() else _PACKAGE.parent / "grafana"
    return {
        str(file.relative_to(root)): file.read_text(encoding="utf-8")
        for folder in FOLDERS
        for file in sorted((root / folder).rglob("*"))
        if file.is_file()
    }


def _dashboards(arguments: argparse.Namespace) -> int:
    with prepared(arguments.dest, PUBLIC) as folder:
        for name, text in grafana().items():
            parts = name.split("/")
            put(arguments.dest, folder, parts, text, edited=parts[0] == PROVISIONING)
    dest = printable(str(arguments.dest.absolute()))
    print()
    print(f"Import the files in {dest}/dashboards in Grafana, or have it load them: copy the")
    print(f"contents of {dest}/provisioning to its provisioning folder, and the")
    print("dashboards to the path in provisioning/dashboards/viam-billing.yml. They need the rules")
    print("that viam-billing rules writes.")
    return DONE
