"""Basic authentication, response headers and the rate limit of a running exporter."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import pytest
import yaml

from exporter.web.routes import ENDPOINTS
from support.process import EXPORTER, Exporter, Response, exporter, get, until


def hashed(password: str, cost: int = 4) -> str:
    """Return a bcrypt hash."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


@contextmanager
def serving(file: Path, document: Mapping[str, object], *flags: str) -> Iterator[Exporter]:
    """Run the demo with a web configuration."""
    file.write_text(yaml.safe_dump(document, allow_unicode=True))
    with exporter("--demo", f"--web.config.file={file}", *flags) as running:
        yield running


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header that a client sends."""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """Run the demo with two users, whose hashes differ in cost."""
    users = {"alice": hashed("wonderland"), "zoë": hashed("päss:wörd", 6)}
    file = tmp_path_factory.mktemp("auth") / "web.yml"
    with serving(file, {"basic_auth_users": users}) as running:
        yield running


@pytest.mark.parametrize("credentials", [("alice", "wonderland"), ("zoë", "päss:wörd")])
def test_the_right_password_opens_every_page(
    closed: Exporter, credentials: tuple[str, str]
) -> None:
    """Again and again; colons and other alphabets are fine."""
    for _ in range(2):
        assert get(closed.port, "/-/healthy", basic(*credentials)).status == 200


def test_curl_gets_in_as_a_user_does(closed: Exporter) -> None:
    """With its own idea of basic authentication."""
    url = f"http://127.0.0.1:{closed.port}/-/healthy"
    command = ["curl", "-sS", "--fail", "--user", "alice:wonderland", url]
    assert subprocess.run(command, check=True, capture_output=True).stdout == b"healthy\n"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("alice", "wrong"),
        basic("alice", ""),
        basic("alice", "wonderland\0"),
        basic("alice", "w" * 5000),
        basic("nobody", "wonderland"),
        basic("", "wonderland"),
        basic("zoë", "wonderland"),
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"alice").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:wonderland").decode()},
        {"Authorization": "Bearer wonderland"},
    ],
)
def test_anything_else_is_401_and_alike(closed: Exporter, headers: dict[str, str]) -> None:
    """A wrong password, an unknown user and no header cannot be told apart."""
    for path in [*(e.path for e in ENDPOINTS), "/nothing", "/api/nothing"]:
        answer = get(closed.port, path, headers)
        assert answer.status == 401
        is_api = path.startswith("/api/")
        assert answer.body == (b'{"error": "unauthorized"}\n' if is_api else b"unauthorized\n")
        assert answer.headers["WWW-Authenticate"].startswith('Basic realm="')
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_health_can_stay_open(tmp_path: Path) -> None:
    """For probes, which have no password; nothing else is, whatever it looks like."""
    document = {"basic_auth_users": {"alice": hashed("wonderland")}}
    with serving(tmp_path / "web.yml", document, "--web.health-without-auth") as it:
        assert get(it.port, "/-/healthy").status == 200
        assert get(it.port, "/-/ready").status in {200, 503}
        for path in (
            "/",
            "/metrics",
            "/config",
            "/-/reload",
            "/api/v1/organizations",
            "/-/healthy/",
            "/-/healthy/../config",
        ):
            assert get(it.port, path).status == 401, path


def test_users_change_without_a_restart(tmp_path: Path) -> None:
    """A user who is taken out is out, remembered or not; no empty file lets everybody in."""
    file = tmp_path / "web.yml"
    alice, bob = basic("alice", "wonderland"), basic("bob", "builder")
    with serving(file, {"basic_auth_users": {"alice": hashed("wonderland")}}) as it:
        assert get(it.port, "/", alice).status == 200
        file.write_text(yaml.safe_dump({"basic_auth_users": {"bob": hashed("builder")}}))
        until(lambda: get(it.port, "/", bob).status == 200, "bob is in")
        assert get(it.port, "/", alice).status == 401
        file.write_text("")
        it.process.stderr.wait_for("basic authentication would be switched off")
        assert get(it.port, "/").status == 401
        assert get(it.port, "/", bob).status == 200
        assert "$2" not in it.process.stderr.text


def test_configured_headers_are_on_every_response(tmp_path: Path) -> None:
    """They take the place of ours; those set to nothing are left as they are."""
    headers = {
        "Content-Security-Policy": "default-src 'self'",
        "X-Frame-Options": "sameorigin",
        "X-XSS-Protection": "1; mode=block",
        "Strict-Transport-Security": "",
    }
    with serving(tmp_path / "web.yml", {"http_server_config": {"headers": headers}}) as it:
        for path in ("/", "/metrics", "/nothing"):
            answer = get(it.port, path)
            assert answer.headers.get_all("Content-Security-Policy") == ["default-src 'self'"]
            assert answer.headers.get_all("X-Frame-Options") == ["sameorigin"]
            assert answer.headers["X-XSS-Protection"] == "1; mode=block"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "Strict-Transport-Security" not in answer.headers


def test_above_the_rate_limit_the_answer_is_429(tmp_path: Path) -> None:
    """As many as the burst get through, and Retry-After says when the next one will."""
    document = {"rate_limit": {"interval": "1h", "burst": 3}}
    with serving(tmp_path / "web.yml", document) as it:
        answers: list[Response] = [get(it.port, "/-/healthy") for _ in range(5)]
        refused = get(it.port, "/api/v1/organizations")
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert 3500 < int(answers[-1].headers["Retry-After"]) <= 3600
    assert answers[-1].body == b"too many requests\n"
    assert (refused.status, refused.body) == (429, b'{"error": "too many requests"}\n')


def test_clients_without_a_password_use_up_nothing_of_the_right_one(tmp_path: Path) -> None:
    """What is refused has a bucket of its own, and so have pages that need no password."""
    document = {
        "basic_auth_users": {"alice": hashed("wonderland")},
        "rate_limit": {"interval": "1h", "burst": 3},
    }
    wrong, right = basic("alice", "wrong"), basic("alice", "wonderland")
    with serving(tmp_path / "web.yml", document, "--web.health-without-auth") as it:

        def statuses(path: str, *headers: dict[str, str]) -> list[int]:
            return [get(it.port, path, each).status for each in headers]

        assert statuses("/metrics", {}, wrong, {}, wrong, {}) == [401, 401, 401, 429, 429]
        assert statuses("/-/healthy", {}, {}, {}, {}) == [200, 200, 200, 429]
        assert statuses("/metrics", right, right, right, right) == [200, 200, 200, 429]


def test_the_check_covers_the_web_configuration(tmp_path: Path) -> None:
    """`--config.check` shows what is wrong with both files, and a start ends with the same."""
    config, web = tmp_path / "exporter.yml", tmp_path / "web.yml"
    config.write_text("organisations: []\n")
    web.write_text("basic_auth_user: {}\n")
    command = [*EXPORTER, f"--config.file={config}", f"--web.config.file={web}"]
    for flags in ([], ["--config.check"]):
        ended = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        assert f"{web}:1: basic_auth_user: unknown key" in ended.stderr
        assert f"{config}:1: organisations: unknown key" in ended.stderr
        assert "Traceback" not in ended.stderr
