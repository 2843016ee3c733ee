"""What `viam-billing rules` writes, as deploy/ has it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from exporter.rules.rule_files import alertmanager, files
from exporter.rules.rule_settings import load
from generate.steps import ROOT, Step

COMMAND: Final = "make rules"
RULES: Final = ROOT / "deploy" / "prometheus" / "rules"
ALERTMANAGER: Final = ROOT / "deploy" / "alertmanager"


def generated() -> Mapping[Path, str]:
    """Return the files with the content that they should have."""
    return {
        **{RULES / name: text for name, text in files(load()).items()},
        **{ALERTMANAGER / name: text for name, text in alertmanager().items()},
    }


STEPS: Final = (Step(COMMAND, generated, [RULES]),)
