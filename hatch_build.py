"""Adds to a package what is outside its folder: the revision, the runbook, Grafana's files."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What commands write or print, by where it is in a wheel.
BROUGHT_ALONG: Mapping[str, str] = {
    "docs/runbooks/viam-billing.md": "exporter/rules/runbook.md",
    "grafana/dashboards": "exporter/grafana/dashboards",
    "grafana/provisioning": "exporter/grafana/provisioning",
}


class PackageHook(BuildHookInterface[Any]):
    """Adds exporter/REVISION to wheels and sdists, which exporter/process/version.py reads.

    A wheel also gets what commands bring along, from where an sdist and the repository have it.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add them, but for a checkout that is run in place; an sdist brings its own revision."""
        if version == "editable":
            return
        if self.target_name == "wheel":
            for source, target in BROUGHT_ALONG.items():
                build_data["force_include"][str(Path(self.root, source))] = target
        file = Path(self.root, "exporter/REVISION")
        if not file.exists():
            built_from = revision(Path(self.root), os.environ)
            if built_from is None:
                return
            self._folder = tempfile.TemporaryDirectory()
            file = Path(self._folder.name, "REVISION")
            file.write_text(f"{built_from}\n", encoding="ascii")
        build_data["force_include"][str(file)] = "exporter/REVISION"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's interface
        """Remove the file, which is in the package by now."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()


def revision(root: Path, environ: Mapping[str, str]) -> str | None:
    """Return what SOURCE_REVISION says, else the commit of a checkout, None outside of one.

    A checkout that is not as it was committed says so: nobody can build the same from the commit.
    """
    if given := environ.get("SOURCE_REVISION"):
        return given
    try:
        top, commit = _git(root, "rev-parse", "--show-toplevel", "HEAD").splitlines()
        # Else it is the commit of whatever repository this happens to lie in.
        if Path(top) != root.resolve():
            return None
        changes = _git(root, "status", "--porcelain", "--untracked-files=normal")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if changes else commit


def _git(root: Path, *arguments: str) -> str:
    # A build only looks: without its lock it disturbs nobody who commits meanwhile.
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout  # noqa: S603
