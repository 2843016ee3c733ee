"""`viam-billing simulate`: a process of its own, unless it ends before it serves."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import ssl
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import yaml

from exporter import tool
from exporter.base.address import Address
from exporter.config import load
from exporter.pb import auth_pb2, billing_pb2
from exporter.simulator import configuration, demo_fleet, fleet
from exporter.tool.simulate import reachable
from support.certificates import Authority
from support.process import TOOL

COMMAND = [*TOOL, "simulate"]
ANY_PORT = "--listen-address=127.0.0.1:0"
PATIENCE = 30  # seconds before a test gives up on a process


@contextmanager
def simulate(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command; kill it if the test has not stopped it."""
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def announcement(process: subprocess.Popen[str]) -> str:
    """Return the line on standard error that says where the process listens."""
    assert process.stderr
    return process.stderr.readline()


def stop(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> str:
    """Stop the process as a user does and return its output; it must succeed, silently."""
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    return output


async def usage(settings: dict[str, Any]) -> billing_pb2.GetCurrentMonthUsageResponse:
    """Read the first configured organization's usage, with nothing but the configuration."""
    organization = settings["organizations"][0]
    # A connection of its own: an older one may have failed, and would wait before it tries again.
    alone = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.insecure_channel(settings["api"]["address"], alone) as channel:
        authenticate: grpc.aio.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
            "/proto.rpc.v1.AuthService/Authenticate",
            request_serializer=auth_pb2.AuthenticateRequest.SerializeToString,
            response_deserializer=auth_pb2.AuthenticateResponse.FromString,
        )
        read: grpc.aio.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
            "/viam.app.v1.BillingService/GetCurrentMonthUsage",
            request_serializer=billing_pb2.GetCurrentMonthUsageRequest.SerializeToString,
            response_deserializer=billing_pb2.GetCurrentMonthUsageResponse.FromString,
        )
        key = organization["credentials"]
        credentials = auth_pb2.Credentials(type="api-key", payload=key["api_key"])
        token = await authenticate(
            auth_pb2.AuthenticateRequest(entity=key["api_key_id"], credentials=credentials),
            timeout=PATIENCE,
        )
        answer: billing_pb2.GetCurrentMonthUsageResponse = await read(
            billing_pb2.GetCurrentMonthUsageRequest(org_id=organization["id"]),
            metadata=(("authorization", f"Bearer {token.access_token}"),),
            timeout=PATIENCE,
        )
        return answer


def test_the_printed_configuration_opens_the_service() -> None:
    """Standard output is a configuration, and with it alone a bill can be read."""
    with simulate(ANY_PORT) as process:
        line = announcement(process)
        port = re.search(r"simulating 8 organizations on 127\.0\.0\.1:(\d+); ", line)
        assert port
        # All of standard output was written before that line, and it fits into the pipe.
        output = stop(process)
    settings = yaml.safe_load(output)
    assert settings["api"] == {"address": f"127.0.0.1:{port[1]}", "tls": False}
    assert settings["poll"] == {"interval": "15s"}
    assert [org["name"] for org in settings["organizations"]] == [a.name for a in demo_fleet(1)]


def test_the_written_configuration_opens_the_service(tmp_path: Path) -> None:
    """--config-out writes it to a file for its owner only, and the bill is there to be read."""
    file = tmp_path / "simulated.yml"
    file.write_text("something else, open to all")
    file.chmod(0o644)
    with simulate(ANY_PORT, "--organizations=3", f"--config-out={file}") as process:
        line = announcement(process)
        assert line.startswith("simulating 3 organizations on 127.0.0.1:")
        assert line.endswith(f"viam-billing-exporter --config.file={file}\n")
        settings = yaml.safe_load(file.read_text())
        answer = asyncio.run(usage(settings))
        assert stop(process) == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(settings["organizations"]) == 3
    assert answer.start_date.seconds < answer.end_date.seconds
    assert answer.resource_usage_costs_by_source


def test_the_configuration_is_one_that_the_exporter_loads(tmp_path: Path) -> None:
    """The exporter reads the configuration as it was meant, names and budgets included."""
    accounts = demo_fleet(1)
    file = tmp_path / "simulated.yml"
    file.write_text(configuration(accounts, "127.0.0.1:8427", poll_interval="1m"))
    loaded = load(file, {}, frozenset())
    assert [org.id for org in loaded.organizations] == [a.id for a in accounts]
    assert [org.name for org in loaded.organizations] == [a.name for a in accounts]
    assert [org.budget_usd for org in loaded.organizations] == [a.budget_usd for a in accounts]
    keys = [org.api_key.secret for org in loaded.organizations]
    assert [key.reveal() for key in keys if key] == [a.api_key for a in accounts]
    assert {org.interval for org in loaded.organizations} == {60.0}
    assert {org.labels["team"] for org in loaded.organizations} == {a.team for a in accounts}


def status(settings: dict[str, Any]) -> str:
    """Return the status that reading the first configured organization's usage ends with."""
    try:
        asyncio.run(usage(settings))
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    return "OK"


