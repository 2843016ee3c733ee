"""The programs that are measured, and the billing server that they ask."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import data
from bench.client import Client, wait
from bench.data import Polling
from support.certificates import Authority
from support.process import EXPORTER, OPENMETRICS, TEXT, Process, free_port, get, running

PEERS: Final = Path(__file__).parent / "peers"
TESTS: Final = {"PYTHONPATH": str(Path(__file__).parents[1])}
DEBIAN_GO: Final = Path("/usr/share/gocode")
GO_PACKAGES: Final = {
    "billing": "golang-google-grpc-dev",
    "promhttp": "golang-github-prometheus-client-golang-dev",
}
BUILD_WITHIN: Final = 300.0  # seconds
READY_WITHIN: Final = 300.0  # seconds
WATCHED: Final = (sys.executable, "-m", "bench.peers.watched_exporter")
RARELY: Final = Polling()
CONCURRENCY: Final = 32  # calls in flight, where the server answers at once
FLAT_OUT: Final = Polling(interval="1ms", first_interval="1ms", concurrency=CONCURRENCY)


class MissingError(Exception):
    """What a peer needs is not installed."""


@dataclass(frozen=True)
class Server:
    """A process that serves a page."""

    process: Process
    port: int

    @property
    def pid(self) -> int:
        """Its id."""
        return self.process._popen.pid

    def wait_until_ready(self) -> None:
        """Wait until the exporter has polled every organization."""
        wait(lambda: answers(self.port, "/-/ready"), "ready", within=READY_WITHIN, look_every=0.1)

    def page(self) -> str:
        """Return the page as text."""
        return get(self.port, "/metrics", {"Accept": TEXT}).text


def answers(port: int, path: str) -> bool:
    """Tell whether a path is answered with success."""
    client = Client(port)
    try:
        client.get(path)
    except OSError:
        return False
    finally:
        client.close()
    return True


# --- Built with Go ---


def built(folder: Path, name: str) -> Path:
    """Build a program of peers/, once. Raises MissingError."""
    program = folder / name
    if program.exists():
        return program
    if not shutil.which("go") or not DEBIAN_GO.is_dir():
        raise MissingError("golang-go is not installed")
    environ = os.environ | {"GO111MODULE": "off", "GOPATH": str(DEBIAN_GO)}
    made = subprocess.run(
        ["go", "build", "-o", program, f"./{name}"],
        cwd=PEERS,
        env=environ,
        check=False,
        timeout=BUILD_WITHIN,
    )
    if made.returncode:
        raise MissingError(f"cannot be built: is {GO_PACKAGES[name]} installed?")
    return program


# --- The billing server ---


class Requests(NamedTuple):
    """How many reads were asked for, and when the first and the last, in Unix seconds."""

    number: int
    first: float
    last: float

    @property
    def seconds(self) -> float:
        """From the first to the last."""
        return self.last - self.first


@dataclass(frozen=True)
class Billing:
    """A billing server."""

    port: int
    control: int
    ca_file: Path | None  # that it serves TLS with

    def connections(self) -> int:
        """Return how many there were so far."""
        return self._ask("/stats")["connections"]

    def requests(self) -> Requests:
        """Return what it was asked so far."""
        told = self._ask("/stats")
        return Requests(told["requests"], told["first"] / 1e9, told["last"] / 1e9)

    def bump(self, org_id: str) -> float:
        """Change an organization's amounts; returns when an answer said so, in Unix seconds."""
        return float(self._ask(f"/bump?organization={org_id}")["Sent"]) / 1e9

    def _ask(self, path: str) -> dict[str, int]:
        told: dict[str, int] = json.loads(get(self.control, path).body)
        return told


@contextmanager
def billing(folder: Path, count: int, *, tls: bool = False, **options: Any) -> Iterator[Billing]:
    """Run a billing server while inside, with options of peers/billing. Raises MissingError."""
    program = built(folder, "billing")
    authority = Authority(folder) if tls else None
    if authority:
        options["certificate"], options["key"] = authority.issue("billing", "IP:127.0.0.1")
    flags = [f"-{name}={value}" for name, value in options.items()]
    with running(program, f"-data={answers_of(folder, count)}", *flags) as process:
        ports = process.stdout.wait_for(r"api (\d+) control (\d+)")
        yield Billing(int(ports[1]), int(ports[2]), authority.crt if authority else None)


