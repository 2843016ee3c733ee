"""The image that is built: what is in it, and what it says of itself."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from datetime import datetime
from importlib.metadata import distributions
from importlib.util import source_from_cache
from pathlib import Path, PurePosixPath
from typing import Final

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from support.container import ENVIRON, SOURCE, USER, Image, buildah, own_flags, pinned_base
from support.debian import portable
from support.packages import COMMIT, PYTHONS
from support.process import ROOT

# The base has to be made first, and pip to fetch what runs.
pytestmark = pytest.mark.timeout(600)

HOME: Final = PurePosixPath("opt/viam-billing-exporter")
# buildah leaves empty files and folders where it has put its own while something ran.
OF_BUILDAH: Final = {"etc", "etc/hosts", "run"}
WRITABLE: Final = {"data": 0o700, "rules": 0o755}


def test_the_same_checkout_gives_the_same_layers(images: list[Image]) -> None:
    """Whoever builds it, with whatever umask, and whenever the files were written."""
    first, second = images
    assert first.layers == second.layers


def test_it_runs_as_nobody_and_says_so_by_number(image: Image) -> None:
    """Kubernetes knows by the number alone that it is not root."""
    assert image.config["User"] == f"{USER}:{USER}"


def test_it_starts_without_a_shell(image: Image) -> None:
    """Its health check is one, so that no Python has to start each half minute."""
    assert image.config["Entrypoint"] == ["viam-billing-exporter", *own_flags()]
    assert not image.config["Cmd"]
    kind, program, *_ = image.config["Healthcheck"]["Test"]
    assert (kind, program) == ("CMD", "bash")


def test_it_says_where_it_serves_and_how_it_stops(image: Image) -> None:
    """And leaves it to people on which volume it stores: none without a name piles up."""
    assert list(image.config["ExposedPorts"]) == ["8426/tcp"]
    assert image.config["StopSignal"] == "SIGTERM"
    assert not image.config["Volumes"]


def test_it_runs_on_the_newest_python(working: str) -> None:
    """Of those that the package says it runs on."""
    version = "import sys; print('%d.%d' % sys.version_info[:2])"
    assert buildah("run", working, "--", f"/{HOME}/bin/python", "-c", version) == PYTHONS[-1]


def test_its_labels_say_what_it_was_built_from(image: Image, working: str) -> None:
    """As the annotations of OCI, which registries and scanners read; the program says the same."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    labels = {
        name.removeprefix("org.opencontainers.image."): value
        for name, value in image.config["Labels"].items()
    }
    assert labels["title"] == project["name"]
    assert labels["description"] == project["description"]
    assert labels["licenses"] == project["license"]
    assert labels["version"] == project["version"]
    created = datetime.fromisoformat(labels["created"])  # a newer git writes Z for +00:00
    assert created == datetime.fromisoformat(COMMIT["GIT_COMMITTER_DATE"])
    assert re.fullmatch("[0-9a-f]{40}", labels["revision"])
    assert labels["source"] == SOURCE
    assert labels["documentation"] == f"{SOURCE}/tree/{labels['revision']}/docs"
    assert f"{labels['base.name']}@{labels['base.digest']}" == pinned_base()
    said = buildah("run", working, "--", *image.command, "--version")
    expected = f"{project['name']} {project['version']} (revision {labels['revision']})"
    assert said == expected


def test_nothing_is_added_but_the_exporter_and_three_empty_folders(image: Image) -> None:
    """For configuration, storage and rules. No keys, no .git, no caches, no settings."""
    names = {entry.name for entry in image.added}
    outside = {name for name in names if not PurePosixPath(name).is_relative_to(HOME)}
    assert outside - OF_BUILDAH == {"opt", "data", "rules", "etc/viam-billing-exporter"}
    there = {PurePosixPath(name).relative_to(HOME).parts[:1] for name in names - outside}
    in_home = {"healthcheck.sh", "pyvenv.cfg", "bin", "include", "lib", "lib64", ".gitignore"}
    assert there - {()} == {(name,) for name in in_home}


