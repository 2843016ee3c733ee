"""The public command as a process: started, asked, reloaded and stopped as its users do."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from exporter.flags import parser
from exporter.simulator import demo_fleet
from support.process import (
    EXPORTER,
    TOOL,
    Exporter,
    Process,
    exporter,
    free_port,
    get,
    parse,
    running,
    until,
)

ACCOUNTS = demo_fleet(1)
UP = "viam_billing_up"


@contextmanager
def simulator(port: int, *arguments: str) -> Iterator[Process]:
    """Run the simulated service of the demo's companies on a port."""
    listen = f"--listen-address=127.0.0.1:{port}"
    with running(*TOOL, "simulate", listen, "--seed=1", *arguments) as process:
        process.stderr.wait_for(r"127\.0\.0\.1:\d+")
        yield process


def configuration(port: int, count: int = 2, **changes: object) -> dict[str, object]:
    """Return a configuration for the first of the demo's companies."""
    return {
        "api": {"address": f"127.0.0.1:{port}", "tls": False, "timeout": "2s"},
        "poll": {"interval": "1s"},
        "organizations": [
            {
                "id": account.id,
                "name": account.name,
                "credentials": {"api_key_id": account.api_key_id, "api_key": account.api_key},
            }
            for account in ACCOUNTS[:count]
        ],
    } | changes


def write(folder: Path, document: Mapping[str, object]) -> Path:
    """Write a configuration file."""
    file = folder / "exporter.yml"
    file.touch(0o600)  # there are keys in it
    file.write_text(yaml.safe_dump(document))
    return file


def up(running_exporter: Exporter) -> dict[str, float]:
    """Return viam_billing_up by organization id."""
    page = parse(running_exporter.scrape())
    return {dict(labels)["org_id"]: value for (name, labels), value in page.items() if name == UP}


