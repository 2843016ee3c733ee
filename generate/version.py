"""The version in the package, from pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from generate.steps import ROOT, Step

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NUMBER: Final = PROJECT["version"]
PACKAGE: Final = ROOT / "exporter" / "__init__.py"


def generated() -> Mapping[Path, str]:
    """Return the module that has the version, with the one that it should have."""
    text = re.sub(r'(?m)^(__version__ = )"[^"]*"', rf'\1"{NUMBER}"', PACKAGE.read_text())
    return {PACKAGE: text}


STEPS: Final = (Step("make generate", generated),)
