"""What readers are told to type works, in the order of each page, and prints what the page shows.

`pytest --update-golden tests/integration/test_documents.py` writes the output of docs/commands
anew. `support.documents` says how a page marks its commands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from support.documents import COMMANDS, STANDSTILL, Block, blocks, pages, shows
from support.process import ROOT, until
from support.stacks import PROGRAMS, STACKS
from support.terminal import Terminal, terminal

SERVICE: Final = re.compile(r"^<!-- service: (.*) -->$", re.MULTILINE)
# Of blocks without a mark, which would say that another test runs them.
OUTPUT: Final = re.compile(
    r"(?<=^```console\n)(?<!-->\n```console\n)(.*?)(?=^```$)", re.DOTALL | re.MULTILINE
)
RUN: Final = {page: [b for b in blocks(page) if b.kind in {"run", "file"}] for page in pages()}
COMMAND_PAGES: Final = [page for page in RUN if page.parent == COMMANDS]
PAGES: Final = [
    page
    for page, found in RUN.items()
    if page not in COMMAND_PAGES and any(block.kind == "run" for block in found)
]
# With each Prometheus and Alertmanager, if they are among what is typed.
TYPED: Final = [
    pytest.param(page, stack, id=f"{page.relative_to(ROOT)}-{stack}")
    for page in PAGES
    for stack in STACKS
    if stack == "installed" or any(name in b.text for b in RUN[page] for name in PROGRAMS)
]


def said(block: Block, outputs: Sequence[str]) -> str:
    """Return a block with what its commands printed below them."""
    return "".join(
        f"$ {'> '.join(command.splitlines(keepends=True))}{output}"
        for (command, _), output in zip(block.steps, outputs, strict=True)
    )


def difference(block: Block, outputs: Sequence[str]) -> str | None:
    """Return what is not as the page shows it, if anything."""
    steps = [step for one in block.alternatives for step in one.steps]
    for (command, expected), output in zip(steps, outputs, strict=True):
        if not shows(expected, output):
            return f"{block.name}: {command}printed\n{output}and not\n{expected}"
    return None


def succeeds(block: Block, it: Terminal) -> bool:
    """Type a block; tell whether it prints what the page shows."""
    return difference(block, it.type(block)) is None


@pytest.mark.parametrize(("page", "stack"), TYPED, indirect=["stack"])
@pytest.mark.usefixtures("stack")
def test_what_a_page_says_to_type_works(page: Path, tmp_path: Path) -> None:
    """From the top to the bottom, by somebody who has done what stands above."""
    with terminal(tmp_path, {block.place for block in RUN[page]}) as it:
        for block in RUN[page]:
            if block.kind == "file":
                it.write(block)
            elif block.soon:
                until(partial(succeeds, block, it), f"{block.name} prints what it shows")
            else:
                wrong = difference(block, it.type(block))
                assert wrong is None, wrong


@pytest.mark.parametrize("page", COMMAND_PAGES, ids=lambda page: page.stem)
def test_the_examples_say_what_the_commands_say(
    page: Path, tmp_path: Path, *, update_golden: bool
) -> None:
    """Each command of a page about commands prints what stands below it, to the letter."""
    text = page.read_text()
    faults = " ".join(SERVICE.findall(text)).split()
    made = []
    with terminal(tmp_path, {STANDSTILL}, faults) as it:
        for block in RUN[page]:
            if block.kind == "file":
                it.write(block)
            else:
                made.append(said(block, it.type(block)))
    outputs = iter(made)
    made_text = OUTPUT.sub(lambda _: next(outputs), text)
    if update_golden:
        page.write_text(made_text)
        text = made_text
    assert made_text == text
