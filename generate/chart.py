"""What the Helm chart has from elsewhere: versions, schema, parts of its README, rules, boards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from exporter.rules.alert import Links
from exporter.rules.rule_settings import load
from generate import kustomize, thresholds, values_schema, values_table, version
from generate.kustomize import CHART, COMMAND
from generate.steps import BLOCK, ROOT, Step

DASHBOARDS: Final = ROOT / "grafana" / "dashboards"
SCRAPE: Final = ROOT / "deploy" / "prometheus" / "scrape" / "kubernetes.yml"
FILES: Final = CHART / "files"
# The template puts the addresses of the values in their place, or leaves the links out.
LINKS: Final = Links("<runbook_url>", "<dashboard_url>")


def committed() -> Mapping[Path, str]:
    """Return what belongs to every checkout."""
    chart, schema, readme = (
        CHART / name for name in ("Chart.yaml", "values.schema.json", "README.md")
    )
    values = (CHART / "values.yaml").read_text()
    blocks = {"values": values_table.table(values), "scrape": f"\n```yaml\n{_job()}```\n"}
    return {
        chart: described(chart.read_text(), version.PROJECT),
        schema: values_schema.fill(schema.read_text(), values_table.values(values), load()),
        readme: BLOCK.sub(lambda b: b[1] + blocks[b["name"]] + b[3], readme.read_text()),
    }


def described(text: str, project: Mapping[str, Any]) -> str:
    """Return Chart.yaml with the version from pyproject.toml, and its address if there is one."""
    fields = {"version": project["version"], "appVersion": f'"{project["version"]}"'}
    if source := project.get("urls", {}).get("Source"):
        fields |= {"home": source, "sources": f"[{source}]"}
    for name, value in fields.items():
        line = f"{name}: {value}"
        text, known = re.subn(rf"^{name}: .*$", line, text, flags=re.MULTILINE)
        text += "" if known else f"{line}\n"
    return text


def _job() -> str:
    """Return the job for a Prometheus without the operator, without the comment on the file."""
    return SCRAPE.read_text().partition("\n\n")[2]


def copies() -> Mapping[Path, str]:
    """Return rules and dashboards as the chart ships them. Git ignores them: they are there once.

    Helm reads nothing beyond its chart. Symbolic links would lead there, but Flux leaves them out
    of what it fetches from git, and git on Windows makes text of them: rules would be missing, and
    nobody told. Without these files the chart refuses to make any, and says what to type.
    """
    return {
        **{FILES / "rules" / name: t for name, t in thresholds.with_places(load(), LINKS).items()},
        **{
            FILES / "dashboards" / file.name: file.read_text() for file in DASHBOARDS.glob("*.json")
        },
    }


# kustomize's after the copies, for the chart renders them.
STEPS: Final = (
    Step(COMMAND, committed),
    Step(COMMAND, copies, [FILES], ignored=True),
    *kustomize.STEPS,
)