def test_faults_of_the_command_line_hit(tmp_path: Path) -> None:
    """Several at once, of calls and of connections."""
    file = tmp_path / "simulated.yml"
    faults = ["--fault=not-found:times=1", "--fault=reset:every=3"]
    with simulate(ANY_PORT, f"--config-out={file}", *faults) as process:
        announcement(process)
        settings = yaml.safe_load(file.read_text())
        # Calls: Authenticate; Authenticate, usage with its connection reset; both, at last.
        assert [status(settings) for _ in range(3)] == ["NOT_FOUND", "UNAVAILABLE", "OK"]
        stop(process)


def test_a_hangup_reads_the_fault_file_again(tmp_path: Path) -> None:
    """SIGHUP puts its faults in force; with an error, the old ones stay, and it is printed."""
    file, faults = tmp_path / "simulated.yml", tmp_path / "faults"
    faults.write_text("# nothing yet\n")
    with simulate(ANY_PORT, f"--config-out={file}", f"--fault-file={faults}") as process:
        announcement(process)
        settings = yaml.safe_load(file.read_text())
        assert status(settings) == "OK"
        for text, line, expected in (
            ("aborted\n", "viam-billing: fault file reloaded; faults: 1\n", "ABORTED"),
            ("hang\nnonsense\n", f"viam-billing: {faults}:2: unknown fault 'nonsense'", "ABORTED"),
            ("refuse\n", "viam-billing: fault file reloaded; faults: 1\n", "UNAVAILABLE"),
            ("", "viam-billing: fault file reloaded; faults: 0\n", "OK"),
        ):
            faults.write_text(text)
            process.send_signal(signal.SIGHUP)
            assert announcement(process).startswith(line)
            assert status(settings) == expected
        stop(process)


