"""Which names a running exporter answers to: against DNS rebinding."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

import bcrypt
import pytest
import yaml

from exporter.demo import SEED
from exporter.simulator import demo_fleet
from support.process import EXPORTER, PATIENCE, exporter, get, running

EVIL = "evil.example:8426"
FIRST, *_ = demo_fleet(SEED)
PAGES = (
    ("GET", "/"),
    ("GET", "/config"),
    ("GET", f"/organizations/{FIRST.id}"),
    ("GET", "/api/v1/organizations"),
    ("GET", f"/api/v1/organizations/{FIRST.id}"),
    ("GET", f"/api/v1/organizations/{FIRST.id}/days"),
    ("POST", "/-/reload"),
)


def ask(port: int, method: str, path: str, host: str, **headers: str) -> tuple[int, str]:
    """Return status and text of an answer to a request that names a host, as its origin, too."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    sent = {"Host": host, "Origin": f"http://{host}", **headers}
    connection.request(method, path, headers=sent)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def test_without_authentication_pages_answer_to_known_names_only() -> None:
    """Whoever leads a browser here under a name of theirs gets nothing, and reloads nothing."""
    flags = (
        "--web.enable-lifecycle",
        "--web.external-url=https://bills.example.com",
        "--web.allowed-host=one.example.com",
        "--web.allowed-host=Two.Example.com",
    )
    with exporter("--demo", *flags) as it:
        for method, path in PAGES:
            status, body = ask(it.port, method, path, EVIL)
            assert (status, "--web.allowed-host" in body) == (421, True), path
            assert "evil" not in body
        for host in (
            f"127.0.0.1:{it.port}",
            f"localhost:{it.port}",
            "[::1]:8426",
            socket.gethostname(),
            "bills.example.com",
            "one.example.com:80",
            "two.example.com",
        ):
            for method, path in PAGES:
                assert ask(it.port, method, path, host)[0] == 200, (path, host)


def test_health_and_metrics_answer_to_any_name() -> None:
    """Prometheus, load balancers and probes call it as they like; so does nothing, in HTTP/1.0."""
    with exporter("--demo") as it:
        for path in ("/metrics", "/-/healthy", "/-/ready"):
            assert ask(it.port, "GET", path, EVIL)[0] in {200, 503}
        for target, status in ((b"/metrics", b"200"), (b"/config", b"421")):
            with socket.create_connection(("127.0.0.1", it.port), PATIENCE) as connection:
                connection.sendall(b"GET " + target + b" HTTP/1.0\r\n\r\n")
                assert connection.recv(100).startswith(b"HTTP/1.0 " + status)
        whole = b"GET http://evil.example/config HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with socket.create_connection(("127.0.0.1", it.port), PATIENCE) as connection:
            connection.sendall(whole)
            assert connection.recv(100).startswith(b"HTTP/1.1 421")


def test_a_password_is_enough(tmp_path: Path) -> None:
    """A browser has none for another name, so that any name will do."""
    hashed = bcrypt.hashpw(b"wonderland", bcrypt.gensalt(4)).decode()
    file = tmp_path / "web.yml"
    file.write_text(yaml.safe_dump({"basic_auth_users": {"alice": hashed}}))
    with exporter("--demo", f"--web.config.file={file}") as it:
        assert ask(it.port, "GET", "/config", EVIL)[0] == 401
        right = {"Authorization": "Basic YWxpY2U6d29uZGVybGFuZA=="}
        assert ask(it.port, "GET", "/config", EVIL, **right)[0] == 200


def test_no_other_site_may_read_or_embed_anything() -> None:
    """There is no header that allows it, and one that forbids it."""
    with exporter("--demo") as it:
        for path in ("/", "/metrics", "/config", "/nothing", "/api/v1/organizations", "/api/"):
            headers = get(it.port, path, {"Origin": "http://evil.example"}).headers
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert not [name for name in headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("name", ["", "http://a", "a:8426", "*"])
def test_a_name_that_is_none_is_wrong_usage(name: str) -> None:
    """It would let nobody in."""
    with running(*EXPORTER, "--demo", f"--web.allowed-host={name}") as process:
        assert process.wait(PATIENCE) == 2
        assert "must be the name of a host" in process.stderr.text
