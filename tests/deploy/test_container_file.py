"""The Dockerfile, what it is given, and what tells whether a container is healthy."""

from __future__ import annotations

import json
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
HEALTHCHECK: Final = FOLDER / "healthcheck.sh"


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
    (version,) = re.findall(
        r"^ARG BASE_IMAGE=\S+/python:([\d.]+)-slim-\w+@sha256:[0-9a-f]{64}$", TEXT, re.MULTILINE
    )
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
    """Run the health check as the image does."""
    return subprocess.run(
        ["bash", HEALTHCHECK],
        env={"HEALTHCHECK_URL": url},
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
    assert re.search(r"refused$", run.stderr, re.MULTILINE)


@pytest.mark.parametrize("client", ["NoClientCert", "RequireAndVerifyClientCert"])
def test_an_exporter_with_tls_shows_that_it_serves(client: str, tmp_path: Path) -> None:
    """It hangs up on what is not TLS, so the check needs neither a certificate nor a setting."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server", "DNS:bills.example.com")
    tls = {"cert_file": str(certificate), "key_file": str(key), "client_auth_type": client}
    if client != "NoClientCert":
        tls["client_ca_file"] = str(authority.crt)
    web = tmp_path / "web.yml"
    web.write_text(json.dumps({"tls_server_config": tls}))
    listen = "--web.listen-address=127.0.0.1:0"
    with running(*EXPORTER, "--demo", listen, f"--web.config.file={web}") as process:
        port = process.stdout.wait_for(r"https://localhost:(\d+)/")[1]
        run = check(f"https://127.0.0.1:{port}/-/healthy")
        assert run.returncode == 0, run.stderr
        assert "level=error" not in process.stderr.text


# --- The base -----------------------------------------------------------------------------


def image(*variables: str) -> subprocess.CompletedProcess[str]:
    """Run `make image` with a builder that prints how it was called."""
    command = ["make", "--silent", "image", "BUILDER=echo", *variables]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


def labels(run: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return the labels that it would give."""
    assert run.returncode == 0, run.stderr
    found = re.findall(r"--label org\.opencontainers\.image\.([a-z.]+)=(\S+)", run.stdout)
    assert len(dict(found)) == len(found)
    return dict(found)


def test_the_base_is_pinned_by_digest() -> None:
    """So that a build is the same on another day; the labels say which base it was."""
    pinned = re.search(r"^ARG BASE_IMAGE=(\S+)@(sha256:[0-9a-f]{64})$", TEXT, re.MULTILINE)
    assert pinned
    given = labels(image())
    assert (given["base.name"], given["base.digest"]) == pinned.groups()


def test_another_base_is_pinned_too() -> None:
    """Unless whoever builds says that it need not be: then the image does not claim it."""
    other = "registry.example.com/python:3.13"
    digest = f"sha256:{'0' * 64}"
    run = image(f"BASE={other}@{digest}")
    assert f"--build-arg BASE_IMAGE={other}@{digest} " in run.stdout
    assert labels(run).items() >= {"base.name": other, "base.digest": digest}.items()
    run = image(f"BASE={other}")
    assert (run.returncode, run.stdout) == (2, "")
    assert f"BASE={other} has no digest" in run.stderr
    run = image(f"BASE={other}", "UNPINNED=yes")
    assert f"--build-arg BASE_IMAGE={other} " in run.stdout
    assert labels(run)["base.name"] == other
    assert "base.digest" not in labels(run)


def test_an_image_says_where_it_comes_from_if_that_is_known() -> None:
    """An address that is made up would lead people to somebody else's repository."""
    assert labels(image()).keys().isdisjoint({"source", "documentation"})
    given = labels(image("SOURCE=https://git.example.com/a/b"))
    assert given["source"] == "https://git.example.com/a/b"
    assert given["documentation"] == f"{given['source']}/tree/{given['revision']}/docs"
