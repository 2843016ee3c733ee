"""promtool's own checks of the rules and of the configuration that goes with them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from rules.harness import FILES, RULES, made


def lint(files: Iterable[Path]) -> None:
    """Fail if promtool finds anything, with every check that it has."""
    command = ["promtool", "check", "rules", "--lint=all", "--lint-fatal", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_nothing_in_the_rules() -> None:
    """The ones that are shipped."""
    lint(FILES)


def test_promtool_finds_nothing_in_rules_for_short_days(tmp_path: Path) -> None:
    """Simulated months may take five minutes."""
    windows = {"day": "10s", "memory": "30s", "missed_scrapes": "5s"}
    written = made(tmp_path, {"interval": "1s", "windows": windows})
    assert "[2m20s]" in written[0].read_text()
    lint(written)


def test_promtool_accepts_the_configuration_with_the_rules() -> None:
    """The one to start from, with every file that it names."""
    command = ["promtool", "check", "config", str(RULES.parent / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rules found") == len(FILES)
