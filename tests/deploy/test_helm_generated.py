"""What the chart and the manifests have from elsewhere is up to date."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Final

import pytest
import yaml

from exporter.process.version import version
from generate import chart, values_table
from generate.__main__ import main
from support.chart_values import paths
from support.kubernetes import CHART, HELM, exporter, manifests
from support.process import ROOT

LOCK: Final = ROOT / "tests" / "tools" / "package-lock.json"


def test_everything_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """`make helm` would change nothing: copies, README, schema, versions, manifests."""
    assert HELM.exists()
    assert main(["--check", "chart"]) == 0, capsys.readouterr().err


def test_there_is_one_version() -> None:
    """Of the project, of the chart, of what it installs, and of what is installed here."""
    number = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    made = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert made["version"] == made["appVersion"] == number == version().number
    assert exporter(manifests({}))["image"].endswith(f":{number}")


def test_the_address_of_the_chart_is_the_project_s() -> None:
    """Written once, in pyproject.toml; while there is none, the chart has none either."""
    text = (CHART / "Chart.yaml").read_text()
    source = "https://forge.example.com/bills"
    given = {"version": "1.2.3", "urls": {"Source": source}}
    made = chart.described(text, given)
    assert yaml.safe_load(made) == yaml.safe_load(text) | {
        "version": "1.2.3",
        "appVersion": "1.2.3",
        "home": source,
        "sources": [source],
    }
    assert chart.described(made, given) == made
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert ("home" in yaml.safe_load(text)) == ("Source" in project.get("urls", {}))


def test_every_value_is_in_the_readme() -> None:
    """Itself, or the mapping that it is in; with the default that it has."""
    text = (CHART / "values.yaml").read_text()
    rows = {row.key: row.default for row in values_table.values(text)}
    defaults = yaml.safe_load(text)
    readme = (CHART / "README.md").read_text()
    for path in paths(defaults):
        parts = path.split(".")
        assert rows.keys() & {".".join(parts[:end]) for end in range(1, len(parts) + 1)}, path
    for key, default in rows.items():
        assert f"| `{key}` |" in readme
        value = defaults
        for part in key.split("."):
            value = value[part]
        assert default is None or json.loads(default) == value


def test_the_table_beside_other_charts_names_values_that_exist() -> None:
    """In its first column; one that begins with a dot is beside the one before it."""
    rows = (ROOT / "docs" / "helm-values.md").read_text().partition("| --- |")[2].splitlines()[1:]
    cells = [re.findall(r"`([\w.]+)`", row.split("|")[1]) for row in rows]
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    for names in cells:
        for name in names:
            node = defaults
            path = name if name[0] != "." else f"{names[0].rpartition('.')[0]}{name}"
            for part in path.split("."):
                assert part in node, path
                node = node[part]
    assert len([names for names in cells if names]) > 20


def test_a_value_without_a_comment_is_an_error() -> None:
    """It would stand in the table without a meaning."""
    with pytest.raises(ValueError, match=r"values.yaml:4: a.c has no comment above it"):
        values_table.table("a:\n  # Some.\n  b: 1\n  c: 2\n")


def test_tools_are_pinned_by_hash() -> None:
    """Each package, and none says where it came from."""
    packages = json.loads(LOCK.read_text())["packages"]
    wanted = json.loads((LOCK.parent / "package.json").read_text())["devDependencies"]
    for name, package in packages.items():
        if name:
            assert package["integrity"].startswith("sha512-")
            assert "resolved" not in package
            assert wanted[name.removeprefix("node_modules/")] == package["version"]
    assert len(packages) == len(wanted) + 1
