"""What a release is made of beside the packages: its check, its notes, its chart."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import yaml

from support.kubernetes import CHART, helm, rendered
from support.packages import git, repository, tracked
from support.process import ROOT, free_port, running, until

VERSION: Final = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
CHANGELOG: Final = "CHANGELOG.md"
PACKAGE: Final = f"dist/{CHART.name}-{VERSION}.tgz"


def workshop(folder: Path, *, umask: int = 0o022, mtime: int = 0) -> Path:
    """Return a repository of one commit, with the tools that are set up for this one."""
    return equip(repository(folder, umask=umask, mtime=mtime))


def equip(made: Path) -> Path:
    """Give a checkout the tools that are set up for this one."""
    for tools, parts in ((".venv", ["bin", "lib", "pyvenv.cfg"]), (".tools", ["helm"])):
        (made / tools).mkdir()
        (made / tools / ".done").touch()
        for part in parts:
            (made / tools / part).symlink_to(ROOT / tools / part)
    return made


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout of no more than what tells of the version, and make's own files."""
    for name in tracked(
        ROOT, "Makefile", "pyproject.toml", CHANGELOG, "requirements", "tests/tools"
    ):
        copy = tmp_path / "checkout" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    return equip(tmp_path / "checkout")


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one in which the chart is packaged."""
    made = workshop(tmp_path_factory.mktemp("packaged"))
    assert make(made, "chart").returncode == 0
    return made


def make(
    folder: Path, target: str, *variables: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run make as a workflow does: with nothing of the caller's but what it is given."""
    return subprocess.run(
        ["make", "--silent", target, *variables],
        cwd=folder,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), **environ},
        check=False,
        capture_output=True,
        text=True,
    )


def edit(file: Path, old: str, new: str) -> None:
    """Replace what is there once."""
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


# --- The check ----------------------------------------------------------------------------


def release(checkout: Path) -> None:
    """Put a date into the changelog, as for a release."""
    file = checkout / CHANGELOG
    text = file.read_text()
    file.write_text(re.sub(r"(?m)^(## \S+ - )\S+$", r"\g<1>2026-12-01", text, count=1))


def test_a_release_needs_its_tag_its_chart_and_a_date(tmp_path: Path) -> None:
    """Where all say the same version, nothing is said; otherwise what differs is named."""
    checkout = workshop(tmp_path / "checkout")
    release(checkout)
    run = make(checkout, "release-check", TAG=f"v{VERSION}")
    assert (run.returncode, run.stderr) == (0, "")

    for tag in (VERSION, f"v{VERSION}-rc.1", "v9.9.9", ""):
        run = make(checkout, "release-check", TAG=tag)
        assert run.returncode != 0
        expected = f"the tag is '{tag}', but the version in pyproject.toml is {VERSION}\n"
        assert run.stderr.startswith(expected)

    edit(checkout / "pyproject.toml", f'\nversion = "{VERSION}"', '\nversion = "9.9.9"')
    edit(checkout / CHANGELOG, f"## {VERSION} - ", "## 9.9.9 - ")
    (checkout / ".venv" / ".done").touch()  # what it is made of is no older
    run = make(checkout, "release-check", TAG="v9.9.9")
    assert run.returncode != 0
    for file in ("exporter/__init__.py", "deploy/helm/viam-billing-exporter/Chart.yaml"):
        assert f"{file} is not up to date: make " in run.stderr


def test_a_tag_is_text_and_not_a_command(checkout: Path) -> None:
    """Whoever may push a tag could otherwise run what they like with the rights of the release."""
    release(checkout)
    for text in ("$(touch ran)", "`touch ran`", '";touch ran;"', "$(shell touch ran)"):
        run = make(checkout, "release-check", TAG=f"v{VERSION}{text}")
        assert run.returncode != 0
        assert f"the tag is 'v{VERSION}{text}', but " in run.stderr
    assert not (checkout / "ran").exists()


def test_what_is_unreleased_is_not_released(checkout: Path) -> None:
    """The changelog's date is put there when somebody has read it."""
    heading = re.search(r"(?m)^## .*$", (checkout / CHANGELOG).read_text())
    assert heading
    edit(checkout / CHANGELOG, heading[0], f"## {VERSION} - unreleased")
    run = make(checkout, "release-check", TAG=f"v{VERSION}")
    assert run.returncode != 0
    assert f"{CHANGELOG} has no date for {VERSION}\n" in run.stderr


# --- The notes ----------------------------------------------------------------------------


