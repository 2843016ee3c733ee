"""The threat model promises nothing that no test shows: test_docs.py looks them up."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
DOCUMENT = (TESTS.parent / "docs" / "security.md").read_text()
ATTACKS = DOCUMENT.partition("\n## Attacks\n")[2].partition("\n## ")[0]
TEST = r"`[a-z_/]+\.py::test_[a-z0-9_]+`"


def test_every_attack_has_a_test() -> None:
    """At its end, in brackets, after the attack and what stops it."""
    attacks = re.split(r"^- ", ATTACKS, flags=re.MULTILINE)[1:]
    assert len(attacks) > 20
    for attack in attacks:
        text = " ".join(attack.partition("\n\n")[0].split())
        assert re.fullmatch(rf"[^`].+: .+\. \({TEST}(, {TEST})*\)", text), text
