"""How large each download is, and how soon it serves, beside Debian's packages of two exporters."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.client import wait
from bench.figures import short
from bench.findings import Findings, Setting, Table
from bench.programs import MissingError, answers
from support.process import ROOT, free_port, running

DIST: Final = ROOT / "dist"
HOME: Final = "usr/lib/viam-billing-exporter"
PEERS: Final = ("node", "blackbox")
WITHIN: Final = 60.0  # seconds


@dataclass(frozen=True)
class Download:
    """A file, and what it becomes."""

    name: str
    file: Path
    installed: Path  # the folder that it is unpacked to
    command: Sequence[str | Path]  # that serves metrics

    def row(self, starts: int) -> Sequence[str]:
        """Return its sizes in MB, and its starts in seconds: the first, and the median of more."""
        first = self.start()
        later = [self.start() for _ in range(starts)]
        sizes = (megabytes(self.file), sum(map(megabytes, self.installed.rglob("*"))))
        return [self.name, *map(short, (*sizes, first, statistics.median(later)))]

    def start(self) -> float:
        """Return the seconds from the command to its page."""
        port = free_port()
        listen = f"--web.listen-address=127.0.0.1:{port}"
        cache = {"SHIV_ROOT": str(self.installed)}  # only the single file looks at that
        began = time.monotonic()
        with running(*self.command, listen, environ=cache) as process:
            wait(lambda: answers(port, "/metrics"), "a page", within=WITHIN, look_every=0.005)
            took = time.monotonic() - began
            process.kill()  # others do not end with success
        return took


def run(setting: Setting) -> Findings:
    """Unpack each, and start it."""
    downloads = [*ours(setting.folder), *(peer(name, setting.folder) for name in PEERS)]
    columns = ("", "download, MB", "installed, MB", "first start, s", "later, median s")
    rows = [each.row(setting.some(7, 3)) for each in downloads]
    return Findings(tables=[Table("downloads", columns, rows)])


def ours(folder: Path) -> Iterator[Download]:
    """Yield what `make dist` has made. Raises MissingError."""
    single = made("*.pyz")
    yield Download("single file", single, folder / "unpacked", [single, "--demo"])
    package = made("*.deb")
    root = unpacked(package, folder)
    (root / "usr/bin/python3").symlink_to("/usr/bin/python3")  # which it depends on
    python = root / HOME / "bin" / "python3"
    # As it does when it is installed.
    subprocess.run([python, "-m", "compileall", "-q", root / HOME / "modules"], check=True)
    script = root / HOME / "bin" / "viam-billing-exporter"
    yield Download("Debian package", package, root, [python, script, "--demo"])


def peer(name: str, folder: Path) -> Download:
    """Return the package of another exporter, from this machine's Debian. Raises MissingError."""
    package = f"prometheus-{name}-exporter"
    fetch = ["apt-get", "download", "--quiet=2", "--option=APT::Sandbox::User=root", package]
    if subprocess.run(fetch, cwd=folder, check=False).returncode:
        raise MissingError(f"apt-get cannot download {package}: has it been updated?")
    (file,) = folder.glob(f"{package}_*.deb")
    root = unpacked(file, folder)
    settings = [f"--config.file={each}" for each in (root / "etc").rglob("blackbox.yml")]
    return Download(f"Debian's {package}", file, root, [root / "usr/bin" / package, *settings])


def made(pattern: str) -> Path:
    """Return a file of the release. Raises MissingError."""
    for path in DIST.glob(pattern):
        return path
    raise MissingError("run `make dist` first")


def unpacked(package: Path, folder: Path) -> Path:
    """Return a folder with a package's files."""
    root = folder / package.stem
    subprocess.run(["dpkg-deb", "--extract", package, root], check=True)
    return root


def megabytes(path: Path) -> float:
    """Return how large a file is, and nothing for what is none."""
    return path.lstat().st_size / 1e6 if path.is_file() else 0.0
