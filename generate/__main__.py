"""Writes the generated files: `python -m generate [--check] [PART...]`, all parts by default.

With --check nothing is written, and a file that differs is an error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from generate import chart, dashboards, documents, rules, stack, version
from generate.steps import Step

# In this order, for some are made of others.
PARTS: Final[Mapping[str, Sequence[Step]]] = {
    "version": version.STEPS,
    "rules": rules.STEPS,
    "documents": documents.STEPS,
    "dashboards": dashboards.STEPS,
    "chart": chart.STEPS,
    "stack": stack.STEPS,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files of parts, or with --check compare them. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    chosen = [steps for name, steps in PARTS.items() if name in (arguments.parts or PARTS)]
    # Not any(): each of them is to say what differs.
    return max([step.run(check=arguments.check) for steps in chosen for step in steps], default=0)


if __name__ == "__main__":
    sys.exit(main())