def test_the_notes_are_the_changelog_of_the_version(checkout: Path) -> None:
    """All of its section and nothing of the next, whatever the headings in it."""
    file = checkout / CHANGELOG
    file.write_text(
        f"# Changelog\n\n## 9.9.9 - unreleased\n\n- Next.\n\n## {VERSION} - 2026-12-01\n\n"
        "### Added\n\n- This.\n\n## 0.0.1 - 2026-01-01\n\n- Older.\n"
    )
    assert make(checkout, "release-notes").stdout == "\n### Added\n\n- This.\n\n"
    file.write_text("# Changelog\n\n## 9.9.9 - unreleased\n\n- Next.\n")
    assert make(checkout, "release-notes").returncode != 0


def test_there_are_notes_for_what_comes_next() -> None:
    """Of the changelog as it is."""
    assert re.search(r"(?m)^- \S", make(ROOT, "release-notes").stdout)


# --- The chart ----------------------------------------------------------------------------


def test_the_same_commit_gives_the_same_chart(packaged: Path, tmp_path: Path) -> None:
    """Whoever packages it, whenever, and whatever was in dist/."""
    other = workshop(tmp_path / "other", umask=0o077, mtime=1)
    (other / "dist").mkdir()
    (other / "dist" / f"{CHART.name}-0.0.1.tgz").touch()
    assert make(other, "chart", TZ="Asia/Kathmandu", LC_ALL="C").returncode == 0
    assert [path.name for path in (other / "dist").iterdir()] == [Path(PACKAGE).name]
    assert (other / PACKAGE).read_bytes() == (packaged / PACKAGE).read_bytes()
    assert git(packaged, "status", "--porcelain") == ""


def test_the_package_has_all_of_the_chart(packaged: Path) -> None:
    """Rules and dashboards, which git ignores, among it; it renders what the folder renders."""
    with tarfile.open(packaged / PACKAGE) as package:
        names = {name.removeprefix(f"{CHART.name}/") for name in package.getnames()}
    files = {str(path.relative_to(CHART)) for path in CHART.rglob("*") if path.is_file()}
    ignored = {name for name in files if name not in names}
    assert names <= files
    assert {Path(name).parts[0] for name in ignored} <= {".helmignore", "ci"}
    values: Mapping[str, object] = {
        "prometheusRule": {"enabled": True},
        "dashboards": {"enabled": True},
    }
    assert rendered(values, packaged / PACKAGE) == rendered(values)


REGISTRY: Final = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}", draintimeout: 1s}}
"""


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Run Debian's registry of images while inside; yields its host."""
    port = free_port()
    config = folder / "registry.yml"
    config.write_text(REGISTRY.format(folder=folder / "registry", port=port))
    host = f"127.0.0.1:{port}"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://{host}/v2/") as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    with running("docker-registry", "serve", config):
        until(answers, "the registry answers")
        yield host


def test_the_chart_is_pushed_and_its_digest_is_printed(packaged: Path, tmp_path: Path) -> None:
    """By which it is signed, and can be installed: what comes back is what was packaged."""
    with registry(tmp_path) as host:
        charts = f"CHARTS={host}/charts"
        run = make(packaged, "publish-chart", charts, "HELM_OPTIONS=--plain-http")
        assert run.returncode == 0, run.stderr
        digest = run.stdout.strip()
        assert re.fullmatch("sha256:[0-9a-f]{64}", digest)
        address = f"oci://{host}/charts/{CHART.name}@{digest}"
        pulled = helm("pull", address, "--plain-http", f"--destination={tmp_path}")
        assert pulled.returncode == 0, pulled.stderr
    (file,) = tmp_path.glob("*.tgz")
    assert file.read_bytes() == (packaged / PACKAGE).read_bytes()


def test_a_chart_that_cannot_be_pushed_fails_the_release(packaged: Path) -> None:
    """With what Helm says, and no digest that something could be signed by."""
    charts = f"CHARTS=127.0.0.1:{free_port()}/charts"
    run = make(packaged, "publish-chart", charts, "HELM_OPTIONS=--plain-http")
    assert run.returncode != 0
    assert run.stdout == ""
    assert "refused" in run.stderr


# --- The image ----------------------------------------------------------------------------


def test_the_digest_is_that_of_what_was_pushed(checkout: Path) -> None:
    """Of both processors' images together, as docker buildx writes it into a file."""
    digest = f"sha256:{'5' * 64}"
    described = {
        "buildx.build.ref": "builder/builder0/abc",
        "containerimage.descriptor": {"digest": digest, "size": 856},
        "containerimage.digest": digest,
        "image.name": "registry.example.com/viam-billing-exporter:0.1.0",
    }
    (checkout / "build").mkdir()
    (checkout / "build" / "image.json").write_text(json.dumps(described, indent=2))
    assert make(checkout, "image-digest").stdout == f"{digest}\n"