def test_only_what_is_stored_and_rules_can_be_written(image: Image) -> None:
    """Rules can be read by Prometheus too. All else is root's, readable for everybody.

    Nothing has the rights of its owner.
    """
    for entry in image.added:
        mode = stat.S_IMODE(entry.mode)
        if entry.name in WRITABLE:
            assert (entry.uid, entry.gid, mode) == (USER, USER, WRITABLE[entry.name])
            continue
        assert (entry.uid, entry.gid) == (0, 0), entry.name
        if not entry.issym():
            assert mode in ({0o755} if entry.isdir() else {0o644, 0o755}), entry.name


@pytest.fixture(scope="module")
def site(working: str) -> Path:
    """Return the folder of the Python packages that the exporter runs with."""
    (folder,) = Path(buildah("mount", working), HOME, "lib").glob("python3.*/site-packages")
    return folder


def test_the_packages_are_those_that_are_pinned_and_ours(site: Path) -> None:
    """In their versions: no pip, no build tools, nothing that came along."""
    there = {each.name: each.version for each in distributions(path=[str(site)])}
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = dict(
        re.findall(
            r"^([\w-]+)==(\S+)", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE
        )
    )
    normal = {re.sub("[-_.]+", "-", name).lower(): version for name, version in there.items()}
    assert normal == {**pinned, ours["name"]: ours["version"]}


def test_every_file_belongs_to_a_package_and_has_its_bytecode(site: Path) -> None:
    """So a start compiles nothing, which it could not keep. Bytecode holds no time of a file."""
    listed = {
        Path(str(file.locate())).resolve()
        for each in distributions(path=[str(site)])
        for file in each.files or ()
    }
    there = {path.resolve() for path in site.rglob("*") if path.is_file()}
    compiled = {path for path in there if path.suffix == ".pyc"}
    assert there - compiled <= listed
    sources = {Path(source_from_cache(str(path))) for path in compiled}
    assert sources == {path for path in there if path.suffix == ".py"}
    # PEP 552: a hash instead of a time, and not checked.
    assert {path.read_bytes()[4:8] for path in compiled} == {(0b01).to_bytes(4, "little")}


def test_its_bill_of_materials_has_what_it_is_based_on(working: str, tmp_path: Path) -> None:
    """Debian's packages, Python and what came with it, beside what runs: `make image-sbom`."""
    file, sbom = tmp_path / "image.json", tmp_path / "sbom.json"
    inside = f"buildah run {working} -- sh"
    subprocess.run(
        # The environment is the one that runs this test: it is not to be set up again.
        [
            *("make", "--old-file=.venv/.done", "image-sbom", f"BIN={Path(sys.executable).parent}"),
            *(f"SBOM={sbom}", f"IMAGE_SBOM={file}", f"IN_IMAGE={inside}"),
        ],
        cwd=ROOT,
        env={**os.environ, **ENVIRON},
        check=True,
        capture_output=True,
    )
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read_text()) is None
    bill, runs = json.loads(file.read_text()), json.loads(sbom.read_text())
    assert bill["metadata"]["component"]["type"] == "container"
    listed = [(each["name"], each["version"]) for each in bill["components"]]
    assert {(each["name"], each["version"]) for each in runs["components"]} <= {*listed}
    show = ("dpkg-query", "--show", r"--showformat=${Package}\t${Version}\n")
    packages = buildah("run", working, "--", *show).splitlines()
    assert {tuple(line.split("\t")) for line in packages} <= {*listed}
    said = buildah("run", working, "--", "python3", "--version")
    assert tuple(said.lower().split()) in listed


def test_settings_of_pip_that_name_files_stay_here() -> None:
    """They would not be found where the image is built; the indexes beside them would."""
    listed = (
        "global.constraint='/etc/pip/constraints.txt'\n"
        "global.index-url='https://index.example.com/simple'\n"
        "global.extra-index-url='file:///srv/simple https://other.example.com/simple'\n"
        "global.find-links='~/wheels\\n../wheels'\n"
        "global.timeout='60'\n"
        ":env:.timeout='180'\n"
    )
    assert portable(listed) == {
        "index-url": "https://index.example.com/simple",
        "extra-index-url": "https://other.example.com/simple",
        "timeout": "180",
    }
