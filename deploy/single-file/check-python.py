"""Ends with an explanation if the single file has no libraries for the Python that runs it.

shiv runs this before the command, and says in variables where file and modules are.
"""

import re
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

archive, site_packages = (globals()[name] for name in ("archive", "site_packages"))
libraries = [path.name for path in Path(site_packages, "grpc", "_cython").glob("cygrpc.*.so")]
if f"cygrpc{EXTENSION_SUFFIXES[0]}" not in libraries:
    numbers = [int(re.findall(r"cpython-3(\d+)-", name)[0]) for name in libraries]
    *held, newest = (f"3.{number}" for number in sorted(numbers))
    sys.exit(
        f"This file is for CPython {', '.join(held)} or {newest} on Linux with glibc on x86-64.\n"
        f"{sys.executable} is another: its libraries end in {EXTENSION_SUFFIXES[0]}.\n"
        f"Run it with one of those, as in: python{newest} {archive} ...\n"
        "Elsewhere, install the wheel."
    )
