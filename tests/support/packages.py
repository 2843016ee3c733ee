"""Wheels and sdists: copies of the checkout, as repositories of their own, and what is built."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from support.process import ROOT

# The same commit wherever and by whomever it is made, and nothing of the user's settings.
COMMIT: Final = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "A Name"),
    **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "name@example.com"),
    **dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2025-06-20T12:00:00+00:00"),
}

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# The versions that the package says it runs on, from the oldest on.
PYTHONS: Final = re.findall(
    r"Python :: (\d\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE
)


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints."""
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **COMMIT},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def tree(root: Path) -> list[Path]:
    """Return every file of a repository that git does not ignore, relative to it."""
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = [Path(name) for name in listed.split("\0") if name]
    return [name for name in names if (root / name).is_file()]


def tracked(root: Path, *names: str) -> list[str]:
    """Return the files that a repository has in these folders, or of these names."""
    listed = git(root, "ls-files", "-z", "--error-unmatch", "--", *names)
    return [name for name in listed.split("\0") if name]


def repository(folder: Path, root: Path = ROOT, *, umask: int = 0o022, mtime: int = 0) -> Path:
    """Make a repository of one commit with the files of another; returns the folder."""
    for name in tree(root):
        source, copy = root / name, folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
        copy.chmod((0o777 if source.stat().st_mode & 0o100 else 0o666) & ~umask)
        os.utime(copy, (mtime, mtime))
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=All")
    return folder


def build(folder: Path, *targets: str, **environ: str) -> Mapping[str, Path]:
    """Build a folder's packages, the wheel and the sdist by default; returns them by target."""
    variables = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull}
    flags = [f"--target={target}" for target in targets]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory=dist", *flags],
        cwd=folder,
        env={**variables, **environ},
        check=True,
        capture_output=True,
    )
    ends = {"wheel": "*.whl", "sdist": "*.tar.gz"}
    return {name: next((folder / "dist").glob(ends[name])) for name in targets or ends}


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist and return the folder that is in it."""
    subprocess.run(["tar", "--extract", f"--file={sdist}"], cwd=folder, check=True)
    (unpacked,) = folder.iterdir()
    return unpacked


def names(package: Path) -> list[str]:
    """Return the names of what is in a package."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            return sorted(wheel.namelist())
    with tarfile.open(package) as sdist:
        return sorted(sdist.getnames())


def text(wheel: Path, name: str) -> str:
    """Return a file in a wheel, by the end of its name."""
    with zipfile.ZipFile(wheel) as archive:
        (found,) = (each for each in archive.namelist() if each.endswith(name))
        return archive.read(found).decode()


def pins() -> list[str]:
    """Return what runs with the package as `name==version`, without hashes."""
    lock = (ROOT / "requirements" / "runtime.txt").read_text()
    return re.findall(r"^[a-z0-9-]+==[^ ;\n]+", lock, re.MULTILINE)
