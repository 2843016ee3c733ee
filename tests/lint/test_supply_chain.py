"""What runs beside our own code is known, pinned, explained and listed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
BIN = Path(sys.executable).parent
RUNTIME = ROOT / "requirements" / "runtime.txt"
DEVELOPMENT = ROOT / "requirements" / "dev.txt"
REASONS = ROOT / "docs" / "adr" / "0004-runtime-dependencies.md"

REQUIREMENT = re.compile(r"([a-z0-9-]+)(?:\[[^]]*\])?==([^ ;]+)(?: *;.*)?")
SHA256 = re.compile(r"--hash=sha256:[0-9a-f]{64}")

# Put together here, so that this file has none of them.
INDEX_HOSTS = [f"{host}.org" for host in ("pypi", "pythonhosted")]
INDEX_HOSTS += [f"{word}.{domain}" for word in ("artifactory", "nexus") for domain in ("com", "io")]
MACHINE_PATHS = ["/" + path + "/" for path in ("root", "work", "home/user", "Users")]


def entries(lock: Path) -> list[list[str]]:
    """Return the requirements of a file, each with its options."""
    text = re.sub(r"^ *#.*\n", "", lock.read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [re.split(r" +(?=--)", line.strip()) for line in lines if line.strip()]


def pins(lock: Path) -> dict[str, str]:
    """Return the versions by name."""
    matches = (REQUIREMENT.fullmatch(requirement.strip()) for requirement, *_ in entries(lock))
    return {match[1]: match[2] for match in matches if match}


def declared() -> set[str]:
    """Return the names of what the package says it needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {re.split(r"[<>=~! \[;]", dependency)[0] for dependency in project["dependencies"]}


def tracked() -> list[Path]:
    """Return every file of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_everything_is_pinned_with_hashes(lock: Path) -> None:
    """One version each, and nothing that was exchanged since gets in."""
    assert entries(lock)
    for requirement, *options in entries(lock):
        assert REQUIREMENT.fullmatch(requirement.strip()), requirement
        assert options, f"{requirement} has no hash"
        assert all(SHA256.fullmatch(option.strip()) for option in options), requirement


def test_what_is_tested_is_what_runs() -> None:
    """The development environment has every package that runs, in the same version."""
    assert pins(RUNTIME).items() <= pins(DEVELOPMENT).items()


def test_every_direct_dependency_has_its_reason_and_no_other_has() -> None:
    """In the decision on runtime dependencies, a row each."""
    rows = re.findall(r"^\| ([a-z0-9-]+) \|", REASONS.read_text(), re.MULTILINE)
    assert sorted(set(rows) - {"dependency", "---"}) == sorted(declared())
    assert declared() <= pins(RUNTIME).keys()


def imported(*, types: bool) -> set[str]:
    """Return what the package imports that is not Python's: by distribution, else by module.

    Args:
        types: also what only type checkers import.

    """
    graph = grimp.build_graph(
        "exporter",
        include_external_packages=True,
        exclude_type_checking_imports=not types,
        cache_dir=None,
    )
    modules = {name.partition(".")[0] for name in graph.modules} - sys.stdlib_module_names
    known = packages_distributions()
    names = (known.get(module, [module]) for module in modules - {"exporter"})
    return {canonicalize_name(name) for several in names for name in several}


def test_what_is_imported_is_what_is_declared() -> None:
    """No test, no generator, no tool of ours; types may also come from what those bring along."""
    assert imported(types=False) == declared()
    assert imported(types=True) <= pins(RUNTIME).keys()


def test_no_file_names_a_package_index_or_a_machine_s_folder() -> None:
    """Where packages come from is for the environment to say; paths of one machine help nobody."""
    words = re.compile("|".join(map(re.escape, (*INDEX_HOSTS, *MACHINE_PATHS))).encode())
    found = {path.relative_to(ROOT): words.findall(path.read_bytes()) for path in tracked()}
    assert not {path: hits for path, hits in found.items() if hits}


def test_the_bill_of_materials_lists_exactly_what_runs(tmp_path: Path) -> None:
    """In name, version and hashes, as `make sbom` writes it."""
    file = tmp_path / "sbom.json"
    subprocess.run(
        # The environment is the one that runs this test: it is not to be set up again.
        ["make", "--old-file=.venv/.done", "sbom", f"SBOM={file}", f"BIN={BIN}"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    document = json.loads(file.read_text())
    assert document["bomFormat"] == "CycloneDX"
    components = document["components"]
    assert {part["name"]: part["version"] for part in components} == pins(RUNTIME)
    hashes = {
        part["name"]: {
            f"--hash=sha256:{digest['content']}"
            for reference in part["externalReferences"]
            for digest in reference["hashes"]
        }
        for part in components
    }
    assert hashes == {
        requirement.partition("==")[0]: {option.strip() for option in options}
        for requirement, *options in entries(RUNTIME)
    }
