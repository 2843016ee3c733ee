"""One version: whoever asks, in whatever way, is told the same."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from support.process import EXPORTER, ROOT, TOOL, exporter, get, parse, running, until

NUMBER = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
LINE = re.compile(r"(?P<name>[a-z-]+) (?P<number>\S+)(?: \(revision (?P<revision>[0-9a-f]+)\))?\n")


@cache
def said(program: str) -> re.Match[str]:
    """Return what a program says of itself."""
    line = subprocess.run(
        [program, "--version"], check=True, capture_output=True, text=True, env={}
    ).stdout
    match = LINE.fullmatch(line)
    assert match, line
    return match


@pytest.mark.parametrize("program", [*EXPORTER, *TOOL], ids=lambda path: Path(path).name)
def test_a_command_says_its_name_and_the_version(program: str) -> None:
    """Both say the same, of the one package that they are in."""
    line = said(program)
    assert (line["name"], line["number"]) == (Path(program).name, NUMBER)
    assert line["revision"] == said(*EXPORTER)["revision"]


def test_the_metrics_and_the_status_page_say_it() -> None:
    """With the revision, so that one can tell which exporter made a number."""
    revision = said(*EXPORTER)["revision"] or "unknown"
    with exporter("--demo") as it:
        (labels,) = (
            dict(labels)
            for name, labels in parse(it.scrape())
            if name == "viam_billing_exporter_build_info"
        )
        assert (labels["version"], labels["revision"]) == (NUMBER, revision)
        assert NUMBER in get(it.port, "/").text


class Listener(grpc.GenericRpcHandler):
    """Refuses every call, and notes who called."""

    def __init__(self) -> None:
        self.agents: list[str] = []

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Note the caller; the call itself is refused."""
        metadata = dict(handler_call_details.invocation_metadata)
        self.agents.append(str(metadata["user-agent"]))
        return grpc.unary_unary_rpc_method_handler(self._refuse)

    @staticmethod
    def _refuse(_: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "")
        raise AssertionError


@contextmanager
def listening(folder: Path) -> Iterator[tuple[Listener, str]]:
    """Serve while inside; yields who called, and the flag of a configuration to call by."""
    with ThreadPoolExecutor(1) as threads:
        server, listener = grpc.server(threads), Listener()
        server.add_generic_rpc_handlers((listener,))
        port = server.add_insecure_port("127.0.0.1:0")
        document = {
            "api": {"address": f"127.0.0.1:{port}", "tls": False},
            "credentials": {"api_key_id": "an-id", "api_key": "a-key"},
            "organizations": [{"id": "acme"}],
        }
        file = folder / "exporter.yml"
        file.touch(0o600)
        file.write_text(yaml.safe_dump(document))
        server.start()
        try:
            yield listener, f"--config.file={file}"
        finally:
            server.stop(None).wait()


def test_the_billing_api_is_told(tmp_path: Path) -> None:
    """As user agent: its operators see who calls."""
    with listening(tmp_path) as (listener, flag), exporter(flag):
        until(lambda: listener.agents, "the exporter called")
    assert listener.agents[0].startswith(f"viam-billing-exporter/{NUMBER} ")
    with listening(tmp_path) as (listener, flag), running(*TOOL, "usage", flag) as process:
        assert process.wait() == 1
    assert listener.agents[0].startswith(f"viam-billing/{NUMBER} ")


def test_the_changelog_begins_with_it() -> None:
    """And says when it was released, or that it was not yet."""
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert re.fullmatch(rf"{re.escape(NUMBER)} - (unreleased|\d{{4}}-\d\d-\d\d)", headings[0])
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", each) for each in headings[1:])
