"""A fleet of ten thousand, before the real Prometheus: minutes of work, for `make test-full`."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.process import OPENMETRICS, TOOL, exporter, get, running, until
from support.prometheus import prometheus

pytestmark = pytest.mark.alone

ORGANIZATIONS = 10_000
SERIES = 450_000  # at least
ROUND = 900.0  # seconds for the first round of polls, of which most is the simulator's
SCRAPES = 3


@pytest.mark.usefixtures("stack")
@pytest.mark.slow
@pytest.mark.timeout(2 * ROUND)
def test_prometheus_takes_every_sample_of_a_large_fleet(tmp_path: Path) -> None:
    """Scrape after scrape is up, in time, and as large as the page; nothing is dropped."""
    file = tmp_path / "fleet.yml"
    simulate = ("simulate", f"--organizations={ORGANIZATIONS}", "--listen-address=127.0.0.1:0")
    with running(*TOOL, *simulate, "--poll-interval=1h", f"--config-out={file}") as simulator:
        simulator.stderr.wait_for("simulating", ROUND)
        with file.open("a") as configuration:
            configuration.write("limits: {max_series: 10000000}\n")
        with exporter(f"--config.file={file}") as target:
            until(lambda: get(target.port, "/-/ready").status == 200, "all were polled", ROUND)
            config = {
                "global": {"scrape_interval": "15s"},
                "scrape_configs": [
                    {"job_name": "b", "static_configs": [{"targets": [f"127.0.0.1:{target.port}"]}]}
                ],
            }
            with prometheus(tmp_path, config) as server:
                until(
                    lambda: sum(server.query("count_over_time(up[5m])").values()) >= SCRAPES,
                    f"{SCRAPES} scrapes",
                    ROUND,
                )
                page = get(target.port, "/metrics", {"Accept": OPENMETRICS}).text
                series = sum(not line.startswith("#") for line in page.splitlines())
                assert series > SERIES
                assert _only(server.query("min_over_time(up[5m])")) == 1
                for taken in ("scraped", "post_metric_relabeling"):
                    assert _only(server.query(f"scrape_samples_{taken}")) == series
                assert _only(server.query("count({job='b', __name__!~'up|scrape_.*'})")) == series
                assert _only(server.query("max_over_time(scrape_duration_seconds[5m])")) < 15


def _only(vector: dict[frozenset[tuple[str, str]], float]) -> float:
    (value,) = vector.values()
    return value
