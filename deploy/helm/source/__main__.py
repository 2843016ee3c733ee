"""Writes what the chart has from elsewhere: `python -m deploy.helm.source [--check] [--helm=HELM]`.

With --check nothing is written, and a file that differs is an error. Manifests for kustomize are
made by the program helm, and left aside without it.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.helm.source import kustomize, schema, table
from deploy.helm.source.kustomize import CHART
from exporter.reference import BLOCK, ROOT, settle

COMMAND: Final = "make helm"
RULES: Final = ROOT / "deploy" / "prometheus" / "rules"
DASHBOARDS: Final = ROOT / "grafana" / "dashboards"
KUBERNETES: Final = ROOT / "deploy" / "kubernetes"
VERSION: Final = re.compile(r"^(version|appVersion): .*$", re.MULTILINE)


def texts() -> Mapping[Path, str]:
    """Return the files that need no helm, with the content they should have.

    Rules and dashboards are copied, for Helm reads nothing beyond its chart. Symbolic links would
    lead there, but Flux leaves them out of what it fetches from git, and git on Windows makes
    text of them.
    """
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    numbers = {"version": version, "appVersion": f'"{version}"'}
    chart, values, readme = (
        CHART / name for name in ("Chart.yaml", "values.schema.json", "README.md")
    )
    rows = table.table((CHART / "values.yaml").read_text())
    dashboards = sorted(DASHBOARDS.glob("*.json"))
    return {
        chart: VERSION.sub(lambda found: f"{found[1]}: {numbers[found[1]]}", chart.read_text()),
        values: schema.fill(values.read_text()),
        readme: BLOCK.sub(lambda found: found[1] + rows + found[3], readme.read_text()),
        **{CHART / "files" / "rules" / file.name: file.read_text() for file in RULES.iterdir()},
        **{CHART / "files" / "dashboards" / file.name: file.read_text() for file in dashboards},
        DASHBOARDS.parent / "kustomization.yaml": kustomize.dashboards(dashboards),
    }


def manifests(helm: Path) -> Mapping[Path, str]:
    """Return the files for kustomize that the chart makes."""
    operator = KUBERNETES / "components" / "prometheus-operator"
    return {
        **{KUBERNETES / "base" / name: text for name, text in kustomize.base(helm).items()},
        **{operator / name: text for name, text in kustomize.operator(helm).items()},
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files, or with --check compare them. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.helm.source", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("--helm", type=Path, help="the program, for the manifests for kustomize")
    arguments = parser.parse_args(argv)
    expected, folders = dict(texts()), [CHART / "files"]
    if arguments.helm:
        # After the others are there, for the chart renders them.
        if not arguments.check:
            settle(expected, folders, check=False, command=COMMAND)
        expected |= manifests(arguments.helm)
        folders.append(KUBERNETES / "base")
    return settle(expected, folders, check=arguments.check, command=COMMAND)


if __name__ == "__main__":
    sys.exit(main())
