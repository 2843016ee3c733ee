"""The daemon's flags: what parses their arguments is loaded by its name."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from exporter.base.address import Address
from exporter.flags import parsed, parser
from exporter.tool import command

# For each flag an argument, what it comes to, a wrong argument, and what is said of that.
ARGUMENTS: dict[str, tuple[str, object, str, str]] = {
    "--config.file": ("a/b.yml", Path("a/b.yml"), "", "must not be empty"),
    "--web.listen-address": (
        "[::1]:80",
        [Address("::1", 80)],
        "80",
        "'80' is not an address: write host:port, [v6]:port or :port",
    ),
    "--web.telemetry-path": (
        "/other",
        "/other",
        "/config",
        "'/config' cannot be the metrics' path: use one like /metrics that no other page has",
    ),
    "--web.external-url": (
        "https://example.com/viam",
        urlsplit("https://example.com/viam"),
        "example.com",
        "must begin with http:// or https:// and a host",
    ),
    "--web.route-prefix": (
        "viam/",
        "/viam",
        "/a/../b",
        "must be a path of letters, digits and . _ ~ - between slashes",
    ),
    "--web.config.file": ("web.yml", Path("web.yml"), "", "must not be empty"),
    "--web.allowed-host": (
        "Example.COM",
        ["example.com"],
        "http://example.com",
        "must be the name of a host, without a scheme or a port",
    ),
    "--web.max-requests": ("0", 0, "many", "must be a whole number, 0 for no limit"),
    "--total-shards": ("1000", 1000, "1001", "must be a whole number from 1 to 1000"),
    "--shard": ("0", 0, "1000", "must be a whole number from 0 to 999"),
}


@pytest.mark.parametrize("flag", ARGUMENTS)
def test_an_argument_is_what_it_says(flag: str) -> None:
    """As a value of the program's own."""
    text, value, _, _ = ARGUMENTS[flag]
    (dest,) = (each.dest for each in parser()._actions if flag in each.option_strings)
    assert getattr(parsed([f"{flag}={text}"]), dest) == value


@pytest.mark.parametrize("flag", ARGUMENTS)
def test_a_wrong_argument_is_wrong_usage(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Said in one line, which names the flag and the rule."""
    _, _, text, message = ARGUMENTS[flag]
    with pytest.raises(SystemExit) as caught:
        parsed([f"{flag}={text}"])
    assert caught.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"viam-billing-exporter: error: argument {flag}: {message}"


def test_a_storage_is_a_folder_or_none() -> None:
    """An empty one turns it off."""
    assert parsed(["--storage.path=data"]).storage_path == Path("data")
    assert parsed(["--storage.path="]).storage_path is None


def test_every_argument_that_is_parsed_is_here() -> None:
    """A name that is wrong shows when its flag is given, and not before."""
    typed = {each.option_strings[-1] for each in parser()._actions if each.type is not None}
    assert typed == {*ARGUMENTS, "--storage.path"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--config-file=secret"], "unknown flag --config-file: did you mean --config.file? See"),
        (["--config-file", "x"], "unknown flag --config-file: did you mean --config.file? See"),
        (["--nonsense"], "unknown flag --nonsense: see"),
        (["--\x1b[31m"], "unknown flag '--\\x1b[31m': see"),
        (["exporter.yml"], "unexpected argument exporter.yml: see"),
    ],
)
def test_a_flag_that_is_unknown_is_told_in_a_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the one that was meant, and without what it was to be, which may be a secret."""
    with pytest.raises(SystemExit) as ended:
        parsed(arguments)
    assert ended.value.code == 2
    name = parser().prog
    assert capsys.readouterr().err == f"{name}: {said} {name} --help\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--verson"], "viam-billing: unknown flag --verson: did you mean --version? See "),
        (
            ["report", "--exporters=x"],
            "viam-billing report: unknown flag --exporters: did you mean --exporter? See ",
        ),
        (
            ["ledger", "import", "--storage-path=."],
            "viam-billing ledger import: unknown flag --storage-path: did you mean --storage.path?",
        ),
    ],
)
def test_commands_know_what_was_meant(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of a flag that is required, and of a command of a command."""
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(said)
    assert capsys.readouterr().err.count("\n") <= 1
