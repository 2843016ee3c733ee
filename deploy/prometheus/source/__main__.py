"""Writes the files of rules: `python -m source [--check] [--settings=FILE] [--output=FOLDER]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from source import money, polling, process, spend
from source.alert import Alerts
from source.recording import recordings
from source.remembered import remembered
from source.rules import Group, written
from source.settings import Settings, load

RULES: Final = Path(__file__).resolve().parents[1] / "rules"


ALERTS: Final = {"exporter": process, "polling": polling, "money": money, "spend": spend}


def files(settings: Settings) -> Mapping[str, str]:
    """Return the files of rules by name. Raises ValueError if settings have an alert too many."""
    recorded = [*recordings(settings), *remembered(settings)]
    recording = Group("viam-billing", settings.interval, recorded)
    alerts = {name: list(module.alerts(Alerts(settings, name))) for name, module in ALERTS.items()}
    known = {alert.name for members in alerts.values() for alert in members}
    if unknown := settings.alerts.keys() - known:
        raise ValueError(f"alerts: there is no {', '.join(sorted(unknown))}")
    alerting = (
        Group(f"viam-billing-{name}", settings.interval, members)
        for name, members in alerts.items()
    )
    return {
        "viam-billing.rules.yml": written([recording]),
        "viam-billing.alerts.yml": written(alerting),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Write the rules, or with --check compare them. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m source", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("--settings", type=Path, help="file with the settings that differ")
    parser.add_argument("--output", type=Path, default=RULES, help="folder to write to")
    arguments = parser.parse_args(argv)
    try:
        made = files(load(arguments.settings))
    except (OSError, ValueError, yaml.YAMLError) as error:
        print(f"{arguments.settings}: {error}", file=sys.stderr)
        return 1
    if arguments.check:
        stale = [
            name
            for name, text in made.items()
            if not (arguments.output / name).exists()
            or (arguments.output / name).read_text() != text
        ]
        for name in stale:
            print(f"{name} is not up to date: make rules", file=sys.stderr)
        return 1 if stale else 0
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (arguments.output / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
