"""No command gives away a key, a token or a personal detail, however talkative its libraries are.

The same secrets, servers and search as for the exporter itself.
"""

from __future__ import annotations

import asyncio
import base64
import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from integration.test_canaries import (
    EVERY_WAY,
    TALKATIVE,
    accounts,
    canary,
    configuration,
    echo,
    echoing,
    hidden,
    simulated,
)
from support.process import serving
from support.standing import command


def shown(folder: Path, *arguments: str, code: int) -> str:
    """Return all that a command prints, and the names of its files."""
    done = command(*arguments, folder=folder, environ=TALKATIVE)
    assert done.returncode == code, done.stderr
    names = [str(path) for path in (folder / "invoices").rglob("*")]
    return "\n".join([done.stdout, done.stderr, *names])


def test_nothing_secret_and_nothing_personal_is_shown(tmp_path: Path) -> None:
    """Neither what was read nor what was refused."""
    known, wrong = accounts(), canary()
    (tmp_path / "key").write_text(known[3].api_key + "\n")
    keys = [{"api_key": account.api_key} for account in known]
    keys[3:] = [{"api_key_file": "key"}, {"api_key": wrong}]
    organizations = [
        {"id": account.id, "credentials": {"api_key_id": account.api_key_id, **key}}
        for account, key in zip(known, keys, strict=True)
    ]

    def watch(port: int) -> str:
        configuration(tmp_path, port, organizations)
        return "".join(
            shown(tmp_path, *arguments, code=1)
            for arguments in (
                ("usage", "--output=json"),
                ("invoices", "--output=json"),
                ("check", "--connect"),
                ("pdf", "--all"),
                ("backfill", "--step=30d"),
            )
        )

    async def main() -> tuple[str, set[str]]:
        async with simulated(known) as (port, tokens):
            return await asyncio.to_thread(watch, port), tokens

    text, tokens = asyncio.run(main())
    assert all(account.id in text for account in known)
    assert tokens
    private = [value for account in known for value in account.private_values]
    hidden([wrong, *private, *tokens], text)


def test_what_a_server_repeats_of_a_key_is_not_shown(tmp_path: Path) -> None:
    """Whatever it fails with, and in an answer that does not parse."""
    secrets: set[str] = set()

    def watch(port: int) -> str:
        configuration(tmp_path, port, echoing(*EVERY_WAY, "read garbage"))
        return shown(tmp_path, "check", "--connect", code=1)

    async def main() -> str:
        async with echo(secrets) as port:
            return await asyncio.to_thread(watch, port)

    text = asyncio.run(main())
    assert all(f"{way}: " in text for way in EVERY_WAY)
    assert len(secrets) > len(EVERY_WAY)
    hidden(secrets, text)


WAYS = ("json", "html", "redirect", "401", "500", "header", "hang up")


@pytest.mark.timeout(300)  # many commands, one after another
def test_what_repeats_the_password_of_an_exporter_is_not_shown(tmp_path: Path) -> None:
    """Whoever answers there, and in whatever way."""
    password = f"{canary()}:{canary()}"
    (tmp_path / "password").write_text(f"{password}\n")
    sent: list[str] = []

    class Repeating(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            login = self.headers["Authorization"].split()[1]
            decoded = base64.b64decode(login).decode()
            sent.append(login)
            way = WAYS[(len(sent) - 1) % len(WAYS)]
            if way == "hang up":
                self.wfile.write(f"HTTP/1.1 {decoded}\r\n".encode())
                return
            status = {"redirect": 302, "401": 401, "500": 500}.get(way, 200)
            self.send_response(status, decoded)
            self.send_header("Location", f"http://127.0.0.1/{login}")
            if way == "header":
                self.send_header("Content-Encoding", login)
            self.end_headers()
            quoted = json.dumps({"error": decoded, "organizations": login})
            self.wfile.write(f"<p>{decoded}".encode() if way == "html" else quoted.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with serving(Repeating) as port:
        flags = (
            f"--exporter=http://127.0.0.1:{port}",
            "--exporter.user=me",
            f"--exporter.password-file={tmp_path / 'password'}",
        )
        text = "".join(
            shown(tmp_path, *arguments, *flags, code=1)
            for arguments in (("usage", "--output=json"), ("backfill",))
            for _ in WAYS
        )
    assert len(sent) == 2 * len(WAYS)
    hidden([password, *password.split(":"), *sent], text)
