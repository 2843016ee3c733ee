"""A file of settings for the rules: what it changes, and what is said of one that is wrong."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from exporter.config import ConfigError
from exporter.rules import rule_settings
from exporter.rules.rule_files import files
from exporter.rules.rule_settings import Settings, Thresholds, load

DURATION: Final = "must be a duration with a unit, such as 15m or 1h30m"
SPIKE: Final = "ViamBillingSpendSpike"
THRESHOLDS: Final = ", ".join(Thresholds.model_fields)
LONG: Final = "ViamBillingUpstreamOutageEverywhere"
# What is in the file, and what is said of it.
WRONG: Final = {
    "- thresholds": ["rules.yml:1: must be a mapping"],
    "thresholds: 5": ["rules.yml:1: thresholds: must be a mapping"],
    f"alerts: [{SPIKE}]": ["rules.yml:1: alerts: must be a mapping"],
    f"alerts: {{{SPIKE}: info}}": [f"rules.yml:1: alerts.{SPIKE}: must be a mapping"],
    "threshold: {}": ["rules.yml:1: threshold: unknown key: did you mean thresholds?"],
    "runbooks: https://wiki.example.com": [
        f"rules.yml:1: runbooks: unknown key: the known ones are {', '.join(Settings.model_fields)}"
    ],
    "thresholds:\n  due_sooon: 1d": [
        "rules.yml:2: thresholds.due_sooon: unknown key: did you mean due_soon?"
    ],
    f"alerts:\n  {SPIKE}s: {{severity: info}}": [
        f"rules.yml:2: alerts.{SPIKE}s: unknown key: did you mean {SPIKE}?"
    ],
    f"alerts:\n  {LONG}: {{sevrity: page}}": [
        f"rules.yml:2: alerts.{LONG}.sevrity: unknown key: did you mean severity?"
    ],
    f"alerts:\n  {LONG}: {{severity: page}}": [
        f"rules.yml:2: alerts.{LONG}.severity: must be critical, warning or info"
    ],
    # A word as long as a key is not shown, wherever it came from.
    "thresholds:\n  0123456789abcdef0123456789abcdef: 1": [
        f"rules.yml:2: thresholds: unknown key: the known ones are {THRESHOLDS}"
    ],
    "thresholds:\n  due_soon: 3\n  frozen: 5 days\n  large_invoice_news:": [
        f"rules.yml:2: thresholds.due_soon: {DURATION}",
        f"rules.yml:3: thresholds.frozen: {DURATION}",
        f"rules.yml:4: thresholds.large_invoice_news: {DURATION}",
    ],
    "thresholds:\n  due_soon: 0d": ["rules.yml:2: thresholds.due_soon: must be above zero"],
    "thresholds:\n  spike_usd: 25 dollars": [
        "rules.yml:2: thresholds.spike_usd: must be a finite number"
    ],
    "thresholds:\n  spike_usd: .inf": [
        "rules.yml:2: thresholds.spike_usd: must be a finite number"
    ],
    "thresholds:\n  spike_usd: -1": ["rules.yml:2: thresholds.spike_usd: must not be below 0"],
    "thresholds:\n  outage_share: 50": [
        "rules.yml:2: thresholds.outage_share: must not be above 1"
    ],
    "thresholds:\n  budget_used: 1": ["rules.yml:2: thresholds.budget_used: must be a list"],
    **{
        f"thresholds:\n  budget_used: {levels}": [
            "rules.yml:2: thresholds.budget_used: must be a list of amounts in increasing order"
        ]
        for levels in ("[]", "[1, 0.8]", "[0.5, 0.5]")
    },
    "thresholds:\n  budget_used: [half]": [
        "rules.yml:2: thresholds.budget_used[0]: must be a finite number"
    ],
    "windows: {day: 25h}": ["rules.yml:1: windows.day: must not be above 1d"],
    "interval: 5m": [
        "rules.yml:1: interval: must be below 5m, after which Prometheus treats series as gone"
    ],
    "alerts:\n  ViamBillingInvoiceOverdue: {mitigated: page}": [
        "rules.yml:2: alerts.ViamBillingInvoiceOverdue.mitigated: must be critical, warning or info"
    ],
    f"alerts:\n  {SPIKE}: {{mitigated: info}}": [
        f"rules.yml:2: alerts.{SPIKE}.mitigated: unknown key: the known ones are for, severity"
    ],
    "thresholds:\n  0123456789abcdef0123456789abcdef:\n    a: 1\n    a: 1": [
        f"rules.yml:3: thresholds: unknown key: the known ones are {THRESHOLDS}",
        "rules.yml:4: thresholds: appears twice: keep one",
    ],
    "interval: 2m\ninterval: 1m": ["rules.yml:2: interval: appears twice: keep one"],
    "interval: ${INTERVAL}": [f"rules.yml:1: interval: {DURATION}"],
    "interval: %1m": [
        "rules.yml:1: is not valid YAML: found character that cannot start any token"
    ],
    "interval: !!str 1m": [
        "rules.yml:1: has a YAML tag (!): write the plain value, quoted if needed"
    ],
}


def read(text: str | bytes, folder: Path) -> Settings:
    """Return the settings with the changes of a file."""
    (folder / "rules.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with chdir(folder):
        return load(Path("rules.yml"))


def refusal(text: str | bytes, folder: Path) -> list[str]:
    """Return what is said of a file, line by line."""
    with pytest.raises(ConfigError) as caught:
        read(text, folder)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_told_with_its_place(text: str, tmp_path: Path) -> None:
    """By file, line and key path, and with the rule."""
    assert refusal(text, tmp_path) == WRONG[text]


@pytest.mark.parametrize("kind", [list[float], Sequence[float]])
@pytest.mark.parametrize("value", [1, "0.5, 1", {"first": 0.5}, None])
def test_what_is_no_list_is_told_in_plain_words(kind: Any, value: object) -> None:
    """Of whichever type the setting is in the program."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    assert [rule_settings._rule(each) for each in caught.value.errors()] == ["must be a list"]


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """In the order of the file, whichever check found it."""
    text = "interval: 1\nthreshold: 1\nthresholds: {frozen: x}\ninterval: 2m\n"
    places = [line.split(": ")[:2] for line in refusal(text, tmp_path)]
    assert places == [
        ["rules.yml:1", "interval"],
        ["rules.yml:2", "threshold"],
        ["rules.yml:3", "thresholds.frozen"],
        ["rules.yml:4", "interval"],
    ]


