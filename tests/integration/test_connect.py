"""The configurations of docs/connect.md, in the programs that can be had."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from support.certificates import Authority
from support.documents import fenced
from support.process import ROOT, exporter, free_port, get, running, until
from support.prometheus import Prometheus, prometheus
from support.standing import command

PAGE: Final = ROOT / "docs" / "connect.md"


def configuration(heading: str, port: int) -> dict[str, Any]:
    """Return a configuration of Prometheus from the page, which scrapes at this port."""
    text = fenced(PAGE, heading, "yaml").replace("localhost:8426", f"127.0.0.1:{port}")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def hurried_rules(folder: Path) -> None:
    """Write the rules, to be evaluated each second."""
    assert command("rules", f"--dest={folder / 'rules'}", folder=folder).returncode == 0
    for file in (folder / "rules").glob("*.yml"):
        text = file.read_text()
        file.write_text(re.sub(r"^( +interval:) .*", r"\1 1s", text, flags=re.MULTILINE))


@pytest.mark.usefixtures("stack")
def test_what_is_scraped_and_recorded_is_sent_on(tmp_path: Path) -> None:
    """As to Mimir: a second Prometheus gets the page's series and those of the rules."""
    hurried_rules(tmp_path)
    for name in ("sender", "receiver"):
        (tmp_path / name).mkdir()
    receive = "--web.enable-remote-write-receiver"
    with exporter("--demo") as demo, prometheus(tmp_path / "receiver", {}, receive) as receiver:
        ours = configuration("Prometheus", demo.port)
        ours["rule_files"] = [f"{tmp_path}/rules/*.yml"]
        ours["scrape_configs"][0]["scrape_interval"] = "1s"
        ours["global"] = {"evaluation_interval": "1s"}
        sending = configuration("Grafana Cloud and Mimir", demo.port)
        (tmp_path / "token").write_text("a-token")
        (target,) = sending["remote_write"]
        target["url"] = f"http://127.0.0.1:{receiver.port}/api/v1/write"
        target["basic_auth"]["password_file"] = str(tmp_path / "token")
        with prometheus(tmp_path / "sender", ours | sending):
            wait_for(receiver, 'viam_billing_usage_month_to_date_usd{job="viam-billing"}')
            wait_for(receiver, "fleet:viam_billing_usage_month_to_date_usd:sum")


def wait_for(server: Prometheus, promql: str) -> None:
    """Wait until a query has a result."""
    until(lambda: server.query(promql), promql)


def test_the_collector_gets_a_scrape_configuration_that_prometheus_takes(tmp_path: Path) -> None:
    """The receiver takes Prometheus' own: the target of the page is scraped with it."""
    with exporter("--demo") as demo:
        collector = configuration("OpenTelemetry Collector", demo.port)
        scraping = collector["receivers"]["prometheus"]["config"]
        scraping["scrape_configs"][0]["scrape_interval"] = "1s"
        with prometheus(tmp_path, scraping) as server:
            until(lambda: server.query('up{job="viam-billing"} == 1'), "the target is up")


def test_nginx_asks_for_the_login(tmp_path: Path) -> None:
    """Without the password nothing is shown; with it, pages and links are below /viam."""
    port, upstream = free_port(), free_port()
    certificate, key = Authority(tmp_path).issue("exporter", "DNS:exporter.example.com")
    crypt = ["openssl", "passwd", "-apr1", "a-password"]
    hashed = subprocess.run(crypt, capture_output=True, text=True, check=True).stdout
    (tmp_path / "exporter.htpasswd").write_text(f"finance:{hashed}")
    server = (
        fenced(PAGE, "A reverse proxy with a login", "nginx")
        .replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
        .replace("127.0.0.1:8426", f"127.0.0.1:{upstream}")
        .replace("/etc/nginx/exporter.crt", str(certificate))
        .replace("/etc/nginx/exporter.key", str(key))
        .replace("/etc/nginx/exporter.htpasswd", str(tmp_path / "exporter.htpasswd"))
    )
    temporary = " ".join(
        f"{kind}_temp_path {tmp_path};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; user root; pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{server} }}\n"
    )
    login = base64.b64encode(b"finance:a-password").decode()
    headers = {"Authorization": f"Basic {login}"}
    with (
        exporter(
            "--demo",
            f"--web.listen-address=127.0.0.1:{upstream}",
            "--web.external-url=https://exporter.example.com/viam",
        ),
        running("nginx", "-e", "stderr", "-c", str(tmp_path / "nginx.conf")),
    ):
        until(lambda: answered(port), "nginx answers")
        assert get(port, "/viam/").status == 401
        page = get(port, "/viam/", headers)
        assert page.status == 200
        assert 'href="/viam/organizations/' in page.text
        assert get(port, "/viam/metrics", headers).status == 200


def answered(port: int) -> bool:
    """Tell whether anything answers at a port, whatever it says."""
    try:
        get(port, "/")
    except ConnectionError:
        return False
    return True


def test_two_replicas_raise_one_alert(tmp_path: Path) -> None:
    """Both have each organization, and each alert about one is there once."""
    hurried_rules(tmp_path)
    with exporter("--demo") as one, exporter("--demo") as other:
        ours = configuration("Prometheus", one.port)
        ours["rule_files"] = [f"{tmp_path}/rules/*.yml"]
        ours["global"] = {"evaluation_interval": "1s"}
        (job,) = ours["scrape_configs"]
        job["scrape_interval"] = "1s"
        job["static_configs"][0]["targets"].append(f"127.0.0.1:{other.port}")
        with prometheus(tmp_path, ours) as server:
            both = "count by (org_id) (viam_billing_usage_month_to_date_usd) == 2"
            until(lambda: server.query(both), "both show each organization")
            until(lambda: server.query('ALERTS{org_id!=""}'), "alerts are pending")
            alerts = server.api("alerts")["alerts"]
            labels = [frozenset(alert["labels"].items()) for alert in alerts]
            assert len(labels) == len(set(labels))
            of_organizations = [dict(each) for each in labels if "org_id" in dict(each)]
            assert of_organizations
            assert not [each for each in of_organizations if "instance" in each]
