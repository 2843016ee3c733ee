"""docs/web.md has every key of the web configuration, and the limits that the code has."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from exporter.web import limits
from exporter.web.auth import CONCURRENCY, MAX_WAITING
from exporter.web.flags import DEFAULT_MAX_REQUESTS
from exporter.web.toolkit import load
from exporter.web.toolkit.web_schema import WebConfigKeys
from generate import documents

PAGE = Path(__file__).parents[2] / "docs" / "web.md"


def test_the_page_has_every_key() -> None:
    """In the block that is made from the schema, with its default and its meaning."""
    block = PAGE.read_text().partition("<!-- generated: web-configuration -->\n")[2]
    keys = ["tls_server_config.cert_file", "http_server_config.headers", "rate_limit.burst"]
    rows = [f"| {' | '.join(row)} |" for row in documents.web_keys(WebConfigKeys)]
    assert all(any(row.startswith(f"| `{key}` |") for row in rows) for key in keys)
    assert block.partition("<!-- end -->")[0].splitlines()[2:] == rows


def test_the_limits_are_the_codes() -> None:
    """A number that is changed in one place is changed in the other."""
    page, most = PAGE.read_text(), limits.Limits()
    assert f"| {DEFAULT_MAX_REQUESTS} (`--web.max-requests`) |" in page
    assert limits.PAGES == limits.API_ANSWERS
    assert f"| pages at once, API answers at once | {limits.PAGES} each |" in page
    assert most.handshake == most.headers
    assert f"| first byte, TLS handshake, headers | {most.headers:g} s each |" in page
    assert f"| idle connection | {most.idle / 60:g} min |" in page
    assert f"receives less than {limits.WRITE // 1024} KiB | in {most.stall:g} s, or" in page
    assert f" s, or {most.patience:g} s while others wait |" in page
    assert f"| scrape or page while others wait | {most.patience:g} s |" in page
    assert f"as many again wait for up to {most.queue:g} s" in page
    assert most.queue > most.patience
    assert f"| connections | {most.connections}, or half" in page
    assert f"handshakes at once | {most.handshakes} |" in page
    assert f"| unanswered requests of all clients | {most.unanswered // 2**20} MiB |" in page
    assert most.newcomers == most.connections * 9 // 10
    assert "without a request | nine in ten |" in page
    assert f"headers together | {limits.HEADERS // 1024} KiB |" in page
    assert f"one header | {limits.LINE} bytes |" in page
    assert f"| headers | {limits.HEADER_FIELDS} |" in page
    assert CONCURRENCY == 2
    assert f"only two are checked at once, {MAX_WAITING} wait" in " ".join(page.split())


def test_the_example_is_valid(tmp_path: Path) -> None:
    """With a certificate in place of the reader's."""
    (example,) = re.findall(r"```yaml\n(tls_server_config:.*?)```", PAGE.read_text(), re.DOTALL)
    for name in ("server.crt", "server.key"):
        shutil.copy(PAGE.parents[1] / "tests" / "webconfig" / name, tmp_path)
    (tmp_path / "web.yml").write_text(example)
    assert load(tmp_path / "web.yml").users
