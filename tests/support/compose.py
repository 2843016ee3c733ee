"""The stack of deploy/compose, as Debian's docker-compose reads it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from support.container import own_flags
from support.process import EXPORTER, ROOT, TOOL

FOLDER: Final = ROOT / "deploy" / "compose"
STACK: Final = ("compose.yaml",)
ACCOUNT: Final = (*STACK, "compose.account.yaml")
# The programs that Debian has, or this repository, by service.
PROGRAMS: Final[Mapping[str, Sequence[str]]] = {
    "exporter": EXPORTER,
    "rules": TOOL,
    "prometheus": ("prometheus",),
    "alertmanager": ("prometheus-alertmanager",),
}

Service = Mapping[str, Any]


def config(files: Sequence[str], **environ: str) -> subprocess.CompletedProcess[str]:
    """Have the files checked and joined, every path absolute; variables may be set."""
    return subprocess.run(
        ["docker-compose", *(f"--file={FOLDER / file}" for file in files), "config"],
        env={"PATH": os.environ["PATH"], **environ},
        check=False,
        capture_output=True,
        text=True,
    )


def joined(files: Sequence[str], **environ: str) -> Mapping[str, Any]:
    """Return the files joined, with ports and volumes as they have them, in a line each.

    Newer versions of docker-compose print the long form of both.
    """
    found: Mapping[str, Any] = yaml.safe_load(config(files, **environ).stdout)
    for service in found["services"].values():
        service["ports"] = [*map(_port, service.get("ports", ()))]
        service["volumes"] = [*map(_volume, service.get("volumes", ()))]
        for how in service.get("depends_on", {}).values():
            how.pop("required", None)
    return found


@cache
def services(files: Sequence[str] = STACK) -> Mapping[str, Service]:
    """Return the services by name."""
    found: Mapping[str, Service] = joined(files)["services"]
    return found


def _port(port: str | Mapping[str, Any]) -> str:
    if isinstance(port, str):
        return port
    return f"{port['host_ip']}:{port['published']}:{port['target']}/{port['protocol']}"


def _volume(volume: str | Mapping[str, Any]) -> str:
    if isinstance(volume, str):
        return volume
    mode = "ro" if volume.get("read_only") else "rw"
    return f"{volume['source']}:{volume['target']}:{mode}"


class Mount(NamedTuple):
    """What a container sees of this machine, or a volume with a name."""

    source: str
    target: str
    mode: str

    @property
    def path(self) -> Path | None:
        """The file or folder; a named volume has none."""
        return Path(self.source) if self.source.startswith("/") else None


def mounts(service: Service) -> Sequence[Mount]:
    """Return the volumes of a service."""
    return [Mount(*volume.split(":")) for volume in service.get("volumes", ())]


def lay_out(service: Service, root: Path) -> Sequence[str]:
    """Copy what is mounted to below a folder; returns the flags with their paths there.

    Those that our own image sets are among them. Where another service writes rules, they are.
    """
    for mount in mounts(service):
        target = root / mount.target.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if mount.path is None:
            target.mkdir()
            if mount.source == "rules" and mount.mode == "ro":
                write_rules(services()["rules"], target)
        elif mount.path.is_dir():
            shutil.copytree(mount.path, target)
        else:
            shutil.copy(mount.path, target)
    return [re.sub(r"=(?=/)", f"={root}", flag) for flag in flags(service)]


def flags(service: Service) -> Sequence[str]:
    """Return what a service's program is started with, as the image or the file has it."""
    own = service["entrypoint"][1:] if "entrypoint" in service else own_flags()
    return [*(own if "build" in service else ()), *service["command"]]


def write_rules(service: Service, folder: Path) -> None:
    """Run the service that writes rules into its volume, which is this folder."""
    (volume,) = mounts(service)
    command = [flag.replace(volume.target, str(folder)) for flag in flags(service)]
    subprocess.run([*TOOL, *command], check=True, capture_output=True)
