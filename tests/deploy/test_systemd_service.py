"""The units under a systemd that really runs, installed and used as their README says."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from exporter.simulator import demo_fleet
from support import installed
from support.booted import Machine, booted
from support.certificates import Authority
from support.documents import Block, blocks, commands_of
from support.process import PATIENCE, PYTHON, ROOT, TOOL, free_port, get, parse, running, until

README: Final = "deploy/systemd/README.md"
SERVICE: Final = "viam-billing-exporter.service"
SOCKET: Final = "viam-billing-exporter.socket"
OPT: Final = "opt/viam-billing-exporter"
ETC: Final = "etc/viam-billing-exporter"
DEFAULT: Final = "etc/default/viam-billing-exporter"
KEYS: Final = ("acme", "second", "third")  # names of their files; the page has the first
# Python is not where it was built for, and its library may not be where others look for theirs.
LIBRARIES: Final = "LD_LIBRARY_PATH=/opt/python/lib"
DROP_IN: Final = f"""\
[Service]
Environment={LIBRARIES}
StandardError=append:/var/log/exporter.log
RestartSec=0
"""
ACCOUNTS: Final = demo_fleet(1)
# Where systemd lets DynamicUser= have its users.
DYNAMIC: Final = range(0xEF00, 0xFFF0)


def commands(containing: str) -> Block:
    """Return the block of commands that has a text in it."""
    (found,) = (b for b in commands_of(README, __file__) if containing in b.text)
    return found


def file(name: str) -> str:
    """Return a file that the page shows."""
    (found,) = (b for b in blocks(ROOT / README) if (b.kind, b.rest) == ("file", name))
    return found.text


@dataclass(frozen=True)
class Installed:
    """A machine on which somebody followed the page."""

    machine: Machine
    port: int  # where the exporter listens
    api: int  # where the simulated service does

    def type(self, block: Block, typed: str = "") -> str:
        """Run commands of the page; returns what they printed."""
        script = f"cd /checkout\n{block.text}"
        return self.machine.run("sh", "-euc", script, typed=typed).stdout

    def write(self, path: str, text: str) -> None:
        """Write a file into the machine, readable for all."""
        where = self.machine.root / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)
        where.chmod(0o644)

    def configure(self, *ordinals: int, **changes: object) -> None:
        """Write the page's configuration, but with companies that the simulated service knows."""
        document: dict[str, Any] = yaml.safe_load(file("exporter.yml"))
        key_file = document["credentials"]["api_key_file"]
        document["credentials"]["api_key_id"] = ACCOUNTS[0].api_key_id
        document["organizations"] = [
            {
                "id": ACCOUNTS[n].id,
                "credentials": {
                    "api_key_id": ACCOUNTS[n].api_key_id,
                    "api_key_file": key_file.replace("acme", KEYS[n]),
                },
            }
            for n in ordinals
        ]
        # By name, to see that names are resolved.
        document["api"] = {"address": f"localhost:{self.api}", "tls": False}
        document["poll"] = {"interval": "1s"}
        self.write(f"{ETC}/exporter.yml", yaml.safe_dump(document | changes))

    def log(self) -> str:
        """Return what the exporter has logged."""
        return (self.machine.root / "var" / "log" / "exporter.log").read_text()

    def logged(self, pattern: str) -> str:
        """Wait for a line with this in the log, which may come after what systemd is told."""
        line = re.compile(f"^.*{pattern}.*\n", re.MULTILINE)
        return until(lambda: line.search(self.log()), f"a line with {pattern} in the log")[0]

    def page(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Return a scrape, for which systemd starts the exporter if it does not run."""
        answer = get(self.port, "/metrics")
        assert answer.status == http.client.OK
        return dict(parse(answer.text))

    def up(self) -> dict[str, float]:
        """Return `viam_billing_up` by organization."""
        return {
            dict(labels)["org_id"]: value
            for (name, labels), value in self.page().items()
            if name == "viam_billing_up"
        }

    def main(self) -> Path:
        """Return the folder in /proc, of this machine, of the exporter."""
        pid = self.machine.show(SERVICE)["MainPID"]
        nested = re.compile(rf"^NSpid:\s.*\s{pid}$", re.MULTILINE)
        ours = f"/proc/{self.machine.pid}/ns/pid"
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if nested.search((folder / "status").read_text()) and (
                    (folder / "ns/pid").readlink() == Path(ours).readlink()
                ):
                    return folder
            except OSError:
                continue  # it has ended meanwhile
        raise AssertionError(f"process {pid} is nowhere")


def put_in_place(machine: Machine) -> None:
    """Have in /opt what the tests run, under the machine's own Python.

    As the page's reader has it: an environment with the package and what it needs. Its modules
    are mounted and not installed anew.
    """
    venv = ("/opt/python/bin/python3", "-m", "venv", "--without-pip", f"/{OPT}")
    machine.run("env", LIBRARIES, *venv)
    environment = machine.root / OPT
    (modules,) = environment.glob("lib/python3*/site-packages")
    (modules / "tests.pth").write_text("/opt/package\n/opt/modules\n")
    script = Path(installed.command("viam-billing-exporter")).read_text()
    command = environment / "bin" / "viam-billing-exporter"
    command.write_text(re.sub(r"\A#!.*", f"#!/{OPT}/bin/python", script))
    command.chmod(0o755)


@pytest.fixture(scope="module")
def folders() -> dict[Path, str]:
    """Return what the machine has of this one, and where."""
    ask = "import exporter, sys, sysconfig; print(sys.base_prefix, exporter.__path__[0], "
    ask += "sysconfig.get_path('purelib'), sep='\\n')"
    asked = subprocess.run([PYTHON, "-I", "-c", ask], capture_output=True, check=True, text=True)
    python, package, modules = map(Path, asked.stdout.splitlines())
    return {
        python: "/opt/python",
        package: "/opt/package/exporter",
        modules: "/opt/modules",
        ROOT / "deploy": "/checkout/deploy",
    }


@pytest.fixture(scope="module")
def service(
    folders: dict[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    """Follow the page until the exporter runs, with a log and a port that the tests can reach."""
    api, port = free_port(), free_port()
    listen = f"--listen-address=127.0.0.1:{api}"
    with (
        running(*TOOL, "simulate", listen, "--seed=1") as simulator,
        booted(tmp_path_factory.mktemp("booted"), folders) as machine,
    ):
        simulator.stderr.wait_for(r"127\.0\.0\.1:\d+")
        it = Installed(machine, port, api)
        put_in_place(machine)
        for folder in ("etc/default", "var/log", f"etc/systemd/system/{SERVICE}.d"):
            (machine.root / folder).mkdir(parents=True, exist_ok=True)
        it.type(commands("keys/acme"), f"{ACCOUNTS[0].api_key}\n")
        for account, name in zip(ACCOUNTS[1:], KEYS[1:], strict=False):
            it.write(f"{ETC}/keys/{name}", f"{account.api_key}\n")
        it.write("checkout/exporter.yml", "# in place of which the test writes another")
        it.write(f"etc/systemd/system/{SOCKET}.d/override.conf", address(port))
        it.write(f"etc/systemd/system/{SERVICE}.d/test.conf", DROP_IN)
        install, enable = commands("enable --now").text.split("systemctl enable", 1)
        machine.run("sh", "-euc", f"cd /checkout\n{install}")
        it.configure(0, 1)
        machine.run("sh", "-euc", f"systemctl enable{enable}")
        yield it


def address(port: int) -> str:
    """Return the page's drop-in for another address, with a port of the test's."""
    return file("address.conf").replace("0.0.0.0:8426", f"127.0.0.1:{port}")


def test_systemd_finds_nothing_in_the_units(service: Installed) -> None:
    """`systemd-analyze verify`, as they are installed."""
    units = [f"/etc/systemd/system/{name}" for name in (SERVICE, SOCKET)]
    done = service.machine.run("systemd-analyze", "verify", "--man=no", *units)
    assert (done.stdout, done.stderr) == ("", "")


def test_it_polls_with_the_key_that_systemd_hands_over(service: Installed) -> None:
    """What is configured is polled; systemd knows how much that is."""
    everybody = {account.id: 1.0 for account in ACCOUNTS[:2]}
    until(lambda: service.up() == everybody, "everybody was polled")
    shown = service.machine.show(SERVICE)
    assert (shown["ActiveState"], shown["StatusText"]) == ("active", "organizations polled: 2")
    assert shown["UnitFileState"] == service.machine.show(SOCKET)["UnitFileState"] == "enabled"


def test_it_has_no_rights_and_can_still_tell_about_itself(service: Installed) -> None:
    """A user of its own, no capabilities, system calls filtered; process metrics are complete."""
    status = dict(
        line.split(":\t", 1)
        for line in (service.main() / "status").read_text().splitlines()
        if ":\t" in line
    )
    assert int(status["Uid"].split()[0]) in DYNAMIC
    assert {status[f"Cap{which}"] for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    limits = (service.main() / "limits").read_text()
    assert re.search(r"Max core file size +0 +0 ", limits)
    names = {name for name, _ in service.page()}
    assert {"process_start_time_seconds", "process_resident_memory_bytes"} <= names


def test_it_has_nothing_to_warn_of(service: Installed) -> None:
    """Neither of root, nor of keys that others can read, nor of strangers, nor of systemd."""
    assert service.logged("msg=serving")
    assert not re.search(r"level=(warning|error|critical)", service.log())


def test_only_the_service_can_read_its_key_and_its_state(service: Installed) -> None:
    """And root."""
    credentials = service.main() / "root/run/credentials" / SERVICE
    key = credentials / "key_acme"
    assert key.read_text() == f"{ACCOUNTS[0].api_key}\n"
    there = key.stat()
    assert there.st_mode & 0o007 == 0
    # That of Debian 13 gives it to root, and an access control list lets the service in.
    assert (there.st_uid, there.st_gid) == (0, 0) or (
        there.st_uid in DYNAMIC and there.st_mode & 0o777 == 0o400
    )
    state = service.machine.root / "var/lib/private/viam-billing-exporter"
    assert [each.name for each in state.iterdir()]
    assert state.stat().st_mode & 0o077 == 0


def test_a_reload_takes_a_new_configuration_and_keeps_the_old_one_of_a_wrong_one(
    service: Installed,
) -> None:
    """The status line says which; the process stays the same."""
    before = service.machine.show(SERVICE)["MainPID"]
    service.configure(0, 1, 2)
    service.type(commands("systemctl reload"))
    service.machine.wait_for(SERVICE, ActiveState="active", StatusText="organizations polled: 3")
    service.configure(0, unknown=1)
    service.type(commands("systemctl reload"))
    failed = "organizations polled: 3; the configuration was not reloaded, see the log"
    service.machine.wait_for(SERVICE, ActiveState="active", StatusText=failed)
    assert service.logged("unknown key")
    service.configure(0, 1)
    service.type(commands("systemctl reload"))
    service.machine.wait_for(SERVICE, ActiveState="active", StatusText="organizations polled: 2")
    assert service.machine.show(SERVICE)["MainPID"] == before


def test_a_scrape_while_it_is_stopped_starts_it_with_what_it_knew(service: Installed) -> None:
    """It stops with success; the socket is systemd's, and the numbers come from the state."""
    stopped = "systemctl stop viam-billing-exporter.service"
    service.machine.run("sh", "-euc", f"{stopped} 2>/dev/null")
    shown = service.machine.show(SERVICE)
    assert (shown["ActiveState"], shown["Result"]) == ("inactive", "success")
    name = "viam_billing_usage_month_to_date_usd"
    assert name in {name for name, _ in service.page()}
    service.machine.wait_for(SERVICE, ActiveState="active")


def test_an_upgrade_as_the_page_says_leaves_it_running(service: Installed) -> None:
    """It is another process then, with the drop-ins as they were."""
    before = service.machine.show(SERVICE)["MainPID"]
    service.type(commands("restart viam-billing-exporter.service\n"))
    after = service.machine.show(SERVICE)
    assert after["ActiveState"] == "active"
    assert after["MainPID"] != before
    assert service.page()


def test_flags_from_the_file_for_them_are_taken(service: Installed) -> None:
    """The ones that the page shows: the log is JSON then."""
    service.write(DEFAULT, file("flags.default"))
    service.machine.run("systemctl", "restart", SERVICE)
    assert json.loads(service.logged('"msg":'))["level"] == "info"
    (service.machine.root / DEFAULT).unlink()


def test_wrong_flags_are_not_tried_again(service: Installed) -> None:
    """They would be as wrong then: it has failed at once, with exit code 2."""
    service.write(DEFAULT, "ARGS=--no-such-flag\n")
    service.machine.run("systemctl", "restart", SERVICE, check=False)
    shown = service.machine.wait_for(SERVICE, ActiveState="failed")
    assert (shown["ExecMainStatus"], shown["NRestarts"]) == ("2", "0")
    (service.machine.root / DEFAULT).unlink()
    service.machine.run("systemctl", "reset-failed", SERVICE)
    service.machine.run("systemctl", "start", SOCKET, SERVICE)


def test_a_port_that_is_taken_is_the_socket_s_failure(service: Installed) -> None:
    """What the page says of it: the service itself is not tried."""
    service.machine.run("sh", "-euc", f"systemctl stop {SOCKET} {SERVICE}")
    with socket.create_server(("127.0.0.1", service.port)):
        done = service.machine.run("systemctl", "start", SERVICE, check=False)
    assert f"A dependency job for {SERVICE} failed" in done.stderr
    assert service.machine.show(SOCKET)["Result"] == "resources"
    assert service.machine.show(SERVICE)["ActiveState"] == "inactive"
    service.machine.run("systemctl", "start", SOCKET, SERVICE)


def test_it_serves_tls_with_files_that_only_it_can_read(service: Installed, tmp_path: Path) -> None:
    """The page's drop-in; others are not even told that there is a page."""
    authority = Authority(tmp_path)
    crt, key = authority.issue("server", "IP:127.0.0.1")
    web = {"tls_server_config": {"cert_file": "server.crt", "key_file": "server.key"}}
    service.write(f"{ETC}/web/web.yml", yaml.safe_dump(web))
    service.write(f"{ETC}/web/server.crt", crt.read_text())
    service.write(f"{ETC}/web/server.key", key.read_text())
    (service.machine.root / ETC / "web").chmod(0o700)
    dropin = f"etc/systemd/system/{SERVICE}.d/tls.conf"
    service.write(dropin, file("tls.conf"))
    service.write(DEFAULT, file("tls.default"))
    service.machine.run("systemctl", "daemon-reload")
    service.type(commands("restart viam-billing-exporter.socket"))
    url = f"https://127.0.0.1:{service.port}/-/healthy"
    curl = ["curl", "--silent", "--show-error", "--cacert", str(authority.crt), url]
    done = subprocess.run(curl, capture_output=True, check=True, text=True, timeout=PATIENCE)
    assert done.stdout
    for path in (dropin, DEFAULT):
        (service.machine.root / path).unlink()
    service.machine.run("systemctl", "daemon-reload")
    service.type(commands("restart viam-billing-exporter.socket"))


def test_the_watchdog_ends_one_that_hangs_and_another_takes_its_place(
    service: Installed,
) -> None:
    """SIGABRT shows where it hung. A process that is halted stands for one whose loop hangs."""
    dropin = f"etc/systemd/system/{SERVICE}.d/watchdog.conf"
    service.write(dropin, "[Service]\nWatchdogSec=3s\n")
    service.machine.run("systemctl", "daemon-reload")
    service.machine.run("systemctl", "restart", SERVICE)
    hung = service.machine.show(SERVICE)["MainPID"]
    service.machine.run("kill", "-STOP", hung)
    until(
        lambda: service.machine.show(SERVICE)["MainPID"] not in {"0", hung},
        "systemd has started another",
    )
    assert int(service.machine.show(SERVICE)["NRestarts"]) >= 1
    assert service.logged("Fatal Python error: Aborted")
    assert service.page()


def test_uninstalled_as_the_page_says_nothing_is_left(service: Installed) -> None:
    """Neither files nor units. This comes last."""
    service.type(commands("disable --now"))
    left = [
        str(path.relative_to(service.machine.root))
        for folder in ("etc", "opt", "var")
        for path in (service.machine.root / folder).rglob("*viam*")
    ]
    assert left == []
    assert service.machine.show(SERVICE)["LoadState"] == "not-found"
