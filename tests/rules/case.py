"""One alert, from a healthy page to trouble and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rules.harness import (
    ACME,
    FIRST,
    MINUTE,
    Labels,
    Pages,
    Values,
    between,
    gone,
    hold,
    series,
)
from rules.healthy import healthy

BEGINS = 20  # steps until trouble begins
LONG = 2 * 3600  # an alert that takes longer is looked at less often, to save time


@dataclass(frozen=True)
class Case:
    """What changes on the page, and what is told of it."""

    alert: str
    severity: str
    area: str
    title: str
    summary: str
    description: str
    trouble: Mapping[str, Values] = field(default_factory=dict)  # by series
    labels: Labels = field(default_factory=dict)
    about: Labels = field(default_factory=lambda: ACME)
    delay: int = 0  # seconds until what changed is trouble
    case: str = ""  # of several of one alert

    @property
    def id(self) -> str:
        """Return what to call it in the names of tests."""
        return f"{self.alert} {self.case}".strip()

    def fired(self) -> Mapping[str, Labels]:
        """Return the alert's labels and annotations."""
        labels = {**self.about, **self.labels, "severity": self.severity, "area": self.area}
        return {
            "labels": labels,
            "annotations": {
                "title": self.title,
                "summary": self.summary,
                "description": f"{self.description} {what_to_do(self.alert)}",
            },
        }


def what_to_do(alert: str) -> str:
    """Return how a description ends where no link leads to the runbook."""
    return f"To see what to do, run: viam-billing runbook {alert}"


def on_page(name: str, **labels: str) -> str:
    """Return a series of the organization of a healthy page."""
    return series(name, FIRST, ACME, labels)


def of_exporter(name: str, **labels: str) -> str:
    """Return a series of the exporter of a healthy page."""
    return series(name, FIRST, labels)


def troubled(case: Case, begins: int, lasts: int, after: int, step: int = MINUTE) -> Pages:
    """Return pages in trouble after `begins` steps for `lasts`, and healthy for `after` more."""
    pages = healthy(begins + lasts + after, step)
    for name, values in case.trouble.items():
        usual = pages.input.get(name, gone)
        pages.input[name] = between(usual, begins, lasts, values)
    return pages


def check(case: Case, folder: Path) -> None:
    """Fail unless it is silent, is not rash, fires with all it has, and resolves."""
    takes = case.delay + hold(case.alert)
    step = MINUTE if takes <= LONG else 15 * MINUTE
    lasts = takes // step + 20
    pages = troubled(case, BEGINS, lasts, 40, step)
    begins = BEGINS * step
    pages.expect(case.alert, begins - 2 * step)
    pages.expect(case.alert, begins + takes - 2 * step)
    pages.expect(case.alert, begins + takes + 3 * step, case.fired())
    pages.expect(case.alert, begins + (lasts + 30) * step)
    pages.check(folder)
