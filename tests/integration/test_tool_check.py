"""`viam-billing check` against the simulated service, and against none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.process import free_port
from support.standing import Service, standing, terminal, within


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service for all tests here."""
    with standing(tmp_path_factory.mktemp("check")) as it:
        yield it


def test_an_organization_is_named_for_a_connection_only(service: Service) -> None:
    """Without one it would be left out of the check in silence."""
    done = within("check", "--organization=nobody", service.flag)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--organization needs --connect" in done.stderr


def test_check_is_that_of_the_daemon(service: Service, tmp_path: Path) -> None:
    """A good file is said to be good; every error of a bad one is shown, with its line."""
    good = within("check", service.flag)
    assert (good.returncode, good.stdout) == (0, "the configuration is valid: 8 organizations\n")
    bad = tmp_path / "exporter.yml"
    bad.write_text("api: {timeout: 20}\nnonsense: 1\norganizations: []\n")
    done = within("check", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 3
    assert "exporter.yml:2: nonsense: unknown key" in done.stderr
    bad.unlink()
    nothing = within("check", folder=tmp_path)
    assert nothing.returncode == 1
    assert nothing.stderr.startswith("viam-billing: no configuration: name one with --config.file")


def test_one_account_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The id and the secret of its key; what is in VIAM_ORG_ID and is no id is doubted."""
    monkeypatch.setenv("VIAM_API_KEY_ID", "id")
    monkeypatch.setenv("VIAM_API_KEY", "key")
    found = within("check", folder=tmp_path)
    assert (found.returncode, found.stdout) == (
        0,
        "the configuration is valid: the organizations that discovery finds\n",
    )
    assert "UUID" not in found.stderr
    monkeypatch.setenv("VIAM_ORG_ID", "MyOrg")
    doubted = within("check", folder=tmp_path)
    assert (doubted.returncode, doubted.stdout) == (
        0,
        "the configuration is valid: 1 organization\n",
    )
    assert "viam-billing: VIAM_ORG_ID is not a UUID" in doubted.stderr


def test_its_own_words_come_before_warnings(service: Service, tmp_path: Path) -> None:
    """Whoever asks is told first whether the configuration is valid."""
    file = tmp_path / "exporter.yml"
    file.write_text(service.file.read_text())
    file.chmod(0o644)
    code, shown = terminal("check", folder=tmp_path)
    first, *warnings = shown.splitlines()
    assert (code, first) == (0, "the configuration is valid: 8 organizations")
    assert any("other users can read the keys" in line for line in warnings)


@pytest.mark.parametrize("command", [["usage"], ["ledger", "import"]])
def test_a_wrong_flag_is_answered_with_a_line(command: list[str]) -> None:
    """And not with all flags, or the list of all commands."""
    storage = ["--storage.path=.", "days"] if command[0] == "ledger" else []
    done = within(*command, *storage, "--no-such-flag")
    assert (done.returncode, done.stdout) == (2, "")
    name = f"viam-billing {' '.join(command)}"
    assert done.stderr == f"{name}: unknown flag --no-such-flag: see {name} --help\n"


@pytest.mark.parametrize(
    ("fault", "wrong", "advice"),
    [
        (
            "wrong-key:method=Authenticate",
            "the API key was refused",
            "create a key with scope organization",
        ),
        (
            "permission-denied:method=GetCurrentMonthUsage",
            "may not read this bill",
            "use a key of this organization",
        ),
        (
            "not-found:method=GetCurrentMonthUsage",
            "unknown organization",
            "check the organization's id",
        ),
        ("unimplemented:method=GetCurrentMonthUsage", "does not support this call", "api.address"),
        ("garbage:method=GetCurrentMonthUsage", "does not parse", "that api.address is Viam's"),
    ],
)
def test_check_says_what_is_wrong_and_what_to_do(
    fault: str, wrong: str, advice: str, service: Service
) -> None:
    """For the organization that it is about; the others are read."""
    with service.failing(f"{fault},organization=3"):
        done = within("check", "--connect", service.flag)
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("viam-billing: "))
    assert line.startswith("viam-billing: Quillback Harvesting: ")
    assert wrong in line
    assert advice in line.partition("To do: ")[2]
    assert done.stdout.endswith("7 of 8 organizations can be read\n")


def test_check_tells_the_network_from_the_keys(service: Service, tmp_path: Path) -> None:
    """A service that is not there is said not to be."""
    settings = yaml.safe_load(service.file.read_text())
    settings["api"]["address"] = f"127.0.0.1:{free_port()}"
    settings["organizations"] = settings["organizations"][:1]
    (tmp_path / "exporter.yml").write_text(yaml.safe_dump(settings))
    done = within("check", "--connect", folder=tmp_path)
    assert done.returncode == 1
    assert "the server cannot be reached: the connection was refused" in done.stderr
    assert "To do: check the network" in done.stderr


@pytest.mark.parametrize("command", [("check", "--connect"), ("backfill", "--step=1d")])
def test_a_terminal_gets_what_a_pipe_gets(
    service: Service, command: tuple[str, ...], tmp_path: Path
) -> None:
    """Neither draws a table, so that there is nothing to colour."""
    piped = within(*command, service.flag)
    code, shown = terminal(*command, service.flag, folder=tmp_path)
    assert code == piped.returncode == 0
    assert "\x1b" not in shown
    lines = piped.stdout.splitlines()
    assert lines
    assert [line for line in shown.splitlines() if line in lines] == lines