def test_tls_is_in_the_configuration(tmp_path: Path) -> None:
    """With a certificate the service is encrypted, and the exporter is told what to trust."""
    file, key, certificate = (tmp_path / name for name in ("simulated.yml", "key", "cert"))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"]
    command += ["ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=simulated"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    subprocess.run(
        [*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    tls = [f"--tls-cert={certificate}", f"--tls-key={key}"]
    with simulate(ANY_PORT, f"--config-out={file}", *tls) as process:
        announcement(process)
        api = yaml.safe_load(file.read_text())["api"]
        assert api.items() >= {"tls": True, "ca_file": str(certificate)}.items()
        host, _, port = api["address"].partition(":")
        context = ssl.create_default_context(cafile=api["ca_file"])
        with (
            socket.create_connection((host, int(port)), PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            assert encrypted.version()
        process.send_signal(signal.SIGHUP)
        assert announcement(process) == "viam-billing: fault file reloaded; faults: 0\n"
        stop(process)
    assert load(file, {}, frozenset()).api.tls


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["--fault=nonsense"], 2, "--fault: unknown fault 'nonsense': known are unavailable, "),
        (["--fault=nan:share=7"], 2, "--fault: nan: share=7: must be a number from 0 to 1"),
        (["--fault=hang:organization=9"], 2, "must be an id, or a number from 1 to 8"),
        (["--tls-key=key.pem"], 2, "--tls-key and --tls-ca need --tls-cert"),
        (["--fault-file=missing/faults"], 1, "missing/faults: No such file or directory"),
        (["--tls-cert=missing.pem"], 1, "missing.pem: no certificate with its key: No such file"),
    ],
)
def test_a_mistake_in_what_to_rehearse_is_one_clear_line(
    arguments: list[str], code: int, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage ends with 2, a file that is not there with 1."""
    assert tool.main(["simulate", ANY_PORT, *arguments]) == code
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.startswith("viam-billing: ")
    assert line in errors
    assert errors.count("\n") == 1


def test_an_encrypted_key_is_refused_and_asks_for_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It would ask for the password at the terminal, and hang at a reload."""
    certificate, key = Authority(tmp_path).issue("simulated", "IP:127.0.0.1")
    locked = tmp_path / "locked.key"
    command = ["openssl", "pkcs8", "-topk8", "-passout", "pass:word", "-in", str(key)]
    subprocess.run([*command, "-out", str(locked)], check=True)
    tls = (f"--tls-cert={certificate}", f"--tls-key={locked}")
    assert tool.main(["simulate", ANY_PORT, *tls]) == 1
    assert capfd.readouterr().err == (
        f"viam-billing: {certificate}: no certificate with its key: the key must not be encrypted: "
        "there is no way to ask for a password\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly(number: signal.Signals) -> None:
    """Control-C and a service manager's signal both end it with 0 and without a traceback."""
    with simulate(ANY_PORT) as process:
        announcement(process)
        stop(process, number)


def test_a_taken_port_is_one_clear_line(capfd: pytest.CaptureFixture[str]) -> None:
    """A port that is in use ends the start with 1, and a line that names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert tool.main(["simulate", f"--listen-address={address}"]) == 1
    output, errors = capfd.readouterr()
    assert output == ""
    assert re.fullmatch(
        rf"viam-billing: cannot listen on {address}: Address already in use.*\n", errors
    )


def test_a_file_that_cannot_be_written_is_one_clear_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A configuration file in a missing directory ends the start with 1, and is named."""
    file = tmp_path / "missing" / "simulated.yml"
    assert tool.main(["simulate", ANY_PORT, f"--config-out={file}"]) == 1
    output, errors = capfd.readouterr()
    assert output == ""
    assert re.fullmatch(rf"viam-billing: .*{re.escape(str(file))}.*\n", errors)


@pytest.mark.parametrize("address", [":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:0"])
def test_other_machines_are_shut_out(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    """An address beyond loopback is refused, with the way to allow it."""
    assert tool.main(["simulate", f"--listen-address={address}"]) == 2
    errors = capfd.readouterr().err
    assert errors.count("\n") == 1
    assert f"could reach {address}: " in errors
    assert "--allow-remote" in errors


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("--listen-address=8427", "write host:port"),
        ("--listen-address=::1:8427", "write host:port"),
        ("--listen-address=127.0.0.1:65536", "write host:port"),
        ("--organizations=0", "must be a number from 1 to 100000"),
        ("--organizations=1.5", "must be a whole number"),
        ("--organizations=many", "must be a number from 1 to 100000"),
        ("--error-rate=1.5", "must be a number from 0 to 1"),
        ("--error-rate=nan", "must be a number from 0 to 1"),
        ("--speed=0", "must be a number from 0.001 to 100000"),
        ("--latency=50", "must be a duration with a unit"),
        ("--poll-interval=0s", "must be above zero"),
        ("--token-lifetime=soon", "must be a duration with a unit"),
        ("--listen=127.0.0.1:0", "unknown flag --listen: did you mean --listen-address?"),
    ],
)
def test_wrong_usage_is_explained(
    argument: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A bad argument ends with 2, and the line says which one and what it may be."""
    with pytest.raises(SystemExit) as ended:
        tool.main(["simulate", argument])
    assert ended.value.code == 2
    errors = capfd.readouterr().err
    assert argument.split("=", maxsplit=1)[0] in errors
    assert reason in errors


def test_help_explains_itself(capfd: pytest.CaptureFixture[str]) -> None:
    """--help of the command and of the sub-command succeed, the latter with an example."""
    for argv, word in ((["--help"], "simulate"), (["simulate", "--help"], "--speed=8640")):
        with pytest.raises(SystemExit) as ended:
            tool.main(argv)
        assert ended.value.code == 0
        assert word in capfd.readouterr().out


def test_a_command_is_needed(capfd: pytest.CaptureFixture[str]) -> None:
    """Without a sub-command the usage is shown, and the code is 2."""
    with pytest.raises(SystemExit) as ended:
        tool.main([])
    assert ended.value.code == 2
    assert capfd.readouterr().err.startswith("usage: viam-billing ")


@pytest.mark.parametrize(
    ("listening", "target"),
    [
        ("", "127.0.0.1:8427"),
        ("0.0.0.0", "127.0.0.1:8427"),
        ("::", "127.0.0.1:8427"),
        ("::1", "[::1]:8427"),
        ("192.0.2.1", "192.0.2.1:8427"),
    ],
)
def test_every_interface_is_reached_by_loopback(listening: str, target: str) -> None:
    """The configuration has an address that an exporter on the same machine can connect to."""
    assert str(reachable(Address(listening, 8427))) == target


def test_names_that_look_like_variables_stay_names() -> None:
    """What the exporter would expand, quote or read as YAML comes through as it is."""
    names = ["${HOME}", "yes", "# none", "a: b", '"', "null", "1e3", "Ørn\u2028", "- x"]
    account = demo_fleet(1)[0]
    text = configuration(
        [replace(account, name=name) for name in names], "192.0.2.1:1", insecure=True
    )
    settings = yaml.safe_load(text)
    assert settings["api"] == {"address": "192.0.2.1:1", "tls": False, "insecure": True}
    read = [org["name"].replace("$${", "${") for org in settings["organizations"]]
    assert read == names
    assert settings["organizations"][0]["name"] == "$${HOME}"


def test_a_configuration_can_be_edited() -> None:
    """A variable in place of a key needs no quotes, as it would within braces."""
    text = configuration(demo_fleet(1), "127.0.0.1:8427")
    assert not set("{}") & set(text)
    key = demo_fleet(1)[0].api_key
    edited = yaml.safe_load(text.replace(f"api_key: {key}", "api_key: ${VIAM_API_KEY}"))
    assert edited["organizations"][0]["credentials"]["api_key"] == "${VIAM_API_KEY}"


def test_the_configuration_of_ten_thousand_fits_into_a_file(tmp_path: Path) -> None:
    """The exporter refuses files above 2 MB."""
    accounts = fleet(10_000)
    file = tmp_path / "simulated.yml"
    file.write_text(configuration(accounts, "127.0.0.1:8427"))
    loaded = load(file, {}, frozenset())
    assert [org.name for org in loaded.organizations] == [a.name for a in accounts]
