"""Writes the rules for Prometheus: `python -m generate.rules [--check]`.

With --check nothing is written, and a file that differs is an error. `--settings=FILE` has only
what differs from exporter/rules/settings.yml, and `--output=FOLDER` leaves ours as they are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from exporter.rules.rule_files import files
from exporter.rules.rule_settings import load
from generate.steps import ROOT, Step, settle

RULES: Final = ROOT / "deploy" / "prometheus" / "rules"


def generated(settings: Path | None = None, folder: Path = RULES) -> Mapping[Path, str]:
    """Return the files with the content that they should have.

    Raises OSError, yaml.YAMLError, or ValueError for settings that are wrong.
    """
    return {folder / name: text for name, text in files(load(settings)).items()}


STEPS: Final = (Step("make rules", generated, [RULES]),)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the rules, or with --check compare them. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m generate.rules", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("--settings", type=Path, help="file with the settings that differ")
    parser.add_argument("--output", type=Path, default=RULES, help="folder to write to")
    arguments = parser.parse_args(argv)
    folder = arguments.output
    try:
        expected = generated(arguments.settings, folder)
    except (OSError, ValueError, yaml.YAMLError) as error:
        print(f"{arguments.settings or 'settings.yml'}: {error}", file=sys.stderr)
        return 1
    return settle(expected, check=arguments.check, command="make rules", root=folder)


if __name__ == "__main__":
    sys.exit(main())
