"""Every command that a document shows is run by a test, or says why it is not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from support.documents import GLOBS, LANGUAGES, Block, blocks, pages, shows
from support.process import ROOT
from support.terminal import PLACES

PAGES: Final = pages()
BLOCKS: Final = [block for page in PAGES for block in blocks(page)]
NOT_TRIED: Final = (ROOT / "docs" / "deploy.md").read_text()
# What is fenced and is no command. YAML and JSON are checked where they belong.
OTHERS: Final = frozenset({"ini", "json", "nginx", "promql", "python", "text", "yaml"})


def named(page: Path) -> str:
    """Return how a page is called in a test's name."""
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_fence_is_read(page: Path) -> None:
    """None of them is hidden from the other tests by how it is written."""
    fences = re.findall(r"^[ >]*(?:```|~~~)", page.read_text(), re.MULTILINE)
    assert len(fences) == 2 * len(list(blocks(page)))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_every_block_says_what_it_is(block: Block) -> None:
    """Commands, or something that nobody types."""
    assert block.language in LANGUAGES | OTHERS
    assert block.kind in ({"run", "tested by", "not run"} if block.is_commands else {"", "file"})


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.kind == "run"], ids=lambda block: block.name
)
def test_a_block_that_is_run_says_where_and_how(block: Block) -> None:
    """In words that the tests know: a wrong one would be passed over in silence."""
    assert block.place in PLACES
    for word in block.rest.split(", ")[1:]:
        assert re.fullmatch(r"fails|soon|stops \d+|(each )?serves \d+", word), word
    if block.language == "console":
        assert block.text.startswith("$ ")


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.kind == "tested by"], ids=lambda block: block.name
)
def test_the_test_that_a_block_names_takes_its_commands_from_there(block: Block) -> None:
    """By `commands_of`, which also fails when the mark is gone."""
    test = (ROOT / block.rest).read_text()
    used = [test, *(path.read_text() for path in (ROOT / "tests" / "support").glob("*.py"))]
    page = str(block.page.relative_to(ROOT))
    assert any(f'"{page}"' in text and "commands_of(" in text for text in used)


def test_why_a_block_is_not_run_is_on_the_page_of_what_was_not_tried() -> None:
    """With the page that it is on, in both directions."""
    table = NOT_TRIED.partition("## Commands that no test runs")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| \[(.+?)\]\(.+?\) \| (.+?) \|$", table, re.MULTILINE)
    assert sorted(listed) == sorted(
        {(str(b.page.relative_to(ROOT)), b.rest) for b in BLOCKS if b.kind == "not run"}
    )


def test_the_tests_of_what_was_tried_exist() -> None:
    """All that the page names, and it names some in each row."""
    rows = re.findall(r"^\| .* \| .* \| (`.*`) \|$", NOT_TRIED, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert len(rows) >= 10
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []


def test_there_is_something_to_read() -> None:
    """Else nothing above would check anything."""
    assert {ROOT / "README.md", ROOT / "deploy" / "README.md"} <= set(PAGES)
    assert all(any(ROOT.glob(pattern)) for pattern in GLOBS)
    assert sum(block.kind == "run" for block in BLOCKS) > 30


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("valid\n", "valid\n", True),
        ("valid\n", "valid  \n", True),
        ("valid\n", "not valid\n", False),
        ("", "a warning\n", False),
        ("took ... s\n", "took 1.5 s\n", True),
        ("took ... s\n", "took 1.5\n s\n", False),
        ("...\nend\n", "end\n", True),
        ("...\nend\n", "one\ntwo\nend\n", True),
        ("...\nend\n", "one\ntwo\n", False),
        ("(a|b)\n", "a\n", False),
    ],
)
def test_output_is_compared_but_for_what_is_left_out(
    expected: str, actual: str, *, same: bool
) -> None:
    """Line by line; `...` stands for the rest of a line, or for lines."""
    assert shows(expected, actual) is same


def test_git_ignores_what_the_quick_start_creates_in_a_checkout() -> None:
    """A key above all: `git add .` must not take it along."""
    page = (ROOT / "docs" / "quick-start.md").read_text()
    created = {
        *re.findall(r"^cat > (\S+)$", page, re.MULTILINE),
        *re.findall(r"<!-- file: (\S+) -->", page),
        *re.findall(r"--storage(?:\.tsdb)?\.path=(\S+)", page),
        *re.findall(r"^wrote ([^/\s]+)/", page, re.MULTILINE),
    }
    assert {"viam-api-key", "exporter.yml", "state", "rules"} < created
    names = [name for each in sorted(created) for name in (each, f"{each}/")]
    done = subprocess.run(
        ["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True, check=False
    )
    ignored = {line.rstrip("/") for line in done.stdout.splitlines()}
    assert created - ignored == set()
