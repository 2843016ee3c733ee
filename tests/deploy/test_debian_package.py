"""The Debian package on a Debian that has booted: installed as its page says, and by dpkg."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from exporter.simulator import demo_fleet
from support import release
from support.booted import Machine
from support.debian_machine import debian_machine
from support.documents import commands_of
from support.process import ROOT, TOOL, free_port, get, parse, running, until

# Debian has to be made first, and the package to be built.
pytestmark = pytest.mark.timeout(900)

PAGE: Final = "docs/install.md"
NAME: Final = "viam-billing-exporter"
SERVICE: Final = f"{NAME}.service"
SOCKET: Final = f"{NAME}.socket"
ETC: Final = f"etc/{NAME}"
HOME: Final = f"usr/lib/{NAME}"
STATE: Final = f"var/lib/{NAME}"
DROP_INS: Final = "etc/systemd/system"
FOREIGN: Final = "usr/lib/python3/dist-packages/grpc.py"
LOG: Final = "var/log/exporter.log"
ACCOUNT, SECOND = demo_fleet(1)[:2]
COMPILED: Final = 300.0  # seconds in which a slow machine compiles all modules
UP: Final = {ACCOUNT.id: 1.0}
BOTH: Final = {ACCOUNT.id: 1.0, SECOND.id: 1.0}
REPORT: Final = "viam-billing-report"
# Who reads the page has it, which a minimal Debian has not.
SUDO: Final = """\
#!/bin/sh
[ "$1" = -u ] || exec "$@"
user=$2
shift 2
exec runuser -u "$user" -- "$@"
"""
# What dpkg, apt, systemd and shadow note of every package and every start, whatever it is.
NOTES: Final = re.compile(
    r"(dev|old|proc|run|srv|sys|tmp|var/(cache|log|tmp|lib/(apt|dpkg|systemd|private)))(/|$)"
    r"|etc/(passwd|group|shadow|gshadow|subuid|subgid)-$"
)


@dataclass(frozen=True)
class Debian:
    """A machine, the package in two versions, and a billing service."""

    machine: Machine
    port: int  # where the exporter listens, once somebody has said so
    api: int
    before: AbstractSet[str]  # the files of the machine

    def path(self, name: str) -> Path:
        """Return a file of it, as seen from outside."""
        return self.machine.root / name

    def type(self, containing: str, *, page: str = PAGE, folder: str = "/", typed: str = "") -> str:
        """Run commands of a page, as somebody who types what they wait for."""
        (block,) = (b for b in commands_of(page, __file__) if containing in b.text)
        done = self.machine.run(
            "sh", "-euc", f"cd {folder}\n{block.text}", typed=typed, within=COMPILED
        )
        return done.stdout + done.stderr

    def dpkg(self, *arguments: str) -> None:
        """Run dpkg, whose questions nobody answers, and which has nothing to warn of."""
        assert self.machine.run("dpkg", *arguments, within=COMPILED).stderr == ""

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)
        self.path(name).chmod(0o644)

    def configure(self, **changes: object) -> None:
        """Write the package's configuration with changes, for the service that stands in."""
        document: dict[str, Any] = yaml.safe_load(self.path(f"{ETC}/exporter.yml").read_text())
        document["api"] = {"address": f"localhost:{self.api}", "tls": False}
        self.write(f"{ETC}/exporter.yml", yaml.safe_dump(document | changes))

    def command(self, user: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `viam-billing` as a user of the machine."""
        as_user = ("runuser", "-u", user, "--", "env", "--chdir=/")
        return self.machine.run(*as_user, "viam-billing", *arguments, check=False)

    def states(self) -> Mapping[str, tuple[str, str]]:
        """Return what systemd says of the units: whether they run, and start by themselves."""
        shown = {unit: self.machine.show(unit) for unit in (SERVICE, SOCKET)}
        return {unit: (each["ActiveState"], each["UnitFileState"]) for unit, each in shown.items()}

    def up(self) -> Mapping[str, float]:
        """Return `viam_billing_up` by organization."""
        return {
            dict(labels)["org_id"]: value
            for (name, labels), value in parse(get(self.port, "/metrics").text).items()
            if name == "viam_billing_up"
        }

    def files(self) -> AbstractSet[str]:
        """Return the files and folders that could tell of a package."""
        root = self.machine.root
        names = (str(path.relative_to(root)) for path in root.rglob("*"))
        return {name for name in names if not NOTES.match(name)}


def renumbered(package: Path, number: str, folder: Path) -> Path:
    """Return the package with another version, as the one before it would be."""
    unpacked = folder / "unpacked"
    subprocess.run(["dpkg-deb", "--raw-extract", package, unpacked], check=True)
    control = unpacked / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*", f"Version: {number}", control.read_text()))
    made = folder / package.name
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", unpacked, made],
        check=True,
        capture_output=True,
    )
    return made


@pytest.fixture(scope="module", params=["bookworm", pytest.param("trixie", marks=pytest.mark.slow)])
def debian(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Debian]:
    """Boot a Debian that has never heard of the package, beside a simulated billing service."""
    package = release.built(tmp_path_factory, "*.deb")
    older = renumbered(package, "0.0.1-1", tmp_path_factory.mktemp("older"))
    api = free_port()
    with (
        running(*TOOL, "simulate", f"--listen-address=127.0.0.1:{api}", "--seed=1") as simulator,
        debian_machine(request.param, tmp_path_factory.mktemp("debian")) as machine,
    ):
        simulator.stderr.wait_for(r"127\.0\.0\.1:\d+")
        it = Debian(machine, free_port(), api, frozenset())
        it.write("usr/bin/sudo", SUDO)
        it.path("usr/bin/sudo").chmod(0o755)
        before = it.files()
        for folder, made in (("older", older), ("newer", package)):
            it.path(f"srv/{folder}").mkdir()
            shutil.copy(made, it.path(f"srv/{folder}"))
        yield Debian(machine, it.port, api, before)


def newer(debian: Debian) -> str:
    """Return the newer package, as seen from inside."""
    (found,) = debian.path("srv/newer").iterdir()
    return f"/srv/newer/{found.name}"


def test_it_installs_without_a_key_and_waits_for_one(debian: Debian) -> None:
    """Nothing has failed, nothing listens; who installs it is told what to do."""
    said = debian.type("apt-get install", folder="/srv/older")
    assert "starts when it has an API key: see /etc/viam-billing-exporter/exporter.yml" in said
    waiting = dict.fromkeys((SERVICE, SOCKET), ("inactive", "enabled"))
    assert debian.states() == waiting
    debian.machine.run("systemctl", "start", SERVICE, SOCKET)
    assert debian.states() == waiting
    status = debian.machine.run("systemctl", "status", SERVICE, check=False).stdout
    assert re.search("start condition (failed|unmet)", status)
    assert debian.machine.run("systemctl", "is-system-running").stdout == "running\n"


def test_its_modules_are_compiled(debian: Debian) -> None:
    """For the Python of this Debian, or every start would compile them anew."""
    here = {Path(name) for name in debian.files() if name.startswith(f"{HOME}/")}
    sources = {path for path in here if path.suffix == ".py"}
    assert len(sources) > 1000
    ask = "import sys; print(sys.implementation.cache_tag)"
    tag = debian.machine.run("python3", "-c", ask).stdout.strip()
    expected = {path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc" for path in sources}
    assert {path for path in here if path.suffix == ".pyc"} == expected


@pytest.mark.parametrize("command", [NAME, "viam-billing"])
def test_both_commands_are_on_the_path(debian: Debian, command: str) -> None:
    """They say their names, whatever else is installed for the machine's Python."""
    debian.write(FOREIGN, "raise SystemExit('not this one')\n")
    said = debian.machine.run(command, "--version").stdout
    debian.path(FOREIGN).unlink()
    assert re.fullmatch(rf"{command} \S+ \(revision [0-9a-f]{{40}}\)\n", said)


def test_its_unit_is_as_closed_as_the_generic_one(debian: Debian) -> None:
    """By systemd's own count: it lacks nothing but a user that is made anew at each start."""

    def exposure(unit: Path) -> float:
        analyze = ("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
        said = subprocess.run(analyze, capture_output=True, check=True, text=True).stdout
        level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
        assert level
        return float(level[1])

    packaged = debian.path(f"usr/lib/systemd/system/{SERVICE}")
    assert exposure(packaged) <= exposure(ROOT / "deploy/systemd" / SERVICE)
    assert "Credential" not in packaged.read_text()


def test_keys_in_the_configuration_itself_need_the_file_for_flags(debian: Debian) -> None:
    """As the page says: an empty one will do."""
    before = debian.path(f"{ETC}/exporter.yml").read_text()
    debian.configure(credentials={"api_key_id": ACCOUNT.api_key_id, "api_key": ACCOUNT.api_key})
    debian.machine.run("touch", f"/etc/default/{NAME}")
    debian.machine.run("systemctl", "start", SERVICE)
    assert debian.machine.show(SERVICE)["ActiveState"] == "active"
    debian.machine.run("systemctl", "stop", SOCKET, SERVICE)
    debian.path(f"etc/default/{NAME}").unlink()
    debian.write(f"{ETC}/exporter.yml", before)


def test_a_key_is_checked_before_the_service_starts(debian: Debian) -> None:
    """As its user, with its own configuration but for the address; there is nothing to warn of."""
    debian.configure()
    listen = f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{debian.port}\n"
    debian.write(f"{DROP_INS}/{SOCKET}.d/override.conf", listen)
    log = f"[Service]\nStandardError=append:/{LOG}\n"
    debian.write(f"{DROP_INS}/{SERVICE}.d/override.conf", log)
    debian.machine.run("systemctl", "daemon-reload")
    debian.type("keys/id", typed=f"{ACCOUNT.api_key_id}\n")
    debian.type("keys/key", typed=f"{ACCOUNT.api_key}\n")
    said = debian.type("check --connect")
    assert "1 of 1 organizations can be read\n" in said
    assert "warning" not in said
    assert "active (running)" in said


def test_it_runs_once_it_has_a_key(debian: Debian) -> None:
    """It shows the bills of the key's organization, and has nothing to warn of."""
    assert debian.states() == dict.fromkeys((SERVICE, SOCKET), ("active", "enabled"))
    until(lambda: debian.up() == UP, "the bills of the key's organization are shown")
    assert not re.search(r"level=(warning|error|critical)", debian.path(LOG).read_text())


def test_it_runs_as_the_user_that_was_made_for_it(debian: Debian) -> None:
    """Who has no shell, and alone can read the state; besides root, only its group reads keys."""
    name, _, _, _, _, _, shell = debian.machine.run("getent", "passwd", NAME).stdout.split(":")
    assert (name, shell) == (NAME, "/usr/sbin/nologin\n")
    pid = debian.machine.show(SERVICE)["MainPID"]
    paths = (f"/proc/{pid}", f"/{STATE}/", f"/{ETC}/keys", f"/{ETC}/keys/key")
    seen = debian.machine.run("stat", "--format=%U:%G %a", *paths).stdout.splitlines()
    assert seen[0].startswith(f"{NAME}:{NAME} ")
    assert seen[1:] == [f"{NAME}:{NAME} 700", f"root:{NAME} 750", f"root:{NAME} 640"]


def test_a_reload_reads_new_key_files(debian: Debian) -> None:
    """One that the service cannot read yet is refused, with what to do; no restart is needed."""
    pid = debian.machine.show(SERVICE)["MainPID"]
    debian.write(f"{ETC}/keys/second", f"{SECOND.api_key}\n")
    second = debian.path(f"{ETC}/keys/second")
    second.chmod(0o600)
    credentials = {"api_key_id": SECOND.api_key_id, "api_key_file": "keys/second"}
    debian.configure(organizations=[{"id": SECOND.id, "credentials": credentials}])
    debian.machine.run("systemctl", "reload", SERVICE)
    until(
        lambda: re.search(
            r"api_key_file: must name .*Permission denied: the user who .* be in its group \(mode "
            r"0640\)",
            debian.path(LOG).read_text(),
        ),
        "the log says how to mend it",
    )
    debian.machine.run("chgrp", NAME, f"/{ETC}/keys/second")
    second.chmod(0o640)
    debian.machine.run("systemctl", "reload", SERVICE)
    until(lambda: debian.up() == BOTH, "the bills of both are shown")
    assert debian.machine.show(SERVICE)["MainPID"] == pid
    debian.configure(organizations=[])
    debian.machine.run("systemctl", "reload", SERVICE)
    until(lambda: debian.up() == UP, "the bills of one are shown")


def test_stopped_as_the_page_says_no_scrape_starts_it(debian: Debian) -> None:
    """Nor does its socket keep the scrape waiting: what is copied meanwhile does not change."""
    debian.type("systemctl stop", page="docs/run.md")
    with pytest.raises(ConnectionRefusedError):
        get(debian.port, "/metrics")
    assert {active for active, _ in debian.states().values()} == {"inactive"}
    debian.machine.run("systemctl", "start", SERVICE)
    until(lambda: debian.up() == UP, "the bills are shown again")


def test_who_names_no_configuration_is_told_of_this_one(debian: Debian) -> None:
    """And of the user who can read its keys, unless it can."""
    named = f"viam-billing ... --config.file=/{ETC}/exporter.yml\n"
    stranger = debian.command("nobody", "usage").stderr
    assert stranger.endswith(f"The service's is sudo -u {NAME} {named}")
    assert "or ask a running exporter with --exporter" in stranger
    assert debian.command(NAME, "usage").stderr.endswith(f"The service's is {named}")
    refused = debian.command("nobody", "usage", f"--config.file=/{ETC}/exporter.yml").stderr
    assert "Permission denied: the user who runs this must own it" in refused


def test_members_of_its_group_run_commands_as_themselves(debian: Debian) -> None:
    """Without a warning, as the files are root's."""
    debian.machine.run("usermod", "-aG", NAME, "nobody")
    done = debian.command("nobody", "check", "--connect", f"--config.file=/{ETC}/exporter.yml")
    assert (done.returncode, done.stderr) == (0, "")


def test_it_brings_the_monthly_report_along(debian: Debian) -> None:
    """Which is off until somebody wants it, and finds its command: nobody answers at its port."""
    timer = f"{REPORT}.timer"
    assert debian.machine.show(timer)["UnitFileState"] == "disabled"
    debian.machine.run("systemctl", "enable", "--now", timer)
    drop_in = f"{DROP_INS}/{REPORT}.service.d/override.conf"
    debian.write(drop_in, f"[Service]\nRestart=no\nStandardError=append:/{LOG}\n")
    debian.machine.run("systemctl", "daemon-reload")
    debian.machine.run("systemctl", "start", f"{REPORT}.service", check=False)
    assert debian.machine.show(f"{REPORT}.service")["ExecMainStatus"] == "1"
    assert "viam-billing: http://localhost:8426" in debian.path(LOG).read_text()


def test_an_upgrade_leaves_it_running_and_keeps_what_was_changed(debian: Debian) -> None:
    """It is another process then. systemd has listened all the time."""
    pid = debian.machine.show(SERVICE)["MainPID"]
    since = debian.machine.show(SOCKET)["ActiveEnterTimestampMonotonic"]
    configured = debian.path(f"{ETC}/exporter.yml").read_text()
    debian.dpkg("--install", newer(debian))
    assert debian.path(f"{ETC}/exporter.yml").read_text() == configured
    assert debian.machine.show(SERVICE)["MainPID"] not in {"0", pid}
    assert debian.machine.show(SOCKET)["ActiveEnterTimestampMonotonic"] == since
    until(lambda: debian.up() == UP, "the same bills are shown again")


def test_removed_it_is_gone_but_for_what_the_administrator_may_want(debian: Debian) -> None:
    """Configuration, keys and state stay, and it goes on with them when it is installed again."""
    debian.dpkg("--remove", NAME)
    assert not debian.path(HOME).exists()
    assert debian.machine.show(f"{REPORT}.timer")["ActiveState"] == "inactive"
    with pytest.raises(ConnectionRefusedError):
        get(debian.port, "/metrics")
    assert {f"{ETC}/keys/key", f"{ETC}/exporter.yml", STATE} <= debian.files()
    debian.dpkg("--install", newer(debian))
    until(lambda: debian.up() == UP, "the same bills are shown again")


def test_purged_it_leaves_nothing_behind(debian: Debian) -> None:
    """No user, no state, no file that somebody put beside its own; and it asks nothing."""
    debian.write(f"{ETC}/web/web.yml", "{}")
    debian.write(f"etc/default/{NAME}", "ARGS=\n")
    debian.dpkg("--purge", NAME)
    assert debian.files() == debian.before
    for database in ("passwd", "group"):
        assert NAME not in debian.machine.run("getent", database).stdout
    assert NAME not in debian.path("var/lib/dpkg/status").read_text()
    units = ("systemctl", "list-units", "--all", "--plain", "--no-legend")
    assert NAME not in debian.machine.run(*units).stdout
