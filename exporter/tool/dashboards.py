"""`viam-billing dashboards`: the dashboards, and what makes Grafana load them, as files."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from exporter.tool import arguments as declare
from exporter.tool.errors import DONE, EXIT_CODES
from exporter.tool.folder import PUBLIC, prepared
from exporter.tool.output import printable
from exporter.tool.placed import put

PROVISIONING: Final = "provisioning"
PROVIDER: Final = f"{PROVISIONING}/dashboards/viam-billing.yml"
DATA_SOURCE: Final = f"{PROVISIONING}/datasources/prometheus.yml"
FOLDERS: Final = ("dashboards", PROVISIONING)
_PACKAGE: Final = Path(__file__).resolve().parents[1]
DESCRIPTION: Final = """\
Writes the Grafana dashboards to a folder, with the provisioning file that makes Grafana load them
from there. With --dest=/etc/grafana, a packaged Grafana loads them when it restarts. Needs no
configuration, key or network. Run the command again after an upgrade to replace the dashboards. A
provisioning file that you have changed is left alone, and the new one is written next to it, with
.new appended to its name.
"""


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    declare.describe(command, _dashboards, DESCRIPTION, EXIT_CODES)
    declare.add_dest(command, "grafana")
    command.add_argument(
        "--prometheus",
        metavar="URL",
        type=declare.base_url,
        help="URL at which Grafana reaches Prometheus; also writes it as Grafana's default data "
        "source, for a Grafana that has none (default: none is written)",
    )


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
    made = dict(grafana())
    dest = arguments.dest.absolute()
    made[PROVIDER] = _with(made[PROVIDER], "path", str(dest / "dashboards"))
    source = made.pop(DATA_SOURCE)
    if arguments.prometheus is not None:
        made[DATA_SOURCE] = _with(source, "url", arguments.prometheus)
    with prepared(arguments.dest, PUBLIC) as folder:
        for name, text in made.items():
            parts = name.split("/")
            put(arguments.dest, folder, parts, text, edited=parts[0] == PROVISIONING)
    print()
    print("They need the rules that viam-billing rules writes. To have Grafana load them, restart")
    print("it if its configuration is in this folder; otherwise copy this file into the folder")
    print("provisioning/dashboards of its configuration first:")
    print()
    print(printable(str(dest / PROVIDER)))
    return DONE


def _with(text: str, key: str, value: str) -> str:
    """Return YAML with another value of a key that is there once. Comments stay."""
    quoted = yaml.safe_dump([value], allow_unicode=True, width=10_000).removeprefix("- ").rstrip()
    return re.sub(rf"(?m)^( +{key}: ).*$", lambda found: found[1] + quoted, text)
