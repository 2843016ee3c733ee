"""What the chart's pods would start, started: files, arguments and environment as the kubelet's."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import bcrypt
import pytest
import yaml

from exporter.config import load
from exporter.metrics.catalog import LABEL_NAMES
from support.certificates import Authority
from support.chart_values import CASES, CI
from support.kubelet import Container, checked, container
from support.kubernetes import exporter, manifests, one
from support.process import ROOT, running, until

# Secrets that are made by hand, in the cases where they are.
SECRETS: Final = {
    "viam-billing-exporter-keys": {"api-key-id": "5f0d3c1e", "api-key": "a-key\n"},
    "viam-keys": {"acme": "a-key", "globex": "another-key"},
}
PROBES: Final = ("startupProbe", "livenessProbe", "readinessProbe")
Ask = Callable[[str], str]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, str]]:
    """Return the Secrets of a web configuration with TLS and a password."""
    crt, key = Authority(tmp_path_factory.mktemp("tls")).issue("server", "DNS:localhost")
    hashed = bcrypt.hashpw(b"password", bcrypt.gensalt(4)).decode()
    section = {"cert_file": "/etc/viam-billing/tls/tls.crt", "key_file": "../tls/tls.key"}
    file = {"tls_server_config": section, "basic_auth_users": {"prometheus": hashed}}
    return {
        "viam-web": {"web.yml": yaml.safe_dump(file)},
        "viam-certificate": {"tls.crt": crt.read_text(), "tls.key": key.read_text()},
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("default", "valid: the organizations that discovery finds"),
        ("sharded", "valid: 2 organizations\n"),
        ("secured", "valid: the organizations that discovery finds"),
    ],
)
def test_the_exporter_takes_the_configuration(
    name: str, said: str, web: Mapping[str, Mapping[str, str]], tmp_path: Path
) -> None:
    """With its key files, its web configuration and its variables, by its own --config.check."""
    assert said in checked(
        container(manifests(CASES[name]), tmp_path, {**SECRETS, **web}, "bills-0")
    )


def test_a_configuration_with_every_key_comes_through(tmp_path: Path) -> None:
    """As a value of the chart it means what it means as a file."""
    file = ROOT / "deploy" / "exporter.example.yml"
    config = yaml.safe_load(file.read_text())
    # Take the chart's own away.
    config["credentials"] |= {"api_key_id_file": None, "api_key_file": None}
    copy = tmp_path / "exporter.yml"
    copy.write_text(one(manifests({"config": config}), "ConfigMap")["data"]["exporter.yml"])
    key = tmp_path / "key"
    key.write_text("a-key")
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", file.read_text()), str(key))
    there, here = (load(each, environ, LABEL_NAMES) for each in (file, copy))
    assert there == here


@contextmanager
def started(pod: Container) -> Iterator[Ask]:
    """Run a pod in demo mode while inside. Yields what asks it for the status of a path."""
    listen = re.compile("^(--web.listen-address=):.*")
    command = [listen.sub(r"\g<1>127.0.0.1:0", each) for each in pod.command]
    with running(*command, environ=pod.environ) as process:
        scheme, port = process.stdout.wait_for(r"(https?)://localhost:(\d+)/").groups()

        def ask(path: str) -> str:
            url = f"{scheme}://127.0.0.1:{port}{path}"
            # Like the kubelet, which does not know who signed the certificate.
            curl = ["curl", "--silent", "--insecure", "--noproxy", "*", "--output", "/dev/null"]
            done = subprocess.run(
                [*curl, "--write-out", "%{scheme} %{http_code}", url],
                capture_output=True,
                text=True,
                check=True,
            )
            return done.stdout.upper()

        yield ask


def answers(ask: Ask, probe: Mapping[str, str]) -> bool:
    """Tell whether a probe is content."""
    return ask(probe["path"]) == f"{probe['scheme']} 200"


@pytest.mark.parametrize(
    ("values", "metrics"),
    [
        (CASES["demo"], "HTTP 200"),
        ({"web": {"routePrefix": "/viam", "telemetryPath": "/bills"}}, "HTTP 200"),
        ({"web": {"externalUrl": "https://example.com/viam", "routePrefix": "/"}}, "HTTP 200"),
        # A password is for people and Prometheus, and the kubelet has none.
        ({"web": CASES["secured"]["web"]}, "HTTPS 401"),
    ],
    ids=["plain", "prefix", "proxy", "secured"],
)
def test_probes_and_scrapes_find_what_they_ask_for(
    values: Mapping[str, Any],
    metrics: str,
    web: Mapping[str, Mapping[str, str]],
    tmp_path: Path,
) -> None:
    """Wherever the pages are, and whoever may see them."""
    found = manifests({**values, "demo": True, "podMonitor": {"enabled": True}})
    (scrape,) = one(found, "PodMonitor")["spec"]["podMetricsEndpoints"]
    with started(container(found, tmp_path, web, "bills-0")) as ask:
        for name in PROBES:
            until(partial(answers, ask, exporter(found)[name]["httpGet"]), name)
        assert ask(scrape["path"]) == metrics
        assert metrics.startswith(scrape["scheme"].upper())


@pytest.mark.parametrize("name", CI)
def test_what_a_maintainer_installs_becomes_ready(name: str, tmp_path: Path) -> None:
    """Without a Secret: of a chart in review, nobody has the keys."""
    found = manifests(CI[name])
    with started(container(found, tmp_path, {}, "bills-0")) as ask:
        until(partial(answers, ask, exporter(found)["readinessProbe"]["httpGet"]), name)


def test_a_probe_without_a_certificate_only_looks_for_the_port() -> None:
    """A server that requires certificates would turn the kubelet away."""
    web = {"existingSecret": "web", "tls": True, "clientCertificates": True}
    main = exporter(manifests({"web": web}))
    (port,) = main["ports"]
    for name in PROBES:
        assert main[name]["tcpSocket"] == {"port": port["name"]}
        assert "httpGet" not in main[name]
