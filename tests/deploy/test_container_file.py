"""The Dockerfile, what it is given, and what tells whether a container is healthy."""

from __future__ import annotations

import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final

import pytest

from support.certificates import Authority
from support.packages import PYTHONS
from support.process import EXPORTER, ROOT, free_port, running, serving

FOLDER: Final = ROOT / "deploy" / "container"
DOCKERFILE: Final = FOLDER / "Dockerfile"
TEXT: Final = DOCKERFILE.read_text()
HEALTHCHECK: Final = FOLDER / "healthcheck.py"


def test_hadolint_finds_nothing() -> None:
    """And is not told to overlook anything."""
    hadolint = str(Path(sys.executable).parent / "hadolint")
    options = ["--no-color", "--failure-threshold=style", "--disable-ignore-pragma"]
    command = [hadolint, *options, str(DOCKERFILE)]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "")
    assert not [*ROOT.glob(".hadolint.*"), *FOLDER.glob(".hadolint.*")]


def test_the_builder_is_given_what_is_copied_and_nothing_else() -> None:
    """Keys, .git and tests that lie about in a checkout cannot get in by accident."""
    lines = Path(f"{DOCKERFILE}.dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copies = re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", TEXT, re.MULTILINE)
    sources = [source for copy in copies for source in copy.split()]
    assert rules == ["*", *(f"!{source}" for source in sorted(sources)), "**/__pycache__"]


def test_the_base_has_the_newest_python_that_the_package_says_it_runs_on() -> None:
    """For which every dependency has a wheel: tests/deploy/test_packages.py asks for them."""
    (version,) = re.findall(r"^ARG BASE_IMAGE=\S+/python:([\d.]+)-slim-\w+$", TEXT, re.MULTILINE)
    assert version == PYTHONS[-1]


def answering(status: int) -> type[BaseHTTPRequestHandler]:
    """Return a handler that gives every request this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def check(url: str) -> subprocess.CompletedProcess[str]:
    """Run the health check as the image does, with a proxy that leads nowhere."""
    environ = {"HEALTHCHECK_URL": url, "http_proxy": f"http://127.0.0.1:{free_port()}"}
    return subprocess.run(
        [sys.executable, "-IS", HEALTHCHECK],
        env=environ,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("status", "code"), [(200, 0), (401, 0), (404, 0), (429, 0), (500, 1), (503, 1)]
)
def test_an_answer_is_healthy_and_an_error_of_the_server_is_not(status: int, code: int) -> None:
    """A password or a limit of rates does not make an exporter ill."""
    with serving(answering(status)) as port:
        run = check(f"http://127.0.0.1:{port}/-/healthy")
    assert run.returncode == code, run.stderr


def test_no_answer_is_not_healthy() -> None:
    """The reason stands in one line, which `docker inspect` shows."""
    run = check(f"http://127.0.0.1:{free_port()}/-/healthy")
    assert run.returncode == 1
    assert re.fullmatch(r"no answer: .*refused\n", run.stderr)


def test_an_exporter_with_tls_is_asked_over_tls(tmp_path: Path) -> None:
    """Its certificate is for other names than 127.0.0.1, and need not be known in the container."""
    certificate, key = Authority(tmp_path).issue("server", "DNS:bills.example.com")
    web = tmp_path / "web.yml"
    web.write_text(f"tls_server_config: {{cert_file: {certificate}, key_file: {key}}}\n")
    listen = "--web.listen-address=127.0.0.1:0"
    with running(*EXPORTER, "--demo", listen, f"--web.config.file={web}") as process:
        port = process.stdout.wait_for(r"https://localhost:(\d+)/")[1]
        assert check(f"https://127.0.0.1:{port}/-/healthy").returncode == 0
        assert check(f"http://127.0.0.1:{port}/-/healthy").returncode == 1
