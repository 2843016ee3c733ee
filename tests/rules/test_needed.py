"""Tests evaluate only the rules that they depend on: here is what makes that right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from rules.case import troubled
from rules.harness import FILES, MINUTE, verdict
from rules.needed import Rule, load_rules, needed
from rules.test_alerts_of_money import CASES as OF_MONEY
from rules.test_alerts_of_polls import EXPORTERS, POLLS
from rules.test_alerts_of_spend import CASES as OF_SPEND

ONE: Rule = {"record": "org:one", "expr": "sum(spent)"}
TWO: Rule = {"record": "org:two", "expr": "rate(\norg:one[5m])"}
LOUD: Rule = {"alert": "Loud", "expr": "org:two > 1", "annotations": {"title": "{{ $value }}"}}
LONG: Rule = {"alert": "Long", "expr": "up", "annotations": {"title": '{{ query "org:one" }}'}}
ALL: tuple[Rule, ...] = (ONE, TWO, LOUD, LONG)


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("up == 0", []),
        ("sum(org:one) / 2", [ONE]),
        ("Loud", [ONE, TWO, LOUD]),
        ("Long", [ONE, LONG]),
        ('ALERTS{alertname="Long"}', [ONE, LONG]),
        ('ALERTS{alertstate="firing"}', ALL),
        ('ALERTS{alertname="Long"} or ALERTS', ALL),
        ('{__name__="org:one"}', [ONE]),
        ('{__name__=~"org:t.*"}', ALL),
    ],
)
def test_what_is_needed(text: str, rules: Sequence[Rule]) -> None:
    """What an expression names, and what that needs in turn, also for its messages."""
    assert needed(ALL, [text]) == list(rules)


def test_no_rule_fails_on_any_trouble(tmp_path: Path) -> None:
    """Not even one that the test of that trouble leaves out, and that joins many to many there."""
    pages = [
        troubled(case, begins=2, lasts=3, after=3)
        for case in (*OF_MONEY, *POLLS, *EXPORTERS, *OF_SPEND.values())
    ]
    for each in pages:
        each.expect_sample("vector(1)", 7 * MINUTE, ("{}", 1))  # it is evaluated until then
    verdict(tmp_path, load_rules(FILES), pages)
