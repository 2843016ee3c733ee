"""The names under which the pages are reached."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.web.hosts import KnownHosts, allowed_host, machine_names

KNOWN = KnownHosts(["bills", "Bills.Example.com."])


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8426",
        "localhost.",
        "bills:1",
        "bills.example.com",
        "127.0.0.1:8426",
        "192.0.2.1",
        "[::1]",
        "[2001:db8::1]:8426",
        "[fe80::1%eth0]:8426",
        "::1",
    ],
)
def test_an_address_localhost_and_names_that_were_given_are_known(host: str) -> None:
    """With any port, in any case, with the dot at the end that a full name has."""
    assert host in KNOWN


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8426",
        "localhost.evil.example",
        "bills.example.com.evil.example",
        "example.com",
        "127.0.0.1.evil.example",
        "127.1",
        "localhost@evil.example",
        "evil.example@localhost",
        "localhost:80:evil",
        "localhost/evil",
        "[evil.example]",
        "[::1]evil.example",
        "[::1",
        ":8426",
        "*",
    ],
)
def test_nothing_else_is(host: str) -> None:
    """Least of all what only looks like it."""
    assert host not in KNOWN


@given(st.text())
def test_any_text_is_known_or_not(host: str) -> None:
    """Nothing that a client sends makes it raise."""
    assert isinstance(host in KNOWN, bool)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("bills", "bills"),
        ("Bills.Example.com.", "bills.example.com"),
        ("my_service", "my_service"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_a_name_is_taken_as_a_browser_sends_it(text: str, name: str) -> None:
    """In lower case, and with other alphabets as name servers have them."""
    assert allowed_host(text) == name


@pytest.mark.parametrize(
    "text", ["", "a:1", "http://a", "a/b", "*.example.com", "a..b", "-a", "a b"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    """With the rule, so that nobody believes that it does something."""
    with pytest.raises(ValueError, match="must be the name of a host"):
        allowed_host(text)


def test_the_machine_is_called_as_it_says_and_as_its_file_of_hosts_does(tmp_path: Path) -> None:
    """By names that stand beside its own, and no others."""
    file = tmp_path / "hosts"
    file.write_text(
        "127.0.0.1 localhost\n127.0.1.1\tmill.example.com mill # old\n192.0.2.1 other\n\n# x\n"
    )
    assert {*machine_names("mill", file)} == {"mill", "mill.example.com"}
    assert {*machine_names("a.b", tmp_path / "none")} == {"a.b", "a"}