def answers_of(folder: Path, count: int) -> Path:
    """Return the file of answers for so many organizations, written once."""
    file = folder / f"answers-{count}"
    return file if file.exists() else data.write_answers(file, count)


# --- Servers of a page ---


@contextmanager
def exporter(
    folder: Path,
    count: int,
    upstream: Billing,
    polling: Polling = RARELY,
    program: Sequence[str] = EXPORTER,
) -> Iterator[Server]:
    """Run our exporter while inside."""
    file = data.write_configuration(
        folder / "exporter.yml", count, upstream.port, polling, upstream.ca_file
    )
    with launched(f"--config.file={file}", program=program) as server:
        server.process.stderr.wait_for("msg=serving", READY_WITHIN)
        yield server


@contextmanager
def launched(*arguments: str, program: Sequence[str] = EXPORTER) -> Iterator[Server]:
    """Start our exporter; whether it serves yet is for the caller to see."""
    port = free_port()
    listen = f"--web.listen-address=127.0.0.1:{port}"
    with running(*program, listen, *arguments, environ=TESTS) as process:
        yield Server(process, port)


@contextmanager
def nginx(folder: Path, plain: bytes, compressed: bytes) -> Iterator[Server]:
    """Run nginx on the very bytes of a page. Raises MissingError."""
    if not shutil.which("nginx"):
        raise MissingError("nginx-light is not installed")
    port = free_port()
    (folder / "metrics").write_bytes(plain)
    (folder / "metrics.gz").write_bytes(compressed)
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
        events {{}}
        http {{
            access_log off; sendfile on; tcp_nopush on;
            keepalive_timeout 1h; keepalive_requests 1000000;
            client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
            uwsgi_temp_path {folder}; scgi_temp_path {folder};
            types {{}} default_type "{OPENMETRICS}";
            server {{ listen 127.0.0.1:{port}; root {folder}; gzip_static on; }}
        }}
        """
    )
    with running("nginx", "-e", "stderr", "-c", str(folder / "nginx.conf")) as process:
        wait(lambda: answers(port, "/metrics"), "nginx serves", within=10, look_every=0.05)
        yield Server(process, port)


@contextmanager
def aiohttp(folder: Path, plain: bytes, compressed: bytes) -> Iterator[Server]:
    """Run the server that we use on prepared bytes, without anything of ours."""
    files = folder / "plain", folder / "compressed"
    for file, content in zip(files, (plain, compressed), strict=True):
        file.write_bytes(content)
    with _peer("aiohttp_server", *files) as server:
        yield server


@contextmanager
def prometheus_client(page: Path) -> Iterator[Server]:
    """Run the client library for Python on the series of a page."""
    with _peer("prometheus_client_server", page) as server:
        yield server


@contextmanager
def _peer(name: str, *files: Path) -> Iterator[Server]:
    """Run a server of ours in Python, which says on which port it listens."""
    with running(sys.executable, "-m", f"bench.peers.{name}", *files, environ=TESTS) as process:
        yield Server(process, int(process.stdout.wait_for(r"port (\d+)", READY_WITHIN)[1]))


@contextmanager
def promhttp(folder: Path, page: Path) -> Iterator[Server]:
    """Run the client library for Go on the series of a page. Raises MissingError."""
    with running(built(folder, "promhttp"), f"-page={page}") as process:
        yield Server(process, int(process.stdout.wait_for(r"port (\d+)", READY_WITHIN)[1]))


def bare_loop(upstream: Billing, count: int, concurrency: int, rounds: int = 1) -> float:
    """Poll with gRPC alone, to the end; returns the seconds of processor time it took."""
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "bench.peers.bare_loop"),
            *map(str, (upstream.port, count, concurrency, rounds)),
        ],
        env=os.environ | TESTS,
        stdout=subprocess.PIPE,
        check=True,
        timeout=READY_WITHIN,
    )
    return float(ended.stdout)
