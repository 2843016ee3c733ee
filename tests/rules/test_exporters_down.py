"""The alert on exporters that are down: which ones it finds, and when it forgets them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rules.harness import (
    ACME,
    FIRST,
    HOUR,
    MINUTE,
    Labels,
    Pages,
    Values,
    between,
    gone,
    same,
    then,
)
from rules.healthy import add_exporter, add_organization
from rules.trouble import DOWN, down

STEP: Final = 2 * MINUTE
AN_HOUR: Final = HOUR // STEP
SECOND: Final = {**FIRST, "instance": "exporter-1:8426"}
THIRD: Final = {**FIRST, "instance": "exporter-2:8426"}


def pages_of(hours: float, *targets: Labels) -> Pages:
    """Return the pages of exporters that have an organization each."""
    pages = Pages(int(hours * AN_HOUR), STEP)
    for number, target in enumerate(targets):
        add_exporter(pages, target)
        add_organization(pages, target, {**ACME, "org_id": f"acme-{number}"})
    return pages


def there(pages: Pages, target: Labels, start: float, end: float, otherwise: Values = gone) -> None:
    """Let an exporter be there from one hour to another, and its `up` be something otherwise."""
    first, last = int(start * AN_HOUR), int(end * AN_HOUR)
    before_and_after = [(0, first), (last, pages.steps - last)]
    for begins, steps in [span for span in before_and_after if span[1] > 0]:
        pages.during(target, begins, steps)
        for key in [key for key in pages.input if key.startswith("up{")]:
            if target["instance"] in key:
                pages.input[key] = between(pages.input[key], begins, steps, otherwise)


def expect(pages: Pages, hour: float, *targets: Labels) -> None:
    """Expect the alert about these exporters, or, for one that is empty, that there is none."""
    pages.expect(DOWN, int(hour * HOUR), *map(down, targets))


def test_one_that_is_no_target_any_more_is_missed_and_forgotten(tmp_path: Path) -> None:
    """Its organizations are on no page, though the other one is well; half a day is enough."""
    pages = pages_of(18, FIRST, SECOND)
    there(pages, SECOND, 0, 3)
    pages.every = 10 * MINUTE
    expect(pages, 2.9)
    expect(pages, 3.5, SECOND)
    expect(pages, 14.5, SECOND)
    expect(pages, 15.9)
    pages.check(tmp_path)


def test_one_that_fails_is_not_forgotten(tmp_path: Path) -> None:
    """For as long as somebody wants it scraped."""
    pages = pages_of(20, FIRST, SECOND)
    there(pages, SECOND, 0, 3, same(0))
    pages.every = 10 * MINUTE
    expect(pages, 19.5, SECOND)
    pages.check(tmp_path)


def test_one_that_is_replaced_is_not_missed(tmp_path: Path) -> None:
    """By a pod with another address, twice, beside which it ran for twenty minutes."""
    pages = pages_of(9, FIRST, SECOND, THIRD)
    there(pages, FIRST, 0, 3.35)
    there(pages, SECOND, 3, 6.35)
    there(pages, THIRD, 6, 9)
    for hour in (2.5, 3.2, 3.6, 5, 6.2, 6.6, 8.5):
        expect(pages, hour)
    pages.check(tmp_path)


def test_one_whose_replacement_does_not_come_is_missed(tmp_path: Path) -> None:
    """It is named until it is forgotten; without any, that is what is told."""
    pages = pages_of(18, FIRST)
    there(pages, FIRST, 0, 3)
    pages.every = 10 * MINUTE
    expect(pages, 3.5, FIRST)
    expect(pages, 14.5, FIRST)
    expect(pages, 16.5, {})
    pages.check(tmp_path)


def test_prometheus_never_had_one(tmp_path: Path) -> None:
    """Nothing else would say so."""
    pages = Pages(20)
    pages.set("up", same(1), job="node", instance="node:9100")
    pages.expect(DOWN, 4 * MINUTE)
    expect(pages, 0.2, {})
    pages.check(tmp_path)


def test_what_else_a_job_scrapes_is_nothing_to_us(tmp_path: Path) -> None:
    """As with the usual job for all pods that are annotated: others fail, come and go."""
    pods = {"job": "kubernetes-pods", "instance": "10.0.0.7:8426"}
    pages = pages_of(3, pods)
    other = {"job": "kubernetes-pods", "instance": "10.0.0.8:8080"}
    pages.set("up", then((same(1), 20), (same(0), 20), gone), other)
    for hour in (0.5, 1, 1.2, 2.5):
        expect(pages, hour)
    there(pages, pods, 0, 2.6, same(0))
    expect(pages, 2.9, pods)
    pages.check(tmp_path)


def test_a_missed_scrape_is_no_news(tmp_path: Path) -> None:
    """Nor is a restart."""
    pages = pages_of(1, FIRST)
    there(pages, FIRST, 0, 0.5, same(0))
    pages.drop("viam_billing_exporter_build_info")
    pages.set("viam_billing_exporter_build_info", then((same(1), 15), (gone, 1), same(1)), FIRST)
    pages.set("up", then((same(1), 15), (same(0), 1), same(1)), FIRST)
    for minute in (31, 33, 35, 40):
        expect(pages, minute / 60)
    pages.check(tmp_path)
