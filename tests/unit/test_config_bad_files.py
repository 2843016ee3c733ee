"""Every rule of the configuration has a file that breaks it, with the exact message beside it."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import pytest

from exporter.config import ConfigError, load

FOLDER = Path(__file__).parent.parent / "config"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yml"))


@pytest.mark.parametrize("name", NAMES)
def test_bad_file_gives_exactly_its_message(name: str, update_golden: bool) -> None:  # noqa: FBT001
    """A broken rule is told by file, line, key and what to do, and by nothing more."""
    with chdir(FOLDER), pytest.raises(ConfigError) as caught:
        load(Path(f"{name}.yml"), environ={}, reserved_labels=("org_id", "org_name"))
    expected = FOLDER / f"{name}.txt"
    message = f"{caught.value}\n"
    if update_golden:
        expected.write_text(message, encoding="utf-8")
    assert message == expected.read_text(encoding="utf-8")


def test_every_bad_file_has_a_message_and_the_reverse() -> None:
    """A file without its message, or a message without its file, tests nothing."""
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_no_message_shows_a_secret(name: str) -> None:
    """The secrets in these files all say `s3cret`, and no message does."""
    assert "s3cr" not in (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