def run(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, in an empty environment."""
    return subprocess.run(
        [*EXPORTER, *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
        env={"PATH": "/usr/bin:/bin", **environ},
    )


# --- The three ways in ---


def test_a_configuration_file_says_what_to_poll(tmp_path: Path) -> None:
    """And the log says what is served, once, and nothing of a scrape."""
    port, storage = free_port(), f"--storage.path={tmp_path / 'state'}"
    file = write(tmp_path, configuration(port))
    with simulator(port), exporter(f"--config.file={file}", storage) as it:
        it.wait_until_ready()
        assert up(it) == {ACCOUNTS[0].id: 1.0, ACCOUNTS[1].id: 1.0}
        it.process.stop()
        # Who runs this as root is warned of it.
        lines = [line for line in it.process.stderr.text.splitlines() if "level=info" in line]
        assert [line.split("msg=")[1].split()[0] for line in lines] == ["serving", "stopping"]
        assert "organizations=2" in lines[0]


def test_between_polls_it_sleeps(tmp_path: Path) -> None:
    """No thread of gRPC's is left, and nothing runs by the clock but a look at the date."""
    port = free_port()
    file = write(tmp_path, configuration(port, poll={"interval": "1h"}))
    with simulator(port), exporter(f"--config.file={file}") as it:
        it.wait_until_ready()
        of_grpc = ("grpc", "event_engine", "lifeguard", "timer")
        until(lambda: not any(t.startswith(of_grpc) for t in it.process.threads), "idle")

        def sleeps() -> bool:
            before = it.process.waits
            with pytest.raises(subprocess.TimeoutExpired):
                it.process.wait(5.0)
            return 0 <= it.process.waits - before <= 2

        until(sleeps, "asleep for five seconds", timeout=60.0)


def test_the_environment_says_it_for_one_account(tmp_path: Path) -> None:
    """Without a file, and with none at the default place."""
    account = ACCOUNTS[0]
    environ = {
        "VIAM_ORG_ID": account.id,
        "VIAM_API_KEY_ID": account.api_key_id,
        "VIAM_API_KEY": account.api_key,
    }
    checked = subprocess.run(
        [*EXPORTER, "--config.check"],
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", **environ},
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == "the configuration is valid: 1 organization\n"
    doubted = subprocess.run(
        [*EXPORTER, "--config.check"],
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", **environ, "VIAM_ORG_ID": "MyOrg"},
    )
    assert (doubted.returncode, doubted.stdout) == (0, checked.stdout)
    assert doubted.stderr.startswith("viam-billing-exporter: VIAM_ORG_ID is not a UUID")


def test_with_nothing_to_poll_the_message_names_the_three_ways_in(tmp_path: Path) -> None:
    """A file, the environment, the demo."""
    ended = subprocess.run(
        [*EXPORTER],
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    for way in ("--config.file", "VIAM_API_KEY_ID", "VIAM_API_KEY", "--demo"):
        assert way in line


# --- Checking ---


def test_config_check_says_everything_that_is_wrong(tmp_path: Path) -> None:
    """Each with file, line, key path and rule; no traceback, no secret; exit code 1."""
    file = tmp_path / "bad.yml"
    file.write_text(
        "poll:\n  interval: soon\norganizations:\n- id: a\n  budget_usd: -1\n"
        "  credentials: {api_key_id: k, api_key: the-secret, api_key_file: f}\n"
    )
    ended = run(f"--config.file={file}", "--config.check")
    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    assert [line.split(": ")[0:2] for line in lines] == [
        [f"{file}:2", "poll.interval"],
        [f"{file}:5", "organizations[0].budget_usd"],
        [f"{file}:6", "organizations[0].credentials"],
        [f"{file}:6", "organizations[0].credentials.api_key_file"],
    ]
    assert "the-secret" not in ended.stderr + ended.stdout
    assert run(f"--config.file={file}").returncode == 1


def test_a_configuration_that_is_not_there_is_one_line() -> None:
    """What is wrong, and where."""
    ended = run("--config.file=/does/not/exist.yml")
    assert ended.returncode == 1
    assert ended.stderr == "/does/not/exist.yml: cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    "flag",
    [
        "--no-such-flag",
        "--web.listen-address=8426",
        "--web.listen-address=:99999",
        "--web.telemetry-path=metrics",
        "--web.telemetry-path=/config",
        "--web.telemetry-path=/api/metrics",
        "--web.telemetry-path=/-/healthy",
        "--log.level=loud",
    ],
)
def test_wrong_usage_is_exit_code_2(flag: str) -> None:
    """With the usage and one line that names the flag."""
    ended = run(flag)
    assert ended.returncode == 2
    assert flag.split("=", maxsplit=1)[0] in ended.stderr.splitlines()[-1]


def test_help_names_every_flag_and_exits_with_0() -> None:
    """A newcomer finds the three ways in there, too."""
    ended = run("--help")
    assert ended.returncode == 0
    for action in parser()._actions:
        assert action.option_strings[-1] in ended.stdout
    assert "VIAM_ORG_ID" in ended.stdout


def test_version_names_the_program() -> None:
    """The installed distribution's version."""
    ended = run("--version")
    assert ended.returncode == 0
    assert ended.stdout.startswith("viam-billing-exporter 0.")


# --- Serving ---


def test_an_unreachable_api_is_in_the_metrics_and_once_in_the_log(tmp_path: Path) -> None:
    """It serves at once, logs a change of state and not each attempt, and recovers by itself."""
    port = free_port()
    with exporter(f"--config.file={write(tmp_path, configuration(port, 1))}") as it:
        assert get(it.port, "/metrics").status == 200
        it.wait_until_ready()  # readiness is about having polled
        failing = 'cause="outage",collector="usage"'
        assert failing in it.scrape()
        assert up(it) == {ACCOUNTS[0].id: 0.0}

        def attempts() -> float:
            page = parse(it.scrape())
            return sum(v for (n, _), v in page.items() if n.endswith("api_request_failures_total"))

        until(lambda: attempts() >= 9, "several polls have failed")
        failures = [line for line in it.process.stderr.text.splitlines() if "poll failed" in line]
        assert len(failures) == 3
        for line in failures:
            assert f"org={ACCOUNTS[0].id}" in line
            assert "cause=outage" in line
            assert "level=warning" in line
        with simulator(port):
            until(lambda: up(it) == {ACCOUNTS[0].id: 1.0}, "it has recovered", timeout=60)
            assert failing not in it.scrape()
            log = it.process.stderr.text
            assert log.count("poll succeeded again") == 3
            assert log.count("poll failed") == 3


def test_sighup_adds_and_removes_organizations(tmp_path: Path) -> None:
    """A broken file keeps the old ones, and says so."""
    port = free_port()
    file = write(tmp_path, configuration(port, 2))
    with simulator(port), exporter(f"--config.file={file}") as it:
        it.wait_until_ready()
        three = configuration(port, 3)
        three["organizations"] = three["organizations"][1:]  # type: ignore[index]
        write(tmp_path, three)
        it.process.send(signal.SIGHUP)
        both = {ACCOUNTS[1].id: 1.0, ACCOUNTS[2].id: 1.0}
        until(lambda: up(it) == both, "the new organizations are polled")
        file.write_text("poll: {interval: 0s}\n")
        it.process.send(signal.SIGHUP)
        it.process.stderr.wait_for(r"level=error .*poll\.interval")
        failed = "viam_billing_exporter_config_last_reload_successful 0.0"
        until(lambda: failed in it.scrape(), "the metric says so")
        page = get(it.port, "/").text
        assert page.index("The new configuration was rejected") < page.index("Polling 2 org")
        assert "poll.interval" in page
        assert up(it) == both


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_in_the_middle_of_polls_that_hang(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Within ten seconds, with exit code 0 and no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as blackhole:
        document = configuration(blackhole.getsockname()[1], 2)
        document["api"]["timeout"] = "1h"  # type: ignore[index]
        with exporter(f"--config.file={write(tmp_path, document)}") as it:
            assert get(it.port, "/-/ready").status == 503
            assert (
                "not ready: waiting for the first poll of 2 organizations\n"
                in get(it.port, "/-/ready").text
            )
            it.process.stop(number)
            assert "Traceback" not in it.process.stderr.text


def unsent(port: int) -> int:
    """Return how many bytes wait in the kernel to be sent on connections to a port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return sum(int(each[4][:8], 16) for each in fields if each[1].endswith(f":{port:04X}"))


def test_it_stops_cleanly_while_a_client_does_not_read() -> None:
    """It has five seconds to. What it asked for is more than the system takes from the exporter."""
    request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    seen: list[int] = []

    def is_stuck(port: int) -> bool:
        seen.append(unsent(port))
        return len(seen) > 20 and 0 < seen[-20] == seen[-1]

    with exporter("--demo") as it:
        it.wait_until_ready()
        with socket.create_connection(("127.0.0.1", it.port)) as client:
            client.sendall(request * 300)
            until(lambda: is_stuck(it.port), "nothing more can be sent")
            began = time.monotonic()
            it.process.stop()
            assert time.monotonic() - began > 4


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
def test_an_address_that_no_host_can_have_ends_the_start(host: str, tmp_path: Path) -> None:
    """With one line that says so."""
    file = write(tmp_path, configuration(free_port()))
    ended = run(f"--config.file={file}", f"--web.listen-address={host}:0")
    assert ended.returncode == 1
    assert f"cannot listen on {host}:0: the host's name is not valid" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_libraries_would_read_from_the_environment_ends_nothing(tmp_path: Path) -> None:
    """A log of TLS keys would give away the API's, and gRPC ends the process for some values."""
    keys = tmp_path / "missing" / "keys"
    odd = {"SSLKEYLOGFILE": str(keys), "GRPC_POLL_STRATEGY": "none", "GRPC_EXPERIMENTS": "x"}
    with exporter("--demo", environ=odd) as it:
        it.wait_until_ready()
        assert not keys.exists()
        it.process.stop()
        assert "Traceback" not in it.process.stderr.text


def test_a_storage_that_cannot_be_used_is_told_on_the_status_page(tmp_path: Path) -> None:
    """From the first moment, with the reason: nobody should have to look for it in the log."""
    file = write(tmp_path, configuration(free_port()))
    with exporter(f"--config.file={file}", f"--storage.path={file}") as it:
        page = get(it.port, "/").text
        assert "viam_billing_exporter_storage_last_write_successful 0.0" in it.scrape()
        assert page.index("The storage cannot be used") < page.index("Version")
        assert f"cannot use the storage folder {file}: " in page


def test_an_empty_storage_path_turns_it_off(tmp_path: Path) -> None:
    """A variable of a service manager may be empty; other paths must not be.

    That nothing is stored is said once: in the log, and on the status page.
    """
    file = write(tmp_path, configuration(free_port()))
    said = "no storage: counters and days will be lost when this process ends"
    with exporter(f"--config.file={file}", "--storage.path=") as it:
        assert "viam_billing_exporter_storage" not in it.scrape()
        assert it.process.stderr.text.count(said) == 1
        assert "62 days kept, in memory only" in get(it.port, "/").text
    with exporter(f"--config.file={file}", f"--storage.path={tmp_path / 'state'}") as it:
        assert said not in it.process.stderr.text
        assert "400 days kept<" in get(it.port, "/").text
    ended = run("--config.file=", "--config.check")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "argument --config.file: must not be empty" in ended.stderr


def test_a_taken_address_ends_the_start(tmp_path: Path) -> None:
    """Exit code 1 and one line that says which address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = write(tmp_path, configuration(free_port()))
        ended = run(f"--config.file={file}", f"--web.listen-address=127.0.0.1:{port}")
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: " in ended.stderr
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_it_listens_at_every_address_given(tmp_path: Path) -> None:
    """And warns where others than this machine can come."""
    file = write(tmp_path, configuration(free_port(), 1))
    with exporter(
        f"--config.file={file}", "--web.listen-address=[::1]:0", "--web.listen-address=0.0.0.0:0"
    ) as it:
        served = it.process.stderr.wait_for(r",\[::1\]:(\d+),0\.0\.0\.0:(\d+)")
        assert get(int(served[2]), "/-/healthy").status == 200
        with socket.create_connection(("::1", int(served[1]))) as connection:
            connection.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.0 200 OK")
        warnings = [line for line in it.process.stderr.text.splitlines() if "level=warning" in line]
        assert sum("without authentication" in line for line in warnings) == 1


def test_logs_in_json_are_one_object_a_line(tmp_path: Path) -> None:
    """With org and collector as keys of their own."""
    file = write(tmp_path, configuration(free_port(), 1))
    with running(
        *EXPORTER, f"--config.file={file}", "--web.listen-address=127.0.0.1:0", "--log.format=json"
    ) as process:
        process.stderr.wait_for("poll failed")
        process.stop()
    entries = [json.loads(line) for line in process.stderr.text.splitlines()]
    failed = next(entry for entry in entries if entry["msg"] == "poll failed")
    assert failed["org"] == ACCOUNTS[0].id
    assert failed["collector"] in {"usage", "billing_information", "invoices"}
    assert {"ts", "level", "cause", "code", "reason"} <= failed.keys()


def test_a_key_file_that_vanishes_is_a_failed_poll_and_not_an_end(tmp_path: Path) -> None:
    """And when it comes back with another key, that is the one that is used."""
    port = free_port()
    key = tmp_path / "key"
    key.write_text(ACCOUNTS[0].api_key)
    document = configuration(port, 1)
    credentials = {"api_key_id": ACCOUNTS[0].api_key_id, "api_key_file": "key"}
    document["organizations"][0]["credentials"] = credentials  # type: ignore[index]
    file = write(tmp_path, document)
    with simulator(port, "--token-lifetime=1s"), exporter(f"--config.file={file}") as it:
        it.wait_until_ready()
        assert up(it) == {ACCOUNTS[0].id: 1.0}
        key.unlink()
        until(lambda: 'cause="credentials"' in it.scrape(), "the poll fails")
        assert str(key) in it.process.stderr.text
        key.write_text(ACCOUNTS[0].api_key)
        until(lambda: up(it) == {ACCOUNTS[0].id: 1.0}, "it has recovered")


def test_no_secret_and_no_person_gets_out(tmp_path: Path) -> None:
    """Not on a page, not in a log at debug level."""
    port = free_port()
    file = write(tmp_path, configuration(port, len(ACCOUNTS)))
    with simulator(port), exporter(f"--config.file={file}", "--log.level=debug") as it:
        it.wait_until_ready()
        pages = [get(it.port, path).text for path in ("/", "/metrics", "/config")]
        it.process.stop()
        shown = "\n".join([*pages, it.process.stderr.text, it.process.stdout.text])
    for account in ACCOUNTS:
        assert account.api_key not in shown
        for canary in account.private_values:
            if len(canary) > 4:  # four digits stand in many a number
                assert canary not in shown


# --- The demo ---


def test_the_demo_needs_nothing_and_says_where_to_look() -> None:
    """Addresses to open, and every organization up; made-up bills need no warning."""
    with exporter("--demo") as it:
        it.wait_until_ready()
        assert set(up(it).values()) == {1.0}
        text = it.process.stdout.text
        assert f"http://localhost:{it.port}/ " in text
        assert f"http://localhost:{it.port}/metrics" in text
        it.process.stop(signal.SIGINT)
        lines = [line for line in it.process.stderr.text.splitlines() if "as root" not in line]
        (stopping,) = lines
        assert "msg=stopping" in stopping
