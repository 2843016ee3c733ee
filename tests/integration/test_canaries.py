"""Every secret and every personal detail is a string that occurs nowhere else, and is looked for.

In whatever leaves the process: pages, logs, the disk, the list of processes, tracebacks. Pieces
are looked for, too: a shortened key is still most of a key.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import signal
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import grpc
import grpc.aio
import pytest
import yaml

from exporter.api.calls import POLLED
from exporter.pb import auth_pb2
from exporter.process.clock import SystemClock
from exporter.simulator import Account, SimulatedClock, Simulator, demo_fleet
from exporter.simulator.accounts import BankAccount, Card
from support.process import (
    EXPORTER,
    OPENMETRICS,
    PYTHON,
    Exporter,
    Process,
    exporter,
    free_port,
    get,
    running,
    until,
)

RNG = Random(20)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Characters. Shorter pieces could turn up by chance; a longer one could be cut out of `repr`.
PIECE = 11


def canary(alphabet: str = LETTERS) -> str:
    """Return a string that occurs nowhere else."""
    return "".join(RNG.choices(alphabet, k=40))


class TokenSource(Random):
    """Chance that remembers the tokens made from it."""

    def __init__(self) -> None:
        super().__init__(20)  # other numbers than those that the accounts are made of
        self.tokens: set[str] = set()

    def getrandbits(self, bits: int) -> int:
        """Return a number, and note it as the token it may become."""
        number = super().getrandbits(bits)
        if bits == 256:
            self.tokens.add(f"{number:064x}")
        return number


def accounts() -> tuple[Account, ...]:
    """Return a few accounts with canaries in all that is secret or personal."""
    card, bank, verified, by_file, refused = (
        replace(account, api_key=canary(), billing_email=f"{canary()}@example.com")
        for account in demo_fleet(1)[:5]
    )
    account = BankAccount(
        bank_name=canary(),
        last_four=canary("0123456789"),
        routing_number=canary("0123456789"),
        account_type=canary(),
    )
    awaiting = replace(account, verification_url=f"https://example.com/{canary()}")
    return (
        replace(card, payment_method=Card("visa", canary("0123456789"))),
        replace(bank, payment_method=awaiting),
        replace(verified, payment_method=account),
        by_file,
        refused,
    )


def hidden(values: Iterable[str], text: str) -> None:
    """Check that no piece of any of the values, in plain or encoded, is in a text.

    The message names the value's place in the list, and what stands around the piece.
    """
    for number, value in enumerate(values):
        for form in (value, value.encode().hex(), base64.b64encode(value.encode()).decode()[:-4]):
            for start in range(len(form) - PIECE + 1):
                at = text.find(form[start : start + PIECE])
                assert at < 0, f"value {number} leaks: {text[max(0, at - 300) : at + 60]}"


def pages(it: Exporter) -> str:
    """Return every page there is, in every format."""
    texts = [get(it.port, path).text for path in ("/", "/config", "/-/ready", "/-/healthy")]
    organizations = re.findall(r'href="(organizations/[^"]+)"', texts[0])
    assert organizations
    texts += [get(it.port, f"/{path}").text for path in organizations]
    texts.append(get(it.port, "/api/v1/organizations").text)
    for path in organizations:
        texts += [get(it.port, f"/api/v1/{path}{more}").text for more in ("", "/days")]
        texts.append(get(it.port, f"/api/v1/{path}/days?format=csv").text)
    texts += [it.scrape(), it.scrape(OPENMETRICS)]
    return "\n".join(texts)


def on_disk(folder: Path) -> str:
    """Return the bytes of every file, one character each."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return "".join(f"{path.name}\n{path.read_bytes().decode('latin-1')}\n" for path in files)


def written(process: Process) -> str:
    """Return what a process has written so far."""
    return process.stdout.text + process.stderr.text


def configuration(folder: Path, port: int, organizations: list[Any]) -> str:
    """Write a configuration and return the flag that names it."""
    file = folder / "exporter.yml"
    api = {"address": f"127.0.0.1:{port}", "tls": False, "timeout": "5s"}
    document = {"api": api, "poll": {"interval": "1s"}, "organizations": organizations}
    file.write_text(yaml.safe_dump(document))
    return f"--config.file={file}"


