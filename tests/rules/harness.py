"""Pages as Prometheus scrapes them, over time, and promtool's verdict on the rules.

Time begins at 0, ten days into a billing period of thirty. A page is healthy unless a test
changes it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from exporter.config.duration import format_duration, parse_duration
from exporter.rules.alert import Links
from exporter.tool import main
from rules.needed import Rule, load_groups, load_rules, needed, read_by, words
from support.stacks import STACKS, on_the_path

RULES: Final = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules"
LINKS: Final = Links("https://wiki.example.com/viam-billing", "https://grafana.example.com")
LINK_FLAGS: Final = (f"--runbooks={LINKS.runbooks}", f"--dashboards={LINKS.dashboards}")
FILES: Final = (RULES / "viam-billing.rules.yml", RULES / "viam-billing.alerts.yml")
GROUPS: Final = load_groups(FILES)
ALERT_RULES: Final = [rule for group in GROUPS for rule in group["rules"] if "alert" in rule]
# By name; of several of one name, the one that is told of the worst.
ALERTS: Final = {r["alert"]: r for r in reversed(ALERT_RULES)}
MINUTE, HOUR, DAY = 60, 3600, 86_400
ACME: Final = {"org_id": "acme-1", "org_name": "Acme Robotics"}
FIRST: Final = {"job": "viam-billing", "instance": "exporter-0:8426"}
COLLECTORS: Final = ("usage", "billing_information", "invoices")

Labels = Mapping[str, str]
# From a number of steps to the values of that many, in promtool's notation.
Values = Callable[[int], str]


def same(value: float) -> Values:
    """Return one value throughout."""
    return lambda steps: f"{value:.15g}x{steps - 1}"


def rising(start: float, by: float) -> Values:
    """Return values that rise, or fall, by so much at each step."""
    return lambda steps: f"{start:.15g}{by:+.15g}x{steps - 1}"


def gone(steps: int) -> str:
    """Return nothing: the series is not on the page."""
    return f"stale _x{steps - 1}"


def then(*parts: tuple[Values, int] | Values) -> Values:
    """Return values after another: each for so many steps, the last for the rest."""

    def text(steps: int) -> str:
        pieces = []
        for part in parts:
            values, length = part if isinstance(part, tuple) else (part, steps)
            steps -= length
            if length > 0:
                pieces.append(values(length))
        return " ".join(pieces)

    return text


def series(name: str, *labels: Labels, **more: str) -> str:
    """Return a series as in PromQL."""
    together = {key: value for part in (*labels, more) for key, value in part.items()}
    pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in sorted(together.items()))
    return f"{name}{{{pairs}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


@dataclass
class Pages:
    """What Prometheus has, and what it should make of it.

    Scrapes are a step apart, in seconds, and rules are evaluated as often, or each `every`.
    """

    steps: int
    step: int = MINUTE
    every: int = 0
    input: dict[str, Values] = field(default_factory=dict)
    alerts: list[Mapping[str, Any]] = field(default_factory=list)
    samples: list[Mapping[str, Any]] = field(default_factory=list)

    def set(self, name: str, values: Values, *labels: Labels, **more: str) -> None:
        """Let a series have these values."""
        self.input[series(name, *labels, **more)] = values

    def drop(self, name: str, labels: Labels | None = None) -> None:
        """Leave a metric out, or those of its series that have these labels."""
        pairs = series("", labels or {})[1:-1].split(",")
        for key in [k for k in self.input if k.startswith(f"{name}{{")]:
            if all(pair in key for pair in pairs):
                del self.input[key]

    def during(self, target: Labels, start: int, steps: int, *names: str) -> None:
        """Take series of a target off its page for a while, all if none is named."""
        pairs = series("", target)[1:-1].split(",")
        for key, values in self.input.items():
            name = key.partition("{")[0]
            if name != "up" and (not names or name in names) and all(p in key for p in pairs):
                self.input[key] = between(values, start, steps, gone)

    def expect(self, name: str, at: int, *labels: Mapping[str, Any]) -> None:
        """Expect an alert to fire with these labels and annotations, or, with none, not to."""
        self.alerts.append(
            {
                "alertname": name,
                "eval_time": format_duration(at),
                "exp_alerts": [
                    {"exp_labels": fired["labels"], "exp_annotations": fired["annotations"]}
                    for fired in labels
                ],
            }
        )

    def expect_silence(self, *at: int) -> None:
        """Expect no alert of any kind."""
        for moment in at:
            for name in ALERTS:
                self.expect(name, moment)

    def expect_sample(self, expr: str, at: int, *samples: tuple[str, float]) -> None:
        """Expect an expression to have these series with these values."""
        self.samples.append(
            {
                "expr": expr,
                "eval_time": format_duration(at),
                "exp_samples": [{"labels": labels, "value": value} for labels, value in samples],
            }
        )

    def expect_near(
        self, expr: str, at: int, value: float, labels: Labels | None = None, within: float = 0.005
    ) -> None:
        """Expect one series, with these labels and about this value."""
        near = f"abs(({expr}) - {value}) < bool {within}"
        self.expect_sample(near, at, (series("", labels or {}), 1))

    def check(self, folder: Path, files: Iterable[Path] = FILES) -> None:
        """Fail with what promtool has against it, if anything, of the rules that matter to it."""
        asked = [alert["alertname"] for alert in self.alerts]
        asked += [sample["expr"] for sample in self.samples]
        rules = needed(load_rules(files), asked)
        names = words([*asked, *(text for rule in rules for text in read_by(rule))])
        looked_at = {
            key: values
            for key, values in self.input.items()
            if key.partition("{")[0] in names or "__name__" in names
        }
        verdict(folder, rules, [replace(self, input=looked_at)])

    def check_with_each_stack(self, folder: Path, files: Iterable[Path] = FILES) -> None:
        """Do the same with each promtool, for pages that took long to make."""
        for stack in STACKS:
            with on_the_path(stack):
                self.check(folder, files)

    def document(self) -> Mapping[str, Any]:
        """Return it as promtool reads it."""
        return {
            "interval": format_duration(self.step),
            "input_series": [
                {"series": name, "values": values(self.steps)}
                for name, values in self.input.items()
            ],
            "alert_rule_test": self.alerts,
            "promql_expr_test": self.samples,
        }


def verdict(folder: Path, rules: Sequence[Rule], pages: Sequence[Pages]) -> None:
    """Fail with what promtool has against these rules on any of the pages, if anything."""
    groups = [{"name": "rules", "rules": rules}]
    (folder / "rules.yml").write_text(yaml.dump({"groups": groups}, Dumper=yaml.CSafeDumper))
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": format_duration(pages[0].every or pages[0].step),
        "tests": [each.document() for each in pages],
    }
    file = folder / "test.yml"
    file.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, width=10_000))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"{shutil.which('promtool')}:\n{done.stdout}{done.stderr}", pytrace=False)


def between(usual: Values, start: int, length: int, values: Values) -> Values:
    """Return the usual values with others between; what rises goes on rising unseen."""

    def text(steps: int) -> str:
        shown = _unfolded(usual(steps))
        return " ".join([*shown[:start], values(length), *shown[start + length :]])

    return text


def stopped(usual: Values, step: int) -> Values:
    """Return the usual values up to a step, and from there on what it was then."""
    return lambda steps: f"{usual(step)} {_unfolded(usual(step))[-1]}x{steps - step - 1}"


def _unfolded(text: str) -> list[str]:
    """Return promtool's notation value by value."""
    found: list[str] = []
    for part in text.split():
        if "x" not in part:
            found.append(part)
            continue
        values, _, times = part.partition("x")
        if values == "_":
            found += [values] * int(times)
            continue
        split = max(values.rfind("+"), values.rfind("-"))
        by = float(values[split:]) if split > 0 and values[split - 1] != "e" else 0.0
        start = float(values[:split]) if by else float(values)
        found += [f"{start + by * i:.15g}" for i in range(int(times) + 1)]
    return found


def made(folder: Path, settings: Mapping[str, Any], *flags: str) -> list[Path]:
    """Have `viam-billing rules` make the files of rules with settings that differ, and flags."""
    changes = folder / "settings.yml"
    changes.write_text(yaml.safe_dump(settings))
    assert main(["rules", f"--settings={changes}", f"--dest={folder}", *flags]) == 0
    return [folder / path.name for path in FILES]


def hold(alert: str) -> int:
    """Return the seconds that an alert's condition must hold."""
    return int(parse_duration(ALERTS[alert]["for"]))
