"""Every rule of the configuration has a file that breaks it, with the exact message beside it."""

from __future__ import annotations

import shutil
from contextlib import chdir
from pathlib import Path

import pytest

from exporter.config import ConfigError, load
from support import cases

FOLDER = Path(__file__).parent.parent / "config"
FILE = FOLDER / "bad.txt"
CASES = cases.read(FILE)
START = b"credentials:\n  api_key_id: key-id\n  api_key_file: good.key\norganizations:\n"
# What stands in these files, as an editor would make something else of it.
BYTES = {
    "control_character": START + b"  - id: ac\x07me\n",
    "not_utf8": START + b"  - id: acme\n    name: Caf\xe9\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the bad files, and the keys and certificates that they name."""
    folder = shutil.copytree(FOLDER, tmp_path_factory.mktemp("files") / "config")
    cases.lay_out(FILE, folder)
    for name, content in BYTES.items():
        (folder / f"{name}.yml").write_bytes(content)
    return folder


@pytest.mark.parametrize("name", sorted(CASES))
def test_bad_file_gives_exactly_its_message(
    name: str, folder: Path, *, update_golden: bool
) -> None:
    """A broken rule is told by file, line, key and what to do, and by nothing more."""
    with chdir(folder), pytest.raises(ConfigError) as caught:
        load(Path(f"{name}.yml"), environ={}, reserved_labels=("org_id", "org_name"))
    message = f"{caught.value}\n".replace(str(folder), "/config")
    if update_golden:
        cases.update(FILE, name, message)
    assert message == cases.read(FILE)[name].message


def test_every_bad_file_has_a_message_and_the_reverse() -> None:
    """A file without its message tests nothing; nor do bytes that are no case's."""
    assert all(case.message.strip() for case in CASES.values())
    assert set(BYTES) <= set(CASES)


@pytest.mark.parametrize("name", sorted(CASES))
def test_no_message_shows_a_secret(name: str) -> None:
    """The secrets in these files all say `s3cret`, and no message does."""
    assert "s3cr" not in CASES[name].message
