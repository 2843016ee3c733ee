"""What the documents name exists, and what exists is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter import flags
from exporter.config import ConfigError, keys, load
from exporter.metrics import catalog
from exporter.web.routes import ENDPOINTS
from generate import documents

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted(path for name in ("docs", "deploy", "grafana") for path in (ROOT / name).rglob("*.md")),
]
# Of those with one name the first: the README of the repository, not of a folder.
REFERENCES = {path.name: path.read_text() for path in reversed(DOCUMENTS)}

NAMES = {metric.name for members in documents.metrics().values() for metric in members}
# What a histogram's samples are called.
NAMES |= {f"{name}_{suffix}" for name in NAMES for suffix in ("bucket", "count", "sum")}
FLAGS = {flag["flag"] for p in documents.commands().values() for flag in documents.flags(p)}
# Flags of other programs that prose names.
FOREIGN_FLAGS = {
    "--address",
    "--armor",
    "--cascade",
    "--detach-sign",
    "--force",
    "--id",
    "--idle-minutes",
    "--installed",
    "--key",
    "--max-block-duration",
    "--only",
    "--update-golden",
    "--upstream",
}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_metric_that_a_document_names_exists(path: Path) -> None:
    """A query in a document works when it is pasted."""
    named = set(re.findall(r"(?<![\w:])viam_billing_[a-z_]+[a-z]\b", path.read_text()))
    assert named - {"viam_billing_exporter"} <= NAMES


def ours(path: Path) -> str:
    """Return a page without the commands of other programs: test_documents.py runs those."""
    text = re.sub(r" \\\n", " ", path.read_text())
    for fenced in re.findall(r"^ *```(?:sh|console)\n.*?^ *```$", text, re.DOTALL | re.MULTILINE):
        lines = re.findall(
            r"^ *(?:\$ )?(?:\S*/)?viam-billing(?:-exporter)? .*", fenced, re.MULTILINE
        )
        text = text.replace(fenced, "\n".join(lines))
    return text


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_flag_that_a_document_names_exists(path: Path) -> None:
    """Flags of ours, that is; those that prose names of other programs are listed above."""
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z.-]*[a-z]\b", ours(path)))
    assert named <= FLAGS | FOREIGN_FLAGS


def test_every_document_is_in_the_list_of_them() -> None:
    """Those of docs/ that no other list has, and each folder of deploy/ in its own."""
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"]({name})" not in index} == set()
    ways = {
        path.parent.relative_to(ROOT / "deploy") for path in (ROOT / "deploy").rglob("README.md")
    }
    listed = (ROOT / "deploy" / "README.md").read_text()
    assert {way for way in ways - {Path()} if f"({way}/README.md)" not in listed} == set()


def test_every_metric_key_flag_and_endpoint_is_documented() -> None:
    """In the reference that it belongs to."""
    assert all(f"`{name}`" in REFERENCES["metrics.md"] for name in IDS)
    assert all(f"`{key.path}`" in REFERENCES["configuration.md"] for key in keys())
    daemon = documents.flags(flags.parser())
    assert all(flag["flag"] in REFERENCES["configuration.md"] for flag in daemon)
    assert all(f"`{endpoint.path}`" in REFERENCES["web.md"] for endpoint in ENDPOINTS)


IDS = [metric.name for members in documents.metrics().values() for metric in members]


def examples() -> list[tuple[str, str]]:
    """Return every configuration that a document shows."""
    return [
        (path.name, block)
        for path in DOCUMENTS
        for block in re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL)
        if re.search(r"^organizations:", block, re.MULTILINE)
    ]


def test_there_are_examples() -> None:
    """Else the next test would check nothing."""
    assert {name for name, _ in examples()} >= {"configuration.md", "quick-start.md"}


@pytest.mark.parametrize(("name", "block"), examples())
def test_every_configuration_that_a_document_shows_is_valid(
    name: str, block: str, tmp_path: Path
) -> None:
    """Key files and variables apart, which are made up here."""
    key_file = tmp_path / "key"
    key_file.write_text("a-key")
    block = re.sub(r"api_key_file: \S+", f"api_key_file: {key_file}", block)
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", block), "a-value")
    file = tmp_path / name
    file.write_text(block)
    assert load(file, environ, catalog.LABEL_NAMES).organizations


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(path: Path) -> None:
    """Relative ones; nothing is fetched."""
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_picture_is_there(path: Path) -> None:
    """For bright and dark pages."""
    for target in re.findall(r' (?:src|srcset)="([^"]+)"', path.read_text()):
        assert (path.parent / target).is_file(), target


def test_every_test_that_a_document_names_exists() -> None:
    """Else a promise of the threat model, or of the table of faults, is not kept by anything."""
    text = "".join(path.read_text() for path in DOCUMENTS)
    named = set(re.findall(r"`([a-z_/]+\.py)::(\w+)", text))
    assert named
    for file, name in named:
        module = (ROOT / "tests" / file).read_text()
        assert re.search(rf"^(def {name}\(|{name} = )", module, re.MULTILINE), f"{file}::{name}"


def headings(path: Path) -> set[str]:
    """Return the names by which links lead to the headings of a page."""
    lines = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_heading_finds_it(path: Path) -> None:
    """On the page itself or on another one."""
    for target, name in re.findall(r"\]\(([^)#]*)#([^)]+)\)", path.read_text()):
        if "://" not in target:
            assert name in headings(path.parent / target if target else path), f"{target}#{name}"


def test_the_errors_that_the_configuration_page_shows_are_those_of_its_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example is wrong on purpose; the output below it is what the program says."""
    fence = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    blocks = fence.findall(REFERENCES["configuration.md"])
    (example,) = (block for block in blocks if block.startswith("api:\n  timeout: 20\n"))
    (output,) = (block for block in blocks if "--config.check\n" in block)
    command, *messages = output.splitlines()
    assert command == "$ viam-billing-exporter --config.file=bad.yml --config.check"
    monkeypatch.chdir(tmp_path)
    Path("bad.yml").write_text(example)
    with pytest.raises(ConfigError) as caught:
        load(Path("bad.yml"), {}, catalog.LABEL_NAMES)
    assert str(caught.value).splitlines() == messages