# Of libraries and of Python itself: who looks for a fault turns them on.
TALKATIVE = {
    "GRPC_VERBOSITY": "debug",
    "GRPC_TRACE": "all",
    "PYTHONDEVMODE": "1",
    "PYTHONASYNCIODEBUG": "1",
    "PYTHONWARNINGS": "default",
}


@contextmanager
def talkative(*arguments: str, script: str = "", **environ: str) -> Iterator[Exporter]:
    """Run the exporter while inside, with all the logs there are, or a script that runs it."""
    command = [PYTHON, "-c", script] if script else EXPORTER
    listen = "--web.listen-address=127.0.0.1:0"
    flags = (listen, "--log.level=debug", *arguments)
    with running(*command, *flags, environ={**TALKATIVE, **environ}) as process:
        serving = process.stderr.wait_for(r"\baddresses\W+127\.0\.0\.1:(\d+)")
        yield Exporter(process, int(serving[1]))


@asynccontextmanager
async def simulated(
    known: Iterable[Account], sent: list[bytes] | None = None
) -> AsyncIterator[tuple[int, set[str]]]:
    """Serve accounts while inside; yields the port and the tokens granted so far."""
    rng = TokenSource()
    simulator = Simulator(
        known,
        SimulatedClock(SystemClock()),
        rng=rng,
        token_lifetime=2.0,  # so that tokens are replaced, too
        on_answer=None if sent is None else lambda _m, _o, raw, _t: sent.append(raw),
    )
    port = await simulator.start()
    try:
        yield port, rng.tokens
    finally:
        await simulator.stop()


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_nothing_secret_and_nothing_personal_leaves_the_process(tmp_path: Path, form: str) -> None:
    """Not by a page, a log at its most talkative, the disk, or the list of processes."""
    known = accounts()
    wrong = canary()
    (tmp_path / "key").write_text(known[3].api_key + "\n")
    keys = [
        {"api_key": known[0].api_key},
        {"api_key": "${FIRST_KEY}"},
        {"api_key": known[2].api_key},
        {"api_key_file": "key"},
        {"api_key": wrong},
    ]
    folder = tmp_path / "storage"
    shown: list[str] = []

    def watch(port: int, tokens: set[str]) -> None:
        flag = configuration(
            tmp_path,
            port,
            [
                {"id": a.id, "credentials": {"api_key_id": a.api_key_id, **key}}
                for a, key in zip(known, keys, strict=True)
            ],
        )
        flags = (flag, f"--storage.path={folder}", f"--log.format={form}")
        for ending in ("killed", "stopped", "killed"):
            with talkative(*flags, FIRST_KEY=known[1].api_key) as it:
                it.wait_until_ready()
                until(lambda: known[3].id in on_disk(folder), "it is stored")
                enough = len(tokens) + 1
                until(lambda: len(tokens) >= enough, "a token was replaced")  # noqa: B023
                command_line = Path(f"/proc/{it.process._popen.pid}/cmdline").read_text()
                shown.extend((pages(it), on_disk(folder), command_line))
                it.process.kill() if ending == "killed" else it.process.stop()
                shown.extend((written(it.process), on_disk(folder)))
            if ending == "stopped":  # the next one sets aside what it finds
                database = folder / "exporter.db"
                database.write_bytes(b"x" + database.read_bytes())
        assert "set-aside" in shown[-1]

    async def main() -> set[str]:
        async with simulated(known) as (port, tokens):
            await asyncio.to_thread(watch, port, tokens)
            return tokens

    tokens = asyncio.run(main())
    assert all(account.id in shown[0] for account in known)
    private = [value for account in known for value in account.private_values]
    hidden([wrong, *private, *tokens], "\n".join(shown))