def test_a_file_changes_only_what_it_names(tmp_path: Path) -> None:
    """At every level; numbers may be whole ones."""
    text = f"interval: 2m\nthresholds: {{spike_usd: 40}}\nalerts: {{{SPIKE}: {{for: 2h}}}}\n"
    ours = load().model_dump()
    ours["interval"] = "2m"
    ours["thresholds"]["spike_usd"] = 40.0
    ours["alerts"][SPIKE]["hold"] = "2h"
    assert read(text, tmp_path).model_dump() == ours


@pytest.mark.parametrize(
    "text", ["", "# nothing yet\n", "---\n", "thresholds:\n  # due_soon: 7d\n"]
)
def test_what_is_commented_out_changes_nothing(text: str, tmp_path: Path) -> None:
    """A whole file, or a section."""
    assert read(text, tmp_path) == load()


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    """Some editors write one."""
    assert read(b"\xef\xbb\xbfinterval: 2m\n", tmp_path).interval == "2m"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"interval: 1m # caf\xe9\n", "rules.yml:1: must be text in UTF-8"),
        (b"# " + b"x" * 2_000_000, "rules.yml: must not be larger than 2 MB"),
        (b"a: " + b"[" * 40 + b"]" * 40, "rules.yml:1: is nested deeper than 32 levels"),
        (
            b"".join(
                b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1) if n else b"x"] * 10))
                for n in range(7)
            ),
            "rules.yml:6: has more than 500000 values, with aliases expanded",
        ),
    ],
    ids=["not UTF-8", "huge", "deep", "alias bomb"],
)
def test_a_file_that_is_no_settings_is_refused(
    content: bytes, message: str, tmp_path: Path
) -> None:
    """Before it costs memory or time."""
    assert refusal(content, tmp_path) == [message]


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """Nobody waits for somebody to write into a FIFO."""
    os.mkfifo(tmp_path / "fifo")
    for name, message in {
        "fifo": "must be a regular file",
        ".": "must be a regular file",
        "missing.yml": "cannot be read: No such file or directory",
    }.items():
        with chdir(tmp_path), pytest.raises(ConfigError) as caught:
            load(Path(name))
        assert str(caught.value) == f"{name}: {message}"


def test_levels_of_a_budget_are_each_an_alert_and_the_last_has_its_severity(
    tmp_path: Path,
) -> None:
    """However many there are; one may be above the whole."""
    text = "thresholds: {budget_used: [0.9, 1.25]}\n"
    text += "alerts: {ViamBillingBudgetUsed: {severity: critical}}\n"
    made = yaml.safe_load(files(read(text, tmp_path))["viam-billing.alerts.yml"])
    rules = [rule for group in made["groups"] for rule in group["rules"]]
    budgets = [r["labels"] for r in rules if r["alert"] == "ViamBillingBudgetUsed"]
    assert [(labels["budget"], labels["severity"]) for labels in budgets] == [
        ("125%", "critical"),
        ("90%", "info"),
    ]
