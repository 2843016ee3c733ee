"""Generated files are what their sources make of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from generate import documents
from generate.__main__ import main
from generate.steps import ROOT, Step, settle

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


def test_parts_can_be_checked_by_name() -> None:
    """All of them are by `make lint`."""
    assert main(["--check", "documents", "stack"]) == 0


def test_a_part_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error would pass for a check otherwise."""
    with pytest.raises(SystemExit):
        main(["--check", "documents", "dashboard"])
    assert "there is no part dashboard\n" in capsys.readouterr().err


def test_a_reference_that_is_not_up_to_date_is_found() -> None:
    """A block with other content is written anew; what stands around it is left alone."""
    text = "before\n<!-- generated: endpoints -->\nout of date\n<!-- end -->\nafter\n"
    filled = documents.fill(text)
    assert filled.startswith("before\n<!-- generated: endpoints -->\n| path | answer |\n")
    assert filled.endswith("\n<!-- end -->\nafter\n")
    assert "out of date" not in filled
    assert documents.fill(filled) == filled
    with pytest.raises(KeyError):
        documents.fill(text.replace("endpoints", "no-such-block"))


def test_what_differs_is_named_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is too many as well, which would be shipped otherwise."""
    wanted, unknown = tmp_path / "files" / "new" / "wanted", tmp_path / "files" / "unknown"
    unknown.parent.mkdir()
    unknown.write_text("")

    def settled(*, check: bool) -> int:
        return settle(
            {wanted: "a"}, [unknown.parent], check=check, command="make it", root=tmp_path
        )

    assert settled(check=True) == 1
    said = capsys.readouterr().err
    assert "files/new/wanted is not up to date: make it" in said
    assert "files/unknown is not up to date: make it" in said
    assert settled(check=False) == 0
    assert (wanted.read_text(), unknown.exists()) == ("a", False)
    assert settled(check=True) == 0


def test_what_git_ignores_may_be_missing_but_not_out_of_date(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A new clone passes the check; copies that would be shipped out of date do not."""
    folder = tmp_path / "copies"
    step = Step("make it", lambda: {ROOT / "copy-that-is-missing": "a"}, [folder], ignored=True)
    assert step.run(check=True) == 0
    folder.mkdir()
    assert step.run(check=True) == 1
    assert capsys.readouterr().err == "copy-that-is-missing is not up to date: make it\n"


def test_what_takes_a_program_is_left_aside_without_it(capsys: pytest.CaptureFixture[str]) -> None:
    """And it is said, for then nothing was checked."""
    program = ROOT / "program-that-is-missing"
    assert Step("make it", dict, program=program).run(check=True) == 0
    said = capsys.readouterr().err
    assert said == "left aside without program-that-is-missing, some files of: make it\n"
