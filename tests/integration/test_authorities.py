"""Whose certificates are trusted: what is checked is what a connection gets."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple

import grpc
import pytest
import yaml
from structlog.testing import capture_logs

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.api.client import BillingClient
from exporter.api.route import find_route
from exporter.config import ApiConfig
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Secret
from exporter.process.clock import SystemClock
from exporter.simulator import SimulatedClock, Simulator
from support.certificates import Authority
from support.process import EXPORTER, TOOL, exporter, free_port, parse, running, until
from support.simulated import ACCOUNTS, FIRST, run

UP = "viam_billing_up"
KEY = ApiKey(FIRST.api_key_id, secret=Secret(FIRST.api_key))
MARK = b"\xef\xbb\xbf"
GRPC_FILE, CERT_FILE, CERT_DIR = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"


class Authorities(NamedTuple):
    """Files and folders with the authority of the service's certificate, or with another one."""

    right: Path
    wrong: Path
    right_folder: Path
    wrong_folder: Path
    pair: tuple[Path, Path]  # the service's certificate, and its key


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    """Return them."""
    right, wrong = (Authority(tmp_path_factory.mktemp(name), name) for name in ("right", "wrong"))
    folders = []
    for each in (right, wrong):
        folder = tmp_path_factory.mktemp("hashed")
        (folder / "authority.pem").write_bytes(each.crt.read_bytes())
        subprocess.run(["openssl", "rehash", folder], check=True)
        (folder / "0123abcd.0").symlink_to("gone.pem")
        folders.append(folder)
    return Authorities(
        right.crt, wrong.crt, folders[0], folders[1], right.issue("localhost", "DNS:localhost")
    )


def source_of(authorities: Authorities, ca_file: Path | None, environ: Mapping[str, str]) -> str:
    """Read a bill over TLS. Returns what the log says of where the trust comes from, or why not."""
    said = []

    async def scenario() -> None:
        certificate, key = (each.read_bytes() for each in authorities.pair)
        simulator = Simulator(ACCOUNTS, SimulatedClock(SystemClock()), rng=Random(1))
        credentials = grpc.ssl_server_credentials([(key, certificate)])
        port = await simulator.start("localhost:0", credentials)
        with capture_logs() as logs:
            api = ApiConfig(address=f"localhost:{port}", ca_file=ca_file, timeout=5.0)
            client = BillingClient.along(
                await find_route(api, environ),
                api,
                user_agent="test",
                telemetry=Telemetry("0", "0"),
                clock=SystemClock(),
            )
        try:
            await client.read(ReadRpc.GET_CURRENT_MONTH_USAGE, FIRST.id, KEY)
            (entry,) = logs
            assert entry["log_level"] == "debug"
            said.append(entry["source"])
        except BillingError as error:
            said.append(str(error))
        finally:
            await client.close()
            await simulator.stop()

    run(scenario())
    return str(said[0])


@pytest.mark.parametrize(
    ("ca_file", "environ", "source"),
    [
        ("right", {GRPC_FILE: "wrong", CERT_FILE: "wrong"}, "api.ca_file"),
        (None, {GRPC_FILE: "right", CERT_FILE: "wrong", CERT_DIR: "wrong_folder"}, GRPC_FILE),
        (None, {CERT_FILE: "right"}, CERT_FILE),
        (None, {CERT_FILE: "right", CERT_DIR: "wrong_folder"}, f"{CERT_FILE} and {CERT_DIR}"),
        (None, {CERT_FILE: "wrong", CERT_DIR: "right_folder"}, f"{CERT_FILE} and {CERT_DIR}"),
        (None, {CERT_DIR: "right_folder"}, CERT_DIR),
        (None, {CERT_DIR: "wrong_folder:right_folder"}, CERT_DIR),
        (None, {GRPC_FILE: "", CERT_FILE: "right"}, CERT_FILE),
    ],
)
def test_the_first_place_that_is_named_says_whom_to_trust(
    ca_file: str | None, environ: dict[str, str], source: str, authorities: Authorities
) -> None:
    """`api.ca_file`, gRPC's variable, OpenSSL's two variables: said at debug."""
    environ = {
        name: ":".join(str(getattr(authorities, each)) for each in value.split(":") if each)
        for name, value in environ.items()
    }
    file = getattr(authorities, ca_file) if ca_file else None
    assert source_of(authorities, file, environ) == source


