"""Generated files are what their sources make of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from exporter import reference

ROOT = Path(__file__).parents[2]
PROTOS = sorted(path.name for path in (ROOT / "protos").glob("*.proto"))


def test_messages_and_their_stubs_are_up_to_date(tmp_path: Path) -> None:
    """`make generate` would change nothing."""
    command = ["-m", "grpc_tools.protoc", "-I", "protos"]
    outputs = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    files = [f"protos/{name}" for name in PROTOS]
    subprocess.run([sys.executable, *command, *outputs, *files], check=True, cwd=ROOT)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in (ROOT / "exporter/pb").glob("*_pb2.py*")}
    assert committed == made


def test_references_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """A change of the contract shows in the diff of docs/contract.json and of the references."""
    assert reference.main(["--check"]) == 0, capsys.readouterr().err


def test_a_reference_that_is_not_up_to_date_is_found() -> None:
    """A block with other content is written anew; what stands around it is left alone."""
    text = "before\n<!-- generated: endpoints -->\nout of date\n<!-- end -->\nafter\n"
    filled = reference.fill(text)
    assert filled.startswith("before\n<!-- generated: endpoints -->\n| path | answer |\n")
    assert filled.endswith("\n<!-- end -->\nafter\n")
    assert "out of date" not in filled
    assert reference.fill(filled) == filled
    with pytest.raises(KeyError):
        reference.fill(text.replace("endpoints", "no-such-block"))


def test_what_differs_is_named_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is too many as well, which would be shipped otherwise."""
    wanted, unknown = tmp_path / "files" / "new" / "wanted", tmp_path / "files" / "unknown"
    unknown.parent.mkdir()
    unknown.write_text("")

    def settle(*, check: bool) -> int:
        return reference.settle(
            {wanted: "a"}, [unknown.parent], check=check, command="make it", root=tmp_path
        )

    assert settle(check=True) == 1
    said = capsys.readouterr().err
    assert "files/new/wanted is not up to date: make it" in said
    assert "files/unknown is not up to date: make it" in said
    assert settle(check=False) == 0
    assert (wanted.read_text(), unknown.exists()) == ("a", False)
    assert settle(check=True) == 0
