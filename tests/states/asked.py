"""What Prometheus makes of the pages of a world, by promtool: values of expressions, and alerts.

promtool only compares. So everything is expected to be something else, and what it got is read.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rules.harness import ALERTS, GROUPS
from rules.lived import SCRAPED
from states.living import Living

LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
LABELS: Final = r'\{(?:\w+="(?:[^"\\]|\\.)*"(?:, )?)*\}'
SAMPLE: Final = re.compile(rf"({LABELS}) ([-+.\w]+)(?:, |$)")
FIRED: Final = re.compile(rf"Labels:({LABELS})\s+Annotations:({LABELS})")
NOTHING: Final = "nothing_is_called_so"


@dataclass(frozen=True)
class Series:
    """A value, and the labels that it has."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Fired:
    """An alert that fires, since a moment in Unix seconds."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    since: float


class Asked:
    """What promtool says of a world: a row of series for each expression, and the alerts."""

    def __init__(self, living: Living, folder: Path, files: Sequence[Path]) -> None:
        self._living, self._folder, self._files = living, folder, files

    def all(self, expressions: Sequence[str]) -> tuple[list[list[Series]], list[Fired]]:
        """Return what expressions are when people look, and what fires then.

        All is asked at once: promtool goes through days for it.
        """
        # To the hour: promtool loads no more samples for one query.
        began = f'min_over_time(timestamp(ALERTS{{alertstate="firing"}})[{self._now}:1h])'
        other = {"labels": NOTHING, "value": 0}
        values = [
            {"expr": expression, "eval_time": self._now, "exp_samples": [other]}
            for expression in (*expressions, began)
        ]
        alert = {"exp_labels": {NOTHING: "1"}}
        alerts = [
            {"alertname": name, "eval_time": self._now, "exp_alerts": [alert]} for name in ALERTS
        ]
        said, *found = self._said(values, alerts).split("    expr: ")
        assert len(found) == len(values), found
        *results, firing = [[*_series(each)] for each in found]
        return results, [*self._fired(said, firing)]

    def _fired(self, said: str, firing: Sequence[Series]) -> Iterator[Fired]:
        since = {
            frozenset({k: v for k, v in each.labels.items() if k != "alertstate"}.items()): each
            for each in firing
        }
        for found in FIRED.finditer(said):
            labels = _labels(found[1])
            if NOTHING not in labels:
                began = since[frozenset(labels.items())].value
                yield Fired(labels, _labels(found[2]), self._living.world.midnight + began)

    @property
    def _now(self) -> str:
        return f"{(self._living.steps - 1) * SCRAPED}s"

    def _said(self, values: Sequence[object], alerts: Sequence[object]) -> str:
        series = [
            {"series": name, "values": each(self._living.steps)}
            for name, each in self._living.series.items()
        ]
        document = {
            "rule_files": [str(path) for path in self._files],
            "evaluation_interval": f"{SCRAPED}s",
            "group_eval_order": [group["name"] for group in GROUPS],
            "tests": [
                {
                    "interval": f"{SCRAPED}s",
                    "input_series": series,
                    "promql_expr_test": values,
                    "alert_rule_test": alerts,
                }
            ],
        }
        file = self._folder / "test.yml"
        file.write_text(json.dumps(document))
        done = subprocess.run(
            ["promtool", "test", "rules", file], capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        assert "FAILED" in said, said
        assert ", err:" not in said, said
        return said


def _series(said: str) -> Iterator[Series]:
    _, _, got = said.partition("got: ")
    for found in SAMPLE.finditer(got.strip()):
        yield Series(_labels(found[1]), float(found[2]))


def _labels(text: str) -> dict[str, str]:
    return {found[1]: json.loads(f'"{found[2]}"') for found in LABEL.finditer(text)}
