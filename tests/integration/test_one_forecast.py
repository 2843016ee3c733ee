"""The forecast of an organization is one number, whoever shows it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from exporter.web.status.formatting import usd
from support.process import PATIENCE, TOOL, Exporter, exporter, get, parse
from support.standing import simulated
from support.status import Html

BOUNDS = ("forecast_usd", "forecast_lower_usd", "forecast_upper_usd")
BUDGET = 500.0


class There(NamedTuple):
    """An exporter that polls nothing again for an hour."""

    exporter: Exporter
    configuration: Path
    storage: Path

    @property
    def flag(self) -> str:
        """The argument that names it."""
        return f"--exporter=http://localhost:{self.exporter.port}"

    def samples(self, name: str) -> Mapping[str, float]:
        """Return the samples of a metric by organization."""
        page = parse(self.exporter.scrape())
        return {dict(labels)["org_id"]: v for (n, labels), v in page.items() if n == name}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    """Return such an exporter of three organizations."""
    folder = tmp_path_factory.mktemp("one")
    with simulated(folder, "--organizations=3") as file:
        settings = yaml.safe_load(file.read_text())
        settings |= {"poll": {"interval": "1h"}, "budget_usd": BUDGET}
        file.write_text(json.dumps(settings))
        storage = folder / "storage"
        with exporter(f"--config.file={file}", f"--storage.path={storage}") as running:
            running.wait_until_ready()
            yield There(running, file, storage)


def told(*arguments: str) -> Any:
    """Return what a command prints as JSON."""
    document = json.loads(printed(*arguments, "--output=json"))
    return {each["org_id"]: each for each in document["organizations"]}


def printed(*arguments: str) -> str:
    """Return what a command prints."""
    done = subprocess.run(
        [*TOOL, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pages_the_api_and_commands_have_the_number_of_the_metric(there: There) -> None:
    """Of each organization, with its bounds: to the last bit where it is for programs."""
    port = there.exporter.port
    listed = json.loads(get(port, "/api/v1/organizations").text)["organizations"]
    assert len(listed) == 3
    usage, forecast = told("usage", there.flag), told("forecast", there.flag)
    for bound in BOUNDS:
        metric = there.samples(f"viam_billing_{bound}")
        assert len(metric) == 3
        assert {each["org_id"]: each[bound] for each in listed} == metric
        assert {org_id: each[bound] for org_id, each in usage.items()} == metric
        assert {org_id: each[bound] for org_id, each in forecast.items()} == metric
    status = Html.of(get(port, "/").text)
    amounts = there.samples("viam_billing_forecast_usd")
    for org_id, whole in forecast.items():
        assert status.row(whole["org_name"])[2] == usd(amounts[org_id])
        page = get(port, f"/organizations/{org_id}").text
        assert f"<dd>{usd(amounts[org_id])}</dd>" in page
        assert sum(each["weight"] for each in whole["forecast_methods"]) == pytest.approx(1)
    table = printed("forecast", there.flag)
    assert all(f"{amount:,.2f}" in table for amount in amounts.values())


def test_a_storage_has_it_too_when_its_exporter_has_stopped(there: There) -> None:
    """And a budget that is used up has the metric's day."""
    used_up = there.samples("viam_billing_budget_exhausted_timestamp_seconds")
    before = told("forecast", there.flag)
    assert used_up
    there.exporter.process.stop()
    flags = (f"--storage.path={there.storage}", f"--config.file={there.configuration}")
    after = told("forecast", *flags)
    names = (*BOUNDS, "forecast_methods", "budget_exhausted_at", "month_to_date_usd", "org_name")
    for org_id, whole in before.items():
        assert {n: after[org_id][n] for n in names} == {n: whole[n] for n in names}
    assert {n: each[BOUNDS[0]] for n, each in told("usage", *flags[:1]).items()} == {
        n: each[BOUNDS[0]] for n, each in before.items()
    }
    assert {org_id for org_id, each in after.items() if each["budget_exhausted_at"]} == {*used_up}
