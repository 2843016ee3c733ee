"""Each configuration of scrapes by promtool, and by a real Prometheus with real exporters."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import bcrypt
import pytest
import yaml

from exporter.config import LimitsConfig
from support.certificates import Authority
from support.process import EXPORTER, ROOT, running, until
from support.prometheus import prometheus

FOLDER: Final = ROOT / "deploy" / "prometheus"
FILES: Final = sorted((FOLDER / "scrape").glob("*.yml"))
JOB: Final = "viam-billing"
PASSWORD: Final = "a pass:word"
SHARDS: Final = 2
ORGANIZATIONS: Final = 8  # of the demo


def shipped(name: str) -> dict[str, Any]:
    """Return a configuration as it is shipped."""
    document: dict[str, Any] = yaml.safe_load((FOLDER / "scrape" / name).read_text())
    return document


def jobs() -> list[tuple[str, Mapping[str, Any]]]:
    """Return the jobs of every file, the complete configuration among them."""
    return [
        (file.name, job)
        for file in (FOLDER / "prometheus.yml", *FILES)
        for job in yaml.safe_load(file.read_text())["scrape_configs"]
    ]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Return a folder with the files that tls.yml names, and the exporter's."""
    folder = tmp_path / "viam-billing"
    folder.mkdir()
    Authority(folder).issue("server", "IP:127.0.0.1")
    (folder / "password").write_text(f"{PASSWORD}\n")
    users = {"prometheus": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}
    tls = {"cert_file": "server.crt", "key_file": "server.key"}
    web = {"tls_server_config": tls, "basic_auth_users": users}
    (folder / "web.yml").write_text(yaml.safe_dump(web))
    return tmp_path


@contextmanager
def shards(*flags: str) -> Iterator[list[str]]:
    """Run two demos that share their organizations; yields their addresses."""
    with ExitStack() as stack:
        found = []
        for shard in range(SHARDS):
            listen = "--web.listen-address=127.0.0.1:0"
            share = (f"--total-shards={SHARDS}", f"--shard={shard}")
            process = stack.enter_context(running(*EXPORTER, "--demo", listen, *share, *flags))
            port = process.stdout.wait_for(r"https?://localhost:(\d+)/")[1]
            found.append(f"127.0.0.1:{port}")
        yield found


def scrape(folder: Path, name: str, targets: list[str]) -> None:
    """Let Prometheus scrape as a file says, but other targets and soon, until it has everybody."""
    document = shipped(name)
    (job,) = document["scrape_configs"]
    (static,) = job["static_configs"]
    static["targets"] = targets
    job["scrape_interval"] = "1s"
    with prometheus(folder, document) as it:
        everybody = 'count by (instance) (viam_billing_up{job="viam-billing"})'

        def polled() -> dict[str, float]:
            result = it.api("query", query=everybody)["result"]
            return {each["metric"]["instance"]: float(each["value"][1]) for each in result}

        until(lambda: sum(polled().values()) == ORGANIZATIONS, "everybody is there, once")
        assert polled().keys() == set(targets)
        states = it.api("targets")["activeTargets"]
        assert [state["lastError"] for state in states] == [""] * SHARDS
        assert {state["labels"]["job"] for state in states} == {JOB}


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_promtool_accepts_it(file: Path, secrets: Path) -> None:
    """As a configuration of its own, and so as one of `scrape_config_files`.

    Debian builds Prometheus without the discovery of Kubernetes: of that, all else is checked.
    """
    document = shipped(file.name)
    for job in document["scrape_configs"]:
        job.pop("kubernetes_sd_configs", None)
    copy = secrets / file.name
    copy.write_text(yaml.safe_dump(document))
    command = ["promtool", "check", "config", str(copy)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(document) == ["scrape_configs"]


@pytest.mark.parametrize(("name", "job"), jobs(), ids=lambda value: str(value)[:20])
def test_the_job_is_called_alike_everywhere(name: str, job: Mapping[str, Any]) -> None:
    """Series go on when somebody changes from one file to another."""
    assert job["job_name"] == JOB, name


@pytest.mark.parametrize("name", ["static.yml", "tls.yml"])
def test_the_limit_is_above_what_an_exporter_sends(name: str) -> None:
    """Else Prometheus would drop a page that the exporter took for good, and all of it.

    A tenth is for what comes on top: the exporter's own series, and whole pages that grow.
    """
    (job,) = shipped(name)["scrape_configs"]
    most = LimitsConfig().max_series
    assert job["sample_limit"] >= most * 1.1
    page = (ROOT / "tests" / "golden" / "complete" / "page.txt").read_text()
    samples = [line for line in page.splitlines() if not line.startswith("#")]
    megabytes = int(job["body_size_limit"].removesuffix("MB"))  # of 1024 times 1024 bytes
    assert megabytes * 1024**2 >= most * 1.1 * len("\n".join(samples)) / len(samples)
    (like,) = shipped("static.yml")["scrape_configs"]
    assert job["scrape_interval"] == like["scrape_interval"]


@pytest.mark.usefixtures("stack")
def test_prometheus_scrapes_shards_on_this_machine(tmp_path: Path) -> None:
    """With static.yml: each organization comes from one of them."""
    with shards() as targets:
        scrape(tmp_path, "static.yml", targets)


@pytest.mark.usefixtures("stack")
def test_prometheus_scrapes_shards_over_tls_with_a_password(secrets: Path) -> None:
    """With tls.yml, and the files where it looks for them."""
    with shards(f"--web.config.file={secrets / 'viam-billing' / 'web.yml'}") as targets:
        scrape(secrets, "tls.yml", targets)
