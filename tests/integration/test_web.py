"""The pages over HTTP, as curl, Prometheus and a browser ask for them."""

from __future__ import annotations

import gzip
import html
import http.client
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from exporter.demo import SEED
from exporter.metrics import own
from exporter.simulator import demo_fleet
from exporter.tool import past_days, past_invoices
from exporter.web.paths import ANY_ID
from exporter.web.routes import ENDPOINTS
from generate import documents
from support.process import PATIENCE, Exporter, exporter, get


@pytest.fixture(scope="module")
def demo() -> Iterator[Exporter]:
    """Run the demo."""
    with exporter("--demo") as running:
        running.wait_until_ready()
        yield running


def raw(
    demo: Exporter, method: str, path: str, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Send any method to any path."""
    connection = http.client.HTTPConnection("127.0.0.1", demo.port, timeout=PATIENCE)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    answer = response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    connection.close()
    return answer


AIOHTTP = """
import asyncio, sys, aiohttp
async def read():
    async with aiohttp.ClientSession() as session, session.get(sys.argv[1]) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        sys.stdout.buffer.write(await response.read())
asyncio.run(read())
"""

FIRST, *_ = demo_fleet(SEED)
DAYS = re.compile(
    r"viam_billing_(resource_)?spend_(today|yesterday|previous|expected|\d)"
    r"|viam_billing_(forecast_)?closed_"
)
READ = [
    endpoint.path.replace(ANY_ID, FIRST.id) for endpoint in ENDPOINTS if "GET" in endpoint.methods
]


@pytest.mark.parametrize("path", READ)
def test_every_endpoint_answers_get_and_head_alike(demo: Exporter, path: str) -> None:
    """HEAD has the headers of GET and no body; nothing is cached or sniffed, nobody is named."""
    status, headers, body = raw(demo, "GET", path)
    head_status, head_headers, head_body = raw(demo, "HEAD", path)
    assert (status, head_status) == (200, 200)
    assert int(headers["content-length"]) == len(body) > 0
    assert head_body == b""
    assert head_headers["content-type"] == headers["content-type"]
    assert "content-length" in head_headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


@pytest.mark.parametrize("path", READ)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_wrong_method_is_405_with_what_is_allowed(demo: Exporter, path: str, method: str) -> None:
    """Everything here only reads."""
    status, headers, _ = raw(demo, method, path)
    assert (status, headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/metrics/", "/-/", "//metrics", "/config.yml", "/../config"],
)
def test_anything_else_is_404(demo: Exporter, path: str) -> None:
    """And repeats nothing of what was asked."""
    status, _, body = raw(demo, "GET", path)
    assert (status, body) == (404, b"not found\n")


def test_an_organization_that_is_not_polled_here_is_404(demo: Exporter) -> None:
    """In words: another exporter may poll it."""
    status, _, body = raw(demo, "GET", "/organizations/x")
    assert (status, body) == (404, b"no organization with this id is polled here\n")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (
            "text/plain;version=1.0.0;escaping=underscores",
            "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
        ("\x01;q=,,", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_the_format_is_negotiated(demo: Exporter, accept: str, content_type: str) -> None:
    """And said in Content-Type, as Prometheus wants it."""
    response = get(demo.port, "/metrics", {"Accept": accept} if accept.isprintable() else {})
    assert response.headers["Content-Type"] == content_type
    assert response.headers["Vary"] == "Accept, Accept-Encoding"
    assert response.text.endswith("# EOF\n") == ("openmetrics" in content_type)


def test_the_demo_shows_every_metric_that_there_is(demo: Exporter) -> None:
    """But those that exist only while something is wrong, where asked for, or in a backfill.

    And those of days and periods that are not over yet: it knows the month so far.
    """
    shown = set(re.findall(r"^# TYPE (\S+)", demo.scrape(), re.MULTILINE))
    every = {metric.name for members in documents.metrics().values() for metric in members}
    only_when_wrong = {
        "viam_billing_collector_failure",
        "viam_billing_collector_retry_timestamp_seconds",
        "viam_billing_withheld_samples",
    }
    optional = (each for each in own.METRICS if each.optional)
    not_here = {each.name for each in (*optional, *past_invoices.OWN, *past_days.METRICS)}
    expected = every - only_when_wrong - not_here
    not_yet = {name for name in expected if DAYS.match(name)}
    shown = {name for name in shown if name.startswith("viam_")}
    assert expected - not_yet <= shown <= expected
    assert "viam_billing_ledger_known_seconds" in shown


@pytest.mark.parametrize(
    "command",
    [
        ("curl", "--silent", "--show-error", "--fail", "--compressed"),
        ("wget", "--quiet", "--compression=gzip", "--output-document=-"),
        (sys.executable, "-c", AIOHTTP),
    ],
    ids=["curl", "wget", "aiohttp"],
)
def test_gzip_is_one_member_that_clients_read_whole(demo: Exporter, command: list[str]) -> None:
    """Some stop after the first member of a gzip stream; ours has the page in it."""
    url = f"http://127.0.0.1:{demo.port}/metrics"
    page = subprocess.run([*command, url], check=True, capture_output=True).stdout
    packed = get(demo.port, "/metrics", {"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    types = re.compile(rb"^# TYPE .*$", re.MULTILINE)
    assert types.findall(page) == types.findall(gzip.decompress(packed.body))
    assert page.endswith(b"\n")
    assert int(packed.headers["Content-Length"]) == len(packed.body) < len(page) / 5


def test_gzip_that_is_refused_is_not_sent(demo: Exporter) -> None:
    """A client library of ours would send it all the same."""
    response = get(demo.port, "/metrics", {"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in response.headers
    assert response.text.startswith("# HELP")


def test_the_status_page_shows_every_organization(demo: Exporter) -> None:
    """In HTML that runs nothing and loads nothing, with names escaped."""
    response = get(demo.port, "/")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in response.text
    assert "Dunmarrow: Fleet &amp; Field" in response.text
    assert "Polling 8 organizations" in response.text
    assert response.text.count('class="ok"') == 8


def test_the_status_page_is_searched_and_leads_to_the_page_of_an_organization(
    demo: Exporter,
) -> None:
    """What is asked for is all that there is; the page is whole, and as strict as the other."""
    found = get(demo.port, "/?q=" + FIRST.name[:6].lower())
    assert "1 of 8 organizations" in found.text
    assert f'href="organizations/{FIRST.id}"' in found.text
    response = get(demo.port, f"/organizations/{FIRST.id}")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = response.headers["Content-Security-Policy"]
    assert policy == found.headers["Content-Security-Policy"]
    for words in (FIRST.name, "How it adds up", "Invoices", "new data", "total_with_discount:"):
        assert words in response.text, words
    assert not any(value in response.text for value in FIRST.private_values if len(value) > 4)


ODD_IDS = (
    ".",
    "..",
    "../config",
    "a\\..",
    "a/b",
    "a/../b",
    "a%2Fb",
    "%2E",
    "..a",
    "ß?id=.&#",
    "+ ;",
)


def test_links_lead_to_the_page_of_any_id(tmp_path: Path) -> None:
    """Also for a client that resolves dots between slashes, or decodes the path before."""
    file = tmp_path / "exporter.yml"
    document = {
        "api": {"address": "127.0.0.1:1", "tls": False},
        "credentials": {"api_key_id": "id", "api_key": "key"},
        "organizations": [
            {"id": each, "name": f"name {number}."} for number, each in enumerate(ODD_IDS)
        ],
    }
    file.write_text(yaml.safe_dump(document))
    with exporter(f"--config.file={file}") as it:
        page = get(it.port, "/").text
        for number in range(len(ODD_IDS)):
            link = re.search(rf'href="([^"]+)"><bdi>name {number}\.<', page)
            assert link
            path = html.unescape(link[1])
            segments = re.split(r"[/\\]", unquote(path.partition("?")[0]))
            assert not {".", ".."} & set(segments)
            answer = get(it.port, f"/{path}")
            assert answer.status == 200, path
            assert f"name {number}." in answer.text


def test_the_configuration_page_hides_secrets(demo: Exporter) -> None:
    """Eight organizations, eight keys, none of them shown."""
    response = get(demo.port, "/config")
    assert response.headers["Content-Type"] == "application/yaml; charset=utf-8"
    assert response.text.count("api_key: <secret>") == 8


def test_a_kept_alive_connection_outlives_a_scrape_interval(demo: Exporter) -> None:
    """Two scrapes over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", demo.port, timeout=PATIENCE)
    for _ in range(2):
        connection.request("GET", "/metrics")
        first = connection.sock
        assert connection.getresponse().read()
        assert connection.sock is first
    connection.close()


def test_http_1_0_is_answered() -> None:
    """Old probes speak it, without a Host header."""
    with exporter("--demo", "--web.telemetry-path=/prom/metrics") as running:
        running.wait_until_ready()
        status = subprocess.run(
            [
                *("curl", "-s", "-0", "-o", "/dev/null", "-w", "%{http_code}"),
                f"http://127.0.0.1:{running.port}/prom/metrics",
            ],
            check=True,
            capture_output=True,
        ).stdout
        assert status == b"200"
        assert get(running.port, "/metrics").status == 404
        assert 'href="prom/metrics"' in get(running.port, "/").text
