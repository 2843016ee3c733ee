"""The source tree in CONTRIBUTING.md shows what is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from support.packages import tree

ROOT = Path(__file__).parents[2]
ROOMS = sorted(
    file for file in (ROOT / "exporter").glob("*/__init__.py") if file.parent.name != "pb"
)
PAGE = (ROOT / "CONTRIBUTING.md").read_text()


def drawn() -> tuple[list[str], list[str]]:
    """Return the entries of the map: at the top, and in the package."""
    (block,) = re.findall(r"^## Source tree\n\n```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return re.findall(r"^(\S+)", block, re.MULTILINE), re.findall(r"^  (\S+)", block, re.MULTILINE)


def there(files: Iterable[Path]) -> set[str]:
    """Return the folders and modules that these are or are in, but for hidden ones."""
    names = {path.name if len(path.parts) == 1 else f"{path.parts[0]}/" for path in files}
    shown = {name for name in names if name.endswith(("/", ".py"))}
    return {name for name in shown if not name.startswith((".", "__"))}


def test_every_room_is_on_the_map_and_every_entry_is_there() -> None:
    """In `exporter/`: rooms, and the modules beside them."""
    _, rooms = drawn()
    files = (path for path in tree(ROOT) if path.parts[0] == "exporter")
    assert sorted(rooms) == sorted(there(path.relative_to("exporter") for path in files))


def test_every_folder_is_on_the_map_and_every_entry_is_there() -> None:
    """At the top, with the modules there."""
    top, _ = drawn()
    assert sorted(top) == sorted(there(tree(ROOT)))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_each_module_in_it_is_for(room: Path) -> None:
    """In the docstring that a newcomer reads first."""
    said = set(re.findall(r"`([a-z_0-9]+)`", ast.get_docstring(ast.parse(room.read_text())) or ""))
    inside = {
        path.stem
        for path in room.parent.iterdir()
        if not path.name.startswith("_")
        and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
    assert inside - said == set()
