"""What the kubelet makes of a pod: the files, the arguments and the environment of its container.

All paths are below a folder of the test's instead of the root.
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from support.container import own_flags
from support.kubernetes import Manifest, arguments, exporter, of, pod
from support.process import EXPORTER

# Where volumes are, of which everything that a pod names is a part.
PLACES: Final = ("/etc/viam-billing", "/var/lib/viam-billing", "/vault/secrets", "/data")


@dataclass(frozen=True)
class Container:
    """A container as it would be started."""

    command: Sequence[str]
    environ: Mapping[str, str]


def container(
    found: Iterable[Manifest], root: Path, secrets: Mapping[str, Mapping[str, str]], name: str
) -> Container:
    """Lay out the exporter's volumes below `root`, and return how the pod of a name starts it.

    `secrets` are those that somebody made by hand. A Secret that is missing is an error, as it
    keeps a pod from starting.
    """
    found = list(found)
    sources: dict[str, Mapping[str, str]] = dict(secrets)
    for secret in of(found, "Secret"):
        decoded = {key: base64.b64decode(text).decode() for key, text in secret["data"].items()}
        sources[secret["metadata"]["name"]] = decoded
    maps = {each["metadata"]["name"]: each["data"] for each in of(found, "ConfigMap")}
    main = exporter(found)
    volumes = {each["name"]: each for each in pod(found)["volumes"]}
    for mount in main["volumeMounts"]:
        if not mount["mountPath"].startswith(PLACES):
            continue
        folder = root / mount["mountPath"].lstrip("/")
        folder.mkdir(parents=True)
        volume = volumes.get(mount["name"], {})  # those of claims are not among them
        if "secret" in volume:
            _write(folder, sources[volume["secret"]["secretName"]], root)
        if "configMap" in volume:
            _write(folder, maps[volume["configMap"]["name"]], root)
    environ = {each["name"]: _value(each, name) for each in main["env"]}
    command = [_moved(argument, root) for argument in (*own_flags(), *arguments(found))]
    return Container((*EXPORTER, *command), environ)


def _write(folder: Path, files: Mapping[str, str], root: Path) -> None:
    for name, text in files.items():
        (folder / name).write_text(_moved(text, root))


def _moved(text: str, root: Path) -> str:
    for place in PLACES:
        text = text.replace(place, f"{root}{place}")
    return text


def _value(variable: Mapping[str, Any], name: str) -> str:
    if "valueFrom" in variable:
        assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
        return name
    return str(variable["value"])


def checked(start: Container) -> str:
    """Return what `--config.check` says of what a pod would start with. It must be content."""
    done = subprocess.run(
        [*start.command, "--config.check"],
        env=dict(start.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
