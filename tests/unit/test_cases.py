"""Files that hold many cases hold each of them to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import Case, dump, lay_out, parse, read, update

LINES = st.sampled_from(
    ["", " ", "---", "====", "----", "a: 1", "\ta", "# b  ", "c\r", "\x85ë\u2028"]
)
TEXTS = st.lists(LINES).map("\n".join)
NAMES = st.from_regex(r"[a-z_]+", fullmatch=True)


@given(TEXTS, st.dictionaries(NAMES, st.builds(Case, TEXTS, TEXTS)))
def test_what_is_written_is_what_is_read(head: str, cases: dict[str, Case]) -> None:
    """Trailing blanks, no line feed at the end, marks of YAML documents, any kind of line end."""
    assert parse(dump(head, cases)) == (head, cases)


@pytest.mark.parametrize("text", ["\n==== b.yml\n", "a\n---- message\nb"])
def test_a_text_with_a_marker_in_it_is_refused(text: str) -> None:
    """It would be read as another case, or as a message."""
    with pytest.raises(ValueError, match=r"like a marker|two messages"):
        dump("", {"a": Case(text, "said\n")})


@pytest.mark.parametrize("more", ["\n==== a.yml\n2", "\n---- message\nelse"])
def test_a_case_comes_once_with_one_message(more: str) -> None:
    """Else one of the two would test nothing."""
    with pytest.raises(ValueError, match=r"^a: comes twice, or has two messages$"):
        parse("\n==== a.yml\n1\n---- message\nsaid" + more)


def test_an_update_writes_one_message_and_leaves_the_rest(tmp_path: Path) -> None:
    """The diff shows what the program says now, and nothing else; a new case has none before."""
    file = tmp_path / "bad.txt"
    before = (
        "To read.\n\n==== b.yml\n1\r\n\n---- message\nold\n\n==== a.yml\n \n---- message\nkept\n"
    )
    file.write_bytes(before.encode())
    update(file, "b", "new\n")
    assert file.read_bytes().decode() == before.replace("old", "new")
    file.write_bytes(before.replace("\n---- message\nold\n", "").encode())
    update(file, "b", "old\n")
    assert file.read_bytes().decode() == before
    assert read(file)["b"] == Case("1\r\n", "old\n")


def test_each_case_becomes_a_file_of_its_name(tmp_path: Path) -> None:
    """With what is in the case, to the byte."""
    (tmp_path / "bad.txt").write_bytes(dump("", {"a": Case("1\r\n "), "b": Case("")}).encode())
    lay_out(tmp_path / "bad.txt", tmp_path / "files")
    there = {path.name: path.read_bytes() for path in (tmp_path / "files").iterdir()}
    assert there == {"a.yml": b"1\r\n ", "b.yml": b""}
