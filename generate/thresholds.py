"""The rules as the chart has them: with a place for each threshold that its values may change.

A place is the default in angle brackets, as in `> <spike_usd=25>`. Durations that a rule needs in
seconds say so: `< <due_soon in seconds=259200>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from exporter.rules.alert import Links
from exporter.rules.rule_files import files
from exporter.rules.rule_settings import Settings

NUMBER: Final = re.compile(r"(?<![\w.])(\d[\w.]*)")  # with its unit
MOVED: Final = "the rules differ in more than numbers with another {name}"


def changeable(settings: Settings) -> Mapping[str, str | float]:
    """Return the thresholds with their defaults; but for levels, each of which is an alert."""
    every = settings.thresholds.model_dump()
    return {name: value for name, value in every.items() if isinstance(value, str | float)}


def with_places(settings: Settings, links: Links) -> Mapping[str, str]:
    """Return the text of each file of rules, by name.

    A threshold is where they differ once it does. Raises ValueError if more than numbers differs.
    """
    before = {name: NUMBER.split(text) for name, text in files(settings, links).items()}
    places = {name: [*parts] for name, parts in before.items()}
    for threshold, default in changeable(settings).items():
        other = settings.thresholds.model_copy(update={threshold: _other(default)})
        after = files(settings.model_copy(update={"thresholds": other}), links)
        for name, parts in before.items():
            changed = NUMBER.split(after[name])
            if parts[::2] != changed[::2]:
                raise ValueError(MOVED.format(name=threshold))
            for index in range(1, len(parts), 2):
                if parts[index] != changed[index]:
                    in_seconds = isinstance(default, str) and parts[index].isdecimal()
                    unit = " in seconds" if in_seconds else ""
                    places[name][index] = f"<{threshold}{unit}={parts[index]}>"
    return {name: "".join(parts) for name, parts in places.items()}


def _other(value: str | float) -> str | float:
    """Return a value beside a default that takes as many characters, so that no line is broken."""
    if isinstance(value, str):
        return re.sub(r"\d+", lambda number: str(int(number[0]) - 1), value, count=1)
    return value + 1 if value == int(value) else round(value + 0.1, 1)
