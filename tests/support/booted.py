"""A systemd that really runs: process 1 of namespaces of its own, which end with it.

It has the network and the programs of this machine, and nothing else of it: no units but targets,
and an /etc and a /var that begin almost empty. It takes root to make such namespaces.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.process import PATIENCE, ROOT, running, until

BOOT: Final = ROOT / "tests" / "support" / "boot.sh"
PATHS: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
UNITS: Final = Path("/usr/lib/systemd/system")
# What programs need of /etc to name users and hosts and to find libraries and authorities.
ETC: Final = ("passwd", "group", "nsswitch.conf", "hosts", "ld.so.cache", "ssl")


@dataclass(frozen=True)
class Machine:
    """A machine that has booted. `root` is its root folder, as seen from outside."""

    root: Path
    pid: int

    def run(
        self, *command: str, check: bool = True, typed: str = "", within: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root, to its end, with what somebody types."""
        namespaces = ("--mount", "--pid", "--cgroup", "--uts", "--ipc")
        done = subprocess.run(
            ["nsenter", f"--target={self.pid}", *namespaces, *command],
            env={"PATH": PATHS, "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": ""},
            input=typed,
            capture_output=True,
            check=False,
            text=True,
            timeout=within,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stderr}{done.stdout}"
        return done

    def show(self, unit: str) -> Mapping[str, str]:
        """Return the properties of a unit."""
        lines = self.run("systemctl", "show", unit).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def wait_for(self, unit: str, **properties: str) -> Mapping[str, str]:
        """Wait until a unit has these properties, and return all that it has then."""

        def has() -> Mapping[str, str] | None:
            found = self.show(unit)
            return found if properties.items() <= found.items() else None

        return until(has, f"{unit} has {properties}")


@contextmanager
def booted(root: Path, mounts: Mapping[Path, str]) -> Iterator[Machine]:
    """Boot a machine in an empty folder while inside, with folders of this one, read only."""
    for folder in ("units", "etc", "var"):
        (root / folder).mkdir()
    for target in UNITS.glob("*.target"):
        shutil.copy(target, root / "units", follow_symlinks=False)
    for name in ETC:
        source, copy = Path("/etc", name), root / "etc" / name
        if source.is_dir():
            shutil.copytree(source, copy, symlinks=True)
        else:
            shutil.copy(source, copy)
    with boot(root, mounts) as machine:
        yield machine


@contextmanager
def boot(root: Path, mounts: Mapping[Path, str]) -> Iterator[Machine]:
    """Boot what is in a folder while inside, with folders of this machine, read only.

    What it does not have of programs is this machine's.
    """
    assert os.geteuid() == 0, "only root can boot a systemd: run the tests as root"
    (root / "etc" / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
    pairs = [part for source, target in mounts.items() for part in (str(source), target)]
    with running(BOOT, str(root), *pairs) as process:
        pid = int(process.stdout.wait_for(r"^(\d+)$")[1])
        machine = Machine(root, pid)
        try:
            until(
                lambda: (
                    machine.run("systemctl", "is-system-running", check=False).stdout == "running\n"
                ),
                "systemd has booted",
            )
            yield machine
        finally:
            os.kill(pid, signal.SIGKILL)  # and with it all that runs in its namespaces
            assert process.wait() == 0
