"""`/-/reload`, the pages behind a reverse proxy, and sockets from systemd."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.process import EXPORTER, PATIENCE, Exporter, exporter, get, running, until

ORGANIZATION = "3c59dc04-8e88-4d24-8c5b-1f4d2a6e7a01"


def write(file: Path, **changes: object) -> Path:
    """Write a configuration that reaches no API."""
    document = {
        "api": {"address": "127.0.0.1:1", "tls": False},
        "credentials": {"api_key_id": "id", "api_key": "s3cret"},
        "organizations": [{"id": ORGANIZATION}],
    }
    file.write_text(yaml.safe_dump(document | changes))
    return file


def ask(it: Exporter, method: str, path: str = "/-/reload", **headers: str) -> tuple[int, str]:
    """Return status and text of an answer. `_` in a header's name stands for `-`."""
    connection = http.client.HTTPConnection("127.0.0.1", it.port, timeout=PATIENCE)
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def test_a_reload_answers_with_what_came_of_it(tmp_path: Path) -> None:
    """200, or 500 with every error while the old configuration stays; POST and PUT alike."""
    file = write(tmp_path / "exporter.yml")
    with exporter(f"--config.file={file}", "--web.enable-lifecycle") as it:
        for method, name in (("POST", "one"), ("PUT", "two")):
            write(file, organizations=[{"id": ORGANIZATION, "name": name}])
            assert ask(it, method) == (200, "reloaded\n")
            assert f"name: {name}" in get(it.port, "/config").text
        write(file, budget_usd=-1, organisations=[])
        status, text = ask(it, "POST")
        assert status == 500
        assert f"{file}:" in text
        assert "budget_usd: must not be below 0" in text
        assert "organisations: unknown key" in text
        assert "s3cret" not in text
        assert "name: two" in get(it.port, "/config").text
        failed = "\nviam_billing_exporter_config_last_reload_successful 0.0"
        until(lambda: failed in it.scrape(), "the metric says so")
        assert ask(it, "GET")[0] == 405


def test_without_the_flag_a_reload_is_forbidden(tmp_path: Path) -> None:
    """And says which flag it takes."""
    with exporter(f"--config.file={write(tmp_path / 'exporter.yml')}") as it:
        status, text = ask(it, "POST")
        assert status == 403
        assert "--web.enable-lifecycle" in text


def test_another_sites_page_cannot_reload(tmp_path: Path) -> None:
    """A browser says for whom it asks; a program says nothing, and may."""
    file = write(tmp_path / "exporter.yml")
    url = "--web.external-url=https://bills.example.com/viam"
    flags = (f"--config.file={file}", "--web.enable-lifecycle", url, "--web.route-prefix=/")
    with exporter(*flags) as it:
        here = f"127.0.0.1:{it.port}"
        for headers in (
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
            {"Sec_Fetch_Site": "whatever"},
            {"Origin": "null"},
            {"Origin": "https://evil.example.com"},
            {"Origin": "http://127.0.0.1:1"},
            {"Origin": "http://[::1"},
            {"Origin": "https://bills.example.com:444"},
            {"Origin": f"http://{here}", "Sec_Fetch_Site": "cross-site"},
        ):
            assert ask(it, "POST", **headers)[0] == 403, headers
        for headers in (
            {},
            {"Sec_Fetch_Site": "none"},
            {"Sec_Fetch_Site": "same-origin", "Origin": f"http://{here}"},
            {"Origin": "https://bills.example.com"},
            {"Origin": "https://BILLS.example.com:443"},
        ):
            assert ask(it, "POST", **headers)[0] == 200, headers


def test_all_pages_are_below_the_prefix() -> None:
    """By default the external URL's path; what is above leads there, or is not found."""
    with exporter("--demo", "--web.external-url=http://bills.example.com/viam/") as it:
        for path in ("/", "/viam"):
            answer = get(it.port, path)
            assert (answer.status, answer.headers["Location"]) == (302, "/viam/")
        for path in ("", "metrics", "config", "-/healthy"):
            assert get(it.port, f"/viam/{path}").status == 200, path
        for path in ("/metrics", "/config", "/-/healthy", "/viamx/metrics", "/viam//metrics"):
            assert get(it.port, path).status == 404, path
        assert 'href="/viam/metrics"' in get(it.port, "/viam/").text
        assert f"http://localhost:{it.port}/viam/metrics" in it.process.stdout.text


def test_a_proxy_may_take_the_prefix_away() -> None:
    """Then pages are at the top, and links begin with the path that people see."""
    flags = ("--web.external-url=http://bills.example.com/viam", "--web.route-prefix=/")
    with exporter("--demo", *flags) as it:
        assert get(it.port, "/metrics").status == 200
        assert 'href="/viam/metrics"' in get(it.port, "/").text


@pytest.mark.parametrize(
    "flag",
    [
        "--web.external-url=bills.example.com",
        "--web.external-url=ftp://bills.example.com",
        "--web.external-url=http://user@bills.example.com",
        "--web.external-url=http://bills.example.com/?a",
        "--web.external-url=http://bills.example.com:port",
        "--web.route-prefix=/a/../b",
        "--web.route-prefix=/a b",
        "--web.max-requests=-1",
        "--web.systemd-socket",
    ],
)
def test_a_wrong_flag_is_wrong_usage(flag: str) -> None:
    """With exit code 2. Sockets from systemd take the place of addresses."""
    command = (*EXPORTER, "--demo", "--web.listen-address=127.0.0.1:0", flag)
    with running(*command) as process:
        assert process.wait(PATIENCE) == 2


# Hands its standard input on as systemd does: as descriptor 3, with the child's process id.
ACTIVATE = """\
import os, sys
os.dup2(0, 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "http"}
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_it_serves_at_a_socket_from_systemd() -> None:
    """Without binding anything itself; a connection made before it runs is answered."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        early = socket.create_connection(listening.getsockname(), PATIENCE)
        early.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
        command = [*EXPORTER, "--demo", "--web.systemd-socket"]
        with subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, *command],
            stdin=listening.fileno(),
            stdout=subprocess.DEVNULL,
        ) as process:
            try:
                assert early.recv(100).startswith(b"HTTP/1.0 200")
            finally:
                early.close()
                process.terminate()
        assert process.returncode == 0


def test_without_sockets_from_systemd_it_says_what_to_do() -> None:
    """Also when the variables are meant for another process."""
    command = (*EXPORTER, "--demo", "--web.systemd-socket")
    for environ in ({}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}):
        with running(*command, environ=environ) as process:
            assert process.wait(PATIENCE) == 1
            assert "start the .socket unit" in process.stderr.text
