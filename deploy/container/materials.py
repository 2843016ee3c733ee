"""Adds the base of an image to a bill of materials, in CycloneDX.

    materials.py ask            print the shell script that asks an image what it is based on
    materials.py add BILL       print the bill with what the image has answered to standard input

The base is Debian's packages, Python, and what came with that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

ASK: Final = r"""
. /etc/os-release
# A Debian that is not released yet has a name and no number.
echo "operating-system $ID ${VERSION_ID:-$VERSION_CODENAME}"
dpkg-query --show --showformat='debian ${Package} ${Version} ${Architecture}\n'
python=$(python3 -c 'import sys; print(sys._base_executable)')
"$python" -c '
import platform
from importlib.metadata import distributions
print("platform python", platform.python_version())
for each in distributions():
    print("python", each.name, each.version)
'
"""


def base(said: str) -> Iterator[dict[str, str]]:
    """Yield the components that an image is based on."""
    (_, system, release), *others = sorted(
        (line.split() for line in said.splitlines()), key=lambda line: line[0] != "operating-system"
    )
    yield component("operating-system", system, release)
    for kind, name, version, *more in sorted(others):
        if kind == "debian":
            purl = f"pkg:deb/{system}/{quote(name)}@{quote(version)}?arch={more[0]}"
            yield component("library", name, version, f"{purl}&distro={system}-{release}")
        elif kind == "python":
            yield component("library", name, version, f"pkg:pypi/{name.lower()}@{version}")
        else:
            yield component(kind, name, version, f"pkg:generic/{name}@{version}")


def component(kind: str, name: str, version: str, purl: str = "") -> dict[str, str]:
    """Return a component as CycloneDX has it."""
    named = {"type": kind, "bom-ref": purl or name, "name": name, "version": version}
    return {**named, "purl": purl} if purl else named


def add(file: Path, said: str) -> dict[str, Any]:
    """Return the bill in a file with the base of an image."""
    bill: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    added = [*base(said)]
    bill["metadata"]["component"]["type"] = "container"
    bill["components"] += added
    bill["dependencies"] += [{"ref": each["bom-ref"]} for each in added]
    return bill


if __name__ == "__main__":
    if sys.argv[1:] == ["ask"]:
        sys.stdout.write(ASK)
    else:
        json.dump(add(Path(sys.argv[2]), sys.stdin.read()), sys.stdout, indent=2)
