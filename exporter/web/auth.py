"""Basic authentication against bcrypt hashes.

bcrypt is slow on purpose, and a scrape is often. So it runs in threads of its own, few of
them, and a password that was right is remembered as a keyed digest.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from exporter.web.toolkit.web_values import bcrypt_cost

CONCURRENCY = 2  # bcrypt at once
MAX_WAITING = 100  # for one of them: some seconds; more would wait longer than a scrape may take
MAX_REMEMBERED = 100
BCRYPT_BYTES = 72  # of a password; what follows never counted, and the library refuses it
CHALLENGE: Final = 'Basic realm="viam-billing-exporter", charset="UTF-8"'


class Busy(Exception):  # noqa: N818 - an answer, not an error
    """Too many passwords are being checked."""


class BasicCredentials(NamedTuple):
    """What a client claims to be."""

    user: str
    password: bytes


def parse(header: str) -> BasicCredentials | None:
    """Return the credentials in an Authorization header; None if there are none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return BasicCredentials(user.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None


class BasicAuth:
    """Checks passwords. Make one for each process and close it; users are passed in."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)  # a digest in a core dump is of no use elsewhere
        self._right: dict[bytes, None] = {}  # digests of what was right, the newest last
        self._waiting = 0
        self._threads = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="bcrypt")

    def close(self) -> None:
        """Give up what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def check(self, credentials: BasicCredentials, users: Mapping[str, str]) -> bool:
        """Tell whether a user's password is right. `users` maps names to bcrypt hashes.

        Raises Busy if too many others wait.
        """
        digest = self._digest(credentials, users.get(credentials.user, ""))
        if digest in self._right:
            return True
        if self._waiting >= CONCURRENCY + MAX_WAITING:
            raise Busy
        self._waiting += 1
        try:
            right = await asyncio.get_running_loop().run_in_executor(
                self._threads, verify, credentials, users
            )
        finally:
            self._waiting -= 1
        if right:
            self._right[digest] = None
            if len(self._right) > MAX_REMEMBERED:
                del self._right[next(iter(self._right))]
        return right

    def _digest(self, credentials: BasicCredentials, hashed: str) -> bytes:
        """Return what a right password is remembered as; a changed hash makes it another."""
        parts = (credentials.user.encode(), hashed.encode(), credentials.password)
        message = b"".join(len(part).to_bytes(8) + part for part in parts)
        return hmac.digest(self._key, message, hashlib.sha256)


def verify(credentials: BasicCredentials, users: Mapping[str, str]) -> bool:
    """Check a password. Takes equally long whether there is such a user or not."""
    import bcrypt  # noqa: PLC0415 - only where there are users

    password = credentials.password[:BCRYPT_BYTES]
    first, *others = hashes(credentials.user, users)
    right = bcrypt.checkpw(password, first.encode())
    for hashed in others:
        bcrypt.checkpw(password, hashed.encode())
    return right and credentials.user in users


def hashes(user: str, users: Mapping[str, str]) -> list[str]:
    """Return what to check a password against: the user's hash, then what makes up for time.

    A hash of cost c takes 2**c rounds. Where users differ in cost, those with less are made up
    for with fixed hashes: 2**c + 2**c + 2**(c+1) + ... + 2**(top-1) is 2**top.
    """
    top = max(map(bcrypt_cost, users.values()))
    hashed = users.get(user, _fixed(top))
    return [hashed, *map(_fixed, range(bcrypt_cost(hashed), top))]


def _fixed(cost: int) -> str:
    """Return a hash of no known password."""
    return f"$2b${cost:02}${'.' * 53}"
