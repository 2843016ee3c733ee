"""Which Prometheus and Alertmanager take part in tests: the installed ones, and newer ones.

Tests find the programs on the PATH, as users do. Those that take the fixture `stack` run once for
each of STACKS, with the programs of that one first on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

# Not that of support.process, which would name the commands before it is known which are tested.
ROOT: Final = Path(__file__).parents[2]
PROGRAMS: Final = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
# Where each stack has them; None: wherever the machine has them.
STACKS: Final[Mapping[str, Path | None]] = {
    "installed": None,
    "newer": ROOT / ".prometheus-newer" / "usr" / "bin",
}


@contextmanager
def on_the_path(stack: str) -> Iterator[None]:
    """Have the programs of a stack first on the PATH while inside."""
    folder, before = STACKS[stack], os.environ["PATH"]
    if folder is None:
        yield
        return
    missing = [name for name in PROGRAMS if not (folder / name).exists()]
    assert not missing, f"{missing} missing: `make {folder.parents[1].name}/.done` fetches them"
    os.environ["PATH"] = f"{folder}{os.pathsep}{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before
