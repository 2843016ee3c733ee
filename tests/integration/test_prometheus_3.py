"""What Prometheus 3 brought: names in UTF-8, ways to escape them, and more in a file of rules."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from support.process import Exporter, exporter, samples, until
from support.prometheus import Prometheus, prometheus
from support.stacks import on_the_path

ESCAPED: Final = ("allow-utf-8", "underscores", "dots", "values")
PROTOCOLS: Final = ("OpenMetricsText1.0.0", "PrometheusText1.0.0")
MONTH_TO_DATE: Final = "viam_billing_usage_month_to_date_usd"
# Names in quotes, with dots, in braces; labels, limit and offset of a group.
RULES: Final[Any] = {
    "groups": [
        {
            "name": "bills.of.robots",
            "interval": "1s",
            "limit": 100,
            "query_offset": "0s",
            "labels": {"cost.center": "robots"},
            "rules": [
                {
                    "record": "month.to.date",
                    "expr": f'sum by ("org_id") ({{"{MONTH_TO_DATE}", job="default"}})',
                },
                {
                    "alert": "MoneyIsSpent",
                    "expr": '{"month.to.date", "cost.center"="robots"} > 0',
                    "keep_firing_for": "5m",
                },
            ],
        }
    ]
}


@pytest.fixture(scope="module", autouse=True)
def _newer() -> Iterator[None]:
    """Have Prometheus 3 on the PATH."""
    with on_the_path("newer"):
        yield


@pytest.fixture(scope="module")
def demo() -> Iterator[Exporter]:
    """Run the demo."""
    with exporter("--demo") as target:
        target.wait_until_ready()
        yield target


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the file of rules."""
    file = tmp_path_factory.mktemp("rules") / "newest.json"  # which is YAML as well
    file.write_text(json.dumps(RULES))
    return file


@pytest.fixture(scope="module")
def server(
    demo: Exporter, rules: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Run it with the rules and a job for each way to ask for the page."""
    asked: dict[str, dict[str, Any]] = {
        f"{scheme} {protocol}": {
            "metric_name_escaping_scheme": scheme,
            "scrape_protocols": [protocol],
        }
        for scheme in ESCAPED
        for protocol in PROTOCOLS
    }
    targets = {"static_configs": [{"targets": [f"127.0.0.1:{demo.port}"]}]}
    config = {
        "global": {"scrape_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": job, **targets, **settings}
            for job, settings in {"default": {}, **asked}.items()
        ],
    }
    with prometheus(tmp_path_factory.mktemp("prometheus"), config) as it:
        yield it


def test_names_are_the_same_however_it_wants_them_escaped(
    demo: Exporter, server: Prometheus
) -> None:
    """Or rules and dashboards would find nothing, as with the scheme that doubles underscores."""
    ours = {name for name, _ in samples(demo.scrape()) if name.startswith("viam_billing_")}
    jobs = ["default", *(f"{scheme} {protocol}" for scheme in ESCAPED for protocol in PROTOCOLS)]
    for job in jobs:

        def same(job: str = job) -> bool:
            stored = server.api("label/__name__/values", **{"match[]": f'{{job="{job}"}}'})
            return {name for name in stored if name.startswith("viam")} >= ours

        until(same, f"Prometheus has the names of the page by {job}")
        target = server.target(job)
        assert (target["health"], target["lastError"]) == ("up", "")


def test_rules_in_its_newest_style_read_our_metrics(server: Prometheus) -> None:
    """What they record is the month to date of each company, and the alert fires."""

    def recorded() -> bool:
        found = server.query('{"month.to.date"}')
        page = server.query(f'{MONTH_TO_DATE}{{job="default"}}')
        by_id = {dict(labels)["org_id"]: value for labels, value in page.items()}
        return bool(by_id) and by_id == {
            dict(labels)["org_id"]: value
            for labels, value in found.items()
            if dict(labels)["cost.center"] == "robots"
        }

    until(recorded, "the rule recorded what is on the page")
    (group,) = server.api("rules")["groups"]
    assert [(rule["health"], rule.get("lastError")) for rule in group["rules"]] == [
        ("ok", None),
        ("ok", None),
    ]
    until(lambda: server.query('ALERTS{alertname="MoneyIsSpent"}'), "the alert fires")


def test_promtool_takes_them_beside_ours(rules: Path) -> None:
    """Without a word of warning."""
    run = subprocess.run(
        ["promtool", "check", "rules", "--lint=all", "--lint-fatal", rules],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
