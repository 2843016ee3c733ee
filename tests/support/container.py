"""The container image: built by Debian's buildah on a minimal Debian, looked into, and run.

The base is kept in build/container/ until `make clean`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from support import debian
from support.documents import commands_of
from support.process import ROOT, Process, running

FOLDER: Final = ROOT / "build" / "container"
STORAGE: Final = FOLDER / "storage.conf"
LIMITS: Final = FOLDER / "containers.conf"
ENOUGH: Final = 4096  # files and processes
BASE: Final = "localhost/debian"
README: Final = "deploy/container/README.md"
SOURCE: Final = "https://git.example.com/viam-billing-exporter"
USER: Final = 65532
# No overlay file system, no namespaces of users: none of it is to be had in every container.
ENVIRON: Final = {
    "CONTAINERS_STORAGE_CONF": str(STORAGE),
    "CONTAINERS_CONF": str(LIMITS),
    "BUILDAH_ISOLATION": "chroot",
    "BUILDAH_FORMAT": "docker",  # the one that has health checks
}
# As `docker run --read-only --cap-drop=ALL --security-opt=no-new-privileges` does it: process 1,
# a root file system that nobody can write to, no rights, and volumes as SOURCE:TARGET.
SEALED: Final = """
set -eu
root=$1; folder=$2; shift 2
mount --bind "$root" "$root"
while [ "$1" != -- ]; do mount --bind "${1%%:*}" "$root${1#*:}"; shift; done
shift
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs --inh-caps=-all \
    chroot --userspec=65532:65532 --groups=65532 "$root" env --chdir="$folder" "$@"
"""


def buildah(*arguments: str | Path) -> str:
    """Run buildah, with images and containers of its own, and return what it prints."""
    return _run("buildah", *arguments).strip()


def _run(*command: str | Path, cwd: Path | None = None, **environ: str) -> str:
    run = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **ENVIRON, **environ},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, f"{command}:\n{run.stdout}\n{run.stderr}"
    return run.stdout


# --- The base -----------------------------------------------------------------------------


def base() -> str:
    """Return the name of an image with the newest Python, and what the builder has beside it."""
    root = debian.debian(debian.NEWEST)
    FOLDER.mkdir(parents=True, exist_ok=True)
    places = {"driver": "vfs", "graphroot": FOLDER / "storage", "runroot": FOLDER / "run"}
    lines = ["[storage]", *(f'{name} = "{value}"' for name, value in places.items())]
    STORAGE.write_text("\n".join(lines) + "\n")
    # Below what any machine has: buildah would raise them, which root may not do everywhere.
    limits = [f"{name}={ENOUGH}:{ENOUGH}" for name in ("nofile", "nproc")]
    LIMITS.write_text(f"[containers]\ndefault_ulimits = {json.dumps(limits)}\n")
    if not buildah("images", "--quiet", "--filter", f"reference={BASE}"):
        with container("scratch") as name:
            _copy(root, Path(buildah("mount", name)))
            buildah("commit", "--quiet", name, BASE)
    return BASE


def pinned_base() -> str:
    """Return its name with its digest, as `make image` wants a base."""
    digest = buildah("images", "--no-trunc", "--format={{.Digest}}", BASE)
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest), digest
    return f"{BASE}@{digest}"


def _copy(root: Path, copy: Path) -> None:
    """Copy a Debian, without what an image has not: logs, lists, and what only tests start."""
    _run("cp", "--archive", f"{root}/.", copy)
    _run("chroot", copy, "dpkg", "--purge", *debian.PROGRAMS)
    for leftover in ("dev", "var/cache/apt", "var/lib/apt/lists", "var/log"):
        for path in (copy / leftover).iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


# --- The image ----------------------------------------------------------------------------


def own_flags() -> Sequence[str]:
    """Return the flags that the image sets, before those that it is run with."""
    file = (ROOT / "deploy" / "container" / "Dockerfile").read_text()
    (entrypoint,) = re.findall(r"^ENTRYPOINT (\[.*\])$", file, re.MULTILINE)
    flags: list[str]
    command, *flags = json.loads(entrypoint)
    assert command == "viam-billing-exporter"
    return flags


@dataclass(frozen=True)
class Image:
    """An image that was built."""

    name: str
    config: Mapping[str, Any]  # as Docker has it
    layers: Sequence[str]  # digests of what is in each, from the base on
    added: Sequence[tarfile.TarInfo]  # to the base

    @property
    def command(self) -> Sequence[str]:
        """What it runs."""
        return [*self.config["Entrypoint"], *self.config["Cmd"]]


def build(checkout: Path, folder: Path) -> Image:
    """Build the image of a checkout as its README says; `folder` is for what is looked into.

    The image has the id for its name, so that another checkout's does not take it away.
    """
    (how,) = commands_of(README, "tests/deploy/test_container_image.py")
    commit = _run("git", "log", "-1", "--format=%ct", cwd=checkout).strip()
    file = folder / "id"
    given = {
        "BUILDER": "buildah",
        "BUILDER_OPTIONS": f"--timestamp={commit} --iidfile={file}",
        "BASE": pinned_base(),
        "SOURCE": SOURCE,
    }
    _run("sh", "-c", how.text, cwd=checkout, **given)
    name = file.read_text().removeprefix("sha256:")
    image = json.loads(buildah("inspect", "--type=image", name))["Docker"]
    content = folder / "content"
    buildah("push", "--quiet", "--disable-compression", name, f"dir:{content}")
    manifest = json.loads((content / "manifest.json").read_text())
    digest = manifest["layers"][-1]["digest"].removeprefix("sha256:")
    with tarfile.open(content / digest) as layer:
        added = layer.getmembers()
    return Image(name, image["config"], image["rootfs"]["diff_ids"], added)


# --- Running ------------------------------------------------------------------------------


@contextmanager
def container(image: str) -> Iterator[str]:
    """Make a container of an image; it is gone afterwards."""
    name = buildah("from", "--pull-never", image)
    try:
        yield name
    finally:
        buildah("rm", name)


@contextmanager
def sealed(
    enter: Sequence[str], image: Image, name: str, *arguments: str, volumes: Sequence[str]
) -> Iterator[Process]:
    """Run a container as one is best run; `enter` is what comes before, for its network."""
    unshare = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
    root = buildah("mount", name)
    start = ("sh", "-c", SEALED, "sh", root, image.config["WorkingDir"], *volumes, "--")
    path = dict(each.split("=", 1) for each in image.config["Env"])["PATH"]
    command = (*enter, *unshare, *start, *image.command, *arguments)
    with running(*command, environ={"PATH": path}) as process:
        yield process


def innermost(process: Process) -> int:
    """Return the id of the process that a chain of programs has started in the end."""
    pid = process._popen.pid
    while children := [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]:
        (pid,) = children
    return pid