def test_what_is_stored_confirms_no_guess(tmp_path: Path) -> None:
    """A digest of an answer would: the rest of it is known, and four digits are soon tried."""
    known = accounts()
    sent: list[bytes] = []
    folder = tmp_path / "storage"

    def watch(port: int) -> None:
        key = {"api_key_id": known[0].api_key_id, "api_key": known[0].api_key}
        flag = configuration(tmp_path, port, [{"id": known[0].id, "credentials": key}])
        with exporter(flag, f"--storage.path={folder}") as it:
            it.wait_until_ready()
            until(lambda: known[0].id in on_disk(folder), "it is stored")

    async def main() -> None:
        async with simulated(known, sent) as (port, _):
            await asyncio.to_thread(watch, port)

    asyncio.run(main())
    personal = [raw for raw in sent if known[0].billing_email.encode() in raw]
    assert personal
    stored = on_disk(folder).encode("latin-1")
    for raw in personal:
        assert hashlib.blake2b(raw, digest_size=16).digest() not in stored


# --- A server that repeats what it is sent ---

AUTHENTICATE = "Authenticate"
CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
Context = grpc.aio.ServicerContext[Any, Any]


@asynccontextmanager
async def echo(secrets: set[str]) -> AsyncIterator[int]:
    """Refuse every call in words that repeat the key or the token sent; yields the port.

    The key's id says which call is to fail, and how: `Authenticate UNKNOWN`, `read UNKNOWN`.
    """
    codes = {code.name: code for code in CODES}
    tokens: dict[str, str] = {}  # token -> the code to fail with

    async def fail(context: Context, code: str, sent: str) -> None:
        secrets.add(sent)
        context.set_trailing_metadata((("x-debug", sent), ("retry-after", sent)))
        await context.abort(codes[code], f"{sent} is refused, as is Bearer {sent}")

    async def authenticate(request: auth_pb2.AuthenticateRequest, context: Context) -> bytes:
        method, code = request.entity.split()
        secrets.add(request.credentials.payload)
        if method == AUTHENTICATE:
            await fail(context, code, request.credentials.payload)
        token = canary()
        tokens[token] = code
        return auth_pb2.AuthenticateResponse(access_token=token).SerializeToString()

    async def read(_request: bytes, context: Context) -> bytes:
        (sent,) = (v for k, v in context.invocation_metadata() or () if k == "authorization")
        token = str(sent).removeprefix("Bearer ")
        if tokens[token] == "garbage":
            return b"\xff" + token.encode()
        await fail(context, tokens[token], token)
        return b""

    services: dict[str, dict[str, grpc.RpcMethodHandler[Any, Any]]] = {
        "proto.rpc.v1.AuthService": {
            AUTHENTICATE: grpc.unary_unary_rpc_method_handler(
                authenticate, request_deserializer=auth_pb2.AuthenticateRequest.FromString
            )
        }
    }
    for service, method in POLLED.values():
        services.setdefault(service, {})[method] = grpc.unary_unary_rpc_method_handler(read)
    server = grpc.aio.server(
        handlers=[
            grpc.method_handlers_generic_handler(name, methods)
            for name, methods in services.items()
        ]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


def echoing(*ways: str) -> list[Any]:
    """Return an organization for each way to fail."""
    return [{"id": way, "credentials": {"api_key_id": way, "api_key": canary()}} for way in ways]


EVERY_WAY = [f"{method} {code.name}" for method in (AUTHENTICATE, "read") for code in CODES]


def test_what_a_server_repeats_of_a_key_is_not_shown(tmp_path: Path) -> None:
    """Whatever it fails with, and in an answer that does not parse."""
    secrets: set[str] = set()
    shown: list[str] = []

    def watch(port: int) -> None:
        ways = [*EVERY_WAY, "read garbage"]
        flag = configuration(tmp_path, port, echoing(*ways))
        with talkative(flag, f"--storage.path={tmp_path / 'storage'}") as it:
            it.wait_until_ready()
            shown.extend((pages(it), on_disk(tmp_path / "storage")))
            it.process.stop()
            shown.append(written(it.process))
        assert all(f"read {code.name}" in shown[0] for code in CODES)

    async def main() -> None:
        async with echo(secrets) as port:
            await asyncio.to_thread(watch, port)

    asyncio.run(main())
    assert len(secrets) > len(EVERY_WAY)
    hidden(secrets, "\n".join(shown))


# --- Bugs ---

# Everything that runs on the loop counts as slow, and is logged with its arguments and results.
SLOW = """
import asyncio.base_events, sys
asyncio.base_events.BaseEventLoop.slow_callback_duration = property(
    lambda self: 0.0, lambda self, seconds: None)
"""
RUN = """
from exporter import cli
sys.exit(cli.main())
"""
# Where a refusal is taken note of: it is what the traceback says came before.
BUGS = {
    "client": """
import sys
from exporter.api import failures
failures._retry_after = None
""",
    "poller": """
import sys
from exporter.api.billing import BillingError
BillingError.transient = property(lambda self: None(), lambda self, transient: None)
""",
}


def test_what_asyncio_logs_of_its_own_work_shows_no_secret(tmp_path: Path) -> None:
    """In its debug mode it logs results of tasks, among them keys and tokens."""
    known = accounts()

    def watch(port: int) -> str:
        key = {"api_key_id": known[0].api_key_id, "api_key": known[0].api_key}
        flag = configuration(tmp_path, port, [{"id": known[0].id, "credentials": key}])
        with talkative(flag, script=SLOW + RUN) as it:
            it.wait_until_ready()
            it.process.stderr.wait_for(r"Executing .* took")
            it.process.stop()
            return written(it.process)

    async def main() -> tuple[str, set[str]]:
        async with simulated(known) as (port, tokens):
            return await asyncio.to_thread(watch, port), tokens

    shown, tokens = asyncio.run(main())
    hidden([*known[0].private_values, *tokens], shown)


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize("way", ["Authenticate UNAUTHENTICATED", "read INVALID_ARGUMENT"])
def test_the_traceback_of_a_bug_shows_no_secret(tmp_path: Path, way: str, bug: str) -> None:
    """Nor does what led to it, as a refusal in words that repeat the key."""
    secrets: set[str] = set()

    def watch(port: int) -> str:
        flag = configuration(tmp_path, port, echoing(way))
        with talkative(flag, script=BUGS[bug] + RUN) as it:
            assert it.process.wait() == 1
            return written(it.process)

    async def main() -> str:
        async with echo(secrets) as port:
            return await asyncio.to_thread(watch, port)

    shown = asyncio.run(main())
    assert "TypeError: 'NoneType' object is not callable" in shown
    assert secrets
    hidden(secrets, shown)


def test_a_crash_leaves_stacks_without_values_and_no_core(tmp_path: Path) -> None:
    """What Python writes when it is aborted; the memory itself is not written to disk."""
    known = accounts()

    def watch(port: int) -> str:
        key = {"api_key_id": known[0].api_key_id, "api_key": known[0].api_key}
        flag = configuration(tmp_path, port, [{"id": known[0].id, "credentials": key}])
        with talkative(flag) as it:
            it.wait_until_ready()
            limits = Path(f"/proc/{it.process._popen.pid}/limits").read_text()
            it.process.send(signal.SIGABRT)
            assert it.process.wait() == -signal.SIGABRT
        (core,) = (line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4] == "0"
        return written(it.process)

    async def main() -> tuple[str, set[str]]:
        async with simulated(known) as (port, tokens):
            return await asyncio.to_thread(watch, port), tokens

    shown, tokens = asyncio.run(main())
    assert "Fatal Python error: Aborted" in shown
    hidden([*known[0].private_values, *tokens], shown)


# --- Tracing ---


def test_tracing_of_grpc_is_left_off_with_a_warning(tmp_path: Path) -> None:
    """Its traces hold the authorization metadata; whoever turned them on is told."""
    flag = configuration(tmp_path, free_port(), echoing("nobody there"))
    with talkative(flag) as it:
        warnings = [line for line in written(it.process).splitlines() if "gRPC tracing" in line]
        assert len(warnings) == 1
        assert "variable=GRPC_TRACE" in warnings[0]
        environ = Path(f"/proc/{it.process._popen.pid}/environ").read_text()
        assert "GRPC_TRACE" not in environ
