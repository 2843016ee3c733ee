"""promtool's own checks of the rules and of the configuration that goes with them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from generate.rules import main
from rules.harness import FILES, RULES


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
    settings = tmp_path / "settings.yml"
    settings.write_text("interval: 1s\nwindows: {day: 10s, memory: 30s, missed_scrapes: 5s}\n")
    assert main([f"--settings={settings}", f"--output={tmp_path}"]) == 0
    made = [tmp_path / path.name for path in FILES]
    assert "[1m10s:2s500ms]" in made[0].read_text()
    lint(made)


def test_promtool_accepts_the_configuration_with_the_rules() -> None:
    """The one to start from, with every file that it names."""
    command = ["promtool", "check", "config", str(RULES.parent / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rules found") == len(FILES)
