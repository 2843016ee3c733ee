"""`viam-billing runbook`: the runbook in a terminal, as a process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter.rules.runbook import sections
from exporter.tool import main
from rules.harness import ALERTS
from support.process import ROOT
from support.standing import command

OVERDUE = "ViamBillingInvoiceOverdue"


def run(folder: Path, *arguments: str) -> str:
    """Run the command, which must do without a complaint, and return its output."""
    done = command("runbook", *arguments, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_it_lists_every_alert(tmp_path: Path) -> None:
    """With its severities and its summary, each once, and the sections that are about no alert."""
    lines = run(tmp_path).splitlines()
    listed = [line.split()[0] for line in lines if line.strip().startswith("ViamBilling")]
    assert sorted(listed) == sorted(ALERTS)
    (overdue,) = (line for line in lines if OVERDUE in line)
    assert overdue.split(maxsplit=3)[1:3] == ["critical,", "warning"]
    assert overdue.endswith(ALERTS[OVERDUE]["annotations"]["summary"])
    assert (
        lines[-1]
        == 'Other sections: "When polls fail", "After an outage", "Two kinds of invoices", '
        '"What a bill covers"'
    )


def test_every_section_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    """It has the words of the page, in lines that fit, and no Markdown."""
    for name, section in sections().items():
        assert main(["runbook", name]) == 0
        printed = capsys.readouterr().out
        lines = printed.splitlines()
        assert lines[0].startswith(name)
        assert " ".join(printed.split()).endswith(" ".join(section.split()))
        steps = re.findall(r"^\d+\. ", section, re.MULTILINE)
        assert re.findall(r"^ +(\d+\. )", printed, re.MULTILINE) == steps
        assert "**" not in printed
        assert "](" not in printed
        assert all(len(line) <= 80 or len(line.split()) == 1 for line in lines)


def test_what_an_alert_says_to_type_prints_its_section(tmp_path: Path) -> None:
    """Its description ends with a command that can be copied, of nothing but plain text."""
    for name, alert in ALERTS.items():
        typed = f" To see what to do, run: viam-billing runbook {name}"
        assert alert["annotations"]["description"].endswith(typed)
        assert name in sections()
    summary = ALERTS[OVERDUE]["annotations"]["summary"]
    assert f"(critical, warning)\n\n  {summary}\n\n" in run(tmp_path, OVERDUE)
    assert run(tmp_path, OVERDUE.lower()) == run(tmp_path, OVERDUE)


def test_it_names_the_section_that_a_link_leads_to(tmp_path: Path) -> None:
    """There is nothing to click on in a terminal; what is elsewhere keeps its words only."""
    printed = " ".join(run(tmp_path, "ViamBillingUpstreamOutage").split())
    assert 'See also "when polls fail".' in printed
    assert "an outage everywhere (ViamBillingUpstreamOutageEverywhere)" in printed
    page = (ROOT / "docs" / "runbooks" / "viam-billing.md").read_text()
    assert "(#viambillingupstreamoutageeverywhere)" in page


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ViamBillingBudgetUse", "did you mean ViamBillingBudgetUsed?"),
        ("InvoiceOverdue", f"did you mean {OVERDUE}?"),
        ("after outage", "did you mean After an outage?"),
        ("nonsense", "viam-billing runbook lists the alerts"),
        ("x" * 100_000, "viam-billing runbook lists the alerts"),
    ],
)
def test_an_unknown_name_is_wrong_usage(name: str, hint: str, tmp_path: Path) -> None:
    """The error has the names that are close to it."""
    done = command("runbook", name, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"viam-billing: {name!r}: there is no such alert: {hint}\n"
