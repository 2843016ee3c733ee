"""Writes the revision that a package is built from into the package."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class RevisionHook(BuildHookInterface[Any]):
    """Adds exporter/REVISION to wheels and sdists, which exporter/version.py reads."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Take the revision from the environment or from git; an sdist brings its own."""
        if version == "editable" or Path(self.root, "exporter/REVISION").exists():
            return
        revision = os.environ.get("SOURCE_REVISION") or self._git_revision()
        if revision is None:
            return
        self._folder = tempfile.TemporaryDirectory()
        file = Path(self._folder.name, "REVISION")
        file.write_text(f"{revision}\n", encoding="ascii")
        build_data["force_include"][str(file)] = "exporter/REVISION"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's interface
        """Remove the file, which is in the package by now."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()

    def _git_revision(self) -> str | None:
        try:
            command = ["git", "-C", self.root, "rev-parse", "HEAD"]
            run = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603
        except (OSError, subprocess.CalledProcessError):
            return None
        return run.stdout.strip()