@pytest.mark.parametrize(
    ("ca_file", "environ"),
    [
        ("wrong", {CERT_FILE: "right"}),
        (None, {GRPC_FILE: "wrong", CERT_FILE: "right"}),
        (None, {CERT_FILE: "wrong"}),
        (None, {}),
    ],
)
def test_no_later_place_adds_to_it(
    ca_file: str | None, environ: dict[str, str], authorities: Authorities
) -> None:
    """What somebody narrows is narrow."""
    environ = {name: str(getattr(authorities, value)) for name, value in environ.items()}
    file = getattr(authorities, ca_file) if ca_file else None
    assert "its certificate is not trusted" in source_of(authorities, file, environ)


@pytest.mark.parametrize("before", [MARK, b"# ours\n", b"-----BEGIN X-----\n\n-----END X-----\n"])
def test_a_file_that_is_taken_is_trusted(
    before: bytes, authorities: Authorities, tmp_path: Path
) -> None:
    """By itself gRPC would trust nothing in a file with a byte order mark, and say so to nobody."""
    file = tmp_path / "ca.pem"
    file.write_bytes(before + authorities.right.read_bytes() + b"\r\nthe end")
    assert source_of(authorities, file, {}) == "api.ca_file"
    assert source_of(authorities, None, {CERT_FILE: str(file)}) == CERT_FILE


def test_a_reload_takes_another_authority_under_the_same_name(
    authorities: Authorities, tmp_path: Path
) -> None:
    """The file is read with the configuration, so a new one is for the connection, too."""
    file, ca_file = tmp_path / "exporter.yml", tmp_path / "ca.pem"
    ca_file.write_bytes(authorities.wrong.read_bytes())
    port = free_port()
    credentials = {"api_key_id": KEY.id, "api_key": FIRST.api_key}
    document = {
        "api": {"address": f"localhost:{port}", "ca_file": str(ca_file)},
        "poll": {"interval": "1s"},
        "organizations": [{"id": FIRST.id, "credentials": credentials}],
    }
    file.touch(0o600)
    file.write_text(yaml.safe_dump(document))
    tls = (f"--tls-cert={authorities.pair[0]}", f"--tls-key={authorities.pair[1]}")
    service = (*TOOL, "simulate", f"--listen-address=localhost:{port}", "--seed=1", *tls)
    with running(*service) as simulator, exporter(f"--config.file={file}") as it:
        simulator.stderr.wait_for(rf":{port}")

        def up() -> bool:
            values = [value for (name, _), value in parse(it.scrape()).items() if name == UP]
            return values == [1.0]

        it.wait_until_ready()
        assert not up()
        ca_file.write_bytes(authorities.right.read_bytes())
        it.process.send(signal.SIGHUP)
        until(up, "the new authority is trusted")


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        (CERT_FILE, "missing.pem", "must name a file that can be read: No such file or directory"),
        (CERT_FILE, "empty.pem", "must name a file with PEM certificates"),
        (CERT_FILE, "folder", "must name a regular file"),
        (GRPC_FILE, "empty.pem", "must name a file with PEM certificates"),
        (CERT_DIR, "missing", "must name a folder that can be read: No such file or directory"),
        (CERT_DIR, "folder", "must name a folder with certificates that `openssl rehash` has "),
        (CERT_DIR, "damaged", "must name a folder with intact PEM certificates: one is "),
        (CERT_DIR, "large", "must not be larger than 4 MB"),
    ],
)
@pytest.mark.parametrize(
    "command", [(*EXPORTER, "--config.check"), (*TOOL, "check")], ids=["config.check", "check"]
)
def test_what_a_variable_names_is_checked_with_the_configuration(
    variable: str, value: str, rule: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    """In place of polls that all fail, or of authorities that nobody asked for."""
    file = tmp_path / "exporter.yml"
    file.touch(0o600)
    credentials = {"api_key_id": KEY.id, "api_key": FIRST.api_key}
    file.write_text(yaml.safe_dump({"organizations": [{"id": "a", "credentials": credentials}]}))
    (tmp_path / "empty.pem").touch()
    for name, content in (
        ("damaged", b"-----BEGIN CERTIFICATE-----\n"),
        ("large", b"\n" * 3000000),
    ):
        (tmp_path / name).mkdir()
        for number in range(2):
            (tmp_path / name / f"0123abcd.{number}").write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "not-hashed.pem").touch()
    environ = {variable: str(tmp_path / value)}
    with running(*command, f"--config.file={file}", environ=environ) as process:
        assert process.wait() == 1
    (line,) = process.stderr.text.splitlines()
    assert line.startswith(f"environment: {variable}: {rule}")
