"""Debians of other releases, each a folder that debootstrap has made, with a Python of its own.

`python -m support.debian SUITE COMMAND...` runs a command in one, with the checkout at /mnt; in
tests/. The folders are kept in .debian/ until `make clean`.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from support.process import ROOT

# From the oldest Python that the package is for to the newest that is to be had.
SUITES: Final = ("bookworm", "trixie", "forky")
NEWEST: Final = SUITES[-1]
FOLDER: Final = ROOT / ".debian"
KEYRINGS: Final = Path("/usr/share/keyrings")
# That of every Debian since 10: a debootstrap knows by name only those that are older than it is.
SCRIPT: Final = "/usr/share/debootstrap/scripts/sid"
# What tests start, beside Python.
PROGRAMS: Final = ("curl", "systemd", "wget")
AUTHORITIES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
ENVIRON: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
# Its / is a mount, and no chroot: from one, neither another Debian nor a namespace can be made.
ENTER: Final = """
set -eu
root=$1; checkout=$2; shift 2
mount --bind "$root" "$root"
mount --bind "$checkout" "$root/mnt"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
cd "$root"
mkdir -p tmp/old
pivot_root . tmp/old
umount --lazy /tmp/old
rmdir /tmp/old
exec env --chdir=/mnt "$@"
"""


class UnavailableError(Exception):
    """Why there is no such Debian, for people."""


def debian(suite: str) -> Path:
    """Return the folder of a Debian, set up as this machine is to reach the network.

    Raises UnavailableError.
    """
    root = FOLDER / suite
    if not root.exists():
        bootstrap(suite, root)
    for name in ("resolv.conf", "hosts"):
        shutil.copy(Path("/etc", name), root / "etc" / name)
    (root / "etc/apt/apt.conf.d/99machine").write_text(_apt_settings())
    (root / "etc/pip.conf").write_text(pip_settings())
    if AUTHORITIES.exists():
        shutil.copy(AUTHORITIES, root / AUTHORITIES.relative_to("/"))
    return root


def bootstrap(suite: str, root: Path) -> None:
    """Make a minimal Debian with Python, from the first mirror of this machine that has it.

    Raises UnavailableError.
    """
    if os.geteuid() != 0:
        raise UnavailableError("only root can make one.")
    keyring = next(KEYRINGS.glob("debian-archive-keyring.*"), None)
    if keyring is None:  # without it, debootstrap would take what nobody has signed
        raise UnavailableError("the package debian-archive-keyring is not installed.")
    mirrors = [*_mirrors()]
    if not mirrors:
        raise UnavailableError("apt knows no repository. See /etc/apt/sources.list.d.")
    packages = ",".join(("ca-certificates", "python3-venv", *PROGRAMS))
    said = ""
    for mirror in mirrors:
        unfinished = root.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        done = subprocess.run(
            [
                *("debootstrap", "--variant=minbase", "--force-check-gpg", f"--keyring={keyring}"),
                *(f"--include={packages}", suite, unfinished, mirror, SCRIPT),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            unfinished.rename(root)
            return
        said += done.stdout
    raise UnavailableError(f"no repository that apt knows has it.\n{said}")


def _mirrors() -> Iterator[str]:
    """Yield the repositories that the package manager uses, each once."""
    listed = _said(
        "apt-get",
        "indextargets",
        "--no-release-info",
        "--format=$(REPO_URI) $(COMPONENT)",
        "Created-By: Packages",
    )
    found = (line.split() for line in listed.splitlines())
    yield from dict.fromkeys(mirror for mirror, component in found if component == "main")


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# --- Settings -----------------------------------------------------------------------------


def _apt_settings() -> str:
    """Return how apt fetches packages on this machine: by a proxy, from an old mirror."""
    lines = _said("apt-config", "dump", "--no-empty", "Acquire").splitlines()
    return "".join(f"{line}\n" for line in lines if not line.startswith("Acquire::IndexTargets"))


def pip_settings() -> str:
    """Return what pip is set up with on this machine, by files and by variables, as a file."""
    settings = portable(_said(sys.executable, "-m", "pip", "config", "list"))
    if AUTHORITIES.exists():
        settings["cert"] = str(AUTHORITIES)
    return "[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())


def portable(listed: str) -> dict[str, str]:
    """Return what `pip config list` says, without what names files of this machine.

    A constraint file, a folder of wheels or an index on the disk is not there in another Debian.
    """
    settings: dict[str, str] = {}
    for line in listed.splitlines():  # what comes later wins
        key, _, value = line.partition("=")
        words = str(ast.literal_eval(value)).split()
        kept = [word for word in words if not _is_local(word)]
        name = key.rpartition(".")[2]
        settings.pop(name, None)
        if kept:
            settings[name] = " ".join(kept)
    return settings


def _is_local(word: str) -> bool:
    return word.startswith(("/", ".", "~", "file:")) or Path(word).exists()


# --- Running ------------------------------------------------------------------------------


def main(suite: str, *command: str) -> None:
    """Run a command in the Debian, in place of this process."""
    try:
        root = debian(suite)
    except UnavailableError as error:
        sys.exit(f"There is no Debian {suite}: {error}")
    enter = ("unshare", "--mount", "--propagation=private", "sh", "-c", ENTER, "sh")
    os.execvpe(enter[0], [*enter, str(root), str(ROOT), *command], ENVIRON)  # noqa: S606 - in place of this process


if __name__ == "__main__":
    main(*sys.argv[1:])
