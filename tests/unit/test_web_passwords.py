"""Basic authentication without a server."""

from __future__ import annotations

import asyncio

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.web.auth import (
    CONCURRENCY,
    MAX_WAITING,
    BasicAuth,
    BasicCredentials,
    Busy,
    hashes,
    parse,
)
from exporter.web.toolkit.web_values import bcrypt_cost, user_rule

CHEAP = bcrypt.hashpw(b"cheap", bcrypt.gensalt(4)).decode()
DEAR = bcrypt.hashpw(b"dear", bcrypt.gensalt(7)).decode()
USERS = {"cheap": CHEAP, "dear": DEAR}


@pytest.mark.parametrize("user", ["cheap", "dear", "nobody", ""])
def test_every_user_costs_the_same_rounds_known_or_not(user: str) -> None:
    """So time tells nothing. A hash of cost c has 2**c rounds."""
    assert sum(2 ** bcrypt_cost(hashed) for hashed in hashes(user, USERS)) == 2**7


@given(st.text("./ABCOXYZabcexyz0129u", min_size=22, max_size=22))
def test_a_hash_that_is_accepted_is_one_that_bcrypt_takes(salt: str) -> None:
    """Else each request of its user would meet a bug."""
    hashed = f"$2b$04${salt}{'a' * 31}"
    accepted = user_rule("name", hashed) is None
    try:
        bcrypt.checkpw(b"password", hashed.encode())
    except ValueError:
        assert not accepted
    else:
        assert accepted


def test_no_password_fits_the_hash_of_nobody() -> None:
    """And if one did: there is no such user."""
    (hashed,) = hashes("nobody", USERS)
    assert not bcrypt.checkpw(b"", hashed.encode())


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Basic YTpi", BasicCredentials("a", b"b")),
        ("bAsIc  YTpi ", BasicCredentials("a", b"b")),
        ("Basic YTpiOmM=", BasicCredentials("a", b"b:c")),
        ("Basic YTo=", BasicCredentials("a", b"")),
        ("Basic YQ==", None),
        ("Basic YTpi!", None),
        ("Basic \udcff", None),
        ("Basic", None),
        ("Bearer YTpi", None),
        ("", None),
    ],
)
def test_credentials_are_read_as_rfc_7617_says(
    header: str, expected: BasicCredentials | None
) -> None:
    """What is no such header holds none."""
    assert parse(header) == expected


def test_what_was_right_is_remembered_until_the_hash_changes() -> None:
    """A scrape is often, and bcrypt slow: the second check takes no thread."""

    async def main() -> None:
        auth = BasicAuth()
        credentials = BasicCredentials("dear", b"dear")
        assert await auth.check(credentials, USERS)
        auth.close()  # from here on a thread would raise
        assert await auth.check(credentials, USERS)
        with pytest.raises(RuntimeError):
            await auth.check(BasicCredentials("dear", b"wrong"), USERS)
        with pytest.raises(RuntimeError):
            await auth.check(credentials, {"dear": CHEAP})

    asyncio.run(main())


def test_what_was_wrong_is_not_remembered() -> None:
    """Or guesses would push out what is right."""

    async def main() -> None:
        auth = BasicAuth()
        for guess in range(5):
            assert not await auth.check(BasicCredentials("cheap", b"%d" % guess), USERS)
        assert not auth._right
        auth.close()

    asyncio.run(main())


def test_passwords_longer_than_bcrypt_reads_are_cut_as_everywhere() -> None:
    """72 bytes count; the library would refuse more."""

    async def main() -> None:
        auth = BasicAuth()
        users = {"a": bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()}
        assert await auth.check(BasicCredentials("a", b"x" * 100), users)
        assert not await auth.check(BasicCredentials("a", b"x" * 71), users)
        auth.close()

    asyncio.run(main())


def test_guesses_do_not_pile_up() -> None:
    """Above what may wait, the answer comes at once."""

    async def main() -> None:
        auth = BasicAuth()
        guesses = [
            BasicCredentials("dear", b"%d" % n) for n in range(CONCURRENCY + MAX_WAITING + 5)
        ]
        answers = await asyncio.gather(
            *(auth.check(guess, USERS) for guess in guesses), return_exceptions=True
        )
        assert sum(isinstance(answer, Busy) for answer in answers) == 5
        assert await auth.check(BasicCredentials("dear", b"dear"), USERS)
        auth.close()

    asyncio.run(main())
