"""docs/web.md has every key of the web configuration, and the limits that the code has."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from exporter.config.sections import Section, keys_of
from exporter.web import limits
from exporter.web.auth import CONCURRENCY, MAX_WAITING
from exporter.web.flags import DEFAULT_MAX_REQUESTS
from exporter.web.toolkit import load
from exporter.web.toolkit.web_schema import WebConfigKeys

PAGE = Path(__file__).parents[2] / "docs" / "web.md"


def rows(section: type[Section], prefix: str = "") -> Iterator[str]:
    """Yield the table's row of every key, sections before what is in them."""
    for key in keys_of(section).values():
        text = key.description or (key.section and key.section.__doc__) or ""
        plain = key.default is None or isinstance(key.default, (dict, Section))
        default = str(key.default)
        shown = default.lower() if isinstance(key.default, bool) else default
        cell = "" if plain else f"`{shown}`".replace("`0.0`", "`0`")
        yield f"| `{prefix}{key.name}` | {cell} | {text} |"
        if key.section:
            yield from rows(key.section, f"{prefix}{key.name}.")


def test_the_table_of_keys_is_the_schema(update_golden: bool) -> None:  # noqa: FBT001
    """With every default and description, in the order of the file."""
    table = "\n".join(["| key | default | meaning |", "| --- | --- | --- |", *rows(WebConfigKeys)])
    before, _, rest = PAGE.read_text().partition("### Keys\n\n")
    old, _, after = rest.partition("\n\n")
    if update_golden:
        PAGE.write_text(f"{before}### Keys\n\n{table}\n\n{after}")
    assert old == table or update_golden


def test_the_limits_are_the_codes() -> None:
    """A number that is changed in one place is changed in the other."""
    page, most = PAGE.read_text(), limits.Limits()
    assert f"| {DEFAULT_MAX_REQUESTS}, by `--web.max-requests` |" in page
    assert f"for people being made or sent at once | {limits.PAGES} |" in page
    assert f"of the API being made or sent at once | {limits.API_ANSWERS} |" in page
    assert f"TLS handshake | {most.handshake:g} s |" in page
    assert f"or of a request | {most.headers:g} s |" in page
    assert f"idle connection | {most.idle / 60:g} min |" in page
    assert f"{limits.WRITE // 1024} KiB at most | {most.stall:g} s |" in page
    assert f"the same, while others wait for its place | {most.patience:g} s |" in page
    assert f"or page, while others wait for its place | {most.patience:g} s |" in page
    assert f"as many again wait, {most.queue:g} s at most" in page
    assert most.queue > most.patience
    assert f"| connections | {most.connections}, or half" in page
    assert f"of a connection | {most.headers:g} s |" in page
    assert f"handshakes at once | {most.handshakes} |" in page
    assert f"not answered yet | {most.unanswered // 2**20} MiB |" in page
    assert most.newcomers == most.connections * 9 // 10
    assert "never asked | nine in ten |" in page
    assert f"headers together | {limits.HEADERS // 1024} KiB |" in page
    assert f"one header | {limits.LINE} bytes |" in page
    assert f"| headers | {limits.HEADER_FIELDS} |" in page
    assert CONCURRENCY == 2
    assert f"two requests at once, {MAX_WAITING} wait" in page


def test_the_example_is_valid(tmp_path: Path) -> None:
    """With a certificate in place of the reader's."""
    (example,) = re.findall(r"```yaml\n(tls_server_config:.*?)```", PAGE.read_text(), re.DOTALL)
    for name in ("server.crt", "server.key"):
        shutil.copy(PAGE.parents[1] / "tests" / "webconfig" / name, tmp_path)
    (tmp_path / "web.yml").write_text(example)
    assert load(tmp_path / "web.yml").users
