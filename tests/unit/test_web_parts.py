"""The small parts of the web side: limits, location, the files that are looked at again."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.config import ConfigError
from exporter.web import sockets
from exporter.web.limits import TokenBucket
from exporter.web.location import Location, external_url, route_prefix
from exporter.web.toolkit import RateLimit, WebConfigFile

HASH = "$2y$04$" + "a" * 21 + "e" + "a" * 31
USERS = f"basic_auth_users: {{alice: {HASH}}}\n"


def test_a_token_bucket_gives_a_burst_and_then_one_an_interval() -> None:
    """By the clock that is passed in, and never more than the burst."""
    now = [0.0]
    bucket = TokenBucket(lambda: now[0])
    limit = RateLimit(interval=2.0, burst=2)
    assert [bucket.take(limit) for _ in range(3)] == [True, True, False]
    assert bucket.retry_after() == 2
    now[0] = 1.0
    assert not bucket.take(limit)
    assert bucket.retry_after() == 1
    now[0] = 2.0
    assert [bucket.take(limit) for _ in range(2)] == [True, False]
    now[0] = 1000.0
    assert [bucket.take(limit) for _ in range(3)] == [True, True, False]
    assert bucket.take(RateLimit(interval=2.0, burst=1))
    assert bucket.take(RateLimit())


@pytest.mark.parametrize(
    ("text", "path"),
    [("http://a", ""), ("https://a:1/", ""), ("http://a/b/c/", "/b/c"), ("http://[::1]:1/b", "/b")],
)
def test_an_external_url_has_a_path_without_a_slash_at_its_end(text: str, path: str) -> None:
    """As the route prefix, which it is the default of."""
    assert external_url(text).path == path
    assert route_prefix(path) == path


def test_an_external_url_has_its_host_as_browsers_send_it() -> None:
    """In ASCII, whatever the script that it was written in."""
    location = Location(external=external_url("https://bücher.example:8443/x"))
    assert list(location.host) == ["xn--bcher-kva.example"]
    assert location.is_own("https://xn--bcher-kva.example:8443", "internal:1")
    with pytest.raises(ValueError, match="a name or an address"):
        external_url(f"https://{'ü' * 70}/")


@pytest.mark.parametrize(("text", "path"), [("/", ""), ("", ""), ("a", "/a"), ("/a/b/", "/a/b")])
def test_a_route_prefix_may_have_slashes_around_it(text: str, path: str) -> None:
    """Or not."""
    assert route_prefix(text) == path


@pytest.mark.parametrize("text", ["//a//b", "/a/../b", "/a?b", "/é", "/a\n", "/%41"])
def test_a_route_prefix_is_a_plain_path(text: str) -> None:
    """Nothing that a proxy or a browser would change on the way."""
    with pytest.raises(ValueError, match="must be a path"):
        route_prefix(text)


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://a:80", "a", True),
        ("https://a", "a:443", True),
        ("https://a", "a:80", False),
        ("http://A", "a", True),
        ("http://[::1]:80", "[::1]", True),
        ("http://a.b", "a", False),
        ("null", "a", False),
        ("", "", False),
        ("http://", "", False),
        ("http://a:b", "a", False),
    ],
)
def test_an_origin_is_own_if_it_is_the_host(origin: str, host: str, own: bool) -> None:  # noqa: FBT001
    """With default ports filled in, without regard to case."""
    assert Location().is_own(origin, host) is own


def test_a_change_is_taken_once_and_a_mistake_told_once(tmp_path: Path) -> None:
    """The old version stays until there is a good one."""
    path = tmp_path / "web.yml"
    path.write_text(USERS)
    file = WebConfigFile(path)
    assert not file.refresh()
    path.write_text(USERS.replace("alice", "bob, x"))
    with capture_logs() as logs:
        assert not file.refresh()
        assert not file.refresh()
    assert [log["log_level"] for log in logs] == ["error"]
    assert list(file.current.users) == ["alice"]
    path.unlink()
    assert not file.refresh()
    path.write_text(USERS.replace("alice", "bob"))
    assert file.refresh()
    assert not file.refresh()
    assert list(file.current.users) == ["bob"]


def test_a_swapped_link_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes swaps a secret: the file's own link stays what it was."""
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "web.yml").write_text(USERS.replace("alice", version))
    (tmp_path / "data").symlink_to("one")
    (tmp_path / "web.yml").symlink_to("data/web.yml")
    file = WebConfigFile(tmp_path / "web.yml")
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(tmp_path / "data")
    assert file.refresh()
    assert list(file.current.users) == ["two"]


def test_a_start_with_a_wrong_file_ends(tmp_path: Path) -> None:
    """There is no older version to stay with."""
    (tmp_path / "web.yml").write_text("users: {}")
    with pytest.raises(ConfigError, match="users: unknown key"):
        WebConfigFile(tmp_path / "web.yml")


def test_addresses_are_written_as_they_are_typed(tmp_path: Path) -> None:
    """A Unix socket is its path; only this machine reaches it."""
    with socket.create_server(("127.0.0.1", 0)) as v4:
        assert sockets.address(v4) == f"127.0.0.1:{v4.getsockname()[1]}"
        assert sockets.is_local(v4)
    with socket.create_server(("0.0.0.0", 0)) as everywhere:
        assert not sockets.is_local(everywhere)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as v6:
        assert sockets.address(v6) == f"[::1]:{v6.getsockname()[1]}"
        assert sockets.is_local(v6)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "s"))
        assert sockets.address(unix) == str(tmp_path / "s")
        assert sockets.is_local(unix)


def test_it_listens_at_those_addresses_that_there_are() -> None:
    """As localhost without IPv6: one that this machine does not have is logged and left out."""
    here = (socket.AF_INET, ("127.0.0.1", 0))
    elsewhere = (socket.AF_INET6, ("2001:db8::1", 0))
    with capture_logs() as logs:
        (listening,) = sockets.bind_all([elsewhere, here])
    with listening:
        assert sockets.is_local(listening)
    assert [(log["log_level"], log["address"]) for log in logs] == [("warning", "2001:db8::1")]


def test_an_address_that_is_taken_or_the_only_one_missing_is_a_failed_start() -> None:
    """Whatever else could be listened at; nothing stays open."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = (socket.AF_INET, ("127.0.0.2", 0))
        with pytest.raises(OSError, match="in use"):
            sockets.bind_all([free, (socket.AF_INET, taken.getsockname())])
    with pytest.raises(OSError, match="assign"):
        sockets.bind_all([(socket.AF_INET6, ("2001:db8::1", 0))])


@pytest.mark.parametrize("host", ["::", "0::0", ""])
def test_all_of_ipv6_is_all_of_ipv4_too(host: str) -> None:
    """As in other exporters; whoever listens at an IPv4 address as well gets them apart."""

    async def main() -> None:
        (listening,) = await sockets.bind(host, 0)
        port = listening.getsockname()[1]
        with listening:
            for address in ("127.0.0.1", "::1"):
                socket.create_connection((address, port)).close()
        (alone,) = await sockets.bind("::", port, dualstack=False)
        with alone, socket.create_server(("127.0.0.1", port)):
            pass

    asyncio.run(main())
